"""Whether anything still comes back: the evidence, without a verdict.

Three questions, each with a clock that runs while we ask in vain:

- Does *anything* come? What WireGuard counts as received survives a saturated link, so it comes
  first: as long as it grows, nobody is dead.
- Does anything go there *and* back? What is received may be a stranger who repeats himself because
  he never hears us. A handshake, an echo, or data at a rate that needs our answers tells.
- Is there something *beyond* the server? Only an echo from there, or such data.

Echo requests are sent only when something was asked and nothing comes, or when it was quiet. How
long we wait before we draw a conclusion depends on how slow and how lossy the way has been lately.
"""

from dataclasses import dataclass, replace

from miauflixd.keeper.messages import Activity

QUIET = 0.4
"""Seconds without an answer after which we ask by ourselves: longer than most round trips.

This and the bounds below are a tenth of a second less than the 0.5, 1.5 and 3 s that are promised,
because it takes that long to notice that the last packet was the last, and to change.
"""

PROBE_EVERY = 0.25
"""Seconds between probes while nothing comes."""

EGRESS_EVERY = 1.0
"""Seconds between probes while the server answers and nobody beyond it."""

IDLE_EVERY: dict[Activity, float] = {"idle": 10.0, "active": 2.0, "streaming": 1.0}
"""Seconds without data after which we ask although nobody else does."""

TICK = 0.1
"""Seconds between two looks while something is wrong."""

CALM_TICK = 0.2
"""Seconds between two looks while somebody needs the tunnel and all is well.

A silence counts from the last look at which something had come, so looking more often would only
find out sooner that a wait has begun, not that it is over.
"""

ALERT_TICK = 0.05
"""Seconds between two looks while we wait for something to come."""

IDLE_TICK = 1.0
"""Seconds between two looks while nobody does."""

DATA = 20_000
"""Bytes per second that nobody sends to somebody who does not answer."""

DOUBT = (0.9, 3)
"""Seconds, and rounds of probes, without anything after which we collect evidence.

Before `SUSPECT`, because the standby's echo and the answer to a new handshake must have their round
trips behind them when the verdict is due.
"""

SUSPECT = (1.4, 5)
"""The same, after which the endpoint is dead if another one answers."""

CERTAIN = (2.9, 10)
"""The same, after which it is dead without a witness."""

DEAF_DOUBT = (1.5, 5)
"""Seconds and rounds without an answer, though something comes, after which we collect evidence."""

DEAF = (2.5, 8)
"""The same, after which the endpoint is dead if another one answers."""

EGRESS_DOUBT = 3.0
"""Seconds without anything from beyond the server after which nobody may be told it works."""

EGRESS_DEAD = 9.0
"""The same, after which we change: within ten seconds with what precedes the first probe."""


HELD = 60.0
"""Seconds for which we remember how late something came, or after how many probes in vain ..."""

FADING = 30.0
"""... and after which half of it is forgotten from then on."""

LOSSY_LIMIT = 10
"""Probes in a row at most that we take for loss."""

USUAL = 1
"""Probes without an answer that say nothing."""

SLOW_LIMIT = 2.0
"""Seconds of a round trip at most that we wait longer for."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was counted for one tunnel at one moment."""

    link: int = 0
    """The number of the last connect or new handshake that was carried out there."""
    rx: int = 0
    tx: int = 0
    handshake: float | None = None
    """When the last one was, by the wall clock: only whether it is the same one is of use."""
    echoes: int = 0
    """Echoes from beyond the server."""
    gateway_echoes: int = 0
    """Echoes from the server."""
    rtt: float = 0.0
    """Seconds that the last echo took."""

    def proves(self, stale: "Sample") -> bool:
        """Return whether there was a handshake since the peer was made, given what was before."""
        # Some count handshakes in whole seconds; a counter that fell tells of a new peer too.
        return self.handshake is not None and (
            self.handshake != stale.handshake or self.rx < stale.rx
        )


NOTHING = Sample()
"""Before anything was counted."""


def growth(before: int, now: int) -> int:
    """Return what was added to a counter that starts anew with each peer."""
    return now - before if now >= before else now


@dataclass(frozen=True, slots=True)
class Wait:
    """Since when we have asked in vain, and how often."""

    since: float | None = None
    probes: int = 0

    def asked(self, now: float) -> "Wait":
        """Return the wait after something has gone out."""
        return self if self.since is not None else Wait(now, self.probes)

    def probed(self, now: float) -> "Wait":
        """Return the wait after a round of probes has gone out."""
        return Wait(now if self.since is None else self.since, self.probes + 1)

    def lasting(self, now: float) -> float:
        """Return the seconds since then."""
        return 0.0 if self.since is None else now - self.since


