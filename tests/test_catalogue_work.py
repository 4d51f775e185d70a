"""The catalogue's work by itself: a house that fills, stays full, and is hard to upset."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest

from miauflixd.auth.model import UserId
from miauflixd.catalogue.model import Kind, ListSlug, NoListError, TitleId
from miauflixd.catalogue.providers.tmdb_lists import LISTS
from miauflixd.catalogue.settings import CatalogueSettings
from tests.catalogue_house import EVERYBODY, MOVIES, House
from tests.time_machine import START
from tests.tmdb_fake import FIRST, TOKEN, Trouble

pytestmark = pytest.mark.slow

TODAY = START.date()
DAY = timedelta(days=1)


def house(folder: Path, **tmdb: Any) -> AbstractAsyncContextManager[House]:
    """A small one, which is full after some seconds."""
    return House(folder, **({"movies": 6, "shows": 1, "seasons": 1} | tmdb)).stopped()


async def first(house: House, kind: Kind, number: int = FIRST) -> TitleId:
    """Return what TMDB's title of this number is here."""
    known = await house.library.titles.known(kind, [number])
    return known[number]


def loud(caplog) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno > logging.DEBUG]


# --- a house that fills itself --------------------------------------------------------------------


async def test_a_fresh_house_is_full_within_a_minute(tmp_path):
    async with house(tmp_path, movies=60, shows=6) as here, here.at_work():
        await here.clock.pass_by(seconds=4)
        first_rows = await here.rows()
        await here.clock.pass_by(seconds=26)

        rows = await here.rows()
        assert first_rows["tmdb-trending"] == 20
        assert len([row for row in rows if row.startswith("tmdb-")]) == 6
        assert len([row for row in rows if row.startswith("archive-")]) == 5
        assert await here.brief() == 0
        assert here.waiting() == 0
        assert here.tmdb.count(outcome="429") == 0

        show = await here.catalogue.title(await first(here, Kind.SHOW), EVERYBODY)
        assert [(one.number, one.synced) for one in show.seasons] == [(1, True), (0, True)]
        season = await here.catalogue.season(show.card.id, 1, EVERYBODY)
        assert len(season.episodes) == 5
        genres = {one.genre.name for one in await here.catalogue.genres(EVERYBODY)}
        assert {"Science Fiction", "Drama"} <= genres


async def test_without_a_token_the_archive_fills_the_house_alone(tmp_path):
    async with house(tmp_path) as here:
        here.settings["tmdb_token"] = None
        async with here.at_work():
            await here.clock.pass_by(seconds=30)
            assert set(await here.rows()) == {
                "archive-features",
                "archive-silent",
                "archive-cartoons",
                "archive-open",
                "archive-ephemera",
            }
            assert here.tmdb.asked == []
            assert {task.state for task in here.timetable.tasks()} == {"idle"}


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_a_list_of_120_costs_125_requests_at_first_and_10_an_hour_later(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "miauflixd.catalogue.providers.tmdb.LISTS",
        {MOVIES: LISTS[MOVIES]},
    )
    async with house(tmp_path, movies=130, shows=0, max_age=0) as here, here.at_work():
        await here.clock.pass_by(minutes=59)
        assert len(await here.ids(MOVIES)) == 120
        assert len(here.tmdb.asked) <= 125

        costs = []
        for _ in range(12):
            asked = len(here.tmdb.asked)
            await here.clock.pass_by(hours=1)
            costs.append(len(here.tmdb.asked) - asked)
        assert max(costs) <= 10
        assert await here.brief() == 0


# --- what has changed elsewhere -------------------------------------------------------------------


def details(house: House, number: int = FIRST) -> int:
    """Return how often all of a movie was asked for."""
    return house.tmdb.count(f"/movie/{number}")


async def overview(house: House) -> str:
    title = await house.catalogue.title(await first(house, Kind.MOVIE), EVERYBODY)
    return title.overview


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_what_has_changed_is_asked_for_once_that_day_and_once_when_it_is_over(tmp_path):
    async with house(tmp_path, max_age=0) as here, here.at_work():
        await here.clock.pass_by(seconds=30)
        assert details(here) == 1
        await here.later(hours=13)  # into the next day
        here.tmdb.version = 1
        here.tmdb.change("movie", FIRST, TODAY + DAY)
        here.tmdb.change("movie", 999_999, TODAY + DAY)  # which nobody here has
        for _ in range(4):
            await here.later(hours=2)
        assert details(here) == 2
        assert "(Version 1.)" in await overview(here)

        here.tmdb.version = 2  # later that day
        for _ in range(10):
            await here.later(hours=2)
        assert details(here) == 3
        assert "(Version 2.)" in await overview(here)
        assert details(here, 999_999) == 0


