"""Seasons and episodes as rows. For use inside `Database.run`.

An episode's number of ours is for ever, since people's progress hangs on it: one that its provider
does not list any more is marked as gone and not shown, and is the same again when it returns.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from miauflixd.catalogue.locales import in_order
from miauflixd.catalogue.model import Episode, Kind, Locale, Season, SeasonFacts, TitleId
from miauflixd.catalogue.watching import Step
from miauflixd.database.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """In what languages somebody reads, the house's behind their own."""

    wanted: Locale
    house: Locale
    original: str = ""
    """ISO 639-1 of what is to be read."""


def stamp(at: datetime) -> str:
    """Return a time as it is stored: in UTC, so that they compare as text."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def save_outlines(sql: Database, show: int, seasons: Sequence[SeasonFacts], locale: Locale) -> None:
    """Let a show have just these seasons; one that grew or moved is to be asked for again."""
    there = {
        number: (tmdb, aired, poster, count)
        for number, tmdb, aired, poster, count in sql.execute(
            "SELECT number, tmdb, aired, poster, episode_count FROM seasons WHERE title_id = ?",
            (show,),
        )
    }
    for season in {season.number: season for season in seasons}.values():
        row = (season.tmdb_id, _day(season.aired), season.poster, season.episode_count)
        if (was := there.pop(season.number, None)) != row:
            moved = was is None or (was[1], was[3]) != (row[1], row[3])
            sql.execute(
                "INSERT INTO seasons (title_id, number, tmdb, aired, poster, episode_count)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET tmdb = excluded.tmdb,"
                " aired = excluded.aired, poster = excluded.poster,"
                " episode_count = excluded.episode_count,"
                " synced_at = iif(?, NULL, synced_at)",
                (show, season.number, *row, moved),
            )
        _save_text(sql, show, season, locale)
    for number in there:
        for table in ("seasons", "season_texts"):
            sql.execute(f"DELETE FROM {table} WHERE title_id = ? AND number = ?", (show, number))  # noqa: S608 -- of two
        _mark_gone(sql, show, number, ())


def save(sql: Database, show: int, season: SeasonFacts, locale: Locale, at: datetime) -> None:
    """Write a season down, and that its episodes are known if they are there."""
    known = season.episodes is not None
    sql.execute(
        "INSERT INTO seasons (title_id, number, tmdb, aired, poster, episode_count, synced_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " tmdb = coalesce(tmdb, excluded.tmdb), poster = coalesce(poster, excluded.poster),"
        " synced_at = excluded.synced_at WHERE ? AND synced_at IS NULL",
        (
            show,
            season.number,
            season.tmdb_id,
            _day(season.aired),
            season.poster,
            season.episode_count or len(season.episodes or ()),
            stamp(at) if known else None,
            known,
        ),
    )
    _save_text(sql, show, season, locale)
    there = {
        row[0]: row[1:]
        for row in sql.execute(
            "SELECT number, id, tmdb, aired, runtime, still, rating, gone FROM episodes"
            " WHERE title_id = ? AND season = ?",
            (show, season.number),
        )
    }
    # By number: one that is told of twice would be written twice, each time.
    episodes = {episode.number: episode for episode in season.episodes or ()}
    for episode in episodes.values():
        row = (
            episode.tmdb_id,
            _day(episode.aired),
            episode.runtime,
            episode.still,
            episode.rating,
        )
        found, *was = there.get(episode.number, (None,))
        if found is None or was != [*row, 0]:
            found = _save_episode(sql, (show, season.number, episode.number, *row))
        _save_words(
            sql,
            ("episode_texts", "episode_id"),
            (found,),
            locale,
            (episode.title, episode.overview),
        )
    # An empty answer is rather a mistake than the end of a season that had episodes.
    if episodes:
        _mark_gone(sql, show, season.number, episodes)


def unsync(sql: Database, show: int) -> None:
    """Let all seasons of a show be asked for again."""
    sql.execute(
        "UPDATE seasons SET synced_at = NULL WHERE title_id = ? AND synced_at IS NOT NULL", (show,)
    )


def seasons_of(sql: Database, show: int, reader: Reader) -> tuple[Season, ...]:
    """Return a show's seasons in order, the specials last."""
    rows = sql.execute(
        "SELECT s.number, s.episode_count, s.aired, s.poster, s.synced_at IS NOT NULL,"
        " x.locale, x.title, x.overview FROM seasons s"
        " LEFT JOIN season_texts x ON x.title_id = s.title_id AND x.number = s.number"
        " WHERE s.title_id = ? ORDER BY s.number = 0, s.number",
        (show,),
    )
    return tuple(
        Season(
            number=number,
            title=title,
            overview=overview,
            episode_count=count,
            aired=day(aired),
            poster=poster,
            synced=bool(synced),
        )
        for (number, count, aired, poster, synced), title, overview in _read(rows, 5, reader)
    )


