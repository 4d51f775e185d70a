"""The work of the catalogue: which of it is to be done when.

    refresh_lists            hourly, list by list: a broken one spoils no other
       | what little is known of
    sync_movies, sync_shows  title by title; every 90 minutes what has changed elsewhere
       | seasons whose episodes are not known
    sync_incomplete_seasons  season by season

    sync_trakt               hourly, person by person; what little is known of goes the same way

Whoever opens a title puts it into the same queues, before all else.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import msgspec

from miauflixd.catalogue.library import Library
from miauflixd.catalogue.model import Kind, ListSlug, NoTitleError, TitleId
from miauflixd.database.database import Database
from miauflixd.jobs.job import Job, QueueJob, Run
from miauflixd.jobs.ladder import LONGEST
from miauflixd.jobs.model import Every, Wanted
from miauflixd.jobs.queue import WorkQueue
from miauflixd.jobs.trakt import TraktWork
from miauflixd.jobs.upkeep import Part
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.priority import Priority

_LISTS_EVERY = timedelta(hours=1)
_CHANGES_EVERY = timedelta(minutes=90)

_LATER = timedelta(minutes=30)
"""Between titles that stand far down in a list. Nobody scrolls there within the hour; and these two
an hour, with the six pages of a list, are ten requests at most."""

_FURTHEST = timedelta(days=14)
"""How far back TMDB's change feeds go; what changed before is noticed when it changes again."""

_FIRST_DAY = date(2026, 1, 1)
"""None of this was there before: whose clock shows less has not set it yet, as a Raspberry Pi has
not when it boots."""

_FOR_A_LIST = timedelta(minutes=5)
_FOR_A_TITLE = timedelta(minutes=1)
"""Twice as long as three attempts of 15 s and the pauses between them."""

_AT_ONCE = 8
"""Titles at a time: with 0.2 s each, that is TMDB's pace."""


