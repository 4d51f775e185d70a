"""What to get ready next, given what is on everybody's screens. No I/O.

Each title is taken as far as its place on a screen is worth:

    near              what there is is known (search)
    visible           what the likely source holds is known (open)
    adjacent, focused its first seconds are on the disk (warm)

What is promised:

- Of two titles, the one that is nearer goes first, whatever step it is at; of two as near, the one
  that stands first.
- Never more than `AT_ONCE` steps are under way; one that is nearer takes the place of one that is
  further away.
- What is on no screen any more is stopped. What has come of it stays on the disk as long as there
  is room in `MOST_IN_ALL`; then what was fetched first goes first.
- A step that has failed is left alone for a while, and the others go on.
- What is fetched is bounded for each source, and for all together.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from miauflixd.auth.model import UserId
from miauflixd.catalogue.model import TitleId
from miauflixd.sources.ranking import Preference
from miauflixd.torrents.model import Layout, SourceFile, SourceId

AT_ONCE = 3
"""Steps under way; more would take from each other what there is of the line."""

MOST_OF_ONE = 64 * 2**20
"""Bytes of one source: three places in a file of pieces of 16 MiB, the largest that are usual."""

MOST_IN_ALL = 512 * 2**20
"""Bytes of all that is on the disk though nobody has pressed play."""

FORGOTTEN_AFTER = 120.0
"""Seconds of silence after which a client is taken to show nothing any more."""

RESTS = 300.0
"""Seconds for which a step that has failed is not tried again for a screen alone."""

HEAD = 4 * 2**20
"""Bytes from the start of a file: the first seconds of UHD, and what players look at first."""

TAIL = 2 * 2**20
"""Bytes from its end: the index of a file whose index is not in front."""

RESUMED = 4 * 2**20
"""Bytes from where somebody has stopped watching."""


class Nearness(IntEnum):
    """How near a title is to being played; the smaller number is nearer."""

    FOCUSED = 0
    ADJACENT = 1
    """Next to it: a press of a key away."""
    VISIBLE = 2
    NEAR = 3
    """Just outside the screen."""


Step = Literal["search", "open", "warm"]

_STEPS: Mapping[Nearness, tuple[Step, ...]] = {
    Nearness.FOCUSED: ("search", "open", "warm"),
    Nearness.ADJACENT: ("search", "open", "warm"),
    Nearness.VISIBLE: ("search", "open"),
    Nearness.NEAR: ("search",),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Onlooker:
    """For whom something is got ready."""

    user_id: UserId
    preference: Preference


@dataclass(frozen=True, kw_only=True, slots=True)
class Viewport:
    """What one client shows."""

    viewer: Onlooker
    items: Mapping[TitleId, Nearness]
    """In the order in which they stand there."""
    at: float
    """When it said so, in seconds on a clock that is never set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """A title on somebody's screen."""

    nearness: Nearness
    viewer: Onlooker


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How far a title has been taken already."""

    done: frozenset[Step] = frozenset()
    rests_until: float = 0.0
    """Nothing is tried before; something of it has failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Errand:
    """A step to take for a title."""

    title_id: TitleId
    step: Step


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What has been fetched of a source that nobody has played."""

    source_id: SourceId
    size: int
    """Bytes that were asked for; what is on the disk of it is no more."""
    title_id: TitleId | None
    """For which; `None`: it was before this process began."""


def in_sight(viewports: Iterable[Viewport], *, now: float) -> Mapping[TitleId, Sight]:
    """Return all that somebody sees, the nearest first; of several places the nearest counts."""
    seen: dict[TitleId, tuple[Nearness, int, Onlooker]] = {}
    for viewport in viewports:
        if now - viewport.at >= FORGOTTEN_AFTER:
            continue
        for place, (title_id, nearness) in enumerate(viewport.items.items()):
            known = seen.get(title_id)
            if known is None or (nearness, place) < known[:2]:
                seen[title_id] = nearness, place, viewport.viewer
    ordered = sorted(seen.items(), key=lambda item: item[1][:2])
    return {
        title_id: Sight(nearness=nearness, viewer=viewer)
        for title_id, (nearness, _, viewer) in ordered
    }


def plan(
    sights: Mapping[TitleId, Sight], standings: Mapping[TitleId, Standing], *, now: float
) -> Sequence[Errand]:
    """Return the steps that are to be under way, and no others; the most urgent first.

    Args:
        sights: what somebody sees, in order.
        standings: how far each has been taken; one that is missing has only just come.
        now: the time on the clock of the standings.
    """
    errands: list[Errand] = []
    for title_id, sight in sights.items():
        if len(errands) == AT_ONCE:
            break
        standing = standings.get(title_id, Standing())
        step = next((step for step in _STEPS[sight.nearness] if step not in standing.done), None)
        if step is not None and standing.rests_until <= now:
            errands.append(Errand(title_id=title_id, step=step))
    return errands


def next_look(
    viewports: Iterable[Viewport],
    sights: Iterable[TitleId],
    standings: Mapping[TitleId, Standing],
    *,
    now: float,
) -> float | None:
    """Return in how many seconds the plan is another one though nothing has happened."""
    times = [viewport.at + FORGOTTEN_AFTER for viewport in viewports]
    times += [standings[title_id].rests_until for title_id in sights if title_id in standings]
    return min((time - now for time in times if time > now), default=None)


def too_much(
    held: Sequence[Held], sights: Collection[TitleId], *, more: int
) -> Sequence[SourceId] | None:
    """Return what is to go so that so many bytes more fit in; `None`: they do not.

    Args:
        held: what is on the disk though nobody has played it, what was fetched first in front.
        sights: what is on somebody's screen; it stays.
        more: bytes that are to come.
    """
    over = sum(one.size for one in held) + more - MOST_IN_ALL
    going = []
    for one in held:
        if over <= 0:
            break
        if one.title_id is None or one.title_id not in sights:
            going.append(one.source_id)
            over -= one.size
    return going if over <= 0 else None


# --- which bytes ----------------------------------------------------------------------------------

Span = tuple[int, int, int]
"""A file's index, and the bytes of it from the second number up to but not with the third."""


