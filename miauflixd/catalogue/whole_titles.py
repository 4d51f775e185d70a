"""A title in full, read from what providers said. For use inside `Database.run`."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from miauflixd.catalogue import card_rows, season_rows, title_rows
from miauflixd.catalogue.certifications import deciding
from miauflixd.catalogue.locales import ENGLISH, in_order
from miauflixd.catalogue.merging import texts_of
from miauflixd.catalogue.model import Genre, GenreSlug, Locale, NoTitleError, Region, Title, TitleId
from miauflixd.catalogue.season_rows import Reader
from miauflixd.database.database import Database


def read(sql: Database, title: TitleId, reader: Reader, *, region: Region) -> Title:
    """Return all that is known of a movie or show.

    Raises:
        NoTitleError: there is no such one.
    """
    known = title_rows.facts_of(sql, title.number)
    ids = dict(title_rows.outside(sql, [title.number])).get(title)
    if known is None or ids is None:
        raise NoTitleError("There is no such title")
    facts, checked_at = known
    reader = replace(reader, original=facts.original_language)
    texts = texts_of(facts)
    order = in_order(texts, wanted=reader.wanted, house=reader.house, original=reader.original)
    told = next((locale for locale in order if texts[locale].overview), None)
    where = deciding(facts.certifications, region)
    return Title(
        card=card_rows.cards(sql, [title.number], reader, None)[title.number],
        ids=ids,
        original_title=facts.original_title,
        original_language=facts.original_language,
        locale=told,
        tagline=next((texts[locale].tagline for locale in order if texts[locale].tagline), ""),
        overview="" if told is None else texts[told].overview,
        released=facts.released,
        ended=facts.ended,
        runtime=facts.runtime,
        status=facts.status,
        votes=facts.votes,
        genres=tuple(named(sql, facts.genres, reader)),
        certification=None if where is None else facts.certifications[where],
        certification_region=where,
        credits=facts.credits,
        images=facts.images,
        trailer=facts.trailer,
        seasons=season_rows.seasons_of(sql, title.number, reader),
        full=facts.full,
        checked_at=None if checked_at is None else datetime.fromisoformat(checked_at),
    )


def named(sql: Database, slugs: Collection[GenreSlug], reader: Reader) -> Sequence[Genre]:
    """Return genres by their names; one that nobody has named is called as it is written."""
    names: dict[GenreSlug, dict[Locale, str]] = {}
    for slug, locale, name in sql.execute(
        "SELECT genre, locale, name FROM genre_names"
        " WHERE genre IN (SELECT value FROM json_each(?))",
        (json.dumps([*slugs]),),
    ):
        names.setdefault(slug, {})[locale] = name
    genres = []
    for slug in slugs:
        # As it is written, a genre is English.
        there = {ENGLISH: slug.replace("-", " ").capitalize(), **names.get(slug, {})}
        best, *_ = in_order(there, wanted=reader.wanted, house=reader.house, original="")
        genres.append(Genre(slug=slug, name=there[best]))
    return genres
