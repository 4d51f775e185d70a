"""Playing: beginning, how it goes, and the end."""

from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlencode

from aiohttp import web
from msgspec import structs

from miauflixd.auth.model import Role
from miauflixd.auth.stream_keys import LIFETIME
from miauflixd.catalogue.model import TitleId
from miauflixd.playback.playlists import deep_links
from miauflixd.playback.service import NoPlaybackError, Playback, Wish
from miauflixd.sources.choosing import preference
from miauflixd.sources.ranking import Preference
from miauflixd.sources.release_model import Quality
from miauflixd.torrents.model import NoSourceError, SourceId
from miauflixd.web.addresses import base_url
from miauflixd.web.bodies import FieldProblem, InvalidFieldsError, answer, json_body
from miauflixd.web.keys import CATALOGUE, HOUSEHOLD, PLAYBACKS, SOURCES, TORRENTS, WATCHING
from miauflixd.web.playback_shapes import (
    AttachmentShape,
    AudioShape,
    ChapterShape,
    NewPlayback,
    NextShape,
    PlaybackShape,
    PlaybacksShape,
    PlayingShape,
    capabilities_of,
    client_of,
    played_shape,
    playing_shape,
)
from miauflixd.web.routes import Policy, Route
from miauflixd.web.subtitles import subtitle_shapes, title_of
from miauflixd.web.who import audience, own_id, viewer


async def create(request: web.Request) -> web.Response:
    wanted = await json_body(request, NewPlayback)
    user_id = own_id(request)  # a stream is somebody's: the control socket has none
    if (wanted.title_id is None) == (wanted.source_id is None):
        raise InvalidFieldsError(FieldProblem("", "One of title_id and source_id is needed"))
    wish = Wish(
        user_id=user_id,
        client=capabilities_of(wanted.client),
        preference=await _preference(request, wanted),
        file_index=wanted.file_index,
        audio=wanted.audio_index,
        failed=frozenset(wanted.failed),
    )
    if wanted.title_id is not None:
        title_id = TitleId.parse(wanted.title_id)
        await request.app[SOURCES].see(title_id, await audience(request))
        progress = await request.app[WATCHING].progress(user_id, [title_id])
        resume_at = progress[title_id].position if title_id in progress else 0.0
        wish = replace(wish, title_id=title_id, resume_at=resume_at)
    else:
        wish = replace(wish, source_id=_source(request, wanted))
    playback = await request.app[PLAYBACKS].start(wish)
    return await _began(request, playback, wish)


async def listing(request: web.Request) -> web.Response:
    who = viewer(request)
    everybodys = who.role is Role.ADMIN
    shown = request.app[PLAYBACKS].of(None if everybodys else own_id(request))
    torrents = request.app[TORRENTS]
    return answer(PlaybacksShape(items=[playing_shape(torrents, playback) for playback in shown]))


async def show(request: web.Request) -> web.Response:
    playback = await _of(request)
    shape = playing_shape(request.app[TORRENTS], playback)
    if playback.user_id != viewer(request).user_id:
        return answer(shape)
    key = await _key(request, playback)
    return answer(
        structs.replace(
            shape, stream_url=_stream_url(playback, key), hls_url=_hls_url(playback, key)
        )
    )


async def end(request: web.Request) -> web.Response:
    playback = await _of(request)
    await request.app[PLAYBACKS].end(playback)
    await request.app[HOUSEHOLD].stream_keys.forget_playback(playback.id)
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def _of(request: web.Request) -> Playback:
    """Return one's own playback, or an administrator's look at somebody's.

    Raises:
        NoPlaybackError: there is none, or it is somebody else's.
    """
    playback = await request.app[PLAYBACKS].get(request.match_info["playback_id"])
    who = viewer(request)
    if who.role is not Role.ADMIN and playback.user_id != who.user_id:
        raise NoPlaybackError("This is not played any more. Start it again")
    return playback


def _source(request: web.Request, wanted: NewPlayback) -> SourceId:
    source = request.app[TORRENTS].source(SourceId(wanted.source_id or ""))
    index = wanted.file_index
    if (
        index is not None
        and source.layout is not None
        and index not in {file.index for file in source.layout.files}
    ):
        raise NoSourceError("This source has no such file")
    return source.id


