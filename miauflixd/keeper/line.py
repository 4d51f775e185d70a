"""One tunnel together with what asks through it, as the service uses both."""

import logging

from miauflixd.keeper.health import Sample, growth
from miauflixd.keeper.messages import Endpoint, Server
from miauflixd.keeper.ports import Counters, Prober, Tunnel
from miauflixd.keeper.states import Probe

logger = logging.getLogger(__name__)

_NOBODY = -1
"""A link's number that nobody has given: what is counted meanwhile is of no use."""


class Line:
    """The active or the standby tunnel.

    Two probers, because answers are only counted, and an echo of the server says something else
    than one from the world beyond it.
    """

    def __init__(self, *, tunnel: Tunnel, beyond: Prober, gateway: Prober) -> None:
        self.tunnel = tunnel
        self.beyond = beyond
        self._gateway = gateway
        self._link = 0
        self._last = Counters(rx=0, tx=0, handshake=None)
        self.rx = 0
        """Bytes received in all."""
        self.tx = 0

    @property
    def handshake(self) -> float | None:
        """When the last handshake was, seconds since the epoch."""
        return self._last.handshake

    async def connect(self, endpoint: Endpoint, server: Server, *, link: int) -> None:
        """Make this the only peer; samples bear the link's number from now on.

        Raises:
            OSError: the machine refuses; samples are of nobody then.
        """
        self._link = _NOBODY
        await self.tunnel.connect(endpoint, server)
        self._link = link

    async def rehandshake(self, *, link: int) -> None:
        """Begin a new handshake; samples bear the link's number from now on.

        Raises:
            OSError: the machine refuses; samples are of nobody then.
        """
        self._link = _NOBODY
        await self.tunnel.rehandshake()
        self._link = link

    async def disconnect(self) -> None:
        """Have no peer.

        Raises:
            OSError: the machine refuses.
        """
        self._link = _NOBODY
        await self.tunnel.disconnect()

    def probe(self, probe: Probe) -> None:
        """Send the echo requests."""
        self.beyond.probe([probe.beyond])
        if probe.gateway:
            self._gateway.probe([probe.gateway])

    def sample(self) -> Sample | None:
        """Look at what was counted; `None`: there is no peer, or no interface."""
        counters = self.tunnel.counters()
        if counters is None:
            return None
        self.rx += growth(self._last.rx, counters.rx)
        self.tx += growth(self._last.tx, counters.tx)
        self._last = counters
        return Sample(
            link=self._link,
            rx=counters.rx,
            tx=counters.tx,
            handshake=counters.handshake,
            echoes=self.beyond.answered,
            gateway_echoes=self._gateway.answered,
            rtt=self.beyond.rtt or 0.0,
        )
