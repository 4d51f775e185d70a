"""The lists that TMDB fills, and where they are. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from miauflixd.catalogue.model import Kind, ListSlug
from miauflixd.catalogue.providers.provider import ProviderList
from miauflixd.catalogue.providers.tmdb_facts import TitleKind

_PAGES = 6
"""Of 20 titles each: as many as a person scrolls through, and some."""

_TRENDING_PAGES = 2
"""What is in fashion is so by its first few."""

_KINDS: Mapping[str, TitleKind | None] = {"movie": Kind.MOVIE, "show": Kind.SHOW, "mixed": None}

_BY_POPULARITY = {
    "include_adult": "false",
    "sort_by": "popularity.desc",
    # Without it, what was added yesterday and opened by a robot leads.
    "vote_count.gte": "10",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TmdbList:
    """A list, and what to ask for it."""

    shown: ProviderList
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    regional: bool = False
    """Whether it is another one in each country."""

    @property
    def kind(self) -> TitleKind | None:
        """What it holds; `None`: it says so of each title."""
        return _KINDS[self.shown.kind]


def _shown(
    slug: str, title: str, kind: Literal["movie", "show", "mixed"], pages: int = _PAGES
) -> ProviderList:
    return ProviderList(slug=ListSlug(slug), title=title, kind=kind, pages=pages)


LISTS: Mapping[ListSlug, TmdbList] = {
    one.shown.slug: one
    for one in (
        TmdbList(
            shown=_shown("tmdb-trending", "Trending this week", "mixed", _TRENDING_PAGES),
            path="/trending/all/week",
        ),
        TmdbList(
            shown=_shown("tmdb-movies-popular", "Popular movies", "movie"),
            path="/discover/movie",
            query={**_BY_POPULARITY, "include_video": "false"},
        ),
        TmdbList(
            shown=_shown("tmdb-shows-popular", "Popular shows", "show"),
            path="/discover/tv",
            query={**_BY_POPULARITY, "include_null_first_air_dates": "false"},
        ),
        TmdbList(
            shown=_shown("tmdb-movies-now-playing", "In cinemas now", "movie"),
            path="/movie/now_playing",
            regional=True,
        ),
        TmdbList(
            shown=_shown("tmdb-movies-top-rated", "Top-rated movies", "movie"),
            path="/movie/top_rated",
        ),
        TmdbList(
            shown=_shown("tmdb-shows-top-rated", "Top-rated shows", "show"),
            path="/tv/top_rated",
        ),
    )
}
"""In the order of a home page."""
