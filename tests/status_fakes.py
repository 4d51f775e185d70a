"""A library, a disk and a timetable with behaviour: what the state of a machine is made of."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime

from msgspec import Struct

from miauflixd.catalogue.model import ProviderName
from miauflixd.catalogue.providers.provider import Condition, NoProviderError, ProviderState
from miauflixd.errors import NotFoundError
from miauflixd.runtime.changes import Changes
from miauflixd.runtime.disk import Room
from miauflixd.web.ports import Counts

_GIB = 2**30
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


class FakeTask(Struct, frozen=True, kw_only=True):
    """A task as somebody sees it."""

    name: str
    runs: int


class FakeTasks:
    """Tasks that run when a test says so."""

    def __init__(self, *names: str) -> None:
        self._blackboard = Changes[str]()
        self._runs = dict.fromkeys(names, 0)
        self.failures: dict[str, str] = {}

    def run(self, name: str, *, failure: str | None = None) -> None:
        self._runs[name] += 1
        if failure is not None:
            self.failures[name] = failure
        self._blackboard.note(name)

    def forget(self, name: str) -> None:
        del self._runs[name]
        self._blackboard.note(name)

    def names(self) -> Sequence[str]:
        return [*self._runs]

    def shown(self, name: str) -> Struct:
        try:
            return FakeTask(name=name, runs=self._runs[name])
        except KeyError:
            raise NotFoundError("There is no such task") from None

    def failing(self) -> Mapping[str, str]:
        return self.failures

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        return self._blackboard.listen()
