"""Who is asked where titles can be had."""

from http import HTTPStatus

from aiohttp import web
from msgspec import structs

from miauflixd.sources.offers import DirectoryId
from miauflixd.web.bodies import answer, json_body
from miauflixd.web.directory_shapes import (
    DirectoriesShape,
    DirectoryChanges,
    DirectoryOrder,
    DirectoryShape,
    NewDirectory,
    changes_of,
    directory_shape,
    new_spec,
)
from miauflixd.web.keys import SOURCES
from miauflixd.web.routes import Policy, Route


async def listing(request: web.Request) -> web.Response:
    items = [directory_shape(view) for view in request.app[SOURCES].directories.all()]
    return answer(DirectoriesShape(items=items, total=len(items)))


async def one(request: web.Request) -> web.Response:
    return answer(directory_shape(request.app[SOURCES].directories.directory(_id(request))))


async def add(request: web.Request) -> web.Response:
    wanted = await json_body(request, NewDirectory)
    view = await request.app[SOURCES].directories.add(new_spec(wanted))
    response = answer(directory_shape(view), status=HTTPStatus.CREATED)
    response.headers["Location"] = f"/api/directories/{view.spec.id}"
    return response


async def change(request: web.Request) -> web.Response:
    wanted = await json_body(request, DirectoryChanges)
    directories = request.app[SOURCES].directories
    changes = changes_of(wanted)
    view = await directories.change(_id(request), lambda spec: structs.replace(spec, **changes))
    return answer(directory_shape(view))


async def remove(request: web.Request) -> web.Response:
    await request.app[SOURCES].directories.remove(_id(request))
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def check(request: web.Request) -> web.Response:
    directories = request.app[SOURCES].directories
    await directories.check(_id(request))
    return answer(directory_shape(directories.directory(_id(request))))


async def reorder(request: web.Request) -> web.Response:
    order = await json_body(request, DirectoryOrder)
    await request.app[SOURCES].directories.reorder([DirectoryId(each) for each in order.ids])
    return web.Response(status=HTTPStatus.NO_CONTENT)


def _id(request: web.Request) -> DirectoryId:
    return DirectoryId(request.match_info["id"])


_NONE = {HTTPStatus.NOT_FOUND: "There is no such directory"}
_IN_SETTINGS = {HTTPStatus.CONFLICT: "It is one of the settings, and changed there"}

ROUTES = (
    Route(
        method="GET",
        path="/api/directories",
        handler=listing,
        policy=Policy.ADMIN,
        summary="List the directories that are asked, and how each is doing",
        response=DirectoriesShape,
    ),
    Route(
        method="POST",
        path="/api/directories",
        handler=add,
        policy=Policy.ADMIN,
        rate="write",
        summary="Ask one more directory",
        request=NewDirectory,
        response=DirectoryShape,
        status=HTTPStatus.CREATED,
        other={HTTPStatus.CONFLICT: "There is one of this id"},
    ),
    Route(
        method="POST",
        path="/api/directories/order",
        handler=reorder,
        policy=Policy.ADMIN,
        rate="write",
        summary="Put these directories first, in this order",
        request=DirectoryOrder,
        status=HTTPStatus.NO_CONTENT,
        other=_NONE | _IN_SETTINGS,
    ),
    Route(
        method="GET",
        path="/api/directories/{id}",
        handler=one,
        policy=Policy.ADMIN,
        summary="Show a directory, and how it is doing",
        response=DirectoryShape,
        other=_NONE,
    ),
    Route(
        method="PATCH",
        path="/api/directories/{id}",
        handler=change,
        policy=Policy.ADMIN,
        rate="write",
        summary="Change how a directory is asked",
        request=DirectoryChanges,
        response=DirectoryShape,
        other=_NONE | _IN_SETTINGS,
    ),
    Route(
        method="DELETE",
        path="/api/directories/{id}",
        handler=remove,
        policy=Policy.ADMIN,
        rate="write",
        summary="Ask a directory no more",
        status=HTTPStatus.NO_CONTENT,
        other=_NONE | _IN_SETTINGS,
    ),
    Route(
        method="POST",
        path="/api/directories/{id}/check",
        handler=check,
        policy=Policy.ADMIN,
        rate="write",
        summary="Ask a directory something small, and tell how it is doing",
        response=DirectoryShape,
        other=_NONE
        | {
            HTTPStatus.CONFLICT: "It is switched off",
            HTTPStatus.SERVICE_UNAVAILABLE: "There is no way out, so nothing is known",
        },
    ),
)
