"""What waits to be done, in the database; rows never leave here.

    put -> WAITS --(its time has come)--> READY --(claimed)--> IN THE WORKS --(done)--> gone
             ^                              ^                     |     |
             |                              +---(released)--------+     |
             +------------------------------------(failed)--------------+

An item that is claimed is at once written down as if it had failed, so that a process which is
killed in the middle of it has neither lost it nor kept it: the next one finds it waiting, on the
rung of its ladder. An item that kills the process does not get to do so all the time.

Each step is one transaction and looks at as many rows as it changes, through an index, however
long the queue is; `tests/test_work_queue.py` asks SQLite whether it does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from miauflixd.database.database import Database
from miauflixd.jobs.ladder import JITTER, LONGEST, wait_after
from miauflixd.jobs.model import MOST_AHEAD, Wanted
from miauflixd.jobs.moments import from_number, to_number
from miauflixd.runtime.priority import Priority

T = TypeVar("T")

_WAITS, _READY, _WORKED = 0, 1, 2

_AT_ONCE = 100
"""Rows to make ready in one step: what comes next is found within five milliseconds even when a
hundred thousand come due at once."""

_FOR_SHORT = 100
"""Characters of an error's code; ours have twenty, and a stranger's exception has no say."""

FIND = "SELECT id, not_before FROM work WHERE queue = ? AND item = ?"
# The numbers: `stage` as above, `priority` as in `Priority`.
READY = (
    "SELECT id, item, priority, attempts FROM work "
    "WHERE queue = ? AND stage = 1 AND priority <= ? "
    "ORDER BY priority, weight DESC, id LIMIT ?"
)
DUE = (
    "SELECT id FROM work WHERE queue = ? AND stage = 0 AND not_before <= ? "
    "ORDER BY not_before LIMIT ?"
)
SOONEST = "SELECT min(not_before) FROM work WHERE queue = ? AND stage = 0"
LEAST_WANTED = (
    "SELECT id, item, priority, weight FROM work WHERE queue = ? AND stage = ? AND priority > 0 "
    "ORDER BY priority DESC, weight, id DESC LIMIT ?"
)

_ATTEMPTS = "SELECT attempts FROM work WHERE queue = ? AND item = ? AND stage = 2"
_DONE = "DELETE FROM work WHERE queue = ? AND item = ? AND stage = 2 AND again_at IS NULL"
_ONCE_MORE = (
    "UPDATE work SET stage = 0, not_before = again_at, again_at = NULL, attempts = 0, "
    "error = NULL, priority = 2 WHERE queue = ? AND item = ? AND stage = 2"
)
# Whoever waited for it has been told.
_FAILED = (
    "UPDATE work SET stage = 0, again_at = NULL, error = ?3, not_before = ?4, "
    "priority = CASE priority WHEN 0 THEN 2 ELSE priority END "
    "WHERE queue = ?1 AND item = ?2 AND stage = 2"
)
# Not waited for any more either: what is tried in spite of a rest is tried once.
_RELEASED = (
    "UPDATE work SET stage = 1, again_at = NULL, attempts = attempts - 1, not_before = ?3, "
    "priority = max(priority, 1) WHERE queue = ?1 AND item = ?2 AND stage = 2"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """An item that is to be worked on now."""

    item: str
    priority: Priority
    attempts: int
    """How often it has failed before, or was cut off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of an item that was claimed."""

    item: str
    kind: Literal["done", "failed", "released"]
    """`released`: it was not the item's fault, so that it is as it was before."""
    error: str | None = None
    """The code, where it failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What came of one look at a queue."""

    claimed: Sequence[Claim] = ()
    soonest: datetime | None = None
    """When the next one that waits is due."""
    more: bool = False
    """Whether more was due than could be made ready at once."""


