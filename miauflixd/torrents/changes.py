"""Who wants to know that a source has changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from miauflixd.torrents.model import SourceId

_PAUSE = 0.25
"""Seconds between two tellings: four a second look live, and a busy swarm makes hundreds."""


class Changes:
    """A blackboard: which sources changed since each listener last looked.

    A listener that is slow finds the ids of what changed, each once, never a growing queue.
    """

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()

    def note(self, source_id: SourceId) -> None:
        """Tell all listeners that a source has changed, appeared or gone."""
        for listener in self._listeners:
            listener.changed[source_id] = None
            listener.stirred.set()

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[SourceId]]:
        """Yield the ids of what changes for the length of the block."""
        listener = _Listener()
        self._listeners.add(listener)
        try:
            yield listener.ids()
        finally:
            self._listeners.discard(listener)


class _Listener:
    def __init__(self) -> None:
        self.changed: dict[SourceId, None] = {}
        self.stirred = asyncio.Event()

    async def ids(self) -> AsyncIterator[SourceId]:
        while True:
            await self.stirred.wait()
            self.stirred.clear()
            changed, self.changed = self.changed, {}
            for source_id in changed:
                yield source_id
            await asyncio.sleep(_PAUSE)