def episodes_of(
    sql: Database, where: str, values: Sequence[object], reader: Reader
) -> Iterator[tuple[int, Episode]]:
    """Yield the episodes that a condition holds for, each with its show's number, in order."""
    rows = sql.execute(
        "SELECT e.title_id, e.id, e.season, e.number, e.aired, e.runtime, e.still, e.rating,"  # noqa: S608 -- callers' own words
        " e.available, x.locale, x.title, x.overview FROM episodes e"
        f" LEFT JOIN episode_texts x ON x.episode_id = e.id WHERE {where} AND NOT e.gone"
        " ORDER BY e.title_id, e.season, e.number",
        values,
    )
    for (show, *row), title, overview in _read(rows, 9, reader):
        number, season, episode, aired, runtime, still, rating, available = row
        yield (
            show,
            Episode(
                id=TitleId(Kind.EPISODE, number),
                season=season,
                number=episode,
                title=title,
                overview=overview,
                aired=day(aired),
                runtime=runtime,
                still=still,
                rating=rating,
                available=bool(available),
            ),
        )


def outlines(sql: Database, shows: Collection[int]) -> Mapping[int, Sequence[Step]]:
    """Return the episodes of shows in order, the specials last; without shows that have none."""
    found: dict[int, list[Step]] = {}
    for show, season, number, episode, aired in sql.execute(
        "SELECT e.title_id, e.season, e.number, e.id, e.aired FROM json_each(?) AS asked"
        " CROSS JOIN episodes e ON e.title_id = asked.value WHERE NOT e.gone"
        " ORDER BY e.title_id, e.season = 0, e.season, e.number",
        (json.dumps([*shows]),),
    ):
        step = Step(
            season=season, number=number, id=TitleId(Kind.EPISODE, episode), aired=day(aired)
        )
        found.setdefault(show, []).append(step)
    return found


def day(text: str | None) -> date | None:
    """Return a day as it was stored."""
    return None if text is None else date.fromisoformat(text)


def _day(of: date | None) -> str | None:
    return None if of is None else of.isoformat()


def _save_episode(sql: Database, row: tuple[object, ...]) -> int:
    ((number,),) = sql.execute(
        "INSERT INTO episodes (title_id, season, number, tmdb, aired, runtime, still, rating)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET tmdb = excluded.tmdb,"
        " aired = excluded.aired, runtime = excluded.runtime, still = excluded.still,"
        " rating = excluded.rating, gone = 0 RETURNING id",
        row,
    ).fetchall()
    return int(number)


def _mark_gone(sql: Database, show: int, season: int, but: Collection[int]) -> None:
    rows = sql.execute(
        "SELECT id, number FROM episodes WHERE title_id = ? AND season = ? AND NOT gone",
        (show, season),
    ).fetchall()
    for number, episode in rows:
        if episode not in but:
            sql.execute("UPDATE episodes SET gone = 1 WHERE id = ?", (number,))


def _save_text(sql: Database, show: int, season: SeasonFacts, locale: Locale) -> None:
    _save_words(
        sql,
        ("season_texts", "title_id", "number"),
        (show, season.number),
        locale,
        (season.title, season.overview),
    )


def _save_words(
    sql: Database,
    table: tuple[str, ...],
    key: tuple[object, ...],
    locale: Locale,
    words: tuple[str, str],
) -> None:
    if not any(words):
        return
    name, *columns = table
    sql.execute(
        f"INSERT INTO {name} ({', '.join(columns)}, locale, title, overview)"  # noqa: S608 -- callers' own words
        f" VALUES ({'?, ' * len(columns)}?, ?, ?) ON CONFLICT DO UPDATE SET"
        " title = excluded.title, overview = excluded.overview"
        " WHERE title <> excluded.title OR overview <> excluded.overview",
        (*key, locale, *words),
    )


def _read(rows: Any, columns: int, reader: Reader) -> Iterator[tuple[tuple[Any, ...], str, str]]:
    """Yield each thing once, with its title and overview in the nearest language that has one."""
    for thing, translations in groupby(rows, key=itemgetter(slice(0, columns))):
        texts = {row[columns]: row[columns + 1 :] for row in translations if row[columns]}
        ranked = [
            texts[locale]
            for locale in in_order(
                texts, wanted=reader.wanted, house=reader.house, original=reader.original
            )
        ]
        title, overview = (
            next((text[part] for text in ranked if text[part]), "") for part in (0, 1)
        )
        yield thing, title, overview
