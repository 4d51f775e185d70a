"""What is played, in segments; and its subtitles."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from msgspec import Meta

from miauflixd.playback import hls
from miauflixd.playback.media_files import NoTrackError
from miauflixd.playback.playlists import Entry, Subtitle, m3u, xspf
from miauflixd.playback.service import NoPlaybackError, Playback
from miauflixd.playback.subtitles import BESIDE
from miauflixd.playback.webvtt import webvtt
from miauflixd.torrents.model import Layout, NoSourceError, SourceId
from miauflixd.web.addresses import base_url
from miauflixd.web.bodies import query
from miauflixd.web.keys import PLAYBACKS, SUBTITLES, TORRENTS
from miauflixd.web.routes import Policy, Route
from miauflixd.web.shapes import StreamQuery
from miauflixd.web.subtitles import choices_of, layout_of, subtitle_shapes, title_of
from miauflixd.web.who import viewer

_PLAYLIST = "application/vnd.apple.mpegurl"
_PRIVATE = {hdrs.CACHE_CONTROL: "private, no-cache"}
_SEGMENT = {hdrs.CACHE_CONTROL: "private, max-age=3600"}

_BANDWIDTH = 8_000_000
"""Bits per second, where the file does not say."""

_DIGITS = 9

_WINDOW = 600.0
"""Seconds of subtitles within a file that one question may be about: what it is about is read."""


class HlsQuery(StreamQuery, frozen=True, kw_only=True):
    """What stands behind the addresses of segments and playlists."""

    audio: Annotated[int, Meta(ge=0, le=9999)] | None = None
    """The track to hear; by default the one that was decided on."""


_Seconds = Annotated[float, Meta(ge=0, le=1e6)]


class SubtitleQuery(StreamQuery, frozen=True, kw_only=True):
    """Which part of the subtitles somebody wants."""

    start: _Seconds = 0.0
    """Seconds."""
    stop: _Seconds | None = None
    """Of a file within: ten minutes behind the start at most, and by default."""
    delay: Annotated[float, Meta(ge=-600, le=600)] = 0.0
    """Seconds by which they are to be shown later."""


async def master(request: web.Request) -> web.Response:
    playback, wanted = await _of(request), query(request.query, HlsQuery)
    stream = await request.app[PLAYBACKS].hls(playback, audio=wanted.audio)
    media = playback.media
    picture = None if media is None else media.picture
    said = _said(wanted)
    renditions = [
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subtitles",NAME="{_quoted(one.label)}",'
        f'LANGUAGE="{_quoted(one.language or "und")}",DEFAULT={"YES" if one.default else "NO"},'
        f"AUTOSELECT={'YES' if one.default or one.forced else 'NO'},"
        f"FORCED={'YES' if one.forced else 'NO'},"
        f'URI="subtitles/{one.index}.m3u8?{said}"'
        for one in await subtitle_shapes(request, playback, "")
        if one.url is not None
    ]
    return _playlist(
        hls.master_playlist(
            media=f"media.m3u8?{said}",
            bandwidth=(media.bit_rate if media and media.bit_rate else _BANDWIDTH),
            codecs=stream.codecs,
            resolution=None if picture is None else (picture.width, picture.height),
            renditions=renditions,
        )
    )


async def media_playlist(request: web.Request) -> web.Response:
    playback, wanted = await _of(request), query(request.query, HlsQuery)
    stream = await request.app[PLAYBACKS].hls(playback, audio=wanted.audio)
    said = _said(wanted)
    return _playlist(
        hls.media_playlist(
            stream.durations,
            init=f"init.mp4?{said}",
            segment=lambda number: f"{number}.m4s?{said}",
        )
    )


async def init(request: web.Request) -> web.Response:
    playback, wanted = await _of(request), query(request.query, HlsQuery)
    stream = await request.app[PLAYBACKS].hls(playback, audio=wanted.audio)
    return web.Response(body=await stream.init(), content_type="video/mp4", headers=_SEGMENT)


async def segment(request: web.Request) -> web.Response:
    playback, wanted = await _of(request), query(request.query, HlsQuery)
    stream = await request.app[PLAYBACKS].hls(playback, audio=wanted.audio)
    data = await stream.segment(_number(request, "number"))
    return web.Response(body=data, content_type="video/iso.segment", headers=_SEGMENT)


async def subtitle_playlist(request: web.Request) -> web.Response:
    playback, wanted = await _of(request), query(request.query, HlsQuery)
    index = _number(request, "index")
    if index not in {one.index for one in choices_of(request, playback) if one.is_text}:
        raise NoPlaybackError("There are no such subtitles")
    stream = await request.app[PLAYBACKS].hls(playback, audio=wanted.audio)
    said = _said(wanted)
    return _playlist(
        hls.media_playlist(
            stream.durations,
            init="",
            segment=lambda number: f"{index}/{number}.vtt?{said}",
            independent=False,
        )
    )


async def subtitle_segment(request: web.Request) -> web.Response:
    playback, wanted = await _of(request), query(request.query, HlsQuery)
    stream = await request.app[PLAYBACKS].hls(playback, audio=wanted.audio)
    number = _number(request, "number")
    if number >= len(stream.durations):
        raise NoPlaybackError("The film has no such segment")
    start = sum(stream.durations[:number])
    stop = start + stream.durations[number]
    cues = await request.app[SUBTITLES].cues(
        playback.source_id,
        playback.file_index,
        layout_of(request, playback),
        _number(request, "index"),
        start=start,
        stop=stop,
    )
    return _vtt(webvtt(cues, start=start, stop=stop, mapped=True))


async def subtitles(request: web.Request) -> web.Response:
    source_id, wanted = (
        SourceId(request.match_info["source_id"]),
        query(request.query, SubtitleQuery),
    )
    layout, file = _layout(request, source_id, wanted.file)
    most = wanted.start + _WINDOW
    stop = most if wanted.stop is None else min(wanted.stop, most)
    index = _number(request, "index")
    cues = await request.app[SUBTITLES].cues(
        source_id, file, layout, index, start=wanted.start, stop=stop
    )
    return _vtt(webvtt(cues, start=wanted.start, stop=wanted.stop, delay=wanted.delay))


async def raw_subtitles(request: web.Request) -> web.Response:
    source_id, wanted = (
        SourceId(request.match_info["source_id"]),
        query(request.query, SubtitleQuery),
    )
    _, file = _layout(request, source_id, wanted.file)
    most = wanted.start + _WINDOW
    stop = most if wanted.stop is None else min(wanted.stop, most)
    text = await request.app[SUBTITLES].ass(
        source_id, file, _number(request, "index"), start=wanted.start, stop=stop
    )
    return web.Response(text=text, content_type="text/x-ssa", headers=_PRIVATE)


async def attachment(request: web.Request) -> web.Response:
    source_id, wanted = SourceId(request.match_info["source_id"]), query(request.query, StreamQuery)
    _, file = _layout(request, source_id, wanted.file)
    data = await request.app[SUBTITLES].attachment(source_id, file, _number(request, "index"))
    # Never as what a stranger's file says that it is: a page must not run it.
    headers = _PRIVATE | {hdrs.CONTENT_DISPOSITION: "attachment"}
    return web.Response(body=data, content_type="application/octet-stream", headers=headers)


async def playlist_m3u(request: web.Request) -> web.Response:
    entry = await _entry(request)
    return web.Response(text=m3u([entry]), content_type="audio/x-mpegurl", headers=_PRIVATE)


async def playlist_xspf(request: web.Request) -> web.Response:
    entry = await _entry(request)
    return web.Response(
        text=xspf([entry], title=entry.title),
        content_type="application/xspf+xml",
        headers=_PRIVATE,
    )


async def _entry(request: web.Request) -> Entry:
    """Return what is played for players of their own, with where to begin and subtitles."""
    playback = await request.app[PLAYBACKS].get(request.match_info["playback_id"])
    if playback.user_id != viewer(request).user_id:
        raise NoPlaybackError("This is not played any more. Start it again")
    key = query(request.query, StreamQuery).key or ""
    base = base_url(request)
    said = urlencode({"file": playback.file_index, "key": key})
    return Entry(
        url=f"{base}/api/stream/{playback.source_id}?{said}",
        title=await title_of(request, playback),
        duration=None if playback.media is None else playback.media.duration,
        resume_at=playback.position,
        subtitles=tuple(
            Subtitle(url=f"{base}{one.url}", language=one.language, label=one.label)
            for one in await subtitle_shapes(request, playback, key)
            # Those within the file the player finds itself.
            if one.url is not None and one.index >= BESIDE
        ),
    )


async def _of(request: web.Request) -> Playback:
    """Return the playback whose address this is.

    Raises:
        NoPlaybackError: there is none, it is somebody else's, or another source is played by now.
    """
    playback = await request.app[PLAYBACKS].get(request.match_info["playback_id"])
    file = query(request.query, HlsQuery).file
    of_source = (playback.source_id, playback.file_index)
    if playback.user_id != viewer(request).user_id or of_source != (
        SourceId(request.match_info["source_id"]),
        playback.file_index if file is None else file,
    ):
        raise NoPlaybackError("This is not played any more. Start it again")
    return playback


def _number(request: web.Request, name: str) -> int:
    """Return a number that stands in the address.

    Raises:
        NoTrackError: it is none.
    """
    text = request.match_info[name]
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise NoTrackError("There is no such thing here")
    return int(text)


def _layout(
    request: web.Request, source_id: SourceId, file: int | None
) -> tuple[Layout | None, int]:
    """Return the files of a source, and the index of one or of the main one."""
    layout = request.app[TORRENTS].source(source_id).layout
    if file is not None:
        return layout, file
    if layout is None:
        raise NoSourceError("What this source holds is not known yet")
    return layout, layout.main_file().index


def _said(wanted: HlsQuery) -> str:
    said = {"file": wanted.file, "key": wanted.key, "audio": wanted.audio}
    return urlencode({name: value for name, value in said.items() if value is not None})


def _quoted(text: str) -> str:
    """Return text that may stand in an attribute: without what would end it (RFC 8216, 4.2)."""
    return "".join(" " if one in '"\r\n' else one for one in text)


def _playlist(text: str) -> web.Response:
    return web.Response(text=text, content_type=_PLAYLIST, headers=_PRIVATE)


def _vtt(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/vtt", headers=_PRIVATE)


_GONE = {
    HTTPStatus.NOT_FOUND: "This is not played any more, or another source is by now: "
    "`GET /api/playback/{playback_id}` says where",
    HTTPStatus.SERVICE_UNAVAILABLE: "There is no tunnel, or too much is played at once",
    HTTPStatus.GATEWAY_TIMEOUT: "Nothing came from the swarm in time",
    HTTPStatus.INSUFFICIENT_STORAGE: "There is no room on the disk for more",
}
_HERE = "/api/stream/{source_id}/hls/{playback_id}"


def _route(
    path: str, handler: Handler, summary: str, media: str, *, takes: type = HlsQuery
) -> Route:
    return Route(
        method="GET",
        path=path,
        handler=handler,
        policy=Policy.STREAM,
        rate="stream",
        summary=summary,
        query=takes,
        response_media=media,
        other=_GONE,
    )


ROUTES = (
    _route(f"{_HERE}/master.m3u8", master, "Name the film's variant and its subtitles", _PLAYLIST),
    _route(
        f"{_HERE}/media.m3u8",
        media_playlist,
        "List all segments of a film, also those that are not made yet",
        _PLAYLIST,
    ),
    _route(f"{_HERE}/init.mp4", init, "Send what stands before any segment", "video/mp4"),
    _route(
        _HERE + "/{number}.m4s",
        segment,
        "Send a segment, which is made now unless it is there",
        "video/iso.segment",
    ),
    _route(
        _HERE + "/subtitles/{index}.m3u8",
        subtitle_playlist,
        "List the segments of subtitles",
        _PLAYLIST,
    ),
    _route(
        _HERE + "/subtitles/{index}/{number}.vtt",
        subtitle_segment,
        "Send the subtitles of one segment",
        "text/vtt",
    ),
    _route(
        "/api/stream/{source_id}/subtitles/{index}.vtt",
        subtitles,
        "Send subtitles as WebVTT: of a file beside the video all, of those within it a part, as "
        "it arrives",
        "text/vtt",
        takes=SubtitleQuery,
    ),
    _route(
        "/api/stream/{source_id}/subtitles/{index}.ass",
        raw_subtitles,
        "Send a part of ASS subtitles for clients that draw them",
        "text/x-ssa",
        takes=SubtitleQuery,
    ),
    _route(
        "/api/stream/{source_id}/attachments/{index}",
        attachment,
        "Send a file within the film, such as a font for its subtitles",
        "application/octet-stream",
        takes=StreamQuery,
    ),
    _route(
        "/api/playback/{playback_id}/playlist.m3u8",
        playlist_m3u,
        "Send a playlist for players of their own, which begins where one was",
        "audio/x-mpegurl",
        takes=StreamQuery,
    ),
    _route(
        "/api/playback/{playback_id}/playlist.xspf",
        playlist_xspf,
        "Send such a playlist as XSPF",
        "application/xspf+xml",
        takes=StreamQuery,
    ),
)
