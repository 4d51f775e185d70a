"""The description of all this, for programs and for people."""

import asyncio
from http import HTTPStatus

from aiohttp import web

from miauflixd.web.handlers.page import answer_asset, named
from miauflixd.web.keys import DESCRIPTION
from miauflixd.web.routes import Policy, Route


async def openapi(request: web.Request) -> web.Response:
    # As much work as all the rest of a start, and nobody asks for it but whoever writes programs.
    description = await asyncio.to_thread(request.app[DESCRIPTION])
    return answer_asset(request, description)


async def docs(request: web.Request) -> web.Response:
    return answer_asset(request, named(request, "docs.html"))


_UNCHANGED = {HTTPStatus.NOT_MODIFIED: "The client has it already"}

ROUTES = (
    # Open, since it tells nothing that the public source does not.
    Route(
        method="GET",
        path="/api/openapi.json",
        handler=openapi,
        policy=Policy.OPEN,
        rate="page",
        summary="Describe this API (OpenAPI 3.1)",
        response_media="application/json",
        other=_UNCHANGED,
    ),
    Route(
        method="GET",
        path="/api/docs",
        handler=docs,
        policy=Policy.OPEN,
        rate="page",
        summary="Show this description to people",
        response_media="text/html",
        other=_UNCHANGED,
    ),
)
