"""Trakt's API on behalf of somebody: signing in by device code, reading, and telling.

Apart from the polite client of public lists, for nothing here may be shared between two people, and
a status that is an error elsewhere is an answer here: a 401 is about one person's account and not
about the key of this house, a 409 means that Trakt knows already.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar
from urllib.parse import urlencode

import msgspec

from miauflixd.catalogue.providers.pace import Pace
from miauflixd.catalogue.providers.provider import (
    GoneError,
    ProviderOffError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from miauflixd.catalogue.providers.trakt_history_shapes import ActivitiesAnswer
from miauflixd.catalogue.providers.trakt_shapes import DeviceCodeAnswer, OauthProblem, TokenAnswer
from miauflixd.catalogue.settings import TRAKT
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.http import Http, Response
from miauflixd.runtime.http_headers import header, retry_after
from miauflixd.runtime.priority import Priority
from miauflixd.runtime.secrets import Secret

T = TypeVar("T")

COMPANY = "Trakt"

POSTS_PER_SECOND = 1.0
"""Trakt's limit on what one account sends (`AUTHED_API_POST_LIMIT`); kept for all of them
together, which a household does not notice."""

_WITHIN = 8.0
"""Seconds for one exchange; somebody may be waiting for it."""

_LIMIT = 4 * 2**20
"""Bytes of an answer; a page of a hundred entries has 60,000."""

_PAGE = 100
"""Entries on one page."""

_OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"

_OK = range(200, 300)
_TOO_MANY = 429
_BROKEN = 500

_POLLS: Mapping[int, "Poll"] = {
    400: "pending",
    404: "unknown",
    409: "used",
    410: "expired",
    418: "denied",
    429: "slower",
}

_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

Poll = Literal["pending", "slower", "unknown", "used", "expired", "denied"]
"""What has become of a code that nobody has typed so that it counts."""


class AccountRefusedError(ProviderUnavailableError):
    """Trakt does not accept somebody's account (any more)."""

    code = "trakt_account_refused"


class RequestRejectedError(ProviderUnavailableError):
    """Trakt does not take this, whoever sends it and however often."""

    code = "trakt_rejected"


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """The application of this house at Trakt."""

    client_id: Secret
    client_secret: Secret


