"""What is wanted of the tunnel by those who send something through it, and what it wants itself."""

import socket
from collections.abc import Collection, Mapping
from typing import Literal, Protocol

Family = Literal["inet", "inet6"]
Kind = Literal["stream", "datagram"]


class Opener(Protocol):
    """Whoever makes sockets inside the tunnel: the engine."""

    async def open_socket(self, family: Family, kind: Kind) -> socket.socket:
        """Return a new socket that knows no other network than the tunnel; the caller closes it.

        Raises:
            TunnelDownError: there is nobody inside to make one.
            OSError: it cannot be made; too many are open, say.
        """
        ...


class Road(Protocol):
    """Whether there is a way out, and why not."""

    @property
    def up(self) -> bool:
        """Whether what is sent now can arrive."""
        ...

    @property
    def reason(self) -> str:
        """Why it is so, a sentence for people."""
        ...

    @property
    def ipv6(self) -> bool:
        """Whether it carries IPv6 as well."""
        ...


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


class Http(Protocol):
    """An HTTP client of the host's network, for providers' APIs: it works without a tunnel."""

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
            url: Where to.
            headers: In addition to the client's own.
            json: What to send as JSON, if anything.
            timeout: Seconds for all of it.
            limit: Bytes of the body, unpacked.
            allow: Origins that may be on a private network.

        Raises:
            MiauflixdError: there was no whole answer within these bounds.
            OSError: the network does not let us.
        """
        ...
