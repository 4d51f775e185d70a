"""The web application: which address leads to which handler, and what stands before them."""

import functools
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from aiohttp import hdrs, web
from aiohttp.web_urldispatcher import AbstractRoute

from miauflixd.auth.household import Household
from miauflixd.cache.service import Cache
from miauflixd.catalogue.lists import Lists
from miauflixd.catalogue.watched import Watching
from miauflixd.playback.service import Playbacks
from miauflixd.playback.subtitles import Subtitles
from miauflixd.sources.service import Sources
from miauflixd.web import openapi
from miauflixd.web.authentication import Authentication
from miauflixd.web.client_address import trust_of
from miauflixd.web.doctor import Doctor
from miauflixd.web.gate import Gate
from miauflixd.web.handlers import (
    audit,
    auth,
    directories,
    docs,
    events,
    hls,
    images,
    keys,
    me,
    metrics,
    page,
    playback,
    playlists,
    progress,
    server,
    setup,
    status,
    storage,
    stream,
    stremio,
    tasks,
    trakt,
    users,
    viewport,
    vpn,
)
from miauflixd.web.handlers import catalogue as catalogue_handlers
from miauflixd.web.handlers import lists as list_handlers
from miauflixd.web.handlers import settings as setting_handlers
from miauflixd.web.handlers import sources as source_handlers
from miauflixd.web.handlers import (
    torrents as torrent_handlers,
)
from miauflixd.web.headers import dress
from miauflixd.web.keys import (
    ASSETS,
    CACHE,
    CATALOGUE,
    DESCRIPTION,
    DISK,
    DOCTOR,
    ENCRYPTION,
    ENDPOINTS,
    HOUSEHOLD,
    IMAGES,
    LIBRARY,
    LIMITS,
    LISTS,
    METRICS,
    PLAYBACKS,
    PLAYING,
    PREFERENCES,
    PRELOADING,
    ROUTES,
    SCROBBLING,
    SOURCES,
    SUBTITLES,
    TIMETABLE,
    TORRENTS,
    TRAKT,
    TUNNEL,
    UPTIME,
    VERSION,
    WATCHING,
    Asset,
)
from miauflixd.web.limits import Limits
from miauflixd.web.ports import (
    Catalogue,
    Disk,
    Endpoints,
    Images,
    Library,
    Playing,
    Preferences,
    Preloading,
    Scrobbling,
    Timetable,
    Torrents,
    Trakt,
    Tunnel,
)
from miauflixd.web.problems import problems, remember_start
from miauflixd.web.rate_limits import NoRateLimits, RateLimits, Streams
from miauflixd.web.routes import Policy, Route
from miauflixd.web.settings import WebSettings
from miauflixd.web.storage_shapes import Encryption

STATIC = Path(__file__).with_name("static")
"""The page that comes with this version."""

_BODY_LIMIT = 12 * 2**20
"""Bytes of a body that aiohttp's own methods read; handlers have tighter limits (`Limits`)."""

EVERY_ROUTE: Sequence[Route] = (
    *page.ROUTES,
    *docs.ROUTES,
    *server.ROUTES,
    *setup.ROUTES,
    *auth.ROUTES,
    *me.ROUTES,
    *keys.ROUTES,
    *users.ROUTES,
    *audit.ROUTES,
    *setting_handlers.ROUTES,
    *status.ROUTES,
    *events.ROUTES,
    *images.ROUTES,
    *torrent_handlers.ROUTES,
    *storage.ROUTES,
    *playback.ROUTES,
    *viewport.ROUTES,
    *stream.ROUTES,
    *hls.ROUTES,
    *stremio.ROUTES,
    *playlists.ROUTES,
    *catalogue_handlers.ROUTES,
    *list_handlers.ROUTES,
    *source_handlers.ROUTES,
    *directories.ROUTES,
    *progress.ROUTES,
    *trakt.ROUTES,
    *vpn.ROUTES,
    *tasks.ROUTES,
    *metrics.ROUTES,
)
"""All that is answered. Of two that fit an address, the first is taken."""


