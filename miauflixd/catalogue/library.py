"""The library: all that has to do with what there is to watch, built together and kept going."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from miauflixd.catalogue.artwork import Artwork
from miauflixd.catalogue.forgetting import Forgetting
from miauflixd.catalogue.home import Home
from miauflixd.catalogue.images import ImageSize
from miauflixd.catalogue.list_store import ListStore
from miauflixd.catalogue.lists import Lists
from miauflixd.catalogue.locales import ENGLISH, parse_locale
from miauflixd.catalogue.model import ImageKey, Locale, Region, TitleId
from miauflixd.catalogue.ports import Errands
from miauflixd.catalogue.providers import archive_images, tmdb_images
from miauflixd.catalogue.providers.archive import Archive
from miauflixd.catalogue.providers.tmdb import Tmdb
from miauflixd.catalogue.providers.trakt import TraktProvider
from miauflixd.catalogue.scrobbling import Scrobbling
from miauflixd.catalogue.searching import Searching
from miauflixd.catalogue.service import Catalogue
from miauflixd.catalogue.settings import ARCHIVE, TMDB_IMAGES, CatalogueSettings
from miauflixd.catalogue.syncing import Syncing
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.catalogue.trakt_accounts import TraktAccounts
from miauflixd.catalogue.trakt_history import TraktHistory
from miauflixd.catalogue.trakt_lists import TraktLists
from miauflixd.catalogue.trakt_store import TraktStore
from miauflixd.catalogue.watched import Watching
from miauflixd.catalogue.watching_store import WatchingStore
from miauflixd.database.database import Database
from miauflixd.runtime.changes import Changes
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.http import Http
from miauflixd.runtime.services import running
from miauflixd.vault.sealing import Sealer


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """What there is to watch, who says so, and who has seen it."""

    titles: TitleStore
    lists: Lists
    watching: Watching
    syncing: Syncing
    searching: Searching
    home: Home
    artwork: Artwork
    tmdb: Tmdb
    archive: Archive
    trakt: TraktAccounts
    trakt_lists: TraktLists
    trakt_history: TraktHistory
    scrobbling: Scrobbling
    forgetting: Forgetting
    blackboard: Changes[str]
    changed: Callable[[str], None]
    """Takes note of what others have changed: `title:movie:7`, `sources:movie:7`."""
    locale: Locale
    region: Region

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        settings: CatalogueSettings,
        database: Database,
        sealer: Sealer,
        http: Http,
        artwork: Path,
        clock: Clock,
    ) -> AsyncIterator["Library"]:
        """Have it for the length of the block.

        Args:
            settings: who is asked, and in what language.
            database: where everything is kept but images.
            sealer: for people's accounts elsewhere.
            http: the client of the host's network.
            artwork: the folder for images; ours alone.
            clock: the time of day.
        """
        locale = parse_locale(settings.language) or ENGLISH
        async with AsyncExitStack() as stack:
            blackboard = Changes[str]()
            titles = await TitleStore.open(
                database=database, region=Region(settings.region), language=locale
            )
            changed = _Changed(blackboard)
            lists = Lists(store=ListStore(database=database), clock=clock, changed=changed)
            watching = Watching(
                store=WatchingStore(database=database),
                outline=titles,
                clock=clock,
                changed=changed,
            )
            await stack.enter_async_context(running("watching", watching.run))

            tmdb = await stack.enter_async_context(
                Tmdb.open(http=http, settings=settings, clock=clock)
            )
            archive = await stack.enter_async_context(
                Archive.open(http=http, settings=settings, clock=clock)
            )
            trakt_public = await stack.enter_async_context(
                TraktProvider.open(http=http, settings=settings, clock=clock)
            )
            syncing = Syncing(
                titles=titles,
                lists=lists,
                providers=[tmdb, archive, trakt_public],
                series=tmdb,
                locale=locale,
                changed=changed,
                clock=clock,
            )
            searching = await stack.enter_async_context(
                Searching.open(titles=titles, syncing=syncing)
            )
            home = Home(titles=titles, lists=lists, watching=watching)
            changed.forgetting(home.forget, watching.outline_changed)

            trakt = await TraktAccounts.open(
                http=http,
                settings=settings,
                store=TraktStore(database=database, sealer=sealer),
                clock=clock,
            )
            await stack.enter_async_context(running("trakt", trakt.run))
            images = await stack.enter_async_context(
                Artwork.open(
                    artwork,
                    quota=settings.artwork_quota,
                    http=http,
                    urls=partial(_image_url, settings),
                    hosts=_image_hosts(settings),
                    allow=_own_mirrors(settings),
                )
            )
            yield cls(
                titles=titles,
                lists=lists,
                watching=watching,
                syncing=syncing,
                searching=searching,
                home=home,
                artwork=images,
                tmdb=tmdb,
                archive=archive,
                trakt=trakt,
                trakt_lists=TraktLists(titles=titles, lists=lists, trakt=trakt, clock=clock),
                trakt_history=TraktHistory(
                    titles=titles, watching=watching, syncing=syncing, trakt=trakt, clock=clock
                ),
                forgetting=Forgetting(titles=titles, lists=lists, watching=watching, clock=clock),
                scrobbling=Scrobbling(titles=titles, watching=watching, trakt=trakt),
                blackboard=blackboard,
                changed=changed,
                locale=locale,
                region=Region(settings.region),
            )

    def configure(self, settings: CatalogueSettings) -> None:
        """Ask others, or with another key, from now on.

        What else there is to set is so from the next start on.
        """
        self.tmdb.configure(settings)
        self.archive.configure(settings)
        self.artwork.set_quota(settings.artwork_quota)

    def catalogue(self, errands: Errands) -> Catalogue:
        """Return what handlers ask, once there is somebody to run errands."""
        return Catalogue(
            titles=self.titles,
            home=self.home,
            searching=self.searching,
            syncing=self.syncing,
            errands=errands,
            blackboard=self.blackboard,
            locale=self.locale,
            region=self.region,
        )


class _Changed:
    """Tells all who listen what has changed, and those first who remember what it was."""

    def __init__(self, blackboard: Changes[str]) -> None:
        self._blackboard = blackboard
        self._forget_rows: Callable[[], None] = _nothing
        self._forget_outline: Callable[[TitleId], None] = _nothing

    def forgetting(self, rows: Callable[[], None], outline: Callable[[TitleId], None]) -> None:
        """Have rows and outlines of shows put together anew when something in them changes."""
        self._forget_rows = rows
        self._forget_outline = outline

    def __call__(self, what: str) -> None:
        if what.startswith(("title:", "list:")):
            self._forget_rows()
        if what.startswith("title:show:"):
            self._forget_outline(TitleId.parse(what.removeprefix("title:")))
        self._blackboard.note(what)


def _nothing(*_: object) -> None:
    """Nobody remembers anything yet."""


# --- images ---------------------------------------------------------------------------------------


def _image_url(settings: CatalogueSettings, key: ImageKey, size: ImageSize) -> str | None:
    return tmdb_images.image_url(settings.tmdb_image_url, key, size) or archive_images.image_url(
        settings.archive_url, key
    )


def _image_hosts(settings: CatalogueSettings) -> list[str]:
    """Return the hosts from which an image may come: those of the settings, and the Archive's."""
    hosts = [_host(settings.tmdb_image_url), _host(settings.archive_url)]
    # An item's files lie on one of its many machines.
    return [*hosts, *(f"*.{host}" for host in hosts if host == _host(ARCHIVE))]


def _own_mirrors(settings: CatalogueSettings) -> list[str]:
    """Return what somebody has chosen instead, which may be on a private network."""
    chosen = [(settings.tmdb_image_url, TMDB_IMAGES), (settings.archive_url, ARCHIVE)]
    return [base for base, official in chosen if base != official]


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
