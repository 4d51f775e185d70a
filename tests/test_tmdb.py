"""TMDB, and whatever it may answer instead."""

import asyncio
import json
import logging
import re
from collections.abc import Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from typing import Any, get_args

import aiohttp
import pytest

from miauflixd.catalogue.model import Kind, ListSlug, OutsideIds, Text
from miauflixd.catalogue.providers.pace import Pace
from miauflixd.catalogue.providers.provider import (
    GoneError,
    ProviderOffError,
    ProviderRefusedError,
    ProviderUnavailableError,
    SeriesProvider,
)
from miauflixd.catalogue.providers.tmdb import Tmdb
from miauflixd.catalogue.providers.tmdb_images import Size, image_key, image_url
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.egress.clients import host_client
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.priority import Priority
from miauflixd.runtime.secrets import Secret
from tests.provider_house import WallClock
from tests.tmdb_fake import FIRST, TOKEN, FakeTmdb, Trouble, serving
from tests.tmdb_titles import image, imdb, title

WAITED_FOR, ROUTINE = Priority.WAITED_FOR, Priority.ROUTINE
MOVIES = ListSlug("tmdb-movies-popular")
SHOWS = ListSlug("tmdb-shows-popular")
THE_FIRST = OutsideIds(tmdb=FIRST)


_: type[SeriesProvider] = Tmdb
"""What mypy has to say about that."""


async def no_time(_seconds: float) -> None:
    """Wait between attempts, but not for long."""


@asynccontextmanager
async def asking(fake: FakeTmdb, **more: Any):
    """Have TMDB, as fast as it lets one and without any waiting between attempts."""
    settings = {"tmdb_token": Secret(TOKEN), **more}
    async with serving(fake) as base, host_client() as http:
        pace = Pace(company="TMDB", per_second=1e5, burst=1000, at_once=10)
        async with Tmdb.open(
            http=http,
            settings=CatalogueSettings(tmdb_url=base, **settings),
            clock=WallClock(),
            pace=pace,
            sleep=no_time,
        ) as tmdb:
            yield tmdb


@pytest.fixture(scope="module", autouse=True)
def no_authorities(tmp_path_factory):
    """Nobody here speaks TLS, and to read all of this machine's authorities outlasts a test."""
    none = tmp_path_factory.mktemp("tls") / "none.pem"
    none.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(none))
        patch.setenv("SSL_CERT_DIR", str(none.parent))
        yield


@pytest.fixture
async def fake():
    return FakeTmdb(rate=None)


@pytest.fixture
async def tmdb(fake):
    async with asking(fake) as tmdb:
        found: SeriesProvider = tmdb  # what others know of it
        yield found


# --- lists ----------------------------------------------------------------------------------------


async def test_each_of_its_lists_has_titles(tmdb, fake):
    for one in tmdb.lists():
        page = await tmdb.page(one.slug, 1)
        kinds = {facts.kind for facts in page.items}
        assert (
            kinds
            == {
                "movie": {Kind.MOVIE},
                "show": {Kind.SHOW},
                "mixed": {Kind.MOVIE, Kind.SHOW},
            }[one.kind]
        )
        assert len(page.items) == 20
        assert re.fullmatch(r"tmdb-[a-z-]+", one.slug)
        assert one.title
    assert len(tmdb.lists()) == 6
    assert fake.count(outcome="200") == 6


async def test_what_a_list_says_of_a_movie(tmdb):
    page = await tmdb.page(MOVIES, 1)
    facts = page.items[0]

    assert page.pages == 7
    assert (facts.provider, facts.kind, facts.ids) == ("tmdb", Kind.MOVIE, THE_FIRST)
    assert facts.text == Text(
        title=title(FIRST), overview="Somebody looks for number 1000, and finds something else."
    )
    assert (facts.locale, facts.original_language) == ("en", "en")
    assert facts.released == date(1960, 1, 1) + timedelta(days=37 * FIRST % 24_000)
    assert facts.genres == ("comedy", "drama")
    assert facts.poster == f"tmdb-poster-{image('poster movie 1000')[1:]}"
    assert facts.backdrop == f"tmdb-backdrop-{image('backdrop movie 1000')[1:]}"
    assert facts.rating == 6.0
    assert not facts.full


