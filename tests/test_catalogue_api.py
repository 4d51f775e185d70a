"""What there is to watch, over HTTP: the home page, titles in full, and finding them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest

from miauflixd.catalogue.list_model import ListSpec
from miauflixd.catalogue.model import (
    Credit,
    EpisodeFacts,
    Image,
    ImageKey,
    Kind,
    ListSlug,
    Locale,
    SeasonFacts,
    Text,
    TitleId,
    Trailer,
)
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.config.settings import Config
from miauflixd.runtime.priority import Priority
from miauflixd.runtime.secrets import Secret
from tests.auth_house import EPOCH
from tests.catalogue_titles import EN, NOON, movie, put, show
from tests.catalogue_visitor import visitor
from tests.provider_house import FakeHttp, Said
from tests.test_events import beginning, heard
from tests.tmdb_fake import TOKEN
from tests.web_house import open_web

pytestmark = pytest.mark.slow

AGO = EPOCH.date() - timedelta(days=9)
ASKABLE = Config(catalogue=CatalogueSettings(tmdb_token=Secret(TOKEN), archive=False))
"""With somebody who knows more of a title, in principle: there is no internet here."""


@dataclass
class FakeErrands:
    """Brings at once what a test has put down for it, and notes what it was sent for."""

    titles: Any = None
    facts: dict[TitleId, Any] = field(default_factory=dict)
    seasons: dict[tuple[TitleId, int], SeasonFacts] = field(default_factory=dict)
    sent: list[Any] = field(default_factory=list)
    within: list[float] = field(default_factory=list)
    pause: float = 0.0
    """Of the time that it has, how much it takes."""

    async def fetch_title(self, title_id: TitleId, *, within: float) -> None:
        self.sent.append(title_id)
        self.within.append(within)
        await asyncio.sleep(self.pause)
        if title_id in self.facts:
            await put(self.titles, self.facts[title_id])

    async def fetch_season(self, show: TitleId, number: int, *, within: float) -> None:
        self.sent.append((show, number))
        self.within.append(within)
        if (season := self.seasons.get((show, number))) is not None:
            await self.titles.save_season(show, season, locale=EN, at=NOON)


@pytest.fixture
def errands():
    return FakeErrands()


@pytest.fixture
async def web(tmp_path, errands):
    async with open_web(tmp_path, config=ASKABLE, errands=errands) as web:
        errands.titles = web.library.titles
        yield web


@pytest.fixture
def shelf(web):
    return web.library.titles


@pytest.fixture
async def ben(web):
    return await visitor(web, "ben")


@pytest.fixture
async def cleo(web):
    return await visitor(web, "cleo")


def spec(slug: str, title: str, kind: Any = "movie") -> ListSpec:
    return ListSpec(slug=ListSlug(slug), title=title, kind=kind, provider="tmdb")


def rated(title: str, certification: str, **said: Any) -> Any:
    return movie(title, full=True, certifications={"US": certification}, **said)


async def a_series(shelf, title: str = "Lantern Street", *, tmdb: int = 900, **said: Any) -> Any:
    """Put a show with three episodes on the shelf, and return their ids behind the show's."""
    seasons = (SeasonFacts(number=1, title="The first", episode_count=3),)
    whole = await put(shelf, show(title, tmdb=tmdb, full=True, seasons=seasons, **said))
    episodes = tuple(
        EpisodeFacts(number=n, title=f"Part {n}", aired=AGO + timedelta(days=n)) for n in (1, 2, 3)
    )
    season = SeasonFacts(number=1, title="The first", episodes=episodes)
    await shelf.save_season(whole, season, locale=EN, at=NOON)
    return whole, *[one.id for one in await shelf.outline(whole)]


# --- the home page --------------------------------------------------------------------------------


async def test_a_new_house_has_an_empty_home_page(ben):
    assert await ben.get("/api/home") == {"rows": []}


