"""The values of the tunnel's life: phases, what can happen, and what is to be done."""

from dataclasses import dataclass, field
from typing import Literal, assert_never

from miauflixd.keeper.health import NOTHING, SMOOTH, Roughness, Sample, Watch
from miauflixd.keeper.ladder import Ladder
from miauflixd.keeper.messages import Activity, Endpoint, Server, StateName
from miauflixd.keeper.sentences import NO_ENDPOINT, Words
from miauflixd.keeper.standby import Standby

Side = Literal["active", "standby"]
"""Which of the two tunnels."""


@dataclass(frozen=True, slots=True)
class Link:
    """What the active interface is connected to."""

    endpoint: Endpoint
    server: int
    """Which of the endpoint's addresses."""
    number: int
    """Of the connect, or of the last new handshake; only samples of this number count."""
    began: float
    stale: Sample
    """What was counted before, which proves nothing."""


# --- phases ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Down:
    """There is no endpoint."""


@dataclass(frozen=True, slots=True)
class Connecting:
    """One endpoint after the other is tried until one answers."""

    link: Link
    tried: frozenset[str] = frozenset()
    """Those that did not answer in this round."""
    round: int = 0
    pause: float = 1.0
    """Seconds of the last pause between rounds."""
    is_knocked: bool = False
    is_adopted: bool = False
    """An earlier keeper connected it, and its handshake stands once anything comes."""
    rx: int | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """All have been tried. The active tunnel knocks at one, the standby at the others in turn."""

    link: Link
    until: float
    round: int
    pause: float
    knocked: float


@dataclass(frozen=True, slots=True)
class Up:
    """There was a handshake since the connect."""

    link: Link
    watch: Watch
    is_doubted: bool = False
    knocked: float = float("-inf")
    """When a new handshake was last asked for."""
    is_degraded: bool = False
    egress_checked: float = float("-inf")


@dataclass(frozen=True, slots=True)
class UplinkDown:
    """Nobody answers and the gateway is silent: nothing is to be learnt about servers."""

    link: Link
    was_up: bool
    sample: Sample
    began: float
    probed: float = float("-inf")
    knocked: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Something is in the namespace that has no business there, so nothing is connected."""

    findings: tuple[str, ...]


Phase = Down | Connecting | Waiting | Up | UplinkDown | Quarantined


# --- state ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gateway:
    """What was last heard of the uplink's gateway."""

    answers: bool | None = None
    at: float = float("-inf")
    asked: float = float("-inf")

    def is_silent_since(self, moment: float) -> bool:
        """Return whether it was found silent after that moment."""
        return self.answers is False and self.at >= moment

    def is_being_asked(self) -> bool:
        """Return whether an answer is still to come."""
        return self.asked > self.at


@dataclass(frozen=True, slots=True)
class Wish:
    """A planned change: the standby goes there first, so that nothing is lost if it fails."""

    endpoint_id: str
    is_fail_back: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Everything the tunnel's lifecycle knows."""

    targets: tuple[str, ...]
    """Addresses beyond every server that answer echoes; at least one."""
    ladder: Ladder = field(default_factory=Ladder)
    phase: Phase = field(default_factory=Down)
    words: Words = NO_ENDPOINT
    since: float = 0.0
    """When the state of this name began."""
    activity: Activity = "idle"
    standby: Standby | None = None
    standby_due: float = float("-inf")
    """When another standby may be chosen."""
    standby_reviewed: float = float("-inf")
    is_lent: bool = False
    """The standby tunnel is used for a test."""
    generation: int = 0
    home: Endpoint | None = None
    """Where we were connected last."""
    links: int = 0
    """How many connects and new handshakes were ordered."""
    seen: float | None = None
    active_sample: Sample = NOTHING
    standby_sample: Sample = NOTHING
    gateway: Gateway = field(default_factory=Gateway)
    accused: frozenset[str] = frozenset()
    """Fell silent without a witness: penalised when another one answers, else acquitted."""
    knocks: int = 0
    """How often the standby has tried somebody while nobody answered."""
    wish: Wish | None = None
    switched: float = float("-inf")
    """When a planned change was last made."""
    failed_back: float = float("-inf")
    verdicts: int = 0
    """How often an endpoint was left because of its faults."""
    is_clock_behind: bool = False
    roughness: Roughness = SMOOTH
    turn: int = 0
    """Of the targets."""

    @property
    def name(self) -> StateName:
        """What the phase is called for others."""
        match self.phase:
            case Down():
                return "down"
            case Connecting() | Waiting():
                return "connecting"
            case Up(is_degraded=is_degraded):
                return "degraded" if is_degraded else "up"
            case UplinkDown():
                return "uplink_down"
            case Quarantined():
                return "quarantine"
            case _:
                assert_never(self.phase)

    @property
    def link(self) -> Link | None:
        """What the active interface is connected to."""
        match self.phase:
            case Connecting() | Waiting() | Up() | UplinkDown():
                return self.phase.link
            case Down() | Quarantined():
                return None
            case _:
                assert_never(self.phase)


