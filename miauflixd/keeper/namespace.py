"""A named network namespace with no way out but one interface, which comes later.

    absent --make--> closed: lo, unreachable default routes, rules that drop
    left by a run that crashed --adopt--> as it was, if it holds nothing but lo and our interface
                               --remove, make--> closed, if not

From its first instant a namespace has no route but that to itself, so there is no moment in which
something inside could reach anything: the unreachable routes and the rules only make that visible
and keep it so. Processes still inside from an earlier run are ended before anything else.
"""

import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

from pyroute2 import netns

from miauflixd.keeper import programs, raw_netlink
from miauflixd.keeper.firewall import Firewall
from miauflixd.keeper.inside import inside, set_sysctls, socket_inside
from miauflixd.keeper.netlink import UNREACHABLE, Link, Netlink, Route

logger = logging.getLogger(__name__)

NETLINK_NETFILTER: Final = 12
"""From linux/netlink.h; Python does not name it."""

NAMES: Final = Path("/run/netns")
CONFIGURATION: Final = Path("/etc/netns")

INTERFACE_KINDS: Final = ("wireguard", "tun")
"""The kernel's WireGuard, and wireguard-go's interface."""

FALLBACK_LINKS: Final = frozenset(
    ("erspan0", "gre0", "gretap0", "ip6_vti0", "ip6gre0", "ip6tnl0", "ip_vti0", "sit0", "tunl0")
)
"""Made by the kernel in every namespace when a tunnelling module is loaded; harmless while down."""

SYSCTLS: Final = {
    "ipv6/conf/all/disable_ipv6": "1",
    "ipv6/conf/default/disable_ipv6": "1",
    # The keeper's probes are ICMP datagram sockets: no CAP_NET_RAW needed.
    "ipv4/ping_group_range": "0 2147483647",
    # The stub resolver listens on port 53 without privileges.
    "ipv4/ip_unprivileged_port_start": "0",
    # TCP finds a smaller path MTU by itself where servers swallow the ICMP that would tell it.
    "ipv4/tcp_mtu_probing": "1",
}

FILES: Final = {
    # Three seconds of failover fit between the first question and the last (2 s, three times).
    "resolv.conf": "nameserver 127.0.0.1\noptions timeout:2 attempts:3\n",
    # `files dns` and nothing else: nss-resolve, mdns and the like ask daemons in the host.
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
    "networks: files\nprotocols: files\nservices: files\n",
}


class Namespace:
    """A namespace that is open for work in it."""

    def __init__(
        self, *, name: str, interface: str, descriptor: int, netlink: Netlink, firewall: Firewall
    ) -> None:
        """Use `open`."""
        self.name = name
        self.interface = interface
        self.descriptor = descriptor
        self.netlink = netlink
        self.firewall = firewall
        self.inode = os.fstat(descriptor).st_ino
        self.adopted = False

    @property
    def path(self) -> str:
        """For `nsenter --net=`; valid as long as it is open, even if the name is deleted."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Make a socket that belongs inside."""
        return socket_inside(self.descriptor, family, kind, protocol)

    def processes(self) -> list[int]:
        """Return the processes whose main thread is inside."""
        return processes_inside(self.inode)

    def set_ipv6(self, *, wanted: bool) -> None:
        """Let the interface and lo have IPv6, or have none anywhere."""
        value = "0" if wanted else "1"
        settings = {f"ipv6/conf/{link}/disable_ipv6": value for link in ("lo", self.interface)}
        if wanted:  # before it is up: nothing on it says or believes anything by itself
            settings = {
                f"ipv6/conf/{self.interface}/accept_ra": "0",
                f"ipv6/conf/{self.interface}/autoconf": "0",
                f"ipv6/conf/{self.interface}/addr_gen_mode": "1",
            } | settings
        with suppress(FileNotFoundError):  # a kernel without IPv6, or the interface is gone
            set_sysctls(self.descriptor, settings)

    def has_ipv6(self) -> bool:
        """Return whether the interface may have IPv6."""

        def read() -> bool:
            setting = Path(f"/proc/sys/net/ipv6/conf/{self.interface}/disable_ipv6")
            return setting.exists() and setting.read_text().strip() == "0"

        return inside(self.descriptor, read)

    async def close_off(self, links: Iterable[Link], routes: Iterable[Route]) -> list[str]:
        """Put back what makes it closed and is not among these; say what was missing."""
        missing = []
        for link in links:
            if link.name == "lo" and not link.is_up:
                await self.netlink.set_link(link.index)
                missing.append("The namespace's loopback was down.")
        walled = {route.family for route in routes if is_the_wall(route)}
        for family in (socket.AF_INET, socket.AF_INET6):
            if family not in walled and (family == socket.AF_INET or self.has_ipv6()):
                await self.netlink.add_unreachable_route(family)
                missing.append("The namespace's unreachable default route was missing.")
        if await self.firewall.restore():
            missing.append("The namespace's rules had been changed.")
        return missing

    @classmethod
    @asynccontextmanager
    async def open(
        cls, name: str, *, interface: str, keep: Callable[[], bool] = lambda: False
    ) -> AsyncIterator["Namespace"]:
        """Adopt what an earlier run left under this name when it is sound, else make it anew.

        Args:
            name: at most 12 characters.
            interface: the name of the only interface that may be in it, besides lo.
            keep: asked at the end: whether all of it stays for the next run.

        Raises:
            OSError: the machine refuses.
        """
        end_processes_inside(name)
        adopted = await _is_sound(name, interface)
        if not adopted:
            remove(name)
        async with AsyncExitStack() as stack:
            if not adopted:
                netns.create(name)
            stack.callback(lambda: None if keep() else remove(name))
            _write_files(name)
            with _opened(name) as descriptor:
                async with _entered(name, interface, descriptor) as namespace:
                    namespace.adopted = adopted
                    set_sysctls(descriptor, _possible(SYSCTLS, adopted=adopted))
                    await namespace.firewall.apply()
                    netlink = namespace.netlink
                    await namespace.close_off(await netlink.links(), await netlink.routes())
                    yield namespace
            if not keep():
                end_processes_inside(name)


