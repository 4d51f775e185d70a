"""Oneself."""

from http import HTTPStatus

from aiohttp import web

from miauflixd.auth.model import UserChanges
from miauflixd.web.bodies import answer, json_body
from miauflixd.web.keys import HOUSEHOLD
from miauflixd.web.routes import Policy, Route
from miauflixd.web.user_shapes import MePatch, MeShape, changed_profile, me_shape
from miauflixd.web.who import actor, own_id


async def me(request: web.Request) -> web.Response:
    return answer(me_shape(await request.app[HOUSEHOLD].accounts.get(own_id(request))))


async def change(request: web.Request) -> web.Response:
    patch = await json_body(request, MePatch)
    accounts = request.app[HOUSEHOLD].accounts
    user = await accounts.get(own_id(request))
    changes = UserChanges(
        display_name=patch.display_name, profile=changed_profile(user.profile, patch)
    )
    return answer(me_shape(await accounts.update(user.id, changes, actor=actor(request))))


_GONE = {HTTPStatus.NOT_FOUND: "The account is gone"}

ROUTES = (
    Route(
        method="GET",
        path="/api/me",
        handler=me,
        policy=Policy.USER,
        summary="Who one is, and what one likes",
        response=MeShape,
        other=_GONE,
    ),
    Route(
        method="PATCH",
        path="/api/me",
        handler=change,
        policy=Policy.USER,
        rate="write",
        summary="Change one's name and what one likes",
        request=MePatch,
        response=MeShape,
        other=_GONE,
    ),
)
