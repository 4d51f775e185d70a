"""What is kept of downloads, in houses without a swarm."""

from miauflixd.cache.service import Cache
from miauflixd.cache.service import Sources as OnTheDisk
from miauflixd.cache.store import UseStore
from miauflixd.database.database import Database
from miauflixd.runtime.clock import Clock
from miauflixd.torrents.downloads import Downloads
from miauflixd.torrents.settings import TorrentsSettings


def cache_of(
    database: Database,
    *,
    torrents: OnTheDisk,
    clock: Clock,
    settings: TorrentsSettings | None = None,
) -> Cache:
    """Return what is kept of downloads that lie beside a database."""
    downloads = Downloads(database.path.parent / "downloads")
    downloads.prepare(())
    return Cache(
        settings=settings or TorrentsSettings(),
        sources=torrents,
        downloads=downloads,
        store=UseStore(database=database),
        uses={},
        clock=clock,
    )
