"""Names to addresses: by this machine's resolver, or by the one inside the tunnel."""

import asyncio
import errno
import os
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Literal

import dns.exception
import dns.flags
import dns.message
import dns.rcode
from aiohttp.abc import AbstractResolver, ResolveResult

from miauflixd.egress.sockets import ADDRESSES
from miauflixd.tunnel.errors import TunnelDownError
from miauflixd.tunnel.ports import Kind, Opener, Road

Records = Literal["A", "AAAA"]

_PATIENCE = (1.0, 1.5, 2.5)
"""Seconds to wait for an answer to each query. The stub resolver races several upstreams itself."""

_BREATH = 0.2
"""Seconds before it is asked again where nobody listened."""

_REMEMBERED = 256
"""Names that are kept at most."""

_TTL_LIMIT = 300.0
"""Seconds that an address is kept at most, whatever its owner says."""

_THREADS = 4
_LENGTH = struct.Struct(">H")
_DATAGRAM_LIMIT = 4096


class NoAddressError(OSError):
    """A name has no address, or it could not be found out."""


class MachineNames(AbstractResolver):
    """This machine's resolver.

    It blocks a thread for as long as it likes, so it has threads of its own: names that cannot be
    resolved must not hold up those who read films from the disk.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            OSError: it has none.
        """
        ask = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [_result(host, port, str(address[0])) for *_, address in found]

    async def close(self) -> None:
        """Wait for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Known:
    addresses: tuple[str, ...]
    until: float


class TunnelNames(AbstractResolver):
    """The stub resolver on the loopback *inside* the tunnel, asked through sockets made there.

    This machine's resolver is never asked, nor is its loopback: the same address means another
    host in there.
    """

    def __init__(
        self,
        *,
        opener: Opener,
        road: Road,
        stub: tuple[str, int] = ("127.0.0.1", 53),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._opener = opener
        self._road = road
        self._stub = stub
        self._clock = clock
        self._known: dict[tuple[str, Records], _Known] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return at most two addresses of each family that the tunnel carries.

        Raises:
            NoAddressError: it has none, or nobody in the tunnel knows.
            TunnelDownError: there is nobody inside to ask.
        """
        wanted: list[Records] = ["A"]
        if self._road.ipv6:
            wanted.append("AAAA")
        found: dict[Records, tuple[str, ...]] = {}
        errors: list[OSError | TunnelDownError] = []

        async def look_up(records: Records) -> None:
            try:
                found[records] = await self._addresses(host, records)
            except (OSError, TunnelDownError) as error:
                errors.append(error)

        async with asyncio.TaskGroup() as group:
            for records in wanted:
                group.create_task(look_up(records), name=f"look up {records}")
        addresses = [address for records in wanted for address in found.get(records, ())]
        if not addresses:
            raise errors[0] if errors else NoAddressError(errno.ENOENT, "no address")
        return [_result(host, port, address) for address in addresses]

    async def close(self) -> None:
        """Forget everything."""
        self._known.clear()

    async def _addresses(self, host: str, records: Records) -> tuple[str, ...]:
        now = self._clock()
        known = self._known.get((host, records))
        if known is None or known.until <= now:
            addresses, ttl = await self._ask(host, records)
            known = _Known(addresses, now + min(ttl, _TTL_LIMIT))
            self._known.pop((host, records), None)
            while len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[host, records] = known
        return known.addresses

    async def _ask(self, host: str, records: Records) -> tuple[tuple[str, ...], float]:
        try:
            query = dns.message.make_query(host, records, use_edns=0, payload=_DATAGRAM_LIMIT)
            answer = await self._answer(query)
            chain = answer.resolve_chaining()
        except dns.exception.DNSException as error:
            raise NoAddressError(errno.ENOENT, "no such name, or no sensible answer") from error
        found = [record.to_text() for record in chain.answer or ()]
        return tuple(found[:ADDRESSES]), float(chain.minimum_ttl)

    async def _answer(self, query: dns.message.QueryMessage) -> dns.message.QueryMessage:
        """Ask until somebody knows; the last failure counts."""
        failure = "no answer"
        for seconds in _PATIENCE:
            try:
                async with asyncio.timeout(seconds):
                    answer = await self._by_datagram(query)
                    if answer.flags & dns.flags.TC:
                        answer = await self._by_stream(query)
            except TimeoutError:
                failure = "no answer in time"
            except OSError as error:
                failure = os.strerror(error.errno or errno.EIO)
                await asyncio.sleep(_BREATH)  # the resolver may be starting anew
            else:
                if answer.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
                    return answer
                failure = dns.rcode.to_text(answer.rcode())
        raise NoAddressError(errno.EAGAIN, failure)

    async def _by_datagram(self, query: dns.message.QueryMessage) -> dns.message.QueryMessage:
        loop = asyncio.get_running_loop()
        with closing(await self._open("datagram")) as end:
            end.connect(self._stub)  # a datagram socket connects without waiting
            await loop.sock_sendall(end, query.to_wire())
            while True:
                answer = _parsed(await loop.sock_recv(end, _DATAGRAM_LIMIT))
                if answer is not None and query.is_response(answer):
                    return answer

    async def _by_stream(self, query: dns.message.QueryMessage) -> dns.message.QueryMessage:
        loop = asyncio.get_running_loop()
        with closing(await self._open("stream")) as end:
            await loop.sock_connect(end, self._stub)
            wire = query.to_wire()
            await loop.sock_sendall(end, _LENGTH.pack(len(wire)) + wire)
            (length,) = _LENGTH.unpack(await _exactly(end, _LENGTH.size))
            answer = _parsed(await _exactly(end, length))
        if answer is None or not query.is_response(answer):
            raise NoAddressError(errno.EPROTO, "an answer to something else")
        return answer

    async def _open(self, kind: Kind) -> socket.socket:
        end = await self._opener.open_socket("inet", kind)
        end.settimeout(0)
        return end


async def _exactly(end: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < count:
        piece = await loop.sock_recv(end, count - len(data))
        if not piece:
            raise NoAddressError(errno.ECONNRESET, "the answer broke off")
        data += piece
    return data


def _parsed(wire: bytes) -> dns.message.QueryMessage | None:
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
    except dns.exception.DNSException:
        return None
    return message if isinstance(message, dns.message.QueryMessage) else None


def _result(host: str, port: int, address: str) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST,
    )
