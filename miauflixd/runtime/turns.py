"""Letting so many at a time do something, the urgent ones first."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from miauflixd.runtime.priority import Priority


class Turns:
    """A semaphore with a queue that is in the order of who waits."""

    def __init__(self, limit: int, *, reserved: int = 0) -> None:
        """Begin with nobody inside.

        Args:
            limit: how many may have their turn at once.
            reserved: how many of these turns only what a person waits for may have.
        """
        self._limit = limit
        self._reserved = reserved
        self._inside = 0
        self._numbers = itertools.count()
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def turn(self, priority: Priority) -> AsyncIterator[None]:
        """Wait for a turn, and have it for the length of the block."""
        await self._enter(priority)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, priority: Priority) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._numbers), turn))
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()  # it was given in the very moment in which nobody wanted it any more
            raise

    def _leave(self) -> None:
        self._inside -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting:
            priority, _, turn = self._waiting[0]
            if turn.cancelled():
                heapq.heappop(self._waiting)
                continue
            reserved = 0 if priority is Priority.WAITED_FOR else self._reserved
            if self._inside >= self._limit - reserved:
                return  # nor may anybody behind, who is less urgent
            heapq.heappop(self._waiting)
            self._inside += 1
            turn.set_result(None)