async def test_what_was_begun_comes_first_then_what_comes_next_and_then_lists(web, shelf, ben):
    film = await put(shelf, movie("Amber Road", tmdb=1))
    other = await put(shelf, movie("Blue Cellar", tmdb=2))
    series, first, second, _ = await a_series(shelf)
    await web.lists.replace(spec("tmdb-shows-popular", "Popular shows", "show"), [series])
    await web.lists.replace(spec("tmdb-movies-popular", "Popular movies"), [other, film])
    mine = await web.lists.create(ben.user.id, title="Rainy days")
    empty = await web.lists.create(ben.user.id, title="Nothing yet")
    await web.ask("PUT", f"/api/lists/{mine.slug}/items/{film}", token=ben.token)
    await ben.play(film, position=900)
    await web.watching.mark_watched(ben.user.id, [first])

    rows = (await ben.get("/api/home"))["rows"]

    assert [(row["id"], row["title"], row["kind"]) for row in rows] == [
        ("continue-watching", "Continue watching", "continue_watching"),
        ("next-up", "Next up", "next_up"),
        ("tmdb-movies-popular", "Popular movies", "list"),
        ("tmdb-shows-popular", "Popular shows", "list"),
        (mine.slug, "Rainy days", "list"),
    ]
    assert empty.slug not in {row["id"] for row in rows}
    begun, following, popular, *_ = rows
    assert [(one["id"], one["progress"]["position"]) for one in begun["items"]] == [
        (str(film), 900.0)
    ]
    (episode,) = following["items"]
    assert (episode["id"], episode["type"]) == (str(second), "episode")
    assert (episode["season"], episode["episode"], episode["title"]) == (1, 2, "Part 2")
    assert episode["show"] == {"id": str(series), "title": "Lantern Street"}
    assert "progress" not in episode
    assert [one["id"] for one in popular["items"]] == [str(other), str(film)]


async def test_a_card_has_just_what_the_contract_says(web, shelf, ben):
    poster, backdrop = ImageKey("tmdb-poster-a.jpg"), ImageKey("tmdb-backdrop-b.jpg")
    film = await put(
        shelf,
        movie("Amber Road", tmdb=1, poster=poster, backdrop=backdrop, rating=7.5, votes=90),
    )
    await web.lists.replace(spec("tmdb-movies-popular", "Popular movies"), [film])
    (row,) = (await ben.get("/api/home"))["rows"]
    assert row["items"] == [
        {
            "id": str(film),
            "type": "movie",
            "title": "Amber Road",
            "year": 1968,
            "poster": "tmdb-poster-a.jpg",
            "backdrop": "tmdb-backdrop-b.jpg",
            "rating": 7.5,
            "available": False,
        }
    ]


async def test_the_episode_that_one_is_in_the_middle_of_is_not_next_as_well(shelf, ben):
    _, first, *_ = await a_series(shelf)
    await ben.play(first, position=900)
    assert await ben.rows() == {"continue-watching": ["Part 1"]}
    await ben.play(first, position=3550)
    assert await ben.rows() == {"next-up": ["Part 2"]}


async def test_two_people_see_what_they_have_begun_each(web, shelf, ben, cleo):
    film = await put(shelf, movie("Amber Road", tmdb=1))
    other = await put(shelf, movie("Blue Cellar", tmdb=2))
    mine = await web.lists.create(ben.user.id, title="Mine")
    await web.ask("PUT", f"/api/lists/{mine.slug}/items/{film}", token=ben.token)
    await ben.play(film, position=900)
    await cleo.play(other, position=900)
    assert await ben.rows() == {"continue-watching": ["Amber Road"], mine.slug: ["Amber Road"]}
    assert await cleo.rows() == {"continue-watching": ["Blue Cellar"]}
    await web.ask("PATCH", f"/api/lists/{mine.slug}", {"shared": True}, token=ben.token)
    assert (await cleo.rows())[mine.slug] == ["Amber Road"]


