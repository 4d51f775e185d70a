"""What is known of the tunnel and of the servers it may lead to. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NewType

from miauflixd.errors import ConflictError, NotFoundError, TimedOutError
from miauflixd.keeper.messages import StateName
from miauflixd.runtime.secrets import Secret

EndpointId = NewType("EndpointId", str)
"""Names one WireGuard server; the keeper holds penalties against it, so it survives a refresh."""

RungId = NewType("RungId", str)
"""Names one rung of the ladder: an imported endpoint, or an account with all of its servers."""

ProviderName = Literal["nordvpn", "mullvad"]
"""Of whom accounts are understood."""

State = StateName | Literal["off"]
"""What the keeper says, or that there is no tunnel because somebody wanted none."""

Switched = Literal["requested", "degraded", "dead", "preferred"]
"""Why another server is behind the interface: a person wanted it; nothing came back through the
earlier one; it did not answer any more; a better one answers again."""


class NoEndpointError(NotFoundError):
    """There is no endpoint of this id."""

    code = "no_endpoint"


class TunnelOffError(ConflictError):
    """Something was asked of the tunnel, and the settings say that there is none."""

    code = "tunnel_off"


class NoLadderError(ConflictError):
    """There is nothing to connect to."""

    code = "no_endpoints"


class FolderEndpointError(ConflictError):
    """The endpoint stands in a file of a folder that the settings name, and is changed there."""

    code = "endpoint_in_folder"


class UntestedError(TimedOutError):
    """The keeper did not say in time what became of a test."""

    code = "test_timed_out"


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointSpec:
    """A WireGuard server and all that is needed to use it."""

    name: str
    """For people: `Sweden #12`."""
    provider: str
    """For people, and to tell endpoints of one account from those of another: `nordvpn`."""
    country: str | None = None
    city: str | None = None
    host: str
    """An address, or a name that is resolved before anybody connects to it."""
    port: int
    public_key: str
    private_key: Secret
    preshared_key: Secret | None = None
    addresses: tuple[str, ...]
    """Ours inside the tunnel: `10.5.0.2/32`."""
    dns: tuple[str, ...] = ()
    gateway: str | None = None
    """The server's address inside the tunnel, when it is known."""
    mtu: int = 1420
    keepalive: int = 25
    """Seconds between keepalives."""
    port_forwarding: bool = False
    """Whether the gateway maps ports by NAT-PMP, as far as is known."""
    hints: tuple[str, ...] = ()
    """What else its provider says of it, for people: `Moderate NAT`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredEndpoint:
    """A server that was imported: a rung of its own."""

    id: EndpointId
    position: int
    """Its place on the ladder; smaller is preferred."""
    added_at: datetime
    spec: EndpointSpec

    @property
    def rung(self) -> RungId:
        """Its name as a rung, which is the same."""
        return RungId(self.id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """What a provider knows us by; which of it there is depends on the provider."""

    token: Secret | None = None
    """An access token (NordVPN), or the number of the account (Mullvad)."""
    private_key: Secret | None = None
    """A key that the provider knows already, instead of the account."""
    addresses: tuple[str, ...] = ()
    """Inside the tunnel, those that belong to the key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """One server of an account."""

    id: EndpointId
    spec: EndpointSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredAccount:
    """An account with a provider, and the servers that it last named: one rung."""

    id: RungId
    position: int
    added_at: datetime
    provider: ProviderName
    credentials: Credentials
    servers: tuple[Server, ...] = ()
    """As of the last time that the provider answered, best first."""
    refreshed_at: datetime | None = None


Rung = StoredEndpoint | StoredAccount


@dataclass(frozen=True, kw_only=True, slots=True)
class Transition:
    """One change of the tunnel."""

    at: datetime
    before: State
    after: State
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointBrief:
    """As much of an endpoint as the state mentions."""

    id: EndpointId
    name: str
    country: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StandbyView:
    """The second endpoint, kept warm."""

    endpoint: EndpointBrief
    answers: bool
    handshake_age: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TunnelView:
    """The tunnel as people see it."""

    mode: Literal["required", "off"]
    state: State
    reason: str
    """Why it is so, a sentence."""
    next: str
    """What happens next, a sentence."""
    since: datetime
    endpoint: EndpointBrief | None = None
    exit_ip: str | None = None
    """The address under which others see us."""
    handshake_age: float | None = None
    """Seconds."""
    rx: int = 0
    """Bytes."""
    tx: int = 0
    port: int | None = None
    """The port at which peers reach us, when the provider forwards one."""
    standby: StandbyView | None = None
    history: tuple[Transition, ...] = ()
    """The last changes, the latest last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """What whoever uses the tunnel has to know of it."""

    up: bool
    generation: int
    """A new number: every connection is dead and is to be made anew."""
    reason: str
    gateway: str | None = None
    """Whom to ask for a port inside the tunnel, if there is somebody."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestResult:
    """What became of trying an endpoint."""

    endpoint: EndpointBrief
    handshake: float | None
    """Seconds until the server answered; `None`: it did not."""
    egress: bool
    names: bool
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RungView:
    """One rung of the ladder as an administrator sees it: everything but the keys."""

    id: RungId
    kind: Literal["endpoint", "account", "file"]
    """Imported; an account and its servers; a file in the folder that the settings name."""
    name: str
    provider: str
    servers: tuple["ServerView", ...]
    """One, but for accounts."""
    problem: str | None = None
    """Why it cannot be used as it should, a sentence."""
    refreshed_at: datetime | None = None
    """When the provider was last asked with success."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerView:
    """A server as an administrator sees it: everything but the keys."""

    id: EndpointId
    name: str
    country: str | None
    city: str | None
    host: str
    port: int
    port_forwarding: bool
    hints: tuple[str, ...] = ()
    problem: str | None = None
    """Why it is left out for now, a sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """What is counted, for metrics."""

    switches: Mapping[Switched, int]
    penalties: Mapping[EndpointId, float]
    generation: int
