"""The folder where downloads lie: one for each source in it, and in that the files, by index."""

import os
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from miauflixd.torrents.model import SourceFile, SourceId

_SOURCE = re.compile(r"[0-9a-f]{16}")


_BLOCK = 512
"""Bytes of a block in `st_blocks`, whatever those of the file system are: stat(2)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """What is on the disk of a source."""

    source_id: SourceId
    size: int
    """Bytes that it takes there; less than its files seem to hold, for those have holes."""
    came_at: datetime
    """When its folder last got or lost a file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """How much a disk holds, in bytes."""

    free: int
    total: int


class Downloads:
    """Where each source's bytes are.

    No name out of a torrent is part of a path: folders are called by our id, files by their index.
    Everything but `path` and `file` blocks for as long as the disk takes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where all of it lies."""
        return self._folder

    def path(self, source_id: SourceId) -> Path:
        """Return the folder of a source."""
        return self._folder / source_id

    def file(self, source_id: SourceId, file: SourceFile) -> Path:
        """Return where the bytes of a file are."""
        return self.path(source_id) / str(file.index)

    def prepare(self, known: Collection[SourceId]) -> int:
        """Make sure of the folder, and return how many a crash had left half removed, now gone."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        orphans = [
            path
            for path in self._folder.iterdir()
            if _SOURCE.fullmatch(path.name) and SourceId(path.name) not in known
        ]
        for path in orphans:
            shutil.rmtree(path, ignore_errors=True)
        return len(orphans)

    def stored(self) -> list[Stored]:
        """Return what is on the disk of each source of which anything is."""
        found = []
        for folder in os.scandir(self._folder):
            if not _SOURCE.fullmatch(folder.name):
                continue
            try:
                blocks = sum(entry.stat().st_blocks for entry in os.scandir(folder))
                came = folder.stat().st_mtime
            except FileNotFoundError:  # it went just now
                continue
            found.append(
                Stored(
                    source_id=SourceId(folder.name),
                    size=blocks * _BLOCK,
                    came_at=datetime.fromtimestamp(came, UTC),
                )
            )
        return found

    def room(self) -> Room:
        """Return how much the disk holds, and how much of that is free."""
        usage = shutil.disk_usage(self._folder)
        return Room(free=usage.free, total=usage.total)

    def free(self) -> int:
        """Return how many bytes there is room for."""
        return shutil.disk_usage(self._folder).free

    def flush(self, source_ids: Collection[SourceId]) -> None:
        """Have all bytes of these sources on the disk itself, where a power failure leaves them."""
        for source_id in source_ids:
            for path in self.path(source_id).glob("*"):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def remove(self, source_id: SourceId) -> None:
        """Delete a source's folder."""
        shutil.rmtree(self.path(source_id), ignore_errors=True)
