"""What happens, as it happens: server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
from aiohttp import web

from miauflixd.torrents.model import NoSourceError, SourceId
from miauflixd.tunnel.model import TunnelView
from miauflixd.web.keys import LIMITS, TORRENTS, TUNNEL
from miauflixd.web.ports import Torrents
from miauflixd.web.shapes import RemovedShape, shape
from miauflixd.web.vpn_shapes import tunnel_shape

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back until its buffer is full
}


async def events(request: web.Request) -> web.StreamResponse:
    """Send every source and the tunnel, then `ready`, then each of them whenever it changed.

    An event is made when there is room to send it: what a slow client misses is merged, not queued.
    """
    torrents, tunnel = request.app[TORRENTS], request.app[TUNNEL]
    response = web.StreamResponse(headers=_HEADERS)
    # Listening comes before looking, so that nothing falls between the two.
    async with torrents.changes() as changed, tunnel.changes() as views:
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        for source in torrents.sources():
            await response.write(_event(torrents, source.id))
        await response.write(_tunnel_event(tunnel.view()))
        # Tells a client that comes back that whatever it did not hear of is gone.
        await response.write(b"event: ready\ndata: {}\n\n")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(
                    _beat(response, request.app[LIMITS].heartbeat), name="events heartbeat"
                )
                group.create_task(_tell_tunnel(response, views), name="events of the tunnel")
                async for source_id in changed:
                    await response.write(_event(torrents, source_id))
        except* ConnectionError:
            pass  # the client went away, which is how it ends
    return response


async def _beat(response: web.StreamResponse, every: timedelta) -> None:
    while True:
        await asyncio.sleep(every.total_seconds())
        await response.write(b": still here\n\n")


async def _tell_tunnel(response: web.StreamResponse, views: AsyncIterator[TunnelView]) -> None:
    async for view in views:
        await response.write(_tunnel_event(view))


def _tunnel_event(view: TunnelView) -> bytes:
    return b"event: tunnel\ndata: " + msgspec.json.encode(tunnel_shape(view)) + b"\n\n"


def _event(torrents: Torrents, source_id: SourceId) -> bytes:
    try:
        data = msgspec.json.encode(shape(torrents.source(source_id)))
    except NoSourceError:
        data = msgspec.json.encode(RemovedShape(id=source_id))
    return b"event: torrent\ndata: " + data + b"\n\n"
