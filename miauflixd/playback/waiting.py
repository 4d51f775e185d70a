"""Who waits for the bytes of which source, and for how long nothing has come."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Self

from miauflixd.playback.ports import Reader, Readers
from miauflixd.torrents.model import SourceFile, SourceId
from miauflixd.torrents.reader import Span


class Waiting:
    """Readers that are looked at while they wait. Everybody who plays reads through here."""

    def __init__(self, sources: Readers) -> None:
        self._sources = sources
        self._since: dict[SourceId, dict[object, float]] = {}

    @asynccontextmanager
    async def reader(self, source_id: SourceId, file: int | None) -> AsyncIterator["WatchedReader"]:
        """See `Readers`. A reader that waits to know what a source holds waits as well."""
        with _Wait(self._since, source_id) as wait:
            async with self._sources.reader(source_id, file) as reader:
                wait.end()
                yield WatchedReader(reader, self._since, source_id)

    def somebody(self, source_id: SourceId) -> "_Wait":
        """Return what counts as somebody who waits, for the length of its block."""
        return _Wait(self._since, source_id)

    def since(self, source_id: SourceId) -> float | None:
        """Return since when somebody waits for bytes of a source, by the loop's clock."""
        waits = self._since.get(source_id)
        return min(waits.values()) if waits else None


class _Wait:
    """Somebody waits, for the length of the block or until it ends before."""

    def __init__(self, since: dict[SourceId, dict[object, float]], source_id: SourceId) -> None:
        self._all = since
        self._source_id = source_id

    def __enter__(self) -> Self:
        now = asyncio.get_running_loop().time()
        self._all.setdefault(self._source_id, {})[self] = now
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Note that it has come."""
        waits = self._all.get(self._source_id, {})
        waits.pop(self, None)
        if not waits:
            self._all.pop(self._source_id, None)


class WatchedReader:
    """A reader that says while it waits."""

    def __init__(
        self, reader: Reader, since: dict[SourceId, dict[object, float]], source_id: SourceId
    ) -> None:
        self._reader = reader
        self._since = since
        self._source_id = source_id

    @property
    def file(self) -> SourceFile:
        """The file that is read."""
        return self._reader.file

    @property
    def etag(self) -> str:
        """A strong validator, in its quotes."""
        return self._reader.etag

    async def spans(self, start: int, stop: int) -> AsyncGenerator[Span, None]:
        """See `Reader`."""
        async with aclosing(self._reader.spans(start, stop)) as spans:
            while True:
                with _Wait(self._since, self._source_id):
                    span = await anext(spans, None)
                if span is None:
                    return
                yield span
