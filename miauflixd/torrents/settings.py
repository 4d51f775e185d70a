"""Settings of the downloads."""

from typing import Annotated

from msgspec import Meta, Struct, field


class TorrentsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How downloads behave towards the swarm and the disk."""

    listen: list[str] = field(default_factory=lambda: ["0.0.0.0:0", "[::]:0"])
    """Addresses and ports to accept peers on, `address:port`; port 0 takes a free one.

    A free one is the default because after an unclean end peers refuse to talk to the same port
    again for a while: 2 of 4 restarts on a fixed port gave no byte for 12 s.
    """

    connections: Annotated[int, Meta(ge=10, le=5000)] = 200
    """Connections to peers at most, over all downloads."""

    download_rate: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    """Bytes per second from the swarm at most; 0 for no limit."""

    upload_rate: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    """Bytes per second to the swarm at most; 0 for no limit."""

    dht: bool = True
    """Find peers in the distributed hash table too, not only through trackers."""

    minimum_free: Annotated[int, Meta(ge=0)] = 256 * 2**20
    """Bytes of the disk to leave free: downloads stop before, and go on when there is more."""

    quota: Annotated[int, Meta(ge=0)] = 0
    """Bytes of the disk that downloads may take; 0 for as many as there is room for.

    What nobody has watched for longest goes first, and what runs or is pinned never.
    """

    seed_ratio: Annotated[float, Meta(ge=0, le=100)] = 1.0
    """How much of a download is given back before it leaves the swarm, ten minutes after the last
    who watched it at the earliest; 0 for nothing beyond those."""

    seed_time: Annotated[int, Meta(ge=0, le=30 * 86400)] = 6 * 3600
    """Seconds after which it leaves even so."""

    no_data_timeout: Annotated[float, Meta(gt=0, le=600)] = 30.0
    """Seconds without a byte from the swarm after which a reader that got none is told so."""
