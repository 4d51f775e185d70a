"""Settings of the tunnel."""

from typing import Literal

from msgspec import Struct


class TunnelSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the swarm's traffic leaves this machine."""

    mode: Literal["required", "off"] = "required"
    """`required`: through WireGuard or not at all. `off`: openly, over this machine's network."""
