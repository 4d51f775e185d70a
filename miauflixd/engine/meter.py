"""Totals and rates out of counters."""

from dataclasses import dataclass

_SPAN = 0.5
"""Seconds over which a rate is taken at least."""


@dataclass(slots=True)
class Meter:
    """How many bytes there were since the torrent was added, and how fast they become more.

    libtorrent has two counters. The one begins anew whenever a torrent goes on after a pause; the
    other never does, but is a second late, and goes on where an earlier session stopped.
    """

    inherited: int = 0
    """What earlier sessions have counted."""
    total: int = 0
    _earlier: int = 0
    """What was counted before the last pause."""
    _counter: int = 0
    _rate: float = 0.0
    """Bytes per second."""
    _measured: int = 0
    _since: float = 0.0

    @property
    def rate(self) -> int:
        """Bytes per second, as of half a second ago at most."""
        return int(self._rate)

    def look(self, counter: int, lasting: int, now: float) -> None:
        """Take over what the counters say at a time in seconds."""
        if counter < self._counter:
            self._earlier = self.total
        self._counter = counter
        # Has it begun anew without being seen to go back, then the late one is ahead.
        self._earlier = max(self._earlier, lasting - self.inherited - counter)
        self.total = max(self.total, self._earlier + counter)
        elapsed = now - self._since
        if elapsed > _SPAN:
            self._rate = (self.total - self._measured) / elapsed if self._since else 0.0
            self._measured, self._since = self.total, now
