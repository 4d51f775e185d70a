"""The file itself, by range, while it arrives."""

import mimetypes
from contextlib import aclosing
from http import HTTPStatus
from pathlib import PurePosixPath
from urllib.parse import quote

from aiohttp import hdrs, web

from miauflixd.torrents.model import SourceFile, SourceId
from miauflixd.torrents.reader import NoDataError, SourceFailedError
from miauflixd.web.authentication import require_still
from miauflixd.web.bodies import query
from miauflixd.web.byte_ranges import (
    ByteRange,
    if_none_match_matches,
    if_range_holds,
    requested_range,
)
from miauflixd.web.keys import PLAYBACKS, PLAYING
from miauflixd.web.routes import Policy, Route
from miauflixd.web.sendfile import Outlet
from miauflixd.web.shapes import StreamQuery

_TYPES = {
    ".mkv": "video/x-matroska",
    ".mk3d": "video/x-matroska",
    ".mka": "audio/x-matroska",
    ".webm": "video/webm",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/x-msvideo",
    ".ts": "video/mp2t",
    ".m2ts": "video/mp2t",
    ".ogv": "video/ogg",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
    ".wmv": "video/x-ms-wmv",
    ".flv": "video/x-flv",
    ".flac": "audio/flac",
    ".srt": "application/x-subrip",
    ".vtt": "text/vtt",
}
"""What the system's own table lacks or, depending on the machine, has wrong."""

_DLNA = {
    "transferMode.dlna.org": "Streaming",
    # Seek by byte; streaming, background and interactive transfer; DLNA 1.5 (part 1, 7.3).
    "contentFeatures.dlna.org": "DLNA.ORG_OP=01;DLNA.ORG_CI=0;"
    "DLNA.ORG_FLAGS=01700000000000000000000000000000",
}


async def stream(request: web.Request) -> web.StreamResponse:
    """Answer GET and HEAD for one file of a source."""
    source_id = SourceId(request.match_info["source_id"])
    try:
        return await _sent(request, source_id)
    except (NoDataError, SourceFailedError):
        await request.app[PLAYING].gave_nothing(source_id)
        raise


async def _sent(request: web.Request, source_id: SourceId) -> web.StreamResponse:
    wanted_file = query(request.query, StreamQuery).file
    async with request.app[PLAYBACKS].reader(source_id, wanted_file) as reader:
        file = reader.file
        headers = {
            hdrs.ACCEPT_RANGES: "bytes",
            hdrs.ETAG: reader.etag,
            hdrs.CONTENT_TYPE: content_type(file),
            hdrs.CONTENT_DISPOSITION: _disposition(file),
            # A proxy that recompresses or keeps a film helps nobody.
            hdrs.CACHE_CONTROL: "private, no-transform",
            **_DLNA,
        }
        if if_none_match_matches(request.headers.get(hdrs.IF_NONE_MATCH), reader.etag):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        wanted = None
        if if_range_holds(request.headers.get(hdrs.IF_RANGE), reader.etag):
            wanted = requested_range(request.headers.get(hdrs.RANGE), file.size)
        status = HTTPStatus.OK
        if wanted is not None:
            status = HTTPStatus.PARTIAL_CONTENT
            headers[hdrs.CONTENT_RANGE] = wanted.content_range(file.size)
        sent = wanted or ByteRange(start=0, stop=file.size)
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = sent.length
        if request.method == hdrs.METH_HEAD or sent.length == 0:
            await response.prepare(request)
            return response
        async with aclosing(reader.spans(sent.start, sent.stop)) as spans:
            # First bytes, then the status: what goes wrong until then has a proper answer.
            first = await anext(spans)
            await response.prepare(request)
            with Outlet.open(request) as outlet:
                await outlet.send(first.file, first.offset, first.length)
                async for span in spans:
                    # A film is sent over hours, in which somebody may be shut out.
                    await require_still(request)
                    await outlet.send(span.file, span.offset, span.length)
        await response.write_eof()
        return response


def content_type(file: SourceFile) -> str:
    """Return the media type of a file by its name."""
    suffix = PurePosixPath(file.name).suffix.lower()
    return _TYPES.get(suffix) or mimetypes.types_map.get(suffix) or "application/octet-stream"


def _disposition(file: SourceFile) -> str:
    """Return the header that names the file for those who save it (RFC 6266)."""
    return f"inline; filename*=UTF-8''{quote(PurePosixPath(file.name).name, safe='')}"


ROUTES = (
    Route(
        method="GET",
        path="/api/stream/{source_id}",
        handler=stream,
        policy=Policy.STREAM,
        rate="stream",
        summary="Send a file, or a range of it, while it arrives",
        query=StreamQuery,
        response_media="*/*",
        other={
            HTTPStatus.PARTIAL_CONTENT: "The range that was asked for",
            HTTPStatus.NOT_MODIFIED: "The client has it already",
            HTTPStatus.NOT_FOUND: "There is no such source or file",
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "No byte of the range exists",
            HTTPStatus.SERVICE_UNAVAILABLE: "There is no tunnel, and what is here is not enough",
            HTTPStatus.GATEWAY_TIMEOUT: "Nothing came from the swarm in time",
            HTTPStatus.INSUFFICIENT_STORAGE: "There is no room on the disk for more",
        },
    ),
)
