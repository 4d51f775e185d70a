"""What web sources want of others."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Stream(Protocol):
    """An answer that is read as it comes."""

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

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            TunnelDownError: it broke off, since there is no way out any more.
            EgressError: it broke off, or nothing came in time.
        """
        ...


class Http(Protocol):
    """An HTTP client, through the tunnel or by the host's own network."""

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float,
        allow: Collection[str] = (),
    ) -> AbstractAsyncContextManager[Stream]:
        """Send a request, follow redirects, and have the body as it is read.

        Args:
            method: `GET`.
            url: where to.
            headers: `Range`, say.
            timeout: seconds until the answer begins, and then between one piece and the next.
            allow: origins that may be on a private network.

        Raises:
            TunnelDownError: there is no way out now.
            EgressError: no answer that can be used.
        """
        ...
