"""Bringing what is known here up to what the providers say, one piece at a time.

Each method is one piece of work: it asks, saves, and says what came of it. When it is done, in
which order, and what happens when it fails, is the timetable's business.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from miauflixd.catalogue.list_model import ListSpec
from miauflixd.catalogue.lists import Lists
from miauflixd.catalogue.model import (
    Facts,
    Kind,
    ListSlug,
    Locale,
    NoListError,
    NoTitleError,
    OutsideIds,
    ProviderName,
    TitleId,
)
from miauflixd.catalogue.providers.provider import (
    GoneError,
    NoProviderError,
    Provider,
    ProviderList,
    ProviderState,
    ProviderUnavailableError,
    SeriesProvider,
)
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.errors import MiauflixdError, TimedOutError
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.priority import Priority

_log = logging.getLogger(__name__)

_AT_ONCE = 100
"""Titles of a list of which the rest is asked at once. Nobody scrolls to the others within the
hour, and a list of 120 stays below 125 requests when it is new."""

_GENRES_FOR = timedelta(days=1)
"""How long nobody is asked again what genres are called; they change by the decade."""

_SEASONS = 1000
"""Seasons of a show at most; the longest-running ones have a hundred."""


class ListNotRefreshedError(TimedOutError):
    """A list could not be brought up to date; the others may well be.

    Not an `UnavailableError`, over which all that waits would rest.
    """

    code = "list_not_refreshed"


class TitleNotSyncedError(TimedOutError):
    """A title could not be brought up to date, and others can; see `ListNotRefreshedError`."""

    code = "title_not_synced"


@dataclass(frozen=True, kw_only=True, slots=True)
class Refreshed:
    """What came of refreshing a list."""

    count: int
    """Titles that it has now."""
    incomplete: Sequence[tuple[TitleId, float]]
    """Those of which little is known yet, and how much they are wanted: more than 0, up to 1."""
    later: Sequence[tuple[TitleId, float]]
    """Likewise, far down in the list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """A page of what has changed elsewhere."""

    titles: Sequence[TitleId]
    """Those that are known here and were not looked at since."""
    pages: int


