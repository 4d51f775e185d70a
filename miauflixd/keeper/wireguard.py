"""A WireGuard tunnel: one interface, alone in a namespace, with one peer or none.

The interface is made outside and moved in: its UDP socket stays where it was born, in the host's
namespace, and the clear text can only be where the interface is. Another server means another peer
on the same interface: listening port, addresses and the sockets of those inside stay.

    what should be (`_configuration`, `_plan`) --connect, disconnect--> changed
    what is there                              --restore-->             as it should be
"""

import asyncio
import errno
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv6Interface
from typing import Final, Literal, Protocol

from miauflixd.keeper import programs
from miauflixd.keeper.kernel import KernelWireGuard
from miauflixd.keeper.messages import Endpoint, Server
from miauflixd.keeper.namespace import INTERFACE_KINDS, Namespace
from miauflixd.keeper.netlink import MAIN_TABLE, Family, Link, Netlink, Route
from miauflixd.keeper.peers import Configuration, Peer, decoded, has_ipv6, inner_addresses
from miauflixd.keeper.ports import Counters
from miauflixd.keeper.userspace import WireGuardGo

logger = logging.getLogger(__name__)

_BETWEEN_INITIATIONS = 0.03
"""Seconds from one handshake to the next.

A server drops the second of two initiations within 20 ms,
wireguard-go/device/constants.go, and nobody tries again for five seconds."""

Backend = Literal["kernel", "wireguard-go"]

SESSION_LASTS: Final = 180.0
"""Seconds after a handshake during which its keys are accepted (WireGuard's RejectAfterTime)."""

SMALLEST_MTU: Final = 1280
LARGEST_MTU: Final = 1440
"""1500 less 60 for IPv4, UDP and WireGuard; nobody has more."""


class Device(Protocol):
    """What makes the interface: the kernel, or a process."""

    async def adopt(self) -> Configuration | None:
        """Take over what an earlier run left; `None`: there is nothing that works."""
        ...

    async def make(self, configuration: Configuration) -> None:
        """Make it, in the namespace of this process, and down."""
        ...

    async def apply(self, configuration: Configuration, before: Configuration) -> None:
        """Change it; the peer is made anew, which begins a handshake."""
        ...

    async def remove(self) -> None:
        """Remove it; being gone already is fine."""
        ...

    def leave(self) -> None:
        """Let it go on without us."""
        ...

    def is_alive(self) -> bool:
        """Return whether what makes it is there."""
        ...

    def counters(self) -> Counters | None:
        """Return the only peer's."""
        ...


@dataclass(frozen=True, slots=True)
class _Plan:
    """How the interface is to stand in its namespace."""

    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    mtu: int = 1420
    reachable: frozenset[str] = frozenset()

    @property
    def families(self) -> tuple[Family, ...]:
        """For which it is the way out."""
        v4 = any(isinstance(address, IPv4Interface) for address in self.addresses)
        return (
            *((socket.AddressFamily.AF_INET,) if v4 else ()),
            *((socket.AddressFamily.AF_INET6,) if has_ipv6(self.addresses) else ()),
        )


