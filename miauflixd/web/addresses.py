"""Absolute addresses of this house, as whoever asks can reach it."""

from aiohttp import web

from miauflixd.web.keys import CLIENT


def base_url(request: web.Request) -> str:
    """Return the address before any path, by the name that the client knows this machine by."""
    client = request[CLIENT]
    host = client.host or request.host
    return f"{'https' if client.secure else 'http'}://{host}"
