"""The two clients there are."""

from contextlib import AbstractAsyncContextManager

from miauflixd import __version__
from miauflixd.egress.client import HttpClient
from miauflixd.egress.names import MachineNames, TunnelNames
from miauflixd.egress.roads import MachineRoad
from miauflixd.egress.sockets import MachineSockets, TunnelSockets
from miauflixd.tunnel.ports import Opener, Road

_NOBODY = "Mozilla/5.0"
"""Says nothing about who asks; servers that want a User-Agent are content with it."""


def host_client(*, authorities: str | None = None) -> AbstractAsyncContextManager[HttpClient]:
    """Return the client for what says nothing of the swarm: metadata, and the providers' APIs."""
    return HttpClient.open(
        road=MachineRoad(),
        sockets=MachineSockets(),
        names=MachineNames(),
        user_agent=f"miauflixd/{__version__}",
        authorities=authorities,
    )


def tunnel_client(
    *,
    opener: Opener,
    road: Road,
    stub: tuple[str, int] = ("127.0.0.1", 53),
    authorities: str | None = None,
) -> AbstractAsyncContextManager[HttpClient]:
    """Return the client for whatever concerns sources and swarms.

    Its sockets are made inside the tunnel, and names are asked of the resolver in there (`stub`).
    """
    return HttpClient.open(
        road=road,
        sockets=TunnelSockets(opener=opener, road=road),
        names=TunnelNames(opener=opener, road=road, stub=stub),
        user_agent=_NOBODY,
        authorities=authorities,
    )


def open_client(*, authorities: str | None = None) -> AbstractAsyncContextManager[HttpClient]:
    """Return what stands in for the tunnel's client when `vpn.mode` is `off`."""
    return HttpClient.open(
        road=MachineRoad(),
        sockets=MachineSockets(),
        names=MachineNames(),
        user_agent=_NOBODY,
        authorities=authorities,
    )
