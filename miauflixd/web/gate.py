"""What stands before every handler: nobody is answered who was not let in here.

Cheap looks come before dear ones, so that to refuse costs less than to ask.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from aiohttp.web_urldispatcher import AbstractRoute

from miauflixd.auth.model import AuditType, InvalidTokenError
from miauflixd.errors import ForbiddenError, RateLimitedError
from miauflixd.web.authentication import Authentication
from miauflixd.web.client_address import ClientAddress, Trust, client_address
from miauflixd.web.connections import Entrance
from miauflixd.web.guards import (
    SAFE_METHODS,
    ForeignOriginError,
    UnknownHostError,
    is_foreign,
    is_ours,
)
from miauflixd.web.keys import CLIENT, VIEWER
from miauflixd.web.ports import Audit
from miauflixd.web.protocol import ProblemProtocol
from miauflixd.web.rate_limits import RateLimiter, Streams
from miauflixd.web.routes import Policy, RateClass, Route


class Gate:
    """Lets in, or refuses and has it written down."""

    def __init__(
        self,
        *,
        routes: Mapping[AbstractRoute, Route],
        own_names: Collection[str],
        trust: Trust,
        authentication: Authentication,
        rates: RateLimiter,
        streams: Streams,
        audit: Audit,
    ) -> None:
        self._routes = routes
        self._own_names = frozenset(name.lower() for name in own_names)
        self._trust = trust
        self._authentication = authentication
        self._rates = rates
        self._streams = streams
        self._audit = audit

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Find out who asks for what, and call the handler if they may."""
        client = request[CLIENT] = _client(request, self._trust)
        request[VIEWER] = None
        # There is none for what is nowhere, or not done that way; the handler says so.
        route = self._routes.get(request.match_info.route)
        if route is None and request.match_info.http_exception is None:
            raise web.HTTPNotFound  # a handler of which nobody has said who may use it
        with ExitStack() as while_answered:
            with self._noting_refusals(request, client, route):
                self._require_own_name(client)
                _require_own_page(request, client)
                rate: RateClass = "page" if route is None else route.rate
                if not client.is_control:
                    self._rates.require(rate, client.network)
                if route is not None:
                    viewer = await self._authentication.viewer(request, client, route)
                    request[VIEWER] = viewer
                    if viewer is not None and viewer.user_id is not None:
                        self._rates.require(rate, viewer.user_id)
                        if route.policy is Policy.STREAM and request.method == hdrs.METH_GET:
                            device = viewer.session_id or client.network
                            film = (
                                device,
                                request.match_info.get("source_id", ""),
                                request.query.get("file"),
                            )
                            while_answered.enter_context(
                                self._streams.sending(viewer.user_id, film)
                            )
            return await handler(request)

    def _require_own_name(self, client: ClientAddress) -> None:
        # A request without it is HTTP/1.0, and no browser's: aiohttp insists on it in HTTP/1.1.
        if client.host is not None and not is_ours(client.host, self._own_names):
            raise UnknownHostError("This machine is not known by the name it was asked for")

    @contextmanager
    def _noting_refusals(
        self, request: web.Request, client: ClientAddress, route: Route | None
    ) -> Iterator[None]:
        """Have a refusal in the block written down: that of a handler is the handler's."""
        try:
            yield
        except (ForbiddenError, InvalidTokenError, RateLimitedError) as error:
            is_rate = isinstance(error, RateLimitedError)
            viewer = request[VIEWER]
            self._audit.note(
                AuditType.RATE_LIMITED if is_rate else AuditType.REFUSED,
                user_id=None if viewer is None else viewer.user_id,
                address=client.address,
                # Not the address that was asked for: somebody's words, and maybe with a key.
                route=f"{request.method} {route.path}" if route else "none",
                code=error.code,
            )
            raise


def _require_own_page(request: web.Request, client: ClientAddress) -> None:
    if request.method not in SAFE_METHODS and is_foreign(request.headers, client.host):
        raise ForeignOriginError("Another site's page may not change anything here")


def _client(request: web.Request, trust: Trust) -> ClientAddress:
    protocol = request.protocol
    # Another protocol is that of a test.
    entrance = protocol.entrance if isinstance(protocol, ProblemProtocol) else Entrance.TCP
    if entrance is not Entrance.TCP:
        is_control = entrance is Entrance.CONTROL
        return client_address(None, request.headers, trust, is_control=is_control)
    if not request.remote:
        # Gone already. Nobody must pass for somebody at a unix socket by leaving early.
        raise web.HTTPBadRequest
    return client_address(request.remote, request.headers, trust)
