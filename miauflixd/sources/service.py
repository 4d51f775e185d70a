"""Where titles can be had: found, kept, chosen; built together and kept going."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from miauflixd.auth.model import Actor
from miauflixd.catalogue.home import any_cards
from miauflixd.catalogue.model import Audience, Kind, NoTitleError, Particulars, TitleId
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.database.database import Database
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.http import Http
from miauflixd.runtime.priority import Priority
from miauflixd.runtime.services import running
from miauflixd.sources import building, choosing
from miauflixd.sources.asking import Asking, Report
from miauflixd.sources.availability import Availability
from miauflixd.sources.choosing import Chosen, Circumstances, RankedListing
from miauflixd.sources.directory_book import Build, DirectoryBook
from miauflixd.sources.directory_store import DirectoryStore
from miauflixd.sources.listing_model import (
    BadSourceError,
    Found,
    Listing,
    ListingId,
    NoListingError,
    NothingToPlayError,
    NotPlayableError,
    Part,
)
from miauflixd.sources.listing_store import ListingStore
from miauflixd.sources.offers import DirectoryId
from miauflixd.sources.own import Own, named, offer_of
from miauflixd.sources.ranking import Preference
from miauflixd.sources.searching import Searching
from miauflixd.sources.settings import ARCHIVE_URL, SourcesSettings
from miauflixd.sources.standing import Standing
from miauflixd.torrents.model import SourceId
from miauflixd.vault.sealing import Sealer

_log = logging.getLogger(__name__)

WITHIN = 1.4
"""Seconds that somebody waits for a search: an answer is promised after 1.5, and ranking and
sending it take a few hundredths."""

_FRESH = timedelta(minutes=30)
"""How long what a search found is good for whoever opens a title: seeders change slowly."""

_FRESH_IN_VAIN = timedelta(minutes=5)
"""The same where nothing was found, or somebody had not answered. Whoever looks again after this
hopes for something new."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TitleSources:
    """Where a title can be had, as far as is known."""

    listings: Sequence[RankedListing]
    """In the order in which to try them, those not to be tried last."""
    searching: bool
    """Whether directories are being asked right now, so that more may come."""
    checked_at: datetime | None
    """When the last search was over; `None`: there was none."""
    refused: Mapping[str, int]
    """How many offers of the last search did not fit, by the reason."""
    reports: Sequence[Report]
    """How each directory does in the search that is under way, or did in the last one."""


