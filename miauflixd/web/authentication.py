"""Who makes a request: by an access token, a key, or the way by which it came."""

from collections.abc import Mapping
from typing import assert_never

from aiohttp import hdrs, web

from miauflixd.auth.model import InvalidTokenError, KeyPurpose, Role, Viewer
from miauflixd.errors import ForbiddenError, UnauthenticatedError
from miauflixd.web import cookies
from miauflixd.web.bodies import query
from miauflixd.web.client_address import ClientAddress
from miauflixd.web.guards import SAFE_METHODS, ForeignOriginError, tells_its_origin
from miauflixd.web.keys import HOUSEHOLD, VIEWER
from miauflixd.web.ports import AccessTokens, PurposeKeys, StreamKeys
from miauflixd.web.routes import Policy, Route
from miauflixd.web.shapes import StreamQuery

ADMINISTRATOR = Viewer(user_id=None, role=Role.ADMIN, session_id=None)
"""Whoever is at the control socket."""


class ConflictingCredentialsError(UnauthenticatedError):
    """A token in a header and another one in a cookie: whose request this is cannot be told."""

    code = "conflicting_credentials"


_PURPOSES: Mapping[Policy, KeyPurpose] = {
    Policy.STREMIO: "stremio",
    Policy.PLAYLIST: "playlist",
}
"""Of the keys that stand in addresses."""


class Authentication:
    """Tells who makes a request, and whether they may."""

    def __init__(
        self, *, tokens: AccessTokens, stream_keys: StreamKeys, purpose_keys: PurposeKeys
    ) -> None:
        self._tokens = tokens
        self._stream_keys = stream_keys
        self._purpose_keys = purpose_keys

    async def viewer(
        self, request: web.Request, client: ClientAddress, route: Route
    ) -> Viewer | None:
        """Return who asks; `None` for somebody unknown whom this route is open to.

        What an open route is sent is not looked at: who wants to sign in may have an old cookie.

        Raises:
            UnauthenticatedError: nobody knows, or not any more; the code says which.
            ForbiddenError: they may not, or another site's page made their browser ask.
        """
        if client.is_control:
            return ADMINISTRATOR
        match route.policy:
            case Policy.OPEN:
                return None
            case Policy.STREMIO | Policy.PLAYLIST:
                purpose = _PURPOSES[route.policy]
                return await self._purpose_keys.check(request.match_info["token"], purpose)
            case Policy.METRICS:
                return await self._by_metrics_key(request, client)
            case Policy.STREAM if "key" in request.query:
                return await self._by_stream_key(request)
            case Policy.USER | Policy.STREAM | Policy.ADMIN:
                viewer = await self._by_access_token(request, client)
                if route.policy is Policy.ADMIN and viewer.role is not Role.ADMIN:
                    raise ForbiddenError("Only an administrator may do this")
                return viewer
            case _:
                assert_never(route.policy)

    async def _by_access_token(self, request: web.Request, client: ClientAddress) -> Viewer:
        token = bearer(request)
        cookie = cookies.access_token(request, secure=client.secure)
        if token is None and cookie is not None:
            if request.method not in SAFE_METHODS and not tells_its_origin(request.headers):
                raise ForeignOriginError("With a cookie alone, nothing is changed here")
            token = cookie
        elif token is not None and cookie is not None and token != cookie:
            raise ConflictingCredentialsError("There are two tokens in this request. Send one")
        if token is None:
            raise UnauthenticatedError("Sign in first")
        if not token.isascii():
            raise InvalidTokenError("This is not a token of this machine")
        return await self._tokens.authenticate(token, address=client.address)

    async def _by_stream_key(self, request: web.Request) -> Viewer:
        wanted = query(request.query, StreamQuery)
        playback_id = request.match_info.get("playback_id")
        if playback_id is not None and "source_id" not in request.match_info:
            return await self._stream_keys.check_playback(wanted.key or "", playback_id)
        return await self._stream_keys.check(
            wanted.key or "", source_id=request.match_info["source_id"], file=wanted.file
        )

    async def _by_metrics_key(self, request: web.Request, client: ClientAddress) -> Viewer | None:
        key = bearer(request)
        if key is not None:
            return await self._purpose_keys.check(key, "metrics")
        if client.is_local:
            return None
        raise UnauthenticatedError("From another machine, these figures need a key")


def bearer(request: web.Request) -> str | None:
    """Return the token in a request's `Authorization`; what is of another scheme is none of ours.

    Raises:
        ConflictingCredentialsError: there are several.
    """
    found = request.headers.getall(hdrs.AUTHORIZATION, [])
    if len(found) > 1:
        raise ConflictingCredentialsError("There are two tokens in this request. Send one")
    scheme, _, token = found[0].partition(" ") if found else ("", "", "")
    return (token.strip(" ") or None) if scheme.lower() == "bearer" else None


async def require_still(request: web.Request) -> None:
    """See to it that whoever is being answered may still be: answers can take hours.

    Raises:
        UnauthenticatedError: their session has ended, or they were disabled or changed meanwhile.
    """
    viewer = request[VIEWER]
    if viewer is None or viewer.user_id is None:
        return
    viewers = request.app[HOUSEHOLD].viewers
    if viewer.session_id is not None:
        await viewers.of_session(viewer.session_id)
    else:
        await viewers.of_user(viewer.user_id)