async def _began(request: web.Request, playback: Playback, wish: Wish) -> web.Response:
    key = await _key(request, playback)
    media = playback.media
    following = None
    if playback.title_id is not None:
        following = await request.app[CATALOGUE].next_episode(playback.title_id)
    return answer(
        PlaybackShape(
            id=playback.id,
            title_id=None if playback.title_id is None else str(playback.title_id),
            source=played_shape(playback),
            reasons=list(playback.why),
            method=playback.decision.method,
            obstacles=list(playback.decision.reasons),
            stream_url=_stream_url(playback, key),
            hls_url=_hls_url(playback, key),
            playlist_url=f"/api/playback/{playback.id}/playlist.m3u8?key={key}",
            links=dict(
                deep_links(
                    f"{base_url(request)}{_stream_url(playback, key)}",
                    title=await title_of(request, playback),
                )
            ),
            duration=None if media is None else media.duration,
            audio=[
                AudioShape(
                    index=one.index,
                    language=one.language,
                    title=one.title,
                    codec=one.codec,
                    channels=one.channels,
                    default=one.default,
                )
                for one in (() if media is None else media.audio)
            ],
            audio_index=playback.decision.audio,
            subtitles=await subtitle_shapes(request, playback, key),
            chapters=[
                ChapterShape(start=one.start, stop=one.stop, title=one.title)
                for one in (() if media is None else media.chapters)
            ],
            attachments=[
                AttachmentShape(
                    index=one.index,
                    name=one.name,
                    media_type=one.media_type,
                    size=one.size,
                    url=_attachment_url(playback, one.index, key),
                )
                for one in (() if media is None else media.attachments)
            ],
            next=None if following is None else NextShape(title_id=str(following)),
            resume_at=wish.resume_at,
            expires_at=datetime.now(UTC) + LIFETIME,
        ),
        status=HTTPStatus.CREATED,
    )


async def _key(request: web.Request, playback: Playback) -> str:
    return await request.app[HOUSEHOLD].stream_keys.issue(
        viewer(request),
        source_id=playback.source_id,
        file=playback.file_index,
        playback_id=playback.id,
    )


def _stream_url(playback: Playback, key: str) -> str:
    said = urlencode({"file": playback.file_index, "key": key})
    return f"/api/stream/{playback.source_id}?{said}"


def _attachment_url(playback: Playback, index: int, key: str) -> str:
    said = urlencode({"file": playback.file_index, "key": key})
    return f"/api/stream/{playback.source_id}/attachments/{index}?{said}"


def _hls_url(playback: Playback, key: str) -> str | None:
    if playback.decision.recipe is None:
        return None
    said = urlencode({"file": playback.file_index, "key": key})
    return f"/api/stream/{playback.source_id}/hls/{playback.id}/master.m3u8?{said}"


async def _preference(request: web.Request, wanted: NewPlayback) -> Preference:
    user = await request.app[HOUSEHOLD].accounts.get(own_id(request))
    liked = preference(
        user.profile,
        client=client_of(wanted.client),
        max_height=wanted.client.max_height if wanted.client else None,
        transcodes=request.app[PLAYBACKS].transcodes,
    )
    match wanted.quality:
        case None:
            return liked
        case "auto":  # this time, whatever they like in general
            return replace(liked, quality=None)
        case quality:
            return replace(liked, quality=Quality(quality))


_NO_PLAYBACK = {HTTPStatus.NOT_FOUND: "There is no such playback, or it is somebody else's"}

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
            HTTPStatus.GATEWAY_TIMEOUT: "Nothing came from where it is in time",
            HTTPStatus.INSUFFICIENT_STORAGE: "There is no room on the disk for more",
        },
    ),
    Route(
        method="GET",
        path="/api/playback",
        handler=listing,
        policy=Policy.USER,
        summary="List what is played: one's own, or for administrators everybody's",
        response=PlaybacksShape,
        other={HTTPStatus.FORBIDDEN: "Only somebody who has an account plays anything"},
    ),
    Route(
        method="GET",
        path="/api/playback/{playback_id}",
        handler=show,
        policy=Policy.USER,
        summary="Say how it goes with what is played; when `swaps` has grown, go on at the new "
        "addresses from where one was",
        response=PlayingShape,
        other=_NO_PLAYBACK,
    ),
    Route(
        method="DELETE",
        path="/api/playback/{playback_id}",
        handler=end,
        policy=Policy.USER,
        rate="write",
        summary="Play it no more; its addresses open nothing from then on",
        status=HTTPStatus.NO_CONTENT,
        other=_NO_PLAYBACK,
    ),
)
