"""Headers that every answer carries."""

from aiohttp import web

from miauflixd.web.problems import request_id

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""The page needs nothing from elsewhere, and nobody elsewhere needs to embed what is here."""


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Add them to an answer that is about to leave (an `on_response_prepare`)."""
    response.headers.update(SECURITY)
    response.headers["X-Request-ID"] = request_id(request)
