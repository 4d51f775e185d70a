"""The file as FFmpeg reads it: bytes that are here at once, others when they have come."""

import os

from miauflixd.remuxer.conversation import Conversation

_HINT = 256 * 2**10
"""Bytes that are asked for at once; the index of a film is seldom longer."""


class SourceFile:
    """What `av.open` takes for a file. Not thread-safe.

    Invariant: nothing is read that the house has not said may be.
    """

    def __init__(self, house: Conversation, size: int) -> None:
        self._house = house
        self._size = size
        self._at = 0
        self._from = 0
        self._until = 0
        """What may be read, as last said."""
        self.given_up: BaseException | None = None
        """Why a read failed: FFmpeg makes an error of its own of what is raised here."""

    def read(self, size: int) -> bytes:
        """Return at most so many bytes, and none only at the end of the file."""
        if self.given_up is not None or self._at >= self._size or size <= 0:
            return b""
        if not self._from <= self._at < self._until:
            length = min(max(size, _HINT), self._size - self._at)
            try:
                self._until = self._house.want(self._at, length)
            except BaseException as error:
                self.given_up = error
                raise
            self._from = self._at
        data = os.pread(self._house.file, min(size, self._until - self._at), self._at)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, as `io.IOBase.seek` does."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Return the place of the next read."""
        return self._at

    def size(self) -> int:
        """Return the bytes of the whole file."""
        return self._size
