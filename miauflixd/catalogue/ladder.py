"""How long to leave alone what has failed. No I/O; the clock is handed in."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from math import inf
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Ladder(Generic[T]):
    """Remembers failures: each one in a row makes the next wait longer, a success ends it.

    Beyond `most` of them the oldest is forgotten.
    """

    def __init__(
        self, *, steps: Sequence[float], clock: Callable[[], float], most: int = 10_000
    ) -> None:
        """Begin without any.

        Args:
            steps: seconds to wait after the first failure, the second, and so on; the last stays.
            clock: seconds that never go back.
            most: failures to remember, 2 MB of them by default.
        """
        self._steps = steps
        self._clock = clock
        self._most = most
        self._failed: OrderedDict[T, tuple[int, float]] = OrderedDict()

    def failed(self, what: T, *, at_least: float = 0.0) -> bool:
        """Note a failure, and return whether it is the first in a row.

        Who fails while it is to be left alone had begun before: that is the same failure.

        Args:
            what: has failed.
            at_least: seconds to wait in any case.
        """
        now = self._clock()
        is_first = what not in self._failed
        count, until = self._failed.pop(what, (0, now))
        if until <= now:
            until = now + self._steps[min(count, len(self._steps) - 1)]
            count += 1
        self._failed[what] = (count, max(until, now + at_least))
        if len(self._failed) > self._most:
            self._failed.popitem(last=False)
        return is_first

    def succeeded(self, what: T) -> bool:
        """Forget its failures, and return whether there were any."""
        return self._failed.pop(what, None) is not None

    def wait(self, what: T) -> float:
        """Return the seconds for which it is to be left alone; 0 when it is not."""
        _, until = self._failed.get(what, (0, -inf))
        return max(until - self._clock(), 0.0)
