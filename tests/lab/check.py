"""The lab looks at itself: every switch does what its name says, and the witness sees."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.lab import topology
from tests.lab.heartbeat import Heartbeat
from tests.lab.lab import MIB, Lab
from tests.lab.namespaces import Namespace
from tests.lab.processes import Child
from tests.lab.topology import ECHO
from tests.lab.wireguard import CLIENT_ADDRESS, start_wireguard

_LINK = "wgcheck"
_LASTS = 0.8


async def check(folder: Path) -> list[str]:
    """Put a plain tunnel up, try everything on it, and return what did not work, as sentences."""
    async with Lab.open(folder, film_size=4 * MIB) as lab:
        inside = await Namespace.make("inside")
        tunnel = await _tunnel(lab, inside)
        heartbeat = Heartbeat(inside, target=ECHO, magic=lab.canaries.magic)
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(heartbeat.run(), name="heartbeat")
            try:
                problems = await _try_switches(lab, heartbeat)
                problems += await _try_witness(lab)
            finally:
                beating.cancel()
                await tunnel.kill()
        return problems


async def _tunnel(lab: Lab, inside: Namespace) -> Child:
    host = lab.topology.host
    tunnel = await start_wireguard(host, _LINK, log=lab.folder / "check.log")
    server = lab.servers["s1"]
    await host.run(
        *("wg", "set", _LINK, "private-key", "/dev/stdin", "peer", server.keys.public),
        *("endpoint", f"{server.address}:51820", "allowed-ips", "0.0.0.0/0"),
        text=lab.client.private,
    )
    await host.script(f"ip link set {_LINK} netns {inside.name}")
    await inside.script(
        f"ip addr add {CLIENT_ADDRESS}/32 dev {_LINK}",
        f"ip link set {_LINK} up",
        f"ip route add default dev {_LINK}",
    )
    return tunnel


async def _try_switches(lab: Lab, heartbeat: Heartbeat) -> list[str]:
    world = lab.topology
    server = lab.servers["s1"]
    problems: list[str] = []

    async def silent(name: str, off: Callable[[], Awaitable[object]]) -> None:
        await _wait(heartbeat, alive=True)
        if not heartbeat.is_alive():
            problems.append(f"before {name}: no echo comes")
        await off()
        await asyncio.sleep(_LASTS)
        if heartbeat.is_alive():
            problems.append(f"{name}: echoes still come")
        await lab.reset()

    await silent("dropping both ways", lambda: world.drop("s1"))
    await silent("dropping the way to", lambda: world.drop("s1", "to"))
    await silent("dropping the way back", lambda: world.drop("s1", "from"))
    await silent("closing the exit", lambda: world.close_exit("s1"))
    await silent("pulling the cable", world.pull)
    await silent("cutting the cable", world.cut)
    await silent("killing the server", server.kill)
    await _wait(heartbeat, alive=True, within=20.0)  # WireGuard alone takes 15 s to notice
    if not heartbeat.is_alive():
        problems.append("after the server was killed no echo comes")
    await world.drop("s1", percent=50)
    share = await _share(heartbeat)
    if not 0.05 < share < 0.6:  # a quarter comes back: lost both ways
        problems.append(f"losing half each way: {share:.0%} of the echoes came")
    await lab.reset()
    await world.rebind()
    await _wait(heartbeat, alive=True)
    if not heartbeat.is_alive():
        problems.append("after the router forgot its connections no echo comes")
    return problems


async def _share(heartbeat: Heartbeat) -> float:
    """Return which part of the echoes comes, over the half seconds in which any does.

    A handshake that is lost costs all echoes for five seconds, and says nothing about the link.
    """
    shares: list[float] = []
    async with asyncio.timeout(60.0):
        for _ in range(80):
            sent, came = heartbeat.sent, len(heartbeat.answers)
            await asyncio.sleep(0.5)
            sent, came = heartbeat.sent - sent, len(heartbeat.answers) - came
            if came and sent:
                shares.append(came / sent)
            if len(shares) == 4:
                break
    return sum(shares) / len(shares) if shares else 0.0


async def _wait(heartbeat: Heartbeat, *, alive: bool, within: float = 3.0) -> None:
    async with asyncio.timeout(within + 1.0):
        for _ in range(int(within / 0.05)):
            if heartbeat.is_alive() == alive:
                return
            await asyncio.sleep(0.05)


async def _try_witness(lab: Lab) -> list[str]:
    """Leak on purpose, one thing at a time."""
    if found := lab.capture.since(0.0):
        return [f"the witness saw something where there was nothing: {found[:3]}"]
    problems = []
    marked = os.urandom(20)
    lab.canaries.hashes.append(marked)
    leaks: list[tuple[str, tuple[str, int], bytes, str]] = [
        ("a name", (topology.GATEWAY, 53), _query(lab.canaries.name("check")), "canary (name)"),
        ("an info-hash", ("1.1.1.1", 4000), b"x" + marked, "canary (info-hash)"),
        ("one in hex", ("239.192.152.143", 6771), marked.hex().upper().encode(), "in hex"),
        ("a block", ("45.83.20.11", 6881), lab.canaries.magic + bytes(100), "canary (magic)"),
        ("UPnP", ("239.255.255.250", 1900), b"M-SEARCH *", "SSDP"),
        ("NAT-PMP", (topology.GATEWAY, 5351), b"\0\0", "NAT-PMP"),
        ("a stranger on a server", (topology.SERVERS["s1"], 51820), b"\x09garbage", "UDP"),
        ("IPv6", ("2606:4700:4700::1111", 53), _query("example.org"), "DNS"),
    ]
    for name, target, payload, kind in leaks:
        seen = len(lab.capture.sightings)
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        with lab.topology.host.socket(family, socket.SOCK_DGRAM) as leaking:
            leaking.sendto(payload, target)
        await asyncio.sleep(0.1)
        kinds = [s.finding.kind for s in lab.capture.sightings[seen:]]
        if not any(kind in found for found in kinds):
            problems.append(f"{name} left in the open, and the witness says {kinds}")
    return problems


def _query(name: str) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0" + labels + b"\0\0\x01\0\x01"
