"""Lists of titles: those of the house, and one's own."""

from collections.abc import Sequence
from http import HTTPStatus

from aiohttp import web
from msgspec import UNSET

from miauflixd.auth.model import UserId
from miauflixd.catalogue.list_model import ListInfo, may_change, place
from miauflixd.catalogue.model import Card, EpisodeCard, ListSlug, NoTitleError, TitleId
from miauflixd.web.bodies import answer, json_body, query
from miauflixd.web.keys import CATALOGUE, HOUSEHOLD, LISTS, WATCHING
from miauflixd.web.list_shapes import (
    FullListShape,
    ListPatch,
    ListShape,
    NewListShape,
    OwnerShape,
    PlaceShape,
    full_list_shape,
    list_shape,
)
from miauflixd.web.paging import Page, PageQuery, cursor_for, key_in, page_of_sorted
from miauflixd.web.routes import Policy, Route
from miauflixd.web.title_shapes import CardShape, card_shape
from miauflixd.web.who import audience, own_id, viewer

_LARGE = 2**18
"""Bytes of a body that puts a list of the largest size in order."""

_LOOKED_THROUGH = 200
"""Titles to ask for at a time when filling a page that much is left out of."""


async def listing(request: web.Request) -> web.Response:
    wanted = query(request.query, PageQuery)
    user_id = own_id(request)
    found = await request.app[LISTS].visible(user_id)
    owners = await _owners(request, found)
    return answer(
        page_of_sorted(
            found,
            wanted,
            key=lambda info: place(info, user_id),
            show=lambda info: _shape(request, info, owners),
        )
    )


async def one(request: web.Request) -> web.Response:
    wanted = query(request.query, PageQuery)
    found = await request.app[LISTS].get(_slug(request), own_id(request))
    start = _start(found.ids, wanted.cursor)
    items, end = await _cards(request, found.ids, start, wanted.limit)
    shown = _shape(request, found.info, await _owners(request, [found.info]))
    cursor = cursor_for((end, str(found.ids[end - 1]))) if end < len(found.ids) else None
    return answer(full_list_shape(shown, items, cursor))


async def create(request: web.Request) -> web.Response:
    wanted = await json_body(request, NewListShape)
    info = await request.app[LISTS].create(
        own_id(request), title=wanted.title, shared=wanted.shared
    )
    response = answer(
        _shape(request, info, await _owners(request, [info])), status=HTTPStatus.CREATED
    )
    response.headers["Location"] = f"/api/lists/{info.slug}"
    return response


async def change(request: web.Request) -> web.Response:
    slug, user_id = _slug(request), own_id(request)
    patch = await json_body(request, ListPatch, limit=_LARGE)
    lists = request.app[LISTS]
    await lists.change(
        slug,
        viewer=viewer(request),
        title=patch.title,
        shared=patch.shared,
        order=UNSET if patch.order is UNSET else [TitleId.parse(one) for one in patch.order],
    )
    info = (await lists.get(slug, user_id)).info
    return answer(_shape(request, info, await _owners(request, [info])))


async def remove(request: web.Request) -> web.Response:
    own_id(request)
    await request.app[LISTS].delete(_slug(request), viewer=viewer(request))
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def put(request: web.Request) -> web.Response:
    own_id(request)
    title_id = _title_id(request)
    wanted = await json_body(request, PlaceShape) if request.can_read_body else PlaceShape()
    if title_id not in await request.app[CATALOGUE].cards([title_id], await audience(request)):
        raise NoTitleError("There is no such title")
    await request.app[LISTS].put(
        _slug(request), title_id, viewer=viewer(request), position=wanted.position
    )
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def take_out(request: web.Request) -> web.Response:
    own_id(request)
    await request.app[LISTS].remove(_slug(request), _title_id(request), viewer=viewer(request))
    return web.Response(status=HTTPStatus.NO_CONTENT)


def _slug(request: web.Request) -> ListSlug:
    return ListSlug(request.match_info["slug"])


def _title_id(request: web.Request) -> TitleId:
    return TitleId.parse(request.match_info["title_id"])


def _start(ids: Sequence[TitleId], cursor: str | None) -> int:
    """Return where a page begins: behind the title that the one before ended with.

    Where that has been taken out, the next one stands in its place.
    """
    if cursor is None:
        return 0
    count, last = key_in(cursor)
    for index, title_id in enumerate(ids):
        if str(title_id) == last:
            return index + 1
    return int(min(max(count - 1, 0), len(ids)))


