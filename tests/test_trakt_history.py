"""What somebody has seen elsewhere is seen here, and nothing that was done here is undone by it."""

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from miauflixd.catalogue.library import Library
from miauflixd.catalogue.model import Kind, OutsideIds, TitleId
from miauflixd.catalogue.providers.provider import ProviderUnavailableError
from miauflixd.catalogue.providers.trakt_history_shapes import paused, seen_movies, seen_shows
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.catalogue.trakt_model import StoredLink, Tokens
from miauflixd.catalogue.trakt_store import TraktStore
from miauflixd.catalogue.watching import State
from miauflixd.database.database import Database
from miauflixd.egress.clients import host_client
from miauflixd.jobs.catalogue import CatalogueWork, catalogue_work
from miauflixd.jobs.job import Job, Run
from miauflixd.jobs.queue import WorkQueue
from miauflixd.jobs.task_store import TaskStore
from miauflixd.runtime.priority import Priority
from miauflixd.runtime.secrets import Secret
from miauflixd.vault.sealing import Sealer
from tests import tmdb_fake, trakt_fake
from tests.auth_house import EPOCH, Clock
from tests.tmdb_fake import FIRST, FakeTmdb
from tests.trakt_fake import CLIENT_ID, CLIENT_SECRET, FakeTrakt
from tests.trakt_house import ANNA, BEN, MASTER_KEY

