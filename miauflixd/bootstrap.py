"""The composition root: the whole house, built by hand, in reading order.

Start order is the order of the lines, stop order its reverse.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from miauflixd import __version__
from miauflixd.config.settings import Config
from miauflixd.database.database import Database
from miauflixd.errors import SettingsError
from miauflixd.runtime.services import running
from miauflixd.torrents.downloads import Downloads
from miauflixd.torrents.engine_process import EngineProcess
from miauflixd.torrents.service import Torrents, engine_settings
from miauflixd.torrents.store import SourceStore
from miauflixd.tunnel.settings import TunnelSettings
from miauflixd.vault.keys import master_key
from miauflixd.vault.sealing import Sealer
from miauflixd.web import application as web_application
from miauflixd.web import server as web_server


@dataclass(frozen=True, kw_only=True, slots=True)
class Application:
    """What the daemon says about the running house."""

    url: str
    torrents: Torrents

    def status_line(self) -> str:
        """Return one line for `systemctl status`."""
        sources = self.torrents.sources()
        readers = sum(source.readers for source in sources)
        return f"{self.url}: {len(sources)} sources, {readers} streams"


@asynccontextmanager
async def application(config: Config) -> AsyncIterator[Application]:
    """Build miauflixd from its settings and run it for the length of the block.

    Raises:
        SettingsError: the settings ask for something that cannot be done here.
        ExceptionGroup: a service ended that should not.
    """
    _refuse_open_road(config.vpn)
    async with AsyncExitStack() as stack:
        data = config.storage.path
        database = await stack.enter_async_context(Database.open(data / "miauflixd.sqlite3"))
        sealer = Sealer(master_key(config.storage.sealing_key, folder=data))
        store = await SourceStore.open(database=database, sealer=sealer)
        engine = await stack.enter_async_context(
            EngineProcess.open(engine_settings(config.torrents))
        )
        torrents = await stack.enter_async_context(
            Torrents.open(
                settings=config.torrents,
                engine=engine,
                store=store,
                downloads=Downloads(data / "downloads"),
                boot_id=_boot_id(),
            )
        )
        await stack.enter_async_context(running("torrents", torrents.run))
        app = web_application.build(torrents=torrents, version=__version__)
        url = await stack.enter_async_context(web_server.serve(app, config.web))
        yield Application(url=url, torrents=torrents)


def _boot_id() -> str:
    """Return what changes with every start of the machine, random(4).

    It tells a crash of ours, which loses nothing that was written, from a loss of power.
    """
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _refuse_open_road(settings: TunnelSettings) -> None:
    """Start no engine in the host's own network unless somebody has said so.

    Invariant: with `vpn.mode = "required"` nothing of the swarm leaves but through the tunnel. This
    version cannot build one yet, so it builds nothing.
    """
    if settings.mode != "off":
        raise SettingsError(
            'vpn.mode: "required" cannot be kept, for this version has no tunnel yet\n'
            '  hint: vpn.mode = "off" lets the swarm see the address of this machine; '
            "only set it where that is what you want"
        )