async def test_genres_of_shows_come_in_pairs_and_are_those_of_movies(tmdb):
    page = await tmdb.page(SHOWS, 1)

    assert page.items[2].genres == ("action", "adventure", "comedy")
    assert {"science-fiction", "fantasy"} <= {one for facts in page.items for one in facts.genres}


async def test_a_list_is_asked_for_in_the_language_and_region_of_this_house(fake):
    async with asking(fake, language="pt-BR", region="BR") as tmdb:
        (first, *_) = (await tmdb.page(ListSlug("tmdb-movies-now-playing"), 2)).items

    assert first.locale == "pt-BR"
    assert fake.asked == ["/movie/now_playing?language=pt-BR&page=2&region=BR"]


async def test_the_page_behind_the_last_is_empty_and_no_list_is_no_list(tmdb):
    assert (await tmdb.page(MOVIES, 8)).items == ()
    for slug, number in [("tmdb-nonsense", 1), (MOVIES, 0), (MOVIES, 501)]:
        with pytest.raises(GoneError):
            await tmdb.page(ListSlug(slug), number)


async def test_the_whole_list_is_120_titles_with_as_many_requests_and_six(tmdb, fake):
    for number in range(1, 7):
        for facts in (await tmdb.page(MOVIES, number)).items:
            await tmdb.details(Kind.MOVIE, facts.ids, priority=ROUTINE)
    assert len(fake.asked) == 126

    for number in range(1, 7):
        await tmdb.page(MOVIES, number)
    assert len(fake.asked) == 126


async def test_what_has_not_changed_is_not_sent_again():
    fake = FakeTmdb(rate=None, max_age=0)
    async with asking(fake) as tmdb:
        assert await tmdb.page(MOVIES, 1) == await tmdb.page(MOVIES, 1)

        assert fake.count(outcome="304") == 1
        assert tmdb.counts() == {"ok": 1, "unchanged": 1}


# --- titles ---------------------------------------------------------------------------------------


async def test_all_of_a_movie_comes_with_one_request(tmdb, fake):
    facts = await tmdb.details(Kind.MOVIE, THE_FIRST, priority=WAITED_FOR)

    assert len(fake.asked) == 1
    assert facts.full
    assert facts.ids == OutsideIds(tmdb=FIRST, imdb=imdb("movie", FIRST))
    assert facts.runtime == (80 + FIRST % 90) * 60
    assert facts.status == "Released"
    assert facts.text.tagline == "Nothing is where it was."
    assert facts.genres == ("comedy", "drama")
    assert facts.certifications == {"US": "R", "DE": "16"}
    assert facts.ended is None
    assert facts.seasons == ()


async def test_people_are_named_once_for_each_part_and_the_important_ones(tmdb):
    facts = await tmdb.details(Kind.MOVIE, THE_FIRST, priority=WAITED_FOR)

    crew = [(one.part, one.name) for one in facts.credits if one.part != "cast"]
    cast = [one for one in facts.credits if one.part == "cast"]
    assert crew == [("director", "Dora Director"), ("writer", "Wim Writer")]
    assert [one.name for one in cast] == [f"Actor {n}" for n in range(30)]
    assert (cast[3].character, cast[3].tmdb_id) == ("Part 3", 103)
    assert cast[3].profile == f"tmdb-profile-{image('profile 103')[1:]}"


async def test_languages_of_two_countries_are_two_and_the_original_needs_no_translation(tmdb):
    facts = await tmdb.details(Kind.MOVIE, THE_FIRST, priority=WAITED_FOR)

    assert {locale: text.title for locale, text in facts.texts.items()} == {
        "en-US": title(FIRST),
        "de-DE": "Stille Nummer 1000",
        "pt-BR": "Brasileiro 1000",
        "pt-PT": "Portugu\u00eas 1000",
    }
    assert facts.texts["de-DE"].overview == "Jemand sucht etwas."


