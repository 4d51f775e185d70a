"""Whether there is a way to the swarm, for those who wait for something from there. No I/O."""

from dataclasses import dataclass
from math import inf

from miauflixd.tunnel.errors import TunnelDownError

_PATIENCE = 10.0
"""Seconds without a road after which nobody begins to wait for data any more.

A failover takes three, an uplink that comes back ten; behind that a person wants to be told, and
whoever is told may still press play again.
"""


@dataclass(eq=False, slots=True)
class Road:
    """The way to the swarm. It is there unless somebody says otherwise."""

    up: bool = True
    reason: str = ""
    """Why there is none, a sentence."""
    since: float = -inf
    """When that has changed last, on the loop's clock."""

    def change(self, *, up: bool, reason: str, now: float) -> bool:
        """Take over whether there is one, and return whether that was news."""
        if (up, reason) == (self.up, self.reason):
            return False
        if up is not self.up:
            self.since = now
        self.up, self.reason = up, reason
        return True

    def deadline(self, silent_since: float, *, patience: float, begun: bool) -> float:
        """Return until when to wait for data.

        Without a road silence is nobody's fault, so the clock starts when it is there again.

        Args:
            silent_since: when something has come last, or the waiting began.
            patience: seconds of silence to bear.
            begun: whether to bear as much without a road: an end would be an interruption.
        """
        deadline = max(silent_since, self.since) + patience
        return deadline if self.up or begun else min(deadline, self.since + _PATIENCE)

    def require(self) -> None:
        """Pass if there is one.

        Raises:
            TunnelDownError: there is none.
        """
        if not self.up:
            raise TunnelDownError(self.in_words())

    def in_words(self) -> str:
        """Return that there is none, and why."""
        return f"The VPN tunnel is down: {self.reason.rstrip('.')}"
