"""Echo requests and name queries out of a namespace, sent by whoever is outside.

A socket belongs to the namespace it was made in. So these are made inside, and used by the keeper's
event loop like any other; they need no privileges (`ping_group_range`).
"""

import asyncio
import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from miauflixd.keeper import dns_messages as dns
from miauflixd.keeper.dns_messages import MalformedError

SocketInside = Callable[[int, int, int], socket.socket]
"""Family, kind and protocol to a socket that belongs inside.

Raises:
    OSError: there is none to be had.
"""

_ECHO = struct.Struct(">BBHHH")
"""Type, code, checksum, identifier, sequence number; the kernel fills in the middle two."""

_REMEMBERED = 256
"""Requests whose answer would still be recognised: half a minute of two targets every 250 ms."""

_DATAGRAM = 4096
_DNS_PORT = 53
_TRIES = 3
"""How often a name query is sent within its time."""


@dataclass(frozen=True, slots=True)
class _Family:
    protocol: int
    request: int
    reply: int


_FAMILIES = {
    socket.AF_INET: _Family(protocol=socket.IPPROTO_ICMP, request=8, reply=0),
    socket.AF_INET6: _Family(protocol=socket.IPPROTO_ICMPV6, request=128, reply=129),
}


@dataclass(frozen=True, slots=True)
class _Request:
    target: IPv4Address | IPv6Address
    sent: float
    heard: Callable[[], object]


class NamespaceProber:
    """A `Prober` whose packets leave from inside; to be closed at the end."""

    def __init__(self, socket_inside: SocketInside) -> None:
        self._socket_inside = socket_inside
        self._sockets: dict[int, socket.socket] = {}
        self._requests: dict[int, _Request] = {}
        self._sequence = 0
        # So that what answers others, or answered an earlier run, is not taken for ours.
        self._token = os.urandom(8)
        self._sent = 0
        self._answered = 0
        self._rtt: float | None = None

    @property
    def sent(self) -> int:
        """How many echo requests were sent in all, or could not be."""
        return self._sent

    @property
    def answered(self) -> int:
        """How many were answered in all."""
        return self._answered

    @property
    def rtt(self) -> float | None:
        """Seconds that the last answer took."""
        return self._rtt

    def probe(self, targets: Sequence[str]) -> None:
        """Send one ICMP echo request to each address; failing to send is silence."""
        for target in targets:
            self._echo(target, heard=lambda: None)

    async def resolves(self, resolver: str, *, within: float) -> bool:
        """Return whether this resolver answers a query for the root's name servers in time.

        An error is no answer: a server without a way out tells everybody that it has failed.
        """
        try:
            async with asyncio.timeout(within):
                return await self._ask(resolver, every=within / _TRIES)
        except (OSError, ValueError):  # also TimeoutError
            return False

    async def egress(
        self, targets: Sequence[str], resolvers: Sequence[str], *, within: float
    ) -> bool:
        """Return whether anything beyond the tunnel's server answers, by echo or by name query.

        Name servers count because some providers let no echoes pass. Where a provider answers name
        queries itself, out of a cache, only the echoes tell of the world beyond it.

        Args:
            targets: addresses to send an echo request to.
            resolvers: addresses of resolvers to ask.
            within: seconds.
        """
        answers: asyncio.Queue[None] = asyncio.Queue()

        async def ask(resolver: str) -> None:
            if await self.resolves(resolver, within=within):
                answers.put_nowait(None)

        for target in targets:
            self._echo(target, heard=lambda: answers.put_nowait(None))
        async with asyncio.TaskGroup() as asking:
            tasks = [asking.create_task(ask(each), name="resolves") for each in resolvers]
            try:
                async with asyncio.timeout(within):
                    await answers.get()
            except TimeoutError:
                return False
            finally:
                for task in tasks:
                    task.cancel()
        return True

    def close(self) -> None:
        """Close the sockets; nothing is heard any more."""
        for connection in self._sockets.values():
            asyncio.get_running_loop().remove_reader(connection)
            connection.close()
        self._sockets.clear()

    # --- echoes ---

    def _echo(self, target: str, *, heard: Callable[[], object]) -> None:
        self._sent += 1
        self._sequence = (self._sequence + 1) % 2**16
        if len(self._requests) >= _REMEMBERED:
            del self._requests[next(iter(self._requests))]  # the oldest
        try:
            address = ip_address(target)
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 -- IPv4
            head = _ECHO.pack(_FAMILIES[family].request, 0, 0, 0, self._sequence)
            connection = self._socket(family)
            self._requests[self._sequence] = _Request(address, time.monotonic(), heard)
            connection.sendto(head + self._token, (target, 0))
        except (OSError, ValueError):
            # No route, no interface, no room in the queue, no IPv6: nobody will answer.
            self._requests.pop(self._sequence, None)

    def _socket(self, family: socket.AddressFamily) -> socket.socket:
        if family not in self._sockets:
            protocol = _FAMILIES[family].protocol
            connection = self._socket_inside(family, socket.SOCK_DGRAM, protocol)
            connection.setblocking(False)  # noqa: FBT003 -- its only argument
            self._sockets[family] = connection
            reply = _FAMILIES[family].reply
            asyncio.get_running_loop().add_reader(connection, self._hear, connection, reply)
        return self._sockets[family]

    def _hear(self, connection: socket.socket, reply: int) -> None:
        with contextlib.suppress(OSError):  # that there is no further one, mostly
            while True:
                datagram, source = connection.recvfrom(_DATAGRAM)
                self._take(datagram, source, reply)

    def _take(self, datagram: bytes, source: Any, reply: int) -> None:
        if len(datagram) < _ECHO.size or not datagram.endswith(self._token):
            return
        kind, _, _, _, sequence = _ECHO.unpack_from(datagram)
        request = self._requests.get(sequence)
        if kind != reply or request is None:
            return
        if ip_address(source[0].partition("%")[0]) != request.target:
            return
        del self._requests[sequence]  # a second answer to it is none
        self._answered += 1
        self._rtt = time.monotonic() - request.sent
        request.heard()

    # --- names ---

    async def _ask(self, resolver: str, *, every: float) -> bool:
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in resolver else socket.AF_INET
        query = dns.read_query(dns.query(type_=dns.NS, identity=os.urandom(2)))
        with self._socket_inside(family, socket.SOCK_DGRAM, 0) as connection:
            connection.setblocking(False)  # noqa: FBT003 -- its only argument
            # Connected, so that the kernel drops what others send.
            await loop.sock_connect(connection, (resolver, _DNS_PORT))
            while True:
                await loop.sock_sendall(connection, query.message)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(every):
                        while True:
                            datagram = await loop.sock_recv(connection, _DATAGRAM)
                            with contextlib.suppress(MalformedError):
                                return dns.read_reply(datagram, query).definite
