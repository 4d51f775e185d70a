"""The lab as a whole: places, servers, fakes, the swarm and the witness."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import topology
from tests.lab.canaries import Canaries
from tests.lab.capture import Capture
from tests.lab.catalogue import open_catalogue
from tests.lab.directory import open_directory
from tests.lab.household import open_router
from tests.lab.internet import open_internet, zone
from tests.lab.machine import LabError
from tests.lab.names import Journal, NameServer, Request
from tests.lab.packets import Rules
from tests.lab.ports import PortGateway
from tests.lab.processes import Child
from tests.lab.resolvers import open_resolvers
from tests.lab.swarm import Film, Urls, make_empty_film, make_film
from tests.lab.topology import Topology
from tests.lab.wireguard import INSIDE_ADDRESS, Keys, Server, open_servers

MIB = 2**20

_SEEDS_WITHIN = 20.0
_EMPTY = 700 * MIB
"""Bytes: what is believed of a film, whatever the size of the one that is played."""


@dataclass(frozen=True, kw_only=True)
class Lab:
    """Everything but the product."""

    folder: Path
    topology: Topology
    client: Keys
    servers: dict[str, Server]
    ports: dict[str, PortGateway]
    canaries: Canaries
    film: Film
    journal: Journal
    capture: Capture

    @classmethod
    @asynccontextmanager
    async def open(
        cls, folder: Path, *, film_size: int = 256 * MIB, rate: int = 400_000
    ) -> AsyncIterator["Lab"]:
        """Build the lab and run it for the length of the block.

        Args:
            folder: for what it writes.
            film_size: bytes; long enough to last.
            rate: bytes per second of each of three seeds at most.
        """
        canaries = Canaries()
        journal = Journal()
        urls = Urls.of(canaries)
        film = await asyncio.to_thread(
            make_film, folder / "film", size=film_size, canaries=canaries, urls=urls
        )
        offered = [
            make_empty_film(folder / "film" / name, size=_EMPTY, canaries=canaries, urls=urls)
            for name in ("1", "2")
        ]
        world = await Topology.build()
        client = await Keys.make()
        servers = await open_servers(world.servers, client=client, folder=folder)
        names = zone(canaries)
        await NameServer.open(
            world.isp, topology.GATEWAY, place="home DNS", zone=names, journal=journal
        )
        for name, namespace in world.servers.items():
            await NameServer.open(
                namespace, INSIDE_ADDRESS, place=f"{name} DNS", zone=names, journal=journal
            )
        ports = {}
        for number, (name, namespace) in enumerate(world.servers.items()):
            ports[name] = PortGateway(external=41_001 + number, exit_address=topology.SERVERS[name])
            await ports[name].open(namespace)
        await open_router(world.isp, address=topology.GATEWAY, journal=journal)
        await open_internet(world.net, canaries=canaries, journal=journal)
        await open_directory(world.net, films=offered, journal=journal)
        await open_catalogue(world.host)
        places = (world.host, world.isp, world.lan, world.net, *world.servers.values())
        await open_resolvers(journal, places=places)
        rules = Rules(
            servers=tuple(topology.SERVERS.values()),
            port=topology.SERVER_PORT,
            gateways=(topology.GATEWAY, topology.GATEWAY_V6),
            canaries=canaries,
        )
        uplinks = (topology.UPLINK, topology.SECOND_UPLINK)
        capture = Capture(world.isp, uplinks, rules=rules)
        seeds = await _start_seeds(world, folder, (film, *offered), rate)
        try:
            yield cls(
                folder=folder,
                topology=world,
                client=client,
                servers={server.name: server for server in servers},
                ports=ports,
                canaries=canaries,
                film=film,
                journal=journal,
                capture=capture,
            )
        finally:
            capture.close()
            await seeds.kill()
            for server in servers:
                await server.kill()

    def heard_at_home(self, since: float = 0.0) -> Sequence[str]:
        """Return what should not have come to the router or to name-service sockets."""
        return [
            f"{r.place}: {r.what[:80]} ({r.source})"
            for r in self.journal.requests
            if r.at >= since and self._is_leak(r)
        ]

    def _is_leak(self, request: Request) -> bool:
        if request.place.startswith("home"):
            return request.what not in self.canaries.open_names
        if request.place.startswith("socket outside"):
            return self.canaries.token in request.what
        return request.place.startswith("socket inside")

    async def reset(self) -> None:
        """Put every switch back, and every server up."""
        await self.topology.reset()
        for server in self.servers.values():
            if not server.is_running:
                await server.start()
            else:
                await server.use(server.keys)


async def _start_seeds(world: Topology, folder: Path, films: Sequence[Film], rate: int) -> Child:
    torrents = [folder / f"seed{number}.torrent" for number in range(len(films))]
    for torrent, film in zip(torrents, films, strict=True):
        torrent.write_bytes(film.bare)
    log = folder / "seeds.log"
    child = await Child.start(
        world.net.inside(
            *(sys.executable, "-m", "tests.lab.swarm"),
            *(str(films[0].path.parent), str(rate), *map(str, torrents)),
        ),
        log=log,
        environment=os.environ,
    )
    deadline = time.monotonic() + _SEEDS_WITHIN
    while b"seeding" not in log.read_bytes():
        if child.status is not None or time.monotonic() > deadline:
            await child.kill()
            raise LabError(f"The seeds did not come up; see {log}:\n{log.read_text()}")
        await asyncio.sleep(0.05)
    return child
