"""What a provider's API answered, and what is to be thought of it. No I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import msgspec

from miauflixd.catalogue.providers.provider import (
    GoneError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.http_headers import retry_after

T = TypeVar("T")

Outcome = Literal[
    "ok",
    "unchanged",  # 304
    "kept",  # not asked at all
    "expected",  # a status that is an answer to this question
    "gone",  # 404, 410
    "rejected",  # another 4xx
    "refused",  # 401, 403
    "limited",  # 429
    "broken",  # 5xx
    "unreachable",  # no connection, too slow, cut off
    "nonsense",  # not what it should be
]
"""What became of a request."""

NOT_MODIFIED = 304

_REST = 2.0
"""Seconds for which a server is left alone that says "too often" and not for how long."""

_UNAUTHORISED = frozenset({401, 403})
_GONE = frozenset({404, 410})
_TOO_MANY = 429
_REJECTED = range(400, 500)
_BROKEN = range(500, 600)

_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises over bytes that are no JSON, or not the JSON that was expected."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """Names in any case: see `runtime.http_headers.header`."""
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A request that brought nothing, and why."""

    outcome: Outcome
    error: MiauflixdError
    passing: bool = False
    """Whether it may be otherwise a moment later."""
    rest: float | None = None
    """Seconds for which the server wants to be left alone."""


class RequestRejectedError(ProviderUnavailableError):
    """A status of 4xx that is neither about our key nor about something that is not there."""

    def __init__(self, company: str, reply: Reply) -> None:
        super().__init__(f"{company} does not accept our request (status {reply.status})")
        self.reply = reply


def failure(company: str, reply: Reply, *, personal: bool = False) -> Failure:
    """Return what an answer means whose status is not one of success.

    Args:
        company: what people call the provider.
        reply: its answer.
        personal: whether the token was somebody's own, and not the provider's key of this house.
    """
    status = reply.status
    rest = retry_after(reply.headers)
    if status in _UNAUTHORISED and not personal:
        refused = ProviderRefusedError(f"{company} does not accept our key")
        return Failure(outcome="refused", error=refused)
    if status in _GONE:
        return Failure(outcome="gone", error=GoneError(f"{company} does not know this"))
    if status == _TOO_MANY:
        rest = _REST if rest is None else rest
        often = ProviderUnavailableError(f"{company} was asked too often", retry_after=rest)
        return Failure(outcome="limited", error=often, passing=True, rest=rest)
    if status in _REJECTED:
        return Failure(outcome="rejected", error=RequestRejectedError(company, reply))
    if status in _BROKEN:
        broken = ProviderUnavailableError(
            f"{company} has a problem of its own (status {status})", retry_after=rest
        )
        return Failure(outcome="broken", error=broken, passing=True, rest=rest)
    return Failure(outcome="nonsense", error=nonsense(company))


def decoded(company: str, body: bytes, kind: type[T]) -> T:
    """Return what the JSON of an answer says.

    Raises:
        ProviderUnavailableError: it says something else.
    """
    try:
        return _decoded(body, kind)
    except _ERRORS as error:
        raise nonsense(company) from error


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # Half of a surrogate pair in one title would cost a whole page: Python's own reader, though
        # several times slower, takes it for a character.
        return msgspec.convert(json.loads(body), type=kind)


def each(raw: object, kind: type[T]) -> list[T]:
    """Return those of a list that are of this kind; one that is not spoils no other.

    Args:
        raw: decoded JSON, which may be anything.
        kind: what its items should be.
    """
    found = []
    for one in raw if isinstance(raw, list) else ():
        try:
            found.append(msgspec.convert(one, type=kind))
        except _ERRORS:
            continue
    return found


def nonsense(company: str) -> ProviderUnavailableError:
    """Return the error for what makes no sense: without quoting it, for it may say anything."""
    return ProviderUnavailableError(f"{company} answered with something that cannot be understood")
