"""Bodies, typed on both sides: what arrives must fit a struct, what leaves is made from one."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TypeVar

import msgspec
from aiohttp import web
from multidict import MultiMapping

from miauflixd.errors import InvalidInputError, TooLargeError
from miauflixd.web.keys import LIMITS

T = TypeVar("T")

_NAME_LIMIT = 100
"""Characters of a field's name to repeat: an unknown one may be as long as a body."""

_AT = re.compile(r" - at `(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.DOTALL)
_BOUNDS = (
    (re.compile(r"^Expected `str` of length >= 1$"), "This must not be empty"),
    (re.compile(r"^Expected `str` of length >= (\d+)$"), r"At least \1 characters are needed"),
    (re.compile(r"^Expected `str` of length <= (\d+)$"), r"At most \1 characters are taken"),
    (re.compile(r"^Expected `\w+` of length <= (\d+)$"), r"At most \1 are taken"),
    (re.compile(r"^Expected `(?:int|float)` >= (\S+)$"), r"The least is \1"),
    (re.compile(r"^Expected `(?:int|float)` <= (\S+)$"), r"The most is \1"),
    (re.compile(r"^Expected `str` matching regex .*$", re.DOTALL), "This has not the right form"),
)
"""What people run into, for whom msgspec's own sentences are not meant."""


class FieldProblem(msgspec.Struct, frozen=True):
    """What is wrong with one field; an empty name stands for the whole."""

    field: str
    message: str


class InvalidFieldsError(InvalidInputError):
    """Fields of the request are missing, unknown or wrong; each is named."""

    def __init__(self, *errors: FieldProblem) -> None:
        super().__init__(
            "; ".join(f"{e.field}: {e.message}" if e.field else e.message for e in errors)
        )
        self.errors = errors


async def json_body(request: web.Request, shape: type[T], *, limit: int | None = None) -> T:
    """Return the request's JSON body, of at most `limit` bytes where it may be a large one.

    Raises:
        InvalidFieldsError: it is not JSON, or does not have this shape.
        TooLargeError: it is larger than any sensible one.
    """
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    body = await read_body(request, limit=limit or request.app[LIMITS].json)
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise InvalidFieldsError(_problem_in(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFieldsError(FieldProblem("", "The body is not valid JSON")) from error


def query(values: MultiMapping[str], shape: type[T]) -> T:
    """Return a query string's values, each converted to what the shape says.

    Raises:
        InvalidFieldsError: a value cannot be converted.
    """
    try:
        return msgspec.convert(dict(values), shape, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidFieldsError(_problem_in(error)) from error


async def read_body(request: web.Request, *, limit: int) -> bytes:
    """Return a body of at most `limit` bytes that arrives in reasonable time.

    Raises:
        TooLargeError: it is larger.
    """
    refuse_announced_excess(request, limit=limit)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise web.HTTPUnsupportedMediaType  # nothing we accept is worth the risk of a zip bomb
    async with arriving(request):
        return await limited(request.content.iter_any(), limit=limit)


def refuse_announced_excess(request: web.Request, *, limit: int) -> None:
    """Say no to a body that is too large before it is sent, where its length is announced.

    Raises:
        TooLargeError: it is.
    """
    if (request.content_length or 0) > limit:
        raise _too_large(limit)


async def limited(chunks: AsyncIterator[bytes], *, limit: int) -> bytes:
    """Return the chunks in one piece.

    Raises:
        TooLargeError: they are more than `limit` bytes together.
    """
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


@asynccontextmanager
async def arriving(request: web.Request) -> AsyncIterator[None]:
    """Bound the time in which a body arrives, and tell a broken body from a broken server."""
    try:
        async with asyncio.timeout(request.app[LIMITS].body.total_seconds()):
            yield
    except TimeoutError:
        # No second request over this connection: the rest of the first is still under way.
        request.protocol.close()
        raise web.HTTPRequestTimeout from None
    except web.RequestPayloadError as error:
        raise web.HTTPBadRequest from error


def _problem_in(error: msgspec.ValidationError) -> FieldProblem:
    message = str(error)
    path = ""
    if match := _AT.search(message):
        path = match["path"].removeprefix("$").removeprefix(".")
        message = message[: match.start()]
    for pattern, sentence in ((_UNKNOWN, "There is no such field"), (_MISSING, "This is needed")):
        if match := pattern.fullmatch(message):
            path = f"{path}.{match['name']}".removeprefix(".")
            message = sentence
    for pattern, sentence in _BOUNDS:
        message = pattern.sub(sentence, message)
    return FieldProblem(path[:_NAME_LIMIT], message)


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"More than {limit} bytes are not accepted here")


def answer(value: msgspec.Struct, *, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """Return a struct as JSON."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
