"""Rates out of counters."""

from dataclasses import dataclass

_SPAN = 0.5
"""Seconds over which a rate is taken at least."""


@dataclass(slots=True)
class Meter:
    """Bytes per second out of a counter; libtorrent's own figure takes ten seconds to get there."""

    _counter: int = 0
    _since: float = 0.0
    _rate: float = 0.0

    def rate(self, counter: int, now: float) -> int:
        """Return the rate at a time in seconds, from what the counter did since the last call."""
        elapsed = now - self._since
        if elapsed > _SPAN:
            self._rate = (counter - self._counter) / elapsed if self._since else 0.0
            self._counter, self._since = counter, now
        return int(self._rate)
