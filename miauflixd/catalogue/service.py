"""What there is to watch, for the people who watch it.

Answers come out of the database, whatever the internet does. What is missing is sent for, and the
answer waits for it a moment and no longer: whoever asked is told that there is more to come, and
by the events when it has.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from miauflixd.auth.model import User
from miauflixd.catalogue.browsing import Place, Query
from miauflixd.catalogue.certifications import limit_of
from miauflixd.catalogue.home import Home, any_cards
from miauflixd.catalogue.locales import parse_locale
from miauflixd.catalogue.model import (
    Audience,
    Card,
    Episode,
    EpisodeCard,
    Kind,
    Locale,
    NoTitleError,
    OutsideIds,
    Region,
    Row,
    Season,
    Title,
    TitleId,
)
from miauflixd.catalogue.ports import Errands
from miauflixd.catalogue.providers.provider import ProviderState
from miauflixd.catalogue.searching import Found, Searching
from miauflixd.catalogue.syncing import Syncing
from miauflixd.catalogue.title_store import CardPage, Counts, GenreCount, TitleStore
from miauflixd.catalogue.watching import next_step
from miauflixd.runtime.changes import Changes

_WAIT = 1.5
"""Seconds that an answer waits for what is missing: TMDB needs 0.2, and nobody looks at an empty
page for longer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeView:
    """An episode, and whose it is."""

    episode: Episode
    show: Card


@dataclass(frozen=True, kw_only=True, slots=True)
class SeasonView:
    """A season with its episodes, as far as they are known."""

    show: TitleId
    season: Season
    episodes: Sequence[Episode]


