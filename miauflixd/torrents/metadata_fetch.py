"""Having the engine ask a swarm what it holds, without being a part of it."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from miauflixd.engine.messages import (
    Command,
    Displaced,
    Drop,
    Event,
    FetchMetadata,
    Metadata,
    Rejected,
)
from miauflixd.torrents.magnet import Magnet
from miauflixd.torrents.reader import SourceFailedError
from miauflixd.torrents.road import Road
from miauflixd.torrents.waiting import NOBODY_TOLD, until


@dataclass(kw_only=True, eq=False)
class _Visit:
    """The engine's stay in one swarm, for all who want to know what it holds."""

    ticket: str
    hashes: frozenset[bytes]
    waiting: int = 0
    answer: Metadata | Rejected | Displaced | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def announce_news(self) -> None:
        self.news.set()
        self.news = asyncio.Event()


class MetadataFetch:
    """Swarms that the engine is asking; each once, however many want to know."""

    def __init__(self, *, send: Callable[[Command], None], road: Road) -> None:
        self._send = send
        self._road = road
        self._visits: dict[str, _Visit] = {}

    def __len__(self) -> int:
        return len(self._visits)

    async def fetch(self, magnet: Magnet, *, began: float, within: float) -> Metadata | None:
        """Return what a swarm holds; nothing if a source of it has come meanwhile, which is asked.

        The engine leaves the swarm when it knows, or when nobody waits any more.

        Args:
            magnet: which swarm.
            began: when the waiting has, on the loop's clock.
            within: seconds to wait as long as there is a road.

        Raises:
            NoDataError: nobody told in time.
            TunnelDownError: nobody could, for there is no way to the swarm.
            SourceFailedError: what was told cannot be used.
        """
        visit = self._join(magnet)
        visit.waiting += 1
        try:
            answer: Metadata | Rejected | Displaced = await until(
                lambda: visit.answer,
                news=lambda: visit.news,
                road=self._road,
                began=began,
                patience=within,
                otherwise=NOBODY_TOLD,
            )
        finally:
            visit.waiting -= 1
            if visit.waiting == 0 and self._visits.pop(visit.ticket, None) is not None:
                self._send(Drop(torrent_id=visit.ticket))
        match answer:
            case Metadata():
                return answer
            case Rejected(detail=detail):
                raise SourceFailedError(detail)
            case Displaced():
                return None

    def take(self, event: Event) -> bool:
        """Return whether an event was an answer, after passing it on to whoever waits for it."""
        if not isinstance(event, Metadata | Rejected | Displaced):
            return False
        if (visit := self._visits.pop(event.torrent_id, None)) is None:
            return isinstance(event, Displaced)  # which nobody waits for any more
        visit.answer = event
        visit.announce_news()
        return True

    def on_road(self) -> None:
        """Let all look again: the road has changed."""
        for visit in self._visits.values():
            visit.announce_news()

    def _join(self, magnet: Magnet) -> _Visit:
        hashes = frozenset(magnet.hashes)
        visit = next((one for one in self._visits.values() if one.hashes & hashes), None)
        if visit is None:
            visit = _Visit(ticket=os.urandom(8).hex(), hashes=hashes)
            self._visits[visit.ticket] = visit
        # To one that is known it only adds trackers.
        self._send(FetchMetadata(torrent_id=visit.ticket, uri=magnet.uri))
        return visit
