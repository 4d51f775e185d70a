"""Cards as rows: what a title is in a row of the home page, in somebody's language.

For use inside `Database.run`. The page holds two hundred of them, so that one statement finds all.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from miauflixd.catalogue import season_rows, title_rows
from miauflixd.catalogue.locales import home, language_of, preferences
from miauflixd.catalogue.model import Card, EpisodeCard, Kind, Locale, TitleId
from miauflixd.catalogue.season_rows import Reader
from miauflixd.database.database import Database

_KINDS: Mapping[str, Kind] = {kind.value: kind for kind in Kind}
"""Two hundred times a page, an enumeration's own way to its members shows."""


def cards_of(
    sql: Database, ids: Collection[TitleId], reader: Reader, limit: int | None
) -> Mapping[TitleId, Card]:
    """Return the movies and shows of these ids that somebody with this limit may see.

    One that turned out to be another title is that one.
    """
    wanted = {title: title.number for title in ids if title.kind is not Kind.EPISODE}
    found = dict(cards(sql, wanted.values(), reader, limit))
    if missing := wanted.values() - found.keys():
        moved = title_rows.moved(sql, missing)
        others = cards(sql, moved.values(), reader, limit)
        found |= {old: others[new] for old, new in moved.items() if new in others}
    return {
        title: found[number]
        for title, number in wanted.items()
        if number in found and found[number].id.kind is title.kind
    }


def cards(
    sql: Database, numbers: Collection[int], reader: Reader, limit: int | None
) -> Mapping[int, Card]:
    """Return the movies and shows of these numbers that somebody with this limit may see.

    Args:
        sql: the database.
        numbers: in any order.
        reader: who wants to read them.
        limit: the highest age, or none.
    """
    name, values = _name(reader)
    rows = sql.execute(
        # CROSS: the few that are asked for first, whatever the planner thinks of a JSON array.
        f"SELECT t.id, t.kind, {name}, t.year, t.poster, t.backdrop, t.rating, t.available"  # noqa: S608 -- made below
        " FROM json_each(?) AS asked CROSS JOIN titles t ON t.id = asked.value"
        " WHERE t.same_as IS NULL AND (? IS NULL OR t.age <= ?)",
        (*values, json.dumps([*numbers]), limit, limit),
    )
    return {
        number: Card(
            id=TitleId(_KINDS[kind], number),
            title=title,
            year=year,
            poster=poster,
            backdrop=backdrop,
            rating=rating,
            available=bool(available),
        )
        for number, kind, title, year, poster, backdrop, rating, available in rows
    }


def episode_cards(
    sql: Database, numbers: Collection[int], reader: Reader, limit: int | None
) -> Mapping[int, EpisodeCard]:
    """Return the episodes of these numbers that somebody with this limit may see."""
    found = [
        *season_rows.episodes_of(
            sql, "e.id IN (SELECT value FROM json_each(?))", (json.dumps([*numbers]),), reader
        )
    ]
    shows = cards(sql, {show for show, _ in found}, reader, limit)
    return {
        episode.id.number: EpisodeCard(
            id=episode.id,
            show=shows[show],
            season=episode.season,
            episode=episode.number,
            title=episode.title,
            still=episode.still,
            aired=episode.aired,
            available=episode.available,
        )
        for show, episode in found
        if show in shows
    }


def reader_of(sql: Database, number: int, reader: Reader) -> Reader:
    """Return who reads, knowing what a title was made in."""
    row = sql.execute("SELECT original_language FROM titles WHERE id = ?", (number,)).fetchone()
    return reader if row is None else replace(reader, original=row[0])


# The name of a title that was asked for in a language stands with it, and needs no looking up.
_NAME_IN_A_LANGUAGE = (
    "iif(t.locale = ?, t.name, NULL), "
    "(SELECT title FROM title_names WHERE title_id = t.id AND locale BETWEEN ? AND ?"
    " ORDER BY CASE locale WHEN ? THEN 0 WHEN ? THEN 1 WHEN ? THEN 2 ELSE 3 END, locale LIMIT 1), "
)


def _name(reader: Reader) -> tuple[str, Sequence[Locale | str]]:
    # As `locales.in_order` has it; a language is looked up only where there is none before it.
    wishes = preferences(reader.wanted, house=reader.house, original="")
    names = _NAME_IN_A_LANGUAGE * len(wishes)
    return (
        f"coalesce({names}nullif(t.original_title, ''), t.name)",
        [tag for wish in wishes for tag in _tags(wish)],
    )


def _tags(wish: Locale) -> Sequence[Locale | str]:
    language = language_of(wish)
    # From the language without a region to its last one, which has letters or digits.
    return wish, language, f"{language}-~", wish, language, home(language)
