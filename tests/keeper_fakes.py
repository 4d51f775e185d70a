"""A small world for the keeper: servers, an uplink and two tunnels, with or without real time.

`World` is the physics: packets take time, are lost, queue up; WireGuard keeps sessions and begins
handshakes as its timers say. Nothing in it is random but through its seed, and time passes only
when it is told so.
"""

import asyncio
import errno
import heapq
import os
import random
import selectors
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from miauflixd.keeper.health import Sample
from miauflixd.keeper.lifecycle import step, tick
from miauflixd.keeper.messages import Activity, Endpoint, Server
from miauflixd.keeper.ports import Counters
from miauflixd.keeper.states import (
    Action,
    ActivitySet,
    CheckEgress,
    CheckUplink,
    Connect,
    Disconnect,
    EgressChecked,
    Event,
    LadderSet,
    Observed,
    Probe,
    Rehandshake,
    Side,
    State,
    UplinkChecked,
    UseServer,
)

KEY = "A" * 43 + "="

_NEVER = float("inf")

TARGETS = ("1.1.1.1", "9.9.9.9", "8.8.8.8")


def endpoint(
    number: int, *, provider: str = "nord", addresses: int = 1, gateway: bool = True
) -> Endpoint:
    """Return endpoint `e<number>`, which no other shares a server or a neighbourhood with."""
    return Endpoint(
        id=f"e{number}",
        name=f"Sweden #{number}",
        provider=provider,
        servers=[Server(host=f"198.51.{number}.{1 + i}", port=51820) for i in range(addresses)],
        public_key=f"{number:043d}=",
        private_key=KEY,
        addresses=["10.5.0.2/32"],
        dns=["10.5.0.1"],
        gateway="10.5.0.1" if gateway else None,
    )


@dataclass
class ServerModel:
    """What one server does."""

    alive: bool = True
    egress: bool = True
    hears: bool = True
    """Packets of ours reach it."""
    is_heard: bool = True
    """Packets of its reach us."""
    refuses: bool = False
    """It does not know our key."""
    rtt: float = 0.04
    sessions: set[int] = field(default_factory=set)

    def restart(self) -> None:
        """Lose all sessions."""
        self.sessions.clear()

    def serves(self, session: int, *, beyond: bool) -> bool:
        """Return whether a packet of this session is answered, by the server or from beyond."""
        is_known = self.alive and self.hears and session in self.sessions
        return is_known and (self.egress or not beyond)


@dataclass
class Peer:
    """One tunnel's only peer, as WireGuard keeps it."""

    endpoint: Endpoint
    host: str
    session: int | None = None
    handshake: float | None = None
    rx: int = 0
    tx: int = 0
    initiated: float = float("-inf")
    unanswered_since: float | None = None


@dataclass
class TunnelModel:
    """One interface."""

    peer: Peer | None = None
    link: int = 0
    echoes: int = 0
    gateway_echoes: int = 0
    rtt: float = 0.0

    def sample(self) -> Sample | None:
        """Return what WireGuard and the prober have counted."""
        if self.peer is None:
            return None
        return Sample(
            link=self.link,
            rx=self.peer.rx,
            tx=self.peer.tx,
            handshake=self.peer.handshake,
            echoes=self.echoes,
            gateway_echoes=self.gateway_echoes,
            rtt=self.rtt,
        )


@dataclass
class Pipe:
    """One direction of the uplink."""

    loss: float = 0.0
    rate: float | None = None
    """Bytes per second."""
    queue: float = 0.8
    """Seconds that a packet may wait."""
    free_at: float = 0.0

    def delay(self, size: int, now: float, rng: random.Random) -> float | None:
        """Return how long a packet waits, or `None` if it is lost."""
        if rng.random() < self.loss:
            return None
        if self.rate is None:
            return 0.0
        begin = max(now, self.free_at)
        if begin - now > self.queue:
            return None
        self.free_at = begin + size / self.rate
        return self.free_at - now


