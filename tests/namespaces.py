"""A network namespace for a test, with what the keeper's own would have inside."""

import asyncio
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from miauflixd.keeper import dns_messages as dns
from miauflixd.keeper.inside import inside, socket_inside


@dataclass(frozen=True)
class Place:
    """A namespace: a name, and a descriptor to make sockets in it."""

    name: str
    descriptor: int

    @property
    def path(self) -> str:
        return f"/run/netns/{self.name}"

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        return socket_inside(self.descriptor, family, kind, protocol)

    def ip(self, *command: str) -> None:
        subprocess.run(["ip", "-n", self.name, *command], check=True)


@contextmanager
def place() -> Iterator[Place]:
    """Make a namespace with a loopback where nobody needs privileges for probes and port 53."""
    name = f"d{os.urandom(4).hex()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        descriptor = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            made = Place(name, descriptor)
            made.ip("link", "set", "lo", "up")
            inside(descriptor, _open_up)
            yield made
        finally:
            os.close(descriptor)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def _open_up() -> None:
    Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 2147483647")
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")


Answering = Callable[[dns.Query], bytes | None]
"""What a name server says to a query; `None`: nothing."""


@dataclass
class Upstream(asyncio.DatagramProtocol):
    """A name server inside that answers as it is told, after a while."""

    answer: Answering
    after: float = 0.0
    asked: list[dns.Query] = field(default_factory=list)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.read_query(data)
        self.asked.append(query)
        asyncio.get_running_loop().call_later(self.after, self._reply, query, addr)

    def _reply(self, query: dns.Query, addr: Any) -> None:
        if (message := self.answer(query)) is not None and not self._transport.is_closing():
            self._transport.sendto(message, addr)


def says(
    *addresses: str, lifetime: int = 60, truncated: bool = False
) -> Callable[[dns.Query], bytes]:
    """Answer every question with these addresses."""

    def answer(query: dns.Query) -> bytes:
        flags = 0x8180 | (0x0200 if truncated else 0)
        head = query.id + struct.pack(">HHHHH", flags, 1, len(addresses), 0, 0) + query.question
        records = b""
        for packed in (ip_address(address).packed for address in addresses):
            kind = dns.A if len(packed) == 4 else dns.AAAA
            records += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, lifetime, len(packed)) + packed
        return head + records

    return answer


def fails(rcode: int = dns.SERVER_FAILURE) -> Answering:
    return lambda query: dns.empty_reply(query, rcode)


def is_silent(_: dns.Query) -> None:
    return None