class Catalogue:
    """What handlers ask."""

    def __init__(
        self,
        *,
        titles: TitleStore,
        home: Home,
        searching: Searching,
        syncing: Syncing,
        errands: Errands,
        blackboard: Changes[str],
        locale: Locale,
        region: Region,
    ) -> None:
        self._titles = titles
        self._home = home
        self._searching = searching
        self._syncing = syncing
        self._errands = errands
        self._blackboard = blackboard
        self._locale = locale
        self._region = region

    def audience(self, user: User | None) -> Audience:
        """Return for whom answers to somebody are; `None`: the machine's own administrator."""
        if user is None:
            return Audience(user_id=None, locale=self._locale, limit=None)
        limit = None if user.max_rating is None else self.limit_of(user.max_rating)
        locale = parse_locale(user.profile.language) or self._locale
        return Audience(user_id=user.id, locale=locale, limit=limit)

    def limit_of(self, rating: str) -> int:
        """Return the highest age that a certification lets through where this house is."""
        return limit_of(rating, self._region)

    async def next_episode(self, title_id: TitleId) -> TitleId | None:
        """Return the episode that comes next, or `None`: there is none that is on the air."""
        if title_id.kind is not Kind.EPISODE:
            return None
        shows = await self._titles.shows_of([title_id])
        if title_id not in shows:
            return None
        outline = await self._titles.outline(shows[title_id])
        step = next_step(outline, [title_id], today=datetime.now(UTC).date())
        return None if step is None else step.id

    async def outside(self, ids: Collection[TitleId]) -> Mapping[TitleId, OutsideIds]:
        """Return what others call titles; those that are not there are left out."""
        return await self._titles.outside(ids)

    async def home(self, audience: Audience) -> Sequence[Row]:
        """Return the rows of the home page."""
        return await self._home.rows(audience)

    async def cards(
        self, ids: Collection[TitleId], audience: Audience
    ) -> Mapping[TitleId, Card | EpisodeCard]:
        """Return those of these titles and episodes that there are, and that they may see."""
        return await any_cards(self._titles, ids, audience)

    async def title(self, title_id: TitleId, audience: Audience) -> Title:
        """Return a movie or show in full, as far as it is known.

        Raises:
            NoTitleError: there is none, or they may not see it.
        """
        return await self._title(title_id, audience, until=_now() + _WAIT)

    async def episode(self, episode_id: TitleId, audience: Audience) -> EpisodeView:
        """Return an episode.

        Raises:
            NoTitleError: there is none, or they may not see it.
        """
        show, episode = await self._titles.episode(episode_id, audience.locale, audience.limit)
        return EpisodeView(episode=episode, show=show)

    async def season(self, show_id: TitleId, number: int, audience: Audience) -> SeasonView:
        """Return a season of a show with its episodes, as far as they are known.

        Raises:
            NoTitleError: there is no such show or season, or they may not see it.
        """
        until = _now() + _WAIT
        show = await self._title(show_id, audience, until=until)
        season = _season_of(show, number)
        if not season.synced and self._syncing.has_series and show.ids.tmdb is not None:
            await self._errands.fetch_season(show_id, number, within=max(0.0, until - _now()))
            show = await self._titles.title(show_id, audience.locale, audience.limit)
            season = _season_of(show, number)
        episodes = await self._titles.episodes(show_id, number, audience.locale, audience.limit)
        return SeasonView(show=show.card.id, season=season, episodes=episodes)

    async def find(self, ids: OutsideIds, kind: Kind | None, audience: Audience) -> Card | None:
        """Return the title that others call this; one that is new here is asked for by its IMDb id.

        What is not for them is not there.
        """
        found = None
        for one in (kind,) if kind is not None else (Kind.MOVIE, Kind.SHOW):
            found = found or await self._titles.find(ids, one)
        if found is None and ids.imdb is not None:
            found = await self._searching.look_up(ids.imdb)
        if found is None or (kind is not None and found.kind is not kind):
            return None
        cards = await self._titles.cards([found], audience.locale, audience.limit)
        return cards.get(found)

    async def browse(
        self, query: Query, audience: Audience, *, after: Place | None, count: int
    ) -> CardPage:
        """Return a page of all titles that there are, and that they may see."""
        limits = [one for one in (query.limit, audience.limit) if one is not None]
        query = replace(query, limit=min(limits, default=None))
        return await self._titles.browse(query, audience.locale, after=after, size=count)

    async def search(
        self, text: str, *, kind: Kind | None, audience: Audience, count: int
    ) -> Found:
        """Return what fits these words, the best first; never fails for any words."""
        return await self._searching.search(text, kind=kind, audience=audience, count=count)

    async def genres(self, audience: Audience) -> Sequence[GenreCount]:
        """Return the genres that titles have, by their names."""
        return await self._titles.genres(audience.locale, audience.limit)

    async def counts(self) -> Counts:
        """Return how much there is."""
        return await self._titles.counts()

    def providers(self) -> Sequence[ProviderState]:
        """Return how each provider is doing; asks nobody."""
        return self._syncing.providers()

    async def check(self, name: str) -> ProviderState:
        """Ask a provider something small, and return how it is doing.

        Raises:
            NoProviderError: there is none of this name.
        """
        return await self._syncing.check(name)

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, ...]]]:
        """Follow what changes: `title:movie:7`, `list:<slug>`, `home`, in batches."""
        return self._blackboard.listen_in_batches()

    async def _title(self, title_id: TitleId, audience: Audience, *, until: float) -> Title:
        found = await self._titles.title(title_id, audience.locale, audience.limit)
        # One that the Archive has told all of may be one of which TMDB has more to tell.
        several = found.ids.archive is not None and found.ids.tmdb is not None
        told = found.full and not (several and await self._syncing.incomplete([found.card.id]))
        if told or not self._syncing.knows(found.ids):
            return found
        await self._errands.fetch_title(title_id, within=max(0.0, until - _now()))
        return await self._titles.title(title_id, audience.locale, audience.limit)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _season_of(title: Title, number: int) -> Season:
    for season in title.seasons:
        if season.number == number:
            return season
    raise NoTitleError("There is no such season")
