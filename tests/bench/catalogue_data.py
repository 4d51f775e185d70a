"""Titles for a database, as many as wanted and the same each time; none of them exists.

As a house with TMDB has them: most known as they stand in lists, some in full in thirty languages,
with names that share words as those of films do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from random import Random

from miauflixd.catalogue.model import (
    Credit,
    EpisodeFacts,
    Facts,
    GenreSlug,
    Image,
    ImageKey,
    Kind,
    Locale,
    OutsideIds,
    Region,
    SeasonFacts,
    Text,
    Trailer,
)
from miauflixd.catalogue.title_store import TitleStore

AT = datetime(2026, 1, 1, tzinfo=UTC)
"""When all of it was told."""

_TAGS = """
    en de fr es es-MX it pt-PT pt-BR nl sv nb da fi pl cs sk hu ro bg el tr ru uk he ar fa hi th ja
    ko zh-CN zh-TW
"""
LOCALES = tuple(Locale(tag) for tag in _TAGS.split())


_SLUGS = """
    action adventure animation comedy crime documentary drama family fantasy history horror music
    mystery romance science-fiction thriller war western
"""
GENRES = tuple(GenreSlug(slug) for slug in _SLUGS.split())

_RATINGS = ("G", "PG", "PG-13", "R", "NC-17", "NR")
_BATCH = 500

_WORDS = """
    harbour winter lantern orchard river signal garden mirror captain silence thunder paper island
    letter shadow clock summer horse bridge window salt ember crown desert forest station violin
    market tower promise stranger carnival engine meadow compass kingdom
"""
STEMS = _WORDS.split()
_ENDS = ("", "s", "er", "ing", "less", "land", "town", "light", "song", "house", "wood", "field")


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How much of it."""

    movies: int = 10_000
    shows: int = 2_000
    episodes: int = 60_000
    full: int = 2_000
    """How many of the titles have been told of in full, in all languages."""


WHOLE = Scale()
SMALL = Scale(movies=500, shows=100, episodes=3_000, full=60)


async def fill(store: TitleStore, scale: Scale = WHOLE) -> None:
    """Write all of it into a store."""
    titles = iter(titles_of(scale))
    while batch := [*islice(titles, _BATCH)]:
        ids = await store.save(batch, at=AT)
        for title, facts in zip(ids, batch, strict=True):
            for season in seasons_of(facts, scale):
                await store.save_season(title, season, locale=Locale("en"), at=AT)


def titles_of(scale: Scale) -> Iterator[Facts]:
    """Yield the facts of all movies and shows."""
    count = scale.movies + scale.shows
    every = max(count // scale.full, 1) if scale.full else count + 1
    for number in range(count):
        kind = Kind.MOVIE if number < scale.movies else Kind.SHOW
        facts = _brief(number, kind)
        yield _full(facts, number) if number % every == 0 else facts


def seasons_of(facts: Facts, scale: Scale) -> Iterator[SeasonFacts]:
    """Yield the seasons of a show, with their episodes."""
    if facts.kind is not Kind.SHOW or not scale.shows:
        return
    random = Random(f"seasons of {facts.ids.tmdb}")
    left = scale.episodes // scale.shows
    season = 0
    while left > 0:
        season += 1
        numbers = range(1, min(left, 10) + 1)
        left -= len(numbers)
        yield SeasonFacts(
            number=season,
            title=f"Season {season}",
            episode_count=len(numbers),
            episodes=tuple(
                EpisodeFacts(
                    number=number,
                    title=_name(random),
                    overview=_prose(random, 30),
                    aired=date(2010 + season, 1, 1) + timedelta(weeks=number),
                    runtime=2700,
                    still=ImageKey(f"tmdb-still-{facts.ids.tmdb}-{season}-{number}.jpg"),
                    rating=7.0,
                )
                for number in numbers
            ),
        )


def _brief(number: int, kind: Kind) -> Facts:
    random = Random(f"title {number}")
    name = _name(random)
    return Facts(
        provider="tmdb",
        kind=Kind.MOVIE if kind is Kind.MOVIE else Kind.SHOW,
        ids=OutsideIds(tmdb=number + 1),
        locale=Locale("en"),
        text=Text(title=name, overview=_prose(random, 60)),
        original_title=name,
        original_language=random.choice(("en", "en", "fr", "ja", "de")),
        released=date(1920, 1, 1) + timedelta(days=random.randrange(38_000)),
        genres=tuple(random.sample(GENRES, 3)),
        rating=round(random.uniform(3, 9), 1),
        votes=int(random.paretovariate(0.5)) % 30_000,
        popularity=round(random.paretovariate(1.2), 3),
        poster=ImageKey(f"tmdb-poster-{number}.jpg"),
        backdrop=ImageKey(f"tmdb-backdrop-{number}.jpg"),
    )


def _full(facts: Facts, number: int) -> Facts:
    random = Random(f"all of title {number}")
    return replace(
        facts,
        full=True,
        ids=replace(facts.ids, imdb=f"tt{number:07}"),
        runtime=random.randrange(4000, 9000),
        status="Released",
        certifications={Region("US"): random.choice(_RATINGS), Region("DE"): "12"},
        texts={
            locale: Text(title=f"{_name(random)} {locale}", overview=_prose(random, 60))
            for locale in LOCALES[1:]
        },
        credits=tuple(Credit(name=_name(random), character=_name(random)) for _ in range(20)),
        images=tuple(
            Image(role="backdrop", key=ImageKey(f"tmdb-backdrop-{number}-{image}.jpg"))
            for image in range(20)
        ),
        trailer=Trailer(site="youtube", key=f"trailer{number}"),
    )


def _name(random: Random) -> str:
    words = [_word(random) for _ in range(random.randint(1, 4))]
    return f"{random.choice(('', 'The ', '', 'A '))}{' '.join(words)}"


def _word(random: Random) -> str:
    return (random.choice(STEMS) + random.choice(_ENDS)).capitalize()


def _prose(random: Random, words: int) -> str:
    return " ".join(random.choices(STEMS, k=words)).capitalize() + "."
