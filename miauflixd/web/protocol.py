"""One connection, where even what never becomes a request is answered with a problem document."""

import logging
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import LineTooLong

from miauflixd.web.headers import SECURITY
from miauflixd.web.problems import answer_to, library_problem, request_id

_log = logging.getLogger(__name__)


class ProblemProtocol(web.RequestHandler):
    """aiohttp's protocol with other last words.

    Inherits, against the house's habit, because aiohttp offers no other way to replace the plain
    text that it sends for malformed requests (and logs, each with a traceback).
    """

    __slots__ = ()

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
