"""A task as the timetable has it: its loops, and what is to be seen of it."""

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Protocol

from miauflixd.jobs.beat import Beat
from miauflixd.jobs.job import Job, QueueJob
from miauflixd.jobs.model import LastRun, Nightly, Record, Rule, TaskState, TaskView
from miauflixd.jobs.records import Records
from miauflixd.jobs.schedule import period
from miauflixd.jobs.settings import JobsSettings
from miauflixd.jobs.workers import Workers

Loop = Callable[[], Coroutine[Any, Any, None]]

_OFF = "The settings want nothing done by itself (jobs.background)"


class Task(Protocol):
    """One of them."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def loops(self) -> Iterator[tuple[str, Loop]]:
        """Yield what is to run for as long as the timetable does, each by its name."""
        ...

    def ask(self) -> None:
        """Have it run now; it does not run already."""
        ...

    def view(self) -> TaskView:
        """Return it as it is now."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class _Condition:
    state: TaskState
    reason: str


class BeatTask:
    """A job on its beat."""

    def __init__(self, job: Job, *, beat: Beat, records: Records, settings: JobsSettings) -> None:
        self.name = job.name
        self._job = job
        self._beat = beat
        self._records = records
        self._settings = settings

    def loops(self) -> Iterator[tuple[str, Loop]]:
        """Yield its beat."""
        yield self.name, self._beat.run

    def ask(self) -> None:
        """Have it run now."""
        self._beat.ask()

    def view(self) -> TaskView:
        """Return it as it is now."""
        record = self._records.of(self.name)
        condition = self._condition(record)
        return TaskView(
            name=self.name,
            summary=self._job.summary,
            every=period(self._job.rule),
            at=_at(self._job.rule),
            state=condition.state,
            since=self._beat.since,
            reason=condition.reason,
            next=None if self._beat.is_busy else self._beat.next,
            last=_last(record),
            runs=record.runs,
            failed=record.failed,
            queue=None,
        )

    def _condition(self, record: Record) -> _Condition:
        if self._beat.is_busy:
            return _busy(asked=self._beat.was_asked)
        if not self._settings.background:
            return _Condition(state="off", reason=_OFF)
        if record.failures:
            return _Condition(state="resting", reason=_failed(record))
        return _Condition(state="idle", reason=_well(record))


class QueueTask:
    """Work on a queue, and what feeds it."""

    def __init__(
        self,
        job: QueueJob,
        *,
        workers: Workers,
        feeder: Beat | None,
        feed: str | None,
        records: Records,
        settings: JobsSettings,
    ) -> None:
        """Take what it consists of.

        Args:
            job: what to do.
            workers: who do it.
            feeder: what brings the items, where that has a beat.
            feed: the name of its record.
            records: what became of both.
            settings: whether they work without being asked.
        """
        self.name = job.name
        self._job = job
        self._workers = workers
        self._feeder = feeder
        self._feed = feed
        self._records = records
        self._settings = settings

    def loops(self) -> Iterator[tuple[str, Loop]]:
        """Yield both."""
        yield self.name, self._workers.run
        if self._feeder is not None:
            yield f"{self.name}, what feeds it", self._feeder.run

    def ask(self) -> None:
        """Look for work, and do what there is."""
        if self._feeder is not None:
            self._feeder.ask()
        self._workers.hurry()

    def view(self) -> TaskView:
        """Return it as it is now."""
        record = self._records.of(self.name)
        feed = Record() if self._feed is None else self._records.of(self._feed)
        condition = self._condition(record, feed)
        rule = self._job.rule
        # What went wrong with the feeding is what a person has to know; else, what was done.
        shown = feed if feed.error is not None or record.finished is None else record
        return TaskView(
            name=self.name,
            summary=self._job.summary,
            every=None if rule is None else period(rule),
            at=None if rule is None else _at(rule),
            state=condition.state,
            since=self._workers.since if self._feeder is None else self._since(self._feeder),
            reason=condition.reason,
            next=self._next(),
            last=_last(shown),
            runs=record.runs + feed.runs,
            failed=record.failed + feed.failed,
            queue=self._job.queue.length,
        )

    def _next(self) -> datetime | None:
        feeds = None if self._feeder is None else self._feeder.next
        works = self._workers.next
        if self._workers.rests or feeds is None:  # what is brought meanwhile waits as well
            return works or feeds
        return feeds if works is None else min(works, feeds)

    def _since(self, feeder: Beat) -> datetime:
        if self._workers.is_busy == feeder.is_busy:
            return max(self._workers.since, feeder.since)
        return self._workers.since if self._workers.is_busy else feeder.since

    def _condition(self, record: Record, feed: Record) -> _Condition:
        feeds = self._feeder is not None and self._feeder.is_busy
        if self._workers.is_busy or feeds:
            return _busy(asked=self._workers.was_hurried)
        if not self._settings.background:
            return _Condition(state="off", reason=_OFF)
        if self._workers.rests:
            return _Condition(state="resting", reason=_failed(record))
        if feed.failures:
            return _Condition(state="resting", reason=_failed(feed))
        return _Condition(state="idle", reason=_well(record))


def _busy(*, asked: bool) -> _Condition:
    return _Condition(state="running", reason="Somebody asked for it" if asked else "It was due")


def _failed(record: Record) -> str:
    return record.result or "The last run failed"


def _well(record: Record) -> str:
    if record.finished is None:
        return "It has not run yet"
    return "The last run went well" if record.error is None else _failed(record)


def _last(record: Record) -> LastRun | None:
    if record.started is None:
        return None
    return LastRun(
        started=record.started, took=record.took, result=record.result, error=record.error
    )


def _at(rule: Rule) -> time | None:
    return rule.at if isinstance(rule, Nightly) else None
