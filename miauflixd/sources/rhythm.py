"""When to look again: for where a title can be had, and for how many have it. No I/O.

Whatever was looked for in vain is looked for again, ever less often and never "never again": a film
may come out after years.
"""

from dataclasses import dataclass
from datetime import date, timedelta

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)

# --- where a title can be had ---------------------------------------------------------------------

_NEW = timedelta(days=60)
"""Around its release, when there is something of a title any day."""

_MOST_OF_NEW = timedelta(hours=12)
_MOST_IN_VAIN = timedelta(days=14)
"""Between two searches for something that nobody seems to have."""

_SOONEST_FOUND = _DAY
_LATEST_FOUND = timedelta(days=30)
"""Between two searches for what can be had; something better may come, and what there is may go."""

_OF_ITS_AGE = 1 / 12
"""Of a title's age, between two such searches: after a month every third day, after a year each
month."""

_POPULAR = 0.5
"""Of the wait for what everybody looks at."""


def search_again(
    *,
    found: bool,
    in_vain: int,
    released: date | None,
    today: date,
    popularity: float,
    chance: float,
) -> timedelta:
    """Return how long to leave a title alone that has just been searched for.

    Args:
        found: whether there is something that it can be played from.
        in_vain: searches in a row after which there was not, this one included.
        released: in the cinema, or first broadcast; `None`: nobody knows.
        today: the date.
        popularity: from 0 to 1, the latter for what stands first in a list.
        chance: from 0 to 1, so that not all are due at once.
    """
    age = today - released if released else None
    if found:
        wait = _LATEST_FOUND if age is None else min(age * _OF_ITS_AGE, _LATEST_FOUND)
        popular = min(max(popularity, 0.0), 1.0)
        wait = max(wait * (1 - (1 - _POPULAR) * popular), _SOONEST_FOUND)
        longest = _LATEST_FOUND
    elif age is not None and age < -_NEW:
        wait = -age - _NEW  # nobody has it before it is made
        longest = _MOST_IN_VAIN
    else:
        wait = _HOUR * 2 ** min(max(in_vain, 1) - 1, 16)
        longest = _MOST_OF_NEW if age is not None and age <= _NEW else _MOST_IN_VAIN
    # Three quarters to five quarters: 45 to 75 minutes after the first in vain.
    return min(min(wait, longest) * (0.75 + 0.5 * chance), longest)


# --- how many have it -----------------------------------------------------------------------------

SOONEST_COUNT = timedelta(hours=6)
LATEST_COUNT = timedelta(hours=72)
"""Between two counts; a swarm's size changes within days, not within minutes."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many were in a swarm."""

    seeders: int
    leechers: int


_STEPS = ((0.05, 2.0), (0.10, 1.0), (0.20, 0.75), (0.50, 0.5))
"""Below such a change, how the wait is multiplied; beyond the last it is the shortest there is."""


def count_again(
    *, before: timedelta | None, old: Counts | None, new: Counts, chance: float
) -> timedelta:
    """Return when to count a swarm again that has just been counted.

    Args:
        before: how long it was left alone until this count; `None`: it is the first.
        old: what was counted then.
        new: what was counted now.
        chance: from 0 to 1, so that what was found together is not counted together for ever.
    """
    wait = SOONEST_COUNT
    if old is not None and before is not None:
        change = max(_change(old.seeders, new.seeders), _change(old.leechers, new.leechers))
        factor = next((factor for below, factor in _STEPS if change < below), None)
        # What is not steady any more has no rhythm of its own.
        wait = SOONEST_COUNT if factor is None else _bounded(before) * factor
    return _bounded(_bounded(wait) * (0.8 + 0.4 * chance))


def count_after_failure(*, before: timedelta | None, chance: float) -> timedelta:
    """Return when to try again to count a swarm of which nobody would tell.

    Twice as late each time: what nobody knows of must not keep others from being counted.

    Args:
        before: how long it was left alone until this attempt; `None`: it is the first.
        chance: from 0 to 1.
    """
    wait = SOONEST_COUNT if before is None else before * 2
    return _bounded(_bounded(wait) * (0.8 + 0.4 * chance))


def _change(old: int, new: int) -> float:
    if old <= 0:
        return 0.0 if new <= 0 else 1.0
    return abs(new - old) / old


def _bounded(wait: timedelta) -> timedelta:
    return min(max(wait, SOONEST_COUNT), LATEST_COUNT)
