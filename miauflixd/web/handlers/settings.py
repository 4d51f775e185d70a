"""Settings that may change while the daemon runs."""

from aiohttp import web

from miauflixd.web.bodies import FieldProblem, InvalidFieldsError, answer, json_body
from miauflixd.web.keys import PREFERENCES
from miauflixd.web.routes import Policy, Route
from miauflixd.web.setting_shapes import SettingsChange, SettingsShape, settings_shape
from miauflixd.web.who import actor


async def settings(request: web.Request) -> web.Response:
    return answer(settings_shape(request.app[PREFERENCES].settings()))


async def change(request: web.Request) -> web.Response:
    wanted = await json_body(request, SettingsChange)
    preferences = request.app[PREFERENCES]
    if problems := preferences.problems(wanted.values):
        raise InvalidFieldsError(
            *(FieldProblem(f"values.{one.name}", one.message) for one in problems)
        )
    await preferences.change(wanted.values, actor=actor(request))
    return answer(settings_shape(preferences.settings()))


ROUTES = (
    Route(
        method="GET",
        path="/api/settings",
        handler=settings,
        policy=Policy.ADMIN,
        summary="All settings, where they come from, and when a change takes effect",
        response=SettingsShape,
    ),
    Route(
        method="PUT",
        path="/api/settings",
        handler=change,
        policy=Policy.ADMIN,
        rate="write",
        summary="Change settings: all of what is sent, or nothing",
        request=SettingsChange,
        response=SettingsShape,
    ),
)
