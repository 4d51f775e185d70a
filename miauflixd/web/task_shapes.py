"""What is done by itself, in JSON."""

from datetime import UTC, timedelta

from msgspec import Struct

from miauflixd.jobs.model import LastRun, TaskState, TaskView
from miauflixd.web.shapes import Moment


class RunShape(Struct, frozen=True, kw_only=True):
    """A run that is over."""

    started: Moment
    took: float
    result: str | None
    """In words."""
    error: str | None
    """A code, where it failed."""


class TaskShape(Struct, frozen=True, kw_only=True):
    """A task: what, since when, why, what next."""

    name: str
    summary: str
    every: float | None
    """Seconds; `null` for what has a queue and no beat of its own."""
    at: str | None
    """The local time of what happens nightly."""
    state: TaskState
    since: Moment
    reason: str
    next: Moment | None
    """`null`: when there is something to do, or somebody asks."""
    last_run: RunShape | None
    queue: int | None
    """Items that wait."""


def task_shape(view: TaskView) -> TaskShape:
    """Return a task as administrators see it."""
    return TaskShape(
        name=view.name,
        summary=view.summary,
        every=None if view.every is None else view.every / timedelta(seconds=1),
        at=None if view.at is None else f"{view.at:%H:%M}",
        state=view.state,
        since=view.since.astimezone(UTC),
        reason=view.reason,
        next=None if view.next is None else view.next.astimezone(UTC),
        last_run=None if view.last is None else _run(view.last),
        queue=view.queue,
    )


def _run(last: LastRun) -> RunShape:
    return RunShape(
        started=last.started.astimezone(UTC),
        took=last.took / timedelta(seconds=1),
        result=last.result,
        error=last.error,
    )
