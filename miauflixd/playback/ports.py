"""What the parts of playback want of each other."""

from collections.abc import Sequence
from typing import Protocol

from miauflixd.playback.model import Recipe
from miauflixd.remuxer.media import Media, SubtitlePacket
from miauflixd.torrents.model import SourceId


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

    async def hls(self, source_id: SourceId, file: int | None, recipe: Recipe) -> HlsStream:
        """Return a file as HLS.

        Nothing runs until something of it is asked for, and a minute after the last time nothing
        does any more.

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
