"""Playing: so far, the address of a file for players that send no headers."""

import secrets
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from miauflixd.auth.stream_keys import LIFETIME
from miauflixd.torrents.model import NoSourceError, SourceId
from miauflixd.web.bodies import answer, json_body
from miauflixd.web.keys import HOUSEHOLD, TORRENTS
from miauflixd.web.routes import Policy, Route
from miauflixd.web.who import own_id, viewer


class NewPlayback(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants to watch."""

    source_id: Annotated[str, Meta(max_length=64)]
    file_index: Annotated[int, Meta(ge=0, le=999_999_999)] | None = None
    """By default the main file, whichever it turns out to be."""


class PlaybackShape(Struct, frozen=True, kw_only=True):
    """Where to get it."""

    id: str
    stream_url: str
    expires_at: datetime
    """Six hours from now; being used puts it off."""


async def create(request: web.Request) -> web.Response:
    wanted = await json_body(request, NewPlayback)
    own_id(request)  # a stream is somebody's: the control socket has none
    source = request.app[TORRENTS].source(SourceId(wanted.source_id))
    index = wanted.file_index
    if (
        index is not None
        and source.layout is not None
        and index not in {file.index for file in source.layout.files}
    ):
        raise NoSourceError("This source has no such file")
    playback_id = secrets.token_hex(8)
    key = await request.app[HOUSEHOLD].stream_keys.issue(
        viewer(request), source_id=source.id, file=index, playback_id=playback_id
    )
    file = "" if index is None else f"file={index}&"
    return answer(
        PlaybackShape(
            id=playback_id,
            stream_url=f"/api/stream/{source.id}?{file}key={key}",
            expires_at=datetime.now(UTC) + LIFETIME,
        ),
        status=HTTPStatus.CREATED,
    )


ROUTES = (
    Route(
        method="POST",
        path="/api/playback",
        handler=create,
        policy=Policy.USER,
        rate="write",
        summary="Get an address to play a file at",
        request=NewPlayback,
        response=PlaybackShape,
        status=HTTPStatus.CREATED,
        other={HTTPStatus.NOT_FOUND: "There is no such source or file"},
    ),
)
