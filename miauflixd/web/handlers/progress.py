"""How far one is, and what one has watched."""

from http import HTTPStatus

from aiohttp import web

from miauflixd.catalogue.model import NoTitleError, TitleId
from miauflixd.web.bodies import answer, json_body, query
from miauflixd.web.keys import CATALOGUE, PLAYBACKS, SCROBBLING, WATCHING
from miauflixd.web.paging import Page
from miauflixd.web.progress_shapes import ProgressQuery, ReportShape
from miauflixd.web.routes import Policy, Route
from miauflixd.web.title_shapes import CardShape, card_shape
from miauflixd.web.who import audience, own_id


async def note(request: web.Request) -> web.Response:
    user_id, title_id = own_id(request), _title_id(request)
    said = await json_body(request, ReportShape)
    cards = await request.app[CATALOGUE].cards([title_id], await audience(request))
    if (card := cards.get(title_id)) is None:
        raise NoTitleError("There is no such title")
    await request.app[SCROBBLING].note(
        # As it is called by now: it may have turned out to be another title.
        user_id,
        card.id,
        position=said.position,
        duration=said.duration,
        state=said.state,
    )
    await request.app[PLAYBACKS].report(
        user_id, card.id, position=said.position, duration=said.duration
    )
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def listing(request: web.Request) -> web.Response:
    wanted = query(request.query, ProgressQuery)
    page = await request.app[WATCHING].page(
        own_id(request), state=wanted.state, cursor=wanted.cursor, limit=wanted.limit
    )
    cards = await request.app[CATALOGUE].cards(
        [one.title_id for one in page.items], await audience(request)
    )
    return answer(
        Page(
            items=[
                card_shape(cards[one.title_id], one) for one in page.items if one.title_id in cards
            ],
            next_cursor=page.next_cursor,
            total=page.total,
        )
    )


async def forget(request: web.Request) -> web.Response:
    await request.app[WATCHING].forget(own_id(request), _title_id(request))
    return web.Response(status=HTTPStatus.NO_CONTENT)


def _title_id(request: web.Request) -> TitleId:
    return TitleId.parse(request.match_info["title_id"])


_NOBODY = {HTTPStatus.FORBIDDEN: "Only somebody who has an account watches anything"}
_NO_TITLE = {HTTPStatus.NOT_FOUND: "There is no such title"}
_NO_ROOM = {HTTPStatus.INSUFFICIENT_STORAGE: "There is no room on the disk"}

ROUTES = (
    Route(
        method="GET",
        path="/api/progress",
        handler=listing,
        policy=Policy.USER,
        summary="List what one has begun or watched, the latest first; what one may not see any "
        "more is counted, but not shown",
        query=ProgressQuery,
        response=Page[CardShape],
        other=_NOBODY,
    ),
    Route(
        method="PUT",
        path="/api/progress/{title_id}",
        handler=note,
        policy=Policy.USER,
        rate="write",
        summary="Say how far one is with a movie or episode, every few seconds while it plays",
        request=ReportShape,
        status=HTTPStatus.NO_CONTENT,
        other=_NOBODY | _NO_TITLE | _NO_ROOM,
    ),
    Route(
        method="DELETE",
        path="/api/progress/{title_id}",
        handler=forget,
        policy=Policy.USER,
        rate="write",
        summary="Forget that one has begun or watched something",
        status=HTTPStatus.NO_CONTENT,
        other=_NOBODY | _NO_TITLE | _NO_ROOM,
    ),
)