async def test_the_image_of_the_list_is_the_first_and_then_those_in_the_language_of_the_house(fake):
    async with asking(fake, language="de") as tmdb:
        facts = await tmdb.details(Kind.MOVIE, THE_FIRST, priority=WAITED_FOR)

    by_role = {
        role: [one for one in facts.images if one.role == role]
        for role in ("poster", "backdrop", "logo")
    }
    posters = by_role["poster"]
    assert [one.language for one in posters] == ["en", "de", None]
    assert posters[0].key == facts.poster
    assert (posters[0].width, posters[0].height) == (2000, 3000)
    assert [one.language for one in by_role["backdrop"]] == [None, None, "en"]
    assert by_role["backdrop"][0].key == facts.backdrop
    # No drawing, which could hold a program.
    assert [one.language for one in by_role["logo"]] == ["de", "en"]
    assert "include_image_language=de,en,null" in fake.asked[0]


async def test_the_trailer_is_an_official_one_in_the_language_of_the_house(fake):
    keys = []
    for language in ("en", "de", "fr"):
        async with asking(fake, language=language) as tmdb:
            facts = await tmdb.details(Kind.MOVIE, THE_FIRST, priority=WAITED_FOR)
        assert facts.trailer is not None
        keys.append((facts.trailer.site, facts.trailer.key))

    assert keys == [("youtube", "d" * 11), ("youtube", "e" * 11), ("youtube", "d" * 11)]


async def test_a_show_comes_with_its_seasons_and_without_their_episodes(tmdb, fake):
    facts = await tmdb.details(Kind.SHOW, THE_FIRST, priority=WAITED_FOR)

    assert facts.ids == OutsideIds(tmdb=FIRST, imdb=imdb("tv", FIRST), tvdb=FIRST)
    assert [(one.number, one.title, one.episode_count) for one in facts.seasons] == [
        (0, "Specials", 5),
        (1, "Season 1", 5),
        (2, "Season 2", 5),
    ]
    assert all(one.episodes is None for one in facts.seasons)
    assert (facts.runtime, facts.status, facts.ended) == (2700, "Ended", date(2021, 7, 17))
    assert facts.certifications == {"US": "TV-14", "DE": "12"}
    assert [one.name for one in facts.credits if one.part == "creator"] == ["Clara Creator"]
    assert len(fake.asked) == 1


async def test_a_season_comes_with_its_episodes(tmdb):
    season = await tmdb.season(THE_FIRST, 2, priority=WAITED_FOR)

    assert (season.number, season.title, season.episode_count) == (2, "Season 2", 5)
    assert season.episodes is not None
    first, second, *_ = season.episodes
    assert [one.number for one in season.episodes] == [1, 2, 3, 4, 5]
    assert (first.title, first.aired, first.runtime) == (title(1001), date(2012, 1, 2), 44 * 60)
    assert first.still == f"tmdb-still-{image('still 1000 2 1')[1:]}"
    assert (first.rating, second.rating) == (7.5, None)
    assert (await tmdb.season(THE_FIRST, 0, priority=ROUTINE)).number == 0


async def test_a_title_whose_id_here_is_unknown_is_found_by_that_elsewhere(tmdb, fake):
    ids = OutsideIds(imdb=imdb("tv", FIRST + 3))
    assert (await tmdb.details(Kind.SHOW, ids, priority=ROUTINE)).ids.tmdb == FIRST + 3
    assert (await tmdb.season(ids, 1, priority=ROUTINE)).number == 1

    # It is asked for what that is once; the id is known to be that of a show.
    assert fake.count("/find/") == 1
    with pytest.raises(GoneError):
        await tmdb.details(Kind.MOVIE, ids, priority=ROUTINE)


@pytest.mark.parametrize(
    "ids",
    [
        OutsideIds(),
        OutsideIds(tmdb=FIRST - 1),
        OutsideIds(imdb="tt9999999"),
        OutsideIds(imdb="../movie/1000"),
        OutsideIds(archive="night", trakt=5),
    ],
)
async def test_what_it_does_not_know_is_gone(tmdb, ids):
    for kind in Kind:
        with pytest.raises(GoneError):
            await tmdb.details(kind, ids, priority=ROUTINE)
    for number in (1, -1):
        with pytest.raises(GoneError):
            await tmdb.season(ids, number, priority=ROUTINE)
    assert tmdb.state().condition in {"unknown", "ok"}


