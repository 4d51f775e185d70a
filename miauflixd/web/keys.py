"""Under which keys handlers find their collaborators in the application."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry

from miauflixd.web.limits import Limits
from miauflixd.web.ports import Endpoints, Torrents, Tunnel


@dataclass(frozen=True, kw_only=True, slots=True)
class Asset:
    """One file of the web client."""

    content_type: str
    etag: str
    content: bytes


TORRENTS: web.AppKey[Torrents] = web.AppKey("torrents")
TUNNEL: web.AppKey[Tunnel] = web.AppKey("tunnel")
ENDPOINTS: web.AppKey[Endpoints] = web.AppKey("endpoints")
VERSION: web.AppKey[str] = web.AppKey("version")
LIMITS: web.AppKey[Limits] = web.AppKey("limits")
METRICS: web.AppKey[CollectorRegistry] = web.AppKey("metrics")
ASSETS: web.AppKey[Mapping[str, Asset]] = web.AppKey("assets")
