"""Keys for programs that cannot sign in."""

from http import HTTPStatus

from aiohttp import web
from msgspec import UNSET

from miauflixd.auth.key_store import PurposeKey
from miauflixd.auth.model import KeyId, UserId
from miauflixd.errors import ForbiddenError
from miauflixd.web.addresses import base_url
from miauflixd.web.bodies import FieldProblem, InvalidFieldsError, answer, json_body, query
from miauflixd.web.key_shapes import (
    CreatedKeyShape,
    KeyShape,
    NewKeyShape,
    created_key,
    key_shape,
)
from miauflixd.web.keys import HOUSEHOLD
from miauflixd.web.paging import Page, PageQuery, page_of
from miauflixd.web.routes import Policy, Route
from miauflixd.web.who import address, viewer


async def listing(request: web.Request) -> web.Response:
    wanted = query(request.query, PageQuery)
    keys = request.app[HOUSEHOLD].purpose_keys
    user_id = viewer(request).user_id
    # The machine's administrator sees everybody's, everybody else their own.
    found = keys.all() if user_id is None else keys.of_user(user_id)
    return answer(page_of(found, wanted, key=_oldest_first, show=key_shape))


async def create(request: web.Request) -> web.Response:
    wanted = await json_body(request, NewKeyShape)
    household = request.app[HOUSEHOLD]
    text, key = await household.purpose_keys.create(
        await _owner(request, wanted),
        purpose=wanted.purpose,
        name=wanted.name,
        address=address(request),
    )
    response = answer(created_key(text, key, base=base_url(request)), status=HTTPStatus.CREATED)
    response.headers["Location"] = f"/api/keys/{key.id}"
    return response


async def revoke(request: web.Request) -> web.Response:
    await request.app[HOUSEHOLD].purpose_keys.revoke(
        KeyId(request.match_info["key_id"]),
        user_id=viewer(request).user_id,
        address=address(request),
    )
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def _owner(request: web.Request, wanted: NewKeyShape) -> UserId:
    own = viewer(request).user_id
    if own is not None:
        if wanted.user_id not in (UNSET, own):
            raise ForbiddenError("A key can be made for oneself only")
        return own
    if wanted.user_id is UNSET:
        raise InvalidFieldsError(FieldProblem("user_id", "This is needed"))
    return (await request.app[HOUSEHOLD].accounts.get(UserId(wanted.user_id))).id


def _oldest_first(key: PurposeKey) -> tuple[float, str]:
    return key.created_at.timestamp(), key.id


ROUTES = (
    Route(
        method="GET",
        path="/api/keys",
        handler=listing,
        policy=Policy.USER,
        summary="List one's keys for programs",
        query=PageQuery,
        response=Page[KeyShape],
    ),
    Route(
        method="POST",
        path="/api/keys",
        handler=create,
        policy=Policy.USER,
        rate="write",
        summary="Make a key for one purpose; it is shown this once",
        request=NewKeyShape,
        response=CreatedKeyShape,
        status=HTTPStatus.CREATED,
        other={
            HTTPStatus.FORBIDDEN: "A key for this purpose belongs to administrators",
            HTTPStatus.NOT_FOUND: "There is no such user",
            HTTPStatus.CONFLICT: "One has as many keys as one may have",
        },
    ),
    Route(
        method="DELETE",
        path="/api/keys/{key_id}",
        handler=revoke,
        policy=Policy.USER,
        rate="write",
        summary="Let a key open nothing any more",
        status=HTTPStatus.NO_CONTENT,
        other={HTTPStatus.NOT_FOUND: "One has no such key"},
    ),
)