def feed(house: House) -> list[tuple[str, str]]:
    """Return the days and pages of the feed that were asked for."""
    asked = [one for one in house.tmdb.asked if one.startswith("/movie/changes")]
    return [(one.split("start_date=")[1], one.split("page=")[1].split("&")[0]) for one in asked]


async def test_a_change_feed_is_read_on_from_the_page_where_it_broke_off(tmp_path):
    async with house(tmp_path) as here:
        for number in range(450):
            here.tmdb.change("movie", 5000 + number, TODAY)
        for fails in (3, 0):
            async with here.at_work():
                await here.clock.settle()
                while fails and len(feed(here)) < fails:
                    await here.clock.pass_by(seconds=0.02)
                here.internet.down = bool(fails)
                await here.clock.pass_by(seconds=50)
                here.internet.down = False
            here.clock.set(timedelta(hours=2))
        day = TODAY.isoformat()
        pages = [page for asked_day, page in feed(here) if asked_day == day]
        assert pages in (list("12345"), list("123345"))


@pytest.mark.parametrize(
    ("by", "days"), [(timedelta(days=31), 14), (timedelta(days=-31), 14), (timedelta(days=3), 4)]
)
async def test_a_feed_begins_where_it_was_or_a_fortnight_ago(tmp_path, by, days):
    async with house(tmp_path) as here:
        async with here.at_work():
            await here.clock.pass_by(minutes=1)
        here.tmdb.asked.clear()
        here.clock.set(by)
        async with here.at_work():
            await here.clock.pass_by(minutes=2)
        today = (START + by).date()
        wanted = [(today - DAY * back).isoformat() for back in reversed(range(days))]
        assert [day for day, _ in feed(here)] == wanted


# --- somebody waits -------------------------------------------------------------------------------


async def test_what_somebody_opens_is_there_at_once_and_its_seasons_next(tmp_path):
    async with house(tmp_path, shows=3, seasons=3) as here:
        async with here.at_work(background=False):
            here.timetable.trigger("refresh_lists")
            await here.clock.pass_by(seconds=10)
            show = await first(here, Kind.SHOW)
            before = await here.library.titles.title(show, EVERYBODY.locale, None)
            assert not before.full
            async with asyncio.TaskGroup() as group:
                opened = group.create_task(here.catalogue.title(show, EVERYBODY))
                await here.clock.pass_by(seconds=2)
            assert opened.result().full
        here.tmdb.asked.clear()
        async with here.at_work():
            await here.clock.pass_by(seconds=10)
        seasons = [one for one in here.tmdb.asked if "/season/" in one]
        assert [one.split("?")[0] for one in seasons[:4]] == [
            f"/tv/{FIRST}/season/{number}" for number in (1, 2, 3, 0)
        ]


async def test_a_person_goes_before_what_nobody_waits_for(tmp_path):
    async with house(tmp_path, movies=130) as here, here.at_work():
        here.tmdb.delay = 0.9
        await here.clock.pass_by(seconds=8)
        movie = await first(here, Kind.MOVIE, FIRST + 19)
        asked = len(here.tmdb.asked)
        begun = here.clock()
        async with asyncio.TaskGroup() as group:
            opened = group.create_task(here.catalogue.title(movie, EVERYBODY))
            while not opened.done():
                await here.clock.pass_by(seconds=0.1)
        assert here.waiting() > 50
        assert len(here.tmdb.asked) > asked
        assert opened.result().full
        assert here.clock() - begun < timedelta(seconds=2)


async def test_a_person_sees_what_there_is_when_nobody_answers(tmp_path):
    async with house(tmp_path) as here, here.at_work(background=False):
        here.timetable.trigger("refresh_lists")
        await here.clock.pass_by(seconds=10)
        movie = await first(here, Kind.MOVIE)
        for trouble in ("slow", "500", "html", "429"):
            here.tmdb.trouble(trouble, "/movie/")
            async with asyncio.TaskGroup() as group:
                opened = group.create_task(here.catalogue.title(movie, EVERYBODY))
                await here.clock.pass_by(seconds=1.6)
                assert opened.done()
            assert not opened.result().full
            here.tmdb.recover()
        await here.clock.pass_by(hours=1)
        async with asyncio.TaskGroup() as group:
            opened = group.create_task(here.catalogue.title(movie, EVERYBODY))
            await here.clock.pass_by(seconds=1.6)
        assert opened.result().full


# --- what can go wrong ----------------------------------------------------------------------------


def some(fast: int, troubles: Sequence[Trouble]) -> list[Any]:
    """Return a parameter for each of these, the first few of which are tried every time."""
    return [
        pytest.param(one, marks=() if place < fast else pytest.mark.slow)
        for place, one in enumerate(troubles)
    ]


