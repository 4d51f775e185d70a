"""The work of the sources: which of it is to be done when.

    search_sources        title by title: what is in lists, by age and popularity
       | the best few of which nobody knows what they hold
    fetch_torrents        listing by listing: what it holds, and which file is the title
    update_source_stats   how many share each, the steadier the less often
    resync_sources        nightly: what was left over, and what nobody has any more

Whoever opens a title has it searched for at once, by `sources.service`; it is then looked into by
`sources.preloading`, and by the night at the latest here.
"""

import zlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from miauflixd.auth.model import UserId
from miauflixd.catalogue.library import Library
from miauflixd.catalogue.model import Kind, NoTitleError, TitleId
from miauflixd.catalogue.watching import is_aired
from miauflixd.database.database import Database
from miauflixd.jobs.job import Job, QueueJob, Run
from miauflixd.jobs.model import Every, Rule, Wanted
from miauflixd.jobs.queue import WorkQueue
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.priority import Priority
from miauflixd.sources.counting import Counting
from miauflixd.sources.listing_model import ListingId, NothingToPlayError, Search
from miauflixd.sources.opening import Opening, UselessListingError
from miauflixd.sources.ranking import Preference
from miauflixd.sources.rhythm import search_again
from miauflixd.sources.service import Sources
from miauflixd.tunnel.errors import TunnelDownError

_LISTS_EVERY = timedelta(hours=1)
"""As often as lists are refreshed."""

_SWARMS = "swarms"
"""The only item of its queue, there for its time: when the next swarm is to be counted."""

_TOGETHER = timedelta(minutes=10)
"""Between two rounds of counting: what is found one by one is counted together."""

_OF_EACH_LIST = 100
"""Titles that are searched for; nobody scrolls further before somebody opens them."""

_EPISODES = 2
"""The latest of a show that are searched for, besides the first; packs bring the others."""

_SEARCH_FOR = 60.0
"""Seconds for all directories; what comes later is kept all the same."""

_LATE = timedelta(hours=1)
"""Until a search is looked at again that was not over by then."""

_BEST = 3
"""Listings of a title that are looked into: one to play, and two for when it does not."""

_METADATA_FOR = 30.0
"""Seconds for a swarm to say what it holds; most that say anything need five."""

_FORGOTTEN = timedelta(days=60)
"""After which what no directory offers and nobody has is forgotten: twice the longest time between
two searches."""

_PART = 500
_PARTS = 10
"""Listings that are looked through in one step, and steps in a night: some seconds of work; of a
hundred thousand, it takes three weeks to see all."""

Users = Callable[[], Awaitable[Sequence[UserId]]]


async def sources_work(
    *,
    sources: Sources,
    opening: Opening,
    counting: Counting,
    library: Library,
    users: Users,
    way_out: Callable[[], bool],
    database: Database,
    clock: Clock,
    nightly: Rule,
) -> Sequence[Job | QueueJob]:
    """Return the work of the sources, with what waits of it since the last time.

    Args:
        sources: where titles can be had.
        opening: finds out what a listing holds.
        counting: counts who shares it.
        library: what there is to watch.
        users: returns everybody of the household.
        way_out: whether directories and swarms can be reached at all.
        database: where the queues are kept.
        clock: the time of day.
        nightly: when hardly anybody watches.
    """
    searches = await WorkQueue.open("search_sources", database=database, clock=clock)
    fetches = await WorkQueue.open("fetch_torrents", database=database, clock=clock)
    counts = await WorkQueue.open("update_source_stats", database=database, clock=clock)
    work = _Work(
        sources=sources,
        opening=opening,
        counting=counting,
        library=library,
        users=users,
        way_out=way_out,
        searches=searches,
        fetches=fetches,
        counts=counts,
        clock=clock,
    )
    return (
        QueueJob(
            name="search_sources",
            summary="Ask directories where titles can be had",
            queue=searches,
            handler=work.search,
            within=timedelta(seconds=2 * _SEARCH_FOR),
            workers=2,
            rule=Every(_LISTS_EVERY),
            feed=work.whats_in_lists,
        ),
        QueueJob(
            name="fetch_torrents",
            summary="Find out what the best sources of a title hold",
            queue=fetches,
            handler=work.fetch,
            # A directory's turn may be long in coming.
            within=timedelta(minutes=3),
            workers=4,
        ),
        QueueJob(
            name="update_source_stats",
            summary="Ask trackers how many share each source",
            queue=counts,
            handler=work.count,
            within=timedelta(minutes=15),
        ),
        Job(
            name="resync_sources",
            summary="Look into sources that were left over, and forget those nobody has",
            rule=nightly,
            run=work.resync,
        ),
    )


