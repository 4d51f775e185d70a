"""Adding, listing and removing sources."""

from http import HTTPStatus

from aiohttp import web
from msgspec import UNSET

from miauflixd.torrents.model import SourceId
from miauflixd.web.bodies import (
    FieldProblem,
    InvalidFieldsError,
    answer,
    json_body,
    query,
    read_body,
)
from miauflixd.web.forms import file_of_form
from miauflixd.web.keys import CACHE, LIMITS, TORRENTS
from miauflixd.web.paging import Page, PageQuery, page_of_sorted
from miauflixd.web.ports import Torrents
from miauflixd.web.routes import Policy, Route
from miauflixd.web.shapes import AddedShape, NewTorrent, SourceShape, TorrentChange, added, shape


async def add(request: web.Request) -> web.Response:
    torrents = request.app[TORRENTS]
    match request.content_type:
        case "application/x-bittorrent":
            metainfo = await read_body(request, limit=request.app[LIMITS].torrent)
            source_id = await torrents.add_metainfo(metainfo)
        case "multipart/form-data":
            metainfo = await file_of_form(request, limit=request.app[LIMITS].torrent)
            source_id = await torrents.add_metainfo(metainfo)
        case _:
            source_id = await _add_named(torrents, await json_body(request, NewTorrent))
    response = answer(added(torrents.source(source_id)), status=HTTPStatus.CREATED)
    response.headers["Location"] = f"/api/torrents/{source_id}"
    return response


async def listing(request: web.Request) -> web.Response:
    wanted = query(request.query, PageQuery)
    torrents, cache = request.app[TORRENTS], request.app[CACHE]
    # Of ten thousand only those on the page are described.
    return answer(
        page_of_sorted(
            torrents.newest_first(),
            wanted,
            key=lambda placed: placed,
            show=lambda placed: shape(torrents.source(placed[1]), cache.use(placed[1])),
        )
    )


async def one(request: web.Request) -> web.Response:
    return answer(_shape(request, _source_id(request)))


async def change(request: web.Request) -> web.Response:
    source_id, torrents = _source_id(request), request.app[TORRENTS]
    wanted = await json_body(request, TorrentChange)
    torrents.source(source_id)
    if wanted.pinned is not UNSET:
        await request.app[CACHE].pin(source_id, pinned=wanted.pinned)
    if wanted.paused is True:
        await torrents.pause(source_id)
    elif wanted.paused is False:
        await torrents.resume(source_id)
    return answer(_shape(request, source_id))


async def remove(request: web.Request) -> web.Response:
    await request.app[TORRENTS].remove(_source_id(request))
    return web.Response(status=HTTPStatus.NO_CONTENT)


def _shape(request: web.Request, source_id: SourceId) -> SourceShape:
    return shape(request.app[TORRENTS].source(source_id), request.app[CACHE].use(source_id))


def _source_id(request: web.Request) -> SourceId:
    return SourceId(request.match_info["source_id"])


async def _add_named(torrents: Torrents, wanted: NewTorrent) -> SourceId:
    if wanted.magnet is not UNSET and wanted.info_hash is UNSET:
        return await torrents.add_magnet(wanted.magnet)
    if wanted.info_hash is not UNSET and wanted.magnet is UNSET:
        return await torrents.add_info_hash(wanted.info_hash)
    raise InvalidFieldsError(FieldProblem("", "Exactly one of magnet and info_hash is needed"))


_NO_SOURCE = {HTTPStatus.NOT_FOUND: "There is no such source"}
_NO_ENGINE = "The swarm's engine does not answer now"

ROUTES = (
    Route(
        method="GET",
        path="/api/torrents",
        handler=listing,
        policy=Policy.ADMIN,
        summary="List the sources, the newest first",
        query=PageQuery,
        response=Page[SourceShape],
    ),
    Route(
        method="POST",
        path="/api/torrents",
        handler=add,
        policy=Policy.ADMIN,
        rate="write",
        summary="Add a source by a magnet link, an info-hash or a `.torrent` file",
        request=NewTorrent,
        request_media=("application/x-bittorrent", "multipart/form-data"),
        response=AddedShape,
        status=HTTPStatus.CREATED,
        other={
            HTTPStatus.SERVICE_UNAVAILABLE: _NO_ENGINE,
            HTTPStatus.GATEWAY_TIMEOUT: _NO_ENGINE,
            HTTPStatus.INSUFFICIENT_STORAGE: "There is no room on the disk",
        },
    ),
    Route(
        method="GET",
        path="/api/torrents/{source_id}",
        handler=one,
        policy=Policy.ADMIN,
        summary="Show a source as it is now",
        response=SourceShape,
        other=_NO_SOURCE,
    ),
    Route(
        method="PATCH",
        path="/api/torrents/{source_id}",
        handler=change,
        policy=Policy.ADMIN,
        rate="write",
        summary="Pin a source to the disk, take it out of its swarm, or bring it back",
        request=TorrentChange,
        response=SourceShape,
        other=_NO_SOURCE
        | {
            HTTPStatus.CONFLICT: "Somebody is watching it",
            HTTPStatus.SERVICE_UNAVAILABLE: _NO_ENGINE,
            HTTPStatus.GATEWAY_TIMEOUT: _NO_ENGINE,
        },
    ),
    Route(
        method="DELETE",
        path="/api/torrents/{source_id}",
        handler=remove,
        policy=Policy.ADMIN,
        rate="write",
        summary="Forget a source, and what was downloaded of it",
        status=HTTPStatus.NO_CONTENT,
        other=_NO_SOURCE | {HTTPStatus.GATEWAY_TIMEOUT: _NO_ENGINE},
    ),
)
