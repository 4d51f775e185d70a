"""What is said of the tunnel, out of what the keeper tells. No I/O."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from miauflixd.keeper import messages
from miauflixd.keeper.messages import TunnelState
from miauflixd.tunnel.model import (
    EndpointBrief,
    EndpointId,
    EndpointSpec,
    Network,
    StandbyView,
    Switched,
    Transition,
    TunnelView,
)

HISTORY = 50
"""Changes that are kept."""

_REACHABLE = frozenset({"up", "degraded"})


def off_view(since: datetime) -> TunnelView:
    """Return the view of a house that goes without a tunnel."""
    return TunnelView(
        mode="off",
        state="off",
        reason='The settings say vpn.mode = "off": the swarm sees the address of this machine.',
        next='It stays so until somebody sets vpn.mode = "required".',
        since=since,
    )


def first_view(since: datetime) -> TunnelView:
    """Return the view before the keeper has said anything."""
    return TunnelView(
        mode="required",
        state="down",
        reason="miauflixd has just started.",
        next="The tunnel is built as soon as there is an endpoint to connect to.",
        since=since,
    )


def view(
    state: TunnelState,
    *,
    brief: Callable[[EndpointId], EndpointBrief],
    exit_ip: str | None,
    port: int | None,
    history: tuple[Transition, ...],
) -> TunnelView:
    """Return the tunnel as people see it.

    Exit address and port are those of a tunnel that works: nothing is promised of another.
    """
    standby = None
    if state.standby is not None:
        standby = StandbyView(
            endpoint=brief(EndpointId(state.standby.endpoint_id)),
            answers=state.standby.answers,
            handshake_age=state.standby.handshake_age,
        )
    return TunnelView(
        mode="required",
        state=state.state,
        reason=state.reason,
        next=state.next,
        since=datetime.fromtimestamp(state.since, UTC),
        endpoint=None if state.endpoint_id is None else brief(EndpointId(state.endpoint_id)),
        exit_ip=exit_ip if state.state == "up" else None,
        handshake_age=state.handshake_age,
        rx=state.rx,
        tx=state.tx,
        port=port if state.state == "up" else None,
        standby=standby,
        history=history,
    )


def transition(before: TunnelState | None, after: TunnelState) -> Transition | None:
    """Return the change that leads from one report to the next, or nothing when it is the same."""
    earlier = "down" if before is None else before.state
    moved = before is not None and before.generation != after.generation
    if earlier == after.state and not moved:
        return None
    return Transition(
        at=datetime.fromtimestamp(after.since, UTC),
        before=earlier,
        after=after.state,
        reason=after.reason,
    )


def network(before: Network, state: TunnelState, *, gateway: str | None) -> Network:
    """Return what to tell those who use the tunnel.

    While nothing comes back, or the uplink is gone, the way is still the same one: connections are
    kept, for an answer may come any moment. But the uplink being gone makes no way out of none.
    """
    up = state.state in _REACHABLE or (
        state.state == "uplink_down" and before.up and before.generation == state.generation
    )
    return Network(
        up=up,
        generation=state.generation,
        reason=state.reason,
        gateway=gateway if up else None,
    )


def why_switched(settled: TunnelState, after: TunnelState, *, requested: bool) -> Switched:
    """Return why another server is behind the interface now.

    Args:
        settled: the last report of the earlier server in which the tunnel was not connecting.
        after: the first report of the new one.
        requested: a person has just asked for it.
    """
    if requested:
        return "requested"
    if settled.state == "degraded":
        return "degraded"
    left = settled.endpoint_id or ""
    if after.penalties.get(left, 0.0) > settled.penalties.get(left, 0.0):
        return "dead"
    return "preferred"  # nothing is held against the one that was left


def for_keeper(
    endpoint_id: EndpointId,
    spec: EndpointSpec,
    *,
    addresses: Sequence[str],
    port_forwarding: bool,
) -> messages.Endpoint:
    """Return an endpoint as the keeper takes it: the one place where its keys are revealed."""
    return messages.Endpoint(
        id=endpoint_id,
        name=spec.name,
        provider=spec.provider,
        servers=[messages.Server(host=address, port=spec.port) for address in addresses],
        public_key=spec.public_key,
        private_key=spec.private_key.reveal(),
        preshared_key=None if spec.preshared_key is None else spec.preshared_key.reveal(),
        addresses=list(spec.addresses),
        dns=list(spec.dns),
        gateway=spec.gateway,
        mtu=spec.mtu,
        keepalive=spec.keepalive,
        port_forwarding=port_forwarding and spec.port_forwarding,
    )