async def test_what_a_routine_asks_for_is_never_an_old_answer(tmdb, fake):
    await tmdb.details(Kind.MOVIE, THE_FIRST, priority=WAITED_FOR)
    fake.version = 2
    old = await tmdb.details(Kind.MOVIE, THE_FIRST, priority=WAITED_FOR)
    new = await tmdb.details(Kind.MOVIE, THE_FIRST, priority=ROUTINE)

    assert "Version 2" not in old.text.overview
    assert "Version 2" in new.text.overview


# --- searching, finding, changes ------------------------------------------------------------------


async def test_a_search_finds_movies_and_shows_and_no_people(tmdb):
    found = await tmdb.search("  amber\u202e ")

    assert {one.kind for one in found} == {Kind.MOVIE, Kind.SHOW}
    assert all("Amber" in one.text.title for one in found)
    assert {one.kind for one in await tmdb.search("amber", kind=Kind.SHOW)} == {Kind.SHOW}
    assert {one.kind for one in await tmdb.search("amber", kind=Kind.MOVIE)} == {Kind.MOVIE}


async def test_any_words_can_be_searched_for(tmdb, fake):
    for words in ["x" * 10_000, 'a" OR *&?#/%00', "\ud800\x00", "\u202e", "<b></b>", "", " "]:
        assert await tmdb.search(words) == ()
    assert await tmdb.search("amber", kind=Kind.EPISODE) == ()

    assert max(map(len, fake.asked)) < 1000
    assert len(fake.asked) == 2


async def test_an_imdb_id_leads_to_its_movie_or_show(tmdb, fake):
    movie = await tmdb.find(imdb("movie", FIRST))
    show = await tmdb.find(imdb("tv", FIRST))

    assert (movie.kind, movie.ids.tmdb) == (Kind.MOVIE, FIRST)
    assert (show.kind, show.ids.tmdb) == (Kind.SHOW, FIRST)
    assert await tmdb.find("tt0000001") is None
    assert await tmdb.find("nm0000001/../../") is None
    assert len(fake.asked) == 3


async def test_changes_of_some_days_come_page_by_page(tmdb, fake):
    for n in range(150):
        fake.change("movie", FIRST + n, date(2026, 11, 20))
    fake.change("movie", 5, date(2026, 11, 22))
    days = {"since": date(2026, 11, 19), "until": date(2026, 11, 21)}
    first = await tmdb.changes(Kind.MOVIE, **days, number=1)
    second = await tmdb.changes(Kind.MOVIE, **days, number=2)

    assert first.pages == second.pages == 2
    assert first.items + second.items == tuple(range(FIRST, FIRST + 150))
    none = await tmdb.changes(Kind.SHOW, **days, number=1)
    assert (none.items, none.pages) == ((), 1)


async def test_no_more_than_a_fortnight_of_changes_is_asked_for(tmdb, fake):
    await tmdb.changes(Kind.SHOW, since=date(2020, 1, 1), until=date(2026, 11, 22), number=1)

    assert "end_date=2026-11-22&page=1&start_date=2026-11-08" in fake.asked[0]
    with pytest.raises(GoneError):
        await tmdb.changes(Kind.EPISODE, since=date(2026, 1, 1), until=date(2026, 1, 2), number=1)


async def test_genres_have_names_and_pairs_have_none(tmdb):
    names = await tmdb.genres("en")

    assert names["science-fiction"] == "Science Fiction"
    assert names["politics"] == "Politics"
    assert names["drama"] == "Drama"
    assert not any("&" in name for name in names.values())
    assert "politics" not in await tmdb.genres("de")


# --- the key --------------------------------------------------------------------------------------


async def test_without_a_token_it_is_off_and_nobody_is_asked(fake):
    async with asking(fake, tmdb_token=None) as tmdb:
        assert tmdb.lists() == ()
        for question in questions(tmdb):
            with pytest.raises(ProviderOffError):
                await question
        state = await tmdb.check()

    assert (state.condition, fake.asked) == ("off", [])
    assert "tmdb_token" in state.reason
    assert "Read Access Token" in state.next


async def test_a_token_that_is_not_accepted_says_which_one_is_meant(fake):
    async with asking(fake, tmdb_token=Secret("0123456789abcdef")) as tmdb:
        state = await tmdb.check()
        assert (state.condition, "Read Access Token" in state.next) == ("refused", True)
        with pytest.raises(ProviderRefusedError):
            await tmdb.page(MOVIES, 1)
        fake.token = "0123456789abcdef"
        assert (await tmdb.check()).condition == "ok"


