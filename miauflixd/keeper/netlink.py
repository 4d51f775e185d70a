"""Links, addresses, routes and neighbours of one network namespace, by rtnetlink.

pyroute2's home: its messages become frozen values here, and its errors OSErrors. A dump costs
0.2 to 0.4 ms of processor time.
"""

import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from typing import Any, Final, Literal

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError

Family = Literal[socket.AddressFamily.AF_INET, socket.AddressFamily.AF_INET6]

UNREACHABLE: Final = 7
"""Type of a route that answers "unreachable"; from linux/rtnetlink.h, as those below."""

MAIN_TABLE: Final = 254
LEAST_PREFERRED: Final = 0xFFFFFFFF
"""The metric of the unreachable default routes: any other route is preferred."""

IFF_UP: Final = 0x1
IFF_NOARP: Final = 0x80
IFF_LOWER_UP: Final = 0x10000

NUD_REACHABLE: Final = 0x02
NUD_NOARP: Final = 0x40
NUD_PERMANENT: Final = 0x80


@dataclass(frozen=True, slots=True)
class Link:
    """An interface."""

    index: int
    name: str
    kind: str | None
    """`tun`, `wireguard`, `veth`, ...; hardware and `lo` have none."""
    mtu: int
    is_up: bool
    """By will of the administrator."""
    has_carrier: bool
    resolves: bool
    """Whether neighbours on it have addresses of their own to be resolved (ARP, ND)."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address of an interface."""

    index: int
    address: IPv4Interface | IPv6Interface
    is_link_local: bool


@dataclass(frozen=True, slots=True)
class Route:
    """A route of any table."""

    family: int
    table: int
    type: int
    destination: str
    """`default`, or a network."""
    gateway: str | None
    index: int | None
    metric: int


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Somebody on the same wire."""

    state: int
    hardware: str | None


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise what pyroute2 raises as an OSError that says what was being done."""
    try:
        yield
    except NetlinkError as error:
        raise OSError(error.code, f"{doing}: {error.args[-1]}") from error


