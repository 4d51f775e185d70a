"""What the timetable is given to do."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

from miauflixd.jobs.model import Rule, Wanted
from miauflixd.jobs.queue import WorkQueue
from miauflixd.jobs.task_store import TaskStore
from miauflixd.runtime.priority import Priority

WITHIN = timedelta(minutes=15)
"""The time box of a run, unless it has one of its own: what takes longer has got stuck."""


class Run:
    """One run of a job: what it may know of those before, and leave to those behind."""

    def __init__(self, *, task: str, cursor: bytes | None, store: TaskStore) -> None:
        self._task = task
        self._cursor = cursor
        self._store = store

    @property
    def cursor(self) -> bytes | None:
        """How far the job came; `None` at the very first time, or when it said so."""
        return self._cursor

    async def checkpoint(
        self, cursor: bytes | None, puts: Mapping[WorkQueue, Sequence[Wanted]] | None = None
    ) -> None:
        """Write how far the job came together with what came of it: both, or neither.

        Killed at any moment, the next run goes on behind the last checkpoint, with nothing lost
        and nothing twice.

        Args:
            cursor: whatever the job needs to go on; `None` lets it begin anew.
            puts: what is to be done, by queue; as `WorkQueue.put`, but in this one step, so no more
                than a page of it.
        """
        queues = list((puts or {}).items())
        writes = [queue.writing(wanted) for queue, wanted in queues]
        with ExitStack() as stack:
            for queue, _ in queues:
                stack.enter_context(queue.stirring())
            dropped = await self._store.checkpoint(
                self._task, cursor, lambda: [write() for write in writes]
            )
        self._cursor = cursor
        for (queue, _), items in zip(queues, dropped, strict=True):
            queue.dropped(items)


Body = Callable[[Run], Awaitable[str | None]]
"""Does the work, and says in words what came of it; `None`: nothing worth a word.

It may raise: that is a run that failed, and is tried again up the ladder.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Something to be done again and again."""

    name: str
    summary: str
    """A line for people: what it does."""
    rule: Rule
    run: Body
    within: timedelta = WITHIN
    """After that long it is cancelled, and has failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueJob:
    """Work on the items of a queue as they come, and perhaps something that brings them."""

    name: str
    summary: str
    queue: WorkQueue
    handler: Callable[[str, Priority], Awaitable[None]]
    """Works on an item, as urgently as it is wanted; it is done when this returns or raises
    `NotFoundError`.

    `UnavailableError` is not the item's fault: it stays, and the queue rests, for as long as the
    error's `retry_after` says (seconds) where it has one, and then begins with a single item.
    Anything else is a failure of this item. An item that was being worked on when the process was
    killed is worked on again.
    """
    within: timedelta
    """For one item; after that long it is cancelled, and has failed."""
    workers: int = 1
    """Items at once; and one more, which takes nothing but what somebody waits for."""
    rule: Rule | None = None
    """When `feed` runs."""
    feed: Body | None = None
    """Puts items, and says what came of it."""
    feed_within: timedelta = WITHIN
