"""A tunnel without a tunnel: sockets of the loopback, and a resolver that says what it is told."""

import asyncio
import errno
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from miauflixd.tunnel.errors import TunnelDownError


@dataclass
class FakeRoad:
    """A way out that opens and closes as a test says."""

    up: bool = True
    reason: str = "The server does not answer"
    ipv6: bool = False


@dataclass
class FakeOpener:
    """Makes sockets of the loopback after a while, as one who is asked through a socket pair."""

    pause: float = 0.0
    broken: bool = False
    """There is nobody to ask."""
    exhausted: bool = False
    """Whoever is asked has too many files open."""

    def __post_init__(self) -> None:
        self.opened: list[socket.socket] = []
        self.kinds: Counter[tuple[str, str]] = Counter()

    async def open_socket(self, family, kind) -> socket.socket:
        await asyncio.sleep(self.pause)
        if self.broken:
            raise TunnelDownError("The engine is gone")
        if self.exhausted:
            raise OSError(errno.EMFILE, "Too many open files")
        made = socket.socket(
            socket.AF_INET if family == "inet" else socket.AF_INET6,
            socket.SOCK_STREAM if kind == "stream" else socket.SOCK_DGRAM,
        )
        self.opened.append(made)
        self.kinds[family, kind] += 1
        return made

    @property
    def open(self) -> int:
        """How many of them nobody has closed yet."""
        return sum(made.fileno() >= 0 for made in self.opened)


@dataclass(kw_only=True)
class FakeResolver:
    """A stub resolver with every failure of one."""

    names: dict[str, list[str]] = field(default_factory=dict)
    """Addresses of both families by name."""
    ttl: int = 60
    failures: int = 0
    """So many queries are answered with SERVFAIL first."""
    silences: int = 0
    """So many queries are not answered first."""
    truncating: bool = False
    """What is asked for by a datagram is too long for one."""
    noisy: bool = False
    """Before each answer comes one to another question, and one that is none."""

    def __post_init__(self) -> None:
        self.asked: list[str] = []
        self.by_stream = 0

    def answers(self, wire: bytes, *, datagram: bool) -> list[bytes]:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        self.asked.append(f"{name} {dns.rdatatype.to_text(question.rdtype)}")
        if self.silences:
            self.silences -= 1
            return []
        reply = dns.message.make_response(query)
        if self.failures:
            self.failures -= 1
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif name not in self.names:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif datagram and self.truncating:
            reply.flags |= dns.flags.TC
        else:
            wanted = question.rdtype == dns.rdatatype.AAAA
            found = [a for a in self.names[name] if (":" in a) == wanted]
            if found:
                alias = f"cdn.{name}."
                reply.answer = [
                    dns.rrset.from_text(question.name, self.ttl, "IN", "CNAME", alias),
                    dns.rrset.from_text_list(
                        alias, self.ttl, "IN", "AAAA" if wanted else "A", found
                    ),
                ]
        sent = [reply.to_wire()]
        if self.noisy:
            other = dns.message.make_response(dns.message.make_query("other.example", "A"))
            sent = [b"noise", other.to_wire(), *sent]
        return sent

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one query that came by a stream, in two pieces."""
        (length,) = struct.unpack(">H", await reader.readexactly(2))
        self.by_stream += 1
        for answer in self.answers(await reader.readexactly(length), datagram=False):
            writer.write(struct.pack(">H", len(answer)) + answer[:5])
            await writer.drain()
            writer.write(answer[5:])
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    """The datagram side of a resolver."""

    def __init__(self, resolver: FakeResolver) -> None:
        self._resolver = resolver
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport):
        self._transport = transport

    def datagram_received(self, data, addr):
        assert self._transport is not None
        for answer in self._resolver.answers(data, datagram=True):
            self._transport.sendto(answer, addr)


@asynccontextmanager
async def resolving(
    resolver: FakeResolver, at: tuple[str, int] = ("127.0.0.1", 0)
) -> AsyncIterator[tuple[str, int]]:
    """Have a resolver answer at the address that is yielded."""
    server = await asyncio.start_server(resolver.converse, *at)
    address = server.sockets[0].getsockname()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Datagrams(resolver), local_addr=address
    )
    try:
        async with server:
            yield address
    finally:
        transport.close()
        await asyncio.sleep(0)  # a transport closes its socket in the loop's next turn
