"""Browsing and searching over HTTP."""

import itertools
import json
from base64 import urlsafe_b64encode
from datetime import date
from typing import Any

import pytest

from miauflixd.catalogue.model import Facts
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.config.settings import Config
from miauflixd.runtime.secrets import Secret
from tests.catalogue_titles import NOON, movie, put, show
from tests.catalogue_visitor import visitor
from tests.provider_house import FakeHttp, Said
from tests.tmdb_fake import TOKEN
from tests.web_house import open_web

pytestmark = pytest.mark.slow

ALONE = Config(catalogue=CatalogueSettings(archive=False))
WITH_TMDB = Config(catalogue=CatalogueSettings(archive=False, tmdb_token=Secret(TOKEN)))


# --- browsing -------------------------------------------------------------------------------------

AMBER, BLUE, COLD, DUSTY, ELM = "Amber Road", "Blue Cellar", "Cold Ferry", "Dusty Lanes", "Elm Hill"


def one_of_five(made: Any, title: str, year: int, certification: str | None, **said: Any) -> Facts:
    facts: Facts = made(
        title,
        released=date(year, 5, 1),
        certifications={"US": certification} if certification else {},
        votes=100_000,
        full=True,
        **said,
    )
    return facts


FIVE = [
    one_of_five(
        movie, AMBER, 1950, "PG", tmdb=1, rating=6.0, popularity=50, genres=("war", "drama")
    ),
    one_of_five(
        movie,
        BLUE,
        1975,
        "R",
        tmdb=2,
        rating=8.0,
        popularity=40,
        genres=("comedy",),
        original_language="ja",
    ),
    one_of_five(movie, COLD, 1999, None, tmdb=3, rating=7.5, popularity=30, genres=("drama",)),
    one_of_five(show, DUSTY, 1999, "TV-G", tmdb=4, rating=9.0, popularity=20, genres=("drama",)),
    one_of_five(
        show,
        ELM,
        2010,
        "TV-MA",
        tmdb=5,
        rating=5.0,
        popularity=10,
        genres=("war",),
        original_language="de",
    ),
]


@pytest.fixture
async def web(tmp_path):
    async with open_web(tmp_path, config=ALONE) as web:
        await web.library.titles.save(FIVE, at=NOON)
        yield web


@pytest.fixture
async def ben(web):
    return await visitor(web, "ben")


QUERIES = [
    ("", [AMBER, BLUE, COLD, DUSTY, ELM]),
    ("type=movie", [AMBER, BLUE, COLD]),
    ("type=show", [DUSTY, ELM]),
    ("genre=drama", [AMBER, COLD, DUSTY]),
    ("genre=nothing-of-the-kind", []),
    ("year=1999", [COLD, DUSTY]),
    ("year_from=1999", [COLD, DUSTY, ELM]),
    ("year_to=1975", [AMBER, BLUE]),
    ("year_from=1960&year_to=1999", [BLUE, COLD, DUSTY]),
    ("year_from=2000&year_to=1990", []),
    ("rating=7.5", [BLUE, COLD, DUSTY]),
    ("rating=10", []),
    ("language=ja", [BLUE]),
    ("certification=PG", [AMBER, DUSTY]),
    ("certification=12", [AMBER, DUSTY]),
    ("certification=NC-17", [AMBER, BLUE, DUSTY, ELM]),
    ("certification=nobody+knows", [DUSTY]),
    ("sort=rating", [DUSTY, BLUE, COLD, AMBER, ELM]),
    ("sort=newest", [ELM, DUSTY, COLD, BLUE, AMBER]),
    ("sort=title", [AMBER, BLUE, COLD, DUSTY, ELM]),
    ("sort=rating&type=show&genre=war&language=de&year=2010&rating=4", [ELM]),
    ("genre=drama&year_to=1999&rating=7&sort=newest", [DUSTY, COLD]),
    ("genre=drama&certification=PG&sort=rating", [DUSTY, AMBER]),
    ("type=movie&genre=war&language=de", []),
]


async def test_what_is_asked_for_is_found_in_order(ben):
    for query, found in QUERIES:
        answer = await ben.get(f"/api/titles?{query}")
        assert [one["title"] for one in answer["items"]] == found, query
        assert (answer["total"], answer["next_cursor"]) == (len(found), None)


@pytest.mark.parametrize("limit", [1, 2])
async def test_page_by_page_one_sees_the_same(ben, limit):
    for query, found in QUERIES:
        seen, cursor = [], ""
        while True:
            page = await ben.get(f"/api/titles?{query}&limit={limit}{cursor}".replace("?&", "?"))
            seen += [one["title"] for one in page["items"]]
            assert page["total"] == len(found), query
            if page["next_cursor"] is None:
                break
            assert len(page["items"]) == limit
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == found, query


