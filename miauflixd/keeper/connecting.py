"""Trying one endpoint after the other until there is a handshake."""

from dataclasses import replace

from miauflixd.keeper import sentences
from miauflixd.keeper.health import QUIET
from miauflixd.keeper.states import (
    Connecting,
    Observed,
)
from miauflixd.keeper.transitions import come_up, freeze, refusing_provider
from miauflixd.keeper.turn import TRY, Turn
from miauflixd.keeper.waiting import knock_with_standby, use_who_answered, wait

LONGEST_TRY = 4
"""Times `TRY` at most."""


def await_handshake(turn: Turn, phase: Connecting, event: Observed) -> None:
    """Look whether the handshake is there; if not, ask again, or try the next."""
    link, sample = phase.link, event.active
    age = turn.now - link.began
    if sample and sample.link == link.number:
        if phase.is_adopted and (phase.rx is None or sample.rx <= phase.rx):
            phase = replace(phase, rx=sample.rx if phase.rx is None else phase.rx)
            turn.set(phase=phase)
        elif sample.proves(link.stale):
            come_up(turn, link, sample, took=0.0 if phase.is_knocked else age)
            return
    slowness = turn.state.roughness.slowness.recent(turn.now)
    limit = TRY * min(phase.round + 1, LONGEST_TRY) + 2 * slowness
    if turn.state.gateway.is_silent_since(link.began) and age >= QUIET:
        freeze(turn, link, was_up=False)
        return
    if phase.round:
        if use_who_answered(turn, link):
            return
        knock_with_standby(turn, link)
    if age >= limit:
        _try_next(turn, phase, event.chance)
        return
    if age >= limit / 2 and not phase.is_knocked:
        # One packet may be lost, and WireGuard itself waits five seconds.
        link = turn.rehandshake(link)
        turn.set(phase=replace(phase, link=link, is_knocked=True, is_adopted=False))
    if age >= QUIET:
        turn.ask_gateway()


def _try_next(turn: Turn, phase: Connecting, chance: float) -> None:
    link = phase.link
    endpoint = link.endpoint
    if link.server + 1 < len(endpoint.servers):
        turn.connect(endpoint, server=link.server + 1, after=phase, why=turn.state.words.reason)
        return
    # In later rounds the first to answer is merely the first that came back.
    if not phase.round:
        turn.set(accused=turn.state.accused | {endpoint.id})
    turn.set(ladder=turn.state.ladder.silent(endpoint.id))
    tried = phase.tried | {endpoint.id}
    candidate = turn.state.ladder.best(turn.now, without=tried)
    if candidate is None:
        wait(turn, phase, chance)
        return
    turn.connect(candidate, after=replace(phase, tried=tried), why=_why_mute(turn, endpoint.name))


def _why_mute(turn: Turn, name: str) -> str:
    if turn.state.is_clock_behind:
        return sentences.CLOCK_WRONG.reason
    refusing = refusing_provider(turn)
    return sentences.refused(refusing) if refusing else sentences.mute(name)
