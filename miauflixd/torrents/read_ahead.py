"""Which pieces are wanted, and how much: decided from where readers are. No I/O.

What was already asked of a peer stands in front of what is wanted now, and much of it cannot be
called back: it lies in the peer's buffers. So what decides how soon a seek shows a picture is how
little is under way at that moment. The rules (docs/decisions/0006-read-ahead.md):

- As long as the near half of a reader's window has gaps, only its first few missing pieces are
  wanted: a fraction of a second of what the swarm gives, whatever a piece's size.
- Unless nothing comes at all: then nobody in the swarm has just these pieces now, and whatever the
  others have is wanted too.
- Once every near half is there, the whole windows are wanted, then what will probably be read soon,
  and last of all the rest of the files that are read: a swarm of which nothing else is wanted
  stalls at the window's edge.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil

from miauflixd.torrents.model import Layout, SourceFile

AT_ONCE = 7
NEXT = 6
SOON = 5
AHEAD = 4
PRELOAD_FIRST = 3
PRELOAD = 2
REST = 1
UNWANTED = 0

WINDOW_MINIMUM = 8 * 2**20
"""Bytes ahead of a reader whose rate is unknown or low."""

WINDOW_MAXIMUM = 64 * 2**20
"""Bytes ahead of any reader; beyond, a seek would throw too much away."""

WINDOW_DURATION = 30.0
"""Seconds of the reader's own rate that the window covers."""

UNDER_WAY_DURATION = 0.35
"""Seconds of the swarm's rate that may be asked for while a reader has gaps before it.

Less, and peers idle between two pieces; more, and it is what a seek waits for.
"""

UNDER_WAY_MINIMUM = 2 * 2**20
"""Bytes of the same at least: the rate of a swarm that has not begun is not known."""

UNDER_WAY_PIECES = 2
"""Pieces of the same at least: of one alone the last blocks leave all peers but one idle."""

HEAD = 2 * 2**20
"""Bytes at the start of a container, which a player reads first: `ftyp`, `moov`, EBML header."""

TAIL = 2**20
"""Bytes at its end: `moov` of a file that was not made for streaming, Matroska's Cues."""

_WINDOW_PIECES = 256
"""Pieces in one window at most, whatever their size: plans are made often."""

_STEP = 512 * 2**10
"""Bytes over which the priority falls by one step, or a piece if that is longer: with pieces of
16 KiB the one that is waited for alone would cost a round trip each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Where one reader is."""

    file: SourceFile
    position: int
    """Next byte that it will send, from the start of the file."""
    stop: int
    """End of its range: it will not go further."""
    rate: float = 0.0
    """Bytes per second that its client takes, 0 when unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What is wanted of one torrent."""

    windows: dict[int, int] = field(default_factory=dict)
    """Piece to priority, for all that is wanted before the rest."""
    rest: tuple[range, ...] = ()
    """Pieces that are wanted when nothing else is to be done."""
    hungry: bool = False
    """Somebody has gaps in the near half of the window."""

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
    swarm_rate: float = 0.0,
    stalled: bool = False,
    preload: Iterable[range] = (),
    rest: Iterable[SourceFile] = (),
) -> Wishes:
    """Return what is wanted.

    Args:
        layout: of the torrent.
        have: pieces that are on the disk.
        readings: where each reader is.
        swarm_rate: bytes per second that come in at present.
        stalled: somebody waits, and nothing comes.
        preload: pieces that will probably be read soon, in order of their weight: they come first
            of what nobody waits for.
        rest: files that are wanted as a whole.
    """
    windows = [
        (window, missing)
        for reading in readings
        if (missing := _missing(window := _window(layout, reading), have))
    ]
    under_way = _WINDOW_PIECES if stalled else _under_way(layout.piece_length, swarm_rate)
    everything = tuple(layout.pieces_of(file, 0, file.size) for file in rest)
    near = [
        missing[:under_way]
        for window, missing in windows
        if missing[0] < window.start + max(1, len(window) // 2)
    ]
    if near:
        wanted = [
            (piece, _priority_at(piece - pieces[0], layout.piece_length))
            for pieces in near
            for piece in pieces
        ]
        return Wishes(
            windows=_highest(wanted),
            rest=everything if stalled else (),
            hungry=True,
        )
    wanted = [(piece, AHEAD) for _, missing in windows for piece in missing]
    for number, pieces in enumerate(preload):
        priority = PRELOAD if number else PRELOAD_FIRST
        wanted += [(piece, priority) for piece in _missing(pieces, have)]
    return Wishes(windows=_highest(wanted), rest=everything)


def heads(file: SourceFile) -> tuple[tuple[int, int, int], ...]:
    """Return what a player reads first of a file: its index and bytes, at its head and tail."""
    return (
        (file.index, 0, min(HEAD, file.size)),
        (file.index, max(0, file.size - TAIL), file.size),
    )


def _missing(pieces: range, have: Container[int]) -> list[int]:
    return [piece for piece in pieces if piece not in have]


def _highest(wanted: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Return for each piece the highest priority that anybody gives it."""
    priorities: dict[int, int] = {}
    for piece, priority in wanted:
        priorities[piece] = max(priority, priorities.get(piece, UNWANTED))
    return priorities


def _under_way(piece_length: int, swarm_rate: float) -> int:
    """Return how many pieces may be asked for at once for one reader."""
    wanted = max(UNDER_WAY_MINIMUM, swarm_rate * UNDER_WAY_DURATION)
    return max(UNDER_WAY_PIECES, ceil(wanted / piece_length))


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
