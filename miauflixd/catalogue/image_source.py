"""Where images come from: over the internet, from hosts that are known by name."""

from collections.abc import Collection
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from miauflixd.catalogue.images import MediaType, media_type
from miauflixd.catalogue.model import NoImageError
from miauflixd.egress.errors import EgressError, Reason
from miauflixd.errors import MiauflixdError, UnavailableError
from miauflixd.runtime.http import Http, Response

_LIMIT = 10 * 2**20
"""Bytes of an image: the largest originals of TMDB's have 8 MB."""

_PATIENCE = 12.0
"""Seconds for one fetch."""

_LONGEST_REST = 3600.0
"""Seconds that a host can wish to be left alone."""

_OF_THE_HOST: Final[frozenset[Reason]] = frozenset({"name", "connect", "tls", "timeout", "socket"})
"""What can go wrong that has nothing to do with the image."""


class ImageUnavailableError(UnavailableError):
    """An image is not here, and cannot be fetched now."""

    code = "image_unavailable"


class HostAwayError(ImageUnavailableError):
    """Where the image is cannot be reached; that is not its fault."""

    def __init__(self, *, at_least: float = 0.0) -> None:
        super().__init__("Where this image is cannot be reached now")
        self.at_least = at_least


class ImageSource:
    """Downloads images, and nothing else."""

    def __init__(self, *, http: Http, hosts: Collection[str], allow: Collection[str]) -> None:
        """Download from some hosts.

        Args:
            http: the client of the host's network.
            hosts: from whom an image may come, behind all redirects: `image.tmdb.org`, or
                `*.archive.org` for all names below that one.
            allow: origins that may be on a private network, as for `http`.
        """
        self._http = http
        self._hosts = frozenset(hosts)
        self._allow = allow

    async def download(self, url: str) -> tuple[bytes, MediaType]:
        """Return what is there, if it is an image.

        Raises:
            NoImageError: there is nothing.
            HostAwayError: who has it does not answer, or wants to be left alone.
            ImageUnavailableError: it is of no use.
        """
        try:
            answer = await self._http.request(
                "GET", url, timeout=_PATIENCE, limit=_LIMIT, allow=self._allow
            )
        except EgressError as error:
            if error.reason in _OF_THE_HOST:
                raise HostAwayError from error
            raise ImageUnavailableError("There is no image where this one should be") from error
        except (MiauflixdError, OSError) as error:
            raise HostAwayError from error
        if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            raise NoImageError("There is no such image")
        if answer.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
            raise HostAwayError(at_least=_wish(answer))
        media = media_type(answer.body)
        if answer.status != HTTPStatus.OK or media is None or not self.may_come_from(answer.url):
            raise ImageUnavailableError("There is no image where this one should be")
        return answer.body, media

    def may_come_from(self, url: str) -> bool:
        """Return whether an image may come from there."""
        host = host_of(url)
        return host in self._hosts or any(
            pattern.startswith("*.") and host.endswith(pattern[1:]) for pattern in self._hosts
        )


def host_of(url: str) -> str:
    """Return the name of a host in an address, or nothing."""
    return (urlsplit(url).hostname or "").lower()


def _wish(answer: Response) -> float:
    """Return the seconds for which a host wants to be left alone; as a date, none that we know."""
    for name, value in answer.headers.items():
        if name.lower() == "retry-after" and value.isascii() and value.isdecimal():
            return min(float(value[:9]), _LONGEST_REST)
    return 0.0
