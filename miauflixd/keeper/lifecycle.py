"""The life of the tunnel: state + event -> state + actions.

```
   Down --ladder--> Connecting <---all tried / knock answered---> Waiting
     ^                |   ^  ^
     | no endpoint    |   |  +--gateway back------ UplinkDown <--- anyone but Up: gateway silent
     |      handshake |   | dead, no egress,         |    ^
     |                v   | planned                  |    | silent, no witness, gateway silent
     +--------------  Up -+                          |    |
                      ^  +---------------------------|----+
                      +------- anything came --------+
   Quarantined: from everywhere at an audit's finding, to Connecting when an audit is clean
```

What is promised, for every sequence of events (`tests/test_lifecycle.py`):

- `up` only after a handshake newer than the connect.
- An endpoint is left for its faults only from `Up`; so there is one verdict for each outage.
- No action opens anything: the wall is not the lifecycle's, so it cannot take it down. There is a
  peer only in the phases that have a link, and none in quarantine.
- `UplinkDown` changes to no other endpoint, and leaves no penalty.
- Time passes by events alone.
"""

from dataclasses import replace
from typing import assert_never

from miauflixd.keeper import sentences
from miauflixd.keeper.connecting import await_handshake
from miauflixd.keeper.health import (
    ALERT_TICK,
    CALM_TICK,
    IDLE_TICK,
    NOTHING,
    TICK,
)
from miauflixd.keeper.messages import Endpoint
from miauflixd.keeper.outage import await_uplink
from miauflixd.keeper.states import (
    Action,
    ActivitySet,
    Audited,
    Connecting,
    Disconnect,
    Down,
    EgressChecked,
    Event,
    Gateway,
    LadderSet,
    Observed,
    Quarantined,
    Repaired,
    StandbyLent,
    StandbyReturned,
    State,
    SwitchWanted,
    Up,
    UplinkChecked,
    UplinkDown,
    Waiting,
    Wish,
)
from miauflixd.keeper.transitions import knock_again
from miauflixd.keeper.turn import Turn
from miauflixd.keeper.vigil import keep_watch, start_over
from miauflixd.keeper.waiting import await_anyone

GAP = 3.0
"""Seconds between two looks after which it was us who were away, not the server."""

CONNECTING_TICK = 0.02
"""Seconds between two looks for a handshake: everybody waits for it, and not for long."""


def step(state: State, event: Event) -> tuple[State, tuple[Action, ...]]:
    """Return the state that follows an event, and what to do on the way, in this order."""
    turn = Turn(state, event.now)
    _take(turn, event)
    return turn.state, tuple(turn.actions)


def tick(state: State) -> float:
    """Return the seconds after which to look again."""
    match state.phase:
        case Down() | Quarantined():
            return IDLE_TICK
        case Connecting(round=0):
            return CONNECTING_TICK
        case Up(watch=watch) if watch.is_waiting:
            return ALERT_TICK
        case Up() if state.wish is None:
            return IDLE_TICK if state.activity == "idle" else CALM_TICK
        case _:
            return TICK


def is_standby_of_interest(state: State) -> bool:
    """Return whether something is to be learnt from the standby's counters at each look."""
    standby = state.standby
    if standby is None:
        return False
    is_calm = isinstance(state.phase, Up) and not state.phase.watch.is_waiting
    return not (is_calm and standby.is_proved and standby.unanswered == 0)


def _take(turn: Turn, event: Event) -> None:  # noqa: C901  # one line for each kind of event
    match event:
        case LadderSet():
            _set_ladder(turn, event)
        case ActivitySet():
            turn.set(activity=event.activity)
        case SwitchWanted():
            _want(turn, event.endpoint_id)
        case Observed():
            _observe(turn, event)
        case UplinkChecked():
            _hear_gateway(turn, answers=event.answers)
        case EgressChecked():
            _hear_egress(turn, event)
        case Audited():
            _audit(turn, event.findings)
        case Repaired():
            if isinstance(turn.state.phase, Up):
                start_over(turn, turn.state.phase)
        case StandbyLent():
            turn.set(is_lent=True, standby=None)
        case StandbyReturned():
            turn.set(is_lent=False, standby_due=turn.now)
        case _:
            assert_never(event)


