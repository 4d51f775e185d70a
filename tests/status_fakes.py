"""A library, a disk and a timetable with behaviour: what the state of a machine is made of."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from miauflixd.catalogue.model import ProviderName
from miauflixd.catalogue.providers.provider import Condition, NoProviderError, ProviderState
from miauflixd.catalogue.title_store import Counts
from miauflixd.jobs.model import TaskView
from miauflixd.runtime.changes import Changes
from miauflixd.runtime.disk import Room
from tests.fakes import FakeTimetable

_GIB = 2**30
_LATELY = datetime(2026, 11, 22, tzinfo=UTC)
_NAMES: Sequence[ProviderName] = ("tmdb", "archive", "trakt")


class FakeDisk:
    """Has as much room as a test says."""

    def __init__(self) -> None:
        self.left = Room(free=100 * _GIB, minimum=_GIB)
        self.trouble: OSError | None = None

    async def room(self) -> Room:
        if self.trouble is not None:
            raise self.trouble
        return self.left


class FakeLibrary:
    """Knows three providers, of which two are off; changes when a test says so."""

    def __init__(self) -> None:
        self.blackboard = Changes[str]()
        self.counted = Counts(movies=12, shows=3, episodes=45)
        self.states = {
            name: ProviderState(
                name=name,
                condition="off",
                since=datetime(2026, 11, 22, tzinfo=UTC),
                reason="The settings do not want it.",
                next="Nothing.",
            )
            for name in _NAMES
        }
        self.become("archive", "ok")

    def become(self, name: ProviderName, condition: Condition) -> None:
        self.states[name] = replace(
            self.states[name], condition=condition, reason=f"It is {condition}."
        )

    async def counts(self) -> Counts:
        return self.counted

    def providers(self) -> Sequence[ProviderState]:
        return [*self.states.values()]

    async def check(self, name: str) -> ProviderState:
        for known in _NAMES:
            if name == known:
                if self.states[known].condition != "off":
                    self.become(known, "ok")
                return self.states[known]
        raise NoProviderError("There is no provider of this name")

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, ...]]]:
        return self.blackboard.listen_in_batches()


def task(name: str) -> TaskView:
    """A task that has not run yet."""
    return TaskView(
        name=name,
        summary="Does something",
        every=None,
        at=None,
        state="idle",
        since=_LATELY,
        reason="It has not run yet",
        next=None,
        last=None,
        runs=0,
        failed=0,
        queue=None,
    )


class FakeTasks(FakeTimetable):
    """Tasks that run when a test says so."""

    def __init__(self, *names: str) -> None:
        super().__init__(*map(task, names))

    def run(self, name: str, *, failure: str | None = None) -> None:
        if failure is None:
            self.finish(name, took=timedelta(seconds=1), result="Done")
        else:
            self.fail(name, failure)
