"""Images on the disk. The books are the files' names and times: there is nothing else to lose.

A file is called `<mark>-<digest>.<suffix>`: a hash of whose it is and in which size, one of what is
in it, and what it is. So after a look at the folder everything is known, and a file that a power
failure left half written is known for what it is as soon as somebody wants it. Its time of change
is when it was last seen.
"""

import os
import re
import secrets
import stat
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path
from typing import Final

from miauflixd.catalogue.images import SUFFIXES, MediaType

_NAME = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})\.([a-z]{3,4})")
"""Mark, digest and suffix."""

_PART = re.compile(r"part-[0-9a-f]{16}")
"""What a file is called until all of it is there."""

_MEDIA: Final[Mapping[str, MediaType]] = {suffix: media for media, suffix in SUFFIXES.items()}

_BLOCK = 512
"""Bytes that `st_blocks` counts in, whatever the file system's are."""

_SAID_AT_MOST_EVERY = 24 * 3600.0
"""Seconds between two notes on the disk that a file was seen: on an SD card each one costs a block
of the journal, and to know the day is enough to tell what nobody looks at."""


@dataclass(slots=True)
class ImageFile:
    """A file of the folder."""

    mark: str
    digest: str
    media: MediaType
    size: int
    """Bytes in it."""
    room: int
    """Bytes that it takes on the disk."""
    seen_at: float
    """By the wall clock, as the disk says it; what is newer is in the order of the books."""
    sound: bool
    """Whether somebody has looked, since the start, that what is in it is what it was."""

    @property
    def name(self) -> str:
        """What it is called in the folder."""
        return f"{self.mark}-{self.digest}.{SUFFIXES[self.media]}"


_WHEN_SEEN = attrgetter("seen_at")


class ImageFiles:
    """The folder. Every method blocks for as long as the disk takes, but touches no books."""

    def __init__(self, folder: Path, *, clock: Callable[[], float]) -> None:
        """Look after a folder, which is ours alone.

        Args:
            folder: where.
            clock: the wall clock, seconds since the epoch.
        """
        self._folder = folder
        self._clock = clock

    def path(self, file: ImageFile) -> Path:
        """Return where a file is. Does not block."""
        return self._folder / file.name

    def prepare(self) -> None:
        """Make sure of the folder.

        Raises:
            OSError: there can be no such folder.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def take_stock(self) -> list[ImageFile]:
        """Return what is in the folder, the one not seen for longest first.

        What a crash left behind is removed, and so are all but one of an image's files. What has
        no name of ours is left alone: somebody may have chosen a folder that holds more.

        Raises:
            OSError: it cannot be read.
        """
        found: dict[str, ImageFile] = {}
        stray: list[str] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if (file := _known(entry)) is None:
                    if _PART.fullmatch(entry.name) or _NAME.fullmatch(entry.name):
                        stray.append(entry.name)
                elif (other := found.setdefault(file.mark, file)) is not file:
                    stray.append(min(file, other, key=_WHEN_SEEN).name)
                    found[file.mark] = max(file, other, key=_WHEN_SEEN)
        for name in stray:
            with suppress(OSError):  # a folder of somebody's, say; it is not ours to remove
                (self._folder / name).unlink()
        return sorted(found.values(), key=_WHEN_SEEN)

    def write(self, mark: str, content: bytes, media: MediaType) -> ImageFile:
        """Write a file as a whole or not at all.

        Raises:
            OSError: it cannot be written; nothing is left of it.
        """
        file = ImageFile(
            mark=mark,
            digest=_digest(content),
            media=media,
            size=len(content),
            room=0,
            seen_at=self._clock(),
            sound=True,
        )
        part = self._folder / f"part-{secrets.token_hex(8)}"
        try:
            # Not synced: it is only a copy, and what a power failure spoils is found by its digest.
            part.write_bytes(content)
            file.room = part.stat().st_blocks * _BLOCK
            part.replace(self.path(file))
        except OSError:
            part.unlink(missing_ok=True)
            raise
        return file

    def read(self, file: ImageFile, *, limit: int) -> bytes | None:
        """Return what is in a file, or nothing if that is more than `limit` bytes.

        The first time it is made sure that it is what was once written. Once a day the disk is told
        that it was seen.

        Raises:
            OSError: it is gone, or something else than it was.
        """
        path = self.path(file)
        now = self._clock()
        content = path.read_bytes() if file.size <= limit else None
        if not file.sound:
            if _digest(path.read_bytes() if content is None else content) != file.digest:
                raise OSError(f"{file.name} is not what was written")
            file.sound = True
        # Also when the clock was set back: it would be the youngest until that time comes again.
        if not -_SAID_AT_MOST_EVERY < now - file.seen_at < _SAID_AT_MOST_EVERY:
            os.utime(path, (now, now))
            file.seen_at = now
        return content

    def remove(self, files: Collection[ImageFile]) -> None:
        """Delete files; those that are gone already are as well."""
        for file in files:
            with suppress(OSError):
                self.path(file).unlink()


def _known(entry: os.DirEntry[str]) -> ImageFile | None:
    """Return what a file is; there may be twenty thousand to ask about."""
    match = _NAME.fullmatch(entry.name)
    if match is None:
        return None
    mark, digest, suffix = match.groups()
    media = _MEDIA.get(suffix)
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    if media is None or not status.st_size or not stat.S_ISREG(status.st_mode):
        return None
    return ImageFile(
        mark, digest, media, status.st_size, status.st_blocks * _BLOCK, status.st_mtime, sound=False
    )


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()
