"""The house's own way to the internet: pulled, cut, readdressed, told lies."""

import asyncio
import socket
import struct
import time

from tests.lab import topology
from tests.lab.namespaces import CommandError
from tests.lab.trial import Fault, Trial


class _Uplink(Fault):
    seconds = 5.0

    async def run(self, trial: Trial) -> None:
        await self.take(trial)
        await asyncio.sleep(self.seconds)
        state = trial.product.state
        trial.check(state.name == "uplink_down", f"after {self.seconds:g} s it says {state.name}")
        await self.give(trial)
        moment = time.monotonic()
        at = await trial.back(within=20.0, after=moment)
        trial.measure("back", None if at is None else at - moment, at_most=1.0)
        await asyncio.sleep(0.5)
        trial.expect_no_switch()

    async def take(self, trial: Trial) -> None:
        await trial.lab.topology.pull()

    async def give(self, trial: Trial) -> None:
        await trial.lab.topology.plug()


class Pulled(_Uplink):
    id, title, smoke = "F13", "the cable is pulled for 5 s", True


class PulledLong(_Uplink):
    id, title = "F13b", "the cable is pulled for 60 s"
    seconds = 60.0


class Cut(_Uplink):
    id, title = "F13c", "the cable is cut where nobody sees it, for 20 s"
    seconds = 20.0

    async def take(self, trial: Trial) -> None:
        await trial.lab.topology.cut()

    async def give(self, trial: Trial) -> None:
        await trial.lab.topology.mend()


class Flapping(Fault):
    id, title = "F13d", "the cable has a loose contact, twenty times"

    async def run(self, trial: Trial) -> None:
        for _ in range(20):
            await trial.lab.topology.pull()
            await asyncio.sleep(trial.random.uniform(0.1, 1.0))
            await trial.lab.topology.plug()
            await asyncio.sleep(trial.random.uniform(0.2, 1.0))
        trial.expect_no_switch()
        at = await trial.back(within=5.0, after=time.monotonic())
        trial.check(at is not None, "no echo comes any more")


class NewAddress(Fault):
    id, title = "F14", "the house gets another address"

    async def run(self, trial: Trial) -> None:
        await trial.lab.topology.readdress(old=topology.HOST, new=topology.OTHER_HOST)
        await asyncio.sleep(3.0)
        trial.measure("outage", trial.heartbeat.longest(trial.began), at_most=1.0)
        trial.expect_no_switch()

    async def undo(self, trial: Trial) -> None:
        await trial.lab.topology.readdress(old=topology.OTHER_HOST, new=topology.HOST)


class TwoUplinks(Fault):
    id, title = "F15", "two uplinks race while it starts"

    async def run(self, trial: Trial) -> None:
        world = trial.lab.topology
        async with trial.product.dead():
            await world.plug_second(metric=50)
        for metric in (10, 400, 20, 300):
            await asyncio.sleep(0.4)
            await world.host.script(
                "ip route del default dev up1",
                f"ip route add default via {topology.GATEWAY} dev up1 onlink metric {metric}",
            )
        at = await trial.back(within=15.0, after=time.monotonic())
        trial.check(at is not None, "no echo comes")

    async def undo(self, trial: Trial) -> None:
        await trial.lab.topology.unplug_second()


class RogueRoutes(Fault):
    id, title = "F16", "a lease brings routes for half of the internet (TunnelVision)"

    _PREFIXES = ("0.0.0.0/1", "128.0.0.0/1", f"{topology.TRACKER}/32", f"{topology.SEEDS[0]}/32")

    async def run(self, trial: Trial) -> None:
        for prefix in self._PREFIXES:
            await trial.lab.topology.host.script(
                f"ip route replace {prefix} via {topology.GATEWAY}"
            )
        await trial.lab.topology.drop(trial.active)  # what would leave now, leaves
        trial.measure("outage", await trial.outage(within=10.0), at_most=3.1)

    async def undo(self, trial: Trial) -> None:
        for prefix in self._PREFIXES:
            await trial.lab.topology.host.script(f"ip route del {prefix}")


class Rebound(Fault):
    id, title = "F17", "the router forgets its connections"

    async def run(self, trial: Trial) -> None:
        await trial.lab.topology.rebind()
        await asyncio.sleep(3.0)
        trial.measure("outage", trial.heartbeat.longest(trial.began), at_most=1.0)
        trial.expect_no_switch()


class Announced(Fault):
    id, title = "F18", "a router advertises another IPv6 prefix"

    async def run(self, trial: Trial) -> None:
        await trial.lab.topology.host.script(
            "sysctl -qw net.ipv6.conf.up0.accept_ra=2", "sysctl -qw net.ipv6.conf.up0.autoconf=1"
        )
        sender = trial.lab.topology.isp.socket(
            socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6
        )
        with sender:
            listing = await trial.lab.topology.isp.run("ip", "-o", "link", "show", "dev", "home")
            index = listing.partition(":")[0]
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"home")
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            sender.sendto(_advertisement("2a02:4780:99::"), ("ff02::1", 0, 0, int(index)))
        await trial.lab.topology.drop(trial.active)
        trial.measure("outage", await trial.outage(within=10.0), at_most=3.1)

    async def undo(self, trial: Trial) -> None:
        await trial.lab.topology.host.script("sysctl -qw net.ipv6.conf.up0.accept_ra=0")


def _advertisement(prefix: str) -> bytes:
    """Return a router advertisement for a /64, RFC 4861; the kernel puts the checksum in."""
    header = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 600, 0, 0)
    option = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 600, 600, 0)
    return header + option + socket.inet_pton(socket.AF_INET6, prefix)


class SmallPath(Fault):
    id, title = "F44", "larger packets than 1300 bytes are swallowed"

    async def run(self, trial: Trial) -> None:
        await trial.lab.topology.narrow_path(1300)
        at = await trial.player.next_byte(time.monotonic() + 5.0, within=25.0)
        trial.check(at is not None, "the film does not come any more")
        trial.expect_no_switch()


class Inbound(Fault):
    id, title = "F35", "somebody knocks at every usual port of the house"

    _PORTS = (53, 80, 443, 6881, 8484, 51820)

    async def run(self, trial: Trial) -> None:
        for port in self._PORTS:
            with trial.lab.topology.net.socket(socket.AF_INET6, socket.SOCK_STREAM) as caller:
                try:
                    async with asyncio.timeout(0.5):
                        await asyncio.get_running_loop().sock_connect(
                            caller, (topology.HOST_V6, port)
                        )
                except (OSError, TimeoutError):
                    continue
                trial.complain(f"somebody answers at port {port}")


class Flushed(Fault):
    id, title = "F21b", "somebody flushes the rules of the house"

    async def run(self, trial: Trial) -> None:
        try:
            await trial.lab.topology.host.script("nft flush ruleset")
        except CommandError as error:
            trial.complain(str(error))
        await asyncio.sleep(2.0)
        trial.measure("outage", trial.heartbeat.longest(trial.began), at_most=0.5)


FAULTS = (
    Pulled,
    PulledLong,
    Cut,
    Flapping,
    NewAddress,
    TwoUplinks,
    RogueRoutes,
    Rebound,
    Announced,
    SmallPath,
    Inbound,
    Flushed,
)
