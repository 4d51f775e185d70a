"""Settings of the tunnel."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from miauflixd.runtime.secrets import Secret

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"

Address = Annotated[
    str, Meta(pattern=rf"^{_OCTET}(\.{_OCTET}){{3}}\Z", description="an IPv4 address")
]
Name = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9-]{0,11}\Z",
        description="1 to 12 of a-z, 0-9 and -, beginning with a letter",
    ),
]
Country = Annotated[
    str, Meta(pattern=r"^[A-Za-z]{2}\Z", description='two letters, such as "se" for Sweden')
]


class TunnelSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the swarm's traffic leaves this machine."""

    mode: Literal["required", "off"] = "required"
    """`required`: through WireGuard or not at all. `off`: openly, over this machine's network."""

    namespace: Name = "miauflix"
    """Name of the network namespace; interfaces (15 characters at most) are named after it."""

    resolvers: list[Address] = field(default_factory=lambda: ["1.1.1.1", "9.9.9.9", "8.8.8.8"])
    """Public resolvers that are asked besides the provider's, through the tunnel only.

    Three companies, so that one of them being down is not noticed.
    """

    port_forwarding: bool = True
    """Ask the provider for a port at which peers can reach us, where it offers one."""

    nordvpn_token: Secret | None = None
    """An access token of a NordVPN account, the same as pasting it into the web page."""

    country: Country | None = None
    """Where servers of accounts are to be; by default wherever the provider recommends."""

    city: str | None = None
    """In which city of the country, as the provider writes it."""

    conf_folder: Path | None = None
    """A folder of WireGuard files (`.conf`), all of which stand on the ladder behind the others."""

    lan_endpoints: bool = False
    """Accept servers on the local network: a router of one's own that has WireGuard."""
