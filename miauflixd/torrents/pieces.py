"""The pieces of one torrent that are on the disk, and those who wait for the others."""

import asyncio
from collections.abc import Iterable

from miauflixd.torrents.model import Layout, SourceFile


class Pieces:
    """A set of pieces that one can wait for.

    A piece is in it only after its hash was found right and its bytes are in the file: the engine
    says so, and nothing else adds to it. Readers send only bytes of pieces in here.
    """

    def __init__(self) -> None:
        self._have: set[int] = set()
        self._waiting: dict[int, asyncio.Event] = {}

    def __contains__(self, piece: object) -> bool:
        return piece in self._have

    def __len__(self) -> int:
        return len(self._have)

    def add(self, pieces: Iterable[int]) -> None:
        """Note pieces that have arrived and wake who waits for them."""
        for piece in pieces:
            self._have.add(piece)
            if (waiting := self._waiting.pop(piece, None)) is not None:
                waiting.set()

    def replace(self, bits: bytes) -> None:
        """Take over the whole truth: a bit for each piece, the first in the highest bit (BEP 3)."""
        digits = bin(int.from_bytes(b"\x01" + bits))[3:]
        have = {piece for piece, digit in enumerate(digits) if digit == "1"}
        self._have = have
        self.add(have & self._waiting.keys())

    def wake_all(self) -> None:
        """Let all who wait look again: something else has changed."""
        waiting, self._waiting = self._waiting, {}
        for event in waiting.values():
            event.set()

    async def wait_for(self, piece: int) -> None:
        """Wait until a piece is here, or until `wake_all`: look again afterwards."""
        if piece not in self._have:
            await self._waiting.setdefault(piece, asyncio.Event()).wait()

    def reach(self, layout: Layout, file: SourceFile, position: int, stop: int) -> int:
        """Return the position up to which the file can be read from `position` on without a gap."""
        for piece in layout.pieces_of(file, position, stop):
            if piece not in self._have:
                return max(position, layout.piece_start(piece) - file.offset)
        return stop

    def spans(self, layout: Layout, file: SourceFile) -> tuple[tuple[int, int], ...]:
        """Return which bytes of a file can be read: start and end of each span, in order."""
        spans: list[tuple[int, int]] = []
        for piece in layout.pieces_of(file, 0, file.size):
            if piece not in self._have:
                continue
            start = max(0, layout.piece_start(piece) - file.offset)
            stop = layout.end_of(piece, file)
            if spans and spans[-1][1] == start:
                spans[-1] = (spans[-1][0], stop)
            else:
                spans.append((start, stop))
        return tuple(spans)

    def total(self, layout: Layout) -> int:
        """Return how many bytes of the torrent are here."""
        total = len(self._have) * layout.piece_length
        last = layout.piece_count - 1
        if last in self._have:
            total -= layout.piece_length - (layout.total_size - layout.piece_start(last))
        return total
