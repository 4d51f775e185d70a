"""Titles as rows: what is drawn from facts to be looked up, sorted and searched.

For use inside `Database.run`. What is there already is never written again: lists are read every
hour, and an SD card bears only so many writes.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from miauflixd.catalogue import season_rows
from miauflixd.catalogue.certifications import age_of
from miauflixd.catalogue.identity import (
    Candidate,
    Identity,
    comparable,
    contradict,
    names_of,
    recognised,
)
from miauflixd.catalogue.merging import (
    completed,
    either,
    merged,
    merit,
    pack,
    renown,
    texts_of,
    unpack,
)
from miauflixd.catalogue.model import Facts, Kind, OutsideIds, ProviderName, Region, TitleId
from miauflixd.catalogue.season_rows import stamp
from miauflixd.catalogue.words import indexed
from miauflixd.database.database import Database

_IDS = ("tmdb", "imdb", "archive", "trakt", "tvdb")

_COLUMNS = (
    *_IDS,
    "locale",
    "name",
    "key",
    "original_title",
    "original_key",
    "original_language",
    "year",
    "appeared",
    "rating",
    "merit",
    "renown",
    "poster",
    "backdrop",
    "age",
)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM titles WHERE id = ?"  # noqa: S608 -- of names above
_INSERT = (
    f"INSERT INTO titles (kind, {', '.join(_COLUMNS)})"  # noqa: S608 -- of names above
    f" VALUES (?{', ?' * len(_COLUMNS)}) RETURNING id"
)
_UPDATE = f"UPDATE titles SET {', '.join(f'{name} = ?' for name in _COLUMNS)} WHERE id = ?"  # noqa: S608 -- of names above

_NAMED_EVERY = timedelta(days=7)
"""How long it takes until it is written down that a title was named again."""

_MOST = 2**63 - 1
"""The highest number that SQLite knows."""


def save(sql: Database, facts: Facts, *, region: Region, at: datetime) -> int:
    """Write down what a provider says of a title, and return the title's number."""
    number = _recognised(sql, facts)
    mark, packed = pack(facts)
    said = None if number is None else _said(sql, number, facts.provider)
    if number is not None and said is not None:
        was_full, last_mark, gone = said
        if was_full and not facts.full and not gone:
            return number
        if last_mark == mark and not gone:
            # That it was named again matters only to what is forgotten after a month.
            known_since = stamp(at) if facts.full else stamp(at - _NAMED_EVERY)
            sql.execute(
                "UPDATE tellings SET checked_at = ?"
                " WHERE title_id = ? AND provider = ? AND checked_at < ?",
                (stamp(at), number, facts.provider, known_since),
            )
            return number
    if number is not None:
        _take_in_doubles(sql, number, facts)
    documents = {} if number is None else _documents(sql, number)
    former = documents.get(facts.provider)
    if former is not None and not facts.full:
        # What stands in a list is never all; what was said earlier still holds.
        facts = completed(facts, former)
        packed = pack(facts)[1]
    documents[facts.provider] = facts
    whole = merged([*documents.values()])
    number = _write_title(
        sql, number, whole, region=region, gone=_gone(sql, number, facts.provider)
    )
    sql.execute(
        "INSERT INTO documents (title_id, provider, facts) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET facts = excluded.facts",
        (number, facts.provider, packed),
    )
    sql.execute(
        'INSERT OR REPLACE INTO tellings (title_id, provider, "full", mark, checked_at, gone)'
        " VALUES (?, ?, ?, ?, ?, 0)",
        (number, facts.provider, facts.full, mark, stamp(at)),
    )
    _write_what_belongs_to_it(sql, number, whole)
    return number


def forget(
    sql: Database, kept: Collection[int], *, before: datetime, limit: int
) -> Sequence[TitleId]:
    """Forget titles of which little is known and that nobody has named since, and return them.

    Args:
        sql: the database.
        kept: numbers of titles that stay in any case.
        before: what was named later than that stays.
        limit: how many at most.
    """
    rows = sql.execute(
        "SELECT t.kind, t.id FROM titles t WHERE t.kind IN ('movie', 'show') AND NOT t.available"
        ' AND NOT EXISTS (SELECT 1 FROM tellings s WHERE s.title_id = t.id AND s."full")'
        " AND NOT EXISTS"
        " (SELECT 1 FROM tellings s WHERE s.title_id = t.id AND s.checked_at >= ?)"
        " AND t.id NOT IN (SELECT value FROM json_each(?)) LIMIT ?",
        (stamp(before), json.dumps([*{*kept, *moved(sql, kept).values()}]), limit),
    ).fetchall()
    for _, number in rows:
        sql.execute("DELETE FROM title_search WHERE rowid = ?", (number,))
        # What turned out to be this one first: they point at it.
        sql.execute("DELETE FROM titles WHERE same_as = ?", (number,))
        sql.execute("DELETE FROM titles WHERE id = ?", (number,))
    return [TitleId(Kind(kind), number) for kind, number in rows]


