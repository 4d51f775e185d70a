"""What happens on the machine: processes killed and stopped, links and rules tampered with."""

import asyncio
import pwd
import signal
import time
from pathlib import Path

from tests.lab.exits import FirstByte
from tests.lab.namespaces import CommandError, command
from tests.lab.product import USER, ended
from tests.lab.trial import Fault, Trial

STREAMS_AGAIN = 3.0
"""Seconds from a crash of any part to the next byte of the film."""


class WireguardKilled(Fault):
    id, title, smoke = "F19", "wireguard-go is killed, and the interface is gone", True

    async def run(self, trial: Trial) -> None:
        trial.kill("wireguard")
        at = await trial.player.next_byte(trial.began + 0.2, within=10.0)
        await asyncio.sleep(1.0)
        trial.measure("outage", trial.heartbeat.longest(trial.began), at_most=0.5)
        trial.measure("film", None if at is None else at - trial.began, at_most=STREAMS_AGAIN)


class Tampered(Fault):
    id, title, smoke = "F20", "link down, address gone, route gone, MTU 576", True

    async def run(self, trial: Trial) -> None:
        link = await tunnel_link(trial)
        address = (
            await trial.product.namespace.run("ip", "-o", "-4", "addr", "show", "dev", link)
        ).split()
        own = address[address.index("inet") + 1]
        for name, line in (
            ("link", f"ip link set {link} down"),
            ("address", f"ip addr del {own} dev {link}"),
            ("route", f"ip route del default dev {link}"),
        ):
            moment = time.monotonic()
            await trial.product.namespace.script(line)
            await asyncio.sleep(0.15)
            at = await trial.back(within=10.0, after=time.monotonic())
            trial.measure(name, None if at is None else at - moment, at_most=0.5)
            await asyncio.sleep(0.2)
        await trial.product.namespace.script(f"ip link set {link} mtu 576")
        trial.measure("MTU", await _mtu_is_back(trial, link), at_most=0.5)


async def tunnel_link(trial: Trial) -> str:
    """Return the name of the interface in the namespace."""
    words = (await trial.product.namespace.run("ip", "route", "show", "default")).split()
    return words[words.index("dev") + 1]


async def _mtu_is_back(trial: Trial, link: str) -> float | None:
    moment = time.monotonic()
    while time.monotonic() - moment < 5.0:
        if "mtu 576" not in await trial.product.namespace.run("ip", "link", "show", "dev", link):
            return time.monotonic() - moment
        await asyncio.sleep(0.02)
    return None


class Intruder(Fault):
    id, title, smoke = (
        "F21",
        "somebody puts a cable into the namespace, and flushes its rules",
        True,
    )

    async def run(self, trial: Trial) -> None:
        space = trial.product.namespace
        trial.allowed = ("link intruder",)
        await space.script("ip link add intruder type veth peer name outside")
        await trial.lab.topology.host.script("true")
        seen = await trial.product.reaches("quarantine", within=5.0)
        trial.measure("quarantine", None if seen is None else seen - trial.began, at_most=1.0)
        await space.script("ip link del intruder")
        at = await trial.product.reaches("up", within=15.0)
        trial.check(at is not None, "it does not leave quarantine when the cable is gone")
        await trial.back(within=5.0, after=time.monotonic())
        moment = time.monotonic()
        await space.script("nft flush ruleset")
        trial.measure("rules", await _rules_are_back(trial, moment), at_most=1.0)

    async def undo(self, trial: Trial) -> None:
        try:
            await trial.product.namespace.script("ip link del intruder")
        except CommandError:
            return


async def _rules_are_back(trial: Trial, moment: float) -> float | None:
    while time.monotonic() - moment < 5.0:
        listing = await trial.product.namespace.run("nft", "list", "ruleset")
        if "policy drop" in listing:
            return time.monotonic() - moment
        await asyncio.sleep(0.02)
    return None


class NameDeleted(Fault):
    id, title = "F22", "ip netns del while it runs"

    async def run(self, trial: Trial) -> None:
        await trial.lab.topology.host.run("ip", "netns", "del", trial.product.namespace.name)
        at = await trial.player.next_byte(time.monotonic() + 1.0, within=15.0)
        trial.check(at is not None, "the film does not come any more")
        trial.kill("house")  # and a start without the name that it had
        at = await trial.back(within=15.0, after=time.monotonic() + 0.5)
        trial.check(at is not None, "no echo comes after a restart")


class _Killed(Fault):
    part = ""
    times = 1
    wait = 0.0

    async def run(self, trial: Trial) -> None:
        film, peers = 0.0, 0.0
        for number in range(self.times):
            if number:
                await trial.settle()
                await asyncio.sleep(trial.random.uniform(0.0, self.wait))
            moment = time.monotonic()
            with FirstByte(trial.lab.topology.servers.values()) as swarm:
                pids = trial.kill(self.part)
                trial.check(await ended(pids, within=5.0), f"the {self.part} is still there")
                at = await trial.player.opens(within=20.0)
                again = await swarm.wait(10.0)
            if at is None or again is None:
                trial.complain("the film does not come any more")
                return
            film, peers = max(film, at - moment), max(peers, again - moment)
        trial.measure("film", film, at_most=STREAMS_AGAIN)
        trial.measure("swarm", peers, at_most=STREAMS_AGAIN)


class HouseKilled(_Killed):
    id, title, smoke = "F23a", "kill -9 of the house", True
    part = "house"


class KeeperKilled(_Killed):
    id, title, smoke = "F23b", "kill -9 of the keeper", True
    part = "keeper"