@pytest.mark.parametrize("token", ["", " ", "a\r\nX-Evil: 1", "\u00e9", "a b", "x" * 3000])
async def test_what_cannot_be_a_token_is_not_sent(fake, token):
    async with asking(fake, tmdb_token=Secret(token)) as tmdb:
        assert (await tmdb.check()).condition == "refused"
        with pytest.raises(ProviderRefusedError):
            await tmdb.search("amber")

    assert fake.asked == []


async def test_a_check_asks_each_time_and_believes_nothing_of_the_answer(tmdb, fake):
    for _ in range(2):
        assert (await tmdb.check()).condition == "ok"
    assert fake.asked == ["/configuration"] * 2

    (facts, *_) = (await tmdb.page(MOVIES, 1)).items
    address = image_url("https://image.tmdb.org/t/p", facts.poster, "small")
    assert str(address).startswith("https://image.tmdb.org/t/p/w185/")


async def test_an_address_where_nothing_of_the_kind_is_is_noticed(fake):
    fake.trouble("404")
    async with asking(fake) as tmdb:
        assert (await tmdb.check()).condition == "failing"


async def test_the_token_is_in_no_address_log_or_error(fake, caplog):
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    fake.retry_after = "0"
    async with asking(fake) as tmdb:
        for trouble in ("401", "500", "429", "html", "hang up"):
            fake.recover()
            fake.trouble(trouble)
            for question in questions(tmdb):
                with pytest.raises(MiauflixdError) as caught:
                    await question
                said += [str(caught.value), repr(caught.value), repr(tmdb.state())]

    for text in [*said, *fake.asked, caplog.text]:
        assert TOKEN not in text
    for record in caplog.records:
        assert "http" not in record.getMessage() or record.levelno < logging.INFO


# --- troubles -------------------------------------------------------------------------------------


def questions(tmdb: SeriesProvider) -> Iterator[Coroutine[Any, Any, Any]]:
    """Yield one of each, to be awaited in turn."""
    yield tmdb.page(MOVIES, 1)
    yield tmdb.details(Kind.MOVIE, THE_FIRST, priority=ROUTINE)
    yield tmdb.details(Kind.SHOW, THE_FIRST, priority=ROUTINE)
    yield tmdb.season(THE_FIRST, 1, priority=ROUTINE)
    yield tmdb.search("amber")
    yield tmdb.find(imdb("movie", FIRST))
    yield tmdb.changes(Kind.MOVIE, since=date(2026, 1, 1), until=date(2026, 1, 2), number=1)


WHOLE = [
    "wrong types",
    "missing fields",
    "ids as strings",
    "nulls",
    "large overview",
    "control characters",
    "year zero",
    "images elsewhere",
    "adult",
    "endless numbers",
]
"""Troubles of answers that are JSON of the right outline."""

BROKEN = [one for one in get_args(Trouble) if one not in {*WHOLE, "404", "slow"}]


@pytest.mark.parametrize("trouble", BROKEN)
async def test_whatever_is_answered_instead_is_one_kind_of_error(fake, trouble):
    fake.retry_after = "0"
    fake.trouble(trouble)
    async with asking(fake) as tmdb:
        for question in questions(tmdb):
            with pytest.raises(ProviderUnavailableError):
                await question
        conditions = {"401": "refused", "429": "unknown"}
        assert tmdb.state().condition == conditions.get(trouble, "failing")


@pytest.mark.parametrize("trouble", WHOLE)
async def test_whole_answers_with_something_wrong_in_every_part_harm_nobody(fake, trouble):
    fake.change("movie", FIRST, date(2026, 1, 1))
    fake.trouble(trouble)
    async with asking(fake) as tmdb:
        for question in questions(tmdb):
            try:
                found = await question
            except (ProviderUnavailableError, GoneError):
                continue
            sound(found)