def _set_ladder(turn: Turn, event: LadderSet) -> None:
    state = turn.state
    turn.set(ladder=state.ladder.replaced(event.endpoints))
    ladder = turn.state.ladder
    if state.wish and not ladder.find(state.wish.endpoint_id):
        turn.set(wish=None)
    if isinstance(state.phase, Quarantined):
        return
    if not ladder.endpoints:
        turn.drop_standby()
        if state.link:
            turn.actions.append(Disconnect("active"))
        turn.try_best()
        return
    if state.standby and ladder.find(state.standby.endpoint.id) != state.standby.endpoint:
        turn.drop_standby()
    adopted = ladder.find(event.adopted)
    if state.link is None and adopted:
        _adopt(turn, adopted)
    elif state.link is None:
        turn.try_best()
    elif ladder.find(state.link.endpoint.id) != state.link.endpoint:
        turn.try_best(why=sentences.REMOVED)
    elif isinstance(state.phase, Waiting):
        turn.try_best()  # there may be somebody who was not asked yet


def _adopt(turn: Turn, endpoint: Endpoint) -> None:
    # A peer that is the same and in good standing is left alone by this.
    link = replace(turn.link_to(endpoint, 0), stale=NOTHING)
    turn.enter(Connecting(link=link, is_adopted=True), sentences.adopting(endpoint.name))
    turn.probe_active(endpoint)


def _want(turn: Turn, endpoint_id: str | None) -> None:
    state = turn.state
    link = state.link
    current = link.endpoint.id if link else None
    if endpoint_id is None:
        other = state.ladder.best(turn.now, without={current} if current else ())
    else:
        other = state.ladder.find(endpoint_id)
    if other is None:
        return
    if other.id == current:
        turn.set(wish=None, ladder=state.ladder.choosing(other.id))
    elif isinstance(state.phase, Up | UplinkDown):
        turn.set(wish=Wish(other.id))  # the last one wins
    else:
        turn.set(ladder=state.ladder.choosing(other.id))
        if isinstance(state.phase, Connecting | Waiting):
            turn.connect(other, why=sentences.changing(is_fail_back=False, to=other.name))


def _hear_gateway(turn: Turn, *, answers: bool) -> None:
    state = turn.state
    turn.set(gateway=Gateway(answers=answers, at=turn.now, asked=state.gateway.asked))
    if answers and isinstance(state.phase, UplinkDown):
        knock_again(turn, state.phase.link, why=sentences.UPLINK_BACK)


def _hear_egress(turn: Turn, event: EgressChecked) -> None:
    phase = turn.state.phase
    if isinstance(phase, Up) and event.works and phase.link.endpoint.id == event.endpoint_id:
        turn.set(phase=replace(phase, watch=phase.watch.has_egress(turn.now)))


def _audit(turn: Turn, findings: tuple[str, ...]) -> None:
    state = turn.state
    if findings:
        if not isinstance(state.phase, Quarantined):
            turn.drop_standby()
            turn.actions.append(Disconnect("active"))
            turn.set(wish=None, accused=frozenset())
        turn.enter(Quarantined(findings), sentences.quarantined(findings))
    elif isinstance(state.phase, Quarantined):
        turn.try_best(why=sentences.CLEAN)


def _observe(turn: Turn, event: Observed) -> None:
    before = turn.state
    slept = before.seen is not None and turn.now - before.seen > GAP
    turn.set(
        seen=turn.now,
        is_clock_behind=event.is_clock_behind,
        active_sample=event.active or before.active_sample,
        standby_sample=event.standby or before.standby_sample,
    )
    if before.standby:
        turn.set(standby=before.standby.observe(event.standby, turn.now))
    clock_was_set = before.is_clock_behind and not event.is_clock_behind
    match turn.state.phase:
        case Connecting() | Waiting() as phase if clock_was_set:
            knock_again(turn, phase.link, why=sentences.CLOCK_SET)
        case Connecting() as phase if slept:
            knock_again(turn, phase.link, why=sentences.GAP)
        case Connecting() as phase:
            await_handshake(turn, phase, event)
        case Waiting() as phase:
            await_anyone(turn, phase, event)
        case Up() as phase if slept:
            start_over(turn, phase)
        case Up() as phase:
            keep_watch(turn, phase, event)
        case UplinkDown() as phase:
            await_uplink(turn, phase, event)
        case Down() | Quarantined():
            pass
        case _:
            assert_never(turn.state.phase)