@pytest.mark.parametrize(
    "trouble", some(2, ("500", "404", "html", "truncated", "deep", "huge", "empty"))
)
async def test_one_broken_title_costs_no_other(tmp_path, trouble, caplog):
    async with house(tmp_path, movies=30) as here, here.at_work():
        here.tmdb.trouble(trouble, f"/movie/{FIRST}")
        await here.clock.pass_by(minutes=2)
        gone = trouble == "404"
        assert await here.brief() == (0 if gone else 1)
        assert (await here.rows())[MOVIES] == 20
        assert len(await here.ids(MOVIES)) == 30
        here.tmdb.recover()
        await here.clock.pass_by(minutes=10)
        assert await here.brief() == 0
        assert len(loud(caplog)) <= 2


# The first: a whole page of nothing that makes sense.
WHOLE_LISTS: list[Trouble] = sorted(
    set(get_args(Trouble)) - {"ids as strings", "large overview"},
    key=lambda one: (one not in {"adult", "missing fields", "404"}, one),
)


@pytest.mark.parametrize("trouble", some(3, WHOLE_LISTS))
async def test_a_list_stays_as_it_was_whatever_is_answered_instead_of_its_second_page(
    tmp_path, trouble
):
    async with house(tmp_path, movies=50, shows=0, max_age=0) as here, here.at_work():
        await here.clock.pass_by(seconds=30)
        before = await here.ids(MOVIES)
        assert len(before) == 50
        rows = await here.rows()

        here.tmdb.trouble(trouble, "/discover/movie", times=float("inf"))
        here.tmdb.version = 1
        await here.later(hours=1)

        assert await here.ids(MOVIES) == before
        assert (await here.rows()).keys() >= rows.keys()
        here.tmdb.recover()
        await here.later(hours=1)
        last = here.task("refresh_lists").last
        assert last is not None
        assert last.error is None


async def test_what_is_refused_is_taken_up_when_there_is_another_key(tmp_path, caplog):
    async with house(tmp_path) as here, here.at_work():
        here.tmdb.token = "another"
        await here.clock.pass_by(hours=1)
        assert set(await here.rows()) == {
            one for one in await here.rows() if one.startswith("archive-")
        }
        assert len(here.tmdb.asked) < 150
        here.tmdb.token = TOKEN
        for name in ("refresh_lists", "sync_movies"):
            here.timetable.trigger(name)
        await here.clock.pass_by(minutes=1)
        assert len(await here.ids(MOVIES)) == 6
        assert await here.brief() == 0


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_a_storm_of_429_is_weathered(tmp_path, caplog):
    async with house(tmp_path, movies=30) as here, here.at_work():
        await here.clock.pass_by(seconds=1)
        here.tmdb.trouble("429")
        asked = len(here.tmdb.asked)
        await here.clock.pass_by(hours=1)
        assert len(here.tmdb.asked) - asked < 200
        here.tmdb.recover()
        await here.clock.pass_by(hours=1)
        assert await here.brief() == 0
        assert len(await here.ids(MOVIES)) == 30
        assert len(loud(caplog)) < 20


async def test_a_search_shows_what_one_finds_while_the_other_is_slow(tmp_path):
    async with house(tmp_path) as here, here.at_work(background=False):
        here.tmdb.trouble("slow", "/search/")
        async with asyncio.TaskGroup() as group:
            search = group.create_task(
                here.catalogue.search("gertie", kind=None, audience=EVERYBODY, count=10)
            )
            await here.clock.pass_by(seconds=1.6)
            assert search.done()
        assert [card.title for card in search.result().cards] == ["Gertie the Dinosaur"]
        assert search.result().searching


# --- a day without ------------------------------------------------------------------------------


async def test_one_provider_away_hides_nothing_of_the_other(tmp_path):
    async with house(tmp_path) as here:
        here.internet.away = {"tmdb.example"}
        async with here.at_work():
            await here.clock.pass_by(seconds=30)
            assert len(await here.rows()) == 5
            here.internet.away = {"archive.example"}
            here.tmdb.recover()
            await here.clock.pass_by(minutes=7)
            assert len(await here.rows()) == 11


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_a_day_without_internet_is_no_trouble(tmp_path, caplog):
    caplog.set_level(logging.INFO, "miauflixd")
    async with house(tmp_path, max_age=600) as here, here.at_work():
        await here.clock.pass_by(minutes=5)
        rows = await here.rows()
        show = await here.catalogue.title(await first(here, Kind.SHOW), EVERYBODY)
        caplog.clear()
        attempts = here.internet.attempts

        here.internet.down = True
        here.tmdb.change("movie", FIRST, TODAY)
        await here.clock.pass_by(days=1)

        assert await here.rows() == rows
        assert await here.catalogue.title(show.card.id, EVERYBODY) == show
        assert here.internet.attempts - attempts < 600
        assert len(loud(caplog)) <= 8

        here.internet.down = False
        here.tmdb.version = 1
        caplog.clear()
        await here.clock.pass_by(hours=2)
        assert {task.state for task in here.timetable.tasks()} == {"idle"}
        assert "(Version 1.)" in await overview(here)
        assert len(loud(caplog)) <= 8


