"""One job on its beat: it waits, runs, and says what became of it, until cancelled."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

from miauflixd.jobs.failures import INTERNAL, cause, code, words
from miauflixd.jobs.job import Job, Run
from miauflixd.jobs.pausing import RELOOK, pause
from miauflixd.jobs.records import Records
from miauflixd.jobs.schedule import wait
from miauflixd.jobs.task_store import TaskStore
from miauflixd.runtime.clock import Clock

_log = logging.getLogger(__name__)

_SPREAD = timedelta(minutes=1)
"""Within which runs that were missed begin after a start: soon, and not all at once."""


class Beat:
    """Runs a job whenever it is due, or somebody asks; never twice at once."""

    def __init__(
        self,
        job: Job,
        *,
        records: Records,
        store: TaskStore,
        clock: Clock,
        zone: tzinfo | None,
        jitter: Callable[[], float],
        background: bool,
        changed: Callable[[], None],
    ) -> None:
        """Be ready; `run` begins.

        Args:
            job: what to do.
            records: where what became of it is noted, under the job's name.
            store: where its cursor is.
            clock: the time of day, in UTC.
            zone: for local times; `None` for this machine's.
            jitter: makes a chance from 0 to 1.
            background: whether it runs without being asked.
            changed: called when there is something new to be seen.
        """
        self._job = job
        self._records = records
        self._store = store
        self._clock = clock
        self._zone = zone
        self._jitter = jitter
        self._chance = jitter()
        self._background = background
        self._changed = changed
        self._stirred = asyncio.Event()
        self._asked = False
        self._again = False
        self._running = False
        self._since = clock()
        # By the loop's clock, which is never set.
        self._ended: float | None = None
        self._not_before = _loop_time()
        if records.of(job.name).finished is not None:
            self._not_before += _SPREAD.total_seconds() * self._chance

    @property
    def is_busy(self) -> bool:
        """Whether it runs, or is about to."""
        return self._running or self._asked

    @property
    def was_asked(self) -> bool:
        """Whether it does because somebody asked."""
        return self._asked

    @property
    def since(self) -> datetime:
        """When it began to run, or to wait."""
        return self._since

    @property
    def next(self) -> datetime | None:
        """When it is due; `None`: when somebody asks."""
        left = self._left()
        return None if left is None else self._clock() + max(left, timedelta())

    def ask(self) -> None:
        """Run as soon as possible; while it runs, once more when it has."""
        self._again = self._running
        self._asked = True
        self._stirred.set()
        self._changed()

    async def run(self) -> None:
        """Do so until cancelled."""
        while True:
            self._stirred.clear()
            left = self._left()
            if self._asked or (left is not None and left <= timedelta()):
                await self._run()
            else:
                # With nothing due by itself, nothing comes of looking at the clock either.
                within = RELOOK if left is None else min(left, RELOOK)
                await pause(self._stirred, within=within)

    def _left(self) -> timedelta | None:
        if not self._background:
            return None
        now = _loop_time()
        left = wait(
            self._job.rule,
            self._records.of(self._job.name).past,
            now=self._clock(),
            rested=None if self._ended is None else timedelta(seconds=now - self._ended),
            zone=self._zone,
            jitter=self._chance,
        )
        return max(left, timedelta(seconds=self._not_before - now))

    async def _run(self) -> None:
        self._running = True
        self._since = started = self._clock()
        self._changed()
        begun = _loop_time()
        result: str | None = None
        failure: Exception | None = None
        try:
            async with asyncio.timeout(self._job.within.total_seconds()):
                cursor = await self._store.cursor(self._job.name)
                run = Run(task=self._job.name, cursor=cursor, store=self._store)
                result = await self._job.run(run)
        except Exception as raised:  # noqa: BLE001 - a periodic job may fail in any way
            failure = cause(raised)
        finally:
            # Also when it is cancelled, which is no end of the run: there is nothing to write.
            self._running = False
            self._asked, self._again = self._again, False
        self._ended = _loop_time()
        self._chance = self._jitter()
        self._since = self._clock()
        self._write(started, timedelta(seconds=self._ended - begun), result, failure)
        self._changed()

    def _write(
        self, started: datetime, took: timedelta, result: str | None, failure: Exception | None
    ) -> None:
        name = self._job.name
        before = self._records.of(name)
        error = None if failure is None else code(failure)
        self._log(before.error, failure)
        nothing_new = result is None and error is None and before.error is None
        self._records.change(
            name,
            weight="quiet" if nothing_new else "usual",
            started=started,
            finished=self._since,
            took=took,
            result=result if failure is None else words(failure),
            error=error,
            runs=before.runs + 1,
            failed=before.failed + (failure is not None),
            failures=0 if failure is None else before.failures + 1,
        )

    def _log(self, before: str | None, failure: Exception | None) -> None:
        """Say what is new: a day without internet is one line, and one when it is over."""
        name = self._job.name
        if failure is None:
            if before is not None:
                _log.info("The task %s works again", name)
            return
        error = code(failure)
        if error == before:
            _log.debug("The task %s still fails: %s", name, error)
        elif error == INTERNAL:
            _log.error("The task %s broke", name, exc_info=failure)
        else:
            _log.warning("The task %s failed: %s", name, error)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
