"""Artwork, which a browser keeps."""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from aiohttp import hdrs, web

from miauflixd.catalogue.artwork import Found
from miauflixd.catalogue.image_source import ImageUnavailableError
from miauflixd.web.byte_ranges import if_none_match_matches
from miauflixd.web.keys import IMAGES
from miauflixd.web.routes import Policy, Route
from miauflixd.web.sendfile import Outlet

_HEADERS = {
    # A month, and not asked for again: another image has another key. Not for proxies, which do
    # not know who may come in here.
    hdrs.CACHE_CONTROL: "private, max-age=2592000, immutable",
    hdrs.CONTENT_DISPOSITION: "inline",
    # Somebody may open it by itself: whatever is in it, it stays a picture.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


async def image(request: web.Request) -> web.StreamResponse:
    names = request.match_info
    found = await request.app[IMAGES].image(names["key"], names["size"])
    headers = {**_HEADERS, hdrs.ETAG: found.etag, hdrs.CONTENT_TYPE: found.media_type}
    if if_none_match_matches(request.headers.get(hdrs.IF_NONE_MATCH), found.etag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    if isinstance(found.content, bytes):
        return web.Response(body=found.content, headers=headers)
    with _opened(found.content) as file:
        return await _sent(request, found, file, headers)


def _opened(path: Path) -> BinaryIO:
    """Open an image that was looked at a moment ago, so that nothing of it is far away."""
    try:
        return path.open("rb", buffering=0)
    except OSError as error:
        raise ImageUnavailableError("This image is not here any more") from error


async def _sent(
    request: web.Request, found: Found, file: BinaryIO, headers: Mapping[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    response.content_length = found.size
    await response.prepare(request)
    if request.method != hdrs.METH_HEAD:
        with Outlet.open(request) as outlet:
            await outlet.send(file, 0, found.size)
        await response.write_eof()
    return response


ROUTES = (
    Route(
        method="GET",
        path="/api/images/{size}/{key}",
        handler=image,
        policy=Policy.USER,
        rate="page",
        summary="Send an image: small, medium, large or original",
        response_media="*/*",
        other={
            HTTPStatus.NOT_MODIFIED: "The client has it already",
            HTTPStatus.NOT_FOUND: "There is no such image, or no such size",
            HTTPStatus.SERVICE_UNAVAILABLE: "It is not here, and cannot be fetched now",
        },
    ),
)
