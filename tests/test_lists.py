"""Lists of titles: filled by providers, made by people, and seen by whom they are meant for."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from miauflixd.auth.model import Role, UserId, Viewer
from miauflixd.catalogue import list_model
from miauflixd.catalogue.list_model import (
    MOST_ITEMS,
    MOST_LISTS,
    ListFullError,
    ListKind,
    ListSpec,
    NotYourListError,
    TooManyListsError,
    checked_title,
    foreign_title,
)
from miauflixd.catalogue.list_store import ListStore
from miauflixd.catalogue.lists import Lists
from miauflixd.catalogue.model import (
    BadListError,
    BuiltInListError,
    ListSlug,
    NoListError,
    ProviderName,
    TitleId,
)
from miauflixd.database.database import Database
from tests.auth_house import Clock
from tests.catalogue_fakes import episode, movie, show

ANNA, BEN = UserId("anna"), UserId("ben")
POPULAR = ListSpec(
    slug=ListSlug("tmdb-movies-popular"), title="Popular movies", kind="movie", provider="tmdb"
)
SILENT = ListSpec(
    slug=ListSlug("archive-silent"), title="Silent films", kind="movie", provider="archive"
)


def viewer(user_id: UserId | None, role: Role = Role.USER) -> Viewer:
    return Viewer(user_id=user_id, role=role, session_id=None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "house.sqlite3"


@pytest.fixture
async def database(path):
    async with Database.open(path) as database:
        yield database


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def lists(database, clock, told):
    return Lists(store=ListStore(database=database), clock=clock, changed=told.append)


def movies(*numbers: int) -> tuple[TitleId, ...]:
    return tuple(map(movie, numbers))


async def names(lists: Lists, user_id: UserId) -> list[str]:
    return [info.title for info in await lists.visible(user_id)]


async def ids(lists: Lists, slug: ListSlug, user_id: UserId = ANNA) -> tuple[TitleId, ...]:
    return (await lists.get(slug, user_id)).ids


@pytest.fixture
async def mine(lists):
    """A list of Anna's, with three films in it."""
    info = await lists.create(ANNA, title="Rainy days")
    for one in movies(1, 2, 3):
        await lists.put(info.slug, one, viewer=viewer(ANNA))
    return info.slug


def size_of_log(path: Path) -> int:
    return path.with_name(f"{path.name}-wal").stat().st_size


# --- filled by providers --------------------------------------------------------------------------


async def test_a_built_in_list_holds_what_its_provider_says_in_that_order(lists, clock):
    assert await lists.replace(POPULAR, [movie(3), show(4), movie(1)])
    found = await lists.get(POPULAR.slug, BEN)
    assert found.ids == (movie(3), show(4), movie(1))
    assert (found.info.title, found.info.kind, found.info.provider) == (
        "Popular movies",
        "movie",
        "tmdb",
    )
    assert (found.info.count, found.info.refreshed_at) == (3, clock())
    assert found.info.owner is None


async def test_what_comes_twice_and_what_is_no_title_of_a_list_is_left_out(lists):
    await lists.replace(POPULAR, [movie(1), movie(2), movie(1), episode(3)])
    assert await ids(lists, POPULAR.slug) == movies(1, 2)


async def test_a_provider_cannot_fill_a_list_without_end(lists):
    await lists.replace(POPULAR, movies(*range(1, MOST_ITEMS + 100)))
    assert (await lists.get(POPULAR.slug, ANNA)).info.count == MOST_ITEMS


async def test_a_list_with_nothing_in_it_is_a_list(lists):
    await lists.replace(POPULAR, movies(1))
    assert await lists.replace(POPULAR, [])
    assert await ids(lists, POPULAR.slug) == ()


async def test_what_is_as_before_is_no_news_and_is_not_written(lists, clock, told, path):
    await lists.replace(POPULAR, movies(1, 2))
    told.clear()
    before = size_of_log(path)
    clock.pass_by(hours=5)
    assert not await lists.replace(POPULAR, movies(1, 2))
    assert (size_of_log(path), told) == (before, [])


async def test_when_a_list_was_refreshed_is_known_to_six_hours(lists, clock):
    await lists.replace(POPULAR, movies(1, 2))
    for _ in range(30):
        clock.pass_by(hours=1)
        await lists.replace(POPULAR, movies(1, 2))
        refreshed_at = (await lists.get(POPULAR.slug, ANNA)).info.refreshed_at
        assert refreshed_at is not None
        assert clock() - refreshed_at < timedelta(hours=6)