class World:
    """Servers, an uplink, two tunnels, and the lifecycle in charge of them."""

    def __init__(self, *endpoints: Endpoint, seed: int = 1) -> None:
        self.rng = random.Random(seed)
        self.now = 1000.0
        self.servers = {each.servers[0].host: ServerModel() for each in endpoints}
        self.endpoints = endpoints
        self.tunnels: dict[Side, TunnelModel] = {"active": TunnelModel(), "standby": TunnelModel()}
        self.up, self.down = Pipe(), Pipe()
        self.gateway_answers = True
        self.isp_works = True
        self.traffic = 0.0
        """Requests per second, each answered by a full packet."""
        self.upload = 0.0
        """Packets per second that nobody answers."""
        self.clock_behind = False
        self.adopted: Peer | None = None
        """What an earlier keeper has left connected."""
        self.state = State(targets=TARGETS)
        self.events: list[Event] = []
        self.actions: list[tuple[float, Action]] = []
        self.journal: list[tuple[float, str, str, str]] = []
        self.received: list[float] = []
        """When data came from beyond."""
        self._asks_at = self._uploads_at = 0.0
        self._sessions = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0

    # --- for tests --------------------------------------------------------------------------------

    def server(self, endpoint_id: str) -> ServerModel:
        """Return the server of an endpoint."""
        return self.servers[next(e for e in self.endpoints if e.id == endpoint_id).servers[0].host]

    def start(self, activity: Activity = "active") -> "World":
        """Let the house name all endpoints, and wait until everything has settled."""
        self.feed(ActivitySet(self.now, activity))
        self.feed(LadderSet(self.now, self.endpoints))
        self.run(3.0)
        return self

    def took(self, began: float) -> float | None:
        """Return the seconds from a moment to the first data after it."""
        return next((at - began for at in self.received if at > began), None)

    def names(self, since: float = 0.0) -> list[str]:
        """Return the names of the states, one after the other."""
        return [name for at, name, *_ in self.journal if at >= since]

    def feed(self, event: Event) -> None:
        """Let the lifecycle take an event, and carry out what it orders."""
        self.events.append(event)
        before = self.state.name
        self.state, actions = step(self.state, event)
        for action in actions:
            self.actions.append((self.now, action))
            self._perform(action)
        if self.state.name != before or not self.journal:
            self.journal.append((self.now, self.state.name, *self.state.words))

    def run(self, seconds: float) -> None:
        """Let time pass, and the lifecycle look as often as it wants to."""
        end = self.now + seconds
        while self.now < end:
            self.tick()
            self.advance(min(end, self.now + tick(self.state)))

    def advance(self, end: float) -> None:
        """Let physics go on until then."""
        self._timers()
        while True:
            self._asks_at = max(self._asks_at, self.now) if self.traffic else _NEVER
            self._uploads_at = max(self._uploads_at, self.now) if self.upload else _NEVER
            arrival = self._heap[0][0] if self._heap else _NEVER
            moment = min(self._asks_at, self._uploads_at, arrival)
            if moment > end:
                break
            self.now = max(self.now, moment)
            if moment == arrival:
                heapq.heappop(self._heap)[2]()
            elif moment == self._asks_at:
                self._send("active", 120, beyond=True, answer=1400)
                self._asks_at = self.now + self.rng.uniform(0.5, 1.5) / self.traffic
            else:
                self._send("active", 1400, beyond=True, answer=0)
                self._uploads_at = self.now + self.rng.uniform(0.5, 1.5) / self.upload
        if not self.traffic:
            self._asks_at = 0.0
        if not self.upload:
            self._uploads_at = 0.0
        self.now = max(self.now, end)

    def tick(self) -> None:
        """Let the lifecycle look once."""
        self.feed(
            Observed(
                now=self.now,
                active=self.tunnels["active"].sample(),
                standby=self.tunnels["standby"].sample(),
                chance=self.rng.random(),
                is_clock_behind=self.clock_behind,
            )
        )

    @property
    def name(self) -> str:
        """The state's name."""
        return self.state.name

    @property
    def current(self) -> str | None:
        """The endpoint behind the active interface."""
        peer = self.tunnels["active"].peer
        return peer.endpoint.id if peer else None

    def moves(self, since: float = 0.0) -> list[str]:
        """Return what the active tunnel was connected to, one after the other."""
        return [
            action.endpoint.id
            for at, action in self.actions
            if at >= since and isinstance(action, Connect) and action.side == "active"
        ]

    # --- physics ----------------------------------------------------------------------------------

    def _later(self, delay: float, what: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._heap, (self.now + delay, self._order, what))

    def _perform(self, action: Action) -> None:
        match action:
            case Connect(side=side, endpoint=target, server=server, link=link):
                self.connect(side, target, server, link=link)
            case Rehandshake(side=side, link=link):
                self.rehandshake(side, link=link)
            case Disconnect(side=side):
                self.tunnels[side].peer = None
            case Probe(side=side, gateway=gateway):
                self.echo(side, beyond=True)
                if gateway:
                    self.echo(side, beyond=False)
            case CheckUplink():
                answers = self.gateway_answers
                self._later(
                    0.01 if answers else 0.3, lambda: self.feed(UplinkChecked(self.now, answers))
                )
            case CheckEgress(endpoint_id=endpoint_id):
                works = self.has_egress("active")
                self._later(
                    0.1 if works else 2.0,
                    lambda: self.feed(EgressChecked(self.now, endpoint_id, works)),
                )
            case UseServer():
                pass

    def connect(self, side: Side, target: Endpoint, server: Server, *, link: int = 0) -> None:
        """Make this a tunnel's only peer."""
        tunnel = self.tunnels[side]
        tunnel.link = link
        adopted, self.adopted = self.adopted, None
        if adopted and adopted.endpoint == target:
            tunnel.peer = adopted  # in good standing, so it is left alone
        else:
            tunnel.peer = Peer(target, server.host)
            self._initiate(side)

    def rehandshake(self, side: Side, *, link: int = 0) -> None:
        """Make a tunnel's peer anew."""
        tunnel = self.tunnels[side]
        tunnel.link = link
        if tunnel.peer:
            tunnel.peer = Peer(tunnel.peer.endpoint, tunnel.peer.host)
            self._initiate(side)

    def echo(self, side: Side, *, beyond: bool) -> None:
        """Send an echo request to the server or beyond it."""
        name = "echoes" if beyond else "gateway_echoes"
        self._send(side, 84, beyond=beyond, answer=84, echo=name)

    def has_egress(self, side: Side) -> bool:
        """Return whether anything beyond a tunnel's server can be reached."""
        peer = self.tunnels[side].peer
        server = self.servers.get(peer.host) if peer and peer.session else None
        works = server is not None and server.alive and server.egress and server.hears
        return works and self.isp_works and self.gateway_answers

    def _cross(self, pipe: Pipe, size: int) -> float | None:
        if not (self.gateway_answers and self.isp_works):
            return None
        return pipe.delay(size, self.now, self.rng)

    def _initiate(self, side: Side) -> None:
        peer = self.tunnels[side].peer
        if peer is None:
            return
        peer.initiated = self.now
        peer.tx += 148
        there = self._cross(self.up, 148)
        server = self.servers.get(peer.host)
        if there is None or server is None:
            return

        def arrive() -> None:
            if not (server.alive and server.hears) or server.refuses or self.clock_behind:
                return
            self._sessions += 1
            session = self._sessions
            server.sessions.add(session)
            back = self._cross(self.down, 92)
            if back is not None and server.is_heard:
                self._later(server.rtt / 2 + back, lambda: respond(session))

        def respond(session: int) -> None:
            if self.tunnels[side].peer is peer:
                peer.session, peer.handshake = session, self.now
                peer.rx += 92
                peer.unanswered_since = None

        self._later(server.rtt / 2 + there, arrive)

    def _send(  # noqa: C901  # the way of one packet, in order
        self, side: Side, size: int, *, beyond: bool, answer: int, echo: str | None = None
    ) -> None:
        peer = self.tunnels[side].peer
        if peer is None:
            return
        if peer.session is None:
            if self.now - peer.initiated >= 5:
                self._initiate(side)
            return
        peer.tx += size + 32
        if peer.unanswered_since is None:
            peer.unanswered_since = self.now
        server = self.servers.get(peer.host)
        there = self._cross(self.up, size + 60)
        if there is None or server is None:
            return
        sent, session = self.now, peer.session

        def arrive() -> None:
            if answer and server.serves(session, beyond=beyond):
                back = self._cross(self.down, answer + 60)
                if back is not None and server.is_heard:
                    self._later(server.rtt / 2 + back, receive)

        def receive() -> None:
            if self.tunnels[side].peer is peer and peer.session == session:
                peer.rx += answer + 32
                peer.unanswered_since = None
                self._received(side, echo, sent)

        self._later(server.rtt / 2 + there, arrive)

    def _received(self, side: Side, echo: str | None, sent: float) -> None:
        tunnel = self.tunnels[side]
        if echo == "echoes":
            tunnel.echoes += 1
            tunnel.rtt = self.now - sent
        elif echo == "gateway_echoes":
            tunnel.gateway_echoes += 1
        else:
            self.received.append(self.now)

    def _timers(self) -> None:
        """Begin a handshake where WireGuard itself would."""
        for side, tunnel in self.tunnels.items():
            peer = tunnel.peer
            if (
                peer
                and peer.unanswered_since is not None
                and self.now - peer.unanswered_since >= 15
                and self.now - peer.initiated >= 5
            ):
                self._initiate(side)


