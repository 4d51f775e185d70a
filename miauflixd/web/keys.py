"""Under which keys handlers find their collaborators, and what is known of a request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web
from aiohttp.web_urldispatcher import AbstractRoute
from prometheus_client import CollectorRegistry

from miauflixd.auth.household import Household
from miauflixd.auth.model import Viewer
from miauflixd.cache.service import Cache
from miauflixd.catalogue.lists import Lists
from miauflixd.catalogue.watched import Watching
from miauflixd.playback.service import Playbacks
from miauflixd.playback.subtitles import Subtitles
from miauflixd.sources.service import Sources
from miauflixd.web.client_address import ClientAddress
from miauflixd.web.doctor import Doctor
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
from miauflixd.web.routes import Route
from miauflixd.web.storage_shapes import Encryption


@dataclass(frozen=True, kw_only=True, slots=True)
class Asset:
    """One file of the web client."""

    content_type: str
    etag: str
    content: bytes


# Of the application.
HOUSEHOLD: web.AppKey[Household] = web.AppKey("household")
PREFERENCES: web.AppKey[Preferences] = web.AppKey("preferences")
TORRENTS: web.AppKey[Torrents] = web.AppKey("torrents")
TUNNEL: web.AppKey[Tunnel] = web.AppKey("tunnel")
ENDPOINTS: web.AppKey[Endpoints] = web.AppKey("endpoints")
LIBRARY: web.AppKey[Library] = web.AppKey("library")
IMAGES: web.AppKey[Images] = web.AppKey("images")
DISK: web.AppKey[Disk] = web.AppKey("disk")
CACHE: web.AppKey[Cache] = web.AppKey("cache")
ENCRYPTION: web.AppKey[Encryption] = web.AppKey("encryption")
DOCTOR: web.AppKey[Doctor] = web.AppKey("doctor")
UPTIME: web.AppKey[Callable[[], float]] = web.AppKey("uptime")
"""Seconds since the start."""
TIMETABLE: web.AppKey[Timetable] = web.AppKey("timetable")
CATALOGUE: web.AppKey[Catalogue] = web.AppKey("catalogue")
LISTS: web.AppKey[Lists] = web.AppKey("lists")
WATCHING: web.AppKey[Watching] = web.AppKey("watching")
SCROBBLING: web.AppKey[Scrobbling] = web.AppKey("scrobbling")
PLAYING: web.AppKey[Playing] = web.AppKey("playing")
PLAYBACKS: web.AppKey[Playbacks] = web.AppKey("playbacks")
SUBTITLES: web.AppKey[Subtitles] = web.AppKey("subtitles")
PRELOADING: web.AppKey[Preloading] = web.AppKey("preloading")
SOURCES: web.AppKey[Sources] = web.AppKey("sources")
TRAKT: web.AppKey[Trakt] = web.AppKey("trakt")
VERSION: web.AppKey[str] = web.AppKey("version")
LIMITS: web.AppKey[Limits] = web.AppKey("limits")
METRICS: web.AppKey[CollectorRegistry] = web.AppKey("metrics")
ASSETS: web.AppKey[Mapping[str, Asset]] = web.AppKey("assets")
DESCRIPTION: web.AppKey[Callable[[], Asset]] = web.AppKey("description")
"""Makes it when it is called first, which takes a while; from any thread."""
ROUTES: web.AppKey[Mapping[AbstractRoute, Route]] = web.AppKey("routes")

# Of a request; set before any handler is called.
CLIENT: web.RequestKey[ClientAddress] = web.RequestKey("client")
"""Where it comes from."""
VIEWER: web.RequestKey[Viewer | None] = web.RequestKey("viewer")
"""Who asks. `None`: nobody that is known, which only routes that are open to all get to see."""
