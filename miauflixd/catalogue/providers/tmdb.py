"""The Movie Database: most of what there is to watch, for those who have a token."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Self, TypeVar

from miauflixd.catalogue.model import (
    Facts,
    GenreSlug,
    Kind,
    ListSlug,
    Locale,
    OutsideIds,
    ProviderName,
    SeasonFacts,
)
from miauflixd.catalogue.providers import tmdb_facts, tmdb_genres
from miauflixd.catalogue.providers.pace import Pace
from miauflixd.catalogue.providers.polite import DELAYS, PoliteApi
from miauflixd.catalogue.providers.provider import (
    GoneError,
    Page,
    ProviderList,
    ProviderOffError,
    ProviderRefusedError,
    ProviderState,
)
from miauflixd.catalogue.providers.replies import Outcome, each, nonsense
from miauflixd.catalogue.providers.tmdb_facts import TitleKind
from miauflixd.catalogue.providers.tmdb_lists import LISTS
from miauflixd.catalogue.providers.tmdb_parts import MOST_ID, language_of
from miauflixd.catalogue.providers.tmdb_shapes import (
    Changed,
    Configuration,
    Details,
    Entry,
    Found,
    GenreName,
    Genres,
    Paged,
    SeasonDetails,
)
from miauflixd.catalogue.settings import TMDB, CatalogueSettings
from miauflixd.catalogue.text import NAME, clean, imdb_id, whole_number
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.http import Http
from miauflixd.runtime.priority import Priority
from miauflixd.runtime.secrets import Secret

T = TypeVar("T")

COMPANY = "TMDB"

_REFUSAL = (
    "Set catalogue.tmdb_token to the API Read Access Token of an account with TMDB,"
    " which is the longer one of the two that it shows in its settings under API"
)
_OFF = "There is no catalogue.tmdb_token in the settings"

_PER_SECOND = 30
_BURST = 5
"""Together below the 40 that TMDB lets one ask within a second, also when the network holds up what
is asked in a fifth of one and lets it go at once."""

_AT_ONCE = 10
"""As many as a browser would open to a host, and more than it takes at 30 a second and 100 ms."""

_LAST_PAGE = 500
"""TMDB refuses pages behind it, though it counts them."""

_LONGEST_CHANGES = timedelta(days=14)
_LONGEST_SEARCH = 200
"""Characters; no title is longer."""

_TOKEN = re.compile(r"[\x21-\x7e]{1,2000}")
_WORDS: Mapping[TitleKind, str] = {Kind.MOVIE: "movie", Kind.SHOW: "tv"}
"""What TMDB calls them in its addresses."""


class Tmdb:
    """TMDB behind the Protocol of all providers.

    It answers in the one language of the settings, and full facts hold all others. Its token is
    sent in a header, never in an address, and only to where the settings say that TMDB is.
    """

    name: ProviderName = "tmdb"

    def __init__(self, *, api: PoliteApi, settings: CatalogueSettings) -> None:
        self._api = api
        self._token = settings.tmdb_token
        self._locale = Locale(settings.language)
        self._region = settings.region
        if self._token is None:
            api.health.off(_OFF, _REFUSAL)

    def configure(self, settings: CatalogueSettings) -> None:
        """Ask with another token from now on, or not at all without one."""
        if settings.tmdb_token == self._token:
            return
        self._token = settings.tmdb_token
        if self._token is None:
            self._api.health.off(_OFF, _REFUSAL)
        else:
            self._api.health.wanted()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        http: Http,
        settings: CatalogueSettings,
        clock: Clock,
        pace: Pace | None = None,
        delays: Sequence[float] = DELAYS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> AsyncIterator[Self]:
        """Have TMDB for the length of the block.

        Args:
            http: the client of the host's network.
            settings: the token, if there is one, where to ask and in what language.
            clock: the time of day.
            pace: how fast to ask, instead of as fast as TMDB allows.
            delays: seconds, on average, before each further attempt.
            sleep: waits between attempts.
            jitter: a random number from 0 to 1.
        """
        tmdb: Self | None = None
        async with PoliteApi.open(
            http=http,
            name=cls.name,
            company=COMPANY,
            base=settings.tmdb_url,
            official=TMDB,
            pace=pace
            or Pace(company=COMPANY, per_second=_PER_SECOND, burst=_BURST, at_once=_AT_ONCE),
            clock=clock,
            refusal=_REFUSAL,
            headers=lambda: _authorization(None if tmdb is None else tmdb._token),
            delays=delays,
            sleep=sleep,
            jitter=jitter,
        ) as api:
            tmdb = cls(api=api, settings=settings)
            yield tmdb

    def counts(self) -> Mapping[Outcome, int]:
        """Return how many requests there were by what became of them, for the metrics."""
        return self._api.counts()

    def state(self) -> ProviderState:
        """Return how it is doing; `off` without a token."""
        return self._api.health.state()

    async def check(self) -> ProviderState:
        """Ask for its configuration, of which nothing is used, and return how it is doing."""
        try:
            await self._get("/configuration", {}, Configuration, Priority.WAITED_FOR, cached=False)
        except MiauflixdError as error:
            if self._token is not None and self.state().condition in {"ok", "unknown"}:
                # A status that is no failure of the provider's, as it would be at another address.
                self._api.health.failed(str(error))
        return self.state()

    def lists(self) -> Sequence[ProviderList]:
        """Return the lists that it fills, in the order of a home page; none without a token."""
        return () if self._token is None else [one.shown for one in LISTS.values()]

    async def page(self, slug: ListSlug, number: int) -> Page[Facts]:
        """Return a part of a list, 1 being the first."""
        wanted = LISTS.get(slug)
        if wanted is None or not 1 <= number <= _LAST_PAGE:
            raise GoneError(f"{COMPANY} has no such list, or not so much of it")
        own = {"language": self._locale, "page": str(number), **wanted.query}
        if wanted.regional:
            own["region"] = self._region
        # Before details, of which a new house asks hundreds: without its lists the home is empty.
        answer = await self._get(wanted.path, own, Paged, Priority.ON_SCREEN)
        if whole_number(answer.total_pages) is None:
            # Taken for the only page, it would make a long list a short one.
            raise nonsense(COMPANY)
        return Page(items=self._briefs(answer.results, wanted.kind), pages=_pages(answer))

    async def details(self, kind: Kind, ids: OutsideIds, *, priority: Priority) -> Facts:
        """Return all that it knows of a title, with one request if its id here is known."""
        kind, number = await self._which(kind, ids, priority)
        language = language_of(self._locale)
        languages = ",".join(dict.fromkeys((language, "en")))
        rated = "release_dates" if kind is Kind.MOVIE else "content_ratings"
        details = await self._get(
            f"/{_WORDS[kind]}/{number}",
            {
                "append_to_response": f"translations,images,credits,external_ids,{rated},videos",
                "include_image_language": f"{languages},null",
                "include_video_language": languages,
                "language": self._locale,
            },
            Details,
            priority,
            # What a routine asks for is kept on the disk, and would drive out all else here.
            cached=priority is not Priority.ROUTINE,
        )
        if details.adult is True:
            raise GoneError(f"{COMPANY} has nothing under this id that is for everybody")
        facts = tmdb_facts.full(details, kind, self._locale)
        if facts is None or facts.ids.tmdb != number:
            # Not "gone", upon which somebody may forget the title: the answer is none.
            raise nonsense(COMPANY)
        return facts

    async def search(self, text: str, *, kind: Kind | None = None) -> Sequence[Facts]:
        """Return what fits these words, the best first; no people."""
        words = clean(text, _LONGEST_SEARCH)
        if not words or kind is Kind.EPISODE:
            return ()
        query = {"include_adult": "false", "language": self._locale, "page": "1", "query": words}
        path = "multi" if kind is None else _WORDS[kind]
        answer = await self._get(f"/search/{path}", query, Paged, Priority.WAITED_FOR)
        return self._briefs(answer.results, kind)

    async def season(self, ids: OutsideIds, number: int, *, priority: Priority) -> SeasonFacts:
        """Return a season with its episodes; 0 holds the specials."""
        _, show = await self._which(Kind.SHOW, ids, priority)
        if number < 0:
            raise GoneError(f"{COMPANY} knows no such season")
        details = await self._get(
            f"/tv/{show}/season/{number}",
            {"language": self._locale},
            SeasonDetails,
            priority,
            cached=priority is not Priority.ROUTINE,
        )
        facts = tmdb_facts.season(details, number)
        if facts is None:
            raise GoneError(f"{COMPANY} knows no such season")
        return facts

    async def find(self, imdb_id: str) -> Facts | None:
        """Return the movie or show that has this id elsewhere."""
        found = await self._find(imdb_id, Priority.WAITED_FOR)
        return next(iter(found), None)

    async def changes(self, kind: Kind, *, since: date, until: date, number: int) -> Page[int]:
        """Return what has changed between two days, of the last fortnight of these at most."""
        if kind is Kind.EPISODE:
            raise GoneError(f"{COMPANY} does not tell which episodes have changed")
        since = max(since, until - _LONGEST_CHANGES)
        answer = await self._get(
            f"/{_WORDS[kind]}/changes",
            {"end_date": until.isoformat(), "page": str(number), "start_date": since.isoformat()},
            Paged,
            Priority.ROUTINE,
        )
        found = (
            whole_number(one.id, least=1, most=MOST_ID)
            for one in each(answer.results, Changed)
            if tmdb_facts.harmless(one.adult)
        )
        items = tuple(dict.fromkeys(one for one in found if one is not None))
        return Page(items=items, pages=_pages(answer))

    async def genres(self, locale: Locale) -> Mapping[GenreSlug, str]:
        """Return the names of genres in a language, as far as it has names for them.

        Raises:
            ProviderUnavailableError: as for everything else.
        """
        names: dict[GenreSlug, str] = {}
        if language_of(locale) == "en":
            names.update(tmdb_genres.ENGLISH)
        for word in _WORDS.values():
            query = {"language": locale}
            answer = await self._get(f"/genre/{word}/list", query, Genres, Priority.ROUTINE)
            for one in each(answer.genres, GenreName):
                slug, name = tmdb_genres.slug_of_name(one.id), clean(one.name, NAME)
                if slug is not None and name:
                    names.setdefault(slug, name)
        return names

    async def _which(
        self, kind: Kind, ids: OutsideIds, priority: Priority
    ) -> tuple[TitleKind, int]:
        """Return what a title is to TMDB, which is asked for that if need be."""
        if kind is Kind.EPISODE:
            raise GoneError(f"{COMPANY} is asked for seasons, not for episodes")
        if ids.tmdb is not None:
            return kind, ids.tmdb
        for one in () if ids.imdb is None else await self._find(ids.imdb, priority):
            if one.kind is kind and one.ids.tmdb is not None:
                return kind, one.ids.tmdb
        raise GoneError(f"{COMPANY} does not know this title")

    async def _find(self, raw: str, priority: Priority) -> Sequence[Facts]:
        known = imdb_id(raw)
        if known is None:
            return ()
        query = {"external_source": "imdb_id", "language": self._locale}
        answer = await self._get(f"/find/{known}", query, Found, priority)
        return (
            *self._briefs(answer.movie_results, Kind.MOVIE),
            *self._briefs(answer.tv_results, Kind.SHOW),
        )

    def _briefs(self, raw: object, kind: TitleKind | None) -> tuple[Facts, ...]:
        found: dict[tuple[Kind, int | None], Facts] = {}
        for one in each(raw, Entry):
            facts = tmdb_facts.brief(one, kind, self._locale)
            if facts is not None:
                found.setdefault((facts.kind, facts.ids.tmdb), facts)
        return tuple(found.values())

    async def _get(
        self,
        path: str,
        query: Mapping[str, str],
        kind: type[T],
        priority: Priority,
        *,
        cached: bool = True,
    ) -> T:
        if self._token is None:
            raise ProviderOffError(_OFF)
        if not _TOKEN.fullmatch(self._token.reveal()):
            reason = "What the settings have is no token of TMDB's"
            self._api.health.refused(reason)
            raise ProviderRefusedError(reason)
        return await self._api.get(path, query, kind=kind, priority=priority, cached=cached)


def _authorization(token: Secret | None) -> Mapping[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token.reveal()}"}


def _pages(answer: Paged) -> int:
    return min(whole_number(answer.total_pages, least=1) or 1, _LAST_PAGE)
