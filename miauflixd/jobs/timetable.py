"""What is done by itself: all jobs, one loop for each, and what is to be seen of them."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import tzinfo
from functools import partial
from typing import Self

from miauflixd.database.database import Database
from miauflixd.jobs.beat import Beat
from miauflixd.jobs.job import Job, QueueJob
from miauflixd.jobs.model import AlreadyRunningError, NoTaskError, TaskView
from miauflixd.jobs.records import Records
from miauflixd.jobs.settings import JobsSettings
from miauflixd.jobs.task_store import TaskStore
from miauflixd.jobs.tasks import BeatTask, QueueTask, Task
from miauflixd.jobs.workers import Workers
from miauflixd.runtime.changes import Changes
from miauflixd.runtime.clock import Clock

FEED = "/feed"
"""Behind the name of a queue's task: what feeds it, which has a record and a cursor of its own."""


class Timetable:
    """All tasks, in the order in which they were given."""

    def __init__(self, *, tasks: Sequence[Task], records: Records, changes: Changes[str]) -> None:
        self._tasks = {task.name: task for task in tasks}
        self._records = records
        self._changes = changes

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        jobs: Sequence[Job | QueueJob],
        *,
        database: Database,
        settings: JobsSettings,
        clock: Clock,
        zone: tzinfo | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> AsyncIterator[Self]:
        """Know what became of all jobs for the length of the block; `run` begins with them.

        Args:
            jobs: what there is to do. Those that never ran begin in this order.
            database: where it is kept what became of them.
            settings: whether they run without being asked.
            clock: the time of day, in UTC.
            zone: for local times; `None` for this machine's.
            jitter: makes a chance from 0 to 1.
        """
        store = TaskStore(database=database)
        records = Records(store=store, records=await store.records())
        changes = Changes[str]()
        tasks: list[Task] = []

        def beat(job: Job, *, changed: Callable[[], None]) -> Beat:
            return Beat(
                job,
                records=records,
                store=store,
                clock=clock,
                zone=zone,
                jitter=jitter,
                background=settings.background,
                changed=changed,
            )

        def workers(job: QueueJob, feeder: Beat | None) -> Workers:
            return Workers(
                job,
                records=records,
                clock=clock,
                jitter=jitter,
                background=settings.background,
                changed=partial(changes.note, job.name),
                fed=lambda: feeder is not None and feeder.is_busy,
            )

        def feeding(job: QueueJob) -> Callable[[], None]:
            def changed() -> None:
                changes.note(job.name)
                job.queue.stirred.set()

            return changed

        for job in jobs:
            if isinstance(job, Job):
                once = beat(job, changed=partial(changes.note, job.name))
                tasks.append(BeatTask(job, beat=once, records=records, settings=settings))
                continue
            feed = _feeder(job)
            feeder = None if feed is None else beat(feed, changed=feeding(job))
            tasks.append(
                QueueTask(
                    job,
                    workers=workers(job, feeder),
                    feeder=feeder,
                    feed=None if feed is None else feed.name,
                    records=records,
                    settings=settings,
                )
            )
        timetable = cls(tasks=tasks, records=records, changes=changes)
        try:
            yield timetable
        finally:
            await records.flush()

    async def run(self) -> None:
        """Keep all tasks going, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._records.run(), name="records of tasks")
            for task in self._tasks.values():
                for name, loop in task.loops():
                    group.create_task(loop(), name=f"task {name}")

    def tasks(self) -> Sequence[TaskView]:
        """Return all tasks as they are now."""
        return [task.view() for task in self._tasks.values()]

    def task(self, name: str) -> TaskView:
        """Return one task as it is now.

        Raises:
            NoTaskError: there is none of this name.
        """
        return self._task(name).view()

    def trigger(self, name: str) -> TaskView:
        """Have a task run now, whatever its beat, and return it; also one that rests or is off.

        Raises:
            NoTaskError: there is none of this name.
            AlreadyRunningError: it runs.
        """
        task = self._task(name)
        if task.view().state == "running":
            raise AlreadyRunningError(f"The task {name} is running already")
        task.ask()
        return task.view()

    def stir(self, name: str) -> None:
        """Have a task run now, and once more if it runs already: what it looks at has changed.

        Raises:
            NoTaskError: there is none of this name.
        """
        self._task(name).ask()

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Follow the tasks: a name whenever that task has changed; what comes too fast is one."""
        return self._changes.listen()

    def _task(self, name: str) -> Task:
        try:
            return self._tasks[name]
        except KeyError:
            raise NoTaskError("There is no such task") from None


def _feeder(job: QueueJob) -> Job | None:
    if job.rule is None or job.feed is None:
        return None
    return Job(
        name=f"{job.name}{FEED}",
        summary=job.summary,
        rule=job.rule,
        run=job.feed,
        within=job.feed_within,
    )
