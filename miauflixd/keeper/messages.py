"""What the house and the keeper say to each other.

The house parses what strangers wrote (`.conf` files, provider APIs, names) and hands over only what
this module can express; the keeper tells what is true now. As with the engine, nobody waits for an
answer.
"""

from typing import Literal

import msgspec
from msgspec import Struct

StateName = Literal["down", "connecting", "up", "degraded", "uplink_down", "quarantine"]
"""`down`: no endpoint to connect to. `degraded`: handshakes, and nothing comes back."""

Activity = Literal["idle", "active", "streaming"]
"""Nobody needs the tunnel; torrents run in it; somebody watches out of it."""


class Message(Struct, frozen=True, tag=True, kw_only=True):
    """Anything that crosses the socket pair."""


class Server(Struct, frozen=True, kw_only=True):
    """Where a WireGuard server is reached: an address, never a name."""

    host: str
    port: int


class Endpoint(Struct, frozen=True, kw_only=True):
    """One WireGuard server and all that is needed to use it."""

    id: str
    name: str
    """For people: `Sweden #12`."""
    provider: str
    """For people, and to tell endpoints of one account from those of another: `nordvpn`."""
    servers: list[Server]
    """Addresses of the same server, best first; at least one."""
    public_key: str
    """The server's, base64 of 32 bytes."""
    private_key: str
    """Ours, base64 of 32 bytes."""
    preshared_key: str | None = None
    addresses: list[str]
    """Ours inside the tunnel: `10.5.0.2/32`."""
    dns: list[str] = []
    """The provider's resolvers; asked through the tunnel only."""
    gateway: str | None = None
    """The server's address inside the tunnel, when it is known to answer echoes or NAT-PMP."""
    mtu: int = 1420
    keepalive: int = 25
    """Seconds between keepalives."""
    port_forwarding: bool = False
    """Whether the gateway maps ports by NAT-PMP."""

    def __repr__(self) -> str:
        return f"Endpoint({self.id!r})"  # keys have no business in a traceback


# --- commands: house to keeper --------------------------------------------------------------------


class Configure(Message, frozen=True):
    """The first command; answered by `Ready` or `Refused`."""

    namespace: str
    """Name of the network namespace, at most 12 characters; interfaces are named after it."""
    user: str
    """Whom the engine runs as."""
    resolvers: list[str]
    """Public resolvers to race besides the provider's, through the tunnel."""
    hidden: str
    """A directory that the engine must not see ..."""
    shown: str
    """... but for this one in it, where downloads are."""


class SetLadder(Message, frozen=True):
    """All endpoints, the most preferred first. Replaces what was there."""

    endpoints: list[Endpoint]


class SetActivity(Message, frozen=True):
    """How closely to watch."""

    activity: Activity


class Switch(Message, frozen=True):
    """Change to this endpoint now because a person wants it; `None`: to the next best one."""

    endpoint_id: str | None = None


class Test(Message, frozen=True):
    """Try an endpoint beside the one in use; answered by `Tested`."""

    endpoint: Endpoint


class StartEngine(Message, frozen=True):
    """Start the engine inside, on the socket that travels with this message.

    Answered by `EngineStarted`, and in the end by `EngineEnded`.
    """


class KillEngine(Message, frozen=True):
    """The engine does not end by itself."""


class Stop(Message, frozen=True):
    """Take everything down and end.

    Without it (the house crashed) tunnel and namespace stay for the next keeper to adopt.
    """


Command = Configure | SetLadder | SetActivity | Switch | Test | StartEngine | KillEngine | Stop


# --- events: keeper to house ----------------------------------------------------------------------


class Ready(Message, frozen=True):
    """The namespace stands, closed."""

    backend: Literal["kernel", "wireguard-go"]
    adopted: bool
    """The tunnel of an earlier run was sound and goes on."""


class Refused(Message, frozen=True):
    """Something that is needed is missing on this machine."""

    problems: list[str]
    """One sentence each, with what to do about it."""


class Standby(Struct, frozen=True, kw_only=True):
    """The second endpoint, kept warm."""

    endpoint_id: str
    answers: bool
    handshake_age: float | None


class TunnelState(Message, frozen=True):
    """The tunnel as it is now; sent at each change, and repeated every few seconds."""

    state: StateName
    reason: str
    """Why it is so, a sentence for people."""
    next: str
    """What happens next, a sentence for people."""
    since: float
    """When this state began, seconds since the epoch."""
    generation: int
    """Grows whenever another server is behind the interface: connections are to be made anew."""
    endpoint_id: str | None
    handshake_age: float | None
    """Seconds since the last handshake."""
    rtt: float | None
    """Seconds of the last answered echo."""
    rx: int
    """Bytes received through WireGuard since the start of this keeper."""
    tx: int
    standby: Standby | None
    penalties: dict[str, float]
    """What is held against endpoints, by id; absent is 0. Decays by itself."""


class Tested(Message, frozen=True):
    """What became of `Test`."""

    endpoint_id: str
    handshake: float | None
    """Seconds until the server answered; `None`: it did not."""
    egress: bool
    """Whether an address beyond the server answered."""
    names: bool
    """Whether a name was resolved through it."""
    detail: str
    """A sentence for people."""


class EngineStarted(Message, frozen=True):
    """The engine runs inside."""

    pid: int


class EngineEnded(Message, frozen=True):
    """The engine's process is gone."""

    status: int
    """Its exit status; negative: the number of the signal that ended it."""


Event = Ready | Refused | TunnelState | Tested | EngineStarted | EngineEnded

COMMANDS: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
EVENTS: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
