"""The people of the household, for administrators."""

from http import HTTPStatus

from aiohttp import web
from msgspec import UNSET, structs

from miauflixd.auth.model import NewUser, User, UserChanges, UserId
from miauflixd.web.bodies import FieldProblem, InvalidFieldsError, answer, json_body, query
from miauflixd.web.keys import HOUSEHOLD, LISTS, TRAKT, WATCHING
from miauflixd.web.paging import Page, PageQuery, page_of
from miauflixd.web.routes import Policy, Route
from miauflixd.web.user_shapes import (
    NewUserShape,
    UserPatch,
    UserShape,
    named_fields,
    user_shape,
)
from miauflixd.web.who import actor


async def listing(request: web.Request) -> web.Response:
    wanted = query(request.query, PageQuery)
    everybody = await request.app[HOUSEHOLD].accounts.all()
    return answer(page_of(everybody, wanted, key=_as_they_came, show=user_shape))


async def one(request: web.Request) -> web.Response:
    return answer(user_shape(await request.app[HOUSEHOLD].accounts.get(_user_id(request))))


async def create(request: web.Request) -> web.Response:
    wanted = await json_body(request, NewUserShape)
    new = NewUser(
        email=wanted.email,
        password=wanted.password,
        display_name=wanted.display_name,
        role=wanted.role,
        max_rating=wanted.max_rating,
    )
    with named_fields():
        user = await request.app[HOUSEHOLD].accounts.create(new, actor=actor(request))
    response = answer(user_shape(user), status=HTTPStatus.CREATED)
    response.headers["Location"] = f"/api/users/{user.id}"
    return response


async def change(request: web.Request) -> web.Response:
    patch = await json_body(request, UserPatch)
    accounts = request.app[HOUSEHOLD].accounts
    if patch.password is not UNSET:
        # Two changes that must both be checked first would be one half done after the other.
        if structs.replace(patch, password=UNSET) != UserPatch():
            raise InvalidFieldsError(
                FieldProblem("password", "A new password has to come without other changes")
            )
        with named_fields():
            user = await accounts.set_password(
                _user_id(request), patch.password, actor=actor(request)
            )
        return answer(user_shape(user))
    changes = UserChanges(
        email=patch.email,
        display_name=patch.display_name,
        role=patch.role,
        disabled=patch.disabled,
        max_rating=patch.max_rating,
    )
    return answer(
        user_shape(await accounts.update(_user_id(request), changes, actor=actor(request)))
    )


async def remove(request: web.Request) -> web.Response:
    household = request.app[HOUSEHOLD]
    user_id = _user_id(request)
    await household.accounts.delete(user_id, actor=actor(request))
    await household.purpose_keys.forget_user(user_id)
    await request.app[TRAKT].unlink(user_id)  # or it would fill the others again
    await request.app[LISTS].forget_user(user_id)
    await request.app[WATCHING].forget_user(user_id)
    return web.Response(status=HTTPStatus.NO_CONTENT)


def _user_id(request: web.Request) -> UserId:
    return UserId(request.match_info["user_id"])


def _as_they_came(user: User) -> tuple[float, str]:
    return user.created_at.timestamp(), user.id


_NOBODY = {HTTPStatus.NOT_FOUND: "There is no such user"}
_CONFLICT = {
    HTTPStatus.CONFLICT: "Somebody else has the address, or no administrator would be left"
}

ROUTES = (
    Route(
        method="GET",
        path="/api/users",
        handler=listing,
        policy=Policy.ADMIN,
        summary="List everybody, in the order in which they came",
        query=PageQuery,
        response=Page[UserShape],
    ),
    Route(
        method="POST",
        path="/api/users",
        handler=create,
        policy=Policy.ADMIN,
        rate="write",
        summary="Add somebody",
        request=NewUserShape,
        response=UserShape,
        status=HTTPStatus.CREATED,
        other=_CONFLICT,
    ),
    Route(
        method="GET",
        path="/api/users/{user_id}",
        handler=one,
        policy=Policy.ADMIN,
        summary="Look at somebody",
        response=UserShape,
        other=_NOBODY,
    ),
    Route(
        method="PATCH",
        path="/api/users/{user_id}",
        handler=change,
        policy=Policy.ADMIN,
        rate="write",
        summary="Change somebody, or give them another password",
        request=UserPatch,
        response=UserShape,
        other={**_NOBODY, **_CONFLICT},
    ),
    Route(
        method="DELETE",
        path="/api/users/{user_id}",
        handler=remove,
        policy=Policy.ADMIN,
        rate="write",
        summary="Remove somebody",
        status=HTTPStatus.NO_CONTENT,
        other={**_NOBODY, **_CONFLICT},
    ),
)
