"""How much of a client's patience and bytes the web layer bears with."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds on requests; tests make them small."""

    json: int = 2**16
    """Bytes of a JSON body at most: a magnet link with a hundred trackers has 10,000."""

    torrent: int = 10 * 2**20
    """Bytes of a `.torrent` file at most: one of a terabyte in small pieces has 5 MiB."""

    endpoints: int = 8 * 2**20
    """Bytes of WireGuard files at most: a provider's archive of a thousand has 2 MB."""

    body: timedelta = timedelta(seconds=60)
    """How long a body may take to arrive: 10 MiB at 1.5 Mbit/s."""

    heartbeat: timedelta = timedelta(seconds=15)
    """How long a stream of events may be silent; proxies commonly hang up after 30 or 60 s."""

    event: timedelta = timedelta(seconds=30)
    """How long an event may wait to be read, once the buffers on the way are full. Who is slower
    has lost its network without a word; and whoever is there comes back by itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionLimits:
    """Bounds on connections; tests make them small."""

    header: float = 15.0
    """Seconds that a request's head may take to arrive, from its first byte on."""

    idle: float = 75.0
    """Seconds that a connection may say nothing, at first or between requests; as in nginx."""

    line: int = 16 * 2**10
    """Bytes of the request line, and of one header: whoever searches for 10 KB of words is told
    that there is nothing, and not that the address is too long."""

    headers: int = 64
    """Headers of one request; browsers behind proxies send 30."""

    per_network: int = 256
    """Connections from one client, or what may be one: a browser has 7, a player 2. A proxy that
    the settings name has as many as it likes."""