class _Place(msgspec.Struct, frozen=True):
    """How far a change feed has been read."""

    day: date
    page: int
    """The next one of that day."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueWork:
    """The jobs, and the errands that people send them on."""

    jobs: Sequence[Job | QueueJob]
    errands: "Errands"
    parts: Sequence[Part]
    """What is to be cleaned up of it."""


class Errands:
    """Has something done before all else."""

    def __init__(self, *, queues: "_Queues") -> None:
        self._queues = queues

    async def fetch_title(self, title_id: TitleId, *, within: float) -> None:
        """Have a title looked up next; return when it is done, or after so many seconds."""
        await self._queues.of(title_id.kind).do(str(title_id), within=timedelta(seconds=within))

    async def fetch_season(self, show: TitleId, number: int, *, within: float) -> None:
        """Have a season looked up next; return when it is done, or after so many seconds."""
        item = _season_item(show, number)
        await self._queues.seasons.do(item, within=timedelta(seconds=within))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Queues:
    lists: WorkQueue
    movies: WorkQueue
    shows: WorkQueue
    seasons: WorkQueue

    def of(self, kind: Kind) -> WorkQueue:
        return self.movies if kind is Kind.MOVIE else self.shows


async def catalogue_work(*, library: Library, database: Database, clock: Clock) -> CatalogueWork:
    """Return the work of the catalogue, with what waits of it since the last time."""

    async def queue(name: str, *, longest: timedelta = LONGEST) -> WorkQueue:
        return await WorkQueue.open(name, database=database, clock=clock, longest=longest)

    queues = _Queues(
        # What is wanted hourly is tried hourly, however long it has failed.
        lists=await queue("lists", longest=_LISTS_EVERY),
        movies=await queue("movies"),
        shows=await queue("shows"),
        seasons=await queue("seasons"),
    )
    work = _Work(library=library, queues=queues, clock=clock)
    trakt = TraktWork(
        library=library, queues={kind: queues.of(kind) for kind in (Kind.MOVIE, Kind.SHOW)}
    )
    return CatalogueWork(
        jobs=(
            QueueJob(
                name="refresh_lists",
                summary="Ask the providers what is in their lists",
                queue=queues.lists,
                handler=work.refresh_list,
                within=_FOR_A_LIST,
                workers=2,
                rule=Every(_LISTS_EVERY),
                feed=work.all_lists,
            ),
            *(
                QueueJob(
                    name=f"sync_{kind.value}s",
                    summary=f"Learn all about {kind.value}s that are new here or have changed",
                    queue=queues.of(kind),
                    handler=work.title,
                    within=_FOR_A_TITLE,
                    workers=_AT_ONCE,
                    rule=Every(_CHANGES_EVERY),
                    feed=work.changes_of(kind),
                )
                for kind in (Kind.MOVIE, Kind.SHOW)
            ),
            QueueJob(
                name="sync_incomplete_seasons",
                summary="Learn which episodes a season has",
                queue=queues.seasons,
                handler=work.season,
                within=_FOR_A_TITLE,
                workers=_AT_ONCE // 2,
            ),
            Job(
                name="sync_trakt",
                summary="Ask Trakt what is in people's own lists, and what they have seen",
                rule=Every(_LISTS_EVERY),
                run=trakt.run,
            ),
        ),
        errands=Errands(queues=queues),
        parts=(
            Part(name="titles that nobody wanted", run=work.forget),
            Part(name="images that had to make room", run=library.artwork.tidy),
        ),
    )


class _Work:
    def __init__(self, *, library: Library, queues: _Queues, clock: Clock) -> None:
        self._syncing = library.syncing
        self._forgetting = library.forgetting
        self._queues = queues
        self._clock = clock

    # --- lists ------------------------------------------------------------------------------------

    async def all_lists(self, _run: Run) -> str | None:
        """Put every list into its queue, the first to be shown before the others."""
        slugs = await self._syncing.current_lists()
        await self._queues.lists.put(
            Wanted(item=slug, weight=1 - place / len(slugs)) for place, slug in enumerate(slugs)
        )
        # Behind the lists, which are not to wait for somebody who does not answer.
        await self._syncing.name_genres()
        return f"{len(slugs)} lists" if slugs else "No provider is on"

    async def refresh_list(self, item: str, _priority: Priority) -> None:
        """Refresh one, and put what little is known of into the queues."""
        refreshed = await self._syncing.refresh(ListSlug(item))
        now = self._clock()
        wanted = [
            *((title, weight, None) for title, weight in refreshed.incomplete),
            *(
                (title, weight, now + _LATER * place)
                for place, (title, weight) in enumerate(refreshed.later, start=1)
            ),
        ]
        for kind in (Kind.MOVIE, Kind.SHOW):
            await self._queues.of(kind).put(
                # Another list has it too, as a rule: no reason to ask twice.
                Wanted(item=str(title), weight=weight, not_before=moment, again=False)
                for title, weight, moment in wanted
                if title.kind is kind
            )

    # --- titles -----------------------------------------------------------------------------------

    async def title(self, item: str, priority: Priority) -> None:
        """Learn all about one, and put its seasons into their queue."""
        title_id = TitleId.parse(item)
        seasons = await self._syncing.details(title_id, priority=priority)
        await self._queues.seasons.put(
            Wanted(
                item=_season_item(title_id, number),
                # Whoever has opened it looks at its seasons next.
                priority=max(priority, Priority.ON_SCREEN),
                # The specials last.
                weight=1 / number if number else 0.0,
            )
            for number in seasons
        )

    def changes_of(self, kind: Kind) -> Callable[[Run], Awaitable[str | None]]:
        """Return what reads a change feed on from where it was."""

        async def changes(run: Run) -> str | None:
            if not self._syncing.has_series:
                return None
            return await self._read_changes(kind, run)

        return changes

    async def _read_changes(self, kind: Kind, run: Run) -> str:
        today = self._clock().date()
        if today < _FIRST_DAY:
            return "Nobody has set the clock yet"
        place = _place(run.cursor, today)
        found = 0
        while place.day <= today:
            changed = await self._syncing.changes(kind, day=place.day, page=place.page)
            found += len(changed.titles)
            is_last = place.page >= changed.pages
            is_over = is_last and place.day == today
            if is_over:
                place = _Place(today, 1)  # more will come of this day
            elif is_last:
                place = _Place(place.day + timedelta(days=1), 1)
            else:
                place = _Place(place.day, place.page + 1)
            wanted = [Wanted(item=str(title)) for title in changed.titles]
            await run.checkpoint(msgspec.json.encode(place), {self._queues.of(kind): wanted})
            if is_over:
                break
        return f"{found} have changed"

    async def forget(self) -> int:
        """Forget what nobody wants, also in the queues, and return how much that was."""
        forgotten = await self._forgetting.run()
        for kind in (Kind.MOVIE, Kind.SHOW):
            await self._queues.of(kind).delete([str(one) for one in forgotten if one.kind is kind])
        return len(forgotten)

    # --- seasons ----------------------------------------------------------------------------------

    async def season(self, item: str, priority: Priority) -> None:
        """Learn which episodes one has."""
        show, number = _season_of(item)
        await self._syncing.season(show, number, priority=priority)


def _place(cursor: bytes | None, today: date) -> _Place:
    """Return where to read on.

    Today at the very first time, when all is new. Never further back than is possible, and as far
    as that if what was read before was read by another clock.
    """
    furthest = _Place(today - _FURTHEST + timedelta(days=1), 1)
    if cursor is None:
        return _Place(today, 1)
    try:
        place = msgspec.json.decode(cursor, type=_Place)
    except msgspec.MsgspecError:  # of another version
        return furthest
    return place if furthest.day <= place.day <= today else furthest


def _season_item(show: TitleId, number: int) -> str:
    return f"{show}/{number}"


def _season_of(item: str) -> tuple[TitleId, int]:
    show, _, number = item.partition("/")
    if not number.isdecimal():
        raise NoTitleError("There is no such season")
    return TitleId.parse(show), int(number)
