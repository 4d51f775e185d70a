"""The web application: which address leads to which handler, and what stands before them."""

import socket
from collections.abc import Collection
from pathlib import Path

from aiohttp import web

from miauflixd.web.guards import known_host, same_origin
from miauflixd.web.handlers import events, metrics, page, server, stream, vpn
from miauflixd.web.handlers import torrents as torrent_handlers
from miauflixd.web.headers import dress
from miauflixd.web.keys import ASSETS, ENDPOINTS, LIMITS, METRICS, TORRENTS, TUNNEL, VERSION
from miauflixd.web.limits import Limits
from miauflixd.web.ports import Endpoints, Torrents, Tunnel
from miauflixd.web.problems import problems, remember_start

STATIC = Path(__file__).with_name("static")
"""The page that comes with this version."""

_BODY_LIMIT = 12 * 2**20
"""Bytes of a body that aiohttp's own methods read; handlers have tighter limits (`Limits`)."""


def build(
    *,
    torrents: Torrents,
    tunnel: Tunnel,
    endpoints: Endpoints,
    version: str,
    own_names: Collection[str] | None = None,
    static: Path = STATIC,
    limits: Limits | None = None,
) -> web.Application:
    """Return the application; blocks for the moment it takes to read the page's files.

    Args:
        torrents: where sources are.
        tunnel: how the swarm is reached.
        endpoints: where the tunnel may lead to.
        version: what `GET /api/server` tells.
        own_names: names of this machine, by which it may be asked besides its addresses,
            `localhost` and `.local` names; its host name unless said otherwise.
        static: where the page's files are.
        limits: bounds on requests.
    """
    app = web.Application(
        # From the outside in: whoever stands inside is answered for by `problems`.
        middlewares=[
            problems,
            known_host([socket.gethostname()] if own_names is None else own_names),
            same_origin,
        ],
        client_max_size=_BODY_LIMIT,
    )
    app[TORRENTS] = torrents
    app[TUNNEL] = tunnel
    app[ENDPOINTS] = endpoints
    app[METRICS] = metrics.registry(torrents=torrents, tunnel=tunnel, version=version)
    app[VERSION] = version
    app[LIMITS] = limits or Limits()
    app[ASSETS] = page.load(static)
    app.on_response_prepare.append(dress)
    app.on_response_prepare.append(remember_start)
    app.add_routes(
        [
            web.get("/", page.index),
            web.get("/static/{name}", page.static),
            web.get("/api/health", server.health),
            web.get("/api/server", server.server),
            web.get("/api/events", events.events),
            web.get("/api/torrents", torrent_handlers.listing),
            web.post("/api/torrents", torrent_handlers.add),
            web.get("/api/torrents/{source_id}", torrent_handlers.one),
            web.delete("/api/torrents/{source_id}", torrent_handlers.remove),
            web.get("/api/stream/{source_id}", stream.stream),
            web.get("/api/vpn", vpn.state),
            web.post("/api/vpn/switch", vpn.switch),
            web.post("/api/vpn/test", vpn.test),
            web.get("/api/vpn/endpoints", vpn.endpoints),
            web.post("/api/vpn/endpoints", vpn.add),
            web.put("/api/vpn/endpoints/order", vpn.reorder),
            web.delete("/api/vpn/endpoints/{id}", vpn.remove),
            web.get("/metrics", metrics.metrics),
        ]
    )
    return app