# --- what the service uses, in the same world -----------------------------------------------------


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop in which time passes at once when nobody has anything to do."""

    def __init__(self) -> None:
        self.skipped = 0.0
        super().__init__(_SkippingSelector(self))

    def time(self) -> float:
        """Return seconds, those that were skipped included."""
        return super().time() + self.skipped


class _SkippingSelector(selectors.DefaultSelector):
    def __init__(self, loop: SkippingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        events = super().select(0)
        if not events and timeout > 0:
            self._loop.skipped += timeout
        return events


class Machine:
    """The whole machine, as the service sees it, with the world's physics and the loop's time."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.now = asyncio.get_running_loop().time()
        self.broken: set[str] = set()
        """What refuses: `connect`, `uplink`, `audit`, `restore`, `launch`, `disconnect`."""
        self.missing: list[str] = []
        """What somebody has taken away, to be put back."""
        self.findings: list[str] = []
        self.upstreams: list[str] = []
        self.closed = 0
        """How often all connections were ended."""
        self.restored = 0
        self.engines: list[FakeEngine] = []

    def catch_up(self) -> World:
        """Let the world go on until now."""
        self.world.advance(asyncio.get_running_loop().time())
        return self.world

    def refuse(self, what: str) -> None:
        """Fail if that is broken."""
        if what in self.broken:
            raise OSError(errno.EIO, f"{what} is broken")

    async def answers(self) -> bool:
        """Implement `Uplink`."""
        self.refuse("uplink")
        await asyncio.sleep(0.01 if self.world.gateway_answers else 0.3)
        return self.world.gateway_answers

    async def use(self, upstreams: Sequence[str]) -> None:
        """Implement `Resolver`."""
        self.upstreams = list(upstreams)

    async def launch(self, end: int) -> "FakeEngine":
        """Implement `EngineLauncher`."""
        os.fstat(end)  # it is open
        self.refuse("launch")
        self.engines.append(FakeEngine(pid=100 + len(self.engines)))
        return self.engines[-1]


