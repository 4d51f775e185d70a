"""The standby while all is well, and changes of server that are planned.

A planned change goes by way of the standby: only where it has had an answer does the active tunnel
follow, so a wish that cannot be granted costs nothing.
"""

from miauflixd.keeper import sentences
from miauflixd.keeper.ladder import same_server
from miauflixd.keeper.standby import GIVEN_UP, SILENT, Standby
from miauflixd.keeper.states import (
    Up,
    Wish,
)
from miauflixd.keeper.turn import TRY, Turn

PLANNED_EVERY = 2.0
"""Seconds between planned changes at least: a hundred wishes a minute are one wish."""

STANDBY_AGAIN = 10.0
"""Seconds before a standby that did not answer is tried again for want of another."""

STANDBY_PENALTY = 0.5
"""Held against a standby that falls silent while the active one is fine."""

REVIEW_EVERY = 60.0
"""Seconds between looks whether a better standby has become free."""

RELIABLE = 900.0
"""Seconds for which the preferred endpoint must have answered before we go back to it."""

FAIL_BACK_EVERY = 3600.0
"""Seconds between two such returns at least."""


def tend_standby(turn: Turn, phase: Up) -> None:
    """Keep a second endpoint warm, and grant a wish by way of it."""
    if turn.state.is_lent:
        return
    _pursue_wish(turn, phase)
    if not isinstance(turn.state.phase, Up):
        return
    standby = turn.state.standby
    if standby is None:
        if turn.now >= turn.state.standby_due:
            companion = turn.state.ladder.companion(phase.link.endpoint, turn.now)
            turn.set(standby_due=turn.now + STANDBY_AGAIN, standby_reviewed=turn.now)
            if companion:
                turn.connect_standby(companion)
    elif not standby.is_proved:
        if turn.now - standby.began >= TRY:
            _try_standby_again(turn, standby, phase)
    elif standby.unanswered >= GIVEN_UP:
        _give_up_standby(turn, standby, phase)
    elif standby.unanswered >= SILENT and not standby.is_knocked:
        turn.rehandshake_standby(standby)
    else:
        turn.probe_standby(urgent=False)
        _review_standby(turn, phase, standby)


def _try_standby_again(turn: Turn, standby: Standby, phase: Up) -> None:
    if standby.server + 1 < len(standby.endpoint.servers):
        turn.connect_standby(standby.endpoint, server=standby.server + 1)
    else:
        _give_up_standby(turn, standby, phase)


def _give_up_standby(turn: Turn, standby: Standby, phase: Up) -> None:
    ladder = turn.state.ladder
    name = phase.link.endpoint.name
    if phase.watch.silence.since is None and not turn.state.is_clock_behind:
        ladder = ladder.penalising({standby.endpoint.id}, turn.now, weight=STANDBY_PENALTY)
    turn.drop_standby()
    wish = turn.state.wish
    if wish and wish.endpoint_id == standby.endpoint.id:
        turn.set(wish=None)
        turn.enter(turn.state.phase, sentences.stayed(name, standby.endpoint.name))
    other = ladder.companion(phase.link.endpoint, turn.now)
    is_fresh = other is not None and not ladder.is_penalised(other.id, turn.now)
    turn.set(
        ladder=ladder,
        standby_due=turn.now if is_fresh else turn.now + STANDBY_AGAIN,
    )


def _review_standby(turn: Turn, phase: Up, standby: Standby) -> None:
    """Go back, or get ready to, when where we would rather be is good again."""
    state, ladder = turn.state, turn.state.ladder
    preferred = ladder.preferred()
    if state.wish or preferred is None:
        return
    if turn.now - state.standby_reviewed >= REVIEW_EVERY:
        turn.set(standby_reviewed=turn.now)
        better = ladder.companion(phase.link.endpoint, turn.now)
        is_bad = ladder.is_penalised(standby.endpoint.id, turn.now)
        if (
            better
            and better.id != standby.endpoint.id
            and not ladder.is_penalised(better.id, turn.now)
            and (is_bad or better is preferred)
        ):
            turn.connect_standby(better)
            return
    if (
        standby.endpoint.id == preferred.id
        and not ladder.is_penalised(preferred.id, turn.now)
        and standby.good_since is not None
        and turn.now - standby.good_since >= RELIABLE
        and turn.now - state.failed_back >= FAIL_BACK_EVERY
        and state.activity != "streaming"
    ):
        turn.set(wish=Wish(preferred.id, is_fail_back=True), failed_back=turn.now)


def _pursue_wish(turn: Turn, phase: Up) -> None:
    wish, standby = turn.state.wish, turn.state.standby
    target = turn.state.ladder.find(wish.endpoint_id) if wish else None
    if wish is None or target is None or turn.now - turn.state.switched < PLANNED_EVERY:
        return
    if standby and standby.endpoint == target:
        if not standby.answers:
            return
    elif not same_server(target, phase.link.endpoint):
        turn.connect_standby(target)
        return
    ladder = turn.state.ladder if wish.is_fail_back else turn.state.ladder.choosing(target.id)
    turn.set(wish=None, switched=turn.now, ladder=ladder)
    turn.connect(target, why=sentences.changing(is_fail_back=wish.is_fail_back, to=target.name))
