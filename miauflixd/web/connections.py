"""Who is connected, and how often. No I/O."""

from collections import Counter
from collections.abc import Sequence
from enum import Enum

from miauflixd.web.client_address import IpNetwork, network_of, parsed


class Entrance(Enum):
    """By which way somebody came in."""

    TCP = "tcp"
    UNIX = "unix"
    """The unix socket for a proxy on this machine."""
    CONTROL = "control"
    """The unix socket for this machine's administrator."""


class Crowd:
    """Counts the connections of each client, so that no one takes the room of all."""

    def __init__(self, *, most: int, proxies: Sequence[IpNetwork] = ()) -> None:
        """Allow each client so many, and proxies, who come for many, as many as they like."""
        self._most = most
        self._proxies = proxies
        self._connections: Counter[str] = Counter()

    def enter(self, address: str) -> str | None:
        """Count a connection and return as whose; `None` when it is one too many."""
        peer = parsed(address)
        if peer is None:
            return None
        place = network_of(peer)
        is_proxy = any(peer in network for network in self._proxies)
        if self._connections[place] >= self._most and not is_proxy:
            return None
        self._connections[place] += 1
        return place

    def leave(self, place: str) -> None:
        """Count a connection no longer."""
        self._connections[place] -= 1
        if not self._connections[place]:
            del self._connections[place]

    def __len__(self) -> int:
        """Return how many clients are connected."""
        return len(self._connections)
