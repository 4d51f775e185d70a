"""Hours in no time: the loop's own clock and the one on the wall, moved by hand."""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from miauflixd.database.database import Database

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class TimeMachine:
    """Time stands still until it is moved; then every timer goes off in its turn.

    `asyncio.timeout` and `asyncio.sleep` obey, since the loop itself has no other clock.
    """

    def __init__(self, database: Database) -> None:
        # Any: to stop a loop's clock is not what its interface is for.
        self._loop: Any = asyncio.get_running_loop()
        # Any: what is under way in the database's thread is nobody else's business.
        self._database: Any = database
        self._submit = self._database._submit
        self._under_way = 0
        self._start = self._seconds = self._loop.time()
        self._set_by = timedelta()

    @classmethod
    @contextmanager
    def stopped(cls, database: Database) -> Iterator["TimeMachine"]:
        """Stop time for the length of the block."""
        machine = cls(database)
        machine._loop.time = lambda: machine._seconds
        resolution = machine._loop._clock_resolution
        machine._move(machine._seconds)
        machine._database._submit = machine._counted
        try:
            yield machine
        finally:
            machine._loop._clock_resolution = resolution
            del machine._loop.time
            del machine._database._submit

    def __call__(self) -> datetime:
        """Return what the clock on the wall shows."""
        return START + timedelta(seconds=self._seconds - self._start) + self._set_by

    def set(self, by: timedelta) -> None:
        """Set the clock on the wall; no time passes."""
        self._set_by += by

    async def settle(self) -> None:
        """Let everything happen that can without time passing."""
        quiet = 0
        while quiet < 3:
            await self._submit(lambda: None)
            await asyncio.sleep(0)
            quiet = 0 if self._loop._ready or self._under_way else quiet + 1

    async def pass_by(self, **time: float) -> None:
        """Let time pass, one timer after the other."""
        await self.settle()
        end = self._seconds + timedelta(**time).total_seconds()
        while (soonest := self._soonest()) <= end:
            self._move(max(self._seconds, soonest))
            await self.settle()
        self._move(end)
        await self.settle()

    def _move(self, seconds: float) -> None:
        self._seconds = seconds
        # A timer that goes off early, if only by a nanosecond, may be set again for the very same
        # time, and so for ever.
        self._loop._clock_resolution = math.ulp(seconds)

    async def _counted(self, call: Callable[[], Any]) -> Any:
        self._under_way += 1
        try:
            return await self._submit(call)
        finally:
            self._under_way -= 1

    def _soonest(self) -> float:
        timers = [one.when() for one in self._loop._scheduled if not one.cancelled()]
        return min(timers, default=float("inf"))
