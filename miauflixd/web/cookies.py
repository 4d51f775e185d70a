"""A browser's tokens: in cookies that no script can read and no other site can send.

Behind TLS they are `Secure`, and their names promise it (`__Host-`, `__Secure-`, RFC 6265bis), so
that nobody on the way can plant others. The refresh token goes to `/api/auth` only.
"""

from aiohttp import web

from miauflixd.auth.model import Tokens

_ACCESS = "miauflix_access"
_REFRESH = "miauflix_refresh"
_REFRESH_PATH = "/api/auth"


def access_token(request: web.Request, *, secure: bool) -> str | None:
    """Return the access token that a browser sends, if any."""
    return request.cookies.get(_access_name(secure=secure)) or None


def refresh_token(request: web.Request, *, secure: bool) -> str | None:
    """Return the refresh token that a browser sends, if any."""
    return request.cookies.get(_refresh_name(secure=secure)) or None


def put(response: web.Response, tokens: Tokens, *, secure: bool) -> None:
    """Let the browser keep these tokens."""
    for name, path, value, age in (
        # Kept as long as the other: with an expired one the answer is that it has expired, and not
        # that nobody is signed in.
        (_access_name(secure=secure), "/", tokens.access, tokens.refresh_expires_in),
        (_refresh_name(secure=secure), _REFRESH_PATH, tokens.refresh, tokens.refresh_expires_in),
    ):
        response.set_cookie(
            name, value, max_age=age, path=path, secure=secure, httponly=True, samesite="Strict"
        )


def clear(response: web.Response, *, secure: bool) -> None:
    """Let the browser forget its tokens."""
    for name, path in (
        (_access_name(secure=secure), "/"),
        (_refresh_name(secure=secure), _REFRESH_PATH),
    ):
        response.del_cookie(name, path=path, secure=secure, httponly=True, samesite="Strict")


def _access_name(*, secure: bool) -> str:
    return f"__Host-{_ACCESS}" if secure else _ACCESS


def _refresh_name(*, secure: bool) -> str:
    # Not `__Host-`, which is for cookies of the whole site only.
    return f"__Secure-{_REFRESH}" if secure else _REFRESH