async def test_whoever_has_a_limit_finds_nothing_above_it_in_any_row(web, shelf, ben):
    tame = await put(shelf, rated("Tame", "PG", tmdb=1))
    wild = await put(shelf, rated("Wild", "R", tmdb=2))
    unknown = await put(shelf, movie("Who knows", tmdb=3))
    series, first, *_ = await a_series(shelf, certifications={"US": "TV-MA"})
    everything = [wild, unknown, series, tame]
    await web.lists.replace(spec("tmdb-trending", "Trending", "mixed"), everything)
    await ben.play(wild, position=900)
    await web.watching.mark_watched(ben.user.id, [first])
    everybody = ["Wild", "Who knows", "Lantern Street", "Tame"]
    before = await ben.rows()
    assert before == {
        "continue-watching": ["Wild"],
        "next-up": ["Part 2"],
        "tmdb-trending": everybody,
    }

    await ben.limit_to("PG-13")
    assert await ben.rows() == {"tmdb-trending": ["Tame"]}
    for hidden in (wild, unknown, series, first):
        assert (await ben.get(f"/api/titles/{hidden}", status=404))["code"] == "no_title"
    assert (await ben.get(f"/api/titles/{series}/seasons/1", status=404))["code"] == "no_title"
    for path in ("/api/titles", "/api/search?q=w", "/api/lists/tmdb-trending"):
        assert set(await ben.titles(path)) <= {"Tame"}
    assert await ben.titles("/api/titles?tmdb_id=2&type=movie") == []
    assert await ben.titles("/api/titles?certification=R") == ["Tame"]

    await ben.limit_to(None)
    assert await ben.rows() == before


async def test_a_list_of_what_children_may_not_see_is_filled_from_further_down(web, shelf, ben):
    wild = [await put(shelf, rated(f"Wild {n}", "R", tmdb=n)) for n in range(1, 31)]
    tame = [await put(shelf, rated(f"Tame {n}", "G", tmdb=n)) for n in range(31, 61)]
    await web.lists.replace(spec("tmdb-movies-popular", "Popular"), [*wild, *tame])
    await ben.limit_to("PG")
    (row,) = (await ben.get("/api/home"))["rows"]
    assert [one["title"] for one in row["items"]] == [f"Tame {n}" for n in range(31, 51)]


@pytest.mark.parametrize(
    ("language", "translated", "title"),
    [
        ("pt-BR", {"pt-BR": "Estrada de Âmbar", "pt-PT": "A Estrada"}, "Estrada de Âmbar"),
        ("pt-PT", {"pt-BR": "Estrada de Âmbar", "pt-PT": "A Estrada"}, "A Estrada"),
        ("pt-BR", {"pt-PT": "A Estrada"}, "A Estrada"),
        ("pt-BR", {"pt": "Estrada", "pt-PT": "A Estrada"}, "Estrada"),
        ("de", {"de-DE": "Bernsteinweg", "pt-BR": "Estrada"}, "Bernsteinweg"),
        ("de-AT", {"de": "Bernsteinweg"}, "Bernsteinweg"),
        ("de", {"pt-BR": "Estrada"}, "Amber Road"),
    ],
)
async def test_titles_are_shown_in_ones_own_language(ben, language, translated, title):
    web, shelf = ben.web, ben.web.library.titles
    texts = {
        Locale(where): Text(title=name, overview=f"In {where}.")
        for where, name in translated.items()
    }
    film = await put(
        shelf, movie("Amber Road", tmdb=1, full=True, texts=texts, overview="In English.")
    )
    await web.lists.replace(spec("tmdb-movies-popular", "Popular"), [film])
    assert await ben.rows() == {"tmdb-movies-popular": ["Amber Road"]}
    await ben.read_in(language)
    assert await ben.rows() == {"tmdb-movies-popular": [title]}
    whole = await ben.get(f"/api/titles/{film}")
    assert (whole["title"], whole["original_title"]) == (title, "Amber Road")
    spoken = next((where for where, name in translated.items() if name == title), None)
    assert whole["language"] == (spoken or "en")
    assert whole["overview"] == (f"In {spoken}." if spoken else "In English.")


async def test_what_changes_shows_at_once(web, shelf, ben):
    film = await put(shelf, movie("Amber Road", tmdb=1))
    popular = spec("tmdb-movies-popular", "Popular")
    await web.lists.replace(popular, [film])
    assert await ben.rows() == {popular.slug: ["Amber Road"]}

    other = await put(shelf, movie("Blue Cellar", tmdb=2))
    await web.lists.replace(popular, [other, film])
    assert await ben.rows() == {popular.slug: ["Blue Cellar", "Amber Road"]}

    made = await web.ask("POST", "/api/lists", {"title": "Mine"}, token=ben.token)
    mine = made.body["slug"]
    await web.ask("PUT", f"/api/lists/{mine}/items/{other}", token=ben.token)
    assert (await ben.rows())[mine] == ["Blue Cellar"]
    await web.ask("PUT", f"/api/lists/{mine}/items/{film}", {"position": 0}, token=ben.token)
    assert (await ben.rows())[mine] == ["Amber Road", "Blue Cellar"]
    await web.ask("DELETE", f"/api/lists/{mine}/items/{other}", token=ben.token)
    assert (await ben.rows())[mine] == ["Amber Road"]
    await web.ask("PATCH", f"/api/lists/{mine}", {"title": "Ours"}, token=ben.token)
    assert [row["title"] for row in (await ben.get("/api/home"))["rows"]] == ["Popular", "Ours"]
    await web.ask("DELETE", f"/api/lists/{mine}", token=ben.token)
    assert mine not in await ben.rows()

    await ben.play(film, position=900)
    assert (await ben.rows())["continue-watching"] == ["Amber Road"]
    await web.ask("DELETE", f"/api/progress/{film}", token=ben.token)
    assert "continue-watching" not in await ben.rows()


