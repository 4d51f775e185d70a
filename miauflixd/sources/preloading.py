"""Getting ready what is on people's screens, before anybody presses play.

Clients say what they show; `preload_plan` says what to do about it; this does it, and gives up what
nobody looks at any more. Nothing is begun while somebody's stream waits for its data, and what is
under way then waits in the engine (`torrents.preloading`).
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from miauflixd.auth.model import UserId
from miauflixd.catalogue.model import TitleId
from miauflixd.errors import MiauflixdError, NotFoundError, TimedOutError
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.priority import Priority
from miauflixd.sources import preload_plan
from miauflixd.sources.choosing import Chosen
from miauflixd.sources.getting_ports import PreloadNotes, Stock, Watched
from miauflixd.sources.listing_model import ListingId, NothingToPlayError
from miauflixd.sources.opening import Opening, UnopenedError
from miauflixd.sources.preload_plan import (
    Errand,
    Held,
    Nearness,
    Onlooker,
    Sight,
    Span,
    Standing,
    Viewport,
)
from miauflixd.sources.service import Sources
from miauflixd.torrents.model import NoSourceError, SourceId

logger = logging.getLogger(__name__)

_CLIENTS = 50
"""Viewports that are remembered; a house has fewer screens. The one that was silent longest goes
first."""

_WITHIN: Mapping[preload_plan.Step, float] = {"search": 10.0, "open": 50.0, "warm": 90.0}
"""Seconds for a step; after that another title has its turn."""

_ATTEMPTS = 4
"""Listings of a title of which one tries to find out what they hold."""

_PATIENCE = 15.0
"""Seconds for a swarm to say what it holds: most that say anything need five."""

_HUNGER = 2.0
"""Seconds between looks at whether a stream that waits for its data has got it."""

_RANKS: Mapping[Nearness, int] = {
    Nearness.FOCUSED: 4,
    Nearness.ADJACENT: 3,
    Nearness.VISIBLE: 2,
    Nearness.NEAR: 1,
}


@dataclass(kw_only=True, slots=True)
class _Warm:
    source_id: SourceId
    spans: tuple[Span, ...]
    rank: int


class Preloading:
    """What people see is got ready."""

    def __init__(
        self,
        *,
        sources: Sources,
        opening: Opening,
        stock: Stock,
        watched: Watched,
        notes: PreloadNotes,
        clock: Clock,
    ) -> None:
        """Begin with nobody looking at anything; `run` does the work.

        Args:
            sources: knows where titles can be had.
            opening: finds out what a listing holds, and makes sources.
            stock: the sources; has parts of them fetched.
            watched: knows where somebody has stopped.
            notes: remembers what was fetched.
            clock: the time of day.
        """
        self._sources = sources
        self._opening = opening
        self._stock = stock
        self._watched = watched
        self._notes = notes
        self._clock = clock
        self._viewports: dict[str, Viewport] = {}
        """By client, the one that spoke last comes last."""
        self._standings: dict[TitleId, Standing] = {}
        self._errands: dict[Errand, asyncio.Task[None]] = {}
        self._warm: dict[TitleId, _Warm] = {}
        """What the engine fetches, or has fetched, for what is on a screen."""
        self._held: dict[SourceId, Held] = {}
        self._room = asyncio.Lock()
        """Held while something is removed to make room, so that no two count on the same."""
        self._stirred = asyncio.Event()

    def see(self, client: str, viewer: Onlooker, items: Mapping[TitleId, Nearness]) -> None:
        """Take what a client shows from now on, in place of what it showed before.

        Args:
            client: tells it from others.
            viewer: who looks at it.
            items: movies and episodes, in the order in which they stand there; none: it shows
                nothing any more.
        """
        self._viewports.pop(client, None)
        if items:
            viewport = Viewport(viewer=viewer, items=dict(items), at=_now())
            self._viewports[client] = viewport
            while len(self._viewports) > _CLIENTS:
                del self._viewports[next(iter(self._viewports))]
        self._stirred.set()

    async def played(self, source_id: SourceId) -> None:
        """Note that somebody plays a source: from now on it is theirs, and not ours to remove."""
        if self._held.pop(source_id, None) is not None:
            await self._notes.remove(source_id)

    @property
    def clients(self) -> int:
        """How many show something, or did so lately."""
        return len(self._viewports)

    def is_ready(self, title_id: TitleId) -> bool:
        """Whether the first seconds of a title that is on a screen are here."""
        return "warm" in self._standings.get(title_id, Standing()).done

    async def run(self) -> None:
        """Get things ready until cancelled."""
        for source_id, size in (await self._notes.all()).items():
            self._held[source_id] = Held(source_id=source_id, size=size, title_id=None)
        async with asyncio.TaskGroup() as group:
            while True:
                self._stirred.clear()
                within = self._act(group)
                try:
                    async with asyncio.timeout(within):
                        await self._stirred.wait()
                except TimeoutError:
                    pass

    # --- deciding ---------------------------------------------------------------------------------

    def _act(self, group: asyncio.TaskGroup) -> float | None:
        """Begin and give up what the plan says, and return in how many seconds to look again."""
        now = _now()
        self._forget(now)
        sights = preload_plan.in_sight(self._viewports.values(), now=now)
        for title_id in [title_id for title_id in self._warm if title_id not in sights]:
            self._let_go(title_id)
        for title_id, warm in self._warm.items():
            if warm.rank != (rank := _RANKS[sights[title_id].nearness]):
                warm.rank = rank
                group.create_task(self._fetch(warm.source_id), name="fetching in another order")
        errands = preload_plan.plan(sights, self._standings, now=now)
        for errand, task in self._errands.items():
            if errand not in errands:
                task.cancel()
        look = preload_plan.next_look(self._viewports.values(), sights, self._standings, now=now)
        if errands and self._stock.hungry:
            return min(_HUNGER, look or _HUNGER)
        for errand in errands:
            if errand not in self._errands:
                self._begin(errand, sights[errand.title_id], group)
        return look

    def _forget(self, now: float) -> None:
        """Forget who has been silent for long, and what of titles is of no use any more."""
        for client, viewport in list(self._viewports.items()):
            if now - viewport.at >= preload_plan.FORGOTTEN_AFTER:
                del self._viewports[client]
        shown = {title_id for one in self._viewports.values() for title_id in one.items}
        self._standings = {
            title_id: standing
            for title_id, standing in self._standings.items()
            # What has failed rests, however often somebody looks away and back again.
            if title_id in shown or standing.rests_until > now
        }

    def _begin(self, errand: Errand, sight: Sight, group: asyncio.TaskGroup) -> None:
        task = group.create_task(self._run_errand(errand, sight), name=f"{errand.step} ahead")
        self._errands[errand] = task

        def over(_task: asyncio.Task[None]) -> None:
            del self._errands[errand]
            self._stirred.set()

        # Not by the task itself: one that is cancelled before its first step does nothing.
        task.add_done_callback(over)

    async def _run_errand(self, errand: Errand, sight: Sight) -> None:
        standing = self._standings.get(errand.title_id, Standing())
        try:
            async with asyncio.timeout(_WITHIN[errand.step]):
                match errand.step:
                    case "search":
                        await self._search(errand.title_id, sight)
                    case "open":
                        await self._open(errand.title_id, sight)
                    case "warm":
                        await self._warm_up(errand.title_id, sight)
            standing = replace(standing, done=standing.done | {errand.step})
        except (MiauflixdError, TimeoutError) as error:
            logger.debug("A title is not got ready: %s, %s", errand.step, type(error).__name__)
            standing = replace(standing, rests_until=_now() + preload_plan.RESTS)
        self._standings[errand.title_id] = standing

    # --- doing ------------------------------------------------------------------------------------

    async def _search(self, title_id: TitleId, sight: Sight) -> None:
        """Ask directories, unless something is known already."""
        try:
            await self._sources.best(title_id, sight.viewer.preference)
        except NothingToPlayError:
            await self._sources.freshen(
                title_id, within=_WITHIN["search"], priority=Priority.ON_SCREEN
            )

    async def _open(self, title_id: TitleId, sight: Sight) -> Chosen:
        """Find out what the likely source holds; of one where nobody can say, the next best."""
        closed: list[ListingId] = []
        for _ in range(_ATTEMPTS):
            chosen = await self._sources.best(title_id, sight.viewer.preference, not_these=closed)
            if chosen.file is not None:
                return chosen
            try:
                await self._opening.open(
                    chosen.listing.id, priority=Priority.ON_SCREEN, within=_PATIENCE
                )
            except NotFoundError:
                continue  # it was useless, and is so for everybody from now on
            except UnopenedError:
                closed.append(chosen.listing.id)
        raise NotGotReadyError("Nobody says of any what it holds")

    async def _warm_up(self, title_id: TitleId, sight: Sight) -> None:
        chosen = await self._open(title_id, sight)
        listing = chosen.listing
        source_id = await self._opening.source_of(listing.id, wake=False)
        resume_at = await self._resume(sight.viewer.user_id, title_id)
        spans, size = self._spans(chosen, source_id, resume_at=resume_at)
        if listing.source_id != source_id or source_id in self._held:
            await self._hold(Held(source_id=source_id, size=size, title_id=title_id))
        warm = _Warm(source_id=source_id, spans=tuple(spans), rank=_RANKS[sight.nearness])
        self._warm[title_id] = warm
        try:
            async with self._stock.changes() as changes:
                await self._fetch(source_id)
                if not self._stock.preloaded(source_id):
                    async for changed in changes:
                        if changed == source_id and self._stock.preloaded(source_id):
                            break
        except BaseException:
            self._let_go(title_id)
            raise

    def _spans(
        self, chosen: Chosen, source_id: SourceId, *, resume_at: float | None
    ) -> tuple[Sequence[Span], int]:
        """Return what to fetch, and how many bytes that costs."""
        if chosen.file is None:
            raise NotGotReadyError("Nobody knows what it holds")
        index = chosen.file.index
        if not chosen.listing.needs_swarm:
            size = chosen.listing.offer.web_files[index].size
            return preload_plan.spans_of_web_file(index, size, resume_at=resume_at)
        layout = self._stock.source(source_id).layout
        if layout is None:
            raise NotGotReadyError("Nobody knows what it holds")
        spans = preload_plan.spans(layout.file(index), resume_at=resume_at)
        return preload_plan.within_bounds(layout, spans)

    async def _fetch(self, source_id: SourceId) -> None:
        """Have fetched what is wanted of a source: of a season, perhaps of several episodes."""
        wanted = [one for one in self._warm.values() if one.source_id == source_id]
        wanted.sort(key=lambda one: -one.rank)
        spans = [span for one in wanted for span in one.spans]
        if wanted:
            with suppress(NoSourceError):  # it was removed this moment
                await self._stock.preload(source_id, spans, rank=wanted[0].rank)

    def _let_go(self, title_id: TitleId) -> None:
        """Want nothing of a title any more; its source may be wanted for another episode."""
        warm = self._warm.pop(title_id, None)
        if warm is not None and all(
            other.source_id != warm.source_id for other in self._warm.values()
        ):
            self._stock.stop_preload(warm.source_id)

    async def _resume(self, user_id: UserId, title_id: TitleId) -> float | None:
        progress = (await self._watched.progress(user_id, [title_id])).get(title_id)
        if progress is None or progress.position <= 0 or progress.duration <= 0:
            return None
        return progress.position / progress.duration

    async def _hold(self, held: Held) -> None:
        """Make room for what is to be fetched, and remember it."""
        async with self._room:
            others = [one for one in self._held.values() if one.source_id != held.source_id]
            sights = preload_plan.in_sight(self._viewports.values(), now=_now())
            going = preload_plan.too_much(others, sights.keys(), more=held.size)
            if going is None:
                raise NotGotReadyError("There is enough on the disk that nobody has played")
            for source_id in going:
                await self._remove(source_id)
            self._held[held.source_id] = held
            await self._notes.add(held.source_id, held.size, at=self._clock())

    async def _remove(self, source_id: SourceId) -> None:
        del self._held[source_id]
        await self._notes.remove(source_id)
        try:
            if self._stock.source(source_id).readers == 0:
                await self._stock.remove(source_id)
        except NoSourceError:
            pass


class NotGotReadyError(TimedOutError):
    """A title is not got ready any further, for want of a reason or of a way to."""

    code = "not_got_ready"


def _now() -> float:
    return asyncio.get_running_loop().time()
