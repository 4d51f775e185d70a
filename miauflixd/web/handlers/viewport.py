"""What people have on their screens, so that it is ready before they press play."""

from http import HTTPStatus
from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta, Struct

from miauflixd.catalogue.model import Kind, NoTitleError, TitleId
from miauflixd.sources.choosing import preference
from miauflixd.sources.preload_plan import Nearness, Onlooker
from miauflixd.web.bodies import json_body
from miauflixd.web.keys import CATALOGUE, HOUSEHOLD, PRELOADING
from miauflixd.web.routes import Policy, Route
from miauflixd.web.who import audience, own_id, viewer

_MOST = 200
"""Titles; more fit on no screen, with all that is just outside of it."""

_NEARNESS = {
    "focused": Nearness.FOCUSED,
    "adjacent": Nearness.ADJACENT,
    "visible": Nearness.VISIBLE,
    "near": Nearness.NEAR,
}


class Shown(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A title on a screen."""

    id: Annotated[str, Meta(max_length=32)]
    state: Literal["focused", "adjacent", "visible", "near"]
    """`adjacent`: a press of a key from the focus. `near`: just outside the screen."""


class ViewportShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a client shows."""

    items: Annotated[list[Shown], Meta(max_length=_MOST)]
    """In the order in which they stand there; none: it shows nothing any more."""


async def see(request: web.Request) -> web.Response:
    user_id = own_id(request)
    wanted = await json_body(request, ViewportShape)
    shown: dict[TitleId, Nearness] = {}
    for item in wanted.items:
        try:
            title_id = TitleId.parse(item.id)
        except NoTitleError:
            continue  # a client that shows something else shows the rest all the same
        nearness = _NEARNESS[item.state]
        shown[title_id] = min(shown.get(title_id, nearness), nearness)
    visible = await request.app[CATALOGUE].cards(shown, await audience(request))
    user = await request.app[HOUSEHOLD].accounts.get(user_id)
    request.app[PRELOADING].see(
        viewer(request).session_id or user_id,
        Onlooker(user_id=user_id, preference=preference(user.profile)),
        {
            title_id: nearness
            for title_id, nearness in shown.items()
            # Of a show nobody knows which episode it will be, until one of them is on the screen.
            if title_id in visible and title_id.kind is not Kind.SHOW
        },
    )
    return web.Response(status=HTTPStatus.ACCEPTED)


ROUTES = (
    Route(
        method="POST",
        path="/api/ui/viewport",
        handler=see,
        policy=Policy.USER,
        summary="Say what this client shows, in place of what it showed before; to be repeated "
        "within two minutes. What there is not, and what one may not see, is left out",
        request=ViewportShape,
        status=HTTPStatus.ACCEPTED,
        other={HTTPStatus.FORBIDDEN: "Only somebody who has an account watches anything"},
    ),
)
