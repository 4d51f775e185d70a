"""Reading a file while it arrives."""

import asyncio
import io
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from miauflixd.errors import TimedOutError, UnavailableError
from miauflixd.runtime import page_cache
from miauflixd.torrents.active import Position
from miauflixd.torrents.model import Layout, SourceFile
from miauflixd.torrents.pieces import Pieces

_SPAN_MINIMUM = 2**20
"""Bytes of a reader's first span, and of all spans of a slow client.

A reader's position, and with it its window, moves at this grain.
"""

SPAN_MAXIMUM = 128 * 2**20
"""Bytes of a span for the fastest client: with 8 MiB it got a sixth less than nginx gives it."""

_QUICK = 0.05
"""Seconds in which a span was sent after which the next one may be twice as long."""

_SLOW = 0.25
"""Seconds of sending after which the next span is of the first one's length again."""

_RATE_WEIGHT = 0.2
"""Of the latest span in the running mean of a reader's rate."""

_PROBE_EVERY = 2**20
"""Bytes between the pages that are looked at when finding out what is in memory."""

_FETCH = 8 * 2**20
"""Bytes read from the disk at once when they are not in memory."""


class NoDataError(TimedOutError):
    """The swarm, or a file's server, gave nothing for too long."""

    code = "no_data"


class SourceFailedError(UnavailableError):
    """The source cannot be played: its files are gone, or its torrent was refused."""

    code = "source_failed"


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of an open file that have passed their hash."""

    file: io.FileIO
    offset: int
    length: int


class Content(Protocol):
    """What a reader reads from, wherever its bytes come from."""

    @property
    def pieces(self) -> Pieces:
        """Those that may be sent."""
        ...

    def enter(self, position: Position) -> None:
        """Have what this reader needs come first, from now on."""
        ...

    def leave(self, position: Position) -> None:
        """Forget a reader."""
        ...

    def moved(self) -> None:
        """Note that some reader went on."""
        ...

    async def wait_for_data(self, at: Position, *, begun: bool) -> None:
        """Wait until the piece at a reader's position may be sent.

        Args:
            at: the reader.
            begun: whether it has sent something already, so that an end is an interruption.

        Raises:
            NoDataError: nothing came for too long.
            MiauflixdError: it will not come.
        """
        ...


class Reader:
    """One client's way through one file.

    Invariant: a span covers only pieces that the content says may be sent.
    """

    def __init__(
        self,
        *,
        content: Content,
        layout: Layout,
        file: SourceFile,
        path: Path,
        etag: str,
        longest: int = SPAN_MAXIMUM,
    ) -> None:
        """Stand at no position yet.

        Args:
            content: what is read.
            layout: of the pieces.
            file: in that layout.
            path: where its bytes are.
            etag: a strong validator, in its quotes.
            longest: bytes of a span; what is fetched ahead is not to be sent in one.
        """
        self._longest = longest
        self._content = content
        self._layout = layout
        self._path = path
        self.file = file
        self.etag = etag

    async def spans(self, start: int, stop: int) -> AsyncGenerator[Span, None]:
        """Yield the bytes from `start` up to but not with `stop`, as they arrive.

        The next span is asked for when the last has been sent: a slow client slows only itself.

        Raises:
            NoDataError: nothing came for too long.
            TunnelDownError: nor could it, for there is no way out.
            StorageFullError: there is no room for what was asked.
            SourceFailedError: the file is gone, or the source was removed.
        """
        loop = asyncio.get_running_loop()
        at = Position(file=self.file, position=start, stop=stop)
        opened: io.FileIO | None = None
        length = _SPAN_MINIMUM
        self._content.enter(at)
        try:
            while at.position < stop:
                await self._content.wait_for_data(at, begun=at.position > start)
                if opened is None:
                    opened = self._open()
                reach = self._content.pieces.reach(
                    self._layout, self.file, at.position, min(stop, at.position + length)
                )
                ready = await _in_memory(opened, at.position, reach - at.position)
                began = loop.time()
                yield Span(opened, at.position, ready)
                took = loop.time() - began
                _note_rate(at, ready, took)
                length = min(_next_length(length, took), self._longest)
                at.position += ready
                self._content.moved()
        finally:
            # Before anything else: the window is freed at once when the client goes away.
            self._content.leave(at)
            if opened is not None:
                opened.close()

    def _open(self) -> io.FileIO:
        try:
            # The name is ours, but what lies there may have been changed by others.
            return io.FileIO(os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
        except OSError as error:
            raise SourceFailedError("The file is not on the disk any more") from error


def _note_rate(at: Position, length: int, seconds: float) -> None:
    rate = length / max(seconds, 0.001)
    at.rate = rate if at.rate == 0 else at.rate + _RATE_WEIGHT * (rate - at.rate)


def _next_length(length: int, took: float) -> int:
    """Return how long the next span may be, after one that was sent in so many seconds.

    The buffers of a connection swallow some megabytes of any client at once, so it grows by steps.
    """
    if took < _QUICK:
        return min(2 * length, SPAN_MAXIMUM)
    return _SPAN_MINIMUM if took > _SLOW else length


async def _in_memory(file: io.FileIO, offset: int, length: int) -> int:
    """Return how many of these bytes sendfile can send without stopping the loop for the disk.

    That is all of them when they were written a moment ago; it takes a system call for each MiB to
    find out. When the first are not in memory, they are read now.
    """
    for probe in range(offset, offset + length, _PROBE_EVERY):
        try:
            os.preadv(file.fileno(), [bytearray(1)], probe, os.RWF_NOWAIT)
        except BlockingIOError:
            if probe > offset:
                return probe - offset
            length = min(length, _FETCH)
            await asyncio.to_thread(_read_through, file.fileno(), offset, length)
            return length
        except OSError:
            # A file system that cannot tell, such as FUSE, where a program answers when it likes.
            return await _brought(file.fileno(), offset, length)
    return length


async def _brought(descriptor: int, offset: int, length: int) -> int:
    """Return how many of these bytes are in memory, reading the first of them if they are not."""
    try:
        if here := page_cache.resident(descriptor, offset, length):
            return here
    except OSError:
        pass  # then they are read once more
    length = min(length, _FETCH)
    await asyncio.to_thread(_read_through, descriptor, offset, length)
    return length


def _read_through(descriptor: int, offset: int, length: int) -> None:
    os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_WILLNEED)
    for at in range(offset, offset + length, _PROBE_EVERY):
        os.pread(descriptor, min(_PROBE_EVERY, offset + length - at), at)
