"""What is wanted of the tunnel by those who send something through it, and what it wants itself."""

import socket
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