class _Work:
    def __init__(
        self,
        *,
        sources: Sources,
        opening: Opening,
        counting: Counting,
        library: Library,
        users: Users,
        way_out: Callable[[], bool],
        searches: WorkQueue,
        fetches: WorkQueue,
        counts: WorkQueue,
        clock: Clock,
    ) -> None:
        self._sources = sources
        self._listings = sources.listings
        self._opening = opening
        self._counting = counting
        self._titles = library.titles
        self._lists = library.lists
        self._watching = library.watching
        self._users = users
        self._way_out = way_out
        self._searches = searches
        self._fetches = fetches
        self._counts = counts
        self._clock = clock
        self._popularity: dict[TitleId, float] = {}
        """From 0 to 1, of what is in lists."""

    # --- searching --------------------------------------------------------------------------------

    async def whats_in_lists(self, _run: Run) -> str | None:
        """Put what is in lists, and what people watch next, into the queue, each for its time."""
        await self._count_in_time()  # also what people have found
        if not self._sources.asking.directories:
            return "No directory is on"
        self._popularity = await self._wanted_titles()
        titles = [*self._popularity]
        searches = await self._listings.searches(titles)
        wanted = []
        for title_id in titles:
            last = searches.get(title_id)
            due = None if last is None else await self._due(title_id, last)
            wanted.append(self._wanted(title_id, due))
        await self._searches.put(wanted)
        return f"{len(titles)} titles"

    async def search(self, item: str, priority: Priority) -> None:
        """Search for one, unless somebody has lately, and have it searched for again in time."""
        title_id = TitleId.parse(item)
        last = await self._listings.search_of(title_id)
        if last is None or await self._due(title_id, last) <= self._clock():
            if not self._way_out():
                raise TunnelDownError("Directories cannot be asked without a way out")
            over = await self._sources.search(title_id, within=_SEARCH_FOR, priority=priority)
            last = await self._listings.search_of(title_id) if over else None
            await self._fetch_best(title_id)
            await self._count_in_time()
        due = self._clock() + _LATE if last is None else await self._due(title_id, last)
        await self._searches.put([self._wanted(title_id, due)])

    def _wanted(self, title_id: TitleId, due: datetime | None) -> Wanted:
        return Wanted(
            item=str(title_id), weight=self._popularity.get(title_id, 0.0), not_before=due
        )

    async def _due(self, title_id: TitleId, last: Search) -> datetime:
        title = await self._titles.particulars(title_id)
        return last.at + search_again(
            found=last.in_vain == 0,
            in_vain=last.in_vain,
            released=title.aired or title.released,
            today=self._clock().date(),
            popularity=self._popularity.get(title_id, 0.0),
            # The same for a title until its next search, whoever asks when that is.
            chance=zlib.crc32(f"{title_id} {last.at}".encode()) / 2**32,
        )

    async def _wanted_titles(self) -> dict[TitleId, float]:
        """Return what to search for, and how popular it is."""
        wanted: dict[TitleId, float] = {}
        for user_id in await self._users():
            for title_id in await self._watching.next_up(user_id, _OF_EACH_LIST):
                wanted[title_id] = 1.0
            for progress in await self._watching.continue_watching(user_id, _OF_EACH_LIST):
                wanted[progress.title_id] = 1.0
        today = self._clock().date()
        for ids in await self._lists.all_beginnings(_OF_EACH_LIST):
            for place, title_id in enumerate(ids):
                popularity = 1 - place / _OF_EACH_LIST
                if title_id.kind is Kind.SHOW:
                    steps = await self._titles.outline(title_id)
                    aired = [one for one in steps if one.season and is_aired(one, today)]
                    found = [one.id for one in (*aired[:1], *aired[-_EPISODES:])]
                else:
                    found = [title_id]
                for each in found:
                    wanted[each] = max(wanted.get(each, 0.0), popularity)
        return wanted

    # --- looking into what was found --------------------------------------------------------------

    async def fetch(self, item: str, priority: Priority) -> None:
        """Find out what a listing holds; where that is nothing to play, see to the next."""
        listing_id = ListingId(item)
        listing = await self._listings.listing(listing_id)
        if listing.state == "dead":
            return
        parts = await self._listings.parts(listing_id)
        try:
            await self._opening.open(listing_id, priority=priority, within=_METADATA_FOR)
        except UselessListingError:
            for part in parts:
                await self._fetch_best(part.title_id)

    async def _fetch_best(self, title_id: TitleId) -> None:
        """Have the best few of a title looked into, for anybody."""
        seen: list[ListingId] = []
        wanted = []
        popularity = self._popularity.get(title_id, 0.0)
        try:
            for place in range(_BEST):
                chosen = await self._sources.best(title_id, Preference(), not_these=seen)
                seen.append(chosen.listing.id)
                if chosen.file is None:
                    weight = popularity - place / _BEST
                    wanted.append(Wanted(item=chosen.listing.id, weight=weight))
        except (NothingToPlayError, NoTitleError):
            pass  # there are no more
        await self._fetches.put(wanted)

    # --- counting ---------------------------------------------------------------------------------

    async def count(self, _item: str, _priority: Priority) -> None:
        """Count what is due, and see to the next round."""
        await self._counting.count_due()
        await self._count_in_time()

    async def _count_in_time(self) -> None:
        due = await self._listings.next_due()
        if due is not None:
            soonest = self._clock() + _TOGETHER
            await self._counts.put([Wanted(item=_SWARMS, not_before=max(due, soonest))])

    # --- once a night -----------------------------------------------------------------------------

    async def resync(self, run: Run) -> str | None:
        """Look for what was never looked into, and forget what nobody has."""
        after = 0 if run.cursor is None else msgspec.json.decode(run.cursor, type=int)
        titles: dict[TitleId, None] = {}
        for _ in range(_PARTS):
            found, following = await self._listings.unopened(after=after, limit=_PART)
            titles |= dict.fromkeys(title_id for _, title_id in found)
            after = following or 0
            if following is None:
                break
        for title_id in titles:
            await self._fetch_best(title_id)
        await run.checkpoint(msgspec.json.encode(after))
        forgotten = 0
        before = self._clock() - _FORGOTTEN
        for _ in range(_PARTS):
            gone = await self._listings.unseen(before=before, limit=_PART)
            for listing_id in gone:
                await self._sources.remove(listing_id)
            forgotten += len(gone)
            if len(gone) < _PART:
                break
        return f"{len(titles)} titles looked through, {forgotten} sources forgotten"
