"""What errors look like from outside: decided here, once, by their kind (RFC 9457)."""

import logging
import math
import secrets
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from miauflixd.auth.device_login import DevicePollError
from miauflixd.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    MiauflixdError,
    NotFoundError,
    RangeNotSatisfiableError,
    RateLimitedError,
    StorageFullError,
    TimedOutError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)
from miauflixd.web.bodies import FieldProblem, InvalidFieldsError
from miauflixd.web.byte_ranges import UnsatisfiableRangeError

_log = logging.getLogger(__name__)

_STATUS: Mapping[type, HTTPStatus] = {
    DevicePollError: HTTPStatus.BAD_REQUEST,  # RFC 8628 wants it so
    InvalidInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    RateLimitedError: HTTPStatus.TOO_MANY_REQUESTS,
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    RangeNotSatisfiableError: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    TimedOutError: HTTPStatus.GATEWAY_TIMEOUT,
    StorageFullError: HTTPStatus.INSUFFICIENT_STORAGE,
}

_OF_THE_LIBRARY: Mapping[int, tuple[str, str]] = {
    400: ("bad_request", "This is not a request that can be understood"),
    404: ("not_found", "There is nothing at this address"),
    405: ("method_not_allowed", "This address does not answer to this method"),
    408: ("request_timeout", "The request took too long to arrive"),
    413: ("too_large", "More was sent than is accepted here"),
    415: ("unsupported_media_type", "This kind of content is not accepted here"),
    417: ("expectation_failed", "What the Expect header asks for is not offered here"),
    431: ("headers_too_large", "The address or a header of this request is too long"),
}
"""Code and sentence for errors that aiohttp found, whose own words stay inside."""

_UNREMARKABLE = frozenset({"image_unavailable"})
"""Codes that are not worth a line: without the internet a page misses a hundred images at once, and
that is said where they are fetched."""

_RETRY_AFTER = 5
"""Seconds after which to try again what is unavailable; a tunnel fails over in about that time."""

_REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
_STARTED: web.RequestKey[bool] = web.RequestKey("started", bool)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem document."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: tuple[FieldProblem, ...] | msgspec.UnsetType = msgspec.UNSET


def request_id(request: web.BaseRequest) -> str:
    """Return this request's name, made up by us: one that a client sends is not looked at."""
    if _REQUEST_ID not in request:
        request[_REQUEST_ID] = secrets.token_hex(8)
    return request[_REQUEST_ID]


async def remember_start(request: web.Request, _response: web.StreamResponse) -> None:
    """Note that an answer is on its way: no other one can follow it (an `on_response_prepare`)."""
    request[_STARTED] = True


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error with a problem document, or hang up when an answer has begun."""
    try:
        return await handler(request)
    except Exception as error:  # the edge: whatever it is, somebody waits for an answer
        if request.get(_STARTED):
            _hang_up(request, error)
            raise ConnectionAbortedError("the answer broke off") from None
        if isinstance(error, web.HTTPException) and error.status < HTTPStatus.BAD_REQUEST:
            raise  # a redirect is not an error
        return answer_to(error, request)


def status_of(error: MiauflixdError) -> HTTPStatus:
    """Return the status for an error, which is that of its kind."""
    for kind in type(error).__mro__:
        if status := _STATUS.get(kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def answer_to(error: BaseException, request: web.BaseRequest) -> web.Response:
    """Return the problem document for an error, and log what somebody has to look at."""
    if isinstance(error, web.HTTPException):
        return library_problem(request, error.status, allow=error.headers.get("Allow"))
    if isinstance(error, MiauflixdError):
        status = status_of(error)
        if status is not HTTPStatus.INTERNAL_SERVER_ERROR:
            return _deliberate(error, status, request)
    # The only place that sees it: what leaves says nothing, so the log has to say all.
    _log.error("Request %s failed", request_id(request), exc_info=error)
    return _document(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        code="internal",
        detail="Something went wrong here. The log tells what, under this request's id",
    )


def library_problem(
    request: web.BaseRequest, status: int, *, allow: str | None = None
) -> web.Response:
    """Return the problem document for what aiohttp found wrong by itself."""
    code, detail = _OF_THE_LIBRARY.get(status, _OF_THE_LIBRARY[HTTPStatus.BAD_REQUEST])
    headers = {"Allow": allow} if allow else {}
    return _document(request, HTTPStatus(status), code=code, detail=detail, headers=headers)


def _deliberate(
    error: MiauflixdError, status: HTTPStatus, request: web.BaseRequest
) -> web.Response:
    headers = {}
    if isinstance(error, UnsatisfiableRangeError):
        headers["Content-Range"] = f"bytes */{error.size}"
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(_RETRY_AFTER)
    if isinstance(error, RateLimitedError):
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 wants one with every 401
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and error.code not in _UNREMARKABLE:
        # Not the message: it may name what somebody watches.
        _log.warning("Request %s: %s", request_id(request), error.code)
    return _document(
        request,
        status,
        code=error.code,
        detail=str(error),
        headers=headers,
        errors=error.errors if isinstance(error, InvalidFieldsError) else msgspec.UNSET,
    )


def _document(
    request: web.BaseRequest,
    status: HTTPStatus,
    *,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: tuple[FieldProblem, ...] | msgspec.UnsetType = msgspec.UNSET,
) -> web.Response:
    name = request_id(request)
    problem = Problem(
        title=status.phrase,
        status=status.value,
        detail=detail,
        code=code,
        request_id=name,
        errors=errors,
    )
    return web.Response(
        status=status.value,
        body=msgspec.json.encode(problem),
        content_type="application/problem+json",
        headers={"Cache-Control": "no-store", "X-Request-ID": name, **(headers or {})},
    )


def _hang_up(request: web.Request, error: Exception) -> None:
    """Close the connection: for a client, a broken answer is better than one with a wrong end."""
    if isinstance(error, ConnectionError):
        _log.debug("Request %s: the client went away", request_id(request))
    elif isinstance(error, MiauflixdError) and status_of(error) in _STATUS.values():
        _log.warning("Request %s broke off: %s", request_id(request), error.code)
    else:
        _log.error("Request %s broke off", request_id(request), exc_info=error)
    if request.transport is not None:
        request.transport.close()