async def test_at_the_control_socket_nobody_has_begun_anything(web, shelf, ben):
    film = await put(shelf, movie("Amber Road", tmdb=1))
    await web.lists.replace(spec("tmdb-movies-popular", "Popular"), [film])
    await ben.play(film, position=900)
    home = await web.ask_control("GET", "/api/home")
    assert [row["id"] for row in home.body["rows"]] == ["tmdb-movies-popular"]
    assert "progress" not in (await web.ask_control("GET", f"/api/titles/{film}")).body


# --- two titles that turned out to be one ---------------------------------------------------------


async def test_two_titles_that_turned_out_to_be_one_are_shown_once(web, shelf, ben):
    known = await put(shelf, movie("Harbour", tmdb=1, released=date(1950, 1, 1)))
    double = await put(
        shelf,
        movie(
            "The Harbour at Night",
            provider="archive",
            archive="harbour",
            imdb="tt0000007",
            released=date(1960, 1, 1),
        ),
    )
    assert known != double
    await web.lists.replace(spec("tmdb-movies-popular", "Popular"), [known, double])
    await ben.play(known, position=900)
    web.clock.pass_by(seconds=60)
    await ben.play(double, position=1200)
    assert (await ben.rows())["continue-watching"] == ["The Harbour at Night", "Harbour"]

    await put(
        shelf,
        movie("Harbour", tmdb=1, imdb="tt0000007", released=date(1950, 1, 1), full=True),
    )
    web.library.home.forget()  # as whoever asked for all of it says

    assert await ben.rows() == {
        "continue-watching": ["Harbour"],
        "tmdb-movies-popular": ["Harbour"],
    }
    for one in (known, double):
        assert (await ben.get(f"/api/titles/{one}"))["id"] == str(known)
    await ben.play(double, position=1800)
    assert (await ben.get(f"/api/titles/{known}"))["progress"]["position"] == 1800.0


async def test_what_was_begun_under_an_id_that_is_gone_is_begun_under_the_one_that_is_left(
    web, shelf, ben
):
    known = await put(shelf, movie("Harbour", tmdb=1, released=date(1950, 1, 1)))
    double = await put(
        shelf, movie("By Night", provider="archive", archive="harbour", imdb="tt0000007")
    )
    await ben.play(double, position=1200)
    await put(shelf, movie("Harbour", tmdb=1, imdb="tt0000007", full=True))

    (begun,) = (await ben.get("/api/progress"))["items"]
    assert (begun["id"], begun["progress"]["position"]) == (str(known), 1200.0)
    assert (await ben.get(f"/api/titles/{known}"))["progress"]["position"] == 1200.0


# --- a title in full ------------------------------------------------------------------------------