class Netlink:
    """A connection to the kernel about one namespace: that of the socket it is given."""

    def __init__(self, connection: AsyncIPRoute) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, connection: socket.socket) -> AsyncIterator["Netlink"]:
        """Talk through an unbound `AF_NETLINK` datagram socket, which is closed at the end.

        The socket decides about the namespace. pyroute2 could make it, but forks the whole process
        for that (3 ms, and a fork in a program with threads); a thread does it in 0.15 ms.
        """
        # No groups: notifications nobody reads would fill the socket.
        route = AsyncIPRoute(use_socket=connection, groups=0)
        try:
            await route.setup_endpoint()
            await route.bind()
            yield cls(route)
        finally:
            route.close()
            connection.close()

    # --- what there is ---------------------------------------------------------------------------

    async def links(self) -> list[Link]:
        """Return all interfaces."""
        return [
            Link(
                index=link["index"],
                name=link.get_attr("IFLA_IFNAME"),
                kind=link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND"),
                mtu=link.get_attr("IFLA_MTU"),
                is_up=bool(link["flags"] & IFF_UP),
                has_carrier=bool(link["flags"] & IFF_LOWER_UP),
                resolves=not link["flags"] & IFF_NOARP,
            )
            for link in await self._dump("get_links")
        ]

    async def link(self, name: str) -> Link | None:
        """Return the interface of this name."""
        return next((link for link in await self.links() if link.name == name), None)

    async def addresses(self, index: int) -> list[Address]:
        """Return an interface's addresses."""
        return [
            Address(
                index=index,
                # On a point-to-point interface IFA_ADDRESS is the other end's.
                address=ip_interface(
                    f"{found.get_attr('IFA_LOCAL') or found.get_attr('IFA_ADDRESS')}"
                    f"/{found['prefixlen']}"
                ),
                is_link_local=ip_address(found.get_attr("IFA_ADDRESS")).is_link_local,
            )
            for found in await self._dump("get_addr", index=index)
        ]

    async def routes(self, family: Family | None = None) -> list[Route]:
        """Return the routes of all tables."""
        return [
            Route(
                family=route["family"],
                table=route.get_attr("RTA_TABLE") or route["table"],
                type=route["type"],
                destination=f"{network}/{route['dst_len']}"
                if (network := route.get_attr("RTA_DST"))
                else "default",
                gateway=_gateway(route),
                index=_outgoing(route),
                metric=route.get_attr("RTA_PRIORITY") or 0,
            )
            for route in await self._dump("get_routes", **({"family": family} if family else {}))
        ]

    async def neighbour(self, index: int, address: str) -> Neighbour | None:
        """Return what is known of a neighbour."""
        family = _family(address)
        for found in await self._dump("get_neighbours", family=family, ifindex=index):
            if found["ifindex"] == index and found.get_attr("NDA_DST") == address:
                return Neighbour(state=found["state"], hardware=found.get_attr("NDA_LLADDR"))
        return None

    # --- changes ---------------------------------------------------------------------------------

    async def add_link(self, name: str, kind: str) -> None:
        """Make an interface."""
        with translated(f"adding interface {name}"):
            await self._connection.link("add", ifname=name, kind=kind)

    async def delete_link(self, index: int) -> None:
        """Remove an interface; being gone already is fine."""
        with translated("deleting an interface"), _already(errno.ENODEV):
            await self._connection.link("del", index=index)

    async def move_link(self, index: int, namespace: int) -> None:
        """Move an interface into the namespace of this descriptor."""
        with translated("moving an interface"):
            await self._connection.link("set", index=index, net_ns_fd=namespace)

    async def set_link(self, index: int, *, mtu: int | None = None, up: bool = True) -> None:
        """Set an interface's MTU, and whether it is up."""
        wanted = {"mtu": mtu} if mtu is not None else {}
        with translated("setting up an interface"):
            await self._connection.link("set", index=index, state="up" if up else "down", **wanted)

    async def add_address(self, index: int, address: IPv4Interface | IPv6Interface) -> None:
        """Give an interface an address."""
        with translated(f"adding address {address}"), _already(errno.EEXIST):
            await self._connection.addr(
                "add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen
            )

    async def delete_address(self, index: int, address: IPv4Interface | IPv6Interface) -> None:
        """Take an address from an interface."""
        with translated(f"deleting address {address}"), _already(errno.EADDRNOTAVAIL):
            await self._connection.addr(
                "del", index=index, address=str(address.ip), prefixlen=address.network.prefixlen
            )

    async def add_default_route(self, family: Family, index: int) -> None:
        """Send everything through an interface."""
        with translated("adding the default route"), _already(errno.EEXIST):
            await self._connection.route("add", family=family, dst="default", oif=index)

    async def add_unreachable_route(self, family: Family) -> None:
        """Answer "unreachable" where no other route leads."""
        with translated("adding the unreachable route"), _already(errno.EEXIST):
            await self._connection.route(
                "add",
                family=family,
                dst="default",
                type="unreachable",
                priority=LEAST_PREFERRED,
            )

    async def probe_neighbour(self, index: int, address: str, hardware: str) -> None:
        """Make the kernel ask a neighbour, at once, whether it is still there."""
        with translated("probing a neighbour"):
            await self._connection.neigh(
                "change",
                family=_family(address),
                ifindex=index,
                dst=address,
                lladdr=hardware,
                state="probe",
            )

    async def _dump(self, what: str, **wanted: Any) -> list[Any]:
        with translated("asking the kernel"):
            while True:
                try:
                    return [
                        message async for message in await getattr(self._connection, what)(**wanted)
                    ]
                except NetlinkDumpInterrupted:
                    continue  # something changed meanwhile, so the answer may be half old


@contextmanager
def _already(code: int) -> Iterator[None]:
    """Take it as done when the kernel says that there was nothing to do."""
    try:
        yield
    except NetlinkError as error:
        if error.code != code:
            raise


def _family(address: str) -> Family:
    v4 = ip_address(address).version == 4  # noqa: PLR2004 - IP's own number
    return socket.AddressFamily.AF_INET if v4 else socket.AddressFamily.AF_INET6


def _gateway(route: Any) -> str | None:
    # A gateway of the other family (RFC 5549) stands in an attribute of its own.
    if other := route.get_attr("RTA_VIA"):
        return str(other["addr"])
    for hop in route.get_attr("RTA_MULTIPATH") or ():
        if gateway := hop.get_attr("RTA_GATEWAY"):
            return str(gateway)
    return route.get_attr("RTA_GATEWAY")  # type: ignore[no-any-return] # pyroute2 has no types


def _outgoing(route: Any) -> int | None:
    for hop in route.get_attr("RTA_MULTIPATH") or ():
        return int(hop["oif"])
    return route.get_attr("RTA_OIF")  # type: ignore[no-any-return] # pyroute2 has no types
