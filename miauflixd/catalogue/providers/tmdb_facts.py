"""What TMDB says of titles, in the words of this house. No I/O.

Nothing is believed: every field is looked at, and one that makes no sense is as good as missing.
Only what has no id or no name, or is for adults, is no title.
"""

import re
from dataclasses import replace
from typing import Any, Literal

from miauflixd.catalogue.model import (
    EpisodeFacts,
    Facts,
    Kind,
    Locale,
    OutsideIds,
    SeasonFacts,
    Text,
)
from miauflixd.catalogue.providers import tmdb_parts as parts
from miauflixd.catalogue.providers.replies import each
from miauflixd.catalogue.providers.tmdb_genres import slugs
from miauflixd.catalogue.providers.tmdb_images import image_key
from miauflixd.catalogue.providers.tmdb_shapes import Details, Entry, Episode, SeasonDetails
from miauflixd.catalogue.text import (
    NAME,
    OVERVIEW,
    TAGLINE,
    TITLE,
    clean,
    imdb_id,
    number,
    plausible_date,
    prose,
    whole_number,
)

TitleKind = Literal[Kind.MOVIE, Kind.SHOW]

_MOST_MINUTES = 60_000
"""The longest film that was ever shown lasts 51,420."""

_MOST_SEASON = 9_999
"""Some shows call their seasons after years."""

_MOST_EPISODE = 99_999
_MOST_VOTES = 10**9
_MOST_POPULARITY = 1e9
_MOST_RATING = 10.0

_LANGUAGE = re.compile(r"[a-z]{2,3}")


def brief(entry: Entry, kind: TitleKind | None, locale: Locale) -> Facts | None:
    """Return what a list says of a title.

    Args:
        entry: as it stands there.
        kind: what the list holds; `None`: the list says so of each.
        locale: the language that was asked for.

    Returns:
        `None` if it is no title, or none for everybody.
    """
    if kind is None:
        kind = _kind(entry.media_type)
    tmdb = whole_number(entry.id, least=1, most=parts.MOST_ID)
    if kind is None or tmdb is None or not harmless(entry.adult):
        return None
    movie = kind is Kind.MOVIE
    original = clean(entry.original_title if movie else entry.original_name, TITLE)
    title = clean(entry.title if movie else entry.name, TITLE) or original
    if not title:
        return None
    return Facts(
        provider="tmdb",
        kind=kind,
        ids=OutsideIds(tmdb=tmdb),
        locale=locale,
        text=Text(title=title, overview=prose(entry.overview, OVERVIEW)),
        original_title=original,
        original_language=_language(entry.original_language),
        released=plausible_date(entry.release_date if movie else entry.first_air_date),
        genres=slugs(_numbers(entry.genre_ids)),
        rating=_rating(entry),
        votes=whole_number(entry.vote_count, most=_MOST_VOTES) or 0,
        popularity=number(entry.popularity, most=_MOST_POPULARITY) or 0.0,
        poster=image_key("poster", entry.poster_path),
        backdrop=image_key("backdrop", entry.backdrop_path),
    )


def full(details: Details, kind: TitleKind, locale: Locale) -> Facts | None:
    """Return all that TMDB says of a title; `None` if it is none, or none for everybody."""
    facts = brief(details, kind, locale)
    if facts is None:
        return None
    language = parts.language_of(locale)
    outside = details.external_ids
    genres = [parts.inside(one, "id") for one in _list(details.genres)]
    return replace(
        facts,
        full=True,
        ids=replace(
            facts.ids,
            imdb=imdb_id(details.imdb_id) or imdb_id(parts.inside(outside, "imdb_id")),
            tvdb=whole_number(parts.inside(outside, "tvdb_id"), least=1, most=parts.MOST_ID),
        ),
        text=replace(facts.text, tagline=clean(details.tagline, TAGLINE)),
        genres=slugs(_numbers(genres)) or facts.genres,
        runtime=_seconds(
            [
                details.runtime,
                *_list(details.episode_run_time),
                parts.inside(details.last_episode_to_air, "runtime"),
            ]
        ),
        status=clean(details.status, NAME),
        ended=plausible_date(details.last_air_date) if kind is Kind.SHOW else None,
        certifications=parts.certifications(details),
        texts=parts.texts(details, facts.original_title, facts.original_language),
        credits=tuple(parts.credits_of(details)),
        images=tuple(
            parts.images(details, poster=facts.poster, backdrop=facts.backdrop, language=language)
        ),
        trailer=parts.trailer(details, language),
        seasons=_seasons(details) if kind is Kind.SHOW else (),
    )


def season(details: SeasonDetails, asked: int | None = None) -> SeasonFacts | None:
    """Return what TMDB says of a season.

    Args:
        details: of it.
        asked: the number that it was asked for by, and then its episodes belong to the answer.

    Returns:
        `None` if it is none.
    """
    which = whole_number(details.season_number, most=_MOST_SEASON) if asked is None else asked
    if which is None:
        return None
    episodes = None if asked is None else _episodes(details)
    return SeasonFacts(
        number=which,
        tmdb_id=whole_number(details.id, least=1, most=parts.MOST_ID),
        title=clean(details.name, TITLE),
        overview=prose(details.overview, OVERVIEW),
        aired=plausible_date(details.air_date),
        poster=image_key("poster", details.poster_path),
        episode_count=(
            whole_number(details.episode_count, most=_MOST_EPISODE) or 0
            if episodes is None
            else len(episodes)
        ),
        episodes=episodes,
    )


def harmless(adult: object) -> bool:
    """Whether something is for everybody; what is said in no way that we know is not."""
    return adult is None or adult is False


def _seasons(details: Details) -> tuple[SeasonFacts, ...]:
    found: dict[int, SeasonFacts] = {}
    for one in each(details.seasons, SeasonDetails):
        facts = season(one)
        if facts is not None:
            found.setdefault(facts.number, facts)
    return tuple(found[which] for which in sorted(found))


def _episodes(details: SeasonDetails) -> tuple[EpisodeFacts, ...]:
    found: dict[int, EpisodeFacts] = {}
    for one in each(details.episodes, Episode):
        which = whole_number(one.episode_number, most=_MOST_EPISODE)
        if which is None or which in found:
            continue
        found[which] = EpisodeFacts(
            number=which,
            tmdb_id=whole_number(one.id, least=1, most=parts.MOST_ID),
            title=clean(one.name, TITLE),
            overview=prose(one.overview, OVERVIEW),
            aired=plausible_date(one.air_date),
            runtime=_seconds([one.runtime]),
            still=image_key("still", one.still_path),
            rating=_rating(one),
        )
    return tuple(found[which] for which in sorted(found))


def _kind(media_type: object) -> TitleKind | None:
    if media_type == "movie":
        return Kind.MOVIE
    return Kind.SHOW if media_type == "tv" else None


def _rating(one: Entry | Episode) -> float | None:
    # 0 is what something has that nobody has rated.
    return number(one.vote_average, most=_MOST_RATING) or None


def _seconds(minutes: list[Any]) -> int | None:
    found = (whole_number(one, least=1, most=_MOST_MINUTES) for one in minutes)
    return next((one * 60 for one in found if one is not None), None)


def _language(raw: object) -> str:
    return raw if isinstance(raw, str) and _LANGUAGE.fullmatch(raw) else ""


def _numbers(raw: object) -> list[int]:
    found = (whole_number(one) for one in _list(raw))
    return [one for one in found if one is not None]


def _list(raw: object) -> list[Any]:
    return raw if isinstance(raw, list) else []
