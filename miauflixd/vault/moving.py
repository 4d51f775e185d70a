"""Bringing downloads that lie in the open into the vault."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 2**20


def move_in(source: Path, target: Path) -> int:
    """Move all files of a folder into another one, on whatever file system, and return how many.

    Each is gone from the source only once it is whole, and on the disk, in the target; who is
    interrupted goes on where it was. Holes stay holes: most downloads have some.

    Raises:
        OSError: it did not work; what was not moved is where it was.
    """
    moved = 0
    for folder, _, files in os.walk(source):
        here = target / Path(folder).relative_to(source)
        here.mkdir(mode=0o700, exist_ok=True)
        for name in files:
            old = Path(folder, name)
            if old.is_symlink() or not old.is_file():
                continue
            _copy(old, here / name)
            old.unlink()
            moved += 1
    shutil.rmtree(source)
    return moved


def _copy(old: Path, new: Path) -> None:
    with old.open("rb") as reading, new.open("wb") as writing:
        size = os.fstat(reading.fileno()).st_size
        for start, stop in _data(reading.fileno(), size):
            reading.seek(start)
            writing.seek(start)
            left = stop - start
            while left and (chunk := reading.read(min(left, _CHUNK))):
                writing.write(chunk)
                left -= len(chunk)
        writing.truncate(size)
        writing.flush()
        os.fsync(writing.fileno())


def _data(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield where a file has data between its holes, lseek(2)."""
    at = 0
    while at < size:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole from here
            return
        at = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, at
