"""The wall clock, which WireGuard's servers remember.

A handshake carries the time, and a server ignores one that is not after the last it has seen from
us. A Raspberry Pi has no clock of its own: after a power cut it lives in the past until NTP has
run, and no server answers. That is not the servers' fault.
"""

import time
from collections.abc import Callable

_SLACK = 2.0
"""Seconds by which a clock may be set back without anybody noticing: NTP does that."""


class WallClock:
    """Tells whether the wall clock shows a time that servers have seen already."""

    def __init__(self, *, not_before: float, now: Callable[[], float] = time.time) -> None:
        """Take a moment, in seconds since the epoch, that is certainly past."""
        self._seen = not_before
        self._now = now

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self._now()

    def handshake(self, at: float | None) -> None:
        """Note when the last handshake was: what it carried is what servers remember."""
        if at is not None:
            self._seen = at

    @property
    def is_behind(self) -> bool:
        """Whether it is set to the past."""
        return self._now() + _SLACK < self._seen