def mark_gone(sql: Database, number: int, provider: ProviderName, at: datetime) -> None:
    """Note that a provider does not know a title any more: its id is taken away, its facts stay."""
    sql.execute(
        'INSERT INTO tellings (title_id, provider, "full", mark, checked_at, gone)'
        " SELECT id, ?, 0, x'', ?, 1 FROM titles WHERE id = ?"
        " ON CONFLICT DO UPDATE SET gone = 1, checked_at = excluded.checked_at WHERE gone = 0",
        (provider, stamp(at), number),
    )
    sql.execute(
        f"UPDATE titles SET {provider} = NULL WHERE id = ? AND {provider} IS NOT NULL",  # noqa: S608 -- a Literal
        (number,),
    )


def facts_of(sql: Database, number: int) -> tuple[Facts, str | None] | None:
    """Return all that is known of a title, and when a provider last told all that it knows."""
    documents = _documents(sql, number)
    if not documents:
        return None
    ((checked_at,),) = sql.execute(
        'SELECT max(checked_at) FROM tellings WHERE title_id = ? AND "full"', (number,)
    )
    return merged([*documents.values()]), checked_at


def find(sql: Database, ids: OutsideIds, kind: Kind) -> int | None:
    """Return the number of the title that has one of these ids, the first in their order."""
    for name in _IDS:
        if (found := _with_id(sql, kind, name, getattr(ids, name))) is not None:
            return found
    return None


def outside(sql: Database, numbers: Collection[int]) -> Iterator[tuple[TitleId, OutsideIds]]:
    """Yield what others call the movies and shows of these numbers."""
    for number, kind, *ids in sql.execute(
        "SELECT t.id, t.kind, t.tmdb, t.imdb, t.archive, t.trakt, t.tvdb"
        " FROM json_each(?) AS asked CROSS JOIN titles t ON t.id = asked.value",
        (json.dumps([*numbers]),),
    ):
        yield TitleId(Kind(kind), number), OutsideIds(**dict(zip(_IDS, ids, strict=True)))


def moved(sql: Database, numbers: Collection[int]) -> Mapping[int, int]:
    """Return which of these turned out to be other titles, and which."""
    if not numbers:
        return {}
    return dict(
        sql.execute(
            "SELECT t.id, t.same_as FROM json_each(?) AS asked"
            " CROSS JOIN titles t ON t.id = asked.value WHERE t.same_as IS NOT NULL",
            (json.dumps([*numbers]),),
        ).fetchall()
    )


def recompute_ages(sql: Database, region: Region) -> None:
    """Let the certifications of another region count."""
    by_title: dict[int, dict[Region, str]] = {}
    for number, where, certification in sql.execute("SELECT * FROM title_certifications"):
        by_title.setdefault(number, {})[where] = certification
    for number, certifications in by_title.items():
        age = age_of(certifications, region)
        sql.execute("UPDATE titles SET age = ? WHERE id = ? AND age IS NOT ?", (age, number, age))