# --- events ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LadderSet:
    """The house has said which endpoints there are."""

    now: float
    endpoints: tuple[Endpoint, ...]
    adopted: str | None = None
    """The one that an earlier keeper has left connected."""


@dataclass(frozen=True, slots=True)
class ActivitySet:
    """The house has said how much the tunnel is needed."""

    now: float
    activity: Activity


@dataclass(frozen=True, slots=True)
class SwitchWanted:
    """A person wants another endpoint; `None`: any other."""

    now: float
    endpoint_id: str | None


@dataclass(frozen=True, slots=True)
class Observed:
    """We looked at the counters; this is what lets time pass."""

    now: float
    active: Sample | None
    """`None`: there is no peer or no interface."""
    standby: Sample | None
    chance: float
    """Between 0 and 1, anew each time."""
    is_clock_behind: bool = False
    """The wall clock shows a time that has been before."""


@dataclass(frozen=True, slots=True)
class UplinkChecked:
    """The uplink's gateway was asked."""

    now: float
    answers: bool


@dataclass(frozen=True, slots=True)
class EgressChecked:
    """Something other than echoes was tried with the world beyond this endpoint."""

    now: float
    endpoint_id: str
    works: bool


@dataclass(frozen=True, slots=True)
class Audited:
    """We looked at what is in the namespace and what should not be there."""

    now: float
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repaired:
    """Something of the active tunnel was missing and has been put back."""

    now: float


@dataclass(frozen=True, slots=True)
class StandbyLent:
    """The standby tunnel is being used for a test from now on."""

    now: float


@dataclass(frozen=True, slots=True)
class StandbyReturned:
    """The standby tunnel is free again, and connected to nothing that we know of."""

    now: float


Event = (
    LadderSet
    | ActivitySet
    | SwitchWanted
    | Observed
    | UplinkChecked
    | EgressChecked
    | Audited
    | Repaired
    | StandbyLent
    | StandbyReturned
)


# --- actions --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connect:
    """Make this the tunnel's only peer."""

    side: Side
    endpoint: Endpoint
    server: Server
    link: int
    """The number that samples bear from then on."""


@dataclass(frozen=True, slots=True)
class Rehandshake:
    """Begin a new handshake with the tunnel's peer."""

    side: Side
    link: int


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Leave the tunnel without a peer."""

    side: Side


@dataclass(frozen=True, slots=True)
class Probe:
    """Send an echo request to each."""

    side: Side
    beyond: str
    """An address in the world beyond the server."""
    gateway: str | None
    """The server itself."""


@dataclass(frozen=True, slots=True)
class CheckUplink:
    """Ask the uplink's gateway; answered by `UplinkChecked`."""


@dataclass(frozen=True, slots=True)
class CheckEgress:
    """Try names through the active tunnel; answered by `EgressChecked`."""

    endpoint_id: str


@dataclass(frozen=True, slots=True)
class UseServer:
    """Another server is behind the interface: close connections, use its resolvers."""

    endpoint: Endpoint


Action = Connect | Rehandshake | Disconnect | Probe | CheckUplink | CheckEgress | UseServer
