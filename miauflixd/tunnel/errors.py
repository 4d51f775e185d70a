"""Errors about the tunnel that others raise and catch too."""

from miauflixd.errors import UnavailableError


class TunnelDownError(UnavailableError):
    """There is no way out now: no tunnel, or nobody to open a socket in it."""

    code = "tunnel_down"
