"""The servers that files come from: how many connections each has, and which want their peace."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_LANES = 2
"""Connections for one file at most: while one waits for an answer, the other brings bytes."""

_FOR_ONE_SERVER = 4
"""Connections of one server beyond which each file has one only. The Internet Archive has been seen
to shut out who made 50, and not who made five."""

_IN_ALL = 16
"""Requests under way at most, half of what the HTTP client does at once: directories are to be
asked as well while everybody in the house watches a film."""

_FORGET_ABOVE = 256
"""Servers that are remembered."""


class Server:
    """One of them, by its host."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.connections = 0
        self.rests_until = 0.0
        """On the loop's clock; nothing is asked of it before."""

    def lanes(self, own: int) -> int:
        """Return how many connections a file may have that has so many already."""
        return _LANES if self.connections - own + _LANES <= _FOR_ONE_SERVER else 1


class Servers:
    """All of them."""

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}
        self.turn = asyncio.Semaphore(_IN_ALL)
        """Held by each request."""

    def of(self, url: str) -> Server:
        """Return the server of an address."""
        host = urlsplit(url).hostname or "?"
        if len(self._servers) > _FORGET_ABOVE:
            idle = [one.host for one in self._servers.values() if not one.connections]
            for name in idle[: _FORGET_ABOVE // 2]:
                del self._servers[name]
        return self._servers.setdefault(host, Server(host))


@contextmanager
def connected(server: Server) -> Iterator[None]:
    """Count a connection for the length of the block."""
    server.connections += 1
    try:
        yield
    finally:
        server.connections -= 1
