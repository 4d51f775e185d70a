"""All that can be played and all that is on the disk of it, as the rest of the house sees it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Self

from miauflixd.cache.service import Cache
from miauflixd.cache.store import UseStore
from miauflixd.database.database import Database
from miauflixd.runtime.changes import Changes
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.services import running
from miauflixd.torrents.downloads import Downloads
from miauflixd.torrents.engine_process import EngineProcess
from miauflixd.torrents.model import SourceId
from miauflixd.torrents.service import Torrents
from miauflixd.torrents.settings import TorrentsSettings
from miauflixd.torrents.store import SourceStore
from miauflixd.vault.sealing import Sealer
from miauflixd.web_files.everything import Everything
from miauflixd.web_files.model import Via
from miauflixd.web_files.ports import Http
from miauflixd.web_files.service import WebSources
from miauflixd.web_files.store import WebSourceStore


@dataclass(frozen=True, kw_only=True, slots=True)
class Stock:
    """Sources of both kinds, and what is kept of them."""

    torrents: Torrents
    web_sources: WebSources
    everything: Everything
    """Both, behind the same words."""
    cache: Cache

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        settings: TorrentsSettings,
        engine: EngineProcess,
        http: Mapping[Via, Http],
        downloads: Downloads,
        database: Database,
        sealer: Sealer,
        boot_id: str,
        clock: Clock,
    ) -> AsyncIterator[Self]:
        """Have it run for the length of the block.

        Args:
            settings: of all downloads.
            engine: of the swarms; it has to be running.
            http: the client of each road to the web.
            downloads: where files are.
            database: where what is known outlives the process.
            sealer: of what is kept there.
            boot_id: what changes with every start of the machine.
            clock: the time.
        """
        async with AsyncExitStack() as stack:
            changes = Changes[SourceId]()
            web_sources = await stack.enter_async_context(
                WebSources.open(
                    settings=settings,
                    store=WebSourceStore(database=database, sealer=sealer, clock=clock),
                    downloads=downloads,
                    http=http,
                    changes=changes,
                    clock=clock,
                )
            )
            torrents = await stack.enter_async_context(
                Torrents.open(
                    settings=settings,
                    engine=engine,
                    store=await SourceStore.open(database=database, sealer=sealer),
                    downloads=downloads,
                    boot_id=boot_id,
                    changes=changes,
                    elsewhere=web_sources.ids,
                )
            )
            everything = Everything(torrents=torrents, web_sources=web_sources, changes=changes)
            cache = await stack.enter_async_context(
                Cache.open(
                    settings=settings,
                    sources=everything,
                    downloads=downloads,
                    store=UseStore(database=database),
                    clock=clock,
                )
            )
            everything.on_read(cache.note_use)
            await stack.enter_async_context(running("torrents", torrents.run))
            await stack.enter_async_context(running("web sources", web_sources.run))
            await stack.enter_async_context(running("cache", cache.run))
            yield cls(
                torrents=torrents, web_sources=web_sources, everything=everything, cache=cache
            )

    def configure(self, settings: TorrentsSettings) -> None:
        """Have other bounds from now on."""
        self.torrents.configure(settings)
        self.web_sources.configure(settings)
        self.cache.configure(settings)
