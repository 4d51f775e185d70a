"""How often somebody may ask. No I/O; the clock is handed in.

Each class of routes has a bucket of its own for each client. A bucket is one number, the time at
which it will be full again (the generic cell rate algorithm): a request moves it on by what one
costs, and is too early when that would be further ahead than the bucket is deep. So the wait that
a refusal names is exact, and a bucket that is full need not be remembered at all.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from miauflixd.errors import RateLimitedError
from miauflixd.web.routes import RateClass


@dataclass(frozen=True, slots=True)
class Rate:
    """How often is often enough."""

    burst: int
    """Requests that may come at once."""
    per_second: float
    """Requests that may come in the long run."""


RATES: Mapping[RateClass, Rate] = {
    # A page asks for its files and its pictures at once, and then for nothing.
    "page": Rate(burst=300, per_second=50),
    "read": Rate(burst=300, per_second=50),
    "write": Rate(burst=60, per_second=5),
    # Four TVs that wait to be approved ask every five seconds. Guessing has the lockout as well.
    "sign_in": Rate(burst=20, per_second=1),
    # Each one may ask others.
    "search": Rate(burst=30, per_second=3),
    # A player that searches for a file's index asks for some hundred ranges in a row.
    "stream": Rate(burst=400, per_second=50),
}

_PLACES = 10_000
"""Buckets of each class to remember: 15 MB when all six are full of addresses. The least recently
used goes first, so a flood from ever new addresses makes room for itself only."""

_EXPIRED_AT_ONCE = 2
"""Full buckets to forget with each new one: more than come."""

_ROUNDING = 1e-6
"""Seconds: whoever comes back exactly when told to is not too early."""

_CONNECTIONS = 4
"""At which one device may read one file, for each film that its user may be sent."""

_WHEN_A_STREAM_MAY_BE_OVER = 10.0


class TooManyStreamsError(RateLimitedError):
    """The user is sent as many films at the same time as one may be."""

    code = "too_many_streams"


class RateLimiter(Protocol):
    """Counts requests."""

    def require(self, rate: RateClass, who: Hashable) -> None:
        """Count a request.

        Raises:
            RateLimitedError: it is one too many.
        """
        ...


class RateLimits:
    """Counts requests by class and by whoever makes them."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        rates: Mapping[RateClass, Rate] = RATES,
        places: int = _PLACES,
    ) -> None:
        """Begin with full buckets.

        Args:
            clock: seconds that never go back.
            rates: how often each class may be asked for.
            places: buckets of each class to remember at most.
        """
        self._clock = clock
        self._rates = rates
        self._places = places
        self._full_at: dict[RateClass, OrderedDict[Hashable, float]] = {
            rate: OrderedDict() for rate in rates
        }

    def require(self, rate: RateClass, who: Hashable) -> None:
        """Count a request.

        Raises:
            RateLimitedError: it is one too many.
        """
        if (wait := self._wait(rate, who)) > 0:
            raise RateLimitedError(
                "You ask more often than this machine likes. Wait a moment", retry_after=wait
            )

    def __len__(self) -> int:
        """Return how many buckets are remembered."""
        return sum(map(len, self._full_at.values()))

    def _wait(self, rate: RateClass, who: Hashable) -> float:
        """Take one out of a bucket, or return the seconds until there is one in it."""
        now = self._clock()
        each = 1 / self._rates[rate].per_second
        buckets = self._full_at[rate]
        full_at = max(buckets.get(who, now), now) + each
        wait = full_at - now - self._rates[rate].burst * each
        if wait > _ROUNDING:
            return wait
        if who not in buckets:
            self._make_room(buckets, now)
        buckets[who] = full_at
        buckets.move_to_end(who)
        return 0.0

    def _make_room(self, buckets: OrderedDict[Hashable, float], now: float) -> None:
        for _ in range(_EXPIRED_AT_ONCE):
            oldest = next(iter(buckets), None)
            if oldest is None or (buckets[oldest] > now and len(buckets) < self._places):
                return
            del buckets[oldest]


class NoRateLimits:
    """Counts nothing, for measurements."""

    def require(self, rate: RateClass, who: Hashable) -> None:
        """Let everybody ask as often as they like."""


class Streams:
    """Who is being sent what.

    A stream is one device and one file: players read a file over several connections, and leave
    some of them open for a while when they jump.
    """

    def __init__(self, *, most: int) -> None:
        """Allow each user so many at the same time."""
        self._most = most
        self._of_user: dict[Hashable, Counter[Hashable]] = {}

    @contextmanager
    def sending(self, user: Hashable, what: Hashable) -> Iterator[None]:
        """Count a stream for the length of the block.

        Raises:
            TooManyStreamsError: it is one too many.
        """
        streams = self._of_user.get(user, Counter())
        if (what not in streams and len(streams) >= self._most) or (
            streams.total() >= self._most * _CONNECTIONS
        ):
            raise TooManyStreamsError(
                f"You are watching on {self._most} screens already. Stop one of them first",
                retry_after=_WHEN_A_STREAM_MAY_BE_OVER,
            )
        self._of_user[user] = streams
        streams[what] += 1
        try:
            yield
        finally:
            streams[what] -= 1
            if not streams[what]:
                del streams[what]
            if not streams:
                self._of_user.pop(user, None)