async def test_a_movie_in_full(shelf, ben):
    film = await put(
        shelf,
        movie(
            "Amber Road",
            tmdb=603,
            imdb="tt0000603",
            full=True,
            overview="Somebody walks.",
            tagline="Far.",
            original_title="Bernsteinweg",
            original_language="de",
            runtime=5400,
            status="Released",
            rating=7.5,
            votes=120,
            genres=("war", "science-fiction"),
            certifications={"US": "PG-13", "DE": "12"},
            poster=ImageKey("tmdb-poster-a.jpg"),
            credits=(
                Credit(
                    name="Ada Quill", character="Herself", profile=ImageKey("tmdb-profile-q.jpg")
                ),
                Credit(name="Bo Reed", part="director"),
            ),
            images=(Image(role="poster", key=ImageKey("tmdb-poster-a.jpg"), language="en"),),
            trailer=Trailer(site="youtube", key="abc_-1"),
        ),
    )
    await ben.play(film, position=900)
    whole = await ben.get(f"/api/titles/{film}")
    progress = whole.pop("progress")
    assert (progress["position"], progress["watched"]) == (900.0, False)
    assert whole == {
        "id": str(film),
        "type": "movie",
        "title": "Amber Road",
        "original_title": "Bernsteinweg",
        "original_language": "de",
        "language": "en",
        "tagline": "Far.",
        "overview": "Somebody walks.",
        "year": 1968,
        "released": "1968-10-01",
        "ended": None,
        "runtime": 5400.0,
        "status": "Released",
        "rating": 7.5,
        "votes": 120,
        "genres": [
            {"slug": "war", "name": "War"},
            {"slug": "science-fiction", "name": "Science fiction"},
        ],
        "certification": "PG-13",
        "certification_region": "US",
        "credits": [
            {
                "name": "Ada Quill",
                "part": "cast",
                "character": "Herself",
                "profile": "tmdb-profile-q.jpg",
            },
            {"name": "Bo Reed", "part": "director", "character": None, "profile": None},
        ],
        "poster": "tmdb-poster-a.jpg",
        "backdrop": None,
        "images": [
            {
                "role": "poster",
                "key": "tmdb-poster-a.jpg",
                "language": "en",
                "width": None,
                "height": None,
            }
        ],
        "trailer": "https://www.youtube.com/watch?v=abc_-1",
        "tmdb_id": 603,
        "imdb_id": "tt0000603",
        "archive_id": None,
        "trakt_id": None,
        "tvdb_id": None,
        "seasons": [],
        "available": False,
        "complete": True,
        "checked_at": "2026-01-01T12:00:00Z",
    }


async def test_a_show_its_seasons_and_its_episodes(shelf, ben):
    series, first, second, _ = await a_series(shelf)
    await ben.play(second, position=900)
    whole = await ben.get(f"/api/titles/{series}")
    assert whole["type"] == "show"
    assert [(one["number"], one["title"], one["episode_count"]) for one in whole["seasons"]] == [
        (1, "The first", 3)
    ]
    season = await ben.get(f"/api/titles/{series}/seasons/1")
    assert (season["show_id"], season["number"], season["complete"]) == (str(series), 1, True)
    assert [(one["episode"], one["title"], one["air_date"]) for one in season["episodes"]] == [
        (n, f"Part {n}", str(AGO + timedelta(days=n))) for n in (1, 2, 3)
    ]
    assert [one.get("progress", {}).get("position") for one in season["episodes"]] == [
        None,
        900.0,
        None,
    ]
    episode = await ben.get(f"/api/titles/{first}")
    assert (episode["type"], episode["season"], episode["episode"]) == ("episode", 1, 1)
    assert episode["show"]["title"] == "Lantern Street"
    assert "progress" not in episode


async def test_what_is_missing_is_sent_for_when_a_title_is_opened(shelf, errands, ben):
    film = await put(shelf, movie("Amber Road", tmdb=1))
    errands.facts[film] = movie("Amber Road", tmdb=1, full=True, runtime=5400)
    whole = await ben.get(f"/api/titles/{film}")
    assert (whole["complete"], whole["runtime"]) == (True, 5400.0)
    assert errands.sent == [film]
    await ben.get(f"/api/titles/{film}")
    assert errands.sent == [film]
    assert 0 < errands.within[0] <= 1.5


async def test_what_nobody_brings_in_time_is_shown_as_far_as_it_is_known(shelf, errands, ben):
    film = await put(shelf, movie("Amber Road", tmdb=1))
    whole = await ben.get(f"/api/titles/{film}")
    assert (whole["complete"], whole["title"], whole["runtime"]) == (False, "Amber Road", None)
    assert whole["checked_at"] is None


async def test_nobody_is_sent_for_what_nobody_knows(shelf, errands, ben):
    film = await put(shelf, movie("Amber Road", provider="archive", archive="amber"))
    assert not (await ben.get(f"/api/titles/{film}"))["complete"]
    for path, status in (("movie:99", 404), ("show:1", 404), ("movie:99/seasons/1", 404)):
        await ben.get(f"/api/titles/{path}", status=status)
    assert errands.sent == []


