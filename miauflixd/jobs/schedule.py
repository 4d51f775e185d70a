"""When a task is due next. Pure: what time it is, and by whose clock, is handed in.

What is promised, whatever the clock on the wall does:

- Nothing runs in a loop: between two runs there is a gap, a night, or a rung of the ladder.
- Nothing sleeps for longer than its beat. `rested` is measured by a clock that is never set, and
  counts where the other one cannot be believed (a Raspberry Pi has none that goes on without
  power: it starts anywhere, and is set later).
- A run that was missed, because the machine was off or asleep, is due at once.
- Nightly is once for each date, also for one with 23 or 25 hours: a time that happens twice counts
  the first time, and one that does not happen is the same instant an hour later.
"""

from datetime import UTC, date, datetime, timedelta, tzinfo

from miauflixd.jobs.ladder import wait_after
from miauflixd.jobs.model import Every, Nightly, Past, Rule

_DAY = timedelta(days=1)

_NONE = timedelta()

_JITTER = 0.1
"""Of a gap: so much longer at most, so that not all houses ask at the same minute."""

_NIGHTLY_JITTER = timedelta(minutes=10)
"""So much later than the night's time at most; whoever set a time still recognises it."""

_LONGEST_RETRY = timedelta(hours=1)
"""What failed is tried again no later than at its next beat, or after an hour where that is more.

The beat is what was thought decent to ask for when all is well. What beats by the minute must not
fail by the minute, for a whole day without internet.
"""


def wait(
    rule: Rule,
    past: Past,
    *,
    now: datetime,
    rested: timedelta | None,
    zone: tzinfo | None,
    jitter: float,
) -> timedelta:
    """Return how long it is until a task is due; nothing or less when it is.

    Args:
        rule: its beat.
        past: the runs before.
        now: the time of day.
        rested: since the last run ended, by a clock that is never set; `None` when that was before
            this process began.
        zone: for local times; `None` for this machine's.
        jitter: by chance, from 0 to 1, the same until the next run.
    """
    if past.started is None or past.finished is None:
        return _NONE
    believed = past.started <= past.finished <= now
    if not believed and rested is None:
        # The clock was set back since: nobody knows how long ago it was, and a run is the end of
        # not knowing.
        return _NONE
    elapsed = max(now - past.finished if believed else _NONE, rested or _NONE)
    retry = _retry(rule, past.failures, jitter=jitter) - elapsed
    if isinstance(rule, Every):
        return retry if past.failures else rule.gap * (1 + _JITTER * jitter) - elapsed
    if believed:
        night = _until_night(rule, past.started, now=now, zone=zone, jitter=jitter)
    else:
        night = _DAY - elapsed
    return min(retry, night) if past.failures else night


def period(rule: Rule) -> timedelta:
    """Return the time from one run to the next."""
    return rule.gap if isinstance(rule, Every) else _DAY


def _retry(rule: Rule, failures: int, *, jitter: float) -> timedelta:
    return min(wait_after(failures, jitter=jitter), max(period(rule), _LONGEST_RETRY))


def _until_night(
    rule: Nightly, started: datetime, *, now: datetime, zone: tzinfo | None, jitter: float
) -> timedelta:
    today = now.astimezone(zone).date()
    # Yesterday's as well as tomorrow's: by a date of its own, "today" may be either in UTC.
    nights = [_night(rule, today + _DAY * days, zone=zone) for days in (-1, 0, 1, 2)]
    last = max(night for night in nights if night <= now)
    # Without the jitter, so that one night's is not mistaken for another night.
    due = last if started < last else min(night for night in nights if night > now)
    return due + _NIGHTLY_JITTER * jitter - now


def _night(rule: Nightly, day: date, *, zone: tzinfo | None) -> datetime:
    # A time without a zone is taken for one of this machine's.
    return datetime.combine(day, rule.at, tzinfo=zone).astimezone(UTC)