class FakeTunnel:
    """Implements `Tunnel`."""

    def __init__(self, machine: Machine, side: Side) -> None:
        self._machine = machine
        self._side: Side = side
        self.interface = side

    async def connect(self, target: Endpoint, server: Server) -> None:
        """Make this the only peer."""
        self._machine.refuse("connect")
        self._machine.catch_up().connect(self._side, target, server)

    async def disconnect(self) -> None:
        """Have no peer."""
        self._machine.catch_up().tunnels[self._side].peer = None
        self._machine.refuse("disconnect")

    async def rehandshake(self) -> None:
        """Make the peer anew."""
        self._machine.catch_up().rehandshake(self._side)

    def has_peer(self, target: Endpoint) -> bool:
        """Return whether this endpoint is behind the interface."""
        adopted = self._machine.world.adopted
        return self._side == "active" and adopted is not None and adopted.endpoint == target

    def counters(self) -> Counters | None:
        """Return what was counted."""
        sample = self._machine.catch_up().tunnels[self._side].sample()
        if sample is None:
            return None
        return Counters(rx=sample.rx, tx=sample.tx, handshake=sample.handshake)

    async def restore(self) -> Sequence[str]:
        """Put back what is missing."""
        self._machine.refuse("restore")
        if self._side == "standby":
            return []
        self._machine.restored += 1
        missing, self._machine.missing = self._machine.missing, []
        return missing

    async def close_connections(self) -> None:
        """End every connection."""
        self._machine.closed += 1


class FakeProber:
    """Implements `Prober`."""

    def __init__(self, machine: Machine, side: Side, *, beyond: bool) -> None:
        self._machine = machine
        self._side: Side = side
        self._beyond = beyond
        self.sent = 0

    def probe(self, targets: Sequence[str]) -> None:
        """Send echo requests."""
        for _ in targets:
            self.sent += 1
            self._machine.catch_up().echo(self._side, beyond=self._beyond)

    @property
    def answered(self) -> int:
        """How many were answered."""
        tunnel = self._machine.catch_up().tunnels[self._side]
        return tunnel.echoes if self._beyond else tunnel.gateway_echoes

    @property
    def rtt(self) -> float | None:
        """Seconds that the last answer took."""
        return self._machine.world.tunnels[self._side].rtt or None

    async def resolves(self, resolver: str, *, within: float) -> bool:
        """Return whether this resolver answers."""
        return await self.egress((), (resolver,), within=within)

    async def egress(
        self, targets: Sequence[str], resolvers: Sequence[str], *, within: float
    ) -> bool:
        """Return whether anything beyond answers."""
        works = self._machine.catch_up().has_egress(self._side)
        await asyncio.sleep(0.05 if works else within)
        return works


class FakeAuditor:
    """Implements `Auditor`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def findings(self) -> Sequence[str]:
        """Return what should not be there."""
        self._machine.refuse("audit")
        return list(self._machine.findings)


class FakeEngine:
    """Implements `EngineChild`."""

    def __init__(self, *, pid: int) -> None:
        self.pid = pid
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        """Wait for its end."""
        return await asyncio.shield(self.status)

    def kill(self) -> None:
        """End it."""
        if not self.status.done():
            self.status.set_result(-9)
