"""What happens, as it happens: server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
from aiohttp import web

from miauflixd.auth.model import Role
from miauflixd.errors import UnauthenticatedError
from miauflixd.torrents.model import NoSourceError, SourceId
from miauflixd.tunnel.model import TunnelView
from miauflixd.web.authentication import require_still
from miauflixd.web.keys import LIMITS, TORRENTS, TUNNEL
from miauflixd.web.ports import Torrents
from miauflixd.web.routes import Policy, Route
from miauflixd.web.shapes import RemovedShape, shape
from miauflixd.web.vpn_shapes import public_shape, tunnel_shape
from miauflixd.web.who import viewer

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back until its buffer is full
}


class _Telling:
    """One client that listens, for as long as it may."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response
        self._torrents = request.app[TORRENTS]
        self._sees_all = viewer(request).role is Role.ADMIN

    async def source(self, source_id: SourceId) -> None:
        """Tell of a source, if sources are this viewer's business."""
        if self._sees_all:
            await self.write(_event(self._torrents, source_id))

    async def tunnel(self, view: TunnelView) -> None:
        """Tell how the tunnel is, as far as that is this viewer's business."""
        shown = tunnel_shape(view) if self._sees_all else public_shape(view)
        await self.write(b"event: tunnel\ndata: " + msgspec.json.encode(shown) + b"\n\n")

    async def write(self, event: bytes) -> None:
        """Send this, unless whoever listens has been shut out since."""
        await require_still(self._request)
        await self._response.write(event)


async def events(request: web.Request) -> web.StreamResponse:
    """Send every source and the tunnel, then `ready`, then each of them whenever it changed.

    An event is made when there is room to send it: what a slow client misses is merged, not queued.
    """
    torrents, tunnel = request.app[TORRENTS], request.app[TUNNEL]
    response = web.StreamResponse(headers=_HEADERS)
    telling = _Telling(request, response)
    # Listening comes before looking, so that nothing falls between the two.
    async with torrents.changes() as changed, tunnel.changes() as views:
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        try:
            for source in torrents.sources():
                await telling.source(source.id)
            await telling.tunnel(tunnel.view())
            # Tells a client that comes back that whatever it did not hear of is gone.
            await telling.write(b"event: ready\ndata: {}\n\n")
            async with asyncio.TaskGroup() as group:
                group.create_task(
                    _beat(telling, request.app[LIMITS].heartbeat), name="events heartbeat"
                )
                group.create_task(_tell_tunnel(telling, views), name="events of the tunnel")
                async for source_id in changed:
                    await telling.source(source_id)
        except* (ConnectionError, UnauthenticatedError):
            pass  # the client went away or was shut out, which is how it ends
    return response


async def _beat(telling: _Telling, every: timedelta) -> None:
    while True:
        await asyncio.sleep(every.total_seconds())
        await telling.write(b": still here\n\n")


async def _tell_tunnel(telling: _Telling, views: AsyncIterator[TunnelView]) -> None:
    async for view in views:
        await telling.tunnel(view)


def _event(torrents: Torrents, source_id: SourceId) -> bytes:
    try:
        data = msgspec.json.encode(shape(torrents.source(source_id)))
    except NoSourceError:
        data = msgspec.json.encode(RemovedShape(id=source_id))
    return b"event: torrent\ndata: " + data + b"\n\n"


ROUTES = (
    Route(
        method="GET",
        path="/api/events",
        handler=events,
        policy=Policy.USER,
        summary="Tell what happens, as it happens: server-sent events",
        response_media="text/event-stream",
    ),
)