class Syncing:
    """Asks the providers, and remembers what they say.

    Promise: nothing that a provider does not say takes away what is known; a list that cannot be
    had whole stays as it is.
    """

    def __init__(
        self,
        *,
        titles: TitleStore,
        lists: Lists,
        providers: Sequence[Provider],
        series: SeriesProvider,
        locale: Locale,
        changed: Callable[[str], None],
        clock: Clock,
    ) -> None:
        """Take what is needed.

        Args:
            titles: where titles are kept.
            lists: where lists are kept.
            providers: all there are; those that are off have no lists.
            series: the one of them that knows episodes.
            locale: what titles are asked for in.
            changed: is told `title:movie:7`, `list:tmdb-movies-popular`, `home`.
            clock: the time of day.
        """
        self._titles = titles
        self._lists = lists
        self._providers: Mapping[ProviderName, Provider] = {one.name: one for one in providers}
        self._series = series
        self._locale = locale
        self._changed = changed
        self._clock = clock
        self._genres_known_at: datetime | None = None

    def providers(self) -> Sequence[ProviderState]:
        """Return how each provider is doing."""
        return [provider.state() for provider in self._providers.values()]

    async def check(self, name: str) -> ProviderState:
        """Ask a provider something small, and return how it is doing.

        Raises:
            NoProviderError: there is none of this name.
        """
        for provider in self._providers.values():
            if provider.name == name:
                return await provider.check()
        raise NoProviderError("There is no provider of this name")

    async def current_lists(self) -> Sequence[ListSlug]:
        """Return the lists that are filled by somebody, and remove those that are not any more."""
        slugs: list[ListSlug] = []
        for provider in self._providers.values():
            found = [one.slug for one in provider.lists()]
            await self._lists.retain(provider.name, found)
            slugs += found
        return slugs

    async def name_genres(self) -> None:
        """Learn what genres are called in the language of the house, if somebody says so now."""
        now = self._clock()
        known_at = self._genres_known_at
        # However far the clock was set, and whither.
        is_known = known_at is not None and abs(now - known_at) < _GENRES_FOR
        if is_known or not self.has_series:
            return
        try:
            names = await self._series.genres(self._locale)
        except (ProviderUnavailableError, GoneError) as error:
            _log.debug("The genres stay as they are called: %s", error.code)
            return
        await self._titles.save_genre_names(
            {genre: {self._locale: name} for genre, name in names.items()}
        )
        self._genres_known_at = now

    @property
    def has_series(self) -> bool:
        """Whether the provider is on that knows episodes, and tells what has changed."""
        return self._series.state().condition != "off"

    async def refresh(self, slug: ListSlug) -> Refreshed:
        """Bring a list up to date, all of it or nothing.

        Raises:
            NoListError: nobody fills it.
            ListNotRefreshedError: it cannot be had whole; it stays as it is.
        """
        provider, wanted = self._filled_by(slug)
        try:
            facts = await _whole(provider, wanted)
        except (ProviderUnavailableError, GoneError) as error:
            raise ListNotRefreshedError(str(error)) from error
        now = self._clock()
        ids = list(dict.fromkeys(await self._titles.save(facts, at=now)))
        # The provider may have been switched off meanwhile, and its lists removed: this one must
        # not come back. Nothing is awaited before it is handed to the database.
        provider, wanted = self._filled_by(slug)
        spec = ListSpec(slug=slug, title=wanted.title, kind=wanted.kind, provider=provider.name)
        if await self._lists.replace(spec, ids, at=now):
            self._changed("home")
        brief = await self.incomplete(ids)
        ranked = [
            (title_id, 1 - place / len(ids))
            for place, title_id in enumerate(ids)
            if title_id in brief
        ]
        at_once = set(ids[:_AT_ONCE])
        return Refreshed(
            count=len(ids),
            incomplete=[one for one in ranked if one[0] in at_once],
            later=[one for one in ranked if one[0] not in at_once],
        )

    async def incomplete(self, ids: Collection[TitleId]) -> Collection[TitleId]:
        """Return those of these of which there is more to be learnt, if there is whom to ask."""
        if not self.has_series:
            return ()
        return await self._titles.brief_among(self._series.name, ids)

    def knows(self, ids: OutsideIds) -> bool:
        """Return whether there is somebody to ask about a title."""
        return any(True for _ in self._who_knows(ids))

    async def details(self, title_id: TitleId, *, priority: Priority) -> Sequence[int]:
        """Ask everybody who knows a title for all of it, and return the seasons still to be asked.

        Raises:
            NoTitleError: there is none.
            ProviderUnavailableError: the one who is asked of nearly all titles answers nobody.
            TitleNotSyncedError: somebody has not told all of this one, now; others may have.
        """
        ids = (await self._titles.outside([title_id])).get(title_id)
        if ids is None:
            raise NoTitleError("There is no such title")
        failure: ProviderUnavailableError | None = None
        away = told = False
        for provider in self._who_knows(ids):
            try:
                facts = await provider.details(title_id.kind, ids, priority=priority)
            except GoneError:
                await self._titles.mark_gone(title_id, provider=provider.name, at=self._clock())
            except ProviderUnavailableError as error:
                failure = error
                away = away or self._is_away(provider)
            else:
                (title_id,) = await self._titles.save([facts], at=self._clock())
                told = True
        if failure is None or told:
            self._changed(f"title:{title_id}")
        if failure is not None:
            # Nobody else's titles wait for somebody who was not needed for them.
            raise failure if away and not told else TitleNotSyncedError(str(failure)) from failure
        unsynced = await self._titles.seasons_to_sync(_SEASONS, shows=[title_id])
        return [number for _, number in unsynced]

    async def season(self, show: TitleId, number: int, *, priority: Priority) -> None:
        """Ask for the episodes of a season.

        Raises:
            NoTitleError: there is no such show.
            GoneError: the provider knows no such season.
            ProviderUnavailableError: it answers nobody.
            TitleNotSyncedError: it has not told of this one, now.
        """
        ids = (await self._titles.outside([show])).get(show, OutsideIds())
        if ids.tmdb is None:
            raise GoneError("Nobody knows the episodes of this show")
        try:
            facts = await self._series.season(ids, number, priority=priority)
        except ProviderUnavailableError as error:
            if self._is_away(self._series):
                raise
            raise TitleNotSyncedError(str(error)) from error
        await self._titles.save_season(show, facts, locale=self._locale, at=self._clock())
        self._changed(f"title:{show}")

    async def changes(self, kind: Kind, *, day: date, page: int) -> Changed:
        """Return which of our titles have changed at the provider on a day, and need a look.

        The feed names a title from its first change until the end of the day. It is looked at when
        it is first named, and once more when the day is over: it may have changed again.

        Raises:
            ProviderUnavailableError: it does not answer.
        """
        found = await self._series.changes(kind, since=day, until=day, number=page)
        known = await self._titles.known(kind, found.items)
        looked_at = min(day + timedelta(days=1), self._clock().date())
        stale = await self._titles.checked_before(
            self._series.name,
            list(known.values()),
            before=datetime.combine(looked_at, time(), tzinfo=UTC),
        )
        return Changed(titles=stale, pages=found.pages)

    async def search(self, text: str, *, kind: Kind | None) -> Sequence[TitleId]:
        """Ask everybody for what fits these words, save it, and return it, the best first.

        Nobody waits for one who does not answer: what each says is saved as soon as it is said.
        """
        found: dict[ProviderName, Sequence[TitleId]] = {}

        async def ask(provider: Provider) -> None:
            try:
                facts = await provider.search(text, kind=kind)
            except (ProviderUnavailableError, GoneError) as error:
                _log.debug("A search was not answered by %s: %s", provider.name, error.code)
                return
            found[provider.name] = await self._titles.save(facts, at=self._clock())

        asked = [one for one in self._providers.values() if one.state().condition != "off"]
        try:
            async with asyncio.TaskGroup() as group:
                for provider in asked:
                    group.create_task(ask(provider), name=f"search at {provider.name}")
        except* MiauflixdError as several:
            # The same for all: nothing can be written.
            raise several.exceptions[0] from None
        return list(dict.fromkeys(one for who in asked for one in found.get(who.name, ())))

    async def find(self, imdb_id: str) -> TitleId | None:
        """Return what has this id elsewhere, and save what is said of it; nothing when offline."""
        try:
            facts = await self._series.find(imdb_id)
        except (ProviderUnavailableError, GoneError):
            return None
        if facts is None:
            return None
        # An answer that leaves out what was asked for is still about that.
        facts = replace(facts, ids=replace(facts.ids, imdb=facts.ids.imdb or imdb_id))
        (title_id,) = await self._titles.save([facts], at=self._clock())
        return title_id

    def _is_away(self, provider: Provider) -> bool:
        """Return whether a provider that has failed fails all who ask, and is one all ask.

        Who answers others is well: then something is wrong with the one thing that was asked for.
        """
        return provider is self._series and provider.state().condition != "ok"

    def _filled_by(self, slug: ListSlug) -> tuple[Provider, ProviderList]:
        for provider in self._providers.values():
            for found in provider.lists():
                if found.slug == slug:
                    return provider, found
        raise NoListError("Nobody fills this list")

    def _who_knows(self, ids: OutsideIds) -> Sequence[Provider]:
        known: Mapping[ProviderName, object] = {"tmdb": ids.tmdb, "archive": ids.archive}
        return [
            provider
            for name, provider in self._providers.items()
            if known.get(name) is not None and provider.state().condition != "off"
        ]


async def _whole(provider: Provider, wanted: ProviderList) -> list[Facts]:
    """Return all of a list; a part without anything in it is a part that is missing."""
    found: list[Facts] = []
    for number in range(1, wanted.pages + 1):
        page = await provider.page(wanted.slug, number)
        if not page.items:
            raise ProviderUnavailableError("A part of this list came without anything in it")
        found += page.items
        if number >= page.pages:
            break
    return found
