"""What the web layer wants of others."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from miauflixd.torrents.model import Source, SourceFile, SourceId
from miauflixd.torrents.reader import Span


class Reader(Protocol):
    """One client's way through one file."""

    @property
    def file(self) -> SourceFile:
        """The file that is read."""
        ...

    @property
    def etag(self) -> str:
        """A strong validator, in its quotes."""
        ...

    def spans(self, start: int, stop: int) -> AsyncGenerator[Span, None]:
        """Yield the file's bytes from `start` up to but not with `stop`, as they arrive.

        Raises:
            MiauflixdError: there will be no further one.
        """
        ...


class Torrents(Protocol):
    """The sources, as far as handlers use them."""

    async def add_magnet(self, uri: str) -> SourceId:
        """Add what a magnet link names; what it holds becomes known later.

        Adding it again is the same source.

        Raises:
            BadTorrentError: it is no usable magnet link.
        """
        ...

    async def add_info_hash(self, text: str) -> SourceId:
        """Add the torrent with this info-hash; see `add_magnet`.

        Raises:
            BadTorrentError: it is no info-hash.
        """
        ...

    async def add_metainfo(self, metainfo: bytes) -> SourceId:
        """Add a `.torrent` file; its layout is known on return.

        Raises:
            BadTorrentError: it cannot be used.
        """
        ...

    def sources(self) -> Sequence[Source]:
        """Return every source as it is now."""
        ...

    def source(self, source_id: SourceId) -> Source:
        """Return one source as it is now.

        Raises:
            NoSourceError: there is none.
        """
        ...

    def reader(self, source_id: SourceId, file: int | None) -> AbstractAsyncContextManager[Reader]:
        """Read a file of a source, or its main file, for the length of the block.

        Raises:
            NoSourceError: there is no such source or file.
            MiauflixdError: it cannot be read.
        """
        ...

    async def remove(self, source_id: SourceId) -> None:
        """Forget a source and what was downloaded of it.

        Raises:
            NoSourceError: there is none.
        """
        ...

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[SourceId]]:
        """Follow the sources: an id whenever that source changed, was added or removed.

        Changes that come faster than they are taken are one.
        """
        ...
