"""What a source is: a torrent, its files, and how it is doing."""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

from miauflixd.errors import ConflictError, InvalidInputError, NotFoundError

SourceId = NewType("SourceId", str)
"""Sixteen hexadecimal digits that say nothing about the torrent."""


class NoSourceError(NotFoundError):
    """There is no such source, or it has no such file."""

    code = "no_source"


class SourceInUseError(ConflictError):
    """Somebody reads of the source."""

    code = "source_in_use"


class BadTorrentError(InvalidInputError):
    """A `.torrent` file, magnet link or info-hash that cannot be used."""

    code = "bad_torrent"


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """One file of a source."""

    index: int
    """Its name within the source, for us and for clients; not consecutive."""
    name: str
    """Path as the torrent's maker named it; for people."""
    size: int
    """Bytes."""
    offset: int
    """Bytes from the start of the torrent's first piece."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How files lie over pieces."""

    name: str
    piece_length: int
    total_size: int
    files: tuple[SourceFile, ...]

    @property
    def piece_count(self) -> int:
        """Number of pieces."""
        return -(-self.total_size // self.piece_length)

    def file(self, index: int) -> SourceFile:
        """Return a file by its index.

        Raises:
            NoSourceError: there is none.
        """
        at = bisect_right(self.files, index, key=lambda file: file.index) - 1
        if at < 0 or self.files[at].index != index:
            raise NoSourceError("This source has no such file")
        return self.files[at]

    def main_file(self) -> SourceFile:
        """Return the file that somebody who just presses play means: the largest one.

        Raises:
            NoSourceError: nothing in it has any content.
        """
        largest = max(self.files, key=lambda file: file.size, default=None)
        if largest is None or largest.size == 0:
            raise NoSourceError("This source holds no file with any content")
        return largest

    def piece_at(self, file: SourceFile, position: int) -> int:
        """Return the piece that holds a file's byte."""
        return (file.offset + position) // self.piece_length

    def piece_start(self, piece: int) -> int:
        """Return where a piece starts, in bytes from the start of the torrent."""
        return piece * self.piece_length

    def end_of(self, piece: int, file: SourceFile) -> int:
        """Return the position in the file just behind a piece."""
        return min((piece + 1) * self.piece_length - file.offset, file.size)

    def pieces_of(self, file: SourceFile, start: int, stop: int) -> range:
        """Return the pieces that hold the file's bytes from `start` up to but not with `stop`."""
        if stop <= start:
            return range(0)
        return range(self.piece_at(file, start), self.piece_at(file, stop - 1) + 1)


class Activity(StrEnum):
    """What a source does at the moment."""

    DORMANT = "dormant"
    """Not in the swarm; asking for it wakes it."""
    CHECKING = "checking"
    """Reading what is on the disk."""
    METADATA = "metadata"
    """Asking peers what the torrent holds."""
    DOWNLOADING = "downloading"
    IDLE = "idle"
    """In the swarm, wanting nothing."""
    COMPLETE = "complete"
    """Everything is here."""
    TUNNEL_DOWN = "tunnel_down"
    """It wants something from the swarm, and there is no way to it."""
    DISK_FULL = "disk_full"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """A state as a person wants to see it: what, since when, why, what next."""

    activity: Activity
    since: datetime
    reason: str
    next: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A source as it is right now."""

    id: SourceId
    name: str | None
    """Unknown until the metadata is here."""
    added_at: datetime
    condition: Condition
    layout: Layout | None
    have: int = 0
    """Bytes on the disk whose piece has passed its hash."""
    download_rate: int = 0
    """Bytes per second."""
    upload_rate: int = 0
    peers: int = 0
    seeds: int = 0
    known_peers: int = 0
    wrong_pieces: int = 0
    """That have failed their hash since the source was woken."""
    readers: int = 0
    """How many are reading from it right now."""
    available: dict[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    """For each file that is read, or was lately: spans of its bytes that can be read at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """What a torrent holds, as its peers or a `.torrent` file say."""

    metainfo: bytes
    """The `.torrent` file."""
    info_hashes: tuple[bytes, ...]
    """One of 20 bytes (v1), one of 32 (v2), or both, in this order."""
    name: str
    files: tuple[SourceFile, ...]
    total_size: int
    """Bytes, padding included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Swarm:
    """How many share a torrent."""

    seeders: int
    leechers: int
    at: datetime
    """When somebody who knows has said so."""
