"""Everybody else: name servers, trackers, a web seed, an echo; all remember who came."""

import socket
import struct
from urllib.parse import parse_qs

from aiohttp import web

from miauflixd.demo import bencode
from tests.lab import topology
from tests.lab.canaries import Canaries
from tests.lab.heartbeat import open_echo
from tests.lab.household import Datagrams, serve_http
from tests.lab.names import Journal, NameServer, Zone
from tests.lab.namespaces import Namespace
from tests.lab.swarm import PORT

_INTERVAL = 60
_UDP_MAGIC = 0x41727101980
_CONNECT, _ANNOUNCE = 0, 1
_PEERS = b"".join(socket.inet_aton(address) + PORT.to_bytes(2) for address in topology.SEEDS)


def zone(canaries: Canaries) -> Zone:
    """Return the names of a run; those that libtorrent knows by itself lead to the DHT node."""
    dht = [topology.DHT_NODE]
    return {
        canaries.name("tracker"): [topology.TRACKER, topology.TRACKER_V6],
        canaries.name("udp"): [topology.UDP_TRACKER],
        canaries.name("seed"): [topology.WEB_SEED],
        canaries.name("redirect"): [topology.WEB_SEED],
        canaries.name("directory"): [topology.DIRECTORY],
        "good.vpn.example": [topology.SERVERS["s1"]],
        "lan.vpn.example": [topology.GATEWAY],
        "router.bittorrent.com": dht,
        "dht.libtorrent.org": dht,
        "router.utorrent.com": dht,
        "dht.transmissionbt.com": dht,
    }


async def open_internet(namespace: Namespace, *, canaries: Canaries, journal: Journal) -> None:
    """Serve all of it in a namespace until the run ends."""
    names = zone(canaries)
    for address in (*topology.RESOLVERS, *topology.RESOLVERS_V6):
        await NameServer.open(
            namespace, address, place=f"DNS {address}", zone=names, journal=journal
        )
    await _open_tracker(namespace, journal)
    await _open_udp_tracker(namespace, journal)
    await _open_web_seed(namespace, journal)
    await open_echo(namespace, topology.ECHO)


async def _open_tracker(namespace: Namespace, journal: Journal) -> None:
    async def announce(request: web.Request) -> web.Response:
        journal.note("tracker", request.remote or "", request.rel_url.raw_query_string)
        query = parse_qs(request.rel_url.raw_query_string, encoding="latin-1")
        peers = b"" if query.get("event") == ["stopped"] else _PEERS
        body = bencode.encode({"interval": _INTERVAL, "complete": 3, "peers": peers})
        return web.Response(body=body, content_type="text/plain")

    for address in (topology.TRACKER, topology.TRACKER_V6):
        await serve_http(namespace.listener(address, 80), announce)


async def _open_udp_tracker(namespace: Namespace, journal: Journal) -> None:
    def reply(data: bytes, source: str) -> bytes | None:
        if len(data) < 16:
            return None
        connection, action, transaction = struct.unpack("!QII", data[:16])
        journal.note("UDP tracker", source, f"action {action}")
        if action == _CONNECT and connection == _UDP_MAGIC:
            return struct.pack("!IIQ", _CONNECT, transaction, 7)
        if action == _ANNOUNCE:
            return struct.pack("!IIIII", _ANNOUNCE, transaction, _INTERVAL, 0, 3) + _PEERS
        return None

    await Datagrams.open(namespace.datagrams(topology.UDP_TRACKER, 6969), reply)


async def _open_web_seed(namespace: Namespace, journal: Journal) -> None:
    async def give(request: web.Request) -> web.StreamResponse:
        journal.note("web seed", request.remote or "", request.path)
        if "redirect" in request.path:
            # To the router at home: nobody in a swarm has any business there.
            raise web.HTTPFound(f"http://{topology.GATEWAY}/film")
        # Always busy: whoever could have the film here would not need the swarm.
        return web.Response(status=503, headers={"Retry-After": "5"})

    await serve_http(namespace.listener(topology.WEB_SEED, 80), give)
