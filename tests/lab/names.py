"""A name server that knows one small zone, and remembers who asked for what."""

import asyncio
import ipaddress
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from tests.lab.namespaces import Namespace

_A, _NS, _AAAA, _IN = 1, 2, 28, 1
_TTL = 30
_NAME_POINTER = b"\xc0\x0c"
_ROOT_SERVER = b"\x01a\x0croot-servers\x03net\x00"

Zone = Mapping[str, Sequence[str]]
"""Addresses of each name, of both families."""


@dataclass(frozen=True, slots=True)
class Request:
    """Something that a fake was asked."""

    at: float
    place: str
    """Whom it came to: `home DNS`, `tracker`."""
    source: str
    what: str


class Journal:
    """What the fakes of the run were asked, in order."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def note(self, place: str, source: str, what: str) -> None:
        self.requests.append(Request(time.monotonic(), place, source, what))

    def at(self, place: str, *, since: float = 0.0) -> Sequence[Request]:
        """Return what came to places whose name begins so."""
        return [r for r in self.requests if r.at >= since and r.place.startswith(place)]


def answer(query: bytes, zone: Zone) -> tuple[str, bytes] | None:
    """Return the name that is asked for and the reply; `None` when it is no query."""
    try:
        name, end = _question(query)
        kind = int.from_bytes(query[end : end + 2])
    except IndexError:
        return None
    question = query[12 : end + 4]
    records, status = _records(name, kind, zone)
    flags = 0x8180 | status
    header = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
    body = b"".join(
        _NAME_POINTER + struct.pack("!HHIH", number, _IN, _TTL, len(data)) + data
        for number, data in records
    )
    return name, header + question + body


def _records(name: str, kind: int, zone: Zone) -> tuple[list[tuple[int, bytes]], int]:
    if not name:
        return ([(_NS, _ROOT_SERVER)] if kind == _NS else []), 0
    addresses = zone.get(name)
    if addresses is None:
        return [], 3
    parsed = [ipaddress.ip_address(address) for address in addresses]
    wanted = {_A: 4, _AAAA: 6}.get(kind)
    return [(kind, address.packed) for address in parsed if address.version == wanted], 0


def _question(query: bytes) -> tuple[str, int]:
    labels, place = [], 12
    while length := query[place]:
        labels.append(query[place + 1 : place + 1 + length].decode("latin-1").lower())
        place += 1 + length
    return ".".join(labels), place + 1


class NameServer(asyncio.DatagramProtocol):
    """Answers over UDP, at once and to anybody; also over TCP."""

    def __init__(self, place: str, zone: Zone, journal: Journal) -> None:
        self._place = place
        self._zone = zone
        self._journal = journal
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(
        cls, namespace: Namespace, address: str, *, place: str, zone: Zone, journal: Journal
    ) -> None:
        """Serve names at an address of a namespace until the run ends."""
        loop = asyncio.get_running_loop()
        server = cls(place, zone, journal)
        await loop.create_datagram_endpoint(lambda: server, sock=namespace.datagrams(address, 53))
        await asyncio.start_server(server._converse, sock=namespace.listener(address, 53))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own is no subclass of it before Python 3.12.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        if (reply := self._reply(data, addr[0])) is not None:
            self._transport.sendto(reply, addr)

    def _reply(self, query: bytes, source: str) -> bytes | None:
        answered = answer(query, self._zone)
        if answered is None:
            self._journal.note(self._place, source, query.hex())
            return None
        name, reply = answered
        self._journal.note(self._place, source, name)
        return reply

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(2))
                query = await reader.readexactly(length)
                reply = self._reply(query, writer.get_extra_info("peername")[0])
                if reply is not None:
                    writer.write(len(reply).to_bytes(2) + reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
