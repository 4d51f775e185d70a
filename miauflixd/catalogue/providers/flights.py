"""One question under way, however many wait for its answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from miauflixd.catalogue.providers.pace import Pace, Ticket
from miauflixd.catalogue.providers.provider import ProviderUnavailableError
from miauflixd.runtime.priority import Priority

T = TypeVar("T")


@dataclass(eq=False, kw_only=True, slots=True)
class _Flight:
    ticket: Ticket
    outcome: asyncio.Future[Any]
    task: asyncio.Task[None] | None = None
    passengers: int = 0


class Flights:
    """The questions under way, each of which has a task that belongs to the block."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._flying: dict[Hashable, _Flight] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        """Own questions for the length of the block; what is under way at its end is given up."""
        async with asyncio.TaskGroup() as group:
            flights = cls(group)
            try:
                yield flights
            finally:
                flights._give_up()

    async def join(
        self,
        key: Hashable,
        ask: Callable[[Ticket], Awaitable[T]],
        priority: Priority,
        *,
        pace: Pace,
    ) -> T:
        """Return the answer to a question, which is asked unless that is under way already.

        Whoever stops waiting stops nobody else; the question is given up when nobody is left.

        Args:
            key: what makes two questions one; all who share it want the same type of answer.
            ask: asks it, and waits for its turns with this ticket.
            priority: how urgent it is to this one.
            pace: where it waits for its turns.
        """
        flight = self._flying.get(key)
        if flight is None:
            flight = self._begin(key, ask, priority)
        else:
            pace.hurry(flight.ticket, priority)
        flight.passengers += 1
        try:
            # `wait` leaves what it waits for alone when it is itself cancelled.
            await asyncio.wait((flight.outcome,))
        finally:
            flight.passengers -= 1
            if not flight.passengers and not flight.outcome.done():
                self._forget(key, flight)
                if flight.task is not None:
                    flight.task.cancel()
        answer: T = flight.outcome.result()
        return answer

    def _begin(
        self, key: Hashable, ask: Callable[[Ticket], Awaitable[T]], priority: Priority
    ) -> _Flight:
        outcome = asyncio.get_running_loop().create_future()
        flight = self._flying[key] = _Flight(ticket=Ticket(priority), outcome=outcome)

        async def fly() -> None:
            try:
                outcome.set_result(await ask(flight.ticket))
            except asyncio.CancelledError:
                _fail(outcome, ProviderUnavailableError("It was not waited for"))
                raise
            except Exception as error:  # noqa: BLE001 -- handed on to all who wait, not kept
                _fail(outcome, error)
            finally:
                self._forget(key, flight)

        flight.task = self._group.create_task(fly(), name="a question to a provider")
        return flight

    def _forget(self, key: Hashable, flight: _Flight) -> None:
        if self._flying.get(key) is flight:
            del self._flying[key]

    def _give_up(self) -> None:
        for flight in list(self._flying.values()):
            if flight.task is not None:
                flight.task.cancel()
            # Also for a task that is cancelled before its first step, and never says anything.
            _fail(flight.outcome, ProviderUnavailableError("Nothing is asked any more"))
        self._flying.clear()


def _fail(outcome: asyncio.Future[Any], error: Exception) -> None:
    if not outcome.done():
        outcome.set_exception(error)
        # Looked at, so that asyncio does not complain when nobody else does.
        outcome.exception()
