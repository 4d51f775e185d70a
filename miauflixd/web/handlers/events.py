"""What happens, as it happens: server-sent events."""

import asyncio
from datetime import timedelta

import msgspec
from aiohttp import web

from miauflixd.torrents.model import NoSourceError, SourceId
from miauflixd.web.keys import LIMITS, TORRENTS
from miauflixd.web.ports import Torrents
from miauflixd.web.shapes import RemovedShape, shape

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back until its buffer is full
}


async def events(request: web.Request) -> web.StreamResponse:
    """Send every source, then `ready`, then each source whenever it changed.

    An event is made when there is room to send it: what a slow client misses is merged, not queued.
    """
    torrents = request.app[TORRENTS]
    response = web.StreamResponse(headers=_HEADERS)
    # Listening comes before looking, so that nothing falls between the two.
    async with torrents.changes() as changed:
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        for source in torrents.sources():
            await response.write(_event(torrents, source.id))
        # Tells a client that comes back that whatever it did not hear of is gone.
        await response.write(b"event: ready\ndata: {}\n\n")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(
                    _beat(response, request.app[LIMITS].heartbeat), name="events heartbeat"
                )
                async for source_id in changed:
                    await response.write(_event(torrents, source_id))
        except* ConnectionError:
            pass  # the client went away, which is how it ends
    return response


async def _beat(response: web.StreamResponse, every: timedelta) -> None:
    while True:
        await asyncio.sleep(every.total_seconds())
        await response.write(b": still here\n\n")


def _event(torrents: Torrents, source_id: SourceId) -> bytes:
    try:
        data = msgspec.json.encode(shape(torrents.source(source_id)))
    except NoSourceError:
        data = msgspec.json.encode(RemovedShape(id=source_id))
    return b"event: torrent\ndata: " + data + b"\n\n"