async def test_nobody_is_sent_for_what_somebody_may_not_see(shelf, errands, ben):
    film = await put(shelf, movie("Amber Road", tmdb=1))
    await ben.limit_to("PG")
    await ben.get(f"/api/titles/{film}", status=404)
    assert errands.sent == []


async def test_a_title_that_turns_out_not_to_be_for_somebody_is_not_shown(shelf, errands, ben):
    film = await put(shelf, rated("Amber Road", "G", provider="archive", archive="a", tmdb=1))
    brief = await put(shelf, movie("Blue Cellar", tmdb=2))
    await ben.limit_to("PG")
    errands.facts[brief] = rated("Blue Cellar", "R", tmdb=2)
    assert (await ben.get(f"/api/titles/{film}"))["title"] == "Amber Road"
    await ben.get(f"/api/titles/{brief}", status=404)


async def test_a_season_is_sent_for_when_it_is_opened(shelf, errands, ben):
    outline = (SeasonFacts(number=1, episode_count=1), SeasonFacts(number=0, episode_count=2))
    series = await put(shelf, show(tmdb=1, full=True, seasons=outline))
    errands.seasons[series, 1] = SeasonFacts(
        number=1, episodes=(EpisodeFacts(number=1, title="Part 1"),)
    )
    season = await ben.get(f"/api/titles/{series}/seasons/1")
    assert (season["complete"], len(season["episodes"])) == (True, 1)
    specials = await ben.get(f"/api/titles/{series}/seasons/0")
    assert (specials["complete"], specials["episodes"]) == (False, [])
    assert specials["episode_count"] == 2
    await ben.get(f"/api/titles/{series}/seasons/2", status=404)
    assert errands.sent == [(series, 1), (series, 0)]


async def test_a_show_and_its_season_share_the_time_that_an_answer_may_take(shelf, errands, ben):
    series = await put(shelf, show(tmdb=1))
    outline = (SeasonFacts(number=1, episode_count=1),)
    errands.facts[series] = show(tmdb=1, full=True, seasons=outline)
    errands.pause = 0.05
    season = await ben.get(f"/api/titles/{series}/seasons/1")
    assert not season["complete"]
    assert errands.sent == [series, (series, 1)]
    for_the_show, for_the_season = errands.within
    assert for_the_season <= for_the_show - 0.05


async def test_a_season_is_not_sent_for_where_nobody_is_asked(tmp_path, errands):
    async with open_web(tmp_path, errands=errands) as web:
        shelf = web.library.titles
        outline = (SeasonFacts(number=1, episode_count=1),)
        series = await put(shelf, show(tmdb=1, full=True, seasons=outline))
        ben = await visitor(web, "ben")
        assert not (await ben.get(f"/api/titles/{series}/seasons/1"))["complete"]
    assert errands.sent == []


# --- by what others call it -----------------------------------------------------------------------


async def test_a_title_is_found_by_what_others_call_it(shelf, ben):
    await put(shelf, movie("Amber Road", tmdb=603, imdb="tt0000603"))
    await put(shelf, show("Blue Cellar", tmdb=603))
    await put(shelf, movie("Cold Ferry", provider="archive", archive="cold_ferry"))
    for query, found in (
        ("tmdb_id=603&type=movie", ["Amber Road"]),
        ("tmdb_id=603&type=show", ["Blue Cellar"]),
        ("tmdb_id=603", ["Amber Road"]),
        ("tmdb_id=604", []),
        ("imdb_id=tt0000603", ["Amber Road"]),
        ("imdb_id=tt0000603&type=show", []),
        ("archive_id=cold_ferry", ["Cold Ferry"]),
        ("archive_id=cold-ferry", []),
    ):
        answer = await ben.get(f"/api/titles?{query}")
        assert [one["title"] for one in answer["items"]] == found, query
        assert (answer["total"], answer["next_cursor"]) == (len(found), None)