class QueueStore:
    """One queue; many share the table."""

    def __init__(
        self,
        *,
        database: Database,
        queue: str,
        limit: int,
        longest: timedelta,
        jitter: Callable[[], float],
    ) -> None:
        """Take where it is.

        Args:
            database: where it is kept.
            queue: its name.
            limit: items at most.
            longest: the top of the ladder for what fails.
            jitter: makes a chance from 0 to 1.
        """
        self._database = database
        self._queue = queue
        self._limit = limit
        self._longest = longest
        self._jitter = jitter
        # Of the database's thread, which alone knows in which order things were written.
        self._length = 0
        self._doubted = True

    @property
    def length(self) -> int:
        """How many items there are, in the works or not."""
        return self._length

    def doubt(self) -> None:
        """Count anew at the next opportunity: something that was written has been undone."""
        self._doubted = True

    async def take_over(self) -> None:
        """Take up what another process left in the works; at the start, before anything else."""

        def take_over() -> None:
            self._database.execute(
                "UPDATE work SET stage = 0 WHERE queue = ? AND stage = 2", (self._queue,)
            )
            # Nobody waits any more; who did may still have it on their screen.
            self._database.execute(
                "UPDATE work SET priority = ? WHERE queue = ? AND priority = ?",
                (Priority.ON_SCREEN, self._queue, Priority.WAITED_FOR),
            )

        await self._run(take_over)

    async def recall(self, now: datetime) -> None:
        """Make due what was put off further than anything is: the clock was set back since.

        It looks at all that waits, and so is for the start and for just such a clock.
        """

        def recall() -> None:
            self._database.execute(
                "UPDATE work SET not_before = ? WHERE queue = ? AND stage = 0 "
                "AND (not_before > ? OR attempts > 0 AND not_before > ?)",
                (
                    to_number(now),
                    self._queue,
                    to_number(now + MOST_AHEAD),
                    to_number(now + LONGEST * (1 + JITTER)),
                ),
            )

        await self._run(recall)

    async def forgive(self, now: datetime) -> None:
        """Make due what has failed, on whichever rung it is; where it goes on failing, it stays.

        It looks at all that waits, and so is for when somebody asks.
        """

        def forgive() -> None:
            self._database.execute(
                "UPDATE work SET not_before = ? WHERE queue = ? AND stage = 0 AND attempts > 0",
                (to_number(now), self._queue),
            )

        await self._run(forgive)

    async def turn(
        self, outcomes: Sequence[Outcome], *, claim: int, least: Priority, now: datetime
    ) -> Turn:
        """Write what became of items, and claim others, in one step.

        Args:
            outcomes: of items that were claimed before.
            claim: how many at most.
            least: none that is wanted less than that.
            now: the time of day.
        """

        def turn() -> Turn:
            for outcome in outcomes:
                self._write(outcome, now)
            due = self._wake(now)
            claimed = self._claim(claim, least, now) if claim else []
            ((soonest,),) = self._database.execute(SOONEST, (self._queue,))
            return Turn(
                claimed=claimed,
                soonest=None if soonest is None else from_number(soonest),
                more=due == _AT_ONCE,
            )

        return await self._run(turn)

    async def put(self, wanted: Sequence[Wanted], *, now: datetime) -> Sequence[str]:
        """Add these, and return what had to go for them."""
        return await self._run(lambda: self.put_within(wanted, now=now))

    async def contains(self, item: str) -> bool:
        """Return whether it is there, in the works or not."""
        return await self._run(lambda: self._find(item) is not None)

    async def delete(self, items: Sequence[str]) -> None:
        """Forget these, also where they are in the works."""

        def delete() -> None:
            for item in items:
                self._length -= self._database.execute(
                    "DELETE FROM work WHERE queue = ? AND item = ?", (self._queue, item)
                ).rowcount

        await self._run(delete)

    async def demote(self, items: Sequence[str]) -> None:
        """Let these be on no screen any more; what is waited for stays so."""

        def demote() -> None:
            for item in items:
                self._database.execute(
                    "UPDATE work SET priority = ? WHERE queue = ? AND item = ? AND priority = ?",
                    (Priority.ROUTINE, self._queue, item, Priority.ON_SCREEN),
                )

        await self._run(demote)

    # --- inside a transaction ---------------------------------------------------------------------

    def put_within(self, wanted: Sequence[Wanted], *, now: datetime) -> Sequence[str]:
        """Add these within a transaction of somebody else's, and return what had to go for them."""
        if self._doubted:
            self._count()
        for one in wanted:
            self._put(one, now)
        return self._shorten()

    def _put(self, wanted: Wanted, now: datetime) -> None:
        earliest = now
        if wanted.not_before is not None:
            earliest = max(now, min(wanted.not_before, now + MOST_AHEAD))
        at = to_number(earliest)
        found = self._find(wanted.item)
        if found is None:
            stage = _READY if earliest <= now else _WAITS
            self._database.execute(
                "INSERT INTO work (queue, item, stage, priority, weight, not_before, attempts) "
                "VALUES (?, ?, ?, ?, ?, ?, 0)",
                (self._queue, wanted.item, stage, wanted.priority, wanted.weight, at),
            )
            self._length += 1
            return
        self._database.execute(
            # Whoever waits does so now, on whichever rung it is. What failed keeps its rung
            # otherwise; what was only put off is put forward.
            "UPDATE work SET stage = CASE WHEN stage = 0 AND ?2 = 0 THEN 1 ELSE stage END, "
            "not_before = CASE WHEN stage = 0 AND attempts = 0 "
            "THEN min(not_before, ?4) ELSE not_before END, "
            # Put as routine while it is in the works: what it is about may have changed since the
            # handler looked. Whoever waits for it or sees it is served by the run that there is.
            "again_at = CASE WHEN stage = 2 AND ?2 = 2 AND ?5 THEN ?4 ELSE again_at END, "
            "priority = min(priority, ?2), weight = ?3 WHERE id = ?1",
            (found, wanted.priority, wanted.weight, at, wanted.again),
        )

    def _find(self, item: str) -> int | None:
        found = self._database.execute(FIND, (self._queue, item)).fetchone()
        return None if found is None else int(found[0])

    def _shorten(self) -> Sequence[str]:
        """Drop what is wanted least, until there is room; never what somebody waits for."""
        over = self._length - self._limit
        if over <= 0:
            return ()
        candidates = [
            row
            for stage in (_WAITS, _READY)
            for row in self._database.execute(LEAST_WANTED, (self._queue, stage, over))
        ]
        candidates.sort(key=lambda row: (-row[2], row[3], -row[0]))
        dropped = candidates[:over]
        for number, *_ in dropped:
            self._database.execute("DELETE FROM work WHERE id = ?", (number,))
        self._length -= len(dropped)
        return [row[1] for row in dropped]

    def _write(self, outcome: Outcome, now: datetime) -> None:
        which = (self._queue, outcome.item)
        match outcome.kind:
            case "done":
                self._length -= self._database.execute(_DONE, which).rowcount
                self._database.execute(_ONCE_MORE, which)
            case "failed":
                error = (outcome.error or "")[:_FOR_SHORT]
                for (attempts,) in self._database.execute(_ATTEMPTS, which).fetchall():
                    at = self._next_attempt(attempts, now)
                    self._database.execute(_FAILED, (*which, error, at))
            case "released":
                self._database.execute(_RELEASED, (*which, to_number(now)))

    def _wake(self, now: datetime) -> int:
        """Make ready what is due, and return how much that was."""
        due = self._database.execute(DUE, (self._queue, to_number(now), _AT_ONCE)).fetchall()
        for row in due:
            self._database.execute("UPDATE work SET stage = 1 WHERE id = ?", row)
        return len(due)

    def _claim(self, count: int, least: Priority, now: datetime) -> Sequence[Claim]:
        rows = self._database.execute(READY, (self._queue, least, count)).fetchall()
        for number, _, _, attempts in rows:
            self._database.execute(
                "UPDATE work SET stage = 2, attempts = attempts + 1, not_before = ? WHERE id = ?",
                (self._next_attempt(attempts + 1, now), number),
            )
        return [
            Claim(item=item, priority=Priority(priority), attempts=attempts)
            for _, item, priority, attempts in rows
        ]

    def _next_attempt(self, attempts: int, now: datetime) -> int:
        wait = wait_after(attempts, jitter=self._jitter(), longest=self._longest)
        return to_number(now + wait)

    def _count(self) -> None:
        self._doubted = False
        ((self._length,),) = self._database.execute(
            "SELECT count(*) FROM work WHERE queue = ?", (self._queue,)
        )

    async def _run(self, function: Callable[[], T]) -> T:
        def counted() -> T:
            if self._doubted:
                self._count()
            return function()

        try:
            return await self._database.run(counted)
        except Exception:
            self.doubt()
            raise
