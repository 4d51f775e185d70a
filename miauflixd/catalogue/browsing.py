"""Finding titles: by what they are, or by words. For use inside `Database.run`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from miauflixd.catalogue.identity import comparable
from miauflixd.catalogue.model import GenreSlug, Kind
from miauflixd.catalogue.words import matching
from miauflixd.database.database import Database

Order = Literal["popularity", "rating", "newest", "title"]

_COLUMNS: dict[Order, str] = {
    "popularity": "renown",
    "rating": "merit",
    "newest": "appeared",
    "title": "key",
}

_MOST = 2**63 - 1
"""The highest number that SQLite knows."""

_KINDS = (Kind.MOVIE, Kind.SHOW)

_MAIN = 8.0
_OTHER = 1.0
"""How much more a word tells in the names that a title has here than in its names elsewhere."""

_RENOWN = 1.0
"""What e times the visits are worth, in units of BM25, which gives a rare word some 8."""

_COMMON = 2
"""Letters of words too common to tell titles apart: who types `a` wants what everybody watches."""

_MANY = 1000
"""Matches from which on the same holds for any words: BM25 gives one that a tenth of 10,000 titles
have some 2, the difference between ten thousand visits and a thousand, and takes 10 ms for it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: what the last title was sorted by, and its number."""

    value: float | str
    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """Which titles somebody wants to see. `None`: whichever."""

    kind: Kind | None = None
    genre: GenreSlug | None = None
    years: tuple[int | None, int | None] = (None, None)
    """The first and the last."""
    rating: float | None = None
    """At least."""
    language: str | None = None
    """ISO 639-1 of what they were made in."""
    limit: int | None = None
    """The highest age; what nobody has rated is above any."""
    order: Order = "popularity"


def page(
    sql: Database, query: Query, after: Place | None, size: int
) -> tuple[list[int], Place | None]:
    """Return the numbers of the titles behind a place, and where they end if more follow."""
    column = _COLUMNS[query.order]
    ascending = query.order == "title"
    direction, behind = ("ASC", ">") if ascending else ("DESC", "<")
    parts = []
    values: list[Any] = []
    # Each kind by itself, which an index has in order; the two are merged.
    for kind in _kinds(query):
        condition, its_values = _condition(query, kind)
        if after is not None:
            condition += f" AND (t.{column}, t.id) {behind} (?, ?)"
            its_values += [_bindable(after.value), _bindable(after.number)]
        parts.append(
            f"SELECT * FROM (SELECT t.{column}, t.id FROM titles t WHERE {condition}"  # noqa: S608 -- made here
            f" ORDER BY t.{column} {direction}, t.id {direction} LIMIT ?)"
        )
        values += [*its_values, size + 1]
    rows = sql.execute(
        f"{' UNION ALL '.join(parts)} ORDER BY 1 {direction}, 2 {direction} LIMIT ?",
        (*values, size + 1),
    ).fetchall()
    more = len(rows) > size
    rows = rows[:size]
    return [number for _, number in rows], Place(*rows[-1]) if more and rows else None


def total(sql: Database, query: Query) -> int:
    """Return how many titles a query finds."""
    found = 0
    for kind in _kinds(query):
        condition, values = _condition(query, kind)
        ((count,),) = sql.execute(f"SELECT count(*) FROM titles t WHERE {condition}", values)  # noqa: S608 -- made here
        found += count
    return found


def search(
    sql: Database, text: str, kind: Kind | None, limit: int | None, count: int
) -> Sequence[int]:
    """Return the numbers of the titles that have these words in their names, the best first."""
    expression = matching(text)
    if expression is None:
        return []
    name = comparable(text)
    # BM25 is better the smaller it is. To weigh thousands of matches would take long, and tell
    # nothing.
    tells = len(name) > _COMMON and not _has_many(sql, expression)
    weight = f"bm25(title_search, {_MAIN}, {_OTHER})" if tells else "0.0"
    rows = sql.execute(
        "SELECT t.id FROM title_search CROSS JOIN titles t ON t.id = title_search.rowid"  # noqa: S608 -- of figures
        " WHERE title_search MATCH ? AND (? IS NULL OR t.kind = ?) AND (? IS NULL OR t.age <= ?)"
        f" ORDER BY (t.key = ? OR t.original_key = ?) DESC, {weight} - {_RENOWN} * t.renown, t.id"
        " LIMIT ?",
        (expression, kind, kind, limit, limit, name, name, count),
    )
    return [number for (number,) in rows]


def _has_many(sql: Database, expression: str) -> bool:
    ((count,),) = sql.execute(
        "SELECT count(*) FROM (SELECT 1 FROM title_search WHERE title_search MATCH ? LIMIT ?)",
        (expression, _MANY),
    )
    return bool(count == _MANY)


def _kinds(query: Query) -> Sequence[Kind]:
    return _KINDS if query.kind is None else (query.kind,)


def _condition(query: Query, kind: Kind) -> tuple[str, list[Any]]:
    conditions = ["t.kind = ?"]
    values: list[Any] = [kind.value]
    first, last = query.years
    for condition, value in (
        ("t.year >= ?", first),
        ("t.year <= ?", last),
        ("t.rating >= ?", query.rating),
        ("t.original_language = ?", query.language),
        ("t.age <= ?", query.limit),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(_bindable(value))
    if query.genre is not None:
        conditions.append(
            "t.id IN (SELECT title_id FROM title_genres WHERE kind = ? AND genre = ?)"
        )
        values += [kind.value, _bindable(query.genre)]
    return " AND ".join(conditions), values


def _bindable(value: float | str) -> float | str:
    # What a stranger asked for may be more than SQLite can be asked.
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return max(-_MOST, min(value, _MOST)) if isinstance(value, int) else value
