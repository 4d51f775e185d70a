"""The second endpoint, kept warm: a witness, and the next one to use."""

from dataclasses import dataclass, replace

from miauflixd.keeper.health import ALERT_TICK, NOTHING, PROBE_EVERY, Sample, growth
from miauflixd.keeper.messages import Activity, Endpoint

EVERY: dict[Activity, float] = {"idle": 30.0, "active": 5.0, "streaming": 5.0}
"""Seconds between probes that are answered."""

AGAIN = 1.0
"""Seconds between probes that are not."""

SILENT = 3
"""Unanswered probes after which it counts for nothing, and is asked for a new handshake."""

GIVEN_UP = 6
"""Unanswered probes after which another one takes its place."""

WITNESS = 2
"""Answers since the doubt about the active one began that make it a witness: one may be late."""


@dataclass(frozen=True, slots=True)
class Standby:
    """What is known of it since it was connected."""

    endpoint: Endpoint
    server: int
    link: int
    began: float
    stale: Sample
    """What was counted before, which proves nothing."""
    sample: Sample = NOTHING
    is_proved: bool = False
    """There was a handshake since it was connected."""
    is_knocked: bool = False
    """It was asked for a new handshake since it fell silent."""
    probed: float = float("-inf")
    unanswered: int = 0
    good_since: float | None = None
    echoed: float = float("-inf")
    """When the last echo came from beyond it."""
    heard_count: int = 0
    """Looks at which something had come since the doubt about the active one began."""

    @property
    def answers(self) -> bool:
        """Whether it is fit to be used at once."""
        return self.is_proved and self.unanswered < SILENT

    @property
    def is_witness(self) -> bool:
        """Whether it has just now shown that the internet is there."""
        return self.is_proved and self.heard_count >= WITNESS

    def observe(self, sample: Sample | None, now: float) -> "Standby":
        """Return what is known after another look."""
        if sample is None or sample.link != self.link:
            return self
        proved = self.is_proved or sample.proves(self.stale)
        # The prober has counted since long before this one was connected.
        has_echo = self.sample is not NOTHING and sample.echoes > self.sample.echoes
        heard = has_echo or growth(self.sample.rx, sample.rx)
        echoed = now if has_echo else self.echoed
        after = replace(self, sample=sample, is_proved=proved, echoed=echoed)
        if not proved or not heard:
            return after
        return replace(
            after,
            unanswered=0,
            is_knocked=False,
            heard_count=self.heard_count + 1,
            good_since=now if self.good_since is None else self.good_since,
        )

    def is_probe_due(self, now: float, activity: Activity, *, urgent: bool) -> bool:
        """Return whether to send it an echo request now."""
        usual = AGAIN if self.unanswered else EVERY[activity]
        every = PROBE_EVERY if urgent else usual
        return self.is_proved and now + ALERT_TICK / 2 - self.probed >= every

    def probing(self, now: float) -> "Standby":
        """Return what is known after a probe has gone out."""
        unanswered = self.unanswered + 1
        good_since = None if unanswered > SILENT else self.good_since
        return replace(self, probed=now, unanswered=unanswered, good_since=good_since)

    def knocking(self, link: int) -> "Standby":
        """Return what is known after it was asked for a new handshake."""
        return replace(self, link=link, is_knocked=True)

    def questioned(self) -> "Standby":
        """Return it with a clean record, as a doubt about the active one begins."""
        return replace(self, heard_count=0, unanswered=0, probed=float("-inf"))
