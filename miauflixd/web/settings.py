"""Settings of the web server."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct


class WebSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where people reach the appliance."""

    host: str = "127.0.0.1"
    """Address to listen on. Behind the shipped nginx it stays on the loopback."""

    port: Annotated[int, Meta(ge=0, le=65535)] = 8484
    """TCP port to listen on; 0 takes a free one and logs it."""

    unix_socket: Path | None = None
    """A unix socket to listen on as well, for nginx on the same machine."""
