"""What Trakt answers, and what we make of it. No I/O."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from miauflixd.catalogue import text
from miauflixd.catalogue.model import Facts, GenreSlug, Kind, Locale, OutsideIds, Text
from miauflixd.catalogue.trakt_model import Watched

Token = Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,2048}\Z")]
"""Whatever it is, it stands in a header."""

_MOST_GENRES = 20

_GENRES = {
    slug: slug
    for slug in (
        *("action", "adventure", "animation", "comedy", "crime", "documentary", "drama", "family"),
        *("fantasy", "history", "horror", "music", "mystery", "romance", "science-fiction"),
        *("thriller", "war", "western"),
    )
} | {"anime": "animation", "children": "kids", "musical": "music", "suspense": "thriller"}
"""Trakt's genres that others have, too, by their common names; a genre of its own has no name."""

_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class DeviceCodeAnswer(msgspec.Struct, frozen=True):
    """A code to type, and another to ask with."""

    device_code: Token
    user_code: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,32}\Z")]
    # It is shown, and made into a link: nothing but a page may hide behind it.
    verification_url: Annotated[str, Meta(pattern=r"^https?://[\w.:/-]{1,200}\Z")]
    expires_in: float
    interval: float


class TokenAnswer(msgspec.Struct, frozen=True):
    """A pair of tokens."""

    access_token: Token
    refresh_token: Token
    expires_in: float
    """Seconds."""


class OauthProblem(msgspec.Struct, frozen=True):
    """Why there are no tokens."""

    error: str = ""


class ListAnswer(msgspec.Struct, frozen=True):
    """A list, without what is in it."""

    ids: dict[str, Any]
    name: Any = None
    item_count: Any = None

    @property
    def number(self) -> int | None:
        """Trakt's number of it."""
        return text.whole_number(self.ids.get("trakt"), least=1)


class LikedAnswer(msgspec.Struct, frozen=True):
    """A list of somebody else's."""

    list: ListAnswer


def entries(raws: Iterable[msgspec.Raw]) -> tuple[Facts, ...]:
    """Return the movies and shows of a list or a search, each once, without what makes no sense."""
    found: dict[tuple[Kind, OutsideIds], Facts] = {}
    for raw in raws:
        facts = entry(raw)
        if facts is not None:
            found.setdefault((facts.kind, facts.ids), facts)
    return tuple(found.values())


def entry(raw: msgspec.Raw) -> Facts | None:
    """Return the movie or show that an entry is about; of a season or an episode, its show."""
    try:
        values = msgspec.json.decode(raw)
    except _ERRORS:
        return None
    if not isinstance(values, dict):
        return None
    for name, kind in (("movie", Kind.MOVIE), ("show", Kind.SHOW)):
        if isinstance(about := values.get(name), dict):
            return title(about, kind)  # type: ignore[arg-type]  # of the two, which mypy widens
    return None


def title(
    values: Mapping[str, Any], kind: Literal[Kind.MOVIE, Kind.SHOW], *, full: bool = False
) -> Facts | None:
    """Return what Trakt says of a movie or show; nothing without an id or a title."""
    ids = ids_of(values.get("ids"))
    name = text.clean(values.get("title"), text.TITLE)
    if ids.trakt is None or not name:
        return None
    minutes = text.whole_number(values.get("runtime"), least=1, most=24 * 60)
    released = values.get("released" if kind is Kind.MOVIE else "first_aired")
    return Facts(
        provider="trakt",
        kind=kind,
        ids=ids,
        locale=Locale("en"),
        text=Text(
            title=name,
            tagline=text.clean(values.get("tagline"), text.TAGLINE),
            overview=text.prose(values.get("overview"), text.OVERVIEW),
        ),
        original_language=_language(values.get("language")),
        released=text.plausible_date(released),
        year=text.plausible_year(values.get("year")),
        genres=_genres(values.get("genres")),
        rating=text.number(values.get("rating"), most=10.0),
        votes=text.whole_number(values.get("votes")) or 0,
        full=full,
        runtime=None if minutes is None else minutes * 60,
        status=text.clean(values.get("status"), text.NAME),
    )


def ids_of(raw: Any) -> OutsideIds:
    """Return those ids of a title that can be ids."""
    ids = raw if isinstance(raw, dict) else {}
    return OutsideIds(
        trakt=text.whole_number(ids.get("trakt"), least=1),
        tmdb=text.whole_number(ids.get("tmdb"), least=1),
        tvdb=text.whole_number(ids.get("tvdb"), least=1),
        imdb=text.imdb_id(ids.get("imdb")),
    )


def about(watched: Watched) -> dict[str, Any]:
    """Return how Trakt is told what was watched."""
    ids = {
        name: value
        for name in ("trakt", "tmdb", "imdb", "tvdb")
        if (value := getattr(watched.ids, name)) is not None
    }
    if watched.kind is Kind.MOVIE:
        return {"movie": {"ids": ids}}
    return {
        "show": {"ids": ids},
        "episode": {"season": watched.season, "number": watched.number},
    }


def history(watched: Watched, watched_at: str) -> dict[str, Any]:
    """Return how Trakt is told that something was watched at some time."""
    said = about(watched)
    if watched.kind is Kind.MOVIE:
        return {"movies": [said["movie"] | {"watched_at": watched_at}]}
    episode = {"number": watched.number, "watched_at": watched_at}
    season = {"number": watched.season, "episodes": [episode]}
    return {"shows": [said["show"] | {"seasons": [season]}]}


def _language(raw: Any) -> str:
    said = text.clean(raw, text.NAME)
    return said if len(said) == 2 and said.isascii() and said.islower() else ""  # noqa: PLR2004 -- ISO 639-1


def _genres(raw: Any) -> tuple[GenreSlug, ...]:
    words = raw[:_MOST_GENRES] if isinstance(raw, list) else []
    known = (_GENRES.get(text.clean(one, text.NAME).lower()) for one in words)
    return tuple(dict.fromkeys(GenreSlug(slug) for slug in known if slug is not None))
