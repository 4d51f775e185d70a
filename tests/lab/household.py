"""What a router at home offers to anybody, without asking who it is. It remembers who came."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web

from tests.lab.names import Journal
from tests.lab.namespaces import Namespace

_GROUP = "239.255.255.250"
_LSD_GROUP = "239.192.152.143"
_IGD = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
_SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"

_DESCRIPTION = f"""<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">
<specVersion><major>1</major><minor>0</minor></specVersion><device><deviceType>{_IGD}</deviceType>
<friendlyName>Router</friendlyName><manufacturer>Lab</manufacturer><modelName>Lab</modelName>
<UDN>uuid:6c616200-0000-0000-0000-000000000001</UDN><serviceList><service>
<serviceType>{_SERVICE}</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId>
<SCPDURL>/scpd.xml</SCPDURL><controlURL>/control</controlURL><eventSubURL>/events</eventSubURL>
</service></serviceList></device></root>"""


class Datagrams(asyncio.DatagramProtocol):
    """A UDP service that is one function: what came, and from where, to what is answered."""

    def __init__(self, reply: Callable[[bytes, str], bytes | None]) -> None:
        self._reply = reply
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, sock: socket.socket, reply: Callable[[bytes, str], bytes | None]) -> None:
        """Serve until the run ends."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: cls(reply), sock=sock)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own is no subclass of it before Python 3.12.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        answer = self._reply(data, addr[0])
        if answer is not None:
            self._transport.sendto(answer, addr)


async def open_router(namespace: Namespace, *, address: str, journal: Journal) -> None:
    """Offer UPnP, NAT-PMP and DNS over HTTPS at the router's address until the run ends."""

    def discovered(data: bytes, source: str) -> bytes | None:
        journal.note("home SSDP", source, data[:80].decode(errors="replace"))
        if not data.startswith(b"M-SEARCH"):
            return None
        return (
            f"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: {_IGD}\r\n"
            f"USN: uuid:lab::{_IGD}\r\nEXT:\r\nSERVER: Lab/1 UPnP/1.0 Lab/1\r\n"
            f"LOCATION: http://{address}:5000/root.xml\r\n\r\n"
        ).encode()

    def mapped(data: bytes, source: str) -> bytes | None:
        journal.note("home NAT-PMP", source, data.hex())
        return map_port(data, external=None, address="81.2.69.142")

    def overheard(data: bytes, source: str) -> None:
        journal.note("home LSD", source, data[:120].decode(errors="replace"))

    async def described(request: web.Request) -> web.Response:
        journal.note("home UPnP", request.remote or "", f"{request.method} {request.path}")
        if request.method == "GET":
            return web.Response(text=_DESCRIPTION, content_type="text/xml")
        return web.Response(text=_soap(await request.text()), content_type="text/xml")

    ssdp = namespace.datagrams("0.0.0.0", 1900)
    lsd = namespace.datagrams("0.0.0.0", 6771)
    for sock, group in ((ssdp, _GROUP), (lsd, _LSD_GROUP)):
        membership = socket.inet_aton(group) + socket.inet_aton(address)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    await Datagrams.open(ssdp, discovered)
    await Datagrams.open(lsd, overheard)
    await Datagrams.open(namespace.datagrams(address, 5351), mapped)
    await serve_http(namespace.listener(address, 5000), described)
    await serve_http(namespace.listener(address, 80), described)

    async def doh(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        journal.note("home DoH", writer.get_extra_info("peername")[0], "connection")
        writer.close()

    await asyncio.start_server(doh, sock=namespace.listener(address, 443))


async def serve_http(
    sock: socket.socket, handler: Callable[[Any], Awaitable[web.StreamResponse]]
) -> None:
    """Answer every request at a socket by one handler until the run ends."""
    runner = web.ServerRunner(web.Server(handler), access_log=None)
    await runner.setup()
    await web.SockSite(runner, sock).start()


def _soap(request: str) -> str:
    action = request.partition("<u:")[2].partition(" ")[0] or "Unknown"
    inner = (
        "<NewExternalIPAddress>81.2.69.142</NewExternalIPAddress>" if "External" in action else ""
    )
    return (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">'
        f'<s:Body><u:{action}Response xmlns:u="{_SERVICE}">{inner}</u:{action}Response></s:Body>'
        "</s:Envelope>"
    )


def map_port(
    request: bytes, *, external: int | None, address: str, epoch: int = 1000, result: int = 0
) -> bytes | None:
    """Return a NAT-PMP gateway's answer (RFC 6886); `None` for what it does not understand.

    Args:
        request: what came.
        external: the port that is given; `None`: the one that was asked for.
        address: of the router, as the world sees it.
        epoch: seconds since the gateway started.
        result: 0 for success, up to 5 for the standard's failures.
    """
    if len(request) == 2 and request[0] == 0:
        return struct.pack("!BBHI", 0, 128, result, epoch) + socket.inet_aton(address)
    if len(request) != 12 or request[0] != 0 or request[1] not in {1, 2}:
        return None
    _, operation, _, internal, wanted, lifetime = struct.unpack("!BBHHHI", request)
    given = (external or wanted or internal) if result == 0 and lifetime else 0
    return struct.pack("!BBHIHHI", 0, operation + 128, result, epoch, internal, given, lifetime)
