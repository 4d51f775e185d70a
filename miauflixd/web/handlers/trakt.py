"""One's own account with Trakt."""

from http import HTTPStatus

from aiohttp import web

from miauflixd.web.bodies import answer
from miauflixd.web.keys import TRAKT
from miauflixd.web.routes import Policy, Route
from miauflixd.web.trakt_shapes import TraktShape, trakt_shape
from miauflixd.web.who import own_id


async def state(request: web.Request) -> web.Response:
    return answer(trakt_shape(request.app[TRAKT].state(own_id(request))))


async def link(request: web.Request) -> web.Response:
    user_id = own_id(request)
    trakt = request.app[TRAKT]
    await trakt.begin(user_id)
    return answer(trakt_shape(trakt.state(user_id)), status=HTTPStatus.ACCEPTED)


async def unlink(request: web.Request) -> web.Response:
    await request.app[TRAKT].unlink(own_id(request))
    return web.Response(status=HTTPStatus.NO_CONTENT)


ROUTES = (
    Route(
        method="GET",
        path="/api/trakt",
        handler=state,
        policy=Policy.USER,
        summary="How one's account with Trakt is",
        response=TraktShape,
    ),
    Route(
        method="POST",
        path="/api/trakt/link",
        handler=link,
        policy=Policy.USER,
        rate="write",
        summary="Begin to link an account with Trakt, by a code that is typed there",
        response=TraktShape,
        status=HTTPStatus.ACCEPTED,
        other={
            HTTPStatus.CONFLICT: "An account is linked already, or nobody can be",
            HTTPStatus.SERVICE_UNAVAILABLE: "Trakt does not answer",
        },
    ),
    Route(
        method="DELETE",
        path="/api/trakt",
        handler=unlink,
        policy=Policy.USER,
        rate="write",
        summary="Forget one's account with Trakt",
        status=HTTPStatus.NO_CONTENT,
    ),
)