NO_WAIT = Wait()


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest value of late, fading."""

    value: float = 0.0
    at: float = 0.0

    def recent(self, now: float) -> float:
        """Return what is left of it."""
        left: float = 0.5 ** (max(0.0, now - self.at - HELD) / FADING)
        return self.value * left

    def raised(self, value: float, now: float) -> "Peak":
        """Return the peak after another value."""
        return Peak(value, now) if value and value >= self.recent(now) else self


@dataclass(frozen=True, slots=True)
class Roughness:
    """What the way has been like of late though nobody was dead; the same for every server."""

    loss: Peak = Peak()
    """Rounds of probes in a row that were lost."""
    slowness: Peak = Peak()
    """Seconds of a round trip beyond the usual."""

    def lost(self, probes: int, now: float) -> "Roughness":
        """Return what it is like after something came in the end, but so many probes were lost."""
        if probes <= USUAL:
            return self
        return replace(self, loss=self.loss.raised(min(probes, LOSSY_LIMIT), now))

    def took(self, rtt: float, now: float) -> "Roughness":
        """Return what it is like after a round trip took so long."""
        if rtt <= PROBE_EVERY:
            return self
        return replace(self, slowness=self.slowness.raised(min(rtt - PROBE_EVERY, SLOW_LIMIT), now))


SMOOTH = Roughness()


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known about one connection since it began, or since our own clock stood still."""

    sample: Sample
    seen: float
    """When we last looked."""
    confirmed: float
    """When anything last came from beyond the server."""
    probed: float = float("-inf")
    silence: Wait = NO_WAIT
    """For anything at all."""
    deafness: Wait = NO_WAIT
    """For anything that answers us."""
    no_egress: Wait = NO_WAIT
    """For anything from beyond the server."""
    roughness: Roughness = SMOOTH

    @classmethod
    def begin(cls, sample: Sample, now: float, *, roughness: Roughness = SMOOTH) -> "Watch":
        """Return what is known in the beginning: the counters, and what the way is like."""
        return cls(sample=sample, seen=now, confirmed=now, roughness=roughness)

    def observe(self, sample: Sample, now: float) -> "Watch":
        """Return what is known after another look."""
        before = self.sample
        received = growth(before.rx, sample.rx)
        # At least a packet's worth: two looks may follow each other closely.
        has_data = received >= DATA * max(TICK, now - self.seen)
        has_echo = sample.echoes > before.echoes
        has_answer = (
            has_data
            or has_echo
            or sample.gateway_echoes > before.gateway_echoes
            or sample.handshake not in {None, before.handshake}
        )
        silence, roughness = self.silence, self.roughness
        if received:
            roughness = roughness.lost(silence.probes, now).took(sample.rtt, now)
            silence = NO_WAIT
        elif growth(before.tx, sample.tx):
            # It went out after the last look, and nothing has come since.
            silence = silence.asked(self.seen)
        is_confirmed = has_data or has_echo
        return replace(
            self,
            sample=sample,
            seen=now,
            silence=silence,
            deafness=NO_WAIT if has_answer else self.deafness,
            no_egress=NO_WAIT if is_confirmed else self.no_egress,
            confirmed=now if is_confirmed else self.confirmed,
            roughness=roughness,
        )

    def cut_off(self, now: float) -> "Watch":
        """Return what is known after a look at an interface that is not there, or not ours."""
        return replace(self, seen=now, silence=self.silence.asked(now))

    def probing(self, now: float) -> "Watch":
        """Return what is known after a round of probes has gone out."""
        return replace(
            self,
            probed=now,
            silence=self.silence.probed(now),
            deafness=self.deafness.probed(now),
            no_egress=self.no_egress.probed(now),
        )

    def has_egress(self, now: float) -> "Watch":
        """Return what is known after a name was resolved through the tunnel."""
        return replace(self, confirmed=now, deafness=NO_WAIT, no_egress=NO_WAIT)

    def is_probe_due(self, now: float, activity: Activity) -> bool:
        """Return whether to ask by ourselves now."""
        now += ALERT_TICK / 2  # the nearest look, not the one after
        if max(self.silence.lasting(now), self.deafness.lasting(now)) >= QUIET:
            return now - self.probed >= PROBE_EVERY
        if self.no_egress.since is not None:
            return now - self.probed >= EGRESS_EVERY
        return now - max(self.probed, self.confirmed) >= IDLE_EVERY[activity]

    def is_doubtful(self, now: float) -> bool:
        """Return whether the endpoint may be dead."""
        return self._is_beyond(self.silence, DOUBT, now) or self._is_beyond(
            self.deafness, DEAF_DOUBT, now
        )

    def is_suspect(self, now: float) -> bool:
        """Return whether it is dead if another one answers."""
        return self._is_beyond(self.silence, SUSPECT, now, is_verdict=True) or self._is_beyond(
            self.deafness, DEAF, now, is_verdict=True
        )

    def is_certain(self, now: float) -> bool:
        """Return whether it is dead even if nobody else answers."""
        return self._is_beyond(self.silence, CERTAIN, now, is_verdict=True)

    @property
    def is_waiting(self) -> bool:
        """Whether something has gone out that has not been answered."""
        return self.silence.since is not None or self.no_egress.since is not None

    def slowness(self, now: float) -> float:
        """Return the seconds by which an answer may be later than usual: it may have to queue."""
        return self.roughness.slowness.recent(now)

    def _is_beyond(
        self, wait: Wait, bounds: tuple[float, int], now: float, *, is_verdict: bool = False
    ) -> bool:
        """Return whether both bounds are reached, on a rough way those for a rough way."""
        seconds, probes = bounds
        now += ALERT_TICK / 2  # the nearest look, not the one after
        # A doubt waits for one late answer. A verdict is for after two new handshakes, either of
        # which may have been lost, had their time too.
        late = (3 if is_verdict else 1) * self.slowness(now)
        lost = (2 if is_verdict else 1) * self.roughness.loss.recent(now)
        return wait.lasting(now) >= seconds + late and wait.probes >= max(probes, lost)
