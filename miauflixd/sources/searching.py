"""Searching for a title: ask all directories, keep what fits, and tell as it comes.

There is one search for a title at a time, whoever wants it; but one that somebody waits for does
not stand in line behind one that nobody does.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from miauflixd.catalogue.model import Kind, Particulars, TitleId
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.priority import Priority
from miauflixd.sources.asking import Answers, Asking, Enquiry, NotAskingError, Report
from miauflixd.sources.availability import Availability
from miauflixd.sources.fitting import Sought, match, promising_first
from miauflixd.sources.listing_model import Found, NotPlayableError, Search
from miauflixd.sources.listing_store import ListingStore
from miauflixd.sources.matching import Refusal
from miauflixd.sources.offers import Offer

_log = logging.getLogger(__name__)

_MOST = 400
"""Offers that fit after which a search has enough. Nobody scrolls so far, and each has a place in
the database."""

_AT_ONCE = 50
"""Offers that are read, kept and told of together: 30 ms, when they are new."""

_BY_HAND = 5
"""Offers that are read in passing; more take longer than an answer to somebody else may wait, and
go into a thread."""

_REMEMBERED = 200
"""Searches of which is still known how each directory did; for whoever wonders what is missing."""

_ELSEWHERE = "It is known to be of another title"


class _Search:
    """One search, while it lasts."""

    def __init__(self, title: Particulars, priority: Priority) -> None:
        self.title = title
        self.priority = priority
        self.over = asyncio.Event()
        self.enquiries: Sequence[Enquiry] = ()
        self.seen: set[Offer] = set()
        self.found: set[object] = set()
        self.refused: dict[object, str] = {}
        self.one_at_a_time = asyncio.Lock()

    def reports(self) -> tuple[Report, ...]:
        """Return what became of it at each directory, the worse of two questions."""
        worst: dict[str, Report] = {}
        for enquiry in self.enquiries:
            for report in enquiry.answers().reports:
                known = worst.get(report.directory)
                if known is None or known.outcome == "answered":
                    worst[report.directory] = report
        return tuple(worst.values())


class Searching:
    """The service that searches for titles."""

    def __init__(
        self,
        *,
        titles: TitleStore,
        asking: Asking,
        listings: ListingStore,
        availability: Availability,
        clock: Clock,
    ) -> None:
        self._titles = titles
        self._asking = asking
        self._listings = listings
        self._availability = availability
        self._clock = clock
        self._under_way: dict[TitleId, _Search] = {}
        self._over: dict[TitleId, Sequence[Report]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Be there for searches until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                await asyncio.Event().wait()
            finally:
                self._group = None  # at once: a group that ends takes no more tasks

    async def search(self, title_id: TitleId, *, within: float, priority: Priority) -> bool:
        """Search for a movie or an episode; return when that is done, or after so many seconds.

        What comes later is kept and told all the same.

        Returns:
            Whether it is done.

        Raises:
            NoTitleError: there is no such title.
            NotPlayableError: it is a show.
            NotAskingError: the service is not running.
        """
        if title_id.kind is Kind.SHOW:
            raise NotPlayableError("A show is searched for episode by episode")
        title = await self._titles.particulars(title_id)
        if self._group is None:
            raise NotAskingError("Directories are not asked now")
        search = self._under_way.get(title.id)
        if search is None or search.priority > priority:
            search = self._under_way[title.id] = _Search(title, priority)
            self._group.create_task(self._carry_out(search), name=f"searching for {title.id}")
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await search.over.wait()
        return search.over.is_set()

    def is_under_way(self, title_id: TitleId) -> bool:
        """Whether a title is being searched for."""
        return title_id in self._under_way

    def reports(self, title_id: TitleId) -> Sequence[Report]:
        """Return how directories do in the search that is under way, or did in the last one.

        None of a title that was not searched for lately.
        """
        search = self._under_way.get(title_id)
        return self._over.get(title_id, ()) if search is None else search.reports()

    async def _carry_out(self, search: _Search) -> None:
        title = search.title
        try:
            mates: tuple[Particulars, ...] = ()
            if title.show is not None:
                mates = tuple(await self._titles.season_mates(title.id))
            sought = Sought(title=title, mates=mates)
            search.enquiries = [
                self._asking.ask(query, priority=search.priority) for query in sought.queries()
            ]
            async with asyncio.TaskGroup() as group:
                for enquiry in search.enquiries:
                    group.create_task(self._follow(search, enquiry, sought))
            await self._conclude(search)
        except* MiauflixdError as errors:
            # Nobody may be waiting any more; the next search will find it out again.
            _log.warning("A search did not come to its end: %s", _first(errors))
        except* Exception:  # noqa: BLE001 -- the edge to what strangers call things: one must not end the service
            _log.exception("A search met something unforeseen")
        finally:
            if self._under_way.get(title.id) is search:
                del self._under_way[title.id]
            self._over.pop(title.id, None)
            self._over[title.id] = search.reports()
            if len(self._over) > _REMEMBERED:
                del self._over[next(iter(self._over))]
            search.over.set()
            self._availability.tell(title.id)

    async def _follow(self, search: _Search, enquiry: Enquiry, sought: Sought) -> None:
        async for answers in enquiry.progress():
            async with search.one_at_a_time:
                await self._take(search, answers, sought)

    async def _take(self, search: _Search, answers: Answers, sought: Sought) -> None:
        """Keep what is new in some answers and fits, the most promising first."""
        new = promising_first(offer for offer in answers.offers if offer not in search.seen)
        search.seen.update(new)
        for start in range(0, len(new), _AT_ONCE):
            if len(search.found) >= _MOST:
                return
            await self._keep(search, new[start : start + _AT_ONCE], sought)

    async def _keep(self, search: _Search, offers: Sequence[Offer], sought: Sought) -> None:
        if len(offers) > _BY_HAND:
            matched = await asyncio.to_thread(_matched, offers, sought)
        else:
            matched = _matched(offers, sought)
        found = []
        for offer, verdict in zip(offers, matched, strict=True):
            if isinstance(verdict, Refusal):
                search.refused[_same(offer)] = verdict.reason
            else:
                found.append(verdict)
        if not found:
            return
        saved = await self._listings.save(found, at=self._clock())
        for one, listing_id in zip(found, saved.ids, strict=True):
            if listing_id is None:
                search.refused[_same(one.offer)] = _ELSEWHERE
            else:
                search.refused.pop(_same(one.offer), None)
                search.found.add(_same(one.offer))
        await self._availability.update(saved.gained | saved.lost | {sought.title.id})

    async def _conclude(self, search: _Search) -> None:
        title = search.title.id
        before = await self._listings.search_of(title)
        in_vain = 0
        if title not in await self._listings.playable([title]):
            in_vain = 1 + (before.in_vain if before is not None else 0)
        refused: dict[str, int] = {}
        for reason in search.refused.values():
            refused[reason] = refused.get(reason, 0) + 1
        await self._listings.note_search(
            title,
            Search(
                at=self._clock(),
                found=len(search.found),
                in_vain=in_vain,
                complete=all(report.outcome == "answered" for report in search.reports()),
                refused=refused,
            ),
        )


def _matched(offers: Sequence[Offer], sought: Sought) -> Sequence[Found | Refusal]:
    return [match(offer, sought) for offer in offers]


def _same(offer: Offer) -> object:
    """Return what an offer is counted by, however often it comes with more in it."""
    return offer.info_hash or (offer.directory, offer.name, offer.size)


def _first(errors: BaseExceptionGroup[MiauflixdError]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