class Sources:
    """What handlers, jobs and players ask."""

    def __init__(
        self,
        *,
        titles: TitleStore,
        listings: ListingStore,
        asking: Asking,
        directories: DirectoryBook,
        searching: Searching,
        availability: Availability,
        http: Http,
        is_cached: Callable[[SourceId], bool],
        clock: Clock,
    ) -> None:
        self.listings = listings
        self.asking = asking
        self.directories = directories
        self._titles = titles
        self._searching = searching
        self._availability = availability
        self._http = http
        self._is_cached = is_cached
        self._clock = clock

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        settings: SourcesSettings,
        database: Database,
        sealer: Sealer,
        titles: TitleStore,
        changed: Callable[[str], None],
        tunnel_http: Http,
        host_http: Http,
        clock: Clock,
        is_cached: Callable[[SourceId], bool] = lambda _: False,
        archive_url: str = ARCHIVE_URL,
        build: Build | None = None,
    ) -> AsyncIterator["Sources"]:
        """Have them for the length of the block.

        Args:
            settings: which directories there are without anybody adding them.
            database: where everything is kept.
            sealer: for whatever tells which torrent something is.
            titles: what there is to watch.
            changed: is told `sources:movie:7`, and `title:movie:7` where that can be played now, or
                not any more.
            tunnel_http: the client that goes through the tunnel.
            host_http: the client of the host's own network, for directories that are to be asked
                by it.
            clock: the time of day.
            is_cached: whether all of a source is on the disk.
            archive_url: where the Internet Archive is.
            build: makes directories out of their descriptions; the real ones unless said otherwise.
        """
        async with AsyncExitStack() as stack:
            listings = ListingStore(database=database, sealer=sealer)
            store = DirectoryStore(database=database, sealer=sealer)
            standings = _Standings()
            asking = Asking(
                clock=clock, standings=await store.standings(), changed=standings.changed
            )
            directories = DirectoryBook(
                asking=asking,
                store=store,
                build=build
                or partial(
                    building.build, tunnel_http=tunnel_http, host_http=host_http, clock=clock
                ),
                built_in=settings.directories(archive_url=archive_url),
                added=await store.specs(),
            )
            standings.told(directories.stir)
            await stack.enter_async_context(running("directories", directories.run))
            await stack.enter_async_context(running("asking directories", asking.run))
            availability = Availability(titles=titles, listings=listings, changed=changed)
            searching = Searching(
                titles=titles,
                asking=asking,
                listings=listings,
                availability=availability,
                clock=clock,
            )
            await stack.enter_async_context(running("searching for sources", searching.run))
            yield cls(
                titles=titles,
                listings=listings,
                asking=asking,
                directories=directories,
                searching=searching,
                availability=availability,
                http=tunnel_http,
                is_cached=is_cached,
                clock=clock,
            )

    # --- finding ----------------------------------------------------------------------------------

    async def search(
        self,
        title_id: TitleId,
        *,
        within: float = WITHIN,
        priority: Priority = Priority.WAITED_FOR,
    ) -> bool:
        """Search for a movie or an episode; return when that is done, or after so many seconds.

        What comes later is kept and told all the same.

        Returns:
            Whether it is done.

        Raises:
            NoTitleError: there is no such title.
            NotPlayableError: it is a show.
            NotAskingError: directories are not asked now.
        """
        return await self._searching.search(title_id, within=within, priority=priority)

    async def freshen(
        self,
        title_id: TitleId,
        *,
        refresh: bool = False,
        within: float = WITHIN,
        priority: Priority = Priority.WAITED_FOR,
    ) -> None:
        """Search for a title that somebody has opened, if the last search was not just now.

        Raises like `search`.
        """
        title = await self._title(title_id)
        last = await self.listings.search_of(title.id)
        if last is not None and not refresh:
            fresh = _FRESH if last.found and last.complete else _FRESH_IN_VAIN
            # One of the future is of a clock that was wrong then.
            if timedelta(0) <= self._clock() - last.at < fresh:
                return
        await self.search(title.id, within=within, priority=priority)

    # --- choosing ---------------------------------------------------------------------------------

    async def original_language(self, title_id: TitleId) -> str | None:
        """Return the language in which a title was made, BCP 47; `None`: nobody says.

        Raises:
            NoTitleError: there is no such title.
        """
        return (await self._title(title_id)).original_language or None

    async def of_title(
        self, title_id: TitleId, preference: Preference, *, audience: Audience
    ) -> TitleSources:
        """Return where a title can be had, the best for somebody first; asks nobody.

        Args:
            title_id: of a movie or an episode.
            preference: what they like; see `choosing.preference`.
            audience: who sees it.

        Raises:
            NoTitleError: there is no such title, or not for them.
            NotPlayableError: it is a show.
        """
        await self.see(title_id, audience)
        title = await self._title(title_id)
        last = await self.listings.search_of(title.id)
        return TitleSources(
            listings=await self._ranked(title, preference),
            searching=self._searching.is_under_way(title.id),
            checked_at=None if last is None else last.at,
            refused={} if last is None else last.refused,
            reports=self._searching.reports(title.id),
        )

    async def best(
        self,
        title_id: TitleId,
        preference: Preference,
        *,
        not_these: Collection[ListingId] = (),
    ) -> Chosen:
        """Return what to play a title from, as far as is known now; asks nobody.

        Args:
            title_id: of a movie or an episode.
            preference: what whoever plays it likes.
            not_these: what was tried in vain already.

        Raises:
            NoTitleError: there is no such title.
            NotPlayableError: it is a show.
            NothingToPlayError: nothing may be played; the message says why.
        """
        title = await self._title(title_id)
        ranked = await self._ranked(title, preference)
        if (chosen := choosing.best(ranked, not_these=not_these)) is not None:
            return chosen
        raise NothingToPlayError(await self._why_nothing(title, ranked))

    async def see(self, title_id: TitleId, audience: Audience) -> None:
        """Find out whether somebody may see a title.

        Raises:
            NoTitleError: there is none, or not for them.
        """
        if not await any_cards(self._titles, [title_id], audience):
            raise NoTitleError("There is no such title")

    async def listing(self, listing_id: ListingId, audience: Audience) -> Listing:
        """Return a listing of a title that somebody may see.

        Raises:
            NoListingError: there is none, or not for them.
        """
        listing = await self.listings.listing(listing_id)
        titles = [part.title_id for part in await self.listings.parts(listing_id)]
        if titles and not await any_cards(self._titles, titles, audience):
            raise NoListingError("There is no such source")
        return listing

    # --- what people do ---------------------------------------------------------------------------

    async def add_own(self, title_id: TitleId | None, own: Own, *, by: Actor) -> Listing:
        """Keep what somebody adds, for a title or alone.

        Args:
            title_id: the movie or episode that it is, as they say.
            own: what they add.
            by: who does.

        Raises:
            NoTitleError: there is no such title.
            NotPlayableError: it is a show.
            BadTorrentError: it is no usable magnet link.
            BadSourceError: it leads to nothing that can be used.
            TunnelDownError: there is no way to look at the address.
        """
        title = None if title_id is None else await self._title(title_id)
        added = await offer_of(own, http=self._http)
        offer = named(added.offer, "" if title is None else title.titles[0])
        # They have seen it, or say so: nobody is surer.
        parts = () if title is None else (Part(title_id=title.id, certain=True),)
        saved = await self.listings.save([Found(offer=offer, parts=parts)], at=self._clock())
        listing_id = saved.ids[0]
        if listing_id is None:
            raise BadSourceError("This torrent is known to be of another title")
        if added.metainfo is not None:
            hashes = [bytes.fromhex(offer.info_hash)] if offer.info_hash else []
            listing_id = await self.listings.save_torrent(listing_id, added.metainfo, hashes=hashes)
        await self._availability.update(
            saved.gained | saved.lost | {part.title_id for part in parts}
        )
        _log.info("%s has added a source", by.user_id or "The administrator of this machine")
        return await self.listings.listing(listing_id)

    async def mark_broken(
        self, listing_id: ListingId, reason: str | None, *, by: Actor | None = None
    ) -> None:
        """Note why a listing is not to be played, or with `None` that it may be after all.

        The next best one is chosen from now on.

        Raises:
            NoListingError: there is none.
        """
        await self.listings.mark_broken(listing_id, reason)
        await self._availability.update(
            [part.title_id for part in await self.listings.parts(listing_id)]
        )

    async def set_dead(self, listing_id: ListingId) -> None:
        """Note that nobody has had a listing for long; it is so until somebody offers it again."""
        await self.listings.set_state(listing_id, "dead")
        await self.told(listing_id)

    async def told(self, listing_id: ListingId, *, lost: Collection[TitleId] = ()) -> None:
        """Tell everybody that something about a listing has changed.

        Args:
            listing_id: which one.
            lost: titles that it turned out not to be of.
        """
        parts = await self.listings.parts(listing_id)
        await self._availability.update([*lost, *(part.title_id for part in parts)])

    async def remove(self, listing_id: ListingId) -> None:
        """Forget a listing. A search may find it again; what must not be played is marked broken.

        Raises:
            NoListingError: there is none.
        """
        titles = [part.title_id for part in await self.listings.parts(listing_id)]
        await self.listings.remove(listing_id)
        await self._availability.update(titles)

    async def check(self, name: DirectoryId) -> Standing:
        """Ask a directory something small; see `DirectoryBook.check`."""
        return await self.directories.check(name)

    def configure(self, settings: SourcesSettings, *, archive_url: str = ARCHIVE_URL) -> None:
        """Ask the directories of other settings from now on."""
        self.directories.configure(settings.directories(archive_url=archive_url))

    # --- inside -----------------------------------------------------------------------------------

    async def _title(self, title_id: TitleId) -> Particulars:
        if title_id.kind is Kind.SHOW:
            raise NotPlayableError("A show is not played, but its episodes are")
        return await self._titles.particulars(title_id)

    async def _ranked(self, title: Particulars, preference: Preference) -> Sequence[RankedListing]:
        listings = await self.listings.of_title(title.id)
        # After a start no name has been read yet, and a thousand take a second.
        await asyncio.to_thread(choosing.read, listings)
        return choosing.ranked(
            listings,
            choosing.for_title(preference, title),
            Circumstances(
                now=self._clock(), trust=self.directories.trust, is_cached=self._is_cached
            ),
        )

    async def _why_nothing(self, title: Particulars, ranked: Sequence[RankedListing]) -> str:
        if ranked:
            against = dict.fromkeys(one.reasons[0] for one in ranked if not one.usable)
            # The usable ones have been tried, or are not wanted; whoever did that says why.
            said = f": {', '.join([*against][:5])}" if against else ""
            return f"Nothing that was found can be played{said}"
        last = await self.listings.search_of(title.id)
        if last is None:
            return "Nobody has looked for this yet"
        if last.refused:
            worst = sorted(last.refused.items(), key=lambda item: -item[1])[:3]
            said = "; ".join(f"{reason} ({count})" for reason, count in worst)
            return f"Nothing was found that fits: {said}"
        if not last.complete:
            return "Nothing was found, but not every directory has answered"
        return "Nothing was found"


class _Standings:
    """Tells the book that a standing has changed, once there is one."""

    def __init__(self) -> None:
        self._stir: Callable[[], None] | None = None

    def told(self, stir: Callable[[], None]) -> None:
        self._stir = stir

    def changed(self, _name: DirectoryId, _standing: Standing) -> None:
        if self._stir is not None:
            self._stir()
