"""Asking a directory's server: every failure is told apart, and none tells a key."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import NoReturn
from urllib.parse import urlencode, urlsplit

import msgspec

from miauflixd.egress.errors import EgressError
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.http import Http, Response
from miauflixd.runtime.priority import Priority
from miauflixd.sources.directories.directory import (
    DirectoryGuardedError,
    DirectoryRefusedError,
    DirectoryUnavailableError,
    DirectoryUnreachableError,
    NothingThereError,
)
from miauflixd.sources.ports import Turns
from miauflixd.tunnel.errors import TunnelDownError

WITHIN = 20.0
"""Seconds for one exchange. Jackett asks its trackers while we wait; some need ten."""

LIMIT = 10 * 2**20
"""Bytes of an answer. A page of 100 releases with descriptions has half a megabyte."""

_PAUSES = (1.0, 2.0)
"""Seconds before each further attempt where a server stumbled; as Prowlarr does it."""

_UNREACHED = frozenset({"name", "connect"})
"""Reasons of `EgressError` that say nothing of the server."""

_STUMBLED = frozenset({408, 500, 502, 503, 504})

_RETRY_AFTER_LIMIT = 24 * 3600.0
"""Seconds for which we let ourselves be sent away at most."""

TOO_MANY_REST = 3600.0
"""Seconds to stay away from a server that says "too many" and not until when; as Prowlarr does."""

_GUARDS = (b"cf-chl", b"challenge-platform", b"just a moment...", b"ddos-guard", b"cf-error-code")
"""What stands in the pages of those who check for browsers."""

_PEEK = 4096
"""Bytes in which a page shows that it is one."""

_NONSENSE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises over bytes that are no JSON."""

Sleep = Callable[[float], Awaitable[None]]

Complaint = Callable[[Response], DirectoryUnavailableError | None]


