"""What downloads take of the disk, and what of it may go."""

from http import HTTPStatus

from aiohttp import web
from msgspec import UNSET

from miauflixd.torrents.model import SourceId
from miauflixd.web.bodies import FieldProblem, InvalidFieldsError, answer, json_body
from miauflixd.web.keys import CACHE, ENCRYPTION, PREFERENCES, TORRENTS
from miauflixd.web.ports import SettingValue
from miauflixd.web.routes import Policy, Route
from miauflixd.web.storage_shapes import StorageChange, StorageShape, storage_shape
from miauflixd.web.who import actor


async def storage(request: web.Request) -> web.Response:
    return answer(await _shape(request))


async def change(request: web.Request) -> web.Response:
    wanted = await json_body(request, StorageChange)
    preferences = request.app[PREFERENCES]
    values: dict[str, SettingValue] = {
        f"torrents.{name}": value
        for name in ("quota", "minimum_free")
        if (value := getattr(wanted, name)) is not UNSET
    }
    if problems := preferences.problems(values):
        raise InvalidFieldsError(
            *(FieldProblem(one.name.removeprefix("torrents."), one.message) for one in problems)
        )
    await preferences.change(values, actor=actor(request))
    return answer(await _shape(request))


async def discard(request: web.Request) -> web.Response:
    source_id = SourceId(request.match_info["source_id"])
    await request.app[TORRENTS].discard(source_id)
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def _shape(request: web.Request) -> StorageShape:
    cache, torrents = request.app[CACHE], request.app[TORRENTS]
    shelf = await cache.shelf()
    # Nothing was awaited since, so all of them are known.
    names: dict[str, str | None] = {
        item.source_id: torrents.source(item.source_id).name for item in shelf.items
    }
    return storage_shape(
        shelf,
        names=names,
        encryption=request.app[ENCRYPTION],
        evicted=cache.evictions,
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/storage",
        handler=storage,
        policy=Policy.ADMIN,
        summary="Tell what downloads take of the disk, and which go first",
        response=StorageShape,
    ),
    Route(
        method="PUT",
        path="/api/storage",
        handler=change,
        policy=Policy.ADMIN,
        rate="write",
        summary="Change how much they may take, and how much has to stay free",
        request=StorageChange,
        response=StorageShape,
    ),
    Route(
        method="DELETE",
        path="/api/storage/{source_id}",
        handler=discard,
        policy=Policy.ADMIN,
        rate="write",
        summary="Delete what was downloaded of a source, and go on knowing it",
        status=HTTPStatus.NO_CONTENT,
        other={
            HTTPStatus.NOT_FOUND: "There is no such source",
            HTTPStatus.CONFLICT: "Somebody is watching it",
        },
    ),
)
