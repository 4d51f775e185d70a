"""Names: providers whose resolver is dead, name services in the house, torrents that pry."""

import asyncio
import os
import socket
import struct
import time
from urllib.parse import quote

from tests.lab import topology
from tests.lab.trial import Fault, Trial


async def resolves(trial: Trial, name: str, *, within: float) -> float | None:
    """Ask the resolver inside for a name; return the seconds until it answered."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    query = os.urandom(2) + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + labels + b"\0\0\x01\0\x01"
    loop = asyncio.get_running_loop()
    with trial.product.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        began = time.monotonic()
        try:
            await loop.sock_sendto(asking, query, ("127.0.0.1", 53))
            async with asyncio.timeout(within):
                while (await loop.sock_recv(asking, 512))[:2] != query[:2]:
                    continue
        except (OSError, TimeoutError):
            return None
        return time.monotonic() - began


class NamesDead(Fault):
    id, title, smoke = "F10", "the provider's resolver is dead", True

    async def run(self, trial: Trial) -> None:
        await trial.lab.topology.silence_names(trial.active)
        worst: float | None = 0.0
        for number in range(8):
            name = trial.lab.canaries.name(f"fresh{number}")
            took = await resolves(trial, name, within=3.0)
            worst = None if worst is None or took is None else max(worst, took)
            await asyncio.sleep(0.2)
        trial.measure("answer", worst, at_most=0.3)
        trial.expect_no_switch()


class NameServices(Fault):
    id, title, smoke = "F31", "nss-resolve, nscd, avahi and D-Bus are there to be asked", True

    async def run(self, trial: Trial) -> None:
        # A swarm of its own, so that its trackers' names were never asked for.
        info_hash = os.urandom(20)
        trial.lab.canaries.hashes.append(info_hash)
        host = trial.lab.canaries.name("fresh-tracker")
        magnet = f"magnet:?xt=urn:btih:{info_hash.hex()}&tr={quote(f'http://{host}/announce')}"
        source = await trial.product.add(magnet)
        deadline = time.monotonic() + 5.0
        asked = False
        while not asked and time.monotonic() < deadline:
            asked = any(
                request.what == host
                for request in trial.lab.journal.requests
                if "DNS" in request.place
            )
            await asyncio.sleep(0.05)
        trial.check(asked, "the tracker's name was never asked for inside")
        await asyncio.sleep(0.5)
        await trial.product.request("DELETE", f"/api/torrents/{source}")
        heard = trial.lab.journal.at("socket inside")
        trial.measure("asked of the house", len(heard), at_most=0)


class ResolvReplaced(Fault):
    id, title = "F32", "the house's resolv.conf is replaced"

    async def run(self, trial: Trial) -> None:
        await trial.lab.topology.host.run("cp", "/etc/resolv.conf", "/etc/resolv.conf.before")
        await trial.lab.topology.host.run(
            "sh", "-c", "echo nameserver 192.168.1.1 >/etc/r && mv /etc/r /etc/resolv.conf"
        )
        took = await resolves(trial, trial.lab.canaries.name("replaced"), within=3.0)
        trial.measure("answer", took, at_most=0.3)

    async def undo(self, trial: Trial) -> None:
        await trial.lab.topology.host.run("mv", "/etc/resolv.conf.before", "/etc/resolv.conf")


class Prying(Fault):
    id, title, smoke = "F34", "a torrent with trackers, seeds and peers at home", True

    async def run(self, trial: Trial) -> None:
        for space in trial.lab.topology.servers.values():
            await space.run("nft", "-f", "-", text=_COUNT_PRIVATE)
        info_hash = os.urandom(20)
        trial.lab.canaries.hashes.append(info_hash)
        redirect = trial.lab.canaries.name("redirect")
        trackers = (
            f"http://{topology.GATEWAY}/announce",
            f"udp://{topology.GATEWAY}:5351/announce",
            f"http://[{topology.GATEWAY_V6}]/announce",
            f"http://{redirect}/redirect",
            f"wss://{redirect}:443/announce",
            "http://127.0.0.1:8484/announce",
            "http://169.254.169.254/announce",
        )
        peers = (f"{topology.LAN}:6881", "10.77.0.9:6881", f"[{topology.GATEWAY_V6}]:6881")
        magnet = (
            f"magnet:?xt=urn:btih:{info_hash.hex()}"
            + "".join(f"&tr={quote(tracker, safe='')}" for tracker in trackers)
            + f"&ws={quote(f'http://{redirect}/redirect', safe='')}"
            + "".join(f"&x.pe={peer}" for peer in peers)
        )
        source = await trial.product.add(magnet)
        await asyncio.sleep(5.0)
        await trial.product.request("DELETE", f"/api/torrents/{source}")
        counted = 0
        for space in trial.lab.topology.servers.values():
            listing = await space.run("nft", "list", "counter", "inet", "private", "seen")
            counted += int(listing.split("packets ")[1].split()[0])
        trial.measure("to private addresses", counted, at_most=0)

    async def undo(self, trial: Trial) -> None:
        for space in trial.lab.topology.servers.values():
            await space.script("nft delete table inet private")


_COUNT_PRIVATE = """
table inet private {
    counter seen { }
    chain forward {
        type filter hook forward priority -20; policy accept;
        ip daddr { 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, 100.64.0.0/10 } \
ip daddr != 10.2.0.2 counter name seen
    }
}
"""


class HomeIsQuiet(Fault):
    id, title = "F43", "the exit is refused by a tracker"

    async def run(self, trial: Trial) -> None:
        space = trial.lab.topology.net
        await space.run("nft", "-f", "-", text=_REFUSE)
        await asyncio.sleep(8.0)
        trial.expect_no_switch()

    async def undo(self, trial: Trial) -> None:
        await trial.lab.topology.net.script("nft delete table inet refusal")


_REFUSE = f"""
table inet refusal {{
    chain input {{
        type filter hook input priority -10; policy accept;
        ip daddr {{ {topology.TRACKER}, {topology.UDP_TRACKER} }} reject
    }}
}}
"""

FAULTS = (NamesDead, NameServices, ResolvReplaced, Prying, HomeIsQuiet)