class Exchange:
    """The conversation with one server.

    Its messages name the server's host and nothing else of an address, for keys are in the rest.
    """

    def __init__(
        self,
        *,
        http: Http,
        elsewhere: Http | None = None,
        base: str,
        turns: Turns,
        own: bool = False,
        within: float = WITHIN,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Say whom to ask, and how.

        Args:
            http: by which road.
            elsewhere: by which road others are asked, whom the server only links to: a house's own
                Prowlarr is reached by its own network, the trackers that it names are not to be.
            base: the server's address.
            turns: when it may be asked.
            own: whether the operator has set this address, so that it may be on a private network.
            within: seconds for each exchange.
            sleep: waits between attempts.
        """
        parts = urlsplit(base)
        self.base = base
        self.host = parts.hostname or "?"
        self._http = http
        self._elsewhere = elsewhere or http
        self._turns = turns
        self._within = within
        self._sleep = sleep
        self._allow = (f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",) if own else ()

    async def get(
        self,
        url: str,
        parameters: Mapping[str, str | Sequence[str]] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        priority: Priority,
        limit: int = LIMIT,
        complaint: Complaint = lambda _: None,
    ) -> Response:
        """Return an answer with a status of 2xx, 304 or 4xx; the others are errors.

        One that stumbles is asked again, twice. What a status of 4xx means differs by dialect:
        `accepted` knows what it means as a rule.

        Args:
            url: where to; any server, as directories link to others.
            parameters: what to put behind it.
            headers: besides our own.
            priority: who waits.
            limit: bytes of the body.
            complaint: returns the error that an answer is, in this dialect, whatever its status.

        Raises:
            DirectoryUnavailableError: there was no such answer.
            TunnelDownError: there is no way out.
        """
        if parameters:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(parameters, doseq=True)}"
        for pause in _PAUSES:
            response = await self._once(url, headers, priority=priority, limit=limit)
            if response.status not in _STUMBLED or self._guarded(response) or complaint(response):
                break
            if (wanted := retry_after(response)) is not None and wanted > pause:
                break
            await self._sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 -- not a secret
        else:
            response = await self._once(url, headers, priority=priority, limit=limit)
        try:
            self._check(response, complaint(response))
        except DirectoryUnavailableError as error:
            if error.retry_after and self.is_own(url):
                self._turns.rest(error.retry_after)
            raise
        return response

    def is_own(self, url: str) -> bool:
        """Whether an address is this server's, and not one that it only links to."""
        return urlsplit(url).hostname == self.host

    async def _once(
        self, url: str, headers: Mapping[str, str] | None, *, priority: Priority, limit: int
    ) -> Response:
        try:
            async with self._turns.turn(priority):
                http = self._http if self.is_own(url) else self._elsewhere
                return await http.request(
                    "GET",
                    url,
                    headers=headers,
                    timeout=self._within,
                    limit=limit,
                    allow=self._allow if http is self._http else (),
                )
        except (DirectoryUnavailableError, TunnelDownError):
            raise
        except (MiauflixdError, OSError) as error:
            said = str(error)
            if getattr(error, "reason", None) == "refused" and self.is_own(url) and not self._allow:
                said += "; what is in this house is asked by its own network (`via` is `host`)"
            unreached = isinstance(error, EgressError) and error.reason in _UNREACHED
            kind = DirectoryUnreachableError if unreached else DirectoryUnavailableError
            raise kind(
                # Most of the client's errors begin with the host themselves.
                said if self.host in said else f"{self.host} gives no answer: {said}",
                retry_after=getattr(error, "retry_after", None),
            ) from error

    def _check(self, response: Response, complaint: DirectoryUnavailableError | None) -> None:
        if self._guarded(response):
            raise DirectoryGuardedError(
                f"{self.host} checks whether a browser asks, and lets no program through; "
                "an indexer manager with FlareSolverr can be put in front of it"
            )
        if response.status == 429:  # noqa: PLR2004 -- "Too Many Requests"
            wanted = retry_after(response)
            rest = TOO_MANY_REST if wanted is None else wanted
            raise DirectoryUnavailableError(f"{self.host} was asked too often", retry_after=rest)
        if complaint is not None:
            raise complaint
        if response.status >= 500:  # noqa: PLR2004 -- "the server's fault"
            raise DirectoryUnavailableError(
                f"{self.host} has a problem of its own (status {response.status})",
                retry_after=retry_after(response),
            )

    def _guarded(self, response: Response) -> bool:
        if header(response, "cf-mitigated"):
            return True
        # The one in front may say 200 as well, so what counts is that a page comes.
        if not is_page(response):
            return False
        start = response.body[: 4 * _PEEK].lower()
        return any(mark in start for mark in _GUARDS)

    def accepted(self, response: Response) -> Response:
        """Return the answer, unless it says no.

        Raises:
            DirectoryRefusedError: it does not accept us, or has been switched off.
            NothingThereError: there is no such thing.
            DirectoryUnavailableError: it does not like the request, or shows a page.
        """
        match response.status:
            case 401 | 403:
                raise DirectoryRefusedError(f"{self.host} does not accept the key, or wants one")
            case 404:
                raise NothingThereError(f"{self.host} has nothing at that address")
            case 410:
                raise DirectoryRefusedError(f"{self.host} says that this has been switched off")
            case status if status >= 400:  # noqa: PLR2004 -- "your fault"
                raise DirectoryUnavailableError(
                    f"{self.host} does not accept our request (status {status})"
                )
        if is_page(response):
            self.page()
        return response

    def page(self) -> NoReturn:
        """Raise the error for a web page where there should be data."""
        raise DirectoryUnavailableError(
            f"{self.host} shows a web page instead of data: a login, or another server"
        )

    def decoded(self, response: Response) -> object:
        """Return the JSON of an answer.

        Raises:
            DirectoryUnavailableError: it is none.
        """
        try:
            return msgspec.json.decode(response.body)
        except _NONSENSE as error:
            # Without the error's own words, which may quote what was answered.
            raise self.nonsense() from error

    def nonsense(self) -> DirectoryUnavailableError:
        """Return the error for an answer that makes no sense."""
        return DirectoryUnavailableError(
            f"{self.host} answered with something that cannot be understood"
        )


def header(response: Response, name: str) -> str | None:
    """Return a header, in whatever case it was sent."""
    wanted = name.lower()
    return next((value for key, value in response.headers.items() if key.lower() == wanted), None)


def retry_after(response: Response) -> float | None:
    """Return for how many seconds the server asks to be left alone, if it does."""
    text = (header(response, "Retry-After") or "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), _RETRY_AFTER_LIMIT)
    try:
        # Against the server's clock: ours may be years behind before it has been set.
        until = parsedate_to_datetime(text)
        now = parsedate_to_datetime(header(response, "Date") or "")
        return min(max((until - now).total_seconds(), 0.0), _RETRY_AFTER_LIMIT)
    except (TypeError, ValueError, OverflowError):
        return None


def is_page(response: Response) -> bool:
    """Whether this is HTML, whatever it calls itself."""
    start = response.body[:_PEEK].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))
