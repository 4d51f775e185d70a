"""When something counts as begun or seen, and what comes next. No I/O.

The bounds are those of Jellyfin, which its users have got used to: below 5 % nothing was begun,
above 90 % all was seen, and nobody wants to be taken back into the middle of five minutes.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Literal

from miauflixd.catalogue.model import Progress, TitleId
from miauflixd.errors import InvalidInputError

_BEGUN = 0.05
_SEEN = 0.9

_SEEN_WHEN_ENDED = 0.8
"""Whoever ends here has seen it, for Trakt too: what follows is credits, or a duration that the
player had only guessed."""

_SAME_PART = 0.01
_SAME_TIME = timedelta(minutes=1)
"""Within which it is our own word that comes back from elsewhere, rounded and a moment later: what
a player said here is more exact."""

_NO_RESUMING = 300.0
"""Seconds; shorter ones begin at the beginning again."""

LONGEST = 1e7
"""Seconds: 115 days. The longest film there is takes 36."""


class State(StrEnum):
    """What a player is doing."""

    PLAYING = "playing"
    PAUSED = "paused"
    ENDED = "ended"


Turn = Literal["started", "paused", "stopped"]


class BadProgressError(InvalidInputError):
    """Nothing can be so far, or so long."""

    code = "bad_progress"


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a player says of itself; `report` makes one that makes sense."""

    position: float
    """Seconds, at most `duration`."""
    duration: float
    """Seconds, more than 0."""
    state: State

    @property
    def part(self) -> float:
        """How much has been seen, from 0 to 1."""
        return self.position / self.duration


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What is known of somebody and a movie or episode."""

    title_id: TitleId
    show: TitleId | None
    """Whose episode it is."""
    position: float
    """Seconds at which to go on; 0: at the beginning."""
    duration: float
    """Seconds; 0: nobody has said."""
    watched_at: datetime | None
    """When it was last seen to its end."""
    plays: int
    """How often it was."""
    updated_at: datetime

    @property
    def progress(self) -> Progress:
        """This, as others want to know it."""
        return Progress(
            title_id=self.title_id,
            position=self.position,
            duration=self.duration,
            watched=self.watched_at is not None,
            updated_at=self.updated_at,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """An episode in the outline of its show."""

    season: int
    """0 holds the specials."""
    number: int
    id: TitleId
    aired: date | None


def report(*, position: float, duration: float, state: State) -> Report:
    """Return what a player says, as far as it can be true.

    Raises:
        BadProgressError: it cannot.
    """
    # Written so that what is not a number fits nowhere.
    if not (0 < duration <= LONGEST):
        raise BadProgressError("The duration has to be more than nothing, and less than 115 days")
    if not (0 <= position < math.inf):
        raise BadProgressError("The position has to be a number of seconds from the beginning")
    # The last frame ends a little behind where the container says that it does.
    return Report(position=min(position, duration), duration=duration, state=state)


def turn(before: State | None, now: State) -> Turn | None:
    """Return what has begun with a player being in another state than it was in before."""
    if before is now:
        return None
    match now:
        case State.PLAYING:
            return "started"
        case State.PAUSED:
            return "paused"
        case State.ENDED:
            return "stopped"


def advanced(
    before: Record | None,
    said: Report,
    *,
    title_id: TitleId,
    show: TitleId | None,
    at: datetime,
) -> Record | None:
    """Return what is known after a report; `None`: nothing worth knowing.

    What was once watched stays so, whoever looks into it again. A report that says nothing new
    leaves what is known as it was, with its time: there is nothing to write down.
    """
    after = _after(before or _blank(title_id, show, at), said, at)
    if before is not None and after == replace(before, updated_at=at):
        return before
    return after


def _blank(title_id: TitleId, show: TitleId | None, at: datetime) -> Record:
    return Record(
        title_id=title_id,
        show=show,
        position=0.0,
        duration=0.0,
        watched_at=None,
        plays=0,
        updated_at=at,
    )


def _after(known: Record, said: Report, at: datetime) -> Record | None:
    known = replace(known, duration=said.duration, updated_at=at)
    if _is_seen(said):
        return _seen(known, said, at)
    if said.part < _BEGUN or said.duration < _NO_RESUMING:
        return None if known.watched_at is None else replace(known, position=0.0)
    return replace(known, position=said.position)


def marked(
    before: Record | None, *, title_id: TitleId, show: TitleId | None, at: datetime
) -> Record:
    """Return what is known once somebody says that they had seen it by then."""
    before = before or _blank(title_id, show, at)
    return replace(
        before,
        # Whoever has gone on with it since is in the middle of it for all that.
        position=0.0 if at >= before.updated_at else before.position,
        watched_at=at if before.watched_at is None else max(before.watched_at, at),
        plays=max(before.plays, 1),
        updated_at=max(before.updated_at, at),
    )


def resumed(
    before: Record | None, said: Report, *, title_id: TitleId, show: TitleId | None, at: datetime
) -> Record | None:
    """Return what is known once somebody was so far with it elsewhere, at some time.

    What was done here since stays, and so does whatever says the same.
    """
    if before is not None:
        here = before.position / before.duration if before.duration > 0 else 0.0
        if at <= before.updated_at + _SAME_TIME or abs(here - said.part) <= _SAME_PART:
            return before
    if not _BEGUN <= said.part <= _SEEN or said.duration < _NO_RESUMING:
        return before
    return _after(before or _blank(title_id, show, at), said, at)


def next_step(outline: Sequence[Step], seen: Collection[TitleId], *, today: date) -> Step | None:
    """Return the first regular episode on the air behind the last one that was seen.

    `None`: none was seen, or there is no further one yet.
    """
    regular = [step for step in outline if step.season != 0]
    last = max((_place(step) for step in regular if step.id in seen), default=None)
    if last is None:
        return None
    return min(
        (step for step in regular if _place(step) > last and is_aired(step, today)),
        key=_place,
        default=None,
    )


def is_aired(step: Step, today: date) -> bool:
    """Return whether an episode can have been seen by now."""
    return step.aired is not None and step.aired <= today


def _is_seen(said: Report) -> bool:
    return said.part > (_SEEN_WHEN_ENDED if said.state is State.ENDED else _SEEN)


def _seen(known: Record, said: Report, at: datetime) -> Record:
    again = (
        known.watched_at is None
        # Not while the credits roll, nor when somebody goes back from them for a last look: nobody
        # sees a film twice within half of its length.
        or (
            known.position > 0
            and abs(at - known.watched_at) >= timedelta(seconds=said.duration / 2)
        )
    )
    if not again:
        return replace(known, position=0.0)
    return replace(known, position=0.0, watched_at=at, plays=known.plays + 1)


def _place(step: Step) -> tuple[int, int]:
    return step.season, step.number