async def test_a_clock_that_nobody_has_set_does_no_harm(tmp_path):
    async with house(tmp_path) as here:
        async with here.at_work():
            await here.clock.pass_by(minutes=1)
            rows = await here.rows()
        here.tmdb.asked.clear()
        here.clock.set(-(START - datetime(1970, 1, 1, tzinfo=UTC)))
        async with here.at_work():
            await here.clock.pass_by(minutes=5)
            assert await here.rows() == rows
            assert feed(here) == []
            asked = len(here.tmdb.asked)
            here.clock.set(START + DAY - datetime(1970, 1, 1, tzinfo=UTC))
            await here.clock.pass_by(minutes=20)
            assert [day for day, _ in feed(here)] == [
                (TODAY + DAY * days).isoformat() for days in (0, 1)
            ]
            assert len(here.tmdb.asked) - asked < 40
            assert await here.rows() == rows


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_lists_are_refreshed_hourly_when_clocks_are_put_forward_and_back(tmp_path):
    zone = ZoneInfo("Europe/Berlin")
    async with house(tmp_path, max_age=0) as here:
        for day in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
            here.clock.set(day - here.clock())
            async with here.at_work(zone=zone):
                await here.clock.pass_by(minutes=5)
                asked = here.tmdb.count("/movie/top_rated")
                await here.clock.pass_by(hours=4)
                assert 3 <= here.tmdb.count("/movie/top_rated") - asked <= 4
                assert {task.state for task in here.timetable.tasks()} == {"idle"}


# --- killed ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_killed_anywhere_nothing_is_lost_and_lists_are_whole(tmp_path):
    (tmp_path / "whole").mkdir()
    async with house(tmp_path / "whole") as whole, whole.at_work():
        await whole.clock.pass_by(minutes=2)
        expected = await whole.rows()
        counts = await whole.catalogue.counts()

    lives = 0
    folder = tmp_path / "0"
    folder.mkdir()
    while True:
        lives += 1
        following = tmp_path / str(lives)
        following.mkdir()
        async with house(folder) as here:
            here.clock.set(timedelta(minutes=2 * lives))
            async with here.at_work():
                # One request further each time; of what comes of it, more or less.
                for _ in range(lives * 60):
                    await here.clock.pass_by(seconds=0.005)
                    if len(here.tmdb.asked) >= lives:
                        break
                rows = await here.rows()
                assert all(expected[row] == count for row, count in rows.items())
                if rows == expected and not here.waiting():
                    break
                # What is on the disk at this moment, without any goodbye.
                await here.database.backup(following / "house.sqlite3")
        folder = following
        assert lives < 60
    assert lives > 5
    async with house(folder) as here:
        here.clock.set(timedelta(minutes=2 * lives))
        async with here.at_work():
            await here.clock.pass_by(minutes=10)
            assert await here.rows() == expected
            assert await here.brief() == 0
            assert await here.catalogue.counts() == counts


# --- one title of two providers -------------------------------------------------------------------


async def test_two_titles_that_turn_out_to_be_one_stand_in_both_lists(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.tmdb_titles.imdb", lambda kind, number: f"tt001{number + 8946}")
    async with house(tmp_path) as here, here.at_work():
        await here.clock.pass_by(minutes=1)
        for _ in range(2):
            rows = {row.id: row for row in await here.catalogue.home(EVERYBODY)}
            (gabbo,) = [item.card.id for item in rows["archive-features"].items]
            assert gabbo == await first(here, Kind.MOVIE)
            assert [item.card.id for item in rows[MOVIES].items].count(gabbo) == 1
            title = await here.catalogue.title(gabbo, EVERYBODY)
            assert (title.ids.tmdb, title.ids.archive) == (FIRST, "great_gabbo")
            await here.later(hours=25)
        assert await here.brief() == 0


async def test_a_list_of_a_provider_that_is_switched_off_meanwhile_does_not_come_back(
    tmp_path, monkeypatch
):
    async with house(tmp_path, movies=30, shows=0) as here, here.at_work():
        library = here.library
        save = library.titles.save

        async def saved(*said, **when):
            numbers = await save(*said, **when)
            library.configure(CatalogueSettings(archive=False))  # with no token
            assert await library.syncing.current_lists() == []
            return numbers

        monkeypatch.setattr(library.titles, "save", saved)
        with pytest.raises(NoListError):
            await library.syncing.refresh(ListSlug("tmdb-movies-popular"))

        assert await library.lists.visible(UserId("")) == []
