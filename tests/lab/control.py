"""The control: what everybody does instead, in the same lab. It must leak, or the lab is blind."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.lab import MIB, Lab
from tests.lab.processes import Child
from tests.lab.wireguard import CLIENT_ADDRESS, INSIDE_ADDRESS, Keys, start_wireguard

_INTERFACE = "wgclassic"
_KILLS = 3
_RUNS_FOR, _DOWN_FOR = 4.0, 3.0


@dataclass(frozen=True, kw_only=True)
class Control:
    """What became of a control run."""

    kinds: Counter[str]
    """Frames on the uplink that should not be there, by kind, noise included."""
    leaks: int
    """The same without noise."""
    heard: Sequence[str]
    """What the services at home and the name-service sockets were asked."""
    downloaded: int
    """Bytes of the film: a client that does nothing does not leak either."""

    @property
    def is_evidence(self) -> bool:
        """Whether the lab sees leaks where there are some."""
        return self.leaks > 0 and self.downloaded > 0 and self.kinds["DNS"] + self.names > 0

    @property
    def names(self) -> int:
        """Names that were asked of a service in the house."""
        return sum("leak.example" in line for line in self.heard)


async def control(folder: Path) -> Control:
    """Bind a client classically to a tunnel, kill the tunnel three times, and look."""
    async with Lab.open(folder, film_size=64 * MIB) as lab:
        await asyncio.sleep(1.0)  # what the kernel says when cables come up is over
        client = await _start_client(lab)
        tunnel: Child | None = None
        try:
            for _ in range(_KILLS):
                tunnel = await _raise_tunnel(lab)
                await asyncio.sleep(_RUNS_FOR)
                await tunnel.kill()
                await asyncio.sleep(_DOWN_FOR)
        finally:
            await client.kill()
            if tunnel is not None:
                await tunnel.kill()
        printed = (lab.folder / "classic.log").read_text().splitlines()
        return Control(
            kinds=lab.capture.tally(),
            leaks=len(lab.capture.since(0.0)),
            heard=lab.heard_at_home(),
            downloaded=max((int(line.split()[0]) for line in printed), default=0),
        )


async def _raise_tunnel(lab: Lab) -> Child:
    """Do what `wg-quick` with `Table = off` and a route for the interface do."""
    host = lab.topology.host
    tunnel = await start_wireguard(host, _INTERFACE, log=lab.folder / "wireguard-classic.log")
    server = lab.servers["s1"]
    await _configure(lab, lab.client, server.keys.public, server.address)
    await host.script(
        f"ip addr add {CLIENT_ADDRESS}/32 dev {_INTERFACE}",
        f"ip link set {_INTERFACE} mtu 1420 up",
        f"ip route add {INSIDE_ADDRESS}/32 dev {_INTERFACE}",
        f"ip route add default dev {_INTERFACE} metric 5000",
    )
    return tunnel


async def _configure(lab: Lab, keys: Keys, public: str, address: str) -> None:
    await lab.topology.host.run(
        *("wg", "set", _INTERFACE, "private-key", "/dev/stdin", "peer", public),
        *("endpoint", f"{address}:51820", "allowed-ips", "0.0.0.0/0,::/0"),
        *("persistent-keepalive", "25"),
        text=keys.private,
    )


async def _start_client(lab: Lab) -> Child:
    folder = lab.folder / "classic"
    folder.mkdir()
    metainfo = lab.folder / "film.torrent"
    metainfo.write_bytes(lab.film.metainfo)
    # Of something else: a session has each torrent once.
    other = os.urandom(20)
    lab.canaries.hashes.append(other)
    magnet = lab.film.magnet.replace(lab.film.info_hash.hex(), other.hex())
    return await Child.start(
        lab.topology.host.inside(
            *(sys.executable, "-m", "tests.lab.classic", str(folder)),
            *(str(metainfo), magnet, _INTERFACE),
        ),
        log=lab.folder / "classic.log",
        environment=os.environ,
    )
