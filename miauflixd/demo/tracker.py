"""A small tracker for IPv4: over HTTP (BEP 3, compact by BEP 23, scrapes by BEP 48) and UDP."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import parse_qs

from aiohttp import web

from miauflixd.demo import bencode
from miauflixd.demo.announces import BadAnnounceError, Peer, Register, parse
from miauflixd.demo.udp_tracker import udp_tracker

_INTERVAL = 60
"""Seconds between two announces of a peer: on the loopback a short one costs nothing."""


class Tracker:
    """Who is in which swarm, as far as they say so."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self.announce_url = ""
        self.udp_url = ""
        """The same over UDP. libtorrent scrapes the loopback by it only: it takes care that no URL
        of a stranger becomes an HTTP request to some service of ours."""

    @classmethod
    @asynccontextmanager
    async def open(cls, host: str = "127.0.0.1") -> AsyncIterator[Self]:
        """Answer announces on a free port for the length of the block."""
        tracker = cls(Register(interval=_INTERVAL, clock=time.monotonic))
        application = web.Application()
        application.router.add_get("/announce", tracker._announce)
        application.router.add_get("/scrape", tracker._scrape)
        # Peers keep connections alive, and nobody should wait for them at the end.
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, 0)
            await site.start()
            _, port = runner.addresses[0][:2]
            tracker.announce_url = f"http://{host}:{port}/announce"
            async with udp_tracker(tracker._register, host, interval=_INTERVAL) as udp_url:
                tracker.udp_url = udp_url
                yield tracker
        finally:
            await runner.cleanup()

    async def seeded(self, info_hash: bytes, *, seeders: int) -> None:
        """Wait until a swarm has that many seeders; the deadline is the caller's."""
        await self._register.seeded(info_hash, seeders=seeders)

    async def _announce(self, request: web.Request) -> web.Response:
        query = _query(request)
        try:
            announce = parse({key: values[0] for key, values in query.items()})
        except BadAnnounceError as error:
            return _answer({"failure reason": str(error)})
        # Its address is the one it comes from; what it may say of itself is not to be trusted.
        peer = Peer(host=request.remote or "", port=announce.port)
        others = await self._register.announce(peer, announce)
        complete, incomplete = self._register.count(announce.info_hash)
        return _answer(
            {
                "interval": _INTERVAL,
                "complete": complete,
                "incomplete": incomplete,
                "peers": (
                    b"".join(other.compact() for other in others)
                    if announce.compact
                    else [{"ip": other.host, "port": other.port} for other in others]
                ),
            }
        )

    async def _scrape(self, request: web.Request) -> web.Response:
        files: dict[bytes, bencode.Bencodable] = {}
        for text in _query(request).get("info_hash", []):
            info_hash = text.encode("latin-1")
            complete, incomplete = self._register.count(info_hash)
            files[info_hash] = {"complete": complete, "downloaded": 0, "incomplete": incomplete}
        return _answer({"files": files})


def _query(request: web.Request) -> dict[str, list[str]]:
    # Not `request.query`: an info-hash is twenty bytes of anything, and that is text.
    return parse_qs(request.rel_url.raw_query_string, encoding="latin-1")


def _answer(value: Mapping[str, bencode.Bencodable]) -> web.Response:
    return web.Response(body=bencode.encode(value), content_type="text/plain")
