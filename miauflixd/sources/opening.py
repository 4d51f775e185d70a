"""From a listing to what it holds, and on to a source that can be read.

    a `.torrent` file from its directory  ─┐
    what the swarm says of a magnet link  ─┼─> compared with what was promised ─> the files chosen
    files of a server, which are named    ─┘

What is found out is kept with the listing, so that nobody asks twice. A listing that turns out to
be another torrent than was offered, or to hold nothing that can be played, is marked with the
reason and not tried again.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from miauflixd.catalogue.model import NoTitleError, TitleId
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.errors import NotFoundError, TimedOutError
from miauflixd.runtime.priority import Priority
from miauflixd.sources.asking import NoDirectoryError
from miauflixd.sources.directories.directory import DirectoryUnavailableError, TorrentBytes
from miauflixd.sources.file_choice import Choice, choose
from miauflixd.sources.fitting import wanted_of
from miauflixd.sources.getting_ports import Stock, Swarms
from miauflixd.sources.listing_model import OWN, ChosenFile, Listing, ListingId, Part
from miauflixd.sources.offers import Offer
from miauflixd.sources.service import Sources
from miauflixd.sources.settings import ARCHIVE_URL
from miauflixd.torrents.magnet import Magnet, from_hash, parse_magnet
from miauflixd.torrents.model import BadTorrentError, Fetched, NoSourceError, SourceFile, SourceId
from miauflixd.torrents.reader import NoDataError, SourceFailedError
from miauflixd.web_files.model import BadWebSourceError, Via, WebContent

logger = logging.getLogger(__name__)

_IN_A_THREAD = 50
"""Files from which on choosing among them takes so long, 20 ms, that others would notice."""


class UselessListingError(NotFoundError):
    """A listing leads to nothing that could be played; it has been marked, and is not tried again.

    The message says why, and no title.
    """

    code = "useless_source"


class UnopenedError(TimedOutError):
    """Nobody says now what a listing holds; somebody may later."""

    code = "unopened_source"


class Opening:
    """Finds out what listings hold, and makes sources of them."""

    def __init__(
        self,
        *,
        sources: Sources,
        titles: TitleStore,
        swarms: Swarms,
        stock: Stock,
    ) -> None:
        """Take whom to ask.

        Args:
            sources: where listings are kept, and directories asked.
            titles: what the titles are that they are of.
            swarms: tell what a torrent holds.
            stock: the sources.
        """
        self._sources = sources
        self._listings = sources.listings
        self._titles = titles
        self._swarms = swarms
        self._stock = stock

    async def open(self, listing_id: ListingId, *, priority: Priority, within: float) -> ListingId:
        """Find out what a listing holds and which files the titles are, unless that is known.

        Args:
            listing_id: which one.
            priority: who waits for it.
            within: seconds for a swarm to tell, from its turn on.

        Returns:
            The listing that it is from now on: two that turn out to be the same torrent are one.

        Raises:
            NoListingError: there is none.
            UselessListingError: it is not what was offered, or holds nothing to play.
            UnopenedError: nobody says now what it holds.
            TunnelDownError: there is no way to ask.
        """
        listing = await self._listings.listing(listing_id)
        if listing.broken is not None:
            raise UselessListingError(listing.broken)
        parts = await self._listings.parts(listing_id)
        if not listing.needs_swarm:
            if any(part.file is None for part in parts):
                await self._choose(listing, parts, _web_files(listing.offer))
            return listing_id
        metainfo = await self._listings.torrent(listing_id)
        if metainfo is None:
            held = await self._held(listing, priority=priority, within=within)
            listing_id = await self._listings.save_torrent(
                listing_id, held.metainfo, hashes=held.info_hashes
            )
        elif all(part.file is not None for part in parts):
            return listing_id
        else:
            held = await self._inspected(listing_id, metainfo)
        parts = await self._listings.parts(listing_id)
        await self._choose(await self._listings.listing(listing_id), parts, held.files)
        return listing_id

    async def source_of(self, listing_id: ListingId, *, wake: bool = True) -> SourceId:
        """Return the source of a listing, making it if there is none.

        Args:
            listing_id: which one.
            wake: bring it into the swarm at once, for somebody who is about to play it.

        Raises:
            NoListingError: there is no such listing.
            UselessListingError: nothing can be made of it.
            UnopenedError: it has to be opened first.
        """
        listing = await self._listings.listing(listing_id)
        if listing.source_id is not None and self._is_there(listing.source_id):
            return listing.source_id
        try:
            source_id = await self._make(listing, wake=wake)
        except (BadTorrentError, BadWebSourceError) as error:
            raise await self._useless(listing, str(error)) from error
        await self._listings.set_source(listing_id, source_id)
        return source_id

    # --- what it holds ----------------------------------------------------------------------------

    async def _held(self, listing: Listing, *, priority: Priority, within: float) -> Fetched:
        offer = listing.offer
        magnet = magnet_of(offer)
        if offer.torrent_url is not None and offer.directory != OWN:
            try:
                answer = await self._sources.asking.resolve(offer, priority=priority)
            except (NoDirectoryError, DirectoryUnavailableError) as error:
                # A swarm may tell as well; if there is no link to it, the directory has to.
                if magnet is None:
                    raise UnopenedError("Its directory does not give it now") from error
            else:
                if isinstance(answer, TorrentBytes):
                    return await self._promised(listing, answer.data)
                if magnet is not None and not set(magnet.hashes) <= set(answer.hashes):
                    raise await self._useless(listing, _ANOTHER)
                magnet = answer
        if magnet is None:
            raise await self._useless(listing, "There is no link to it")
        try:
            return await self._swarms.fetch_metadata(magnet.uri, within=within, priority=priority)
        except NoDataError as error:
            raise UnopenedError("Nobody in its swarm says what it holds") from error
        except (SourceFailedError, BadTorrentError) as error:
            raise await self._useless(listing, str(error)) from error

    async def _promised(self, listing: Listing, metainfo: bytes) -> Fetched:
        """Return what a file from a directory says, if it is the torrent that was offered."""
        held = await self._inspected(listing.id, metainfo)
        magnet = magnet_of(listing.offer)
        if magnet is not None and not set(magnet.hashes) <= set(held.info_hashes):
            raise await self._useless(listing, _ANOTHER)
        return held

    async def _inspected(self, listing_id: ListingId, metainfo: bytes) -> Fetched:
        try:
            return await self._swarms.inspect(metainfo)
        except BadTorrentError as error:
            listing = await self._listings.listing(listing_id)
            raise await self._useless(listing, str(error)) from error

    async def _choose(
        self, listing: Listing, parts: Sequence[Part], files: Sequence[SourceFile]
    ) -> None:
        """Note which files are the titles; a title that is not in it loses the listing."""
        reason = ""
        missing: list[TitleId] = []
        for part in parts:
            try:
                wanted = wanted_of(await self._titles.particulars(part.title_id))
            except NoTitleError:
                continue
            # By the name that has been matched; the torrent's own may say nothing.
            name = listing.offer.name
            if len(files) < _IN_A_THREAD:
                choice = choose(files, wanted, name=name)
            else:
                choice = await asyncio.to_thread(choose, files, wanted, name=name)
            if isinstance(choice, Choice):
                await self._listings.choose_file(listing.id, part.title_id, _chosen(choice.file))
            else:
                reason = choice.reason
                missing.append(part.title_id)
        if missing and len(missing) == len(parts):
            raise await self._useless(listing, reason)
        for title_id in missing:
            await self._listings.remove_part(listing.id, title_id)
        await self._sources.told(listing.id, lost=missing)

    async def _useless(self, listing: Listing, reason: str) -> UselessListingError:
        logger.info("Listing %s is not to be played", listing.id)
        await self._sources.mark_broken(listing.id, reason)
        return UselessListingError(reason)

    # --- sources ----------------------------------------------------------------------------------

    def _is_there(self, source_id: SourceId) -> bool:
        try:
            self._stock.source(source_id)
        except NoSourceError:
            return False
        return True

    async def _make(self, listing: Listing, *, wake: bool) -> SourceId:
        offer = listing.offer
        if not listing.needs_swarm:
            return await self._stock.add_web_content(self._content(offer))
        metainfo = await self._listings.torrent(listing.id)
        if metainfo is not None:
            return await self._stock.add_metainfo(metainfo, wake=wake)
        magnet = magnet_of(offer)
        if magnet is None:
            raise UnopenedError("It has to be fetched first")
        return await self._stock.add_magnet(magnet.uri, wake=wake)

    def _content(self, offer: Offer) -> WebContent:
        """Return the files of a server, which is asked by the road of the directory they are of."""
        via: Via = "tunnel"
        own: tuple[str, ...] = ()
        with suppress(NoDirectoryError):
            spec = self._sources.directories.directory(offer.directory).spec
            via = spec.via
            if spec.via == "host" and spec.url != ARCHIVE_URL:
                own = (spec.url,)
        return WebContent(
            name=offer.name,
            files=offer.web_files,
            via=via,
            own=own,
        )


_ANOTHER = "It is another torrent than was offered"


def magnet_of(offer: Offer) -> Magnet | None:
    """Return the link to a swarm with all trackers that anybody has named, if there is one."""
    if offer.magnet is not None:
        magnet = parse_magnet(offer.magnet)
        missing = [tracker for tracker in offer.trackers if tracker not in magnet.trackers]
        if not missing or len(magnet.hashes) > 1:
            return magnet
        return from_hash(magnet.hashes[0], trackers=(*magnet.trackers, *missing))
    if offer.info_hash is not None:
        return from_hash(bytes.fromhex(offer.info_hash), trackers=offer.trackers)
    return None


def _web_files(offer: Offer) -> Sequence[SourceFile]:
    # What nobody says the size of may be as big as the biggest.
    unsaid = max((file.size or 0 for file in offer.web_files), default=0) or 1
    return [
        SourceFile(index=index, name=file.name, size=file.size or unsaid, offset=0)
        for index, file in enumerate(offer.web_files)
    ]


def _chosen(file: SourceFile) -> ChosenFile:
    return ChosenFile(index=file.index, name=file.name, size=file.size)
