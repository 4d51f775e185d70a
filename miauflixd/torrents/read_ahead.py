"""Which pieces are wanted, and how much: decided from where readers are. No I/O.

Three rules, learnt from what others get wrong (docs/decisions/0006-read-ahead.md):

- Only the piece that somebody waits for has a deadline. Many deadlines give good medians and
  tails of seconds.
- Behind it stands a window that grows with the reader's rate, in falling priority.
- The rest of a file that is being read is wanted too, but last: with nothing else to do a swarm
  stalls at the window's edge, and with the rest on a par the window starves.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field

from miauflixd.torrents.model import Layout, SourceFile

AT_ONCE = 7
NEXT = 6
SOON = 5
AHEAD = 4
REST = 1
UNWANTED = 0

WINDOW_MINIMUM = 8 * 2**20
"""Bytes ahead of a reader whose rate is unknown or low."""

WINDOW_MAXIMUM = 64 * 2**20
"""Bytes ahead of any reader; beyond, a seek would throw too much away."""

WINDOW_DURATION = 30.0
"""Seconds of the reader's own rate that the window covers."""

URGENT_UNTIL = 4 * 2**20
"""Bytes that a reader must have got since it started, or sought, before it can do with full rate
instead of short queues: about what a player wants before it shows a picture."""

HEAD = 2 * 2**20
"""Bytes at the start of a container, which a player reads first: `ftyp`, `moov`, EBML header."""

TAIL = 2**20
"""Bytes at its end: `moov` of a file that was not made for streaming, Matroska's Cues."""

_WINDOW_PIECES = 256
"""Pieces in one window at most, whatever their size: plans are made often."""

_STEP = 512 * 2**10
"""Bytes over which the priority falls by one step, or a piece if that is longer: with pieces of
16 KiB the one that is waited for alone would cost a round trip each."""

_DEADLINE = 0
"""Milliseconds; the piece that is waited for was due when it was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Where one reader is."""

    file: SourceFile
    position: int
    """Next byte that it will send, from the start of the file."""
    stop: int
    """End of its range: it will not go further."""
    served: int = 0
    """Bytes that it has sent since it started here."""
    rate: float = 0.0
    """Bytes per second that its client takes, 0 when unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What is wanted of one torrent."""

    windows: dict[int, int] = field(default_factory=dict)
    """Piece to priority, for all that is wanted before the rest."""
    rest: tuple[range, ...] = ()
    """Pieces that are wanted when nothing else is to be done."""
    deadlines: dict[int, int] = field(default_factory=dict)
    """Piece to milliseconds from now."""
    urgent: bool = False
    """Somebody has only just started and has nothing in hand."""

    def priority(self, piece: int) -> int:
        """Return the priority of a piece."""
        if (priority := self.windows.get(piece)) is not None:
            return priority
        return REST if any(piece in pieces for pieces in self.rest) else UNWANTED


def wishes(
    layout: Layout,
    have: Container[int],
    readings: Sequence[Reading],
    *,
    heads: Iterable[SourceFile] = (),
    rest: Iterable[SourceFile] = (),
) -> Wishes:
    """Return what is wanted.

    Args:
        layout: of the torrent.
        have: pieces that are on the disk.
        readings: where each reader is.
        heads: files that will probably be read soon: their head and tail come first of what nobody
            waits for.
        rest: files that are wanted as a whole.
    """
    windows: dict[int, int] = {}
    deadlines: dict[int, int] = {}
    urgent = False

    def want(piece: int, priority: int) -> None:
        if piece not in have and windows.get(piece, UNWANTED) < priority:
            windows[piece] = priority

    for file in heads:
        for piece in layout.pieces_of(file, 0, min(HEAD, file.size)):
            want(piece, NEXT)
        for piece in layout.pieces_of(file, max(0, file.size - TAIL), file.size):
            want(piece, SOON)
    for reading in readings:
        window = _window(layout, reading)
        waited_for = next((piece for piece in window if piece not in have), None)
        if waited_for is None:
            continue
        in_hand = layout.piece_start(waited_for) - reading.file.offset - reading.position
        if in_hand <= 0:
            deadlines[waited_for] = _DEADLINE
            urgent |= reading.served < URGENT_UNTIL
        for distance, piece in enumerate(range(waited_for, window.stop)):
            want(piece, _priority_at(distance, layout.piece_length))
    return Wishes(
        windows=windows,
        rest=tuple(layout.pieces_of(file, 0, file.size) for file in rest),
        deadlines=deadlines,
        urgent=urgent,
    )


def _window(layout: Layout, reading: Reading) -> range:
    length = min(max(WINDOW_MINIMUM, int(reading.rate * WINDOW_DURATION)), WINDOW_MAXIMUM)
    pieces = layout.pieces_of(
        reading.file, reading.position, min(reading.position + length, reading.stop)
    )
    return pieces[:_WINDOW_PIECES]


def _priority_at(distance: int, piece_length: int) -> int:
    """Return the priority of the piece so many behind the one that is waited for."""
    step = distance // max(1, _STEP // piece_length)
    match step:
        case 0:
            return AT_ONCE
        case 1:
            return NEXT
        case 2 | 3:
            return SOON
        case _:
            return AHEAD


def changes(old: Wishes, new: Wishes, have: Container[int]) -> list[tuple[int, int]]:
    """Return the pieces whose priority changes from one set of wishes to the next, and the new one.

    A piece that is on the disk needs no word: its priority does not matter any more.
    """
    touched = {*old.windows, *new.windows}
    if old.rest != new.rest:
        touched.update(*old.rest, *new.rest)
    return [
        (piece, priority)
        for piece in sorted(touched)
        if piece not in have and (priority := new.priority(piece)) != old.priority(piece)
    ]