async def _cards(
    request: web.Request, ids: Sequence[TitleId], start: int, limit: int
) -> tuple[list[CardShape], int]:
    """Return a page of cards from a place on, and the place behind the last one of them.

    What the viewer may not see is passed over, so that a page is full while there is more.
    """
    found: list[Card | EpisodeCard] = []
    end = start
    while end < len(ids) and len(found) < limit:
        some = ids[end : end + _LOOKED_THROUGH]
        cards = await request.app[CATALOGUE].cards(some, await audience(request))
        for title_id in some:
            end += 1
            if title_id in cards:
                found.append(cards[title_id])
            if len(found) == limit:
                break
    progress = await request.app[WATCHING].progress(own_id(request), [one.id for one in found])
    return [card_shape(one, progress.get(one.id)) for one in found], end


async def _owners(request: web.Request, lists: Sequence[ListInfo]) -> dict[UserId, OwnerShape]:
    if all(info.owner is None for info in lists):
        return {}
    return {
        user.id: OwnerShape(id=user.id, display_name=user.display_name)
        for user in await request.app[HOUSEHOLD].accounts.all()
    }


def _shape(request: web.Request, info: ListInfo, owners: dict[UserId, OwnerShape]) -> ListShape:
    return list_shape(
        info,
        # Somebody who was removed a moment ago has no name any more.
        owner=None
        if info.owner is None
        else owners.get(info.owner, OwnerShape(id=info.owner, display_name="")),
        editable=may_change(info, viewer(request)),
    )


_NOBODY = "Only somebody who has an account has lists"
_OF_USERS = {HTTPStatus.FORBIDDEN: _NOBODY}
_NO_LIST = {HTTPStatus.NOT_FOUND: "There is no such list"}
_NEITHER = {HTTPStatus.NOT_FOUND: "There is no such list, or no such title"}
_NOT_YOURS = {
    HTTPStatus.FORBIDDEN: "The list is somebody else's, who only shares it",
    HTTPStatus.CONFLICT: "The list is filled by others, or full",
}
_NO_ROOM = {HTTPStatus.INSUFFICIENT_STORAGE: "There is no room on the disk"}

ROUTES = (
    Route(
        method="GET",
        path="/api/lists",
        handler=listing,
        policy=Policy.USER,
        summary="List the lists that one sees: built-in ones, one's own, what others share",
        query=PageQuery,
        response=Page[ListShape],
        other=_OF_USERS,
    ),
    Route(
        method="POST",
        path="/api/lists",
        handler=create,
        policy=Policy.USER,
        rate="write",
        summary="Make a list of one's own",
        request=NewListShape,
        response=ListShape,
        status=HTTPStatus.CREATED,
        other=_OF_USERS | {HTTPStatus.CONFLICT: "One has as many lists as one may have"} | _NO_ROOM,
    ),
    Route(
        method="GET",
        path="/api/lists/{slug}",
        handler=one,
        policy=Policy.USER,
        summary="Look at a list, and at what is in it",
        query=PageQuery,
        response=FullListShape,
        other=_OF_USERS | _NO_LIST,
    ),
    Route(
        method="PATCH",
        path="/api/lists/{slug}",
        handler=change,
        policy=Policy.USER,
        rate="write",
        summary="Call a list otherwise, share it or not, or put it in order",
        request=ListPatch,
        response=ListShape,
        other=_NOT_YOURS | _NEITHER | _NO_ROOM,
    ),
    Route(
        method="DELETE",
        path="/api/lists/{slug}",
        handler=remove,
        policy=Policy.USER,
        rate="write",
        summary="Do away with a list",
        status=HTTPStatus.NO_CONTENT,
        other=_NOT_YOURS | _NO_LIST | _NO_ROOM,
    ),
    Route(
        method="PUT",
        path="/api/lists/{slug}/items/{title_id}",
        handler=put,
        policy=Policy.USER,
        rate="write",
        summary="Put a movie or show into a list, or move it there",
        request=PlaceShape,
        request_required=False,
        status=HTTPStatus.NO_CONTENT,
        other=_NOT_YOURS | _NEITHER | _NO_ROOM,
    ),
    Route(
        method="DELETE",
        path="/api/lists/{slug}/items/{title_id}",
        handler=take_out,
        policy=Policy.USER,
        rate="write",
        summary="Take a movie or show out of a list",
        status=HTTPStatus.NO_CONTENT,
        other=_NOT_YOURS | _NEITHER | _NO_ROOM,
    ),
)
