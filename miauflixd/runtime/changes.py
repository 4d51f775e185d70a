"""Who wants to know that something has changed."""

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

_PAUSE = 0.25
"""Seconds between two tellings: four a second look live, and a busy swarm makes hundreds."""


class Changes(Generic[T]):
    """A blackboard: the ids of what changed since each listener last looked.

    A listener that is slow finds each id once, however often it changed, never a growing queue.
    """

    def __init__(self) -> None:
        self._listeners: set[_Listener[T]] = set()

    def note(self, changed: T) -> None:
        """Tell all listeners that this has changed, appeared or gone."""
        for listener in self._listeners:
            listener.changed[changed] = None
            listener.stirred.set()

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[T]]:
        """Yield the id of each thing that changes, for the length of the block."""
        with self._listener() as listener:
            yield listener.ids()

    @asynccontextmanager
    async def listen_in_batches(self) -> AsyncIterator[AsyncIterator[tuple[T, ...]]]:
        """Yield all that has changed since the last look at once, for the length of the block."""
        with self._listener() as listener:
            yield listener.batches()

    @contextmanager
    def _listener(self) -> Iterator["_Listener[T]"]:
        listener = _Listener[T]()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)


class _Listener(Generic[T]):
    def __init__(self) -> None:
        self.changed: dict[T, None] = {}
        self.stirred = asyncio.Event()

    async def ids(self) -> AsyncIterator[T]:
        async for batch in self.batches():
            for one in batch:
                yield one

    async def batches(self) -> AsyncIterator[tuple[T, ...]]:
        while True:
            await self.stirred.wait()
            self.stirred.clear()
            changed, self.changed = self.changed, {}
            yield tuple(changed)
            await asyncio.sleep(_PAUSE)