@pytest.mark.parametrize(
    "trouble",
    ["ids as strings", "large overview", "control characters", "year zero", "images elsewhere"],
)
async def test_a_field_that_makes_no_sense_costs_that_field_and_not_the_title(fake, trouble):
    fake.trouble(trouble)
    async with asking(fake) as tmdb:
        page = await tmdb.page(MOVIES, 1)
        facts = await tmdb.details(Kind.SHOW, THE_FIRST, priority=ROUTINE)
        season = await tmdb.season(THE_FIRST, 1, priority=ROUTINE)

    assert [one.ids.tmdb for one in page.items] == list(range(FIRST, FIRST + 20))
    assert len(facts.seasons) == 3
    assert len(season.episodes) == 5
    seen = (facts.released is None, facts.poster is None)
    assert seen == (trouble == "year zero", trouble == "images elsewhere")


async def test_titles_for_adults_are_in_no_list_and_gone(fake):
    fake.trouble("adult")
    fake.change("movie", FIRST, date(2026, 1, 1))
    async with asking(fake) as tmdb:
        assert (await tmdb.page(MOVIES, 1)).items == ()
        assert await tmdb.search("amber") == ()
        assert await tmdb.find(imdb("movie", FIRST)) is None
        days = {"since": date(2026, 1, 1), "until": date(2026, 1, 2)}
        assert (await tmdb.changes(Kind.MOVIE, **days, number=1)).items == ()
        with pytest.raises(GoneError):
            await tmdb.details(Kind.MOVIE, THE_FIRST, priority=ROUTINE)


async def test_an_answer_about_another_title_is_none_and_does_not_make_the_title_gone(fake):
    fake.trouble("missing fields")
    async with asking(fake) as tmdb:
        with pytest.raises(ProviderUnavailableError):
            await tmdb.details(Kind.MOVIE, THE_FIRST, priority=ROUTINE)


async def test_one_that_is_gone_in_the_middle_of_a_list_spoils_no_other(tmdb, fake):
    fake.trouble("404", "/movie/1003")
    fake.trouble("500", "/movie/1005")
    gone, broken, found = [], [], []
    for facts in (await tmdb.page(MOVIES, 1)).items:
        try:
            found.append(await tmdb.details(Kind.MOVIE, facts.ids, priority=ROUTINE))
        except GoneError:
            gone.append(facts.ids.tmdb)
        except ProviderUnavailableError:
            broken.append(facts.ids.tmdb)

    assert (gone, broken, len(found)) == ([1003], [1005], 18)
    assert fake.count("/movie/1003") == 1
    assert fake.count("/movie/1005") == 3
    assert tmdb.state().condition == "ok"


@pytest.mark.parametrize("trouble", ["500", "hang up"])
async def test_a_hiccup_is_not_noticed_by_anybody(tmdb, fake, trouble):
    fake.trouble(trouble, times=2)
    page = await tmdb.page(MOVIES, 1)

    assert len(page.items) == 20
    assert tmdb.state().condition == "ok"


async def test_a_slow_answer_can_be_given_up_at_any_time(tmdb, fake):
    fake.trouble("slow")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(tmdb.page(MOVIES, 1))
        while not fake.asked:
            await asyncio.sleep(0.005)
        task.cancel()
    assert task.cancelled()


def sound(found: object) -> None:
    """Check that nothing in there could harm whoever keeps or shows it."""
    if is_dataclass(found):
        for one in fields(found):
            sound(getattr(found, one.name))
    elif isinstance(found, dict):
        for key, one in found.items():
            sound(key)
            sound(one)
    elif isinstance(found, tuple | list):
        for one in found:
            sound(one)
    elif isinstance(found, str):
        assert len(found) <= 10_000
        assert found.replace("\n", "").isprintable()
        assert "<" not in found
        found.encode()
    elif isinstance(found, int | float):
        assert -1 < found < 2**53


# --- images ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        None,
        7,
        "",
        "abc.jpg",
        "/a b.jpg",
        "/../../etc/passwd.jpg",
        "//evil.example/a.jpg",
        "/a.jpg?x=1",
        "/a.jpg\n",
        "/a.gif",
        "/a.php.jpg",
        "/\u00e9.jpg",
        "/" + "a" * 65 + ".jpg",
    ],
)
def test_what_is_no_path_of_an_image_has_no_key(path):
    assert image_key("poster", path) is None


