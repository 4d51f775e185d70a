"""Which parts of a file are fetched next: decided from where readers are. No I/O.

The rules:

- What a reader waits for comes first, then what lies ahead of it, up to `WINDOW`: a server that
  gives away films for nothing is not asked for what nobody may ever see.
- A request is for a bounded segment, the first ones of a reader short and then longer: a seek
  shows a picture soon, since little is under way that nobody wants any more.
- A seek ends what is under way for nobody. Nobody reading ends nothing: players close a connection
  to open another right behind it, and what is left of a segment is little.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from miauflixd.web_files.model import BLOCK

WINDOW = 32 * 2**20
"""Bytes ahead of a reader that are fetched: at 20 Mbit/s what is seen within 13 s."""

SEGMENT = 8 * 2**20
"""Bytes of one request at most; at 100 Mbit/s one takes 0.7 s, in which a pause of 50 ms is lost
in the second connection."""

_SHORTEST = 2**20
"""Bytes of a reader's first request."""

_SLACK = 2**20
"""Bytes that a reader rather waits for than has a new connection made."""

_STARVING = 4 * 2**20
"""Bytes by which what is under way must be ahead of its reader to be given up for another one who
waits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Where one reader is, in bytes of the file."""

    begun: int
    """Where it began."""
    position: int
    """The next byte that it will send."""
    stop: int
    """End of its range."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Blocks from `start` up to but not with `stop`; of one that is under way, those to come."""

    start: int
    stop: int

    def __contains__(self, block: int) -> bool:
        return self.start <= block < self.stop


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to change."""

    cancel: tuple[Segment, ...] = ()
    """Of those under way."""
    begin: tuple[Segment, ...] = ()


def plan(
    have: Container[int],
    readings: Sequence[Reading],
    under_way: Sequence[Segment],
    *,
    lanes: int,
) -> Plan:
    """Return what to give up and what to begin.

    Args:
        have: blocks that are on the disk.
        readings: where each reader is.
        under_way: what has been asked for.
        lanes: requests at the same time.
    """
    if not readings:
        return Plan()
    cancel = [segment for segment in under_way if not _wanted(segment, readings, have)]
    kept = [segment for segment in under_way if segment not in cancel]
    begin: list[Segment] = []
    while (found := _next(have, readings, [*kept, *begin])) is not None:
        distance, segment = found
        if len(kept) + len(begin) < lanes:
            begin.append(segment)
            continue
        # All lanes are in use; for somebody who waits, what is far ahead of others is given up.
        farthest = max(kept, key=lambda one: _distance(one, readings), default=None)
        if distance or farthest is None or _distance(farthest, readings) < _STARVING:
            break
        kept.remove(farthest)
        cancel.append(farthest)
        begin.append(segment)
    return Plan(cancel=tuple(cancel), begin=tuple(begin))


def window(reading: Reading) -> range:
    """Return the blocks that a reader sends next."""
    if reading.position >= reading.stop:
        return range(0)
    end = min(reading.position + WINDOW, reading.stop)
    return range(reading.position // BLOCK, -(-end // BLOCK))


def _wanted(segment: Segment, readings: Iterable[Reading], have: Container[int]) -> bool:
    """Whether somebody waits for it, and nobody in the middle of it who would wait for too long."""
    wanted = False
    for reading in readings:
        blocks = window(reading)
        if not blocks or segment.stop <= blocks.start or segment.start >= blocks.stop:
            continue
        late = (blocks.start - segment.start) * BLOCK > _SLACK
        if late and blocks.start not in have and blocks.start in segment:
            return False
        wanted = True
    return wanted


def _distance(segment: Segment, readings: Iterable[Reading]) -> int:
    """Return how many bytes it is ahead of the reader that comes to it first."""
    return min(
        max(0, segment.start * BLOCK - reading.position)
        for reading in readings
        if segment.start in window(reading) or reading.position // BLOCK in segment
    )


def _next(
    have: Container[int], readings: Sequence[Reading], taken: Sequence[Segment]
) -> tuple[int, Segment] | None:
    """Return what is to be asked for next, and how many bytes it is ahead of its reader."""
    found = []
    for reading in readings:
        blocks = window(reading)
        start = next(
            (
                block
                for block in blocks
                if block not in have and not any(block in segment for segment in taken)
            ),
            None,
        )
        if start is None:
            continue
        ahead = max(0, start * BLOCK - reading.position)
        run = start * BLOCK - reading.begun
        length = max(_SHORTEST, min(run, SEGMENT))
        if blocks.stop - start < length // BLOCK and ahead > WINDOW // 2 and _goes_on(reading):
            continue  # a little later it can be asked for in one piece
        stop = min(start + length // BLOCK, blocks.stop)
        # Where another reader is, a segment ends: that one has its own.
        stop = min(
            (other for one in readings if start < (other := one.position // BLOCK) < stop),
            default=stop,
        )
        stop = min((one.start for one in taken if start < one.start < stop), default=stop)
        stop = next((block for block in range(start, stop) if block in have), stop)
        found.append((ahead, Segment(start, stop)))
    return min(found, key=lambda one: one[0], default=None)


def _goes_on(reading: Reading) -> bool:
    return reading.position + WINDOW < reading.stop
