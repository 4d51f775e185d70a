"""The uplink is down: waiting without blaming anybody."""

from dataclasses import replace

from miauflixd.keeper import sentences
from miauflixd.keeper.health import growth
from miauflixd.keeper.states import (
    Observed,
    Probe,
    UplinkDown,
)
from miauflixd.keeper.transitions import come_up, knock_again
from miauflixd.keeper.turn import Turn

FROZEN_PROBE = 0.5
"""Seconds between probes while the uplink is down."""

FROZEN_KNOCK = 5.0
"""Seconds between handshakes meanwhile: a session that still holds must not be thrown away."""

SESSION = 120.0
"""Seconds for which WireGuard keeps a session without renewing it."""


def await_uplink(turn: Turn, phase: UplinkDown, event: Observed) -> None:
    """Look whether anything comes; ask for it, and ask the gateway."""
    link, sample, standby = phase.link, event.active, turn.state.standby
    if sample and sample.link == link.number:
        came = growth(phase.sample.rx, sample.rx) > 0
        if came and (phase.was_up or sample.proves(link.stale)):
            come_up(turn, link, sample)
            return
        phase = replace(phase, sample=sample)
    if standby and standby.is_witness:
        knock_again(turn, link, why=sentences.UPLINK_BACK)
        return
    turn.ask_gateway()
    if turn.now - phase.probed >= FROZEN_PROBE:
        phase = replace(phase, probed=turn.now)
        turn.probe_active(link.endpoint)
        if standby and standby.is_proved:
            turn.actions.append(Probe("standby", turn.target(standby.endpoint), None))
    has_session = phase.was_up and turn.now - phase.began < SESSION
    if not has_session and turn.now - phase.knocked >= FROZEN_KNOCK:
        phase = replace(phase, link=turn.rehandshake(link), knocked=turn.now)
    turn.set(phase=phase)
