"""What the catalogue wants of others."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from miauflixd.catalogue.model import TitleId
from miauflixd.catalogue.watching import Step

Clock = Callable[[], datetime]
"""The time of day, in UTC."""


class Response(Protocol):
    """What a server answered."""

    @property
    def status(self) -> int:
        """The status of the last answer, behind all redirects."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, their names in whatever case the server wrote."""
        ...

    @property
    def url(self) -> str:
        """Where it came from, behind all redirects."""
        ...

    @property
    def body(self) -> bytes:
        """All of the body, decompressed."""
        ...


class Http(Protocol):
    """The HTTP client of the host's network: nothing that it is asked for tells of a swarm."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object | None = None,
        timeout: float,  # noqa: ASYNC109 - of the whole exchange, which only the client can divide
        limit: int,
        allow: Collection[str] = (),
    ) -> Response:
        """Send a request and return the whole answer, whatever its status.

        Args:
            method: `GET`, `POST`.
            url: where to.
            headers: in addition to the client's own.
            json: what to send as JSON, if anything.
            timeout: seconds for all of it.
            limit: bytes of the body, unpacked.
            allow: origins that may be on a private network.

        Raises:
            MiauflixdError: there was no whole answer within these bounds.
            OSError: the network does not let us.
        """
        ...


class Outline(Protocol):
    """Which episodes shows have, as far as is known."""

    async def outline(self, show: TitleId) -> Sequence[Step]:
        """Return the episodes of a show, specials too; none of a show that is not known."""
        ...

    async def outlines(self, shows: Collection[TitleId]) -> Mapping[TitleId, Sequence[Step]]:
        """Return the same of several shows at once, without those that have none."""
        ...

    async def shows_of(self, episodes: Collection[TitleId]) -> Mapping[TitleId, TitleId]:
        """Return the show of each of these episodes, without those that are not known."""
        ...


class Errands(Protocol):
    """Work that goes on by itself, and that somebody may be in a hurry for."""

    async def fetch_title(self, title_id: TitleId, *, within: float) -> None:
        """Have a title looked up next; return when it is done, or after so many seconds."""
        ...

    async def fetch_season(self, show: TitleId, number: int, *, within: float) -> None:
        """Have a season looked up next; return when it is done, or after so many seconds."""
        ...