class EngineKilled(_Killed):
    id, title, smoke = "F23c", "kill -9 of the engine", True
    part = "engine"


class _KilledOften(_Killed):
    times, wait = 5, 3.0


class HouseKilledOften(_KilledOften):
    id, title, part = "F23d", "kill -9 of the house at random instants", "house"


class KeeperKilledOften(_KilledOften):
    id, title, part = "F23e", "kill -9 of the keeper at random instants", "keeper"


class EngineKilledOften(_KilledOften):
    id, title, part = "F23f", "kill -9 of the engine at random instants", "engine"


class KilledInStart(Fault):
    id, title = "F23g", "kill -9 of everything during its start, ten times"

    async def run(self, trial: Trial) -> None:
        for _ in range(10):
            for part in ("house", "keeper", "engine"):
                trial.kill(part) if trial.product.pids(part) else None
            await asyncio.sleep(trial.random.uniform(0.1, 1.5))
        at = await trial.back(within=20.0, after=time.monotonic())
        trial.check(at is not None, "no echo comes any more")


class KeeperStopped(Fault):
    id, title = "F24b", "the keeper is stopped for 20 s, and wakes up"

    async def run(self, trial: Trial) -> None:
        trial.kill("keeper", signal.SIGSTOP)
        await asyncio.sleep(20.0)
        trial.kill("keeper", signal.SIGCONT)
        await asyncio.sleep(4.0)
        trial.expect_no_switch()
        trial.measure("outage", trial.heartbeat.longest(trial.began), at_most=1.0)

    async def undo(self, trial: Trial) -> None:
        trial.kill("keeper", signal.SIGCONT)


class TunnelStopped(Fault):
    id, title = "F24c", "wireguard-go is stopped for 20 s, and goes on"

    async def run(self, trial: Trial) -> None:
        pids = trial.kill("wireguard", signal.SIGSTOP)
        try:
            await asyncio.sleep(20.0)
        finally:
            trial.kill("wireguard", signal.SIGCONT)
        trial.check(bool(pids), "there is no wireguard-go")
        at = await trial.back(within=10.0, after=time.monotonic())
        trial.check(at is not None, "no echo comes any more")


class Starved(Fault):
    id, title = "F26", "all cores are busy for 20 s"

    async def run(self, trial: Trial) -> None:
        hogs = [
            await asyncio.create_subprocess_exec("sh", "-c", "while :; do :; done")
            for _ in range(4)
        ]
        try:
            await asyncio.sleep(20.0)
        finally:
            for hog in hogs:
                hog.kill()
                await hog.wait()
        trial.expect_no_switch()


class Suspended(Fault):
    id, title = "F29", "the whole product sleeps for 30 s"

    async def run(self, trial: Trial) -> None:
        parts = ("house", "keeper", "engine", "wireguard")
        for part in parts:
            trial.kill(part, signal.SIGSTOP)
        await asyncio.sleep(30.0)
        for part in reversed(parts):
            trial.kill(part, signal.SIGCONT)
        moment = time.monotonic()
        at = await trial.back(within=10.0, after=moment)
        trial.measure("back", None if at is None else at - moment, at_most=2.0)


class NoDescriptors(Fault):
    id, title = "F27", "the engine may open no file any more, for 8 s"

    async def run(self, trial: Trial) -> None:
        await self._limit(trial, "8")
        await asyncio.sleep(8.0)

    async def undo(self, trial: Trial) -> None:
        await self._limit(trial, "1024")

    async def _limit(self, trial: Trial, files: str) -> None:
        user = pwd.getpwnam(USER)
        own = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--")
        for pid in trial.product.pids("engine"):
            # As the same user: root may not have the right in a container.
            await command("setpriv", *own, "prlimit", f"--pid={pid}", f"--nofile={files}:")


class DiskMounted(Fault):
    id, title = "F33", "a disk is mounted after the start"

    async def run(self, trial: Trial) -> None:
        disk = trial.product.folder / "data" / "disk"
        disk.mkdir()
        await command("mount", "-t", "tmpfs", "tmpfs", str(disk))
        (disk / "film").touch()
        for pid in trial.product.pids("engine"):
            mounts = Path(f"/proc/{pid}/mountinfo").read_text()
            trial.check(f" {disk} " in mounts, "the engine does not see the disk")

    async def undo(self, trial: Trial) -> None:
        disk = trial.product.folder / "data" / "disk"
        await command("umount", str(disk))
        disk.rmdir()


class LeftByAnother(Fault):
    id, title = "F45", "an earlier version has left a namespace with rules and links of its own"

    async def run(self, trial: Trial) -> None:
        space = trial.product.namespace
        trial.allowed = ("link older",)
        async with trial.product.dead():
            await space.script(
                "nft add table inet older",
                "ip link add older0 type bridge",
                "ip link set older0 up",
            )
        at = await trial.back(within=20.0, after=time.monotonic() + 1.0)
        trial.check(at is not None, "no echo comes")
        links = await space.run("ip", "-o", "link")
        trial.check("older0" not in links, "a link of the earlier version is still there")


FAULTS = (
    WireguardKilled,
    Tampered,
    Intruder,
    NameDeleted,
    HouseKilled,
    KeeperKilled,
    EngineKilled,
    HouseKilledOften,
    KeeperKilledOften,
    EngineKilledOften,
    KilledInStart,
    KeeperStopped,
    TunnelStopped,
    Starved,
    Suspended,
    NoDescriptors,
    DiskMounted,
    LeftByAnother,
)
