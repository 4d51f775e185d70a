"""One step of the lifecycle in the making, and what every phase may order.

What is ordered here keeps the promise that a server knows us once: whoever connects the active
tunnel to the standby's server lets the standby go first.
"""

from dataclasses import replace

from miauflixd.keeper import sentences
from miauflixd.keeper.ladder import same_server
from miauflixd.keeper.messages import Endpoint
from miauflixd.keeper.sentences import Words
from miauflixd.keeper.standby import Standby
from miauflixd.keeper.states import (
    Action,
    CheckUplink,
    Connect,
    Connecting,
    Disconnect,
    Down,
    Link,
    Phase,
    Probe,
    Rehandshake,
    State,
)

TRY = 1.5
"""Seconds for a handshake, twice a slow satellite's round trip; longer in later rounds."""

GATEWAY_EVERY = 0.5
"""Seconds between questions to the uplink's gateway while nothing comes."""


class Turn:
    """One step: a state in the making, and the actions so far. Nobody outside sees it."""

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = now
        self.actions: list[Action] = []

    def set(self, **changes: object) -> None:
        """Change these fields of the state."""
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]  # mypy cannot check

    def enter(self, phase: Phase, words: Words) -> None:
        """Go to a phase, or say something else of the present one."""
        name = self.state.name
        self.set(phase=phase, words=words)
        if self.state.name != name:
            self.set(since=self.now)

    def try_best(self, *, why: str = "") -> None:
        """Begin anew with the best endpoint; without one, be down."""
        best = self.state.ladder.best(self.now)
        if best:
            self.connect(best, why=why)
        else:
            self.enter(Down(), sentences.NO_ENDPOINT)

    def connect(
        self, endpoint: Endpoint, *, server: int = 0, after: Connecting | None = None, why: str
    ) -> None:
        """Connect the active tunnel; `after` is the try before it in the same round."""
        phase = Connecting(link=self.link_to(endpoint, server))
        if after:
            phase = replace(phase, tried=after.tried, round=after.round, pause=after.pause)
        self.enter(phase, sentences.connecting(endpoint.name, why=why))

    def link_to(self, endpoint: Endpoint, server: int) -> Link:
        """Connect the active tunnel, without saying anything about the phase."""
        standby = self.state.standby
        if standby and same_server(standby.endpoint, endpoint):
            self.drop_standby()  # a server knows us by our key, and only one of us
        number = self._next_link()
        self.actions.append(Connect("active", endpoint, endpoint.servers[server], number))
        return Link(
            endpoint=endpoint,
            server=server,
            number=number,
            began=self.now,
            stale=self.state.active_sample,
        )

    def rehandshake(self, link: Link, *, is_anew: bool = False) -> Link:
        """Ask for a new handshake; `is_anew`: the one of before counts no longer."""
        number = self._next_link()
        self.actions.append(Rehandshake("active", number))
        if is_anew:
            link = replace(link, began=self.now, stale=self.state.active_sample)
        return replace(link, number=number)

    def connect_standby(self, endpoint: Endpoint, *, server: int = 0) -> None:
        """Connect the standby tunnel; never to the active one's server."""
        standby = Standby(
            endpoint=endpoint,
            server=server,
            link=self._next_link(),
            began=self.now,
            stale=self.state.standby_sample,
        )
        self.set(standby=standby)
        action = Connect("standby", endpoint, endpoint.servers[server], standby.link)
        self.actions.append(action)

    def rehandshake_standby(self, standby: Standby) -> None:
        """Ask the standby's server for a new handshake."""
        link = self._next_link()
        self.set(standby=standby.knocking(link))
        self.actions.append(Rehandshake("standby", link))

    def drop_standby(self) -> None:
        """Disconnect the standby tunnel, even if we know of no standby: a test may go on there."""
        self.actions.append(Disconnect("standby"))
        self.set(standby=None)

    def probe_active(self, endpoint: Endpoint) -> None:
        """Ask the server and the world beyond it for an echo."""
        self.actions.append(Probe("active", self.target(endpoint), endpoint.gateway))

    def probe_standby(self, *, urgent: bool) -> None:
        """Ask the world beyond the standby for an echo, if it is time."""
        standby = self.state.standby
        if standby and standby.is_probe_due(self.now, self.state.activity, urgent=urgent):
            self.set(standby=standby.probing(self.now))
            self.actions.append(Probe("standby", self.target(standby.endpoint), None))

    def ask_gateway(self) -> None:
        """Ask the uplink's gateway whether it is there, unless it was asked just now."""
        gateway = self.state.gateway
        if self.now - gateway.asked >= GATEWAY_EVERY and not gateway.is_being_asked():
            self.set(gateway=replace(gateway, asked=self.now))
            self.actions.append(CheckUplink())

    def target(self, endpoint: Endpoint) -> str:
        """Return the next address beyond: one that is out of order must not decide anything."""
        self.set(turn=self.state.turn + 1)
        families = {":" in address for address in endpoint.addresses}
        reachable = [each for each in self.state.targets if (":" in each) in families]
        targets = reachable or self.state.targets
        return targets[self.state.turn % len(targets)]

    def _next_link(self) -> int:
        self.set(links=self.state.links + 1)
        return self.state.links
