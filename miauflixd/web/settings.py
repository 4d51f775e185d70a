"""Settings of the web server."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from miauflixd.runtime.secrets import Secret

Network = Annotated[
    str,
    Meta(
        pattern=r"^[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?\Z",
        description='an address, or a network such as "192.0.2.0/24"',
    ),
]
HostName = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
        r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z",
        description='a name such as "films.example.org"',
    ),
]


CONTROL_SOCKET = Path("/run/miauflixd/control.sock")
"""Where the control socket is unless the settings say so: in the folder that the unit makes. Where
there is no such folder, or it is not ours, there is no such socket."""


class WebSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where people reach the appliance."""

    host: str = "127.0.0.1"
    """Address to listen on. Behind the shipped nginx it stays on the loopback."""

    port: Annotated[int, Meta(ge=0, le=65535)] = 8484
    """TCP port to listen on; 0 takes a free one and logs it."""

    unix_socket: Path | None = None
    """A unix socket to listen on as well, for nginx on the same machine.

    Whoever may connect to it is believed to be a proxy: what it says of its clients counts.
    """

    control_socket: Path | None = None
    """A unix socket at which root, and the daemon's own user, administer it without an account.

    By default `CONTROL_SOCKET`, where there is a place for it.
    """

    public_names: list[HostName] = field(default_factory=list)
    """Names under which people reach it from outside, besides this machine's own."""

    trusted_proxies: list[Network] = field(default_factory=list)
    """Addresses of proxies that connect over TCP and are believed, when they bring the secret.

    Only of proxies: for who has one of these addresses a proxy's word is not the last.
    """

    proxy_secret: Secret | None = None
    """What a proxy that connects over TCP has to send as `X-Miauflix-Proxy-Secret`."""

    streams_per_user: Annotated[int, Meta(ge=1, le=1000)] = 5
    """Films that one user may be sent at the same time, on all devices together."""

    rate_limits: bool = True
    """Whether one address, or one user, is served only so many requests in a while."""
