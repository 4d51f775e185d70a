"""What is done by itself, for administrators."""

from http import HTTPStatus

from aiohttp import web

from miauflixd.jobs.model import TaskView
from miauflixd.web.bodies import answer, query
from miauflixd.web.keys import TIMETABLE
from miauflixd.web.paging import Page, PageQuery, page_of
from miauflixd.web.routes import Policy, Route
from miauflixd.web.task_shapes import TaskShape, task_shape


async def listing(request: web.Request) -> web.Response:
    wanted = query(request.query, PageQuery)
    tasks = list(enumerate(request.app[TIMETABLE].tasks()))
    return answer(page_of(tasks, wanted, key=_in_order, show=lambda placed: task_shape(placed[1])))


async def run(request: web.Request) -> web.Response:
    # Not done yet, only begun; the list and the events tell how it goes on.
    view = request.app[TIMETABLE].trigger(request.match_info["name"])
    return answer(task_shape(view), status=HTTPStatus.ACCEPTED)


def _in_order(placed: tuple[int, TaskView]) -> tuple[float, str]:
    return placed[0], placed[1].name


ROUTES = (
    Route(
        method="GET",
        path="/api/tasks",
        handler=listing,
        policy=Policy.ADMIN,
        summary="List what is done by itself: how it went, and when it is done next",
        query=PageQuery,
        response=Page[TaskShape],
    ),
    Route(
        method="POST",
        path="/api/tasks/{name}/run",
        handler=run,
        policy=Policy.ADMIN,
        rate="write",
        summary="Have a task done now; events tell how it goes on",
        response=TaskShape,
        status=HTTPStatus.ACCEPTED,
        other={
            HTTPStatus.NOT_FOUND: "There is no such task",
            HTTPStatus.CONFLICT: "It runs already",
        },
    ),
)
