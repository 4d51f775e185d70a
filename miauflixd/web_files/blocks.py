"""The blocks of one file that are on the disk."""

import re
from collections.abc import Iterable

from miauflixd.torrents.model import Layout, SourceFile
from miauflixd.torrents.pieces import Pieces
from miauflixd.web_files.model import BLOCK

_RUN = re.compile("1+")


class Blocks:
    """Which are here, in the form in which readers wait for them and in the one that is stored."""

    def __init__(self, *, index: int, name: str, size: int) -> None:
        """Begin with none."""
        self.file = SourceFile(index=index, name=name, size=size, offset=0)
        self.layout = Layout(name=name, piece_length=BLOCK, total_size=size, files=(self.file,))
        self.pieces = Pieces()
        self._bits = bytearray(-(-self.layout.piece_count // 8))

    @property
    def bits(self) -> bytes:
        """A bit for each block, the first in the highest bit."""
        return bytes(self._bits)

    def restore(self, bits: bytes) -> None:
        """Take over what was stored; anything of another length was of another file."""
        if len(bits) == len(self._bits):
            self._bits = bytearray(bits)
            self.pieces.replace(bits)

    def add(self, blocks: Iterable[int]) -> None:
        """Note blocks of which all bytes are in the file."""
        blocks = tuple(blocks)
        for block in blocks:
            self._bits[block // 8] |= 0x80 >> block % 8
        self.pieces.add(blocks)

    @property
    def complete(self) -> bool:
        """Whether all of the file is here."""
        return len(self.pieces) == self.layout.piece_count

    @property
    def total(self) -> int:
        """How many bytes are here."""
        return self.pieces.total(self.layout) if self.layout.piece_count else 0

    def first_missing(self) -> int:
        """Return the first block that is not here."""
        return next(
            (block for block in range(self.layout.piece_count) if block not in self.pieces),
            self.layout.piece_count,
        )

    def spans(self) -> tuple[tuple[int, int], ...]:
        """Return which bytes can be read: start and end of each span, in order."""
        digits = bin(int.from_bytes(b"\x01" + self._bits))[3:]
        return tuple(
            (run.start() * BLOCK, min(run.end() * BLOCK, self.file.size))
            for run in _RUN.finditer(digits)
        )


def bytes_in(bits: bytes, size: int) -> int:
    """Return how many bytes of a file of this size are here, according to what was stored."""
    count, last = -(-size // BLOCK), (size - 1) // BLOCK
    if size == 0 or len(bits) != -(-count // 8):
        return 0
    missing_of_last = count * BLOCK - size if bits[last // 8] & 0x80 >> last % 8 else 0
    return int.from_bytes(bits).bit_count() * BLOCK - missing_of_last
