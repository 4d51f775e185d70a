"""Playing: so far, the address of a file for players that send no headers."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus

from aiohttp import web

from miauflixd.auth.stream_keys import LIFETIME
from miauflixd.catalogue.model import TitleId
from miauflixd.sources.choosing import preference
from miauflixd.sources.ranking import Preference
from miauflixd.sources.release_model import Quality
from miauflixd.torrents.model import NoSourceError, SourceId
from miauflixd.web.bodies import FieldProblem, InvalidFieldsError, answer, json_body
from miauflixd.web.keys import HOUSEHOLD, PLAYING, SOURCES, TORRENTS, WATCHING
from miauflixd.web.playback_shapes import (
    NewPlayback,
    PlaybackShape,
    PlayedSource,
    client_of,
)
from miauflixd.web.routes import Policy, Route
from miauflixd.web.who import audience, own_id, viewer


async def create(request: web.Request) -> web.Response:
    wanted = await json_body(request, NewPlayback)
    own_id(request)  # a stream is somebody's: the control socket has none
    if (wanted.title_id is None) == (wanted.source_id is None):
        raise InvalidFieldsError(FieldProblem("", "One of title_id and source_id is needed"))
    if wanted.title_id is not None:
        return await _of_title(request, TitleId.parse(wanted.title_id), wanted)
    source = request.app[TORRENTS].source(SourceId(wanted.source_id or ""))
    index = wanted.file_index
    if (
        index is not None
        and source.layout is not None
        and index not in {file.index for file in source.layout.files}
    ):
        raise NoSourceError("This source has no such file")
    await request.app[PLAYING].chosen(source.id)
    return await _answer(request, PlayedSource(id=source.id, file_index=index))


async def _of_title(request: web.Request, title_id: TitleId, wanted: NewPlayback) -> web.Response:
    user_id = own_id(request)
    await request.app[SOURCES].see(title_id, await audience(request))
    ready = await request.app[PLAYING].ready(title_id, await _preference(request, wanted))
    progress = await request.app[WATCHING].progress(user_id, [title_id])
    quality = ready.release.quality
    index = ready.file_index if wanted.file_index is None else wanted.file_index
    return await _answer(
        request,
        PlayedSource(
            id=ready.source_id,
            file_index=index,
            listing_id=ready.listing_id,
            quality=None if quality is None else quality.value,
            plays=ready.plays,
        ),
        title_id=title_id,
        reasons=ready.reasons,
        resume_at=progress[title_id].position if title_id in progress else 0.0,
    )


async def _answer(
    request: web.Request,
    source: PlayedSource,
    *,
    title_id: TitleId | None = None,
    reasons: tuple[str, ...] = (),
    resume_at: float = 0.0,
) -> web.Response:
    playback_id = secrets.token_hex(8)
    key = await request.app[HOUSEHOLD].stream_keys.issue(
        viewer(request),
        source_id=source.id,
        file=source.file_index,
        playback_id=playback_id,
    )
    file = "" if source.file_index is None else f"file={source.file_index}&"
    return answer(
        PlaybackShape(
            id=playback_id,
            title_id=None if title_id is None else str(title_id),
            source=source,
            reasons=list(reasons),
            stream_url=f"/api/stream/{source.id}?{file}key={key}",
            resume_at=resume_at,
            expires_at=datetime.now(UTC) + LIFETIME,
        ),
        status=HTTPStatus.CREATED,
    )


async def _preference(request: web.Request, wanted: NewPlayback) -> Preference:
    user = await request.app[HOUSEHOLD].accounts.get(own_id(request))
    liked = preference(
        user.profile,
        client=client_of(wanted.client),
        max_height=wanted.client.max_height if wanted.client else None,
    )
    match wanted.quality:
        case None:
            return liked
        case "auto":  # this time, whatever they like in general
            return replace(liked, quality=None)
        case quality:
            return replace(liked, quality=Quality(quality))


ROUTES = (
    Route(
        method="POST",
        path="/api/playback",
        handler=create,
        policy=Policy.USER,
        rate="write",
        summary="Get an address to play a title or a source at; of a title the best source there "
        "is, which is searched for and waited for if need be",
        request=NewPlayback,
        response=PlaybackShape,
        status=HTTPStatus.CREATED,
        other={
            HTTPStatus.NOT_FOUND: "There is no such title, source or file, or nothing to play the "
            "title from; the detail says why",
            HTTPStatus.SERVICE_UNAVAILABLE: "There is no way to what there is",
        },
    ),
)
