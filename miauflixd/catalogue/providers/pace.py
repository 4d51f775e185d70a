"""How fast a server may be asked, and who goes first."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from miauflixd.catalogue.providers.provider import ProviderUnavailableError
from miauflixd.runtime.priority import Priority

_PATIENCE = 3.0
"""Seconds for which a person is left to wait for a server that wants to be left alone."""

_ROUTINE_PATIENCE = 60.0
"""Seconds for which the others are: what takes longer their timetable had better plan."""


class Timer(Protocol):
    """A monotonic clock that also rings; asyncio's event loops are such."""

    def time(self) -> float:
        """Return seconds since whenever."""
        ...

    def call_at(self, when: float, callback: Callable[[], None], /) -> object:
        """Call back once that time has come."""
        ...


class Ticket:
    """A place among those who wait; whoever holds it may be moved up."""

    __slots__ = ("called", "priority")

    def __init__(self, priority: Priority) -> None:
        self.priority = priority
        self.called: asyncio.Future[None] | None = None
        """Done when it is this one's turn; `None` while nobody waits with it."""


class Pace:
    """The turns at one server.

    In any stretch of `t` seconds at most `per_second * t + burst` turns begin, and never more than
    `at_once` are under way. A turn goes to the most urgent who wait, and among these to whoever
    has waited longest. While the server wants to rest nobody's turn begins.

    Invariant: whenever somebody waits, either all turns are under way, or the timer rings for them.
    """

    def __init__(
        self,
        *,
        company: str,
        per_second: float,
        burst: int,
        at_once: int,
        timer: Timer | None = None,
    ) -> None:
        """Say how fast.

        Args:
            company: whose server it is, for a person.
            per_second: turns that may begin in a second, in the long run.
            burst: turns that may begin at the same moment after a quiet time; at least 1.
            at_once: turns that may be under way.
            timer: the time; the running loop's by default.
        """
        self._company = company
        self._timer = timer or asyncio.get_running_loop()
        self._interval = 1 / per_second
        self._slack = (burst - 1) * self._interval
        # When the next turn would begin if all kept their distance; a burst borrows from it. It is
        # never left behind by the time, so that a quiet hour earns no more than a burst.
        self._due = self._timer.time()
        self._rested = self._timer.time()
        self._free = at_once
        self._rings_at: float | None = None
        self._waiting: dict[Priority, OrderedDict[Ticket, None]] = {
            priority: OrderedDict() for priority in sorted(Priority)
        }

    @property
    def resting(self) -> float:
        """Seconds for which the server still wants to be left alone; 0 as a rule."""
        return max(self._rested - self._timer.time(), 0.0)

    @asynccontextmanager
    async def turn(self, who: Priority | Ticket) -> AsyncIterator[None]:
        """Wait for a turn, and have it for the length of the block.

        Raises:
            ProviderUnavailableError: the server wants to rest for longer than this one can wait.
        """
        ticket = who if isinstance(who, Ticket) else Ticket(who)
        await self._wait(ticket)
        try:
            yield
        finally:
            self._free += 1
            self._serve()

    def hurry(self, ticket: Ticket, priority: Priority) -> None:
        """Make somebody at least as urgent as this, behind those who already are."""
        if priority >= ticket.priority:
            return
        if ticket in self._waiting[ticket.priority]:
            del self._waiting[ticket.priority][ticket]
            self._waiting[priority][ticket] = None
        ticket.priority = priority
        self._send_away()

    def rest(self, seconds: float) -> None:
        """Begin no turn for so long; who waits and cannot wait so long is told so at once."""
        self._rested = max(self._rested, self._timer.time() + seconds)
        self._send_away()

    async def _wait(self, ticket: Ticket) -> None:
        self._refuse(ticket.priority)
        called = ticket.called = asyncio.get_running_loop().create_future()
        self._waiting[ticket.priority][ticket] = None
        self._serve()
        try:
            await called
        except BaseException:
            if ticket in self._waiting[ticket.priority]:
                del self._waiting[ticket.priority][ticket]
            elif _begun(called):
                # It was called, and gave up before it heard.
                self._free += 1
            self._serve()
            raise
        finally:
            ticket.called = None

    def _serve(self) -> None:
        """Let in whoever may, and be called again when the next one may."""
        while self._free and (ticket := self._first()) is not None:
            now = self._timer.time()
            opens = max(self._due - self._slack, self._rested)
            if now < opens:
                self._ring_at(opens)
                return
            self._due = max(self._due, now) + self._interval
            self._free -= 1
            self._dismiss(ticket, None)

    def _first(self) -> Ticket | None:
        return next((next(iter(line)) for line in self._waiting.values() if line), None)

    def _dismiss(self, ticket: Ticket, error: ProviderUnavailableError | None) -> None:
        del self._waiting[ticket.priority][ticket]
        if ticket.called is None or ticket.called.done():
            # Cancelled, but not awake yet to say so.
            self._free += error is None
        elif error is None:
            ticket.called.set_result(None)
        else:
            ticket.called.set_exception(error)

    def _ring_at(self, when: float) -> None:
        # Alarms are not withdrawn, for one that finds nothing to do does no harm; but there is no
        # second one while an earlier one is to come.
        if self._rings_at is None or when < self._rings_at:
            self._rings_at = when
            self._timer.call_at(when, self._rung)

    def _rung(self) -> None:
        self._rings_at = None
        self._serve()

    def _send_away(self) -> None:
        for priority, line in self._waiting.items():
            for ticket in list(line):
                try:
                    self._refuse(priority)
                except ProviderUnavailableError as error:
                    self._dismiss(ticket, error)

    def _refuse(self, priority: Priority) -> None:
        patience = _PATIENCE if priority is Priority.WAITED_FOR else _ROUTINE_PATIENCE
        if (left := self.resting) > patience:
            raise ProviderUnavailableError(
                f"{self._company} wants to be left alone for a while", retry_after=left
            )


def _begun(called: asyncio.Future[None]) -> bool:
    return called.done() and not called.cancelled() and called.exception() is None
