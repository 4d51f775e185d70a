"""Headers that every answer carries."""

from aiohttp import web

from miauflixd.web.keys import CLIENT
from miauflixd.web.problems import request_id

_POLICY = "Content-Security-Policy"

SECURITY = {
    _POLICY: (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'; "
        # What is played in segments is put together by the page, in a worker of its own.
        "media-src 'self' blob:; worker-src 'self' blob:"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), browsing-topics=(), camera=(), display-capture=(), geolocation=(), "
        "gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()"
    ),
    "Referrer-Policy": "no-referrer",
    "Server": "miauflixd",  # aiohttp would name itself and Python, with versions
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""The page needs nothing from elsewhere, and nobody elsewhere needs to embed what is here. What is
no page may have said that it needs even less."""

_FROM_ANYWHERE = "/stremio/"
"""Addresses that pages from anywhere may read, since who asks stands in them."""

_TLS_ONLY = "max-age=31536000"
"""A year. Not said for other names below ours, of which we know nothing."""


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Add them to an answer that is about to leave (an `on_response_prepare`)."""
    own_policy = response.headers.get(_POLICY)
    response.headers.update(SECURITY)
    if own_policy is not None:
        response.headers[_POLICY] = own_policy
    if request.path.startswith(_FROM_ANYWHERE):
        # Also what goes wrong: a page that may not read it only knows that something did.
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    if (client := request.get(CLIENT)) is not None and client.secure:
        response.headers["Strict-Transport-Security"] = _TLS_ONLY
    response.headers["X-Request-ID"] = request_id(request)
