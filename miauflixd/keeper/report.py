"""What the house is told of the tunnel, and when."""

from miauflixd.keeper.line import Line
from miauflixd.keeper.messages import Activity, Standby, TunnelState
from miauflixd.keeper.states import State
from miauflixd.keeper.wall_clock import WallClock

_EVERY: dict[Activity, float] = {"idle": 5.0, "active": 5.0, "streaming": 2.0}
"""Seconds after which the same is said again, with new numbers."""


class Report:
    """Makes `TunnelState` of the lifecycle's state, at each change and now and then."""

    def __init__(self, *, wall: WallClock) -> None:
        self._wall = wall
        self._told: tuple[object, ...] | None = None
        self._told_at = float("-inf")
        self._since: tuple[float, float] | None = None

    def due(self, state: State, *, active: Line, standby: Line, now: float) -> TunnelState | None:
        """Return what is to be said now, if anything is.

        Args:
            state: the present one.
            active: whose counters are shown.
            standby: the other one.
            now: seconds of the monotonic clock.
        """
        link, second = state.link, state.standby
        changing = (
            state.name,
            state.words,
            state.since,
            state.generation,
            link and link.endpoint.id,
            second and (second.endpoint.id, second.answers),
        )
        if changing == self._told and now - self._told_at < _EVERY[state.activity]:
            return None
        self._told, self._told_at = changing, now
        return TunnelState(
            state=state.name,
            reason=state.words.reason,
            next=state.words.next,
            since=self._began(state.since, now),
            generation=state.generation,
            endpoint_id=link.endpoint.id if link else None,
            handshake_age=self._age(active.handshake) if link else None,
            rtt=active.beyond.rtt if state.name == "up" else None,
            rx=active.rx,
            tx=active.tx,
            standby=None
            if second is None
            else Standby(
                endpoint_id=second.endpoint.id,
                answers=second.answers,
                handshake_age=self._age(standby.handshake),
            ),
            penalties=state.ladder.standing(now),
        )

    def _began(self, since: float, now: float) -> float:
        """Return the moment on the wall clock; the same for one state, even if that is set."""
        if self._since is None or self._since[0] != since:
            self._since = since, self._wall.now() - max(0.0, now - since)
        return self._since[1]

    def _age(self, handshake: float | None) -> float | None:
        return None if handshake is None else max(0.0, self._wall.now() - handshake)