async def test_genres_are_counted_and_named_in_ones_language(shelf, ben):
    await put(shelf, movie("One", tmdb=1, genres=("war", "science-fiction")))
    await put(shelf, show("Two", tmdb=1, genres=("war",)))
    await put(shelf, rated("Three", "PG", tmdb=2, genres=("comedy",)))
    await shelf.save_genre_names({"war": {Locale("de"): "Krieg"}})
    assert (await ben.get("/api/genres"))["items"] == [
        {"slug": "comedy", "name": "Comedy", "movies": 1, "shows": 0},
        {"slug": "science-fiction", "name": "Science fiction", "movies": 1, "shows": 0},
        {"slug": "war", "name": "War", "movies": 1, "shows": 1},
    ]
    await ben.read_in("de")
    assert [one["name"] for one in (await ben.get("/api/genres"))["items"]] == [
        "Comedy",
        "Krieg",
        "Science fiction",
    ]
    await ben.limit_to("PG")
    assert [one["slug"] for one in (await ben.get("/api/genres"))["items"]] == ["comedy"]


async def test_episodes_are_browsed_and_listed_nowhere(shelf, ben):
    await a_series(shelf)
    assert await ben.titles("/api/titles") == ["Lantern Street"]
    assert await ben.titles("/api/search?q=part") == []
    assert Kind.EPISODE not in {one["type"] for one in (await ben.get("/api/titles"))["items"]}


# --- what is told as it changes -------------------------------------------------------------------


@asynccontextmanager
async def listening(who: Any) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
    headers = {"Authorization": f"Bearer {who.token}"}
    async with who.web.session.get(f"{who.web.url}/api/events", headers=headers) as answer:
        events = heard(answer)
        await beginning(events)
        async with asyncio.timeout(10):
            yield events


def library(**changed: Any) -> tuple[str, Any]:
    return "library", {"lists": [], "titles": [], "home": False} | changed


async def test_a_list_that_is_filled_or_made_is_told_to_everybody(web, shelf, ben, cleo):
    film = await put(shelf, movie("Amber Road", tmdb=1))
    async with listening(ben) as events, listening(cleo) as others:
        await web.lists.replace(spec("tmdb-movies-popular", "Popular"), [film])
        for one in (events, others):
            assert await anext(one) == library(lists=["tmdb-movies-popular"])
        await web.lists.replace(spec("tmdb-movies-popular", "Popular"), [film])
        made = await web.lists.create(ben.user.id, title="Mine", shared=True)
        for one in (events, others):
            assert await anext(one) == library(lists=[made.slug])


async def test_what_somebody_has_begun_is_told_to_them_alone(web, shelf, ben, cleo):
    film = await put(shelf, movie("Amber Road", tmdb=1))
    async with listening(ben) as events, listening(cleo) as others:
        await ben.play(film, position=900)
        assert await anext(events) == ("progress", {"title_id": str(film)})
        assert await anext(events) == library(home=True)
        await web.lists.replace(spec("tmdb-movies-popular", "Popular"), [film])
        assert await anext(others) == library(lists=["tmdb-movies-popular"])


async def test_more_of_a_title_is_told_and_shown_on_the_home_page_at_once(tmp_path):
    said = {"id": 1, "title": "The Amber Road", "overview": "Somebody walks.", "runtime": 90}
    http = FakeHttp(Said(body=json.dumps(said).encode()))
    async with open_web(tmp_path, config=ASKABLE, http=http) as web:
        film = await put(web.library.titles, movie("Amber Road", tmdb=1))
        await web.lists.replace(spec("tmdb-movies-popular", "Popular"), [film])
        ben = await visitor(web, "ben")
        assert await ben.rows() == {"tmdb-movies-popular": ["Amber Road"]}
        async with listening(ben) as events:
            await web.library.syncing.details(film, priority=Priority.WAITED_FOR)
            assert await anext(events) == library(titles=[str(film)])
        assert await ben.rows() == {"tmdb-movies-popular": ["The Amber Road"]}
        assert (await ben.get(f"/api/titles/{film}"))["runtime"] == 5400.0


async def test_who_has_chosen_no_language_reads_that_of_the_house(tmp_path):
    config = Config(catalogue=CatalogueSettings(language="de"))
    async with open_web(tmp_path, config=config) as web:
        ben = await visitor(web, "ben")
        (film,) = await web.library.titles.save(
            [movie(full=True, texts={Locale("de-DE"): Text(title="Der Film")})], at=NOON
        )
        assert (await ben.get(f"/api/titles/{film}"))["title"] == "Der Film"
        await ben.read_in("en")
        assert (await ben.get(f"/api/titles/{film}"))["title"] != "Der Film"
