"""The first user of a new machine."""

from http import HTTPStatus

from aiohttp import web

from miauflixd.web.bodies import answer, json_body
from miauflixd.web.keys import HOUSEHOLD
from miauflixd.web.routes import Policy, Route
from miauflixd.web.user_shapes import (
    SetupCodeShape,
    SetupShape,
    UserShape,
    named_fields,
    user_shape,
)
from miauflixd.web.who import address


async def setup(request: web.Request) -> web.Response:
    wanted = await json_body(request, SetupShape)
    with named_fields():
        user = await request.app[HOUSEHOLD].accounts.setup(
            code=wanted.setup_code,
            email=wanted.email,
            password=wanted.password,
            display_name=wanted.display_name,
            address=address(request),
        )
    return answer(user_shape(user), status=HTTPStatus.CREATED)


async def code(request: web.Request) -> web.Response:
    return answer(SetupCodeShape(setup_code=await request.app[HOUSEHOLD].setup_code.current()))


_SET_UP = {HTTPStatus.CONFLICT: "There are users already"}

ROUTES = (
    Route(
        method="POST",
        path="/api/setup",
        handler=setup,
        policy=Policy.OPEN,
        rate="sign_in",
        summary="Add the first user, an administrator, with the setup code",
        request=SetupShape,
        response=UserShape,
        status=HTTPStatus.CREATED,
        other={HTTPStatus.FORBIDDEN: "That is not the setup code", **_SET_UP},
    ),
    Route(
        method="POST",
        path="/api/setup/code",
        handler=code,
        # While there is no user, that is the control socket.
        policy=Policy.ADMIN,
        rate="write",
        summary="Show the setup code",
        response=SetupCodeShape,
        other=_SET_UP,
    ),
)
