"""The web client's files, held in memory: they are few and small."""

import hashlib
import mimetypes
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from miauflixd.web.byte_ranges import if_none_match_matches
from miauflixd.web.keys import ASSETS, Asset
from miauflixd.web.routes import Policy, Route

_CACHE = {"Cache-Control": "no-cache"}
"""Keep, but ask whether it is still right: an upgrade shows at the next visit."""


def load(directory: Path) -> Mapping[str, Asset]:
    """Read every file of a directory; blocks, so call it before anybody is served."""
    return {path.name: _load(path) for path in directory.iterdir() if path.is_file()}


async def index(request: web.Request) -> web.Response:
    return answer_asset(request, named(request, "index.html"))


async def static(request: web.Request) -> web.Response:
    return answer_asset(request, named(request, request.match_info["name"]))


def named(request: web.Request, name: str) -> Asset:
    """Return a file of the web client."""
    asset = request.app[ASSETS].get(name)
    if asset is None:
        raise web.HTTPNotFound
    return asset


def answer_asset(request: web.Request, asset: Asset) -> web.Response:
    """Return a file, unless the client has it already."""
    headers = {"ETag": asset.etag, **_CACHE}
    if if_none_match_matches(request.headers.get("If-None-Match"), asset.etag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=asset.content, headers={"Content-Type": asset.content_type, **headers})


def made(content: bytes, content_type: str) -> Asset:
    """Return a file that is not on the disk."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Asset(content_type=content_type, etag=etag, content=content)


def _load(path: Path) -> Asset:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return made(path.read_bytes(), f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)


_UNCHANGED = {HTTPStatus.NOT_MODIFIED: "The client has it already"}

ROUTES = (
    Route(
        method="GET",
        path="/",
        handler=index,
        policy=Policy.OPEN,
        rate="page",
        summary="Show the web client",
        response_media="text/html",
        other=_UNCHANGED,
    ),
    Route(
        method="GET",
        path="/static/{name}",
        handler=static,
        policy=Policy.OPEN,
        rate="page",
        summary="Send a file of the web client",
        response_media="*/*",
        other=_UNCHANGED | {HTTPStatus.NOT_FOUND: "There is no such file"},
    ),
)