async def test_a_clock_that_was_set_back_does_not_hold_the_stamp_in_the_future(lists, clock):
    clock.pass_by(days=3000)
    await lists.replace(POPULAR, movies(1))
    clock.pass_by(days=-3000)
    await lists.replace(POPULAR, movies(1))
    assert (await lists.get(POPULAR.slug, ANNA)).info.refreshed_at == clock()


@pytest.mark.parametrize("now", [(2, 1), (1,), (1, 2, 3)])
async def test_another_order_or_content_is_news(lists, told, now):
    await lists.replace(POPULAR, movies(1, 2))
    told.clear()
    assert await lists.replace(POPULAR, movies(*now))
    assert told == ["list:tmdb-movies-popular"]
    assert await ids(lists, POPULAR.slug) == movies(*now)


async def test_lists_that_a_provider_has_given_up_go(lists, told):
    await lists.replace(POPULAR, movies(1))
    await lists.replace(SILENT, movies(2))
    told.clear()
    await lists.retain("tmdb", [])
    await lists.retain("archive", [SILENT.slug])
    assert await names(lists, ANNA) == ["Silent films"]
    assert told == ["list:tmdb-movies-popular"]


async def test_nobody_changes_a_built_in_list(lists):
    await lists.replace(POPULAR, movies(1))
    for asks in (viewer(ANNA), viewer(BEN, Role.ADMIN)):
        with pytest.raises(BuiltInListError):
            await lists.put(POPULAR.slug, movie(2), viewer=asks)
        with pytest.raises(BuiltInListError):
            await lists.remove(POPULAR.slug, movie(1), viewer=asks)
        with pytest.raises(BuiltInListError):
            await lists.change(POPULAR.slug, viewer=asks, title="Mine")
        with pytest.raises(BuiltInListError):
            await lists.delete(POPULAR.slug, viewer=asks)
    assert await ids(lists, POPULAR.slug) == movies(1)


# --- kept at Trakt --------------------------------------------------------------------------------

WATCHLIST = ListSlug("trakt-watchlist")


async def test_what_somebody_keeps_elsewhere_is_seen_by_them_alone(lists):
    await lists.replace_for(ANNA, slug=WATCHLIST, title="Watchlist", ids=movies(1))
    await lists.replace_for(BEN, slug=WATCHLIST, title="Watchlist", ids=movies(2))
    assert await ids(lists, WATCHLIST, ANNA) == movies(1)
    assert await ids(lists, WATCHLIST, BEN) == movies(2)
    with pytest.raises(NoListError):
        await lists.get(WATCHLIST, UserId("carl"))
    with pytest.raises(BuiltInListError):
        await lists.change(WATCHLIST, viewer=viewer(ANNA), shared=True)


async def test_what_somebody_does_not_keep_elsewhere_any_more_goes(lists, mine):
    for slug in ("trakt-a", "trakt-b"):
        await lists.replace_for(ANNA, slug=ListSlug(slug), title=slug, ids=[])
    await lists.replace_for(BEN, slug=ListSlug("trakt-a"), title="of Ben", ids=[])
    await lists.retain_for(ANNA, [ListSlug("trakt-b")])
    assert await names(lists, ANNA) == ["Rainy days", "trakt-b"]
    assert await names(lists, BEN) == ["of Ben"]


async def test_what_is_kept_elsewhere_may_have_any_title(lists):
    await lists.replace_for(ANNA, slug=WATCHLIST, title="\x00\u202e" + "x" * 10_000, ids=[])
    await lists.replace_for(ANNA, slug=ListSlug("trakt-b"), title="\u200d \n", ids=[])
    assert set(await names(lists, ANNA)) == {"x" * 100, "Trakt"}


# --- made by people -------------------------------------------------------------------------------


async def test_a_list_of_one_s_own_grows_at_its_end(lists, mine):
    assert mine.startswith("own-")
    found = await lists.get(mine, ANNA)
    assert (found.info.title, found.ids, found.info.count) == ("Rainy days", movies(1, 2, 3), 3)


