"""How a directory is doing, and when it is asked again. No I/O."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from miauflixd.sources.directories.directory import (
    DirectoryGuardedError,
    DirectoryRefusedError,
    DirectoryUnavailableError,
    DirectoryUnreachableError,
)

Condition = Literal["unknown", "ok", "failing", "refused", "guarded"]
"""`unknown`: not asked yet. `refused`: somebody has to change something, such as the key.
`guarded`: a check for browsers answers in its place."""

LADDER = tuple(timedelta(minutes=minutes) for minutes in (0, 1, 5, 15, 30, 60, 180, 360, 720, 1440))
"""For how long a directory is left alone after so many failures in a row; Prowlarr's. The first
costs nothing, since anybody stumbles once."""

_AT_MOST_UNREACHABLE = 3
"""The rung of a quarter of an hour: that nobody is there is soon found out and disturbs nobody, and
when our own network is back nothing should seem to be away for a day."""

_AT_LEAST_REFUSED = 5
"""The rung of an hour: a key does not mend itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How a directory is doing: what, since when, why, and until when it is left alone."""

    condition: Condition = "unknown"
    since: datetime | None = None
    reason: str = ""
    """A sentence for a person; empty when all is well."""
    failures: int = 0
    """In a row."""
    until: datetime | None = None
    """When it is asked again, at the earliest."""

    def rests(self, now: datetime) -> timedelta:
        """Return for how long it is left alone yet; zero as a rule."""
        if self.until is None:
            return timedelta(0)
        # Further ahead than anybody is ever sent away: a clock that was wrong then, or is now.
        left = self.until - now
        return left if timedelta(0) < left <= LADDER[-1] else timedelta(0)


def after_answer(standing: Standing, now: datetime) -> Standing:
    """Return the standing of a directory that has answered."""
    since = standing.since if standing.condition == "ok" else now
    return Standing(condition="ok", since=since)


def after_failure(standing: Standing, error: DirectoryUnavailableError, now: datetime) -> Standing:
    """Return the standing of a directory that has not."""
    condition: Condition
    match error:
        case DirectoryRefusedError():
            condition = "refused"
        case DirectoryGuardedError():
            condition = "guarded"
        case _:
            condition = "failing"
    rung = min(standing.failures, len(LADDER) - 1)
    if isinstance(error, DirectoryUnreachableError):
        rung = min(rung, _AT_MOST_UNREACHABLE)
    if condition != "failing":
        rung = max(rung, _AT_LEAST_REFUSED)
    rest = max(LADDER[rung], timedelta(seconds=error.retry_after or 0))
    return Standing(
        condition=condition,
        since=standing.since if standing.condition == condition else now,
        reason=str(error),
        failures=standing.failures + 1,
        until=now + min(rest, LADDER[-1]),
    )
