"""From a title to a source that can be read: what happens when somebody presses play.

The best listing that is known is taken, or the first usable one that a search brings. If it turns
out to be useless, or nobody says what it holds, the next one is. Each attempt has so long, and all
of them together; whoever waits can see the search in the sources of the title meanwhile.
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from miauflixd.catalogue.model import TitleId
from miauflixd.errors import NotFoundError
from miauflixd.runtime.priority import Priority
from miauflixd.sources.choosing import Chosen
from miauflixd.sources.getting_ports import Stock
from miauflixd.sources.listing_model import ListingId, NothingToPlayError
from miauflixd.sources.opening import Opening, UnopenedError, UselessListingError
from miauflixd.sources.preloading import Preloading
from miauflixd.sources.ranking import Plays, Preference
from miauflixd.sources.release_model import Release
from miauflixd.sources.service import Sources
from miauflixd.torrents.model import NoSourceError, SourceId

WITHIN = 40.0
"""Seconds in all. A player that gets no answer for a minute gives up, and so does a person."""

_FIRST = 1.4
"""Seconds for a search before the best of what it has brought is taken: the first to answer need
not have the best."""

_THEN = 0.5
"""Seconds between looks at whether a search has brought something by now."""

_PATIENCE = 12.0
"""Seconds for a swarm to say what it holds before another listing is tried."""


_AVOIDED = 600.0
"""Seconds for which what gave nothing is tried after all others: a swarm may be asleep, and a film
that did not start is not started a second time from the same place."""

_REMEMBERED = 1000
"""Listings that are avoided at the same time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """What to read a title from."""

    source_id: SourceId
    file_index: int | None
    """`None`: the source's main file."""
    listing_id: ListingId
    release: Release
    plays: Plays
    reasons: tuple[str, ...]
    """Why this one, and what was wrong with those that were tried before."""
    original_language: str | None = None
    """In which the title was made, BCP 47."""


class Playing:
    """Makes titles into sources."""

    def __init__(
        self, *, sources: Sources, opening: Opening, stock: Stock, preloading: Preloading
    ) -> None:
        self._sources = sources
        self._opening = opening
        self._stock = stock
        self._preloading = preloading
        self._avoided: dict[ListingId, float] = {}
        """Until when, by the loop's clock."""

    async def ready(
        self,
        title_id: TitleId,
        preference: Preference,
        *,
        not_these: Collection[ListingId] = (),
        within: float = WITHIN,
    ) -> Ready:
        """Return what to play a movie or an episode from, waiting for it if need be.

        Args:
            title_id: which one.
            preference: what whoever plays it likes.
            not_these: what they do not want.
            within: seconds to wait at most.

        Raises:
            NoTitleError: there is no such title.
            NotPlayableError: it is a show.
            NothingToPlayError: there is nothing, or it was not found in time; the message says why.
            TunnelDownError: there is no way to what there is.
        """
        attempt = _Attempt(title_id, preference, tried=[*not_these], avoided=self._to_avoid())
        try:
            async with asyncio.timeout(within):
                return await self._ready(attempt)
        except TimeoutError as error:
            raise attempt.failure("It took too long") from error

    async def chosen(self, source_id: SourceId) -> None:
        """Note that somebody plays a source that they have chosen themselves."""
        await self._preloading.played(source_id)

    async def gave_nothing(self, source_id: SourceId) -> None:
        """Note that a source could not be played, so that the next best one is taken for a while.

        Somebody may know better, and mark it as broken for good.
        """
        listing = await self._sources.listings.by_source(source_id)
        if listing is None:
            return
        self._avoided.pop(listing.id, None)
        self._avoided[listing.id] = asyncio.get_running_loop().time() + _AVOIDED
        while len(self._avoided) > _REMEMBERED:
            del self._avoided[next(iter(self._avoided))]

    def _to_avoid(self) -> list[ListingId]:
        now = asyncio.get_running_loop().time()
        self._avoided = {one: until for one, until in self._avoided.items() if until > now}
        return [*self._avoided]

    async def _ready(self, attempt: "_Attempt") -> Ready:
        searched = False
        while True:
            try:
                chosen = await self._sources.best(
                    attempt.title_id,
                    attempt.preference,
                    not_these=[*attempt.tried, *attempt.avoided],
                )
            except NothingToPlayError as error:
                if attempt.avoided:
                    attempt.avoided = []  # better the one that gave nothing than nothing
                    continue
                if searched:
                    raise attempt.failure(str(error)) from error
                searched = await self._search(attempt)
                continue
            attempt.tried.append(chosen.listing.id)
            try:
                return await self._try(chosen, attempt)
            except (UselessListingError, UnopenedError) as error:
                attempt.against.append(str(error))
            except NotFoundError:
                pass  # it was removed this moment

    async def _search(self, attempt: "_Attempt") -> bool:
        """Have the title searched for, and return whether that is over."""
        within = _THEN if attempt.has_searched else _FIRST
        attempt.has_searched = True
        return await self._sources.search(
            attempt.title_id, within=within, priority=Priority.WAITED_FOR
        )

    async def _try(self, chosen: Chosen, attempt: "_Attempt") -> Ready:
        listing = chosen.listing
        listing_id = listing.id
        made: SourceId | None = None
        file = chosen.file
        if file is None:
            if _only_a_link(chosen):
                # It becomes a source at once and is asked as such: whoever only asked would leave
                # the swarm as soon as it knows, and have to come back.
                made = await self._opening.source_of(listing_id)
            try:
                listing_id = await self._opening.open(
                    listing_id, priority=Priority.WAITED_FOR, within=_PATIENCE
                )
            except BaseException:
                if made is not None and listing.source_id != made:
                    with suppress(NoSourceError):
                        await self._stock.remove(made)
                raise
            parts = await self._sources.listings.parts(listing_id)
            file = next((one.file for one in parts if one.title_id == attempt.title_id), None)
        source_id = await self._opening.source_of(listing_id)
        await self._preloading.played(source_id)
        return Ready(
            source_id=source_id,
            file_index=None if file is None else file.index,
            listing_id=listing_id,
            release=chosen.release,
            plays=chosen.plays,
            reasons=(*chosen.reasons, *dict.fromkeys(attempt.against)),
            original_language=await self._sources.original_language(attempt.title_id),
        )


class _Attempt:
    """Somebody's wish, and what has been tried to fulfil it."""

    def __init__(
        self,
        title_id: TitleId,
        preference: Preference,
        *,
        tried: list[ListingId],
        avoided: list[ListingId],
    ) -> None:
        self.title_id = title_id
        self.preference = preference
        self.tried = tried
        self.avoided = avoided
        self.against: list[str] = []
        self.has_searched = False

    def failure(self, reason: str) -> NothingToPlayError:
        """Return the error with what was wrong with all that was tried."""
        return NothingToPlayError(". ".join(dict.fromkeys((reason, *self.against))))


def _only_a_link(chosen: Chosen) -> bool:
    listing = chosen.listing
    return listing.needs_swarm and listing.state == "magnet" and listing.offer.torrent_url is None
