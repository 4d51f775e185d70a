"""The web client's files, held in memory: they are few and small."""

import hashlib
import mimetypes
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from miauflixd.web.byte_ranges import if_none_match_matches
from miauflixd.web.keys import ASSETS, Asset

_CACHE = {"Cache-Control": "no-cache"}
"""Keep, but ask whether it is still right: an upgrade shows at the next visit."""


def load(directory: Path) -> Mapping[str, Asset]:
    """Read every file of a directory; blocks, so call it before anybody is served."""
    return {path.name: _load(path) for path in directory.iterdir() if path.is_file()}


async def index(request: web.Request) -> web.Response:
    return _answer(request, "index.html")


async def static(request: web.Request) -> web.Response:
    return _answer(request, request.match_info["name"])


def _answer(request: web.Request, name: str) -> web.Response:
    asset = request.app[ASSETS].get(name)
    if asset is None:
        raise web.HTTPNotFound
    headers = {"ETag": asset.etag, **_CACHE}
    if if_none_match_matches(request.headers.get("If-None-Match"), asset.etag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=asset.content, headers={"Content-Type": asset.content_type, **headers})


def _load(path: Path) -> Asset:
    content = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Asset(
        content_type=f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
        etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        content=content,
    )
