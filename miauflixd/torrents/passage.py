"""What torrents and tunnel have to know of each other, carried from one to the other."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import msgspec

from miauflixd.keeper.messages import Activity
from miauflixd.torrents.engine_process import EngineProcess
from miauflixd.torrents.service import Torrents, engine_settings
from miauflixd.torrents.settings import TorrentsSettings
from miauflixd.tunnel.model import Network
from miauflixd.tunnel.port_forwarding import Gateway, PortForwarding

_LOOK_EVERY = 1.0
"""Seconds between looks at how much depends on the tunnel.

It costs two comparisons, and decides how closely the tunnel is watched: from ten times a second to
once in ten.
"""


class Tunnel(Protocol):
    """The way out, as far as torrents concern it."""

    def network_changes(self) -> AsyncIterator[Network]:
        """Yield it as it is, and at each change."""
        ...

    def set_activity(self, activity: Activity) -> None:
        """Say how much depends on it."""
        ...

    def set_exit_ip(self, address: str | None) -> None:
        """Say under which address others see us."""
        ...

    def set_port(self, port: int | None) -> None:
        """Say at which port peers reach us."""
        ...


class Passage:
    """Tells the engine of the tunnel's changes, and the tunnel what the engine needs it for."""

    def __init__(
        self,
        *,
        tunnel: Tunnel,
        torrents: Torrents,
        engine: EngineProcess,
        settings: TorrentsSettings,
        ask_for_port: bool,
        activity: Callable[[], Activity],
    ) -> None:
        """Carry nothing yet.

        Args:
            tunnel: the way out.
            torrents: what takes it.
            engine: the same.
            settings: of the engine.
            ask_for_port: whether peers are to reach us.
            activity: returns how much depends on the way, of torrents and of others.
        """
        self._tunnel = tunnel
        self._torrents = torrents
        self._engine = engine
        self._settings = settings
        self._ask_for_port = ask_for_port
        self._activity = activity
        self._port: int | None = None
        self._ports = PortForwarding(opener=engine, on_port=self._on_port)

    def configure(self, settings: TorrentsSettings) -> None:
        """Use other limits from now on; where to listen stays as it was at the start."""
        self._settings = msgspec.structs.replace(
            self._settings,
            connections=settings.connections,
            download_rate=settings.download_rate,
            upload_rate=settings.upload_rate,
        )
        self._engine.send(engine_settings(self._settings, port=self._port))

    async def run(self) -> None:
        """Carry until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ports.run(), name="port forwarding")
            group.create_task(self._tell_torrents(), name="network for torrents")
            group.create_task(self._tell_tunnel(), name="activity for the tunnel")

    async def _tell_torrents(self) -> None:
        async for network in self._tunnel.network_changes():
            gateway = None
            if self._ask_for_port and network.gateway is not None:
                gateway = Gateway(address=network.gateway, generation=network.generation)
            # The port of the last server is forgotten before anything is announced to the next.
            self._ports.follow(gateway)
            self._engine.set_network(up=network.up, generation=network.generation)
            self._torrents.set_road(up=network.up, reason=network.reason)

    async def _tell_tunnel(self) -> None:
        seen = None
        while True:
            self._tunnel.set_activity(self._activity())
            # What the swarm said of an earlier server is old news, and stays unsaid.
            if (address := self._torrents.external_address) != seen:
                seen = address
                self._tunnel.set_exit_ip(address)
            await asyncio.sleep(_LOOK_EVERY)

    def _on_port(self, port: int | None) -> None:
        self._port = port
        self._engine.send(engine_settings(self._settings, port=port))
        self._tunnel.set_port(port)
