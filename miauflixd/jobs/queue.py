"""Work that waits, the most wanted first; it survives restarts."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Self

from miauflixd.database.database import Database
from miauflixd.jobs.ladder import LONGEST
from miauflixd.jobs.model import Wanted
from miauflixd.jobs.queue_store import Outcome, QueueStore, Turn
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.priority import Priority

LIMIT = 200_000
"""Items at most: more titles than a catalogue has, and 40 MB of the database."""

_AT_ONCE = 100
"""Items to add before others get their turn in the database's thread: ten milliseconds or less."""


class WorkQueue:
    """Items to be worked on; who puts them need not know who does it.

    An item is a short text that means something to its handler alone, and is in a queue once.
    """

    def __init__(self, name: str, *, store: QueueStore, clock: Clock) -> None:
        self.name = name
        self.stirred = asyncio.Event()
        """Set when there may be something to do that there was not before."""
        self._store = store
        self._clock = clock
        self._waiters: dict[str, set[asyncio.Future[bool]]] = {}

    @classmethod
    async def open(
        cls,
        name: str,
        *,
        database: Database,
        clock: Clock,
        limit: int = LIMIT,
        longest: timedelta = LONGEST,
        jitter: Callable[[], float] = random.random,
    ) -> Self:
        """Return the queue of this name, with what waits in it since the last time.

        Args:
            name: different from all others'.
            database: where it is kept.
            clock: the time of day, in UTC.
            limit: items at most; beyond it, what is wanted least is dropped.
            longest: after how long at most, and a bit by chance, what fails is tried again.
            jitter: makes a chance from 0 to 1.
        """
        store = QueueStore(
            database=database, queue=name, limit=limit, longest=longest, jitter=jitter
        )
        await store.take_over()
        await store.recall(clock())
        return cls(name, store=store, clock=clock)

    @property
    def length(self) -> int:
        """How many items there are, those in the works included."""
        return self._store.length

    async def put(self, wanted: Iterable[Wanted]) -> None:
        """Add these.

        What is there already gets the better of the two priorities, and the new weight. Put as
        routine while it is in the works, it is done once more: what it is about may have changed.
        What has failed keeps its place on its ladder, unless somebody waits for it.
        """
        everything = list(wanted)
        # Cancelled or not, what was handed to the database will have been added.
        with self.stirring():
            for start in range(0, len(everything), _AT_ONCE):
                some = everything[start : start + _AT_ONCE]
                self.dropped(await self._store.put(some, now=self._clock()))

    async def do(self, item: str, *, within: timedelta, weight: float = 0.0) -> bool:
        """Have this done before all else, and wait until it is.

        Returns:
            `False`: it failed, or what it needs does not answer; or it was not done in time, and
            goes on. There is no saying which: whoever waited shows what there is.
        """
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(item, set()).add(done)
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self.put([Wanted(item=item, priority=Priority.WAITED_FOR, weight=weight)])
                return await done
        except TimeoutError:
            return False
        finally:
            self._forget(item, done)

    async def demote(self, items: Sequence[str]) -> None:
        """Let these be routine that were on somebody's screen."""
        await self._store.demote(items)

    async def delete(self, items: Sequence[str]) -> None:
        """Let these not be done; one that is in the works is done to its end."""
        await self._store.delete(items)
        self.dropped(items)

    async def contains(self, item: str) -> bool:
        """Return whether this is still to be done."""
        return await self._store.contains(item)

    # --- for the timetable ------------------------------------------------------------------------

    async def turn(self, outcomes: Sequence[Outcome], *, claim: int, least: Priority) -> Turn:
        """Write what became of items, tell those who wait for them, and claim others."""
        turn = await self._store.turn(outcomes, claim=claim, least=least, now=self._clock())
        for outcome in outcomes:
            self._tell(outcome.item, done=outcome.kind == "done")
        return turn

    async def recall(self) -> None:
        """Make due what another clock has put off too far."""
        await self._store.recall(self._clock())

    async def forgive(self) -> None:
        """Make due what has failed, and waits for its time on the ladder."""
        await self._store.forgive(self._clock())

    def writing(self, wanted: Sequence[Wanted]) -> Callable[[], Sequence[str]]:
        """Return what adds these inside somebody else's transaction; see `stirring`, `dropped`."""
        now = self._clock()
        return lambda: self._store.put_within(wanted, now=now)

    @contextmanager
    def stirring(self) -> Iterator[None]:
        """Look anew after the block, however it ends."""
        try:
            yield
        except Exception:
            self._store.doubt()
            raise
        finally:
            self.stirred.set()

    def dropped(self, items: Sequence[str]) -> None:
        """Tell those who wait for these that they will not be done."""
        for item in items:
            self._tell(item, done=False)

    def _tell(self, item: str, *, done: bool) -> None:
        for waiter in self._waiters.get(item, ()):
            if not waiter.done():
                waiter.set_result(done)

    def _forget(self, item: str, waiter: asyncio.Future[bool]) -> None:
        self._waiters[item].discard(waiter)
        if not self._waiters[item]:
            del self._waiters[item]