def spans(file: SourceFile, *, resume_at: float | None) -> Sequence[Span]:
    """Return what of a file will be read first, in that order.

    Args:
        file: what would be played.
        resume_at: the part of it that somebody has watched, from 0 to 1.
    """
    size = file.size
    wanted = [(0, min(HEAD, size)), (max(0, size - TAIL), size)]
    if resume_at is not None and 0.0 < resume_at < 1.0:
        start = int(size * resume_at)
        wanted.append((start, min(start + RESUMED, size)))
    return [(file.index, start, stop) for start, stop in wanted if start < stop]


def spans_of_web_file(
    index: int, size: int | None, *, resume_at: float | None
) -> tuple[Sequence[Span], int]:
    """Return the same for a file of a server, and its bytes.

    Of one whose size nobody says it is the head alone.

    Args:
        index: its place in its source.
        size: bytes, as a directory says.
        resume_at: the part of it that somebody has watched, from 0 to 1.
    """
    if size is None:
        return [(index, 0, HEAD)], HEAD
    file = SourceFile(index=index, name="", size=size, offset=0)
    wanted = spans(file, resume_at=resume_at)
    return wanted, sum(stop - start for _, start, stop in wanted)


def within_bounds(layout: Layout, wanted: Sequence[Span]) -> tuple[Sequence[Span], int]:
    """Return as many of the spans, from the first, as may be fetched of one source.

    Pieces come whole, so a span may cost more than it holds.

    Returns:
        The spans, and the bytes that all their pieces have.
    """
    pieces: set[int] = set()
    most = MOST_OF_ONE // layout.piece_length
    taken = []
    for index, start, stop in wanted:
        needed = pieces.union(layout.pieces_of(layout.file(index), start, stop))
        if len(needed) <= most:
            pieces = needed
            taken.append((index, start, stop))
    return taken, len(pieces) * layout.piece_length
