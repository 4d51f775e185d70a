"""Having the engine ask trackers how many are in a swarm."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from miauflixd.engine.messages import Command, Drop, Event, Rejected, Scrape, Scraped
from miauflixd.torrents.magnet import Magnet


@dataclass(kw_only=True, eq=False)
class _Inquiry:
    best: tuple[int, int] | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is nothing more to wait for."""


class Scraping:
    """Swarms whose trackers are being asked."""

    def __init__(self, *, send: Callable[[Command], None]) -> None:
        self._send = send
        self._inquiries: dict[str, _Inquiry] = {}

    def __len__(self) -> int:
        return len(self._inquiries)

    async def ask(self, magnet: Magnet, *, within: float) -> tuple[int, int] | None:
        """Return seeders and leechers as the tracker says that knows most of them.

        Args:
            magnet: which swarm, and its trackers.
            within: seconds after which what has been said until then must do.

        Returns:
            Nothing if no tracker has answered.
        """
        ticket = os.urandom(8).hex()
        inquiry = self._inquiries[ticket] = _Inquiry()
        try:
            self._send(Scrape(torrent_id=ticket, uri=magnet.uri))
            async with asyncio.timeout(within):
                await inquiry.over.wait()
        except TimeoutError:
            pass
        finally:
            del self._inquiries[ticket]
            # Also if it has come to its end: who says last does not matter.
            self._send(Drop(torrent_id=ticket))
        return inquiry.best

    def take(self, event: Event) -> bool:
        """Return whether an event was an answer, after passing it on to whoever waits for it."""
        if not isinstance(event, Scraped | Rejected):
            return False
        if (inquiry := self._inquiries.get(event.torrent_id)) is None:
            return isinstance(event, Scraped)  # which nobody waits for any more
        if isinstance(event, Rejected):
            inquiry.over.set()
            return True
        if event.seeders is not None and event.leechers is not None:
            inquiry.best = (event.seeders, event.leechers)
        if event.pending == 0:
            inquiry.over.set()
        return True

    def give_up(self) -> None:
        """Let nobody wait any longer: there is no road any more."""
        for inquiry in self._inquiries.values():
            inquiry.over.set()