class WireGuardTunnel:
    """Implements `ports.Tunnel`."""

    def __init__(
        self, *, host: Netlink, namespace: Namespace, device: Device, adopted: Configuration | None
    ) -> None:
        """Use `open`."""
        self._host = host
        self._namespace = namespace
        self._device = device
        self._configuration = adopted or Configuration()
        self._adopted = adopted is not None
        self._initiated = -_BETWEEN_INITIATIONS
        """When a handshake was begun last, on the loop's clock."""
        self._plan = _Plan()
        self._changing = asyncio.Lock()
        self.adopted = self._adopted
        """Whether it was running already; fixed when it was opened."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        host: Netlink,
        namespace: Namespace,
        backend: Backend,
        changed: Callable[[], None] = lambda: None,
        keep: Callable[[], bool] = lambda: False,
    ) -> AsyncIterator["WireGuardTunnel"]:
        """Adopt the namespace's interface when it works, else make it.

        Args:
            host: this process's own namespace, where the cipher text goes.
            namespace: where the clear text is.
            backend: who makes the interface.
            changed: called when it is gone by itself, whereupon `restore` is due.
            keep: asked at the end: whether the interface stays for the next run.

        Raises:
            OSError: the machine refuses.
        """
        interface = namespace.interface
        device: Device = (
            KernelWireGuard(interface, host=host, namespace=namespace)
            if backend == "kernel"
            else WireGuardGo(interface, changed=changed)
        )
        try:
            link = await namespace.netlink.link(interface)
            # Without its interface in place a process is of no use: its run crashed half way.
            adopted = await device.adopt() if link and link.kind in INTERFACE_KINDS else None
            if adopted is not None and not adopted.listen_port:
                adopted = None
            tunnel = cls(host=host, namespace=namespace, device=device, adopted=adopted)
            if adopted is None:
                tunnel._configuration = Configuration(listen_port=_free_port(0))
                await tunnel._rebuild()
            await tunnel._read_plan()
            await tunnel._arrange()
            yield tunnel
        finally:
            if keep():
                device.leave()
            else:
                await device.remove()

    @property
    def interface(self) -> str:
        """Its name."""
        return self._namespace.interface

    @property
    def listen_port(self) -> int:
        """Where the cipher text comes in; the same for as long as the tunnel lives."""
        return self._configuration.listen_port

    def has_peer(self, endpoint: Endpoint) -> bool:
        """Return whether this endpoint is the one behind the interface."""
        peer = self._configuration.peer
        return peer is not None and peer.public_key == decoded(endpoint.public_key)

    async def connect(self, endpoint: Endpoint, server: Server) -> None:
        """Make this the only peer, and begin a handshake with it.

        The first time after adoption, a peer that is the same and in good standing is left alone.

        Raises:
            OSError: the machine refuses, or the endpoint is nonsense.
        """
        plan = _Plan(
            addresses=inner_addresses(endpoint),
            mtu=min(max(endpoint.mtu, SMALLEST_MTU), LARGEST_MTU),
            reachable=frozenset([*endpoint.dns, *([endpoint.gateway] if endpoint.gateway else [])]),
        )
        async with self._changing:
            wanted = replace(
                self._configuration,
                private_key=decoded(endpoint.private_key),
                peer=Peer.of(endpoint, server),
            )
            adopted, self._adopted = self._adopted, False
            if not (adopted and wanted == self._configuration and self._is_fresh()):
                # First of all: the handshake is under way while the rest is done.
                await self._configure(wanted)
            self._plan = plan
            await self._arrange()

    async def disconnect(self) -> None:
        """Have no peer; the interface and its addresses stay.

        Raises:
            OSError: the machine refuses.
        """
        async with self._changing:
            await self._configure(replace(self._configuration, peer=None))

    async def rehandshake(self) -> None:
        """Begin a new handshake with the same peer.

        Raises:
            OSError: the machine refuses.
        """
        async with self._changing:
            if self._configuration.peer is not None:
                await self._configure(self._configuration)

    def counters(self) -> Counters | None:
        """Return what was counted since the peer was made."""
        return self._device.counters()

    async def restore(self) -> Sequence[str]:
        """Put back what is missing, and say what that was.

        Raises:
            OSError: the machine refuses.
        """
        async with self._changing:
            link = await self._namespace.netlink.link(self.interface)
            if link is None or not self._device.is_alive():
                await self._rebuild()
                await self._arrange()
                missing = [f"The interface {self.interface} was gone."]
            elif self._configuration.peer is not None and self.counters() is None:
                await self._configure(self._configuration)
                missing = [f"The interface {self.interface} had lost its peer."]
            else:
                missing = await self._arrange()
            for sentence in missing:
                logger.warning("Put back: %s", sentence)
            return missing

    async def close_connections(self) -> None:
        """End every TCP connection that goes through it.

        Raises:
            OSError: the machine refuses.
        """
        others = "not dst 127.0.0.0/8 and not dst [::1]"
        which = ("-H", "-n", "-t", "state", "connected", "exclude", "time-wait", others)
        await programs.run("ss", "-K", *which, namespace=self._namespace.path)
        if await programs.run("ss", *which, namespace=self._namespace.path):
            # A kernel without INET_DIAG_DESTROY.
            await self._namespace.firewall.reset_connections()

    # --- what is done under the lock -------------------------------------------------------------

    async def _configure(self, wanted: Configuration) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._initiated + _BETWEEN_INITIATIONS - loop.time())
        before, self._configuration = self._configuration, wanted
        try:
            await self._device.apply(wanted, before)
            self._initiated = loop.time()
        except OSError as error:
            # Refused because of its values, it will be again; else who makes it is gone or hangs.
            if error.errno == errno.EINVAL:
                raise
            logger.warning("The interface %s does not answer, making it anew", self.interface)
            await self._rebuild()

    async def _rebuild(self) -> None:
        await self._device.remove()
        await self._delete_links()
        port = _free_port(self._configuration.listen_port)
        self._configuration = replace(self._configuration, listen_port=port)
        await self._device.make(self._configuration)
        self._initiated = asyncio.get_running_loop().time()
        link = await self._host.link(self.interface)
        if link is None:
            raise OSError(errno.ENODEV, f"The interface {self.interface} did not appear")
        await self._host.move_link(link.index, self._namespace.descriptor)

    async def _delete_links(self) -> None:
        """Delete what bears our name, of our kind, inside or still outside."""
        for netlink in (self._namespace.netlink, self._host):
            link = await netlink.link(self.interface)
            if link is not None and link.kind in INTERFACE_KINDS:
                await netlink.delete_link(link.index)

    async def _arrange(self) -> list[str]:
        """Bring the interface and its namespace to what is planned, and say what differed."""
        namespace, plan = self._namespace, self._plan
        links = {link.name: link for link in await namespace.netlink.links()}
        link = links.get(self.interface)
        if link is None:
            raise OSError(errno.ENODEV, f"The interface {self.interface} is gone")
        # Rules before addresses and routes: what these open is then restricted already.
        await namespace.firewall.allow(plan.reachable)
        if has_ipv6(plan.addresses) != namespace.has_ipv6():
            namespace.set_ipv6(wanted=has_ipv6(plan.addresses))
        differed = []
        if not link.is_up:
            differed.append(f"The interface {self.interface} was down.")
        if link.mtu != plan.mtu:
            differed.append(f"The interface {self.interface} had another MTU.")
        if differed:
            await namespace.netlink.set_link(link.index, mtu=plan.mtu)
        differed += await self._arrange_addresses(link)
        # Last, as routes go when links go down and addresses leave.
        routes = await namespace.netlink.routes()
        differed += await self._arrange_routes(link, routes)
        return differed + await namespace.close_off(links.values(), routes)

    async def _arrange_addresses(self, link: Link) -> list[str]:
        netlink = self._namespace.netlink
        present = {
            found.address
            for found in await netlink.addresses(link.index)
            if not found.is_link_local
        }
        differed = []
        for address in self._plan.addresses:
            if address not in present:
                differed.append(f"An address of {self.interface} was missing.")
                await netlink.add_address(link.index, address)
        for address in present.difference(self._plan.addresses):
            differed.append(f"The interface {self.interface} had an address too many.")
            await netlink.delete_address(link.index, address)
        return differed

    async def _arrange_routes(self, link: Link, routes: Iterable[Route]) -> list[str]:
        present = {
            route.family
            for route in routes
            if route.table == MAIN_TABLE
            and route.destination == "default"
            and route.index == link.index
        }
        differed = []
        for family in self._plan.families:
            if family not in present:
                differed.append(f"The default route through {self.interface} was missing.")
                await self._namespace.netlink.add_default_route(family, link.index)
        return differed

    async def _read_plan(self) -> None:
        """Take what an adopted interface has as what it should have, until `connect` says."""
        link = await self._namespace.netlink.link(self.interface)
        if link is None or not self._adopted:
            return
        addresses = await self._namespace.netlink.addresses(link.index)
        self._plan = _Plan(
            addresses=tuple(found.address for found in addresses if not found.is_link_local),
            mtu=link.mtu,
        )

    def _is_fresh(self) -> bool:
        counters = self.counters()
        return (
            counters is not None
            and counters.handshake is not None
            and abs(time.time() - counters.handshake) < SESSION_LASTS
        )


async def usable_backend(host: Netlink, name: str) -> Backend:
    """Return who can make WireGuard interfaces here, by making one of this name for a moment."""
    try:
        await host.add_link(name, "wireguard")
    except OSError:
        return "wireguard-go"
    if link := await host.link(name):
        await host.delete_link(link.index)
    return "kernel"


def _free_port(preferred: int) -> int:
    """Return a UDP port that is free in this process's namespace: the preferred one if it is.

    Fixed, so that a rebuilt interface is the same to the NATs on the way, and late packets do not
    make the host complain to the server.
    """
    for port in (preferred, 0):
        for family, anywhere in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):  # noqa: S104 - only asks which port is free
            try:
                with socket.socket(family, socket.SOCK_DGRAM) as trial:
                    trial.bind((anywhere, port))
                    found: int = trial.getsockname()[1]
                    return found
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    break
    raise OSError(errno.EADDRINUSE, "No UDP port is free")
