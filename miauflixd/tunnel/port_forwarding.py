"""A port of the tunnel's gateway that leads to the engine, kept for as long as the server stays."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from miauflixd.tunnel import nat_pmp, port_lease
from miauflixd.tunnel.errors import TunnelDownError
from miauflixd.tunnel.port_lease import Condition
from miauflixd.tunnel.ports import Opener

logger = logging.getLogger(__name__)

_DATAGRAM_LIMIT = 1100
"""Bytes that a packet of NAT-PMP may have."""

_WITHOUT_SOCKET = 2.0
"""Seconds until a socket is asked for again."""

_OFF = Condition(
    kind="none",
    port=None,
    reason="This endpoint forwards no ports, or there is no tunnel now",
    next="A port is asked for when there is an endpoint that forwards them",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Whom to ask for a port."""

    address: str
    """Inside the tunnel."""
    generation: int
    """Another number: another server, though its gateway's address is the same."""


class PortForwarding:
    """Asks the gateway for a port, renews it, and says at once when it is another or none."""

    def __init__(
        self,
        *,
        opener: Opener,
        on_port: Callable[[int | None], None],
        clock: Callable[[], float] = time.monotonic,
        at_port: int = nat_pmp.PORT,
    ) -> None:
        """Ask nobody yet.

        Args:
            opener: makes sockets inside the tunnel.
            on_port: told the port at which peers reach us, `None` for none; the engine is to
                listen there and to announce it.
            clock: seconds that never jump.
            at_port: where gateways listen.
        """
        self._opener = opener
        self._on_port = on_port
        self._clock = clock
        self._at_port = at_port
        self._gateway: Gateway | None = None
        self._changed = asyncio.Event()
        self._condition = _OFF
        self._since = datetime.now(UTC)

    @property
    def condition(self) -> Condition:
        """How it stands."""
        return self._condition

    @property
    def since(self) -> datetime:
        """Since when it has stood like that."""
        return self._since

    def follow(self, gateway: Gateway | None) -> None:
        """Ask this one from now on; `None`: nobody. What another one granted is forgotten first."""
        if gateway == self._gateway:
            return
        self._gateway = gateway
        self._become(_OFF if gateway is None else port_lease.describe(port_lease.begin(0), 0))
        self._changed.set()

    async def run(self) -> None:
        """Keep a port at whichever gateway is followed, until cancelled."""
        while True:
            self._changed.clear()
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(self._keep(self._gateway), name="forwarded port")
                await self._changed.wait()
                keeping.cancel()

    async def _keep(self, gateway: Gateway | None) -> None:
        while gateway is not None:
            with suppress(OSError, TunnelDownError):
                end = await self._opener.open_socket("inet", "datagram")
                with closing(end):
                    end.settimeout(0)
                    # Connected: what others send than the gateway does not get here, and word that
                    # nobody listens there does.
                    end.connect((gateway.address, self._at_port))
                    await self._converse(end, gateway)
            await asyncio.sleep(_WITHOUT_SOCKET)

    async def _converse(self, end: socket.socket, gateway: Gateway) -> None:
        lease = port_lease.begin(self._clock())
        while True:
            now = self._clock()
            lease, sent = port_lease.ask(lease, now)
            wake_at = port_lease.wake_at(lease, now)
            try:
                for datagram in sent:
                    end.send(datagram)
                answer = await self._next_answer(end, until=wake_at)
            except ConnectionRefusedError:
                lease = port_lease.nobody_there(lease, self._clock())
            except OSError:
                # No route at the moment, say: a question that was lost like any other.
                await asyncio.sleep(max(0.0, wake_at - self._clock()))
            else:
                if answer is not None:
                    lease = port_lease.hear(lease, answer, self._clock())
            if gateway is not self._gateway:
                return  # its port was forgotten, and is not to be told again
            self._become(port_lease.describe(lease, self._clock()))

    async def _next_answer(self, end: socket.socket, *, until: float) -> nat_pmp.Answer | None:
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, until - self._clock())):
                return nat_pmp.parse(await loop.sock_recv(end, _DATAGRAM_LIMIT))
        return None

    def _become(self, condition: Condition) -> None:
        before, self._condition = self._condition, condition
        if condition != before:
            self._since = datetime.now(UTC)
        if condition.port != before.port:
            logger.info("Forwarded port: %s", condition.port or "none")
            self._on_port(condition.port)
