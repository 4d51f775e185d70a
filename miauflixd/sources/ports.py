"""What sources want of others."""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from miauflixd.runtime.priority import Priority

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
    def body(self) -> bytes:
        """All of the body, decompressed."""
        ...

    @property
    def url(self) -> str:
        """Where it came from after redirects; or the `magnet:` link that the last one named."""
        ...


class Http(Protocol):
    """An HTTP client, through the tunnel or by the host's own network."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float,  # noqa: ASYNC109 - of the whole exchange, which only the client can divide
        limit: int,
        allow: Collection[str] = (),
    ) -> Response:
        """Send a request, follow redirects, and return the whole answer, whatever its status.

        Args:
            method: `GET`.
            url: where to.
            headers: in addition to the client's own; another host gets only harmless ones.
            timeout: seconds for all of it.
            limit: bytes of the body, unpacked.
            allow: origins that may be on a private network.

        Raises:
            MiauflixdError: there was no whole answer within these bounds.
            OSError: the network does not let us.
        """
        ...


class Turns(Protocol):
    """Who may ask a server when."""

    def turn(self, who: Priority, /) -> AbstractAsyncContextManager[None]:
        """Wait for a turn, and have it for the length of the block.

        Raises:
            UnavailableError: the server wants to be left alone for longer than one can wait.
        """
        ...

    def rest(self, seconds: float) -> None:
        """Begin no turn for so long."""
        ...
