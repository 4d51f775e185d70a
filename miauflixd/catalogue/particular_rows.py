"""What to look for a title by, read from what is known of it. For use inside `Database.run`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from miauflixd.catalogue import season_rows, title_rows
from miauflixd.catalogue.locales import in_order
from miauflixd.catalogue.merging import texts_of
from miauflixd.catalogue.model import (
    Facts,
    GenreSlug,
    Kind,
    Locale,
    NoTitleError,
    Particulars,
    TitleId,
)
from miauflixd.database.database import Database

_DAILY = frozenset({GenreSlug("news"), GenreSlug("talk")})
"""Genres of what is on every evening: their episodes are known by the day."""

_LONG_SEASON = 60
"""Episodes of a season from which on such a show is taken to be on every day; weekly ones have 52
at most, and go by their numbers."""

_TITLES = 60
"""That are looked for; the longest lists of translations have some hundred, with the same few
titles in them again and again."""


def read(sql: Database, title: TitleId, language: Locale) -> Particulars:
    """Return what tells a movie or an episode from others.

    Raises:
        NoTitleError: there is no such one.
    """
    if title.kind is Kind.EPISODE:
        show, season = _place(sql, title)
        for each in _episodes(sql, show, season, language):
            if each.id == title:
                return each
    elif title.kind is Kind.MOVIE:
        return _whole(sql, title, language)[0]
    raise NoTitleError("There is no such title")


def season(sql: Database, episode: TitleId, language: Locale) -> Sequence[Particulars]:
    """Return all episodes of the season in which one is.

    Raises:
        NoTitleError: there is no such one.
    """
    return [*_episodes(sql, *_place(sql, episode), language)]


def _place(sql: Database, episode: TitleId) -> tuple[TitleId, int]:
    row = sql.execute(
        "SELECT title_id, season FROM episodes WHERE id = ? AND ? = 'episode' AND NOT gone",
        (episode.number, episode.kind),
    ).fetchone()
    if row is None:
        raise NoTitleError("There is no such title")
    return TitleId(Kind.SHOW, row[0]), row[1]


def _whole(sql: Database, title: TitleId, language: Locale) -> tuple[Particulars, Facts]:
    """Return a movie's, or a show's as far as they are those of its episodes too."""
    known = title_rows.facts_of(sql, title.number)
    ids = dict(title_rows.outside(sql, [title.number])).get(title)
    if known is None or ids is None:
        raise NoTitleError("There is no such title")
    facts, _ = known
    texts = texts_of(facts)
    order = in_order(texts, wanted=language, house=language, original=facts.original_language)
    first = texts[order[0]].title if order else ""
    names = (first, facts.original_title, *(texts[locale].title for locale in order))
    titles = dict.fromkeys(filter(None, names))
    found = Particulars(
        id=title,
        show=None,
        titles=tuple(titles)[:_TITLES],
        year=facts.released.year if facts.released else facts.year,
        ids=ids,
        original_language=facts.original_language,
        runtime=facts.runtime,
        released=facts.released,
    )
    return found, facts


def _episodes(sql: Database, show: TitleId, season: int, language: Locale) -> Iterator[Particulars]:
    whole, facts = _whole(sql, show, language)
    before = _before(sql, show, season)
    rows = sql.execute(
        "SELECT id, number, aired, runtime FROM episodes"
        " WHERE title_id = ? AND season = ? AND NOT gone ORDER BY number",
        (show.number, season),
    ).fetchall()
    daily = len(rows) >= _LONG_SEASON and not _DAILY.isdisjoint(facts.genres)
    for number, episode, aired, runtime in rows:
        yield replace(
            whole,
            id=TitleId(Kind.EPISODE, number),
            show=show,
            runtime=runtime or whole.runtime,
            season=season,
            episode=episode,
            absolute=None if before is None else before + episode,
            aired=season_rows.day(aired),
            daily=daily,
        )


def _before(sql: Database, show: TitleId, season: int) -> int | None:
    """Return how many episodes there were before a season, if nothing of them is missing."""
    if season < 1:
        return None
    counts: Mapping[int, int] = dict(
        sql.execute(
            "SELECT s.number, iif(s.synced_at IS NULL, NULL, (SELECT count(*) FROM episodes e"
            " WHERE e.title_id = s.title_id AND e.season = s.number AND NOT e.gone))"
            " FROM seasons s WHERE s.title_id = ? AND s.number BETWEEN 1 AND ?",
            (show.number, season - 1),
        ).fetchall()
    )
    known = [counts.get(number) for number in range(1, season)] if season < 1000 else [None]  # noqa: PLR2004 -- years, as some count
    return None if None in known else sum(count for count in known if count)
