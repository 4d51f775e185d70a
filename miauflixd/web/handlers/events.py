"""What happens, as it happens: server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

from aiohttp import web

from miauflixd.auth.model import Role, Viewer
from miauflixd.errors import UnauthenticatedError
from miauflixd.web.authentication import require_still
from miauflixd.web.happenings import (
    Happening,
    Sources,
    Tasks,
    TheLibrary,
    ThePlaybacks,
    TheTunnel,
)
from miauflixd.web.keys import CACHE, LIBRARY, LIMITS, PLAYBACKS, TIMETABLE, TORRENTS, TUNNEL
from miauflixd.web.playback_shapes import playing_shape
from miauflixd.web.routes import Policy, Route
from miauflixd.web.who import viewer

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back until its buffer is full
}


class _Listener:
    """One client that listens, for as long as it may and does."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response
        self._patience = request.app[LIMITS].event.total_seconds()

    async def tell(self, event: bytes) -> None:
        """Send this, unless whoever listens has been shut out since.

        Raises:
            UnauthenticatedError: they have.
            ConnectionError: they are gone, or have stopped reading.
        """
        await require_still(self._request)
        try:
            async with asyncio.timeout(self._patience):
                await self._response.write(event)
        except TimeoutError:
            # What is in the buffers will not be read either, so there is nothing to wait for.
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionAbortedError("the client does not read") from None

    async def tell_all(self, events: AsyncIterator[bytes]) -> None:
        """Send whatever comes."""
        async for event in events:
            await self.tell(event)

    async def beat(self, every: timedelta) -> None:
        """Say nothing, now and then, so that nobody on the way takes it for the end."""
        while True:
            await asyncio.sleep(every.total_seconds())
            await self.tell(b": still here\n\n")


async def events(request: web.Request) -> web.StreamResponse:
    """Send how everything is, then `ready`, then each thing whenever it changed.

    An event is made when there is room to send it: what a slow client misses is merged, not queued;
    and one that does not read at all is hung up on.
    """
    happenings = _happenings(request)
    response = web.StreamResponse(headers=_HEADERS)
    listener = _Listener(request, response)
    async with AsyncExitStack() as stack:
        # Listening comes before looking, so that nothing falls between the two.
        changes = [await stack.enter_async_context(one.changes()) for one in happenings]
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        try:
            for happening in happenings:
                for event in happening.now():
                    await listener.tell(event)
            # Tells a client that comes back that whatever it did not hear of is gone.
            await listener.tell(b"event: ready\ndata: {}\n\n")
            async with asyncio.TaskGroup() as group:
                beat = listener.beat(request.app[LIMITS].heartbeat)
                group.create_task(beat, name="events heartbeat")
                for number, each in enumerate(changes):
                    group.create_task(listener.tell_all(each), name=f"events {number}")
        except* (ConnectionError, UnauthenticatedError):
            pass  # the client went away or was shut out, which is how it ends
    return response


def _happenings(request: web.Request) -> Sequence[Happening]:
    """Return what concerns whoever asks."""
    app = request.app
    who = viewer(request)
    sees_all = who.role is Role.ADMIN
    of_administrators = (
        (Sources(app[TORRENTS], app[CACHE]), Tasks(app[TIMETABLE])) if sees_all else ()
    )
    return (
        *of_administrators,
        *_playbacks(app, who),
        TheTunnel(app[TUNNEL], sees_all=sees_all),
        TheLibrary(app[LIBRARY], user_id=who.user_id),
    )


def _playbacks(app: web.Application, who: Viewer) -> Sequence[Happening]:
    if who.user_id is None and who.role is not Role.ADMIN:
        return ()
    user_id = None if who.role is Role.ADMIN else who.user_id
    torrents = app[TORRENTS]
    return (
        ThePlaybacks(
            app[PLAYBACKS], user_id=user_id, show=lambda one: playing_shape(torrents, one)
        ),
    )


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