async def test_a_cursor_belongs_to_its_order(web, ben):
    orders = ("popularity", "rating", "newest", "title")
    cursors = {
        sort: (await ben.get(f"/api/titles?sort={sort}&limit=1"))["next_cursor"] for sort in orders
    }
    for given, asked in itertools.permutations(orders, 2):
        refused = await ben.get(f"/api/titles?sort={asked}&cursor={cursors[given]}", status=422)
        assert refused["errors"][0]["field"] == "cursor"


def cursor(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


FOREIGN = [
    "x",
    "%00",
    "AAAA",
    "é",
    "1754064000-movie:1",
    cursor(None),
    cursor([]),
    cursor([1.0, 2]),
    cursor([1.0, "movie:1"]),
    cursor(["popularity", None, 1]),
    cursor(["popularity", 1.0, "1"]),
    cursor(["popularity", 1.0, 1.5]),
    cursor(["popularity", 1.0, 1, 1]),
    cursor(["popularity", [1.0], 1]),
    cursor(["rating", 1.0, 1]),
    urlsafe_b64encode(b'["popularity",1e999,1]').decode(),
    urlsafe_b64encode(b'["popularity",NaN,1]').decode(),
    urlsafe_b64encode(b'["popularity","\\ud800",1]').decode(),
]


async def test_a_foreign_cursor_is_refused(ben):
    for foreign in FOREIGN:
        refused = await ben.get(f"/api/titles?cursor={foreign}", status=422)
        assert [one["field"] for one in refused["errors"]] == ["cursor"], foreign


async def test_a_forged_cursor_leads_nowhere_in_particular(ben):
    values = ("a", "\0", 10**30, -1e300, 0)
    for value, number in itertools.product(values, (0, -1, 2**63, 10**30, -(10**30))):
        await ben.get(f"/api/titles?cursor={cursor(['popularity', value, number])}")


async def test_a_cursor_leads_on_after_the_titles_before_it_are_gone(web, ben):
    page = await ben.get("/api/titles?sort=title&limit=2")
    await put(web.library.titles, movie("Aardvark", tmdb=9))
    rest = f"/api/titles?sort=title&cursor={page['next_cursor']}"
    assert await ben.titles(rest) == [COLD, DUSTY, ELM]


async def test_a_certification_means_what_it_does_where_the_house_is(tmp_path):
    """PG is from 8 in the United Kingdom and from 10 in the United States."""
    there = Config(catalogue=CatalogueSettings(archive=False, region="GB"))
    async with open_web(tmp_path, config=there) as web:
        shelf = web.library.titles
        await put(shelf, movie(AMBER, tmdb=1, full=True, certifications={"US": "PG"}))
        await put(shelf, movie(BLUE, tmdb=2, full=True, certifications={"GB": "PG"}))
        ben = await visitor(web, "ben")
        assert await ben.titles("/api/titles?certification=PG") == [BLUE]
        await ben.limit_to("PG")
        assert await ben.titles("/api/titles") == [BLUE]


# --- searching what is known here -----------------------------------------------------------------


async def test_titles_are_found_by_words(ben):
    for query, found in (
        ("q=amb", [AMBER]),
        ("q=ROAD", [AMBER]),
        ("q=road+amber", [AMBER]),
        ("q=ambér", [AMBER]),
        ("q=l", [DUSTY]),
        ("q=e", [ELM]),
        ("q=hill&type=show", [ELM]),
        ("q=hill&type=movie", []),
        ("q=zebra", []),
        ("q=", []),
        ("q=+++", []),
    ):
        answer = await ben.get(f"/api/search?{query}")
        assert [one["title"] for one in answer["items"]] == found, query
        assert (answer["total"], answer["next_cursor"]) == (len(found), None)


async def test_the_best_are_found_within_a_limit(web, ben):
    shelf = web.library.titles
    for number in range(20):
        await put(shelf, movie(f"Lighthouse {number}", tmdb=100 + number, popularity=number))
    assert await ben.titles("/api/search?q=lighthouse&limit=2") == [
        "Lighthouse 19",
        "Lighthouse 18",
    ]
    assert len(await ben.titles("/api/search?q=lighthouse&limit=200")) == 20
    for limit in ("0", "201", "-1", "many", "9" * 30):
        await ben.get(f"/api/search?q=lighthouse&limit={limit}", status=422)


async def test_an_imdb_id_is_found_here_without_asking_anybody(tmp_path):
    http = FakeHttp()
    async with open_web(tmp_path, config=WITH_TMDB, http=http) as web:
        await put(web.library.titles, movie(AMBER, tmdb=1, imdb="tt0000603"))
        ben = await visitor(web, "ben")
        assert await ben.titles("/api/search?q=tt0000603") == [AMBER]
        assert await ben.titles("/api/search?q=+TT0000603+&type=movie") == [AMBER]
        assert (await ben.get("/api/titles?imdb_id=tt0000603"))["total"] == 1
    assert http.asked == []


# --- searching elsewhere --------------------------------------------------------------------------


def told(*titles: str, first: int = 700) -> Said:
    """Return what TMDB says that it has found, movies."""
    results: list[Any] = [
        {
            "id": first + place,
            "media_type": "movie",
            "title": title,
            "original_title": title,
            "original_language": "en",
            "release_date": "1951-02-03",
            "overview": "",
            "genre_ids": [],
            "popularity": 1.0,
            "vote_average": 6.0,
            "vote_count": 10,
            "poster_path": None,
            "backdrop_path": None,
            "adult": False,
        }
        for place, title in enumerate(titles)
    ]
    answer = {
        "page": 1,
        "results": results,
        "movie_results": results,
        "tv_results": [],
        "total_pages": 1,
        "total_results": len(results),
    }
    return Said(body=json.dumps(answer).encode())


@pytest.fixture
def http():
    return FakeHttp(told("Grey Lighthouse", "Old Lighthouse"))


@pytest.fixture
async def asking(tmp_path, http):
    async with open_web(tmp_path, config=WITH_TMDB, http=http) as web:
        yield await visitor(web, "ben")


async def test_where_little_is_known_others_are_waited_for_and_asked_once(asking, http):
    for _ in range(3):
        found = await asking.get("/api/search?q=lighthouse")
        assert {one["title"] for one in found["items"]} == {"Grey Lighthouse", "Old Lighthouse"}
        assert not found["searching"]
    assert len(http.asked) == 1
    assert len(await asking.titles("/api/titles")) == 2


async def test_what_others_find_by_words_of_their_own_is_found_too(asking, http):
    """A title in a language that nobody here knows of."""
    assert await asking.titles("/api/search?q=leuchtturm") == ["Grey Lighthouse", "Old Lighthouse"]
    assert await asking.titles("/api/search?q=leuchtturm&limit=1") == ["Grey Lighthouse"]
    assert len(http.asked) == 1


async def test_where_enough_is_known_nobody_waits_and_the_second_time_tells_more(asking, http):
    shelf = asking.web.library.titles
    for number in range(6):
        await put(shelf, movie(f"Lighthouse {number}", tmdb=100 + number))
    http.gate.clear()
    found = await asking.get("/api/search?q=lighthouse")
    assert (len(found["items"]), found["searching"]) == (6, True)
    again = await asking.get("/api/search?q=lighthouse")
    assert (len(again["items"]), again["searching"]) == (6, True)
    assert len(http.asked) == 1

    http.gate.set()
    while found["searching"]:
        found = await asking.get("/api/search?q=lighthouse")
    assert len(found["items"]) == 8
    assert len(http.asked) == 1


async def test_who_answers_too_late_is_not_waited_for(asking, http):
    http.gate.clear()
    found = await asking.get("/api/search?q=lighthouse")
    assert (found["items"], found["searching"]) == ([], True)


async def test_one_letter_is_nothing_to_ask_others_for(asking, http):
    for words in ("", "l", "+"):
        assert not (await asking.get(f"/api/search?q={words}"))["searching"]
    assert http.asked == []


async def test_what_is_found_elsewhere_is_within_the_limit_of_whoever_asks(asking, http):
    await asking.limit_to("PG")
    assert await asking.titles("/api/search?q=lighthouse") == []
    await asking.limit_to(None)
    assert len(await asking.titles("/api/search?q=lighthouse")) == 2


async def test_an_imdb_id_that_is_new_here_is_asked_for_once(asking, http):
    http.answers = [told("Grey Lighthouse")]
    for _ in range(2):
        assert await asking.titles("/api/search?q=tt0000701") == ["Grey Lighthouse"]
        assert await asking.titles("/api/search?q=tt0000701&type=movie") == ["Grey Lighthouse"]
        assert await asking.titles("/api/titles?imdb_id=tt0000701") == ["Grey Lighthouse"]
    assert len(http.asked) == 1
    assert await asking.titles("/api/search?q=tt0000701&type=show") == []
    assert await asking.titles("/api/titles?imdb_id=tt0000701&type=show") == []


async def test_an_imdb_id_that_nobody_knows_is_asked_for_once(asking, http):
    http.answers = [told()]
    for _ in range(3):
        assert await asking.titles("/api/titles?imdb_id=tt0000701") == []
    assert len(http.asked) == 1


async def test_without_the_internet_one_finds_what_is_known_here(tmp_path):
    async with open_web(tmp_path, config=WITH_TMDB) as web:
        for number in range(6):
            await put(web.library.titles, movie(f"Lighthouse {number}", tmdb=1 + number))
        ben = await visitor(web, "ben")
        for _ in range(3):
            assert len(await ben.titles("/api/search?q=lighthouse")) == 6
        assert await ben.titles("/api/titles?imdb_id=tt0000701") == []