def is_the_wall(route: Route) -> bool:
    """Return whether this is the route that answers "unreachable" to everything."""
    return route.type == UNREACHABLE and route.destination == "default"


def strangers(links: Iterable[Link], routes: Iterable[Route], interface: str) -> list[str]:
    """Return what does not belong into a namespace, as sentences."""
    links = list(links)
    ours = {
        link.index
        for link in links
        if link.name == "lo" or (link.name == interface and link.kind in INTERFACE_KINDS)
    }
    found = [
        f"The interface {link.name} ({link.kind or 'hardware'}) is in the namespace."
        for link in links
        if link.index not in ours and (link.is_up or link.name not in FALLBACK_LINKS)
    ]
    found += [
        f"A route to {route.destination} leads elsewhere than into the tunnel."
        for route in routes
        if route.index not in ours and route.type != UNREACHABLE
    ]
    return found


def remove(name: str) -> None:
    """Remove the name and what was written for it; being gone already is fine.

    The namespace itself goes with the last process and descriptor that is in it, and takes its
    interfaces along.
    """
    with suppress(FileNotFoundError):
        netns.remove(name)
    for file in FILES:
        (CONFIGURATION / name / file).unlink(missing_ok=True)
    for folder in (CONFIGURATION / name, CONFIGURATION):
        with suppress(OSError):  # somebody else keeps something there
            folder.rmdir()


def processes_inside(inode: int) -> list[int]:
    """Return the processes whose main thread is in the namespace of this number."""
    found = []
    with os.scandir("/proc") as processes:
        for process in processes:
            if process.name.isdigit():
                with suppress(OSError):  # it ended
                    if os.stat(f"/proc/{process.name}/ns/net").st_ino == inode:  # noqa: PTH116 - 300 times every few seconds
                        found.append(int(process.name))
    return found


def end_processes_inside(name: str) -> None:
    """Kill whatever runs in the namespace of this name, and see it gone.

    Raises:
        TimeoutError: some do not go.
        PermissionError: the name is that of the host's own namespace, which is none of ours.
    """
    own = Path("/proc/self/ns/net").stat()
    try:
        named = (NAMES / name).stat()
    except FileNotFoundError:
        return
    if named.st_dev != own.st_dev:
        return  # no namespace, but a file that was to become one when the run crashed
    if named.st_ino == own.st_ino:
        raise PermissionError(f"{NAMES / name} is the host's own network: remove it")
    # Again, because what was killed may have started another before.
    while found := processes_inside(named.st_ino):
        logger.info("Ending what an earlier run left in namespace %s: %s", name, found)
        for process in found:
            programs.kill(process)


async def _is_sound(name: str, interface: str) -> bool:
    if name not in netns.listnetns(str(NAMES)):
        return False
    try:
        with _opened(name) as descriptor:
            connection = socket_inside(descriptor, socket.AF_NETLINK, socket.SOCK_DGRAM)
            async with Netlink.open(connection) as netlink:
                found = strangers(await netlink.links(), await netlink.routes(), interface)
    except OSError as error:  # a file that is no namespace: the run crashed between two steps
        found = [str(error)]
    for sentence in found:
        logger.warning("Not adopting what is left of namespace %s: %s", name, sentence)
    return not found


@contextmanager
def _opened(name: str) -> Iterator[int]:
    descriptor = os.open(NAMES / name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@asynccontextmanager
async def _entered(name: str, interface: str, descriptor: int) -> AsyncIterator[Namespace]:
    connection = socket_inside(descriptor, socket.AF_NETLINK, socket.SOCK_DGRAM)
    with socket_inside(
        descriptor, socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER
    ) as netfilter:
        async with Netlink.open(connection) as netlink:
            namespace = Namespace(
                name=name,
                interface=interface,
                descriptor=descriptor,
                netlink=netlink,
                firewall=Firewall(
                    namespace=f"/proc/{os.getpid()}/fd/{descriptor}",
                    interface=interface,
                    kernel=raw_netlink.opened(netfilter),
                ),
            )
            yield namespace


def _possible(values: dict[str, str], *, adopted: bool) -> dict[str, str]:
    """Leave out what this kernel does not have, and what would disturb a tunnel that runs."""
    return {
        name: value
        for name, value in values.items()
        if Path("/proc/sys/net", name).exists() and not (adopted and name.startswith("ipv6/"))
    }


def _write_files(name: str) -> None:
    folder = CONFIGURATION / name
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for file, text in FILES.items():
        (folder / file).write_text(text)
        (folder / file).chmod(0o644)
