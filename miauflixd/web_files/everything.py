"""All that can be played by its bytes, out of a swarm or off the web, behind the same words."""

import heapq
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal

from miauflixd.runtime.changes import Changes
from miauflixd.torrents.model import Source, SourceId
from miauflixd.torrents.preloading import Span
from miauflixd.torrents.reader import Reader
from miauflixd.torrents.service import Torrents
from miauflixd.web_files.model import WebContent
from miauflixd.web_files.service import WebSources

Place = tuple[float, SourceId]


class Everything:
    """Torrents and web sources together. Whoever plays a source need not know which it is."""

    def __init__(
        self, *, torrents: Torrents, web_sources: WebSources, changes: Changes[SourceId]
    ) -> None:
        """Join them.

        Args:
            torrents: those of swarms.
            web_sources: those of the web.
            changes: where both tell of their changes.
        """
        self._torrents = torrents
        self._web_sources = web_sources
        self._changes = changes
        self._readings: Callable[[SourceId], None] = lambda _: None
        self._newest: list[Place] = []
        self._newest_of: tuple[Sequence[Place], Sequence[Place]] = ((), ())
        """What `_newest` was made of."""

    def _home(self, source_id: SourceId) -> Torrents | WebSources:
        return self._web_sources if source_id in self._web_sources else self._torrents

    async def add_magnet(self, uri: str, *, wake: bool = True) -> SourceId:
        """See `Torrents`."""
        return await self._torrents.add_magnet(uri, wake=wake)

    async def add_info_hash(self, text: str) -> SourceId:
        """See `Torrents`."""
        return await self._torrents.add_info_hash(text)

    async def add_metainfo(self, metainfo: bytes, *, wake: bool = True) -> SourceId:
        """See `Torrents`."""
        return await self._torrents.add_metainfo(metainfo, wake=wake)

    async def add_web_content(self, content: WebContent) -> SourceId:
        """See `WebSources.add`."""
        return await self._web_sources.add(content)

    def sources(self) -> Sequence[Source]:
        """Return all sources."""
        return [*self._torrents.sources(), *self._web_sources.sources()]

    def newest_first(self) -> Sequence[Place]:
        """Return the place and the id of each source, in ascending order; the newest is the first.

        Cheap however many there are, unlike `sources`.
        """
        torrents, web = self._torrents.newest_first(), self._web_sources.newest_first()
        # Both return the same list until something comes or goes.
        if torrents is not self._newest_of[0] or web is not self._newest_of[1]:
            self._newest = list(heapq.merge(torrents, web))
            self._newest_of = (torrents, web)
        return self._newest

    def source(self, source_id: SourceId) -> Source:
        """Return a source as it is right now.

        Raises:
            NoSourceError: there is none of this id.
        """
        return self._home(source_id).source(source_id)

    @asynccontextmanager
    async def reader(self, source_id: SourceId, file: int | None) -> AsyncIterator[Reader]:
        """Read a file of a source, or its main file, for the length of the block.

        Raises:
            NoSourceError: there is no such source or file.
            MiauflixdError: it cannot be read.
        """
        async with self._home(source_id).reader(source_id, file) as reader:
            self._readings(source_id)
            try:
                yield reader
            finally:
                self._readings(source_id)

    async def remove(self, source_id: SourceId) -> None:
        """Forget a source and what was downloaded of it.

        Raises:
            NoSourceError: there is none of this id.
        """
        await self._home(source_id).remove(source_id)

    async def discard(self, source_id: SourceId) -> None:
        """Delete what was downloaded of a source, and go on knowing it.

        Raises:
            NoSourceError: there is none of this id.
            SourceInUseError: somebody reads of it.
        """
        await self._home(source_id).discard(source_id)

    async def pause(self, source_id: SourceId) -> None:
        """Fetch and give nothing more of a source until it is played or resumed; see `Torrents`."""
        await self._home(source_id).pause(source_id)

    async def resume(self, source_id: SourceId) -> None:
        """Go on with a source; see `Torrents`."""
        await self._home(source_id).resume(source_id)

    def knows(self, source_id: SourceId) -> bool:
        """Return whether there is such a source."""
        return source_id in self._torrents or source_id in self._web_sources

    def reading(self, source_id: SourceId) -> bool:
        """Return whether somebody reads of a source now."""
        return self._home(source_id).is_read(source_id)

    def on_read(self, tell: Callable[[SourceId], None]) -> None:
        """Have this told whenever somebody begins to read of a source, and when they end."""
        self._readings = tell

    async def preload(self, source_id: SourceId, spans: Sequence[Span], *, rank: int) -> None:
        """Fetch parts of a source's files before anybody plays it; they replace the last ones.

        Args:
            source_id: the source.
            spans: in the order in which they are wanted.
            rank: higher ones go first.

        Raises:
            NoSourceError: there is no such source, or it has no such file.
        """
        if source_id in self._web_sources:
            await self._web_sources.preload(source_id, spans, rank=rank)
        else:
            await self._torrents.preloading.preload(source_id, spans, rank=rank)

    def stop_preload(self, source_id: SourceId) -> None:
        """Want nothing of a preload any more; what has come stays on the disk."""
        self._web_sources.stop_preload(source_id)
        self._torrents.preloading.stop_preload(source_id)

    def preloaded(self, source_id: SourceId) -> bool:
        """Whether all that was asked of a source is on the disk."""
        return self._web_sources.preloaded(source_id) or self._torrents.preloading.preloaded(
            source_id
        )

    @property
    def hungry(self) -> bool:
        """Whether somebody who reads waits for data."""
        return self._torrents.hungry or self._web_sources.hungry

    @property
    def readers(self) -> int:
        """How many read a file of any source now."""
        return self._torrents.readers + self._web_sources.readers

    @property
    def downloads(self) -> int:
        """How many sources want something from others now."""
        return self._torrents.downloads + self._web_sources.downloads

    @property
    def activity(self) -> Literal["idle", "active", "streaming"]:
        """How much depends on the ways out."""
        return "streaming" if self._web_sources.readers else self._torrents.activity

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[SourceId]]:
        """Yield the id of each source that changes, comes or goes, for the length of the block."""
        return self._changes.listen()
