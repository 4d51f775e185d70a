"""Trakt's public lists: what many people watch now, and what they wait for."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Literal, Self

import msgspec

from miauflixd.catalogue.model import Facts, Kind, ListSlug, OutsideIds, ProviderName
from miauflixd.catalogue.providers import trakt_shapes
from miauflixd.catalogue.providers.pace import Pace
from miauflixd.catalogue.providers.polite import PoliteApi
from miauflixd.catalogue.providers.provider import (
    GoneError,
    Page,
    ProviderList,
    ProviderOffError,
    ProviderState,
)
from miauflixd.catalogue.providers.trakt_api import COMPANY
from miauflixd.catalogue.settings import TRAKT, CatalogueSettings
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.http import Http
from miauflixd.runtime.priority import Priority

_PER_SECOND = 3.0
"""Requests that may begin in a second: Trakt allows 1,000 in five minutes."""

_AT_ONCE = 4

_PAGE = 100
"""Titles of a list."""

_FOUND = 20
"""Titles that a search returns."""

_TYPED = 400
"""Characters of what somebody typed that are sent."""

_LISTS: Final[Mapping[ListSlug, tuple[str, str, Literal["movie", "show"]]]] = {
    ListSlug("trakt-movies-trending"): ("/movies/trending", "Movies watched now", "movie"),
    ListSlug("trakt-shows-trending"): ("/shows/trending", "Series watched now", "show"),
    ListSlug("trakt-movies-anticipated"): (
        "/movies/anticipated",
        "Movies that people wait for",
        "movie",
    ),
}


class TraktProvider:
    """A `Provider` of lists, that knows ids better than texts."""

    name: Final[ProviderName] = "trakt"

    def __init__(self, *, api: PoliteApi, wanted: bool) -> None:
        """Take Trakt's API, and whether the settings have an application there."""
        self._api = api
        self._wanted = wanted
        if not wanted:
            api.health.off(
                "The settings have no application at Trakt", "Nothing, until they have one"
            )

    @classmethod
    @asynccontextmanager
    async def open(
        cls, *, http: Http, settings: CatalogueSettings, clock: Clock, **others: Any
    ) -> AsyncIterator[Self]:
        """Have Trakt for the length of the block, as the settings want it.

        Args:
            http: the client of the host's network.
            settings: of the catalogue.
            clock: the time of day.
            others: of `PoliteApi.open`, for tests.
        """
        client_id = settings.trakt_client_id

        def headers() -> Mapping[str, str]:
            return {
                "Content-Type": "application/json",
                "trakt-api-version": "2",
                "trakt-api-key": "" if client_id is None else client_id.reveal(),
            }

        usual: dict[str, Any] = {
            "pace": Pace(company=COMPANY, per_second=_PER_SECOND, burst=_AT_ONCE, at_once=_AT_ONCE)
        }
        async with PoliteApi.open(
            http=http,
            name="trakt",
            company=COMPANY,
            base=settings.trakt_url,
            official=TRAKT,
            clock=clock,
            refusal="Check catalogue.trakt_client_id in the settings",
            headers=headers,
            **(usual | others),
        ) as api:
            yield cls(api=api, wanted=client_id is not None)

    def state(self) -> ProviderState:
        """See `Provider`."""
        return self._api.health.state()

    async def check(self) -> ProviderState:
        """See `Provider`."""
        if self._wanted:
            with suppress(MiauflixdError):  # The state says so.
                await self._entries("/movies/trending", 1, 1, priority=Priority.WAITED_FOR)
        return self.state()

    def lists(self) -> Sequence[ProviderList]:
        """See `Provider`."""
        if not self._wanted:
            return ()
        return [
            ProviderList(slug=slug, title=title, kind=kind, pages=1)
            for slug, (_, title, kind) in _LISTS.items()
        ]

    async def page(self, slug: ListSlug, number: int) -> Page[Facts]:
        """Return a part of a list.

        Raises:
            GoneError: there is no such list.
        """
        self._require_wanted()
        if slug not in _LISTS:
            raise GoneError("Trakt has no such list")
        path, _, _ = _LISTS[slug]
        items = await self._entries(path, number, _PAGE) if number == 1 else ()
        return Page(items=items, pages=1)

    async def details(self, kind: Kind, ids: OutsideIds, *, priority: Priority) -> Facts:
        """Return what it knows of a title that is known by Trakt's own id, or by IMDb's.

        Raises:
            GoneError: it knows nothing of it, or not by another id.
        """
        self._require_wanted()
        known = ids.trakt or ids.imdb
        if known is None or kind is Kind.EPISODE:
            raise GoneError("Trakt does not know this")
        values = await self._api.get(
            f"/{kind.value}s/{known}", {"extended": "full"}, kind=object, priority=priority
        )
        facts = None
        if isinstance(values, dict):
            facts = trakt_shapes.title(values, kind, full=True)
        if facts is None:
            raise GoneError("Trakt has nothing to say of this")
        return facts

    async def search(self, text: str, *, kind: Kind | None = None) -> Sequence[Facts]:
        """See `Provider`."""
        self._require_wanted()
        words = " ".join(text[:_TYPED].split())
        if not words or kind is Kind.EPISODE:
            return ()
        where = "movie,show" if kind is None else kind.value
        raws = await self._api.get(
            f"/search/{where}",
            {"query": words, "fields": "title,aliases", "limit": _FOUND},
            kind=list[msgspec.Raw],
            priority=Priority.WAITED_FOR,
        )
        return trakt_shapes.entries(raws)

    async def _entries(
        self, path: str, number: int, limit: int, *, priority: Priority = Priority.ROUTINE
    ) -> tuple[Facts, ...]:
        raws = await self._api.get(
            path, {"page": number, "limit": limit}, kind=list[msgspec.Raw], priority=priority
        )
        return trakt_shapes.entries(raws[:limit])

    def _require_wanted(self) -> None:
        if not self._wanted:
            raise ProviderOffError("The settings have no application at Trakt")
