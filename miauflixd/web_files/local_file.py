"""The file on the disk into which a file of the web is written."""

import errno
import os
import threading
from pathlib import Path
from typing import Self

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class LocalFile:
    """A file of known size, written in any order. Everything blocks as long as the disk takes.

    A thread may still be writing when the one who asked for it is gone; the lock keeps the
    descriptor from being closed, and given to another file, under its hands.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, path: Path, *, size: int) -> Self:
        """Open it, and make it of this size, full of holes.

        Raises:
            OSError: the disk does not let us.
        """
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # The name is ours, but what lies there may have been changed by others.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        try:
            if os.fstat(descriptor).st_size != size:
                os.ftruncate(descriptor, size)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def write(self, data: bytes | bytearray | memoryview, offset: int) -> None:
        """Write all of it, unless the file has been closed meanwhile.

        Raises:
            OSError: the disk does not let us.
        """
        with self._lock, memoryview(data) as view:
            done = 0
            while done < len(view) and not self._closed:
                done += os.pwrite(self._descriptor, view[done:], offset + done)

    def flush(self) -> None:
        """Have what was written on the disk itself, where a power failure leaves it.

        Raises:
            OSError: the disk does not let us.
        """
        with self._lock:
            if self._closed:
                return
            own = os.dup(self._descriptor)
        try:
            os.fdatasync(own)  # not under the lock: a slow disk would hold up all that is written
        finally:
            os.close(own)

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._descriptor)


def is_full(error: OSError) -> bool:
    """Whether it is room that is wanting."""
    return error.errno in _NO_ROOM