def replace_rows(
    sql: Database, table: str, number: int, names: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    """Let a title have just these rows in a table, writing only what differs."""
    wanted = dict.fromkeys(rows)
    columns = ", ".join(names)
    there = sql.execute(f"SELECT {columns} FROM {table} WHERE title_id = ?", (number,)).fetchall()  # noqa: S608 -- names that callers write
    same = " AND ".join(f"{name} IS ?" for name in names)
    for row in there:
        if row not in wanted:
            sql.execute(f"DELETE FROM {table} WHERE title_id = ? AND {same}", (number, *row))  # noqa: S608 -- as above
    for row in wanted.keys() - set(there):
        sql.execute(
            f"INSERT INTO {table} (title_id, {columns}) VALUES (?{', ?' * len(names)})",  # noqa: S608 -- as above
            (number, *row),
        )


def _recognised(sql: Database, facts: Facts) -> int | None:
    own = _with_id(sql, facts.kind, facts.provider, getattr(facts.ids, facts.provider))
    if own is not None:
        return own
    names = names_of([facts.text.title, facts.original_title])
    numbers = {
        number
        for name in _IDS
        if (number := _with_id(sql, facts.kind, name, getattr(facts.ids, name))) is not None
    }
    for column in ("key", "original_key"):
        numbers.update(
            number
            for (number,) in sql.execute(
                f"SELECT id FROM titles WHERE kind = ? AND {column} IN"  # noqa: S608 -- of names above
                " (SELECT value FROM json_each(?))",
                (facts.kind, json.dumps([*names])),
            )
        )
    year = _year(facts)
    candidates = [_candidate(sql, number) for number in sorted(numbers)]
    said = Identity(ids=facts.ids, names=names, year=year)
    return recognised(said, facts.provider, candidates)


def _candidate(sql: Database, number: int) -> Candidate:
    *ids, key, original_key, year = sql.execute(
        "SELECT tmdb, imdb, archive, trakt, tvdb, key, original_key, year FROM titles WHERE id = ?",
        (number,),
    ).fetchone()
    names = frozenset(name for name in (key, original_key) if name)
    known = OutsideIds(**dict(zip(_IDS, ids, strict=True)))
    return Candidate(number=number, identity=Identity(ids=known, names=names, year=year))


def _take_in_doubles(sql: Database, number: int, facts: Facts) -> None:
    # Two titles of ours can turn out to be one: the Archive tells of an imdb id at once, TMDB only
    # when it tells all.
    ids = either(facts.ids, _candidate(sql, number).identity.ids)
    for name in _IDS:
        double = _with_id(sql, facts.kind, name, getattr(facts.ids, name))
        if double in {None, number}:
            continue
        others = _candidate(sql, double).identity.ids
        if not contradict(ids, others):
            ids = either(ids, others)
            _take_in(sql, double, into=number)


def _take_in(sql: Database, double: int, *, into: int) -> None:
    for table in ("documents", "tellings", "episodes"):
        # What both have is the remaining one's; of the other, episodes are hidden.
        sql.execute(f"UPDATE OR IGNORE {table} SET title_id = ? WHERE title_id = ?", (into, double))  # noqa: S608 -- of three
    sql.execute("UPDATE episodes SET gone = 1 WHERE title_id = ?", (double,))
    for table in (
        "documents",
        "tellings",
        "title_names",
        "title_genres",
        "title_certifications",
        "seasons",
        "season_texts",
    ):
        sql.execute(f"DELETE FROM {table} WHERE title_id = ?", (double,))  # noqa: S608 -- of these
    sql.execute("DELETE FROM title_search WHERE rowid = ?", (double,))
    _follow(sql, double, into=into)
    sql.execute(
        "UPDATE titles SET available = max(titles.available, d.available)"
        " FROM (SELECT available FROM titles WHERE id = ?) AS d WHERE titles.id = ?",
        (double, into),
    )
    sql.execute(
        "UPDATE titles SET kind = 'moved', same_as = ?, tmdb = NULL, imdb = NULL, archive = NULL,"
        " trakt = NULL, tvdb = NULL WHERE id = ?",
        (into, double),
    )
    sql.execute("UPDATE titles SET same_as = ? WHERE same_as = ?", (into, double))


def _follow(sql: Database, double: int, *, into: int) -> None:
    """Let what people have seen follow, of both what they saw last.

    The one word about another's table: done later, a crash would leave it under a dead id.
    """
    (kind,) = sql.execute("SELECT kind FROM titles WHERE id = ?", (double,)).fetchone()
    old, new = f"{kind}:{double}", f"{kind}:{into}"
    sql.execute(
        "DELETE FROM progress WHERE title_id = ?1 AND EXISTS (SELECT 1 FROM progress d WHERE"
        " d.user_id = progress.user_id AND d.title_id = ?2 AND d.updated_at > progress.updated_at)",
        (new, old),
    )
    sql.execute("UPDATE OR IGNORE progress SET title_id = ? WHERE title_id = ?", (new, old))
    sql.execute("DELETE FROM progress WHERE title_id = ?", (old,))
    sql.execute("UPDATE progress SET show = ? WHERE show = ?", (into, double))


def _with_id(sql: Database, kind: Kind, name: str, value: object) -> int | None:
    if value is None or (isinstance(value, int) and not -_MOST <= value <= _MOST):
        return None
    if isinstance(value, str) and not value.isascii():
        # None of theirs; and half a pair of UTF-16 is nothing that SQLite can be asked for.
        return None
    row = sql.execute(
        f"SELECT id FROM titles WHERE kind = ? AND {name} = ? ORDER BY id LIMIT 1",  # noqa: S608 -- a field's name
        (kind, value),
    ).fetchone()
    return None if row is None else int(row[0])


def _said(sql: Database, number: int, provider: ProviderName) -> tuple[bool, bytes, bool] | None:
    row: tuple[bool, bytes, bool] | None = sql.execute(
        'SELECT "full", mark, gone FROM tellings WHERE title_id = ? AND provider = ?',
        (number, provider),
    ).fetchone()
    return row


def _documents(sql: Database, number: int) -> dict[ProviderName, Facts]:
    return {
        provider: unpack(packed)
        for provider, packed in sql.execute(
            "SELECT provider, facts FROM documents WHERE title_id = ?", (number,)
        )
    }


def _gone(sql: Database, number: int | None, speaking: ProviderName) -> Collection[str]:
    rows = sql.execute("SELECT provider FROM tellings WHERE title_id = ? AND gone", (number,))
    return {provider for (provider,) in rows} - {speaking}


def _write_title(
    sql: Database, number: int | None, facts: Facts, *, region: Region, gone: Collection[str]
) -> int:
    row = (*_ids_to_have(sql, number, facts, gone), *_described(facts, region))
    if number is None:
        ((number,),) = sql.execute(_INSERT, (facts.kind, *row)).fetchall()
        return int(number)
    if sql.execute(_SELECT, (number,)).fetchone() != row:
        sql.execute(_UPDATE, (*row, number))
    return number


def _ids_to_have(
    sql: Database, number: int | None, facts: Facts, gone: Collection[str]
) -> Iterable[int | str | None]:
    for name in _IDS:
        value = getattr(facts.ids, name)
        holder = _with_id(sql, facts.kind, name, value)
        # What another title has stays there: of two that claim to be one thing, the first is.
        yield value if name not in gone and holder in {None, number} else None


def _described(facts: Facts, region: Region) -> tuple[object, ...]:
    name = facts.text.title or facts.original_title or next(_translated(facts), "")
    year = _year(facts)
    return (
        facts.locale if facts.text.title else None,
        name,
        comparable(name),
        facts.original_title,
        comparable(facts.original_title),
        facts.original_language,
        year,
        # Sorts as a day does; a film of some day in a year comes before those of a known one.
        str(facts.released or year or ""),
        facts.rating,
        merit(facts),
        renown(facts),
        facts.poster,
        facts.backdrop,
        age_of(facts.certifications, region),
    )


def _translated(facts: Facts) -> Iterator[str]:
    return (text.title for text in facts.texts.values() if text.title)


def _year(facts: Facts) -> int | None:
    return facts.year if facts.released is None else facts.released.year


def _write_what_belongs_to_it(sql: Database, number: int, facts: Facts) -> None:
    names: Mapping[str, str] = {
        locale: text.title for locale, text in texts_of(facts).items() if text.title
    }
    replace_rows(sql, "title_names", number, ("locale", "title"), names.items())
    genres = [(facts.kind.value, genre) for genre in facts.genres]
    replace_rows(sql, "title_genres", number, ("kind", "genre"), genres)
    certifications = facts.certifications.items()
    replace_rows(sql, "title_certifications", number, ("region", "certification"), certifications)
    _write_words(sql, number, facts, names)
    if facts.kind is Kind.SHOW and facts.full:
        season_rows.save_outlines(sql, number, facts.seasons, facts.locale)


def _write_words(sql: Database, number: int, facts: Facts, names: Mapping[str, str]) -> None:
    main = [facts.text.title, facts.original_title]
    words = (indexed(main), indexed(name for name in names.values() if name not in main))
    row = sql.execute("SELECT main, other FROM title_search WHERE rowid = ?", (number,)).fetchone()
    if row == words:
        return
    if row is not None:
        sql.execute("DELETE FROM title_search WHERE rowid = ?", (number,))
    sql.execute("INSERT INTO title_search (rowid, main, other) VALUES (?, ?, ?)", (number, *words))