async def test_a_title_is_put_where_it_is_wanted(lists, mine):
    await lists.put(mine, movie(4), viewer=viewer(ANNA), position=0)
    await lists.put(mine, movie(5), viewer=viewer(ANNA), position=99)
    assert await ids(lists, mine) == movies(4, 1, 2, 3, 5)


async def test_a_title_is_in_a_list_once_and_moves_only_when_told_to(lists, mine, told):
    told.clear()
    await lists.put(mine, movie(1), viewer=viewer(ANNA))
    assert (await ids(lists, mine), told) == (movies(1, 2, 3), [])
    await lists.put(mine, movie(1), viewer=viewer(ANNA), position=2)
    assert (await ids(lists, mine), told) == (movies(2, 3, 1), [f"list:{mine}:{ANNA}"])


async def test_a_title_is_taken_out_once_and_again(lists, mine):
    for _ in range(2):
        await lists.remove(mine, movie(2), viewer=viewer(ANNA))
    assert await ids(lists, mine) == movies(1, 3)


async def test_a_movie_is_no_show_of_the_same_number(lists, mine):
    await lists.put(mine, show(1), viewer=viewer(ANNA))
    await lists.remove(mine, movie(1), viewer=viewer(ANNA))
    assert await ids(lists, mine) == (movie(2), movie(3), show(1))


async def test_an_episode_is_in_no_list(lists, mine):
    with pytest.raises(BadListError):
        await lists.put(mine, episode(1), viewer=viewer(ANNA))


async def test_a_list_is_put_in_order_as_far_as_somebody_says(lists, mine):
    await lists.change(mine, viewer=viewer(ANNA), order=movies(3, 3, 1))
    assert await ids(lists, mine) == movies(3, 1, 2)


async def test_a_change_is_made_whole_or_not_at_all(lists, mine):
    with pytest.raises(BadListError):
        await lists.change(mine, viewer=viewer(ANNA), title="Other", order=movies(3, 9))
    found = await lists.get(mine, ANNA)
    assert (found.info.title, found.ids) == ("Rainy days", movies(1, 2, 3))


async def test_a_list_that_is_gone_is_gone(lists, mine, told):
    told.clear()
    await lists.delete(mine, viewer=viewer(ANNA))
    assert told == [f"list:{mine}:{ANNA}"]
    for again in (lists.get(mine, ANNA), lists.delete(mine, viewer=viewer(ANNA))):
        with pytest.raises(NoListError):
            await again


async def test_one_has_two_hundred_lists_and_as_many_as_one_likes_elsewhere(lists):
    await lists.replace_for(ANNA, slug=WATCHLIST, title="Watchlist", ids=[])
    info = await lists.create(ANNA, title="List 1")
    for number in range(2, MOST_LISTS + 1):
        await lists.create(ANNA, title=f"List {number}")
    with pytest.raises(TooManyListsError):
        await lists.create(ANNA, title="One more")
    await lists.create(BEN, title="Another's")
    await lists.delete(info.slug, viewer=viewer(ANNA))
    await lists.create(ANNA, title="One more")


async def test_a_list_has_room_for_five_thousand():
    full = movies(*range(MOST_ITEMS))
    with pytest.raises(ListFullError):
        list_model.placed(full, movie(MOST_ITEMS), position=0)
    assert list_model.placed(full, movie(7), position=0)[:3] == movies(7, 0, 1)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("  Rainy \n\t days ", "Rainy days"),
        ("\u202eseirots\u202c", "seirots"),
        ("null\x00byte", "nullbyte"),
        ("half \ud800 a letter", "half a letter"),
        ("Cafe\u0301", "Café"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("x" * 100, "x" * 100),
    ],
)
def test_a_title_is_what_can_be_seen_of_it(text, title):
    assert checked_title(text) == title
    assert foreign_title(text, otherwise="") == title


@pytest.mark.parametrize(
    "text", ["", "   ", "\x00\x1b", "\u200b\u2060", "\u200d", "\u0301", "x" * 101]
)
def test_what_cannot_be_seen_or_is_too_long_is_no_title(text):
    with pytest.raises(BadListError):
        checked_title(text)


# --- seen by others -------------------------------------------------------------------------------


