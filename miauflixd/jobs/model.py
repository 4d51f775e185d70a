"""What is done by itself, and how it is doing."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal

from miauflixd.errors import ConflictError, NotFoundError
from miauflixd.runtime.priority import Priority

TaskState = Literal["idle", "running", "resting", "off"]
"""`resting`: the last attempt failed, and the next one waits. `off`: runs only when asked to."""


class NoTaskError(NotFoundError):
    """There is no such task."""

    code = "no_task"


class AlreadyRunningError(ConflictError):
    """A task was to run that runs already; it never overlaps itself."""

    code = "already_running"


# --- when -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Every:
    """Again and again, so long after the end of the run before."""

    gap: timedelta


@dataclass(frozen=True, slots=True)
class Nightly:
    """Once a day, at a local time at which hardly anybody watches."""

    at: time


Rule = Every | Nightly


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """As much of the runs before as the next one depends upon."""

    started: datetime | None = None
    finished: datetime | None = None
    """Of the last run that came to its end, well or not. `None`: there was none."""
    failures: int = 0
    """Runs that failed since the last that went well."""


# --- what became of it ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What is kept of a task."""

    started: datetime | None = None
    finished: datetime | None = None
    took: timedelta = timedelta()
    """By a clock that is never set, so not always the time between the two."""
    result: str | None = None
    """What became of the last run, in words; `None`: nothing worth a word."""
    error: str | None = None
    """The code of the error with which the last run ended."""
    runs: int = 0
    failed: int = 0
    """Of these."""
    failures: int = 0
    """Since the last run that went well."""
    rests: int = 0
    """How often in a row a queue came to rest."""
    rests_until: datetime | None = None
    """A queue does: what its handler needs does not answer."""

    @property
    def past(self) -> Past:
        """What the next run depends upon."""
        return Past(started=self.started, finished=self.finished, failures=self.failures)


@dataclass(frozen=True, kw_only=True, slots=True)
class LastRun:
    """A run that is over."""

    started: datetime
    took: timedelta
    result: str | None
    error: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskView:
    """A task as a person sees it: what, since when, why, what next."""

    name: str
    summary: str
    every: timedelta | None
    """`None`: it has no beat of its own, only a queue."""
    at: time | None
    """The local time of what happens nightly."""
    state: TaskState
    since: datetime
    reason: str
    next: datetime | None
    """When it is due. `None`: when there is something to do, or somebody asks."""
    last: LastRun | None
    runs: int
    failed: int
    queue: int | None
    """Items that wait; `None`: it has no queue."""


# --- queues ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Something that is to be done."""

    item: str
    """What the handler gets; unique within its queue."""
    priority: Priority = Priority.ROUTINE
    weight: float = 0.0
    """Of two with the same priority the heavier one goes first; popularity, as a rule."""
    not_before: datetime | None = None
    """It can wait until then; not for longer than `MOST_AHEAD`."""
    again: bool = True
    """Whether it is done once more when it is in the works already: what it is about may have
    changed since. As routine; whoever waits for it is served by the run that there is."""


MOST_AHEAD = timedelta(days=32)
"""How far ahead something may be put off: a month. What seems to be further away than that was put
off under another clock, and is due."""
