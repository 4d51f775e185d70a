"""How the machine is: at a glance, and with what somebody can do about it."""

from collections.abc import Mapping

from aiohttp import web

from miauflixd.catalogue.providers.provider import Condition
from miauflixd.web.bodies import answer
from miauflixd.web.doctor import worst
from miauflixd.web.keys import DISK, DOCTOR, IMAGES, LIBRARY, TORRENTS, TUNNEL, UPTIME, VERSION
from miauflixd.web.ports import Disk
from miauflixd.web.routes import Policy, Route
from miauflixd.web.status_shapes import (
    DoctorShape,
    ProviderShape,
    ProvidersShape,
    StatusShape,
    check_shape,
    provider_shape,
)


async def status(request: web.Request) -> web.Response:
    app = request.app
    torrents, library = app[TORRENTS], app[LIBRARY]
    conditions: Mapping[str, Condition] = {one.name: one.condition for one in library.providers()}
    counts = await library.counts()
    return answer(
        StatusShape(
            version=app[VERSION],
            health=worst(await app[DOCTOR].checks()),
            uptime=app[UPTIME](),
            streams=torrents.readers,
            downloads=torrents.downloads,
            vpn=app[TUNNEL].view().state,
            movies=counts.movies,
            shows=counts.shows,
            disk_free=await _free(app[DISK]),
            cache_used=app[IMAGES].figures().used,
            tmdb=conditions.get("tmdb", "off"),
            archive=conditions.get("archive", "off"),
            trakt=conditions.get("trakt", "off"),
        )
    )


async def providers(request: web.Request) -> web.Response:
    states = request.app[LIBRARY].providers()
    return answer(ProvidersShape(items=[provider_shape(state) for state in states]))


async def check(request: web.Request) -> web.Response:
    state = await request.app[LIBRARY].check(request.match_info["provider"])
    return answer(provider_shape(state))


async def doctor(request: web.Request) -> web.Response:
    checks = await request.app[DOCTOR].checks()
    return answer(DoctorShape(checks=[check_shape(one) for one in checks]))


async def _free(disk: Disk) -> int | None:
    try:
        return (await disk.room()).free
    except OSError:
        return None  # the doctor says more


ROUTES = (
    Route(
        method="GET",
        path="/api/status",
        handler=status,
        policy=Policy.USER,
        summary="Tell how the machine is, at a glance",
        response=StatusShape,
    ),
    Route(
        method="GET",
        path="/api/providers",
        handler=providers,
        policy=Policy.ADMIN,
        summary="Tell how those are doing who know what there is to watch",
        response=ProvidersShape,
    ),
    Route(
        method="POST",
        path="/api/providers/{provider}/check",
        handler=check,
        policy=Policy.ADMIN,
        rate="search",
        summary="Ask one of them something small, now",
        response=ProviderShape,
    ),
    Route(
        method="GET",
        path="/api/doctor",
        handler=doctor,
        policy=Policy.ADMIN,
        summary="Tell what is wrong, and what to do about it",
        response=DoctorShape,
    ),
)
