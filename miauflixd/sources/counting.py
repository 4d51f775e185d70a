"""How many share what is listed, asked of trackers; each swarm in a rhythm of its own."""

import random
from collections.abc import Callable, Sequence

from miauflixd.runtime.clock import Clock
from miauflixd.runtime.priority import Priority
from miauflixd.sources.getting_ports import Swarms
from miauflixd.sources.listing_model import ListingId, NoListingError
from miauflixd.sources.listing_store import Count, Due
from miauflixd.sources.opening import magnet_of
from miauflixd.sources.rhythm import Counts, count_after_failure, count_again
from miauflixd.sources.service import Sources
from miauflixd.torrents.model import Swarm

_AT_ONCE = 50
"""Swarms in one go: what a tracker is asked in a few packets, and one transaction saves."""

_ROUNDS = 20
"""In one run, so that it ends: a thousand swarms, in ten minutes if no tracker answers."""

_WITHIN = 10.0
"""Seconds for the trackers of a swarm; UDP trackers are asked again after fifteen, in vain."""


class Counting:
    """Counts who shares what."""

    def __init__(
        self,
        *,
        sources: Sources,
        swarms: Swarms,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Take whom to ask; `chance` returns a number from 0 to 1."""
        self._sources = sources
        self._listings = sources.listings
        self._swarms = swarms
        self._clock = clock
        self._chance = chance

    async def count_due(self) -> None:
        """Count what is due, the most overdue first; of very much, a part.

        Raises:
            TunnelDownError: there is no way to any tracker; nothing is put off for that.
        """
        for _ in range(_ROUNDS):
            due = await self._listings.due(self._clock(), limit=_AT_ONCE)
            if not due:
                break
            await self._count(due)

    async def _count(self, due: Sequence[Due]) -> None:
        magnets = {one.id: magnet_of(one.offer) for one in due}
        # A link without a tracker has nobody to be asked: it waits ever longer for one.
        targets = [magnet for magnet in magnets.values() if magnet and magnet.trackers]
        swarms = await self._swarms.scrape(targets, within=_WITHIN, priority=Priority.ROUTINE)
        counts = []
        for one in due:
            magnet = magnets[one.id]
            hashes = magnet.hashes if magnet else ()
            swarm = next((swarms[each] for each in hashes if each in swarms), None)
            counts.append(self._counted(one, swarm))
        await self._listings.save_counts(counts, at=self._clock())
        for one, count in zip(due, counts, strict=True):
            await self._tell(one, count)

    def _counted(self, one: Due, swarm: Swarm | None) -> Count:
        if swarm is None:
            every = count_after_failure(before=one.every, chance=self._chance())
            return Count(id=one.id, seeders=None, leechers=None, every=every)
        old = None if one.seeders is None else Counts(one.seeders, one.leechers or 0)
        every = count_again(
            before=one.every,
            old=old,
            new=Counts(swarm.seeders, swarm.leechers),
            chance=self._chance(),
        )
        return Count(id=one.id, seeders=swarm.seeders, leechers=swarm.leechers, every=every)

    async def _tell(self, one: Due, count: Count) -> None:
        """Note a swarm that has died, or one that lives again."""
        if count.seeders is None:
            return
        if count.seeders == 0:
            # Twice in a row: somebody's machine may have been off.
            if count.leechers == 0 and one.seeders == 0 and one.every is not None:
                await self._sources.set_dead(one.id)
        elif one.seeders == 0:
            await self._revive(one.id)

    async def _revive(self, listing_id: ListingId) -> None:
        try:
            if (await self._listings.listing(listing_id)).state != "dead":
                return
        except NoListingError:
            return
        known = await self._listings.torrent(listing_id) is not None
        await self._listings.set_state(listing_id, "ready" if known else "magnet")
        await self._sources.told(listing_id)
