"""What peers tell a tracker, and what it keeps of that; without a word of HTTP."""

import asyncio
import ipaddress
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from miauflixd.errors import InvalidInputError

_INFO_HASH_SIZE = 20
_PORTS = range(1, 2**16)

_DEFAULT_WANTED = 50
"""Peers that are told when nobody says how many, BEP 3's custom."""

MOST_WANTED = 200
"""Peers that are told at most: more than one can talk to."""

_FORGOTTEN_AFTER = 2
"""Intervals without a word after which a peer is gone: one may be lost."""


class BadAnnounceError(InvalidInputError):
    """An announce that makes no sense; the message goes to the peer."""

    code = "bad_announce"


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a peer can be reached."""

    host: str
    port: int

    def compact(self) -> bytes:
        """Return address and port in six bytes."""
        return ipaddress.IPv4Address(self.host).packed + self.port.to_bytes(2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Announce:
    """What a peer says of itself."""

    info_hash: bytes
    port: int
    is_complete: bool
    is_leaving: bool
    wanted: int
    """How many others it wants to know."""
    compact: bool


def parse(query: Mapping[str, str]) -> Announce:
    """Read the parameters of an announce, each byte a letter (latin-1).

    Raises:
        BadAnnounceError: one is missing or cannot be right.
    """
    info_hash = query.get("info_hash", "").encode("latin-1")
    if len(info_hash) != _INFO_HASH_SIZE:
        raise BadAnnounceError("info_hash must have 20 bytes")
    port = _number(query, "port", default=0)
    if port not in _PORTS:
        raise BadAnnounceError("port must be from 1 to 65535")
    wanted = _number(query, "numwant", default=_DEFAULT_WANTED)
    return Announce(
        info_hash=info_hash,
        port=port,
        # Whoever does not say what is left wants something.
        is_complete=query.get("event") == "completed" or _number(query, "left", default=1) == 0,
        is_leaving=query.get("event") == "stopped",
        # Some clients say -1 for "as you like".
        wanted=min(wanted, MOST_WANTED) if wanted >= 0 else _DEFAULT_WANTED,
        compact=query.get("compact", "1") != "0",
    )


def _number(query: Mapping[str, str], name: str, *, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise BadAnnounceError(f"{name} must be a number") from None


@dataclass(frozen=True, slots=True)
class _Sighting:
    at: float
    is_complete: bool


class Register:
    """Who is in which swarm."""

    def __init__(self, *, interval: float, clock: Callable[[], float]) -> None:
        """Start empty.

        Args:
            interval: seconds between two announces of a peer.
            clock: seconds that only ever grow.
        """
        self._patience = interval * _FORGOTTEN_AFTER
        self._clock = clock
        self._swarms: defaultdict[bytes, dict[Peer, _Sighting]] = defaultdict(dict)
        self._changed = asyncio.Condition()

    async def announce(self, peer: Peer, announce: Announce) -> list[Peer]:
        """Note what a peer says, and return others for it, chosen at random."""
        now = self._clock()
        swarm = self._swarms[announce.info_hash]
        for other in [other for other, seen in swarm.items() if seen.at + self._patience < now]:
            del swarm[other]
        swarm.pop(peer, None)
        if announce.is_leaving:
            others = []
        else:
            # Two who have everything have nothing to tell each other.
            others = [
                other
                for other, seen in swarm.items()
                if not (announce.is_complete and seen.is_complete)
            ]
            swarm[peer] = _Sighting(now, announce.is_complete)
        async with self._changed:
            self._changed.notify_all()
        return random.sample(others, min(announce.wanted, len(others)))

    def count(self, info_hash: bytes) -> tuple[int, int]:
        """Return how many of a swarm have everything, and how many do not."""
        swarm = self._swarms.get(info_hash, {})
        complete = sum(seen.is_complete for seen in swarm.values())
        return complete, len(swarm) - complete

    async def seeded(self, info_hash: bytes, *, seeders: int) -> None:
        """Wait until that many of a swarm have everything."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.count(info_hash)[0] >= seeders)
