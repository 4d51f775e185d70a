"""Finding titles: in an order, by what they are, and by words."""

import asyncio
import math
import re
import shutil
from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miauflixd.catalogue.browsing import Place, Query
from miauflixd.catalogue.model import Kind, Locale, Text, TitleId
from miauflixd.catalogue.title_store import TitleStore
from tests.bench.catalogue_data import SMALL, WHOLE, fill
from tests.catalogue_titles import EN, NOON, movie, open_shelf, put, show

pytestmark = pytest.mark.slow


@pytest.fixture
async def shelf(tmp_path):
    async with open_shelf(tmp_path) as shelf:
        yield shelf


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder with some six hundred titles."""
    folder = tmp_path_factory.mktemp("filled")

    async def prepare() -> None:
        async with open_shelf(folder) as shelf:
            await fill(shelf, SMALL)

    asyncio.run(prepare())
    return folder


@pytest.fixture
async def house(filled, tmp_path):
    for file in filled.iterdir():
        shutil.copy(file, tmp_path)
    async with open_shelf(tmp_path) as shelf:
        yield shelf


async def all_of(shelf: TitleStore, query: Query, size: int = 70) -> list[TitleId]:
    found: list[TitleId] = []
    after = None
    while True:
        page = await shelf.browse(query, EN, after=after, size=size)
        found += [card.id for card in page.cards]
        if page.next is None:
            assert len(found) == page.total
            return found
        assert len(page.cards) == size
        after = page.next


@pytest.mark.parametrize("order", ["popularity", "rating", "newest", "title"])
@pytest.mark.parametrize("kind", [None, Kind.MOVIE, Kind.SHOW])
async def test_page_by_page_each_title_comes_once_and_in_order(house, order, kind):
    query = Query(kind=kind, order=order)

    found = await all_of(house, query)

    assert len(found) == len(set(found)) == {None: 600, Kind.MOVIE: 500, Kind.SHOW: 100}[kind]
    assert found == [card.id for card in (await house.browse(query, EN, size=1000)).cards]
    years = [card.year for card in (await house.browse(query, EN, size=1000)).cards]
    assert (years == sorted(years, reverse=True)) == (order == "newest")


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        (Query(years=(1950, 1959)), lambda card: 1950 <= card.year <= 1959),
        (Query(years=(None, 1930)), lambda card: card.year <= 1930),
        (Query(rating=7.0), lambda card: card.rating >= 7),
        (
            Query(rating=7.0, years=(2000, None)),
            lambda card: card.rating >= 7 and card.year >= 2000,
        ),
    ],
)
async def test_what_is_asked_for_is_found_and_nothing_else(house, query, fits):
    everything = (await house.browse(Query(), EN, size=1000)).cards

    found = await house.browse(query, EN, size=1000)

    assert found.cards
    assert found.cards == tuple(card for card in everything if fits(card))
    assert found.total == len(found.cards)


async def test_titles_are_found_by_genre_language_and_limit(shelf):
    await shelf.save(
        [
            movie("One", tmdb=1, genres=("war",), original_language="ja", popularity=3),
            movie("Two", tmdb=2, genres=("war", "drama"), full=True, certifications={"US": "PG"}),
            show("Three", tmdb=3, genres=("war",), popularity=2),
        ],
        at=NOON,
    )

    async def found(**wanted: Any) -> list[str]:
        page = await shelf.browse(Query(**wanted), EN)
        assert page.total == len(page.cards)
        return [card.title for card in page.cards]

    assert await found(genre="war") == ["One", "Three", "Two"]
    assert await found(genre="war", kind=Kind.SHOW) == ["Three"]
    assert await found(genre="drama") == ["Two"]
    assert await found(genre="none") == []
    assert await found(language="ja") == ["One"]
    assert await found(limit=12) == ["Two"]
    assert await found(limit=7) == []
    assert await found(kind=Kind.EPISODE) == []


async def test_one_vote_makes_no_masterpiece(shelf):
    await shelf.save(
        [
            movie("Adored", tmdb=1, rating=10.0, votes=1),
            movie("Classic", tmdb=2, rating=8.4, votes=9000),
            movie("Unrated", tmdb=3),
            movie("Poor", tmdb=4, rating=3.0, votes=900),
        ],
        at=NOON,
    )

    page = await shelf.browse(Query(order="rating"), EN)

    assert [card.title for card in page.cards] == ["Classic", "Adored", "Poor", "Unrated"]


async def test_titles_sort_without_their_articles(shelf):
    await shelf.save(
        [
            movie(title, tmdb=n)
            for n, title in enumerate(("The Bell", "an Anchor", "Émile", "Dust"))
        ],
        at=NOON,
    )

    page = await shelf.browse(Query(order="title"), EN)

    assert [card.title for card in page.cards] == ["an Anchor", "The Bell", "Dust", "Émile"]


@pytest.mark.parametrize(
    "after",
    [
        Place("x", 1),
        Place("\ud800", 1),
        Place(1e308, 10**30),
        Place(-(10**40), -(10**40)),
        Place(math.nan, 0),
        Place("'; DROP TABLE titles --", 0),
    ],
)
@pytest.mark.parametrize("order", ["popularity", "title"])
async def test_a_place_that_nobody_was_given_leads_somewhere_harmless(house, after, order):
    page = await house.browse(Query(order=order), EN, after=after)

    assert page.total == 600


async def test_what_nobody_can_mean_finds_nothing(house):
    for query in (
        Query(years=(10**30, None)),
        Query(years=(None, -(10**30))),
        Query(rating=math.nan),
        Query(rating=math.inf),
        Query(language="\ud800"),
        Query(genre="' OR 1=1 --"),  # type: ignore[arg-type] # a stranger's
    ):
        page = await house.browse(query, EN)
        assert (page.cards, page.total, page.next) == ((), 0, None)


async def searched(shelf: TitleStore, text: str, **said: Any) -> list[str]:
    said = {"locale": EN, "limit": None} | said
    return [card.title for card in await shelf.search(text, **said)]


async def test_a_title_is_found_by_any_of_its_names(shelf):
    await put(
        shelf,
        movie(
            "The Quiet Harbour",
            tmdb=1,
            full=True,
            original_title="静かな港",
            texts={"fr": Text(title="Le Port Étrange"), "de": Text(title="Der stille Hafen")},
        ),
    )
    for text in ("quiet", "QUIET HARB", "harbour the", "静か", "etrange", "hafen", "stille der"):
        assert await searched(shelf, text) == ["The Quiet Harbour"], text
    assert await searched(shelf, "etrange", locale=Locale("fr")) == ["Le Port Étrange"]
    for text in ("", "  ", "quite", "quiet ocean", '"', "NOT", "arbour"):
        assert await searched(shelf, text) == [], text


async def test_the_very_name_comes_first_then_the_better_known(shelf):
    await shelf.save(
        [
            movie("Dawn of the Harbour", tmdb=1, popularity=500),
            movie("Dawn", tmdb=2, popularity=0.1),
            movie("The Dawn Patrol", tmdb=3, popularity=20),
            movie("The Dawn Chorus", tmdb=4, popularity=90),
            movie("Dawning", tmdb=5, popularity=40),
        ],
        at=NOON,
    )

    found = await searched(shelf, "dawn")

    assert found[0] == "Dawn"
    assert found.index("The Dawn Chorus") < found.index("The Dawn Patrol")
    assert set(found) == {
        "Dawn",
        "Dawning",
        "Dawn of the Harbour",
        "The Dawn Chorus",
        "The Dawn Patrol",
    }
    assert await searched(shelf, "d", count=1) == ["Dawn of the Harbour"]


async def test_of_a_thousand_that_share_a_word_the_very_name_comes_first_then_the_better_known(
    shelf,
):
    many = [movie(f"Dawn {number}", tmdb=number, popularity=1) for number in range(10, 1010)]
    well_known = movie("A Long Walk through the Night until Dawn", tmdb=1, popularity=500)
    await shelf.save([*many, well_known, movie("Dawn", tmdb=2, popularity=0.1)], at=NOON)

    assert await searched(shelf, "dawn", count=2) == ["Dawn", well_known.text.title]
    assert await searched(shelf, "daw", count=1) == [well_known.text.title]
    # A second word is enough to tell them apart.
    assert await searched(shelf, "dawn 500", count=1) == ["Dawn 500"]


async def test_a_search_keeps_to_a_kind_and_a_limit(shelf):
    await shelf.save(
        [
            movie("Dawn One", tmdb=1, full=True, certifications={"US": "R"}),
            movie("Dawn Two", tmdb=2, full=True, certifications={"US": "G"}),
            show("Dawn Three", tmdb=3),
        ],
        at=NOON,
    )

    assert await searched(shelf, "dawn", kind=Kind.SHOW) == ["Dawn Three"]
    assert await searched(shelf, "dawn", limit=12) == ["Dawn Two"]
    assert await searched(shelf, "dawn", kind=Kind.EPISODE) == []


async def test_a_new_name_is_found_and_the_old_one_is_not(shelf):
    await put(shelf, movie("Old Name", tmdb=1))
    await put(shelf, movie("New Title", tmdb=1))

    assert await searched(shelf, "new") == ["New Title"]
    assert await searched(shelf, "old") == []


@given(text=st.text(st.sampled_from("aà\"'*^:()-+{}~<> \x00\n千\ud800ORANDNEATmain"), max_size=80))
@settings(
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
def test_no_words_whatever_make_a_search_fail(filled, text):
    async def search() -> None:
        async with open_shelf(filled) as shelf:
            await shelf.search(text, locale=EN, limit=None)

    asyncio.run(search())


async def test_ten_kilobytes_of_words_find_something_or_nothing(house):
    for text in ("harbour " * 1280, "x" * 10_240, '"' * 10_240, "千" * 10_240, "* " * 5120):
        await house.search(text, locale=EN, limit=None)


async def plans_of(
    shelf: TitleStore, ask: Callable[[], Coroutine[Any, Any, object]]
) -> list[tuple[str, str]]:
    """Return what SQLite does for a question, each step with the statement."""
    database = shelf._database
    statements: list[str] = []

    def trace(into: Callable[[str], object] | None) -> None:
        database.execute("SELECT 1").connection.set_trace_callback(into)

    await database.run(trace, statements.append)
    await ask()
    await database.run(trace, None)

    def explain() -> list[tuple[str, str]]:
        return [
            (statement, step[3])
            for statement in statements
            # Without those that FTS5 asks of its own tables.
            if statement.startswith("SELECT") and "'main'.'title_search" not in statement
            for step in database.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        ]

    return await database.run(explain)


@pytest.mark.parametrize("analyzed", [False, True])
async def test_nothing_that_somebody_waits_for_reads_a_whole_table(house, analyzed):
    if analyzed:
        await house._database.run(house._database.execute, "ANALYZE")
    film, series = TitleId(Kind.MOVIE, 1), TitleId(Kind.SHOW, 501)
    episode = (await house.outline(series))[0].id
    locale = Locale("pt-BR")
    questions: list[Callable[[], Coroutine[Any, Any, object]]] = [
        lambda: house.cards([film, series], locale, None),
        lambda: house.cards([film, series], locale, 12),
        lambda: house.episode_cards([episode], locale, None),
        lambda: house.title(film, locale, None),
        lambda: house.title(series, locale, None),
        lambda: house.episode(episode, locale, None),
        lambda: house.episodes(series, 1, locale, None),
        lambda: house.outline(series),
        lambda: house.shows_of([episode]),
        lambda: house.outside([film]),
        lambda: house.known(Kind.MOVIE, [1, 2]),
        lambda: house.search("harbour", locale=locale, limit=None),
        lambda: house.search("harbour", kind=Kind.MOVIE, locale=locale, limit=12),
        lambda: house.browse(Query(), locale),
        lambda: house.browse(Query(order="title", kind=Kind.SHOW), locale, after=Place("m", 3)),
        lambda: house.browse(Query(order="newest", limit=12), locale, after=Place("1990", 3)),
        lambda: house.browse(Query(order="rating", genre="war"), locale),  # type: ignore[arg-type]
        lambda: house.seasons_to_sync(10),
        lambda: house.briefs("tmdb", 10),
        lambda: house.stale("tmdb", Kind.MOVIE, before=datetime(2030, 1, 1, tzinfo=UTC), limit=9),
    ]
    for question in questions:
        for statement, step in await plans_of(house, question):
            scans = re.match(r"SCAN (?!CONSTANT ROW|.*VIRTUAL TABLE)", step)
            # Of what a subquery has already found, or of just what is wanted.
            few = "subquery" in step or "seasons_unsynced" in step
            assert few or not scans, (step, statement)


async def test_the_order_of_a_page_is_that_of_an_index(house):
    for query in (Query(kind=Kind.MOVIE), Query(kind=Kind.SHOW, order="title")):
        steps = await plans_of(house, lambda query=query: house.browse(query, EN))  # type: ignore[misc]
        first = [step for statement, step in steps if "LIMIT" in statement]
        assert any("USING COVERING INDEX titles_" in step for step in first), first


@pytest.mark.slow
@pytest.mark.timeout(180)  # writes 72,000 titles and episodes, on whatever disk there is
async def test_a_whole_house_has_all_its_titles(tmp_path: Path):
    async with open_shelf(tmp_path) as shelf:
        await fill(shelf, WHOLE)

        counts = await shelf.counts()
        assert (counts.movies, counts.shows, counts.episodes) == (10_000, 2_000, 60_000)
        assert len(await all_of(shelf, Query(order="title"), size=200)) == 12_000
        assert len(await searched(shelf, "harbour", count=200)) == 200


def test_the_data_is_the_same_each_time():
    from tests.bench.catalogue_data import titles_of  # noqa: PLC0415 -- only here

    assert [*titles_of(SMALL)] == [*titles_of(SMALL)]
    assert date(1900, 1, 1) < min(facts.released or date.max for facts in titles_of(SMALL))
