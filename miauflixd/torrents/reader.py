"""Reading a file while it arrives."""

import asyncio
import io
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from miauflixd.errors import StorageFullError, TimedOutError, UnavailableError
from miauflixd.torrents.active import ActiveTorrent, Position
from miauflixd.torrents.model import Layout, SourceFile
from miauflixd.torrents.road import Road

_SPAN_MINIMUM = 2**20
"""Bytes of a reader's first span, and of all spans of a slow client.

A reader's position, and with it its window, moves at this grain.
"""

_SPAN_MAXIMUM = 128 * 2**20
"""Bytes of a span for the fastest client: with 8 MiB it got a sixth less than nginx gives it."""

_QUICK = 0.05
"""Seconds in which a span was sent after which the next one may be twice as long."""

_SLOW = 0.25
"""Seconds of sending after which the next span is of the first one's length again."""

_SUSPICIOUS_AFTER = 5.0
"""Seconds of waiting for one piece after which something must be wrong.

One of 17 starts in a test never reported a piece that was there.
"""

_RATE_WEIGHT = 0.2
"""Of the latest span in the running mean of a reader's rate."""

_PROBE_EVERY = 2**20
"""Bytes between the pages that are looked at when finding out what is in memory."""

_FETCH = 8 * 2**20
"""Bytes read from the disk at once when they are not in memory."""


class NoDataError(TimedOutError):
    """The swarm gave nothing for too long."""

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


class Reader:
    """One client's way through one file.

    Invariant: a span covers only pieces that the engine has reported as on the disk and right.
    """

    def __init__(
        self,
        *,
        torrent: ActiveTorrent,
        layout: Layout,
        file: SourceFile,
        path: Path,
        road: Road,
        no_data_timeout: float,
    ) -> None:
        self._torrent = torrent
        self._layout = layout
        self._path = path
        self._road = road
        self._no_data_timeout = no_data_timeout
        self.file = file

    @property
    def etag(self) -> str:
        """A strong validator: what a source holds never changes."""
        return f'"{self._torrent.source_id}-{self.file.index}-{self.file.size}"'

    async def spans(self, start: int, stop: int) -> AsyncGenerator[Span, None]:
        """Yield the bytes from `start` up to but not with `stop`, as they arrive.

        The next span is asked for when the last has been sent: a slow client slows only itself.

        Raises:
            NoDataError: the swarm gave nothing for too long.
            TunnelDownError: nor could it, for there is no way to it.
            StorageFullError: there is no room for what was asked.
            SourceFailedError: the file is gone, or the torrent was removed.
        """
        loop = asyncio.get_running_loop()
        at = Position(file=self.file, position=start, stop=stop)
        content: io.FileIO | None = None
        length = _SPAN_MINIMUM
        self._torrent.enter(at)
        try:
            while at.position < stop:
                await self._wait_for_data(at, begun=at.position > start)
                if content is None:
                    content = self._open()
                reach = self._torrent.pieces.reach(
                    self._layout, self.file, at.position, min(stop, at.position + length)
                )
                ready = await _in_memory(content, at.position, reach - at.position)
                began = loop.time()
                yield Span(content, at.position, ready)
                took = loop.time() - began
                _note_rate(at, ready, took)
                length = _next_length(length, took)
                at.position += ready
                self._torrent.moved()
        finally:
            # Before anything else: the window is freed at once when the client goes away.
            self._torrent.leave(at)
            if content is not None:
                content.close()

    async def _wait_for_data(self, at: Position, *, begun: bool) -> None:
        """Wait for the piece at a reader's position as long as the swarm gives anything at all."""
        torrent = self._torrent
        piece = self._layout.piece_at(self.file, at.position)
        if piece in torrent.pieces:
            return
        torrent.replan()
        loop = asyncio.get_running_loop()
        downloaded, silent_since = torrent.downloaded, loop.time()
        while piece not in torrent.pieces:
            if torrent.removed.is_set():
                raise SourceFailedError("This source was removed while it was being read")
            if torrent.failure is not None:
                raise SourceFailedError(torrent.failure)
            if torrent.no_room:
                raise StorageFullError("There is too little room on the disk to go on downloading")
            if torrent.downloaded > downloaded:
                downloaded, silent_since = torrent.downloaded, loop.time()
            patience = self._no_data_timeout
            # What is on the disk is not known at first, and may be all that is wanted.
            deadline = self._road.deadline(
                silent_since, patience=patience, begun=begun or not torrent.checked
            )
            if loop.time() >= deadline:
                self._road.require()
                raise NoDataError(f"Nothing came from the swarm for {patience:.0f} seconds")
            try:
                async with asyncio.timeout(min(_SUSPICIOUS_AFTER, deadline - loop.time())):
                    await torrent.pieces.wait_for(piece)
            except TimeoutError:
                if self._road.up:
                    torrent.on_stall()

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
        return min(2 * length, _SPAN_MAXIMUM)
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
            # A file system that cannot tell, such as FUSE or tmpfs.
            return min(length, _FETCH)
    return length


def _read_through(descriptor: int, offset: int, length: int) -> None:
    os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_WILLNEED)
    for at in range(offset, offset + length, _PROBE_EVERY):
        os.pread(descriptor, min(_PROBE_EVERY, offset + length - at), at)
