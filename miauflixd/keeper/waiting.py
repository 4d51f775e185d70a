"""Nobody answers: knocking at all doors until one opens.

The active tunnel knocks where it was at home, the standby at the others in turn. Whoever was at
home gets a moment to answer too, so that an outage which is over changes nothing.
"""

from dataclasses import replace

from miauflixd.keeper import sentences
from miauflixd.keeper.ladder import same_server
from miauflixd.keeper.states import (
    Connecting,
    Link,
    Observed,
    Up,
    Waiting,
)
from miauflixd.keeper.transitions import come_up, freeze, refusing_provider
from miauflixd.keeper.turn import Turn

LONGEST_PAUSE = 30.0
"""Seconds between two rounds at most."""

FIRST_ROUND = 10.0
"""Seconds of knocking after which all are tried anew, when all fell silent at once."""

KNOCK = 0.5
"""Seconds between knocks while everybody is silent: who comes back is used within a second."""

GRACE = 0.3
"""Seconds that the endpoint used before gets to answer too when another one answers a knock."""


def knock_at_all(turn: Turn, phase: Up) -> None:
    """Two servers fell silent at once, so something that they share is out of order.

    The uplink beyond its gateway, or their provider: whoever answers first will tell.
    """
    state = turn.state
    turn.drop_standby()
    waiting = Waiting(
        link=turn.rehandshake(phase.link, is_anew=True),
        until=turn.now + FIRST_ROUND,
        round=0,
        pause=FIRST_ROUND,
        knocked=turn.now,
    )
    names = [each.endpoint.name for each in (phase.link, state.standby) if each]
    turn.enter(waiting, sentences.all_silent(names))


def wait(turn: Turn, phase: Connecting, chance: float) -> None:
    """Pause after a round in which nobody has answered."""
    state = turn.state
    # Decorrelated jitter: many boxes of one provider must not knock in step.
    pause = min(LONGEST_PAUSE, 1.0 + chance * (3.0 * phase.pause - 1.0))
    home = state.ladder.find(state.home.id) if state.home else None
    held = home or state.ladder.best(turn.now) or phase.link.endpoint
    turn.drop_standby()
    link = turn.link_to(held, 0)
    # Nobody answers, so nobody in particular is to blame.
    turn.set(accused=frozenset())
    words = (
        sentences.CLOCK_WRONG
        if state.is_clock_behind
        else sentences.waiting(pause, refusing=refusing_provider(turn))
    )
    waiting = Waiting(
        link=link,
        until=turn.now + pause,
        round=phase.round,
        pause=pause,
        knocked=turn.now,
    )
    turn.enter(waiting, words)


def await_anyone(turn: Turn, phase: Waiting, event: Observed) -> None:
    """Look whether anybody has answered a knock; knock, or begin another round."""
    link, sample = phase.link, event.active
    if sample and sample.link == link.number and sample.proves(link.stale):
        come_up(turn, link, sample)
        return
    if turn.state.gateway.is_silent_since(link.began):
        freeze(turn, link, was_up=False)
        return
    turn.ask_gateway()
    if use_who_answered(turn, link, is_accused=not phase.round):
        return
    if turn.now >= phase.until:
        _begin_round(turn, phase)
        return
    if turn.now - phase.knocked >= KNOCK:
        turn.set(phase=replace(phase, link=turn.rehandshake(link), knocked=turn.now))
    knock_with_standby(turn, link)


def use_who_answered(turn: Turn, link: Link, *, is_accused: bool = False) -> bool:
    """Change to the endpoint that has answered the standby's knock, if one has."""
    standby = turn.state.standby
    if standby is None or standby.good_since is None:
        return False
    if turn.now - standby.good_since >= GRACE:
        if is_accused:
            # It was in use until now, and another one answers instead.
            turn.set(accused=turn.state.accused | {link.endpoint.id})
        turn.connect(standby.endpoint, why=sentences.mute(link.endpoint.name))
    return True


def knock_with_standby(turn: Turn, link: Link) -> None:
    """Let the standby tunnel try the others, one after the other."""
    standby, knocks = turn.state.standby, turn.state.knocks
    if turn.state.is_lent or (standby and turn.now - standby.began < KNOCK):
        return
    others = [each for each in turn.state.ladder.endpoints if not same_server(each, link.endpoint)]
    if others:
        turn.set(knocks=knocks + 1)
        turn.connect_standby(others[knocks % len(others)])


def _begin_round(turn: Turn, phase: Waiting) -> None:
    best = turn.state.ladder.best(turn.now) or phase.link.endpoint
    after = Connecting(link=phase.link, round=phase.round + 1, pause=phase.pause)
    turn.connect(best, after=after, why=turn.state.words.reason)
