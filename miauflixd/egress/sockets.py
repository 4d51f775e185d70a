"""Where a client's sockets come from: this machine, or the inside of the tunnel."""

import asyncio
import errno
import os
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from miauflixd.egress.errors import EgressError
from miauflixd.tunnel.ports import Family, Opener, Road

FAMILIES: dict[int, Family] = {socket.AF_INET: "inet", socket.AF_INET6: "inet6"}

ADDRESSES = 2
"""Addresses of one family that are tried for a name in the tunnel, so that a hop has a bound."""

_FOR_A_HOP = 4
"""Sockets of each family that one hop may use up.

To connect takes three at most (aiohttp tries both addresses, and then the second alone), and an
idempotent request whose reused connection turns out to be dead is sent once more.
"""

_SPARE = 8
"""Sockets of each family that are kept while nobody asks for anything."""


class Sockets(Protocol):
    """A source of sockets that can be had without waiting, as aiohttp wants them."""

    def hop(self) -> AbstractAsyncContextManager[None]:
        """Have enough sockets at hand for one more connection, for the length of the block.

        Raises:
            TunnelDownError: there is nobody to make them.
            EgressError: they cannot be made.
        """
        ...

    def take(self, family: int) -> socket.socket:
        """Return a new stream socket, which is then the caller's.

        Raises:
            OSError: there is none.
        """
        ...

    def close(self) -> None:
        """Let go of those that nobody took."""
        ...


class MachineSockets:
    """Sockets of this machine's own network."""

    @asynccontextmanager
    async def hop(self) -> AsyncIterator[None]:
        """Prepare nothing: there is always one more."""
        yield

    def take(self, family: int) -> socket.socket:
        """Return a new socket."""
        return socket.socket(family, socket.SOCK_STREAM)

    def close(self) -> None:
        """There is nothing to let go of."""


class TunnelSockets:
    """Sockets that the engine made inside the tunnel.

    Invariant: for every hop under way there are at least as many sockets ready as it may still
    take. `hop` counts itself before it fills up, and a hop that ends only ever lowers the need.
    """

    def __init__(self, *, opener: Opener, road: Road) -> None:
        self._opener = opener
        self._road = road
        self._ready: dict[Family, deque[socket.socket]] = {"inet": deque(), "inet6": deque()}
        self._hops = 0
        self._filling = asyncio.Lock()

    @asynccontextmanager
    async def hop(self) -> AsyncIterator[None]:
        """Have enough sockets at hand for one more connection."""
        self._hops += 1
        try:
            async with self._filling:
                await self._fill()
            yield
        finally:
            self._hops -= 1
            self._keep(max(_SPARE, self._hops * _FOR_A_HOP))

    def take(self, family: int) -> socket.socket:
        """Return one of those at hand; never one of this machine's own."""
        ready = self._ready[FAMILIES[family]]
        if not ready:
            number = errno.EMFILE if FAMILIES[family] == "inet" else errno.EAFNOSUPPORT
            raise OSError(number, os.strerror(number))
        return ready.popleft()

    def close(self) -> None:
        """Let go of those that nobody took."""
        self._keep(0)

    async def _fill(self) -> None:
        families: tuple[Family, ...] = ("inet", "inet6") if self._road.ipv6 else ("inet",)
        for family in families:
            ready = self._ready[family]
            while len(ready) < self._hops * _FOR_A_HOP:
                try:
                    ready.append(await self._opener.open_socket(family, "stream"))
                except OSError as error:
                    raise EgressError(
                        "No socket can be made in the tunnel", reason="socket"
                    ) from error

    def _keep(self, count: int) -> None:
        for ready in self._ready.values():
            while len(ready) > count:
                ready.pop().close()
