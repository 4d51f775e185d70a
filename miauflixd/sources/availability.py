"""Telling everybody else where something can be played from, and where not any more."""

from collections.abc import Callable, Collection

from miauflixd.catalogue.model import TitleId
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.sources.listing_store import ListingStore


class Availability:
    """What titles can be played, as the catalogue and those who listen know it."""

    def __init__(
        self, *, titles: TitleStore, listings: ListingStore, changed: Callable[[str], None]
    ) -> None:
        self._titles = titles
        self._listings = listings
        self._changed = changed

    async def update(self, titles: Collection[TitleId]) -> None:
        """Look anew whether these can be played, whose listings have changed."""
        playable = set(await self._listings.playable(titles))
        others = [title for title in titles if title not in playable]
        switched = [
            *await self._titles.set_available(playable, available=True),
            *await self._titles.set_available(others, available=False),
        ]
        for title in titles:
            self.tell(title)
        for title in switched:
            self._changed(f"title:{title}")

    def tell(self, title: TitleId) -> None:
        """Say that a title's listings, or whether they are searched for, has changed."""
        self._changed(f"sources:{title}")
