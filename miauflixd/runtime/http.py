"""What everybody wants of an HTTP client."""

from collections.abc import Collection, Mapping
from typing import Protocol


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
        """Where it came from after redirects; or the `magnet:` link that the last one named."""
        ...

    @property
    def body(self) -> bytes:
        """All of the body, decompressed."""
        ...


class Http(Protocol):
    """An HTTP client; by which road it goes, whoever gives it knows."""

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
        """Send a request, follow redirects, and return the whole answer, whatever its status.

        Args:
            method: `GET`, `POST`.
            url: where to.
            headers: in addition to the client's own; another host gets only harmless ones.
            json: what to send as JSON, if anything.
            timeout: seconds for all of it.
            limit: bytes of the body, unpacked.
            allow: origins that may be on a private network.

        Raises:
            MiauflixdError: there was no whole answer within these bounds.
            OSError: the network does not let us.
        """
        ...
