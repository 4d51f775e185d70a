"""A gateway that forwards ports by NAT-PMP, with whatever can be wrong with one."""

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from miauflixd.tunnel.nat_pmp import Result, Transport

_REQUEST = struct.Struct(">BBHHHI")


@dataclass(frozen=True)
class Request:
    """What somebody asked for."""

    transport: Transport
    internal: int
    external: int
    lifetime: int


@dataclass(kw_only=True)
class FakeGateway:
    """Maps each transport to a port, the wished one where it may choose."""

    clock: Callable[[], float] = time.monotonic
    lease: int = 60
    """Seconds that it grants at most."""
    port: int = 41000
    """Which it gives when no wish is granted."""
    results: dict[Transport, int] = field(default_factory=dict)
    """What it answers instead of granting."""
    obliging: bool = True
    """It gives the port that is wished for."""
    apart: bool = False
    """It gives UDP and TCP different ports whatever they wish."""
    silent: bool = False
    mute: frozenset[Transport] = frozenset()
    """Transports about which it says nothing."""
    wrong_source: bool = False
    """It answers from another port than it was asked at."""

    def __post_init__(self) -> None:
        self.mapped: dict[Transport, int] = {}
        self.asked: list[Request] = []
        self._began = self.clock()

    def restart(self) -> None:
        """Lose the table, and begin to count the seconds anew."""
        self._began = self.clock()
        self.mapped.clear()

    def renumber(self) -> None:
        """Give another port to everybody from now on, whatever they wish."""
        self.mapped.clear()
        self.port += 1
        self.obliging = False

    def answer(self, datagram: bytes) -> bytes | None:
        """Return the answer to a request, `None` where there is none."""
        if len(datagram) != _REQUEST.size:
            return None
        _version, operation, _reserved, internal, external, lifetime = _REQUEST.unpack(datagram)
        transport = Transport(operation)
        self.asked.append(Request(transport, internal, external, lifetime))
        if self.silent or transport in self.mute:
            return None
        epoch = int(self.clock() - self._began)
        head = struct.pack(">BBHI", 0, 128 + operation, self.results.get(transport, 0), epoch)
        if self.results.get(transport, Result.SUCCESS) != Result.SUCCESS:
            return head + struct.pack(">HHI", internal, 0, 0)
        if transport not in self.mapped:
            wished = external if external and self.obliging and not self.apart else self.port
            self.mapped[transport] = wished + (self.apart and transport is Transport.TCP)
        granted = min(lifetime, self.lease)
        return head + struct.pack(">HHI", internal, self.mapped[transport], granted)


class _Endpoint(asyncio.DatagramProtocol):
    def __init__(self, gateway: FakeGateway) -> None:
        self._gateway = gateway
        self.right: asyncio.DatagramTransport | None = None
        self.wrong: asyncio.DatagramTransport | None = None

    def datagram_received(self, data, addr):
        answer = self._gateway.answer(data)
        by = self.wrong if self._gateway.wrong_source else self.right
        if answer is not None and by is not None:
            by.sendto(answer, addr)


@asynccontextmanager
async def listening(gateway: FakeGateway, *, port: int = 0) -> AsyncIterator[int]:
    """Have a gateway answer at the loopback's port that is yielded."""
    loop = asyncio.get_running_loop()
    right, endpoint = await loop.create_datagram_endpoint(
        lambda: _Endpoint(gateway), local_addr=("127.0.0.1", port)
    )
    wrong, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    endpoint.right, endpoint.wrong = right, wrong
    try:
        yield right.get_extra_info("sockname")[1]
    finally:
        right.close()
        wrong.close()
        await asyncio.sleep(0)  # a transport closes its socket in the loop's next turn