async def test_a_list_is_its_owner_s_until_it_is_shared(lists, mine):
    with pytest.raises(NoListError):
        await lists.get(mine, BEN)
    with pytest.raises(NoListError):
        await lists.delete(mine, viewer=viewer(BEN, Role.ADMIN))
    await lists.change(mine, viewer=viewer(ANNA), shared=True)
    assert await ids(lists, mine, BEN) == movies(1, 2, 3)
    await lists.change(mine, viewer=viewer(ANNA), shared=False)
    assert await names(lists, BEN) == []


async def test_what_is_shared_is_changed_by_its_owner_and_by_administrators(lists, mine):
    await lists.change(mine, viewer=viewer(ANNA), shared=True)
    with pytest.raises(NotYourListError):
        await lists.put(mine, movie(9), viewer=viewer(BEN))
    with pytest.raises(NotYourListError):
        await lists.change(mine, viewer=viewer(BEN), title="Ben's now")
    with pytest.raises(NotYourListError):
        await lists.delete(mine, viewer=viewer(BEN))
    await lists.put(mine, movie(9), viewer=viewer(BEN, Role.ADMIN))
    assert await ids(lists, mine) == movies(1, 2, 3, 9)


async def test_the_machine_s_own_administrator_has_no_lists(lists, mine):
    await lists.change(mine, viewer=viewer(ANNA), shared=True)
    with pytest.raises(NoListError):
        await lists.delete(mine, viewer=viewer(None, Role.ADMIN))


async def test_lists_stand_in_an_order_that_stays(lists, clock):
    built_in: list[tuple[str, ListKind, ProviderName]] = [
        ("archive-silent", "movie", "archive"),
        ("tmdb-shows-top-rated", "show", "tmdb"),
        ("tmdb-shows-popular", "show", "tmdb"),
        ("tmdb-movies-popular", "movie", "tmdb"),
        ("trakt-movies-trending", "movie", "trakt"),
        ("tmdb-trending", "mixed", "tmdb"),
    ]
    for slug, kind, provider in built_in:
        await lists.replace(
            ListSpec(slug=ListSlug(slug), title=slug, kind=kind, provider=provider), []
        )
    shared = await lists.create(BEN, title="shared by Ben", shared=True)
    for title in ("own, first", "own, second"):
        clock.pass_by(seconds=1)
        await lists.create(ANNA, title=title)
    expected = [
        "tmdb-trending",
        "tmdb-movies-popular",
        "tmdb-shows-popular",
        "tmdb-shows-top-rated",
        "trakt-movies-trending",
        "archive-silent",
        "own, first",
        "own, second",
        "shared by Ben",
    ]
    assert await names(lists, ANNA) == expected
    assert [one.info.title for one in await lists.beginnings(ANNA, 1)] == expected
    assert shared.shared


async def test_the_beginnings_of_lists_come_in_one_go(lists, mine):
    await lists.replace(POPULAR, movies(*range(10**14, 10**14 + 50)))
    await lists.replace(SILENT, [])
    found = {one.info.title: (one.ids, one.info.count) for one in await lists.beginnings(ANNA, 2)}
    assert found == {
        "Popular movies": (movies(10**14, 10**14 + 1), 50),
        "Silent films": ((), 0),
        "Rainy days": (movies(1, 2), 3),
    }


# --- kept -----------------------------------------------------------------------------------------


async def test_who_is_gone_leaves_no_lists(lists, mine, told, path):
    await lists.change(mine, viewer=viewer(ANNA), shared=True)
    await lists.replace_for(ANNA, slug=WATCHLIST, title="Watchlist", ids=movies(1))
    await lists.create(BEN, title="Ben's")
    told.clear()
    await lists.forget_user(ANNA)
    assert await names(lists, BEN) == ["Ben's"]
    assert sorted(told) == sorted([f"list:{mine}", "list:trakt-watchlist"])
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM lists WHERE owner = 'anna'").fetchone() == (
            0,
        )


async def test_lists_survive_a_restart(path, clock):
    async with Database.open(path) as database:
        lists = Lists(store=ListStore(database=database), clock=clock, changed=lambda _: None)
        await lists.replace(POPULAR, [movie(2), show(1)])
        before = await lists.get(POPULAR.slug, ANNA)
    async with Database.open(path) as database:
        lists = Lists(store=ListStore(database=database), clock=clock, changed=lambda _: None)
        assert await lists.get(POPULAR.slug, ANNA) == before
