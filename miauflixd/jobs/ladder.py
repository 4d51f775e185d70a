"""How long to wait before trying again what has failed. Pure."""

from datetime import timedelta

RUNGS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 180, 360, 720, 1440))
"""After the first failure, the second, and so on: what Prowlarr found that indexers put up with
(`EscalationBackOff.cs`). Whatever fails for longer is tried once a day and never given up."""

LONGEST = RUNGS[-1]

JITTER = 0.1
"""Of a wait: so much longer at most, so that what failed together does not come back together."""


def wait_after(failures: int, *, jitter: float = 0.0, longest: timedelta = LONGEST) -> timedelta:
    """Return how long to wait after so many failures in a row.

    Args:
        failures: none is no wait.
        jitter: by chance, from 0 to 1.
        longest: the top of the ladder, but for the jitter.
    """
    if failures <= 0:
        return timedelta()
    return min(RUNGS[min(failures, len(RUNGS)) - 1], longest) * (1 + JITTER * jitter)


def asked_wait(
    retry_after: object, *, failures: int, jitter: float = 0.0, longest: timedelta = LONGEST
) -> timedelta:
    """Return how long to leave somebody alone who may have said for how long.

    What they say is believed between a second and a day; the rest of it is nobody's business to
    say, or no number at all.

    Args:
        retry_after: seconds, `None`, or whatever a stranger's header was made into.
        failures: in a row, for when they did not say.
        jitter: by chance, from 0 to 1.
        longest: the top of the ladder, for when they did not say.
    """
    match retry_after:
        case bool():
            pass
        # A comparison, so that infinity and what is no number are dealt with as well.
        case int() | float() if retry_after > 0:
            seconds = max(min(retry_after, LONGEST.total_seconds()), 1.0)
            return timedelta(seconds=seconds) * (1 + JITTER * jitter)
    return wait_after(failures, jitter=jitter, longest=longest)
