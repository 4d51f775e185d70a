"""One connection, where even what never becomes a request is answered with a problem document."""

import asyncio
import logging
import os
import socket
import struct
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import LineTooLong

from miauflixd.web.connections import Crowd, Entrance
from miauflixd.web.headers import SECURITY
from miauflixd.web.limits import ConnectionLimits
from miauflixd.web.problems import answer_to, library_problem, request_id

_log = logging.getLogger(__name__)

_LINGERING = 2.0
"""Seconds to go on reading a body that was refused, so that its sender gets to read why."""

_CREDENTIALS = struct.Struct("3i")
"""Process, user and group of who connected, `struct ucred` in unix(7)."""


class ProblemProtocol(web.RequestHandler):
    """aiohttp's protocol with other last words, and without endless patience.

    Inherits, against the house's habit, because aiohttp offers no other way to replace the plain
    text that it sends for malformed requests (and logs, each with a traceback), or to bound the
    time in which a request's head arrives. Of what it inherits it reads `_waiter`, which is there
    while the next request is waited for.
    """

    __slots__ = ("_crowd", "_header_timeout", "_place", "_slow", "entrance")

    def __init__(
        self,
        manager: web.Server,
        *,
        loop: asyncio.AbstractEventLoop,
        entrance: Entrance,
        crowd: Crowd,
        limits: ConnectionLimits,
        access_log: logging.Logger,
    ) -> None:
        """Be ready for a connection.

        Args:
            manager: aiohttp's, which knows the application.
            loop: the running one.
            entrance: by which way it comes.
            crowd: counts it.
            limits: how long it may take, and how much it may say.
            access_log: where a line for each answer goes.
        """
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=limits.idle,
            max_line_size=limits.line,
            max_field_size=limits.line,
            max_headers=limits.headers,
            lingering_time=_LINGERING,
            auto_decompress=False,
            logger=_log,
            access_log=access_log,
            access_log_class=AccessLogger,
        )
        self.entrance = entrance
        self._crowd = crowd
        self._header_timeout = limits.header
        self._place: str | None = None
        self._slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve whoever connected, or hang up on those who may not or are too many."""
        if not self._may_come(transport):
            _log.debug("A connection was refused")
            transport.close()
            return
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Take what arrives; from the first byte of a request's head on, the time is counted."""
        super().data_received(data)
        if self._messages or self._waiter is None or self._waiter.done():
            self._forget_time()
        elif self._slow is None:
            self._slow = self._loop.call_later(self._header_timeout, self._too_slow)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for others."""
        self._forget_time()
        if self._place is not None:
            self._crowd.leave(self._place)
            self._place = None
        super().connection_lost(exc)

    def _may_come(self, transport: asyncio.BaseTransport) -> bool:
        match self.entrance:
            case Entrance.TCP:
                peer = transport.get_extra_info("peername")
                if peer is None:
                    return False  # gone already
                self._place = self._crowd.enter(str(peer[0]))
                return self._place is not None
            case Entrance.UNIX:
                return True  # the file's permissions have decided
            case Entrance.CONTROL:
                # As the permissions have, but they can be changed by a mistake.
                return _user_of(transport.get_extra_info("socket")) in {0, os.getuid()}

    def _too_slow(self) -> None:
        self._slow = None
        self.force_close()

    def _forget_time(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what escaped from the middlewares."""
        if isinstance(exc, ConnectionError):
            raise exc  # the answer broke off: nothing may follow what was sent
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            response = answer_to(exc or RuntimeError("aiohttp failed"), request)
        else:
            # Anybody may send rubbish, as often as they like: that is nothing for the log at INFO.
            _log.debug("Request %s is no HTTP: %s", request_id(request), exc)
            if isinstance(exc, LineTooLong):
                status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            response = library_problem(request, status)
        response.headers.update(SECURITY)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer; an `Expect` that nobody meets fails before any middleware sees it."""
        if isinstance(resp, web.HTTPException) and resp.status >= HTTPStatus.BAD_REQUEST:
            resp = answer_to(resp, request)
        return await super().finish_response(request, resp, start_time)


class AccessLogger(AbstractAccessLogger):
    """A line for each answer at DEBUG; without the query, which may hold a key."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write it."""
        self.logger.debug(
            "%s %s: %d, %d bytes in %.3f s (request %s)",
            request.method,
            request.path,
            response.status,
            response.body_length,
            time,
            request_id(request),
        )

    @property
    def enabled(self) -> bool:
        """Whether it is worth taking the time."""
        return self.logger.isEnabledFor(logging.DEBUG)


def _user_of(end: socket.socket) -> int:
    """Return which user is at the other end of a unix socket."""
    content = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(content)
    return int(user)