DAY = timedelta(days=1)
WATCHED = "2026-02-28T20:00:00.000Z"
SEEN_AT = datetime(2026, 2, 28, 20, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def film(number: int, **fields: Any) -> dict[str, Any]:
    ids = {"trakt": number, "tmdb": number}
    movie = {"title": f"Film {number}", "year": 2000, "ids": ids, "runtime": 100}
    return {"plays": 1, "last_watched_at": WATCHED, "movie": movie} | fields


def series(number: int, seen: dict[int, list[int]], **fields: Any) -> dict[str, Any]:
    ids = {"trakt": number, "tmdb": number}
    seasons = [
        {
            "number": season,
            "episodes": [
                {"number": one, "plays": 1, "last_watched_at": WATCHED} for one in episodes
            ],
        }
        for season, episodes in seen.items()
    ]
    show = {"title": f"Series {number}", "year": 2010, "ids": ids}
    return {"plays": 1, "last_watched_at": WATCHED, "show": show, "seasons": seasons} | fields


@dataclass(kw_only=True)
class House:
    library: Library
    work: CatalogueWork
    database: Database
    clock: Clock
    cursor: bytes | None = None

    async def sync(self) -> str | None:
        """Do what is done every hour, and leave what it leaves for the next time."""
        (job,) = [one for one in self.work.jobs if one.name == "sync_trakt"]
        assert isinstance(job, Job)
        run = Run(task="sync_trakt", cursor=self.cursor, store=TaskStore(database=self.database))
        try:
            return await job.run(run)
        finally:
            self.cursor = run.cursor

    async def learn(self, show: TitleId) -> None:
        """Learn all about a show, as the queues would."""
        for number in await self.library.syncing.details(show, priority=Priority.ROUTINE):
            await self.library.syncing.season(show, number, priority=Priority.ROUTINE)

    async def is_wanted(self, title: TitleId) -> bool:
        name = "movies" if title.kind is Kind.MOVIE else "shows"
        queue = await WorkQueue.open(name, database=self.database, clock=self.clock)
        return await queue.contains(str(title))

    async def title(self, kind: Kind, number: int) -> TitleId:
        found = await self.library.titles.find(OutsideIds(tmdb=number), kind)
        assert found is not None
        return found

    async def seen(self, user_id=ANNA) -> list[str]:
        page = await self.library.watching.page(user_id, state="watched", limit=200)
        return sorted(str(one.title_id) for one in page.items)


@pytest.fixture
def fake():
    fake = FakeTrakt()
    fake.access = {"access-0"}
    fake.activities = {
        "movies": {"watched_at": stamp(EPOCH - DAY), "paused_at": stamp(EPOCH - DAY)},
        "episodes": {"watched_at": stamp(EPOCH - DAY), "paused_at": None},
    }
    return fake


@pytest.fixture
def tmdb():
    return FakeTmdb(movies=20, shows=5, seasons=2, episodes=3, rate=None)


@asynccontextmanager
async def open_house(folder, fake, tmdb, *, token: str | None = tmdb_fake.TOKEN, users=(ANNA,)):
    clock = Clock()
    async with (
        trakt_fake.serving(fake) as trakt_url,
        tmdb_fake.serving(tmdb) as tmdb_url,
        host_client() as http,
        Database.open(folder / "house.sqlite3") as database,
    ):
        sealer = Sealer(MASTER_KEY)
        store = TraktStore(database=database, sealer=sealer)
        for number, user_id in enumerate(users):
            tokens = Tokens(
                access=Secret(f"access-{number}"),
                refresh=Secret(f"refresh of {user_id}"),
                got_at=EPOCH,
                expires_at=EPOCH + DAY,
            )
            await store.save(StoredLink(user_id=user_id, tokens=tokens, since=EPOCH))
        settings = CatalogueSettings(
            trakt_url=trakt_url,
            trakt_client_id=Secret(CLIENT_ID),
            trakt_client_secret=Secret(CLIENT_SECRET),
            tmdb_url=tmdb_url,
            tmdb_token=None if token is None else Secret(token),
            archive=False,
        )
        async with Library.open(
            settings=settings,
            database=database,
            sealer=sealer,
            http=http,
            artwork=folder / "artwork",
            clock=clock,
        ) as library:
            work = await catalogue_work(library=library, database=database, clock=clock)
            yield House(library=library, work=work, database=database, clock=clock)


@pytest.fixture
async def house(tmp_path, fake, tmdb):
    async with open_house(tmp_path, fake, tmdb) as house:
        yield house


def asked(fake: FakeTrakt) -> list[str]:
    """Return what was asked of the history since the last time."""
    found = [path.removeprefix("GET /sync/") for path in fake.asked if "/sync/" in path]
    fake.asked.clear()
    return found


async def test_movies_that_were_seen_elsewhere_are_seen_here_and_learnt_about(house, fake):
    fake.seen["movies"] = [film(FIRST + n) for n in range(3)]

    assert await house.sync() == "1 of 1 accounts"

    ids = [await house.title(Kind.MOVIE, FIRST + n) for n in range(3)]
    assert await house.seen() == sorted(map(str, ids))
    known = await house.library.watching.progress(ANNA, ids)
    assert {one.updated_at for one in known.values()} == {SEEN_AT}
    assert [await house.is_wanted(one) for one in ids] == [True, True, True]
    assert await house.seen(BEN) == []


async def test_a_history_of_several_pages_is_read_whole(house, fake):
    fake.seen["movies"] = [film(10_000 + n) for n in range(230)]
    await house.sync()
    page = await house.library.watching.page(ANNA, state="watched", limit=1)
    assert page.total == 230


async def test_nothing_but_one_small_question_is_asked_while_nothing_changes(house, fake):
    fake.seen["movies"] = [film(FIRST)]
    await house.sync()
    assert asked(fake) == ["last_activities", "watched/movies", "watched/shows", "playback"]

    await house.sync()
    assert asked(fake) == ["last_activities"]

    fake.activities["movies"]["watched_at"] = stamp(EPOCH)
    fake.seen["movies"].append(film(FIRST + 1))
    await house.sync()
    assert asked(fake) == ["last_activities", "watched/movies"]
    assert len(await house.seen()) == 2


async def test_episodes_are_remembered_once_they_are_known_here(house, fake):
    fake.seen["shows"] = [series(FIRST, {1: [1, 2], 2: [1]})]

    await house.sync()

    show = await house.title(Kind.SHOW, FIRST)
    assert await house.seen() == []
    assert await house.is_wanted(show)
    await house.learn(show)
    await house.sync()
    steps = {(one.season, one.number): one.id for one in await house.library.titles.outline(show)}
    wanted = [steps[place] for place in ((1, 1), (1, 2), (2, 1))]
    assert await house.seen() == sorted(map(str, wanted))
    assert await house.library.watching.next_up(ANNA, 5) == [steps[2, 2]]
    asked(fake)
    await house.sync()
    assert asked(fake) == ["last_activities"]


async def test_episodes_that_nobody_ever_tells_of_are_given_up_after_a_day(house, fake):
    fake.seen["shows"] = [series(FIRST, {1: [1], 99: [1]})]
    await house.sync()
    show = await house.title(Kind.SHOW, FIRST)
    await house.learn(show)
    for _ in range(23):
        await house.sync()
    asked(fake)
    await house.sync()
    assert asked(fake) == ["last_activities"]
    assert len(await house.seen()) == 1


async def test_without_anybody_who_knows_episodes_a_show_is_waited_for_as_long_as_it_takes(
    tmp_path, fake, tmdb
):
    fake.seen["shows"] = [series(FIRST, {1: [1]})]
    async with open_house(tmp_path, fake, tmdb, token=None) as house:
        for _ in range(30):
            await house.sync()
        cursor = house.cursor
    fake.access = {"access-0"}
    async with open_house(tmp_path, fake, tmdb) as house:
        house.cursor = cursor
        await house.sync()
        await house.learn(await house.title(Kind.SHOW, FIRST))
        await house.sync()
        assert len(await house.seen()) == 1


async def test_what_was_begun_elsewhere_can_be_gone_on_with_here(house, fake):
    known = film(FIRST)["movie"]
    fake.paused = [{"progress": 40, "paused_at": WATCHED, "type": "movie", "movie": known}]

    await house.sync()

    (begun,) = await house.library.watching.continue_watching(ANNA, 5)
    assert begun.title_id == await house.title(Kind.MOVIE, FIRST)
    assert (begun.position, begun.duration, begun.updated_at) == (2400, 6000, SEEN_AT)
    assert await house.is_wanted(begun.title_id)


async def test_what_was_done_here_since_stays(house, fake):
    fake.seen["movies"] = [film(FIRST)]
    await house.sync()
    title = await house.title(Kind.MOVIE, FIRST)
    await house.library.watching.note(ANNA, title, position=3000, duration=5900, state=State.PAUSED)
    known = film(FIRST)["movie"]
    fake.paused = [{"progress": 20, "paused_at": WATCHED, "type": "movie", "movie": known}]
    fake.activities["movies"]["paused_at"] = stamp(EPOCH)

    await house.sync()

    (begun,) = await house.library.watching.continue_watching(ANNA, 5)
    assert (begun.position, begun.duration) == (3000, 5900)


async def test_our_own_word_that_comes_back_moves_nobody(house, fake):
    fake.seen["movies"] = [film(FIRST)]
    await house.sync()
    title = await house.title(Kind.MOVIE, FIRST)
    watching = house.library.watching
    await watching.note(ANNA, title, position=3000, duration=5900, state=State.PAUSED)
    known = film(FIRST)["movie"]
    back = {"progress": 50.85, "paused_at": stamp(EPOCH + timedelta(minutes=20)), "type": "movie"}
    fake.paused = [back | {"movie": known}]
    fake.activities["movies"]["paused_at"] = stamp(EPOCH + timedelta(minutes=20))
    house.clock.pass_by(hours=1)

    await house.sync()

    (begun,) = await watching.continue_watching(ANNA, 5)
    assert (begun.position, begun.duration, begun.updated_at) == (3000, 5900, EPOCH)


async def test_what_is_forgotten_here_does_not_come_back_with_the_next_film(house, fake):
    old = {"last_updated_at": stamp(EPOCH - 9 * DAY)}
    fake.seen["movies"] = [film(FIRST, **old)]
    await house.sync()
    await house.library.watching.forget(ANNA, await house.title(Kind.MOVIE, FIRST))
    fake.seen["movies"].append(film(FIRST + 1, last_updated_at=stamp(EPOCH)))
    fake.activities["movies"]["watched_at"] = stamp(EPOCH)

    await house.sync()

    assert await house.seen() == [str(await house.title(Kind.MOVIE, FIRST + 1))]


async def test_one_whose_account_is_refused_is_no_trouble_of_another(tmp_path, fake, tmdb):
    fake.seen["movies"] = [film(FIRST)]
    async with open_house(tmp_path, fake, tmdb, users=(ANNA, BEN)) as house:
        assert await house.sync() == "1 of 2 accounts"
        assert len(await house.seen()) == 1
        assert house.library.trakt.state(BEN).state == "broken"


async def test_who_links_again_after_a_while_has_all_of_it_taken_over_again(house, fake):
    fake.seen["movies"] = [film(FIRST)]
    await house.sync()
    await house.library.trakt.unlink(ANNA)
    await house.library.watching.forget_user(ANNA)
    assert await house.sync() is None
    assert house.cursor == b"{}"


async def test_a_trakt_that_is_away_fails_the_run_and_loses_nothing(house, fake):
    fake.seen["movies"] = [film(FIRST)]
    fake.answers["/sync/watched/movies"] = [503]
    with pytest.raises(ProviderUnavailableError):
        await house.sync()
    await house.sync()
    assert len(await house.seen()) == 1


async def test_lists_and_history_do_not_fail_together(house, fake):
    fake.seen["movies"] = [film(FIRST)]
    fake.answers["/users/me/watchlist"] = [503]
    with pytest.raises(ProviderUnavailableError):
        await house.sync()
    assert len(await house.seen()) == 1


async def test_titles_of_somebody_s_lists_are_learnt_about(house, fake):
    fake.watchlist = [{"type": "movie", **film(FIRST)}]
    await house.sync()
    assert await house.is_wanted(await house.title(Kind.MOVIE, FIRST))


# --- strange answers ------------------------------------------------------------------------------


STRANGE: list[Any] = [
    None,
    7,
    [],
    {},
    {"last_watched_at": WATCHED},
    {"last_watched_at": WATCHED, "movie": [], "show": "x"},
    film(FIRST, last_watched_at=None),
    film(FIRST, last_watched_at="yesterday"),
    film(FIRST, last_watched_at="0001-01-01T00:00:00+14:00"),
    film(FIRST, last_watched_at="2026-02-28T20:00:00"),
    film(FIRST, movie={"title": "No ids", "ids": None}),
    series(FIRST, {}, seasons=None),
    series(FIRST, {}, seasons=[None, 7, {"number": "x"}, {"number": 1, "episodes": 3}]),
    series(FIRST, {}, seasons=[{"number": 1, "episodes": [None, {"number": -1}]}]),
    series(FIRST, {10**30: [1]}),
]


@pytest.mark.parametrize("strange", STRANGE, ids=range(len(STRANGE)))
def test_what_makes_no_sense_is_left_out_and_spoils_nothing_else(strange):
    raws = [msgspec.Raw(one) for one in (json.dumps(strange).encode(), b'"\xff', b"[" * 2000)]
    assert seen_movies(raws, since=None, now=EPOCH) == []
    assert seen_shows(raws, since=None, now=EPOCH) == []
    assert paused(raws, now=EPOCH) == []


def test_what_was_seen_in_the_future_was_seen_now():
    raw = msgspec.Raw(msgspec.json.encode(film(FIRST, last_watched_at="9999-12-31T23:59:59-12:00")))
    (movie,) = seen_movies([raw], since=EPOCH, now=EPOCH)
    assert movie.at == EPOCH


@pytest.mark.parametrize(
    "fields",
    [
        {"progress": 101},
        {"progress": "NaN"},
        {"paused_at": 3},
        {"type": "episode"},
        {"type": "episode", "episode": {"season": 1}, "show": film(FIRST)["movie"]},
        {"movie": film(FIRST)["movie"] | {"runtime": 0}},
        {"movie": film(FIRST)["movie"] | {"runtime": None}},
    ],
)
def test_a_pause_of_which_not_all_is_said_is_none(fields):
    sound = {"progress": 40, "paused_at": WATCHED, "type": "movie", "movie": film(FIRST)["movie"]}
    assert len(paused([msgspec.Raw(msgspec.json.encode(sound))], now=EPOCH)) == 1
    assert paused([msgspec.Raw(msgspec.json.encode(sound | fields))], now=EPOCH) == []


@pytest.mark.parametrize("activities", [{}, {"movies": {"watched_at": 7}}, {"episodes": {}}])
async def test_activities_that_say_nothing_are_no_reason_to_read_anything(house, fake, activities):
    fake.activities = activities
    await house.sync()
    assert asked(fake) == ["last_activities"]
