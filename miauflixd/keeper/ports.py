"""What the keeper's service wants of the parts that touch the machine.

There are two tunnels, each in a namespace of its own: the active one, where the engine lives, and
the standby, where nothing does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from miauflixd.keeper.messages import Endpoint, Server


@dataclass(frozen=True, slots=True)
class Counters:
    """What WireGuard has counted for its only peer."""

    rx: int
    """Bytes received, handshakes and keepalives too."""
    tx: int
    handshake: float | None
    """When the last handshake was, seconds since the epoch; `None`: there was none."""


class Tunnel(Protocol):
    """One WireGuard interface in a namespace that has nothing else."""

    @property
    def interface(self) -> str:
        """Its name."""
        ...

    async def connect(self, endpoint: Endpoint, server: Server) -> None:
        """Make this the only peer, and begin a handshake with it.

        Interface, listening port and sockets inside stay; addresses, MTU, routes and rules are
        changed only where the endpoint's differ.

        Raises:
            OSError: the machine refuses.
        """
        ...

    async def disconnect(self) -> None:
        """Have no peer; the interface and its addresses stay."""
        ...

    async def rehandshake(self) -> None:
        """Begin a new handshake with the same peer, which cures a server that lost its state."""
        ...

    def has_peer(self, endpoint: Endpoint) -> bool:
        """Return whether this endpoint is the one behind the interface."""
        ...

    def counters(self) -> Counters | None:
        """Return what was counted; `None`: there is no peer, or no interface any more."""
        ...

    async def restore(self) -> Sequence[str]:
        """Put back what is missing of interface, addresses, routes, rules; say what that was."""
        ...

    async def close_connections(self) -> None:
        """End every TCP connection that goes through it."""
        ...


class Prober(Protocol):
    """Echo requests and name queries out of one namespace."""

    def probe(self, targets: Sequence[str]) -> None:
        """Send one ICMP echo request to each address; failing to send is silence."""
        ...

    @property
    def sent(self) -> int:
        """How many were sent in all."""
        ...

    @property
    def answered(self) -> int:
        """How many were answered in all."""
        ...

    @property
    def rtt(self) -> float | None:
        """Seconds that the last answer took."""
        ...

    async def resolves(self, resolver: str, *, within: float) -> bool:
        """Return whether this resolver answers a query for the root's name servers in time."""
        ...

    async def egress(
        self, targets: Sequence[str], resolvers: Sequence[str], *, within: float
    ) -> bool:
        """Return whether anything beyond the tunnel's server answers, by echo or by name query."""
        ...


class Uplink(Protocol):
    """The host's own way to the internet."""

    async def answers(self) -> bool:
        """Return whether there is a default route, and its gateway answers (ARP, ND or echo)."""
        ...


class Resolver(Protocol):
    """The stub resolver on the namespace's loopback."""

    async def use(self, upstreams: Sequence[str]) -> None:
        """Race these from now on, and forget what earlier ones said."""
        ...


class Auditor(Protocol):
    """The third line: looks whether the first two hold."""

    async def findings(self) -> Sequence[str]:
        """Return what should not be there (links, routes, engine threads outside), as sentences."""
        ...


class EngineChild(Protocol):
    """An engine that was started inside."""

    @property
    def pid(self) -> int:
        """The engine's own number."""
        ...

    async def wait(self) -> int:
        """Wait until it has ended; return its exit status, or minus the signal that ended it."""
        ...

    def kill(self) -> None:
        """End it without asking; having ended already is fine."""
        ...


class EngineLauncher(Protocol):
    """Starts engines inside the active tunnel's namespace."""

    async def launch(self, end: int) -> EngineChild:
        """Start an engine on this end of a socket pair, which stays the caller's to close.

        Raises:
            OSError: it cannot be started.
        """
        ...
