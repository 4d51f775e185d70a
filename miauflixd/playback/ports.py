"""What the parts of playback want of each other."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from miauflixd.playback.model import Recipe
from miauflixd.remuxer.media import Media, SubtitlePacket
from miauflixd.torrents.model import SourceFile, SourceId
from miauflixd.torrents.reader import Span


class Reader(Protocol):
    """One way through one file; see `torrents.reader.Reader`."""

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


class Readers(Protocol):
    """Where the bytes of sources are."""

    def reader(self, source_id: SourceId, file: int | None) -> AbstractAsyncContextManager[Reader]:
        """Read a file of a source, or its main file, for the length of the block.

        Raises:
            NoSourceError: there is no such source or file.
            MiauflixdError: it cannot be read.
        """
        ...


class HlsStream(Protocol):
    """A file as HLS, made from whatever position is asked for. Several clients may share it."""

    @property
    def durations(self) -> Sequence[float]:
        """Seconds of each segment, all of them, known from the start."""
        ...

    @property
    def codecs(self) -> str:
        """The `CODECS` of RFC 8216: `avc1.640028,mp4a.40.2`."""
        ...

    def warm(self) -> None:
        """Begin to make what the client will probably ask for first."""
        ...

    async def aclose(self) -> None:
        """Make nothing more for this client."""
        ...

    async def init(self) -> bytes:
        """Return the initialisation segment, the same for every position.

        Raises:
            MiauflixdError: it cannot be made.
        """
        ...

    async def segment(self, number: int) -> bytes:
        """Return a segment, which is made now unless it is there.

        Args:
            number: from 0.

        Raises:
            NotFoundError: there is no such segment.
            NoDataError: the source gave nothing for too long.
            MiauflixdError: it cannot be made.
        """
        ...


class MediaFiles(Protocol):
    """Files of sources, opened as media by worker processes. `None` is a source's main file."""

    async def probe(self, source_id: SourceId, file: int | None) -> Media:
        """Return what a file holds; out of the database if it was ever found out.

        Raises:
            NoSourceError: there is no such source or file.
            UnplayableFileError: nothing can be made of it, however often one tries.
            MiauflixdError: it could not be found out now.
        """
        ...

    async def hls(
        self, source_id: SourceId, file: int | None, recipe: Recipe, *, start: float = 0.0
    ) -> HlsStream:
        """Return a file as HLS for one client.

        What is made is shared with others who watch the same. A minute after the last time that
        something was asked for nothing runs any more.

        Args:
            source_id: the source.
            file: of it.
            recipe: what is made of it.
            start: seconds at which the client will probably begin.

        Raises:
            As `probe`.
        """
        ...

    async def subtitles(
        self, source_id: SourceId, file: int | None, *, track: int, start: float, stop: float
    ) -> Sequence[SubtitlePacket]:
        """Return the events of a text track that are shown between two moments, in seconds.

        Only what lies between them in the file is read; what a stream made of the file has passed
        is known already.

        Raises:
            As `probe`, and NotFoundError: there is no such text track.
        """
        ...

    async def attachment(self, source_id: SourceId, file: int | None, index: int) -> bytes:
        """Return a file within the file, such as a font.

        Raises:
            As `probe`, and NotFoundError: there is none.
        """
        ...