def build(
    *,
    household: Household,
    preferences: Preferences,
    torrents: Torrents,
    tunnel: Tunnel,
    endpoints: Endpoints,
    disk: Disk,
    cache: Cache,
    encryption: Encryption,
    library: Library,
    artwork: Images,
    timetable: Timetable,
    catalogue: Catalogue,
    lists: Lists,
    watching: Watching,
    scrobbling: Scrobbling,
    sources: Sources,
    playing: Playing,
    playbacks: Playbacks,
    subtitles: Subtitles,
    preloading: Preloading,
    trakt_accounts: Trakt,
    version: str,
    settings: WebSettings | None = None,
    own_names: Collection[str] | None = None,
    static: Path = STATIC,
    limits: Limits | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> web.Application:
    """Return the application; blocks for the moment it takes to read the page's files.

    Args:
        household: who may ask for what.
        preferences: what may be set while it runs.
        torrents: where sources are.
        tunnel: how the swarm is reached.
        endpoints: where the tunnel may lead to.
        disk: where downloads are.
        cache: what is on it, and what may go.
        encryption: what makes downloads unreadable while it does not run.
        library: how much there is to watch, and who says so.
        artwork: the images.
        timetable: what is done by itself.
        catalogue: what there is to watch.
        lists: what of it stands together.
        watching: how far everybody is with it.
        scrobbling: where players say so.
        sources: where titles can be had.
        playing: makes sources of titles.
        playbacks: what is being played.
        subtitles: of what is being played.
        preloading: gets ready what is on people's screens.
        trakt_accounts: who is linked with Trakt.
        version: what `GET /api/server` tells.
        settings: how it is reached, and whom to believe.
        own_names: names of this machine, by which it may be asked besides its addresses,
            `localhost`, `.local` names and those in the settings; its host name unless said
            otherwise.
        static: where the page's files are.
        limits: bounds on requests.
        clock: seconds that never go back.

    Raises:
        SettingsError: the settings want somebody believed who cannot be.
    """
    settings = settings or WebSettings()
    names = [socket.gethostname()] if own_names is None else own_names
    routes: dict[AbstractRoute, Route] = {}
    gate = Gate(
        routes=routes,
        own_names=[*names, *settings.public_names],
        trust=trust_of(settings),
        authentication=Authentication(
            tokens=household.sessions,
            stream_keys=household.stream_keys,
            purpose_keys=household.purpose_keys,
        ),
        rates=RateLimits(clock=clock) if settings.rate_limits else NoRateLimits(),
        streams=Streams(most=settings.streams_per_user),
        audit=household.audit,
    )
    app = web.Application(
        # From the outside in: whoever stands inside is answered for by `problems`.
        middlewares=[problems, gate.guard],
        client_max_size=_BODY_LIMIT,
    )
    app[HOUSEHOLD] = household
    app[PREFERENCES] = preferences
    app[TORRENTS] = torrents
    app[TUNNEL] = tunnel
    app[ENDPOINTS] = endpoints
    app[CATALOGUE] = catalogue
    app[LISTS] = lists
    app[WATCHING] = watching
    app[SCROBBLING] = scrobbling
    app[SOURCES] = sources
    app[PLAYING] = playing
    app[PLAYBACKS] = playbacks
    app[SUBTITLES] = subtitles
    app[PRELOADING] = preloading
    app[DISK] = disk
    app[CACHE] = cache
    app[ENCRYPTION] = encryption
    app[LIBRARY] = library
    app[IMAGES] = artwork
    app[TIMETABLE] = timetable
    app[DOCTOR] = Doctor(
        tunnel=tunnel,
        library=library,
        directories=sources.directories,
        disk=disk,
        cache=cache,
        encryption=encryption,
        timetable=timetable,
    )
    started = clock()
    app[UPTIME] = lambda: clock() - started
    app[METRICS] = metrics.registry(
        torrents=torrents,
        tunnel=tunnel,
        timetable=timetable,
        library=library,
        images=artwork,
        cache=cache,
        version=version,
    )
    app[TRAKT] = trakt_accounts
    app[VERSION] = version
    app[LIMITS] = limits or Limits()
    app[ASSETS] = page.load(static)
    description: Callable[[], Asset] = functools.cache(functools.partial(_description, version))
    app[DESCRIPTION] = description
    app[ROUTES] = routes
    app.on_response_prepare.append(dress)
    app.on_response_prepare.append(remember_start)
    routes.update(_routed(app, EVERY_ROUTE))
    return app


def _routed(app: web.Application, routes: Sequence[Route]) -> Mapping[AbstractRoute, Route]:
    """Have the application answer, to every GET as a HEAD as well, and return by which route."""
    routed: dict[AbstractRoute, Route] = {}
    for route in routes:
        resource = app.router.add_resource(route.path)
        methods = [hdrs.METH_HEAD, route.method] if route.method == "GET" else [route.method]
        for method in methods:
            routed[resource.add_route(method, route.handler)] = route
        if route.cors:
            routed[resource.add_route(hdrs.METH_OPTIONS, stremio.allow)] = _ASKING
    return routed


_ASKING = Route(
    method="GET",
    path="",
    handler=stremio.allow,
    policy=Policy.OPEN,
    summary="Let pages from anywhere ask",
    cors=True,
)
"""What a browser asks before it asks, of whatever may be read from anywhere."""


def _description(version: str) -> Asset:
    return page.made(openapi.describe(EVERY_ROUTE, version=version), "application/json")