class TraktApi:
    """Trakt, asked with this house's application and somebody's token."""

    def __init__(self, *, http: Http, app: App | None, posts: Pace, base: str = TRAKT) -> None:
        """Take collaborators; without an application every method raises `ProviderOffError`."""
        self._http = http
        self._app = app
        self._posts = posts
        self._base = base.rstrip("/")
        self._allow = (self._base,) if self._base != TRAKT else ()

    @property
    def is_on(self) -> bool:
        """Whether the settings have an application."""
        return self._app is not None

    async def device_code(self) -> DeviceCodeAnswer:
        """Begin to link somebody.

        Raises:
            ProviderUnavailableError: Trakt does not answer, or does not know the application.
        """
        response = await self._send("POST", "/oauth/device/code", {"client_id": self._id()})
        if response.status not in _OK:
            self._refuse(response)
        return self._decoded(response, DeviceCodeAnswer)

    async def device_token(self, device_code: Secret) -> TokenAnswer | Poll:
        """Return somebody's tokens, once they have typed the code.

        Raises:
            ProviderUnavailableError: that is not known.
        """
        body = {"code": device_code.reveal()} | self._credentials()
        response = await self._send("POST", "/oauth/device/token", body)
        if (poll := _POLLS.get(response.status)) is not None:
            return poll
        if response.status not in _OK:
            self._refuse(response)
        return self._decoded(response, TokenAnswer)

    async def renewed(self, refresh: Secret) -> TokenAnswer:
        """Return the next pair of tokens; this one is used up.

        Raises:
            AccountRefusedError: it was already, or the account does not want us any more.
            ProviderUnavailableError: that is not known.
        """
        body = {
            "refresh_token": refresh.reveal(),
            "redirect_uri": _OUT_OF_BAND,
            "grant_type": "refresh_token",
        } | self._credentials()
        response = await self._send("POST", "/oauth/token", body)
        if response.status in (400, 401):
            # With the settings' secret mistyped nobody's account is at fault.
            if _problem(response) in ("invalid_client", "unauthorized_client"):
                raise ProviderRefusedError("Trakt does not accept the application of this house")
            raise AccountRefusedError("Trakt does not accept this account any more")
        if response.status not in _OK:
            self._refuse(response)
        return self._decoded(response, TokenAnswer)

    async def revoke(self, access: Secret) -> None:
        """Have Trakt forget somebody's tokens.

        Raises:
            ProviderUnavailableError: that is not certain.
        """
        body = {"token": access.reveal()} | self._credentials()
        response = await self._send("POST", "/oauth/revoke", body)
        if response.status >= _BROKEN or response.status == _TOO_MANY:
            self._refuse(response)

    async def activities(self, access: Secret) -> ActivitiesAnswer:
        """Return when what somebody watches last changed.

        Raises:
            AccountRefusedError: this token is not accepted.
            ProviderUnavailableError: anything else.
        """
        response = await self._send("GET", "/sync/last_activities", access=access)
        if response.status not in _OK:
            self._refuse(response)
        return self._decoded(response, ActivitiesAnswer)

    async def everything(
        self,
        path: str,
        access: Secret,
        *,
        query: Mapping[str, str] | None = None,
        pages: int,
    ) -> list[msgspec.Raw]:
        """Return the entries of one of somebody's lists.

        Args:
            path: of the list.
            access: whose.
            query: what else to say.
            pages: how many are read at most, each of 100 entries.

        Raises:
            AccountRefusedError: this token is not accepted.
            GoneError: there is no such list.
            ProviderUnavailableError: anything else.
        """
        found: list[msgspec.Raw] = []
        for number in range(1, pages + 1):
            asked = urlencode({**(query or {}), "page": number, "limit": _PAGE})
            response = await self._send("GET", f"{path}?{asked}", access=access)
            if response.status not in _OK:
                self._refuse(response)
            page = self._decoded(response, list[msgspec.Raw])
            found += page[:_PAGE]
            if not page or number >= _page_count(response):
                break
        return found

    async def tell(self, path: str, json: Mapping[str, Any], access: Secret) -> None:
        """Tell Trakt what somebody does; no faster than it wants to hear.

        Raises:
            AccountRefusedError: this token is not accepted.
            RequestRejectedError: it will not take this, ever.
            ProviderUnavailableError: not now.
        """
        async with self._posts.turn(Priority.ROUTINE):
            response = await self._send("POST", path, json, access=access)
        # 409: it was told just this a moment ago.
        if response.status not in _OK and response.status != 409:  # noqa: PLR2004 -- Conflict
            self._refuse(response)

    async def _send(
        self,
        method: str,
        path: str,
        json: Mapping[str, Any] | None = None,
        *,
        access: Secret | None = None,
    ) -> Response:
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "trakt-api-version": "2",
            "trakt-api-key": self._id(),
        }
        if access is not None:
            headers["Authorization"] = f"Bearer {access.reveal()}"
        try:
            return await self._http.request(
                method,
                self._base + path,
                headers=headers,
                json=json,
                timeout=_WITHIN,
                limit=_LIMIT,
                allow=self._allow,
            )
        except (MiauflixdError, OSError) as error:
            raise ProviderUnavailableError(f"Trakt does not answer: {error}") from error

    def _refuse(self, response: Response) -> NoReturn:
        status = response.status
        wait = retry_after(response.headers)
        match status:
            case 401:
                raise AccountRefusedError("Trakt does not accept this account any more")
            case 403:
                raise ProviderRefusedError("Trakt does not accept the application of this house")
            case 404 | 410:
                raise GoneError("Trakt does not know this")
            case 420 | 423 | 426:
                raise RequestRejectedError(f"Trakt limits what this account may do ({status})")
            case 429:
                raise ProviderUnavailableError("Trakt was asked too often", retry_after=wait or 1.0)
            case _ if status < _BROKEN:
                raise RequestRejectedError(f"Trakt does not accept our request (status {status})")
            case _:
                raise ProviderUnavailableError(
                    f"Trakt has a problem of its own (status {status})", retry_after=wait
                )

    def _decoded(self, response: Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(response.body, type=kind)
        except _ERRORS as error:
            # Without the error's own words, which may quote a token.
            raise ProviderUnavailableError(
                "Trakt answered with something that cannot be understood"
            ) from error

    def _id(self) -> str:
        return self._known_app().client_id.reveal()

    def _credentials(self) -> dict[str, str]:
        app = self._known_app()
        return {
            "client_id": app.client_id.reveal(),
            "client_secret": app.client_secret.reveal(),
        }

    def _known_app(self) -> App:
        if self._app is None:
            raise ProviderOffError("The settings have no application at Trakt")
        return self._app


def _problem(response: Response) -> str:
    try:
        return msgspec.json.decode(response.body, type=OauthProblem).error
    except _ERRORS:
        return ""


def _page_count(response: Response) -> int:
    text = (header(response.headers, "X-Pagination-Page-Count") or "").strip()
    return int(text[:6]) if text.isascii() and text.isdecimal() else 1
