"""What was done by whom, for administrators."""

from aiohttp import web

from miauflixd.auth.model import UserId
from miauflixd.web.audit_shapes import AuditQuery, AuditShape, audit_shape
from miauflixd.web.bodies import answer, query
from miauflixd.web.keys import HOUSEHOLD
from miauflixd.web.paging import Page
from miauflixd.web.routes import Policy, Route


async def listing(request: web.Request) -> web.Response:
    wanted = query(request.query, AuditQuery)
    page = await request.app[HOUSEHOLD].audit.page(
        types=[] if wanted.type is None else [wanted.type],
        user_id=None if wanted.user is None else UserId(wanted.user),
        since=wanted.since,
        until=wanted.until,
        cursor=wanted.cursor,
        limit=wanted.limit,
    )
    return answer(
        Page(
            items=[audit_shape(entry) for entry in page.entries],
            next_cursor=page.next_cursor,
            total=page.total,
        )
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/audit",
        handler=listing,
        policy=Policy.ADMIN,
        summary="What happened, the latest first",
        query=AuditQuery,
        response=Page[AuditShape],
    ),
)
