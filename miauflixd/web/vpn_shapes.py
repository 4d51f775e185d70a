"""What the tunnel and its endpoints look like in JSON; no key is in any of it."""

from collections.abc import Mapping
from datetime import UTC
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from miauflixd.tunnel.importing import Preview
from miauflixd.tunnel.model import (
    EndpointBrief,
    EndpointId,
    RungView,
    ServerView,
    StandbyView,
    TestResult,
    Transition,
    TunnelView,
)
from miauflixd.web.shapes import Moment

# --- the tunnel -----------------------------------------------------------------------------------


class PublicShape(Struct, frozen=True, kw_only=True):
    """The tunnel as everybody in the house sees it."""

    state: str
    reason: str


class BriefShape(Struct, frozen=True, kw_only=True):
    """An endpoint that is mentioned."""

    id: str
    name: str
    country: str | None


class StandbyShape(Struct, frozen=True, kw_only=True):
    """The second endpoint, kept warm."""

    endpoint: BriefShape
    answers: bool
    handshake_age: float | None


class TransitionShape(Struct, frozen=True, kw_only=True, rename={"before": "from", "after": "to"}):
    """One change."""

    at: Moment
    before: str
    after: str
    reason: str


class TunnelShape(Struct, frozen=True, kw_only=True):
    """The tunnel as an administrator sees it."""

    mode: str
    state: str
    reason: str
    since: Moment
    next: str
    endpoint: BriefShape | None
    exit_ip: str | None
    handshake_age: float | None
    rx: int
    tx: int
    port: int | None
    standby: StandbyShape | None
    history: list[TransitionShape]


def public_shape(view: TunnelView) -> PublicShape:
    """Return as much of the tunnel as concerns those who only watch."""
    return PublicShape(state=view.state, reason=view.reason)


def tunnel_shape(view: TunnelView) -> TunnelShape:
    """Return the tunnel with all that is known of it."""
    return TunnelShape(
        mode=view.mode,
        state=view.state,
        reason=view.reason,
        since=view.since.astimezone(UTC),
        next=view.next,
        endpoint=None if view.endpoint is None else _brief(view.endpoint),
        exit_ip=view.exit_ip,
        handshake_age=view.handshake_age,
        rx=view.rx,
        tx=view.tx,
        port=view.port,
        standby=None if view.standby is None else _standby(view.standby),
        history=[_transition(one) for one in view.history],
    )


def _brief(endpoint: EndpointBrief) -> BriefShape:
    return BriefShape(id=endpoint.id, name=endpoint.name, country=endpoint.country)


def _standby(standby: StandbyView) -> StandbyShape:
    return StandbyShape(
        endpoint=_brief(standby.endpoint),
        answers=standby.answers,
        handshake_age=standby.handshake_age,
    )


def _transition(one: Transition) -> TransitionShape:
    return TransitionShape(
        at=one.at.astimezone(UTC), before=one.before, after=one.after, reason=one.reason
    )


# --- the ladder -----------------------------------------------------------------------------------


class ServerShape(Struct, frozen=True, kw_only=True):
    """One server."""

    id: str
    name: str
    country: str | None
    city: str | None
    host: str
    port: int
    port_forwarding: bool
    hints: tuple[str, ...]
    problem: str | None
    in_use: bool
    penalty: float
    """What is held against it; decays by itself."""


class RungShape(Struct, frozen=True, kw_only=True):
    """An endpoint, or an account and its servers."""

    id: str
    kind: str
    name: str
    provider: str
    problem: str | None
    refreshed_at: Moment | None
    servers: list[ServerShape]


def rung_shape(
    rung: RungView, *, in_use: EndpointId | None, penalties: Mapping[EndpointId, float]
) -> RungShape:
    """Return one rung of the ladder."""
    return RungShape(
        id=rung.id,
        kind=rung.kind,
        name=rung.name,
        provider=rung.provider,
        problem=rung.problem,
        refreshed_at=None if rung.refreshed_at is None else rung.refreshed_at.astimezone(UTC),
        servers=[_server(one, in_use=in_use, penalties=penalties) for one in rung.servers],
    )


def _server(
    server: ServerView, *, in_use: EndpointId | None, penalties: Mapping[EndpointId, float]
) -> ServerShape:
    return ServerShape(
        id=server.id,
        name=server.name,
        country=server.country,
        city=server.city,
        host=server.host,
        port=server.port,
        port_forwarding=server.port_forwarding,
        hints=server.hints,
        problem=server.problem,
        in_use=server.id == in_use,
        penalty=penalties.get(server.id, 0.0),
    )


# --- importing ------------------------------------------------------------------------------------


class IgnoredShape(Struct, frozen=True, kw_only=True):
    """Something in a file that is not followed."""

    key: str
    why: str
    line: int


class PreviewShape(Struct, frozen=True, kw_only=True):
    """What came of a file, or would."""

    file: str
    name: str
    provider: str | None
    country: str | None
    endpoint: str | None
    port_forwarding: bool
    used: tuple[str, ...]
    ignored: list[IgnoredShape]
    refused: str | None
    line: int | None
    duplicate_of: str | None


class ImportShape(Struct, frozen=True, kw_only=True):
    """What came of all files, or would."""

    preview: bool
    """Nothing was imported."""
    items: list[PreviewShape]


def preview_shape(one: Preview) -> PreviewShape:
    """Return what came of a file, without what is secret in it."""
    return PreviewShape(
        file=one.file,
        name=one.name,
        provider=one.provider,
        country=one.country,
        endpoint=one.endpoint,
        port_forwarding=one.port_forwarding,
        used=one.used,
        ignored=[
            IgnoredShape(key=ignored.key, why=ignored.why, line=ignored.line)
            for ignored in one.ignored
        ],
        refused=one.refused,
        line=one.line,
        duplicate_of=one.duplicate_of,
    )


# --- what is asked --------------------------------------------------------------------------------


class ConfFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A WireGuard file."""

    name: Annotated[str, Meta(max_length=200)]
    text: str


class MullvadAccount(Struct, frozen=True, forbid_unknown_fields=True):
    """An account's number, or a key that Mullvad knows already and its addresses."""

    account: str | UnsetType = UNSET
    private_key: str | UnsetType = UNSET
    addresses: tuple[str, ...] = ()


class NewEndpoint(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants to add; exactly one of the first three."""

    conf: list[ConfFile] | UnsetType = UNSET
    nordvpn_token: str | UnsetType = UNSET
    mullvad: MullvadAccount | UnsetType = UNSET
    preview: bool = False
    """Only say what would come of the files."""


class ImportQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """The same for files that come as a form."""

    preview: bool = False


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """The ladder's rungs as somebody wants them."""

    ids: list[str]


class Choice(Struct, frozen=True, forbid_unknown_fields=True):
    """An endpoint, or whichever is the next best."""

    endpoint_id: str | None = None


class TestShape(Struct, frozen=True, kw_only=True):
    """What became of a test."""

    endpoint: BriefShape
    handshake: float | None
    egress: bool
    names: bool
    detail: str


def test_shape(result: TestResult) -> TestShape:
    """Return what became of a test."""
    return TestShape(
        endpoint=_brief(result.endpoint),
        handshake=result.handshake,
        egress=result.egress,
        names=result.names,
        detail=result.detail,
    )