@pytest.mark.parametrize(
    ("role", "sizes"),
    [
        ("poster", ["w185", "w342", "w780", "original"]),
        ("backdrop", ["w300", "w780", "w1280", "original"]),
        ("still", ["w185", "w300", "original", "original"]),
        ("logo", ["w185", "w300", "w500", "original"]),
        ("profile", ["w45", "w185", "h632", "original"]),
    ],
)
def test_a_key_leads_to_an_address_of_each_size(role, sizes):
    key = image_key(role, "/aB3.png")
    assert key == f"tmdb-{role}-aB3.png"
    assert [image_url("https://i.example/t/p/", key, size) for size in get_args(Size)] == [
        f"https://i.example/t/p/{size}/aB3.png" for size in sizes
    ]


def test_a_drawing_has_one_size():
    assert image_url("https://i.example", "tmdb-logo-a.svg", "small") == (
        "https://i.example/original/a.svg"
    )


@pytest.mark.parametrize(
    "key",
    [
        "",
        "archive-x",
        "tmdb-poster-",
        "tmdb-cover-a.jpg",
        "tmdb-poster-a.jpg/..",
        "tmdb-poster-../a.jpg",
        "xtmdb-poster-a.jpg",
    ],
)
def test_what_is_no_key_leads_nowhere(key):
    assert image_url("https://i.example", key, "small") is None


# --- the fake -------------------------------------------------------------------------------------


async def test_the_fake_has_the_limit_of_the_real_one():
    seconds = [0.0]
    fake = FakeTmdb(clock=lambda: seconds[0])
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with serving(fake) as base, aiohttp.ClientSession(headers=headers) as session:

        async def status() -> tuple[int, str | None, int | None]:
            async with session.get(f"{base}/configuration") as answer:
                said = await answer.json()
                return answer.status, answer.headers.get("Retry-After"), said.get("status_code")

        assert [(await status())[0] for _ in range(40)] == [200] * 40
        assert await status() == (429, "1", 25)
        seconds[0] += 1.0
        assert (await status())[0] == 200


async def test_the_fake_answers_from_a_folder_of_recorded_answers(fake, tmp_path):
    recorded = {
        "movie/7-append_to_response-translations-language-en": {"id": 7, "title": "Seven"},
        "tv_season/8_season_3-language-en": {"season_number": 3, "episodes": []},
        "movie/top_rated-language-en-page-1": {
            "results": [{"id": 7, "title": "Seven"}],
            "total_pages": 3,
        },
        "configuration": {"images": {}},
    }
    for name, data in recorded.items():
        file = tmp_path / f"{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"headers": {}, "data": data}))
    fake.serve_recorded(tmp_path)
    async with asking(fake) as tmdb:
        top = ListSlug("tmdb-movies-top-rated")
        seven = await tmdb.details(Kind.MOVIE, OutsideIds(tmdb=7), priority=ROUTINE)
        assert seven.text.title == "Seven"
        assert (await tmdb.season(OutsideIds(tmdb=8), 3, priority=ROUTINE)).number == 3
        assert len((await tmdb.page(top, 1)).items) == 1
        assert (await tmdb.page(top, 2)).items == ()
        assert (await tmdb.page(ListSlug("tmdb-trending"), 1)).items == ()
        assert (await tmdb.check()).condition == "ok"
        with pytest.raises(GoneError):
            await tmdb.details(Kind.SHOW, OutsideIds(tmdb=7), priority=ROUTINE)


@pytest.mark.slow
async def test_its_own_pace_never_meets_the_limit():
    fake = FakeTmdb(movies=120)
    async with serving(fake) as base, host_client() as http:
        settings = CatalogueSettings(tmdb_url=base, tmdb_token=Secret(TOKEN))
        own_pace = Tmdb.open(http=http, settings=settings, clock=WallClock())
        async with own_pace as tmdb, asyncio.TaskGroup() as group:
            for number in range(FIRST, FIRST + 120):
                ids = OutsideIds(tmdb=number)
                group.create_task(tmdb.details(Kind.MOVIE, ids, priority=ROUTINE))

    assert fake.count("/movie/", "200") == 120
    assert fake.count(outcome="429") == 0
    assert fake.at_once <= 10
