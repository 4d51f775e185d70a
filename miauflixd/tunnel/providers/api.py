"""Asking a provider's API: every answer is checked, and every failure is one of two kinds."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn, TypeVar

import msgspec

from miauflixd.errors import MiauflixdError
from miauflixd.runtime.http import Http, Response
from miauflixd.runtime.http_headers import retry_after
from miauflixd.tunnel.providers.provider import ProviderRefusedError, ProviderUnavailableError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_WITHIN = 15.0
"""Seconds for one exchange."""

_LIMIT = 8 * 1024 * 1024
"""Bytes of an answer; the longest list of servers has two million."""

_OK = 200
_NOT_MODIFIED = 304
_UNAUTHORISED = frozenset({401, 403})
_TOO_MANY = 429
_BROKEN = 500
_JSON = "application/json"

_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises over bytes that are no JSON, or not the JSON that was expected."""


class Api:
    """One provider's API."""

    def __init__(self, *, http: Http, company: str, base: str, official: str) -> None:
        self._http = http
        self._company = company
        self._base = base.rstrip("/")
        # Only somebody who chose another API can mean one, and servers, on a private network.
        self.lan_ok = self._base != official
        """Whether servers may be on a private network."""
        self._allow = (self._base,) if self.lan_ok else ()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object | None = None,
        refused: str = "",
    ) -> Response:
        """Return an answer with a status of 2xx, or 304.

        Args:
            method: `GET`, `POST`.
            path: Behind the base URL, with a query if need be.
            headers: Besides the usual ones.
            json: What to send, if anything.
            refused: A sentence for the person whose account is not accepted.

        Raises:
            ProviderRefusedError: the account is not accepted.
            RequestRefusedError: the request is not, for another reason.
            ProviderUnavailableError: anything else.
        """
        try:
            response = await self._http.request(
                method,
                self._base + path,
                headers={"Accept": _JSON, **(headers or {})},
                json=json,
                timeout=_WITHIN,
                limit=_LIMIT,
                allow=self._allow,
            )
        except (MiauflixdError, OSError) as error:
            raise ProviderUnavailableError(f"{self._company} does not answer: {error}") from error
        status = response.status
        if _OK <= status < _OK + 100 or status == _NOT_MODIFIED:
            return response
        if status in _UNAUTHORISED and refused:
            raise ProviderRefusedError(refused)
        if status == _TOO_MANY:
            raise ProviderUnavailableError(
                f"{self._company} was asked too often", retry_after=retry_after(response.headers)
            )
        if status >= _BROKEN:
            raise ProviderUnavailableError(
                f"{self._company} has a problem of its own (status {status})",
                retry_after=retry_after(response.headers),
            )
        raise RequestRefusedError(self._company, status, self._code(response))

    def decode(self, response: Response, kind: type[T]) -> T:
        """Return what an answer says.

        Raises:
            ProviderUnavailableError: it says something else.
        """
        try:
            return msgspec.json.decode(response.body, type=kind)
        except _ERRORS as error:
            self._nonsense(error)

    def each(
        self, raws: Iterable[msgspec.Raw], kind: type[T], *, sound: Callable[[T], bool]
    ) -> list[T]:
        """Return those of a list that are what they should be; one that is not spoils no other."""
        found = []
        skipped = 0
        for raw in raws:
            try:
                one = msgspec.json.decode(raw, type=kind)
            except _ERRORS:
                skipped += 1
                continue
            if sound(one):
                found.append(one)
            else:
                skipped += 1
        if skipped:
            logger.debug("%s named %d servers that cannot be used", self._company, skipped)
        return found

    def _nonsense(self, error: Exception) -> NoReturn:
        # Without the error's own words, which may quote what was answered.
        raise ProviderUnavailableError(
            f"{self._company} answered with something that cannot be understood"
        ) from error

    def _code(self, response: Response) -> str:
        try:
            return msgspec.json.decode(response.body, type=_Problem).code
        except _ERRORS:
            return ""


class RequestRefusedError(ProviderUnavailableError):
    """A status of 4xx that is not about the account as such."""

    def __init__(self, company: str, status: int, problem: str) -> None:
        super().__init__(f"{company} does not accept our request (status {status})")
        self.status = status
        self.problem = problem
        """The API's own code for it, if it has one: `MAX_DEVICES_REACHED`."""


class _Problem(msgspec.Struct):
    code: str = ""
