"""Watching over a tunnel that is up: doubt, evidence, verdict."""

from dataclasses import replace

from miauflixd.keeper import sentences
from miauflixd.keeper.company import tend_standby
from miauflixd.keeper.health import (
    EGRESS_DEAD,
    EGRESS_DOUBT,
    QUIET,
    Watch,
)
from miauflixd.keeper.messages import Endpoint
from miauflixd.keeper.states import (
    CheckEgress,
    Connecting,
    Observed,
    Up,
)
from miauflixd.keeper.transitions import freeze
from miauflixd.keeper.turn import Turn
from miauflixd.keeper.waiting import knock_at_all

REKNOCK = 0.3
"""Seconds between new handshakes during one doubt: the last one's answer must have had its time,
and on a lossy way one alone may well be lost."""

GATEWAY_PATIENCE = 4.5
"""Seconds of silence up to which a question to the gateway may keep a verdict waiting."""

EGRESS_CHECK = 3.0
"""Seconds between attempts to reach the world otherwise than by echoes."""


def start_over(turn: Turn, phase: Up) -> None:
    """Forget what our own absence, or a missing interface, looks like."""
    state = turn.state
    link = turn.rehandshake(phase.link)
    watch = Watch.begin(state.active_sample, turn.now, roughness=state.roughness)
    turn.set(accused=frozenset(), standby=state.standby and state.standby.questioned())
    _enter_up(turn, Up(link=link, watch=watch.probing(turn.now)))
    turn.probe_active(link.endpoint)


def keep_watch(turn: Turn, phase: Up, event: Observed) -> None:
    """Look whether all is well, ask if it is quiet, and judge if it stays so."""
    watch = _looked(turn, phase, event)
    if watch.is_probe_due(turn.now, turn.state.activity):
        watch = watch.probing(turn.now)
        turn.probe_active(phase.link.endpoint)
    phase = replace(phase, watch=watch)
    turn.set(phase=phase, roughness=watch.roughness)
    if watch.silence.lasting(turn.now) >= QUIET:
        turn.ask_gateway()
    if watch.is_doubtful(turn.now):
        _doubt(turn, phase)
        return
    if phase.is_doubted:
        phase = replace(phase, is_doubted=False)
        _enter_up(turn, phase)
    lasting = watch.no_egress.lasting(turn.now)
    if lasting >= EGRESS_DOUBT / 2 and turn.now - phase.egress_checked >= EGRESS_CHECK:
        phase = replace(phase, egress_checked=turn.now)
        turn.set(phase=phase)
        turn.actions.append(CheckEgress(phase.link.endpoint.id))
    if lasting >= EGRESS_DOUBT:
        _judge_egress(turn, phase)
    elif phase.is_degraded:
        _enter_up(turn, replace(phase, is_degraded=False))
    if isinstance(turn.state.phase, Up):
        tend_standby(turn, turn.state.phase)


def _looked(turn: Turn, phase: Up, event: Observed) -> Watch:
    if event.active and event.active.link == phase.link.number:
        watch = phase.watch.observe(event.active, turn.now)
    else:
        watch = phase.watch.cut_off(turn.now)
    standby = turn.state.standby
    if standby and standby.echoed == turn.now:
        # The way to both is the same for the most part, and this one is just being measured.
        watch = replace(watch, roughness=watch.roughness.took(standby.sample.rtt, turn.now))
    return watch


def _doubt(turn: Turn, phase: Up) -> None:
    watch, link = phase.watch, phase.link
    standby = turn.state.standby
    gateway = turn.state.gateway
    since = watch.silence.since
    uplink_is_down = since is not None and gateway.is_silent_since(since)
    if not phase.is_doubted:
        phase = replace(phase, is_doubted=True)
        turn.set(standby=standby and standby.questioned())
        turn.enter(phase, sentences.doubted(link.endpoint.name))
    turn.probe_standby(urgent=True)
    patience = 1.5 * watch.slowness(turn.now)
    if turn.now - phase.knocked >= REKNOCK + patience and not uplink_is_down:
        # Cures a server that has lost its state. Not while the uplink is gone: the session
        # would go on at once when it is back, a new one would have to be made first.
        phase = replace(phase, link=turn.rehandshake(link), knocked=turn.now)
    turn.set(phase=phase)
    if not watch.is_suspect(turn.now) or turn.now - phase.knocked < patience:
        return
    if standby and standby.is_witness:
        _judge_dead(turn, phase, has_witness=True)
    elif uplink_is_down:
        freeze(turn, phase.link, was_up=True)
    elif watch.is_certain(turn.now) and not (
        gateway.is_being_asked() and watch.silence.lasting(turn.now) < GATEWAY_PATIENCE
    ):
        if standby and standby.is_proved:
            knock_at_all(turn, phase)
        else:
            _judge_dead(turn, phase, has_witness=False)


def _judge_egress(turn: Turn, phase: Up) -> None:
    endpoint = phase.link.endpoint
    turn.probe_standby(urgent=True)
    target = _who_has_egress(turn, phase)
    phase = replace(phase, is_degraded=True)
    turn.enter(phase, sentences.degraded(endpoint.name, is_alone=target is None))
    if target and phase.watch.no_egress.lasting(turn.now) >= EGRESS_DEAD:
        _judge(turn, phase, target, sentences.without_egress(endpoint.name))


def _who_has_egress(turn: Turn, phase: Up) -> Endpoint | None:
    """Return whoever may be better: one whose echoes come, or one that was not left for that.

    Echoes may be filtered, or the world be gone, everywhere; then all are equally good.
    """
    standby, ladder = turn.state.standby, turn.state.ladder
    since = turn.now - phase.watch.no_egress.lasting(turn.now)
    if standby and standby.answers and standby.echoed >= since:
        return standby.endpoint
    best = ladder.best(turn.now, without={phase.link.endpoint.id})
    return best if best and not ladder.is_penalised(best.id, turn.now) else None


def _judge_dead(turn: Turn, phase: Up, *, has_witness: bool) -> None:
    """Leave an endpoint that does not answer: for the standby, if that has just answered."""
    guilty, standby = phase.link.endpoint, turn.state.standby
    ladder = turn.state.ladder
    if has_witness and standby:
        target: Endpoint | None = standby.endpoint
    else:
        without = {guilty.id, standby.endpoint.id} if standby else {guilty.id}
        target = ladder.best(turn.now, without=without)
        target = target or ladder.best(turn.now, without={guilty.id})
    why = sentences.dead(guilty.name)
    _judge(turn, phase, target or guilty, why, has_witness=has_witness)


def _judge(turn: Turn, phase: Up, target: Endpoint, why: str, *, has_witness: bool = True) -> None:
    """Leave the endpoint because of its faults; without a witness they are to be confirmed."""
    state, guilty = turn.state, phase.link.endpoint
    turn.set(verdicts=state.verdicts + 1, wish=None)
    if not has_witness or state.is_clock_behind:
        turn.set(accused=state.accused | {guilty.id})
    else:
        turn.set(ladder=state.ladder.penalising({guilty.id}, turn.now))
    tried = frozenset({guilty.id} - {target.id})
    turn.connect(target, after=Connecting(link=phase.link, tried=tried), why=why)


def _enter_up(turn: Turn, phase: Up) -> None:
    turn.enter(phase, sentences.up(phase.link.endpoint.name))
