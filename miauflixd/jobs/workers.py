"""The items of a queue, worked on as they come, until cancelled.

One loop claims items and writes what became of them, both in one step; each item is a task of its
own. The loop looks at the queue when something has stirred, or when an item's time has come.

    - A broken item climbs its own ladder, and the others go on.
    - What the handler needs does not answer: the queue rests, all of it. The rest ends when its
      time is over, when somebody asks, or when an item that somebody waits for shows that it
      answers again; such an item is tried once in spite of the rest. What comes after a rest
      begins with a single item, which finds out whether it was long enough.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from miauflixd.errors import MiauflixdError, NotFoundError, StorageFullError, UnavailableError
from miauflixd.jobs.failures import INTERNAL, cause, code, words
from miauflixd.jobs.job import QueueJob
from miauflixd.jobs.ladder import JITTER, LONGEST, asked_wait, wait_after
from miauflixd.jobs.pausing import RELOOK, SetBack, pause
from miauflixd.jobs.queue_store import Claim, Outcome, Turn
from miauflixd.jobs.records import Records
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.priority import Priority

_log = logging.getLogger(__name__)

_NONE = timedelta()

_LONGEST_REST = timedelta(hours=1)
"""Unless a longer one was asked for. One item an hour is a burden to nobody, and when the internet
returns after a day, all goes on within the hour."""

_PATIENT = 3
"""Rests in a row that are as short as was asked for. Who still says "in a second" by then does not
know better, and is asked ever more seldom."""


@dataclass(kw_only=True, slots=True)
class _Batch:
    """From the first item that was claimed until none is left that is due: a run, to people."""

    started: datetime
    begun: float
    done: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """By code."""
    unavailable: Exception | None = None

    @property
    def result(self) -> str | None:
        if self.unavailable is not None:
            return words(self.unavailable)
        parts = [f"{self.done} done"] if self.done else []
        if self.failed:
            parts.append(f"{self.failed.total()} failed ({', '.join(sorted(self.failed))})")
        return ", ".join(parts) or "Nothing to do"

    @property
    def error(self) -> str | None:
        if self.unavailable is not None:
            return code(self.unavailable)
        # One broken item among many is its own affair.
        return min(self.failed) if self.failed and not self.done else None


class Workers:
    """Works on a queue."""

    def __init__(
        self,
        job: QueueJob,
        *,
        records: Records,
        clock: Clock,
        jitter: Callable[[], float],
        background: bool,
        changed: Callable[[], None],
        fed: Callable[[], bool] = lambda: False,
    ) -> None:
        """Be ready; `run` begins. See `Beat` for what the arguments are.

        And `fed`: whether there may be more in a moment, by what feeds the queue; it stirs the
        queue when it is done.
        """
        self._job = job
        self._records = records
        self._clock = clock
        self._jitter = jitter
        self._background = background
        self._changed = changed
        self._fed = fed
        self._hurried = False
        self._recall = False
        self._forgive = False
        self._active: set[str] = set()
        self._outcomes: list[Outcome] = []
        self._batch: _Batch | None = None
        self._since = clock()
        # By the loop's clock, which is never set.
        self._rest_began = self._rests_until = _loop_time()
        self._soonest: datetime | None = None
        self._take_up_rest()

    @property
    def is_busy(self) -> bool:
        """Whether items are in the works, or somebody has asked for that."""
        return bool(self._active) or self._hurried

    @property
    def was_hurried(self) -> bool:
        """Whether somebody has asked for it."""
        return self._hurried

    @property
    def rests(self) -> bool:
        """Whether all but what somebody waits for is left alone for now."""
        return self._rest_left > _NONE

    @property
    def rests_until(self) -> datetime | None:
        """Until when."""
        return self._clock() + self._rest_left if self.rests else None

    @property
    def since(self) -> datetime:
        """When it began to work, or to wait."""
        return self._since

    @property
    def next(self) -> datetime | None:
        """When they go on by themselves; `None`: when something comes, or somebody asks."""
        if self.rests:
            return self.rests_until
        return self._soonest if self._background else None

    def hurry(self) -> None:
        """Work off what is due or has failed, whatever there was against it."""
        self._hurried = self._forgive = True
        self._rests_until = _loop_time()
        self._job.queue.stirred.set()
        self._changed()

    async def run(self) -> None:
        """Do so until cancelled; what is in the works then is as it was before."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._run(group)
        finally:
            self._outcomes += [Outcome(item=item, kind="released") for item in self._active]
            self._active.clear()
            try:
                await self._job.queue.turn(self._outcomes, claim=0, least=Priority.WAITED_FOR)
            except MiauflixdError as error:
                # The next process finds them in the works, and takes them over.
                _log.debug("The queue of %s stays as it is: %s", self._job.name, error.code)

    async def _run(self, group: asyncio.TaskGroup) -> None:
        queue = self._job.queue
        set_back = SetBack(self._clock)
        failures = 0
        while True:
            queue.stirred.clear()
            try:
                turn = await self._turn()
            except MiauflixdError as error:
                failures += 1
                if failures == 1:
                    _log.warning("The queue of %s is out of reach: %s", self._job.name, error.code)
                await pause(queue.stirred, within=wait_after(failures, jitter=self._jitter()))
                continue
            failures = 0
            for claim in turn.claimed:
                batch = self._begin(claim.item)
                group.create_task(self._work(claim, batch), name=f"{self._job.name}: an item")
            if turn.more:
                continue
            if not self._active and not self._outcomes:
                self._end()
            self._soonest = turn.soonest
            await self._wait(turn.soonest, set_back)

    # --- what is taken, and when ------------------------------------------------------------------

    @property
    def _least(self) -> Priority:
        """The least wanted that is worked on now."""
        if self.rests or not (self._background or self._hurried):
            return Priority.WAITED_FOR
        return Priority.ROUTINE

    async def _turn(self) -> Turn:
        queue = self._job.queue
        if self._recall:
            await queue.recall()
            self._recall = False
        if self._forgive:
            await queue.forgive()
            self._forgive = False
        on_trial = self._records.of(self._job.name).rests > 0
        free, least = (1 if on_trial else self._job.workers) - len(self._active), self._least
        if free <= 0 or least is Priority.WAITED_FOR:
            # One more than there are workers, for nothing but what somebody waits for: that must
            # not wait for something slow that nobody misses.
            free, least = self._job.workers + 1 - len(self._active), Priority.WAITED_FOR
        outcomes, self._outcomes = self._outcomes, []
        try:
            return await queue.turn(outcomes, claim=max(free, 0), least=least)
        except Exception:
            # Not when it is cancelled: then nobody knows whether it was written, and what was not
            # is done once more by the next process.
            self._outcomes = outcomes + self._outcomes
            raise

    async def _wait(self, soonest: datetime | None, set_back: SetBack) -> None:
        """Wait until something has stirred, or is due."""
        stirred = self._job.queue.stirred
        rested = self.rests
        while not stirred.is_set():
            left = RELOOK  # nothing is due by itself, so only the clock is looked at
            if rested:
                left = self._rest_left
            elif soonest is not None and self._least is Priority.ROUTINE:
                left = soonest - self._clock()
            if left <= _NONE:
                return
            await pause(stirred, within=min(left, RELOOK))
            if set_back.noticed():
                self._recall = True
                return

    # --- an item ----------------------------------------------------------------------------------

    async def _work(self, claim: Claim, batch: _Batch) -> None:
        begun = _loop_time()
        error: Exception | None = None
        try:
            async with asyncio.timeout(self._job.within.total_seconds()):
                await self._job.handler(claim.item, claim.priority)
        except Exception as raised:  # noqa: BLE001 - the work of a job may fail in any way
            error = cause(raised)
        self._active.discard(claim.item)
        self._outcomes.append(self._judged(claim, error, batch, begun=begun))
        self._job.queue.stirred.set()

    def _judged(
        self, claim: Claim, error: Exception | None, batch: _Batch, *, begun: float
    ) -> Outcome:
        item = claim.item
        if error is None or isinstance(error, NotFoundError):
            batch.done += 1
            self._it_answers(begun)
            return Outcome(item=item, kind="done")
        if isinstance(error, UnavailableError | StorageFullError):
            batch.unavailable = error
            self._rest(error)
            return Outcome(item=item, kind="released")
        why = code(error)
        # What has failed before is no news, or a day without internet would be a page of them.
        if why not in batch.failed and not claim.attempts:
            if why == INTERNAL:
                _log.error("An item of %s broke", self._job.name, exc_info=error)
            else:
                _log.warning("An item of %s failed: %s", self._job.name, why)
        batch.failed[why] += 1
        return Outcome(item=item, kind="failed", error=why)

    # --- the rest ---------------------------------------------------------------------------------

    @property
    def _rest_left(self) -> timedelta:
        """How long it still is; less than a microsecond is nothing."""
        return max(timedelta(seconds=self._rests_until - _loop_time()), _NONE)

    def _rest(self, error: Exception) -> None:
        now = _loop_time()
        record = self._records.of(self._job.name)
        # Several that come back with the same news are one rest, as is one tried in spite of it.
        rests = record.rests if self.rests else record.rests + 1
        jitter = self._jitter()
        asked = getattr(error, "retry_after", None)
        length = max(
            asked_wait(asked, failures=rests, jitter=jitter, longest=_LONGEST_REST),
            wait_after(rests - _PATIENT, jitter=jitter, longest=_LONGEST_REST),
        )
        if self.rests and now + length.total_seconds() <= self._rests_until:
            return
        if not self.rests:
            self._rest_began = now
            if not record.rests:
                _log.warning("The queue of %s rests: %s", self._job.name, code(error))
        self._rests_until = now + length.total_seconds()
        # A restart must not be a way to ask again at once.
        self._records.change(
            self._job.name, weight="urgent", rests=rests, rests_until=self._clock() + length
        )

    def _it_answers(self, begun: float) -> None:
        """End the rest, and forget how many there were; not for what was asked before it began."""
        record = self._records.of(self._job.name)
        if record.rests and begun > self._rest_began:
            _log.info("The queue of %s goes on", self._job.name)
            self._rests_until = _loop_time()
            self._records.change(self._job.name, rests=0, rests_until=None)

    def _take_up_rest(self) -> None:
        """Go on resting where an earlier process did, as far as the clock can be believed."""
        until = self._records.of(self._job.name).rests_until
        if until is not None:
            left = until - self._clock()
            if _NONE < left <= LONGEST * (1 + JITTER):
                self._rests_until += left.total_seconds()

    # --- the batch --------------------------------------------------------------------------------

    def _begin(self, item: str) -> _Batch:
        self._active.add(item)
        if self._batch is None:
            self._since = self._clock()
            self._batch = _Batch(started=self._since, begun=_loop_time())
            self._changed()
        return self._batch

    def _end(self) -> None:
        """Note what became of the batch, once there is no more of it."""
        if self._hurried and self._fed():
            return
        batch = self._batch
        if batch is None and self._hurried:
            batch = _Batch(started=self._clock(), begun=_loop_time())  # somebody asked: of nothing
        self._batch = None
        self._hurried = False
        if batch is None:
            return
        self._since = self._clock()
        record = self._records.of(self._job.name)
        self._records.change(
            self._job.name,
            started=batch.started,
            finished=self._since,
            took=timedelta(seconds=_loop_time() - batch.begun),
            result=batch.result,
            error=batch.error,
            runs=record.runs + 1,
            failed=record.failed + (batch.error is not None),
            failures=0 if batch.error is None else record.failures + 1,
        )
        self._changed()


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
