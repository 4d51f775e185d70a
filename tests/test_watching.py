"""What counts as begun or seen, what comes next, and what is kept of it."""

import asyncio
import math
import sqlite3
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miauflixd.auth.model import UserId
from miauflixd.catalogue import watched
from miauflixd.catalogue.model import Kind, NoTitleError, TitleId
from miauflixd.catalogue.watched import Watching
from miauflixd.catalogue.watching import (
    BadProgressError,
    Record,
    State,
    Step,
    advanced,
    marked,
    next_step,
    report,
    turn,
)
from miauflixd.catalogue.watching_store import WatchingStore
from miauflixd.database.database import Database
from miauflixd.errors import InvalidInputError, StorageFullError
from miauflixd.runtime.services import running
from tests.auth_house import EPOCH, Clock
from tests.catalogue_fakes import FakeCatalogue, episode, movie, show

ANNA, BEN = UserId("anna"), UserId("ben")
PLAYING, PAUSED, ENDED = State.PLAYING, State.PAUSED, State.ENDED
FILM = movie(1)
HOUR = 3600.0
TODAY = EPOCH.date()
AGO = TODAY - timedelta(days=30)


def after(
    position: float,
    *,
    duration: float = HOUR,
    state: State = PLAYING,
    before: Record | None = None,
    at: datetime = EPOCH,
) -> Record | None:
    said = report(position=position, duration=duration, state=state)
    return advanced(before, said, title_id=FILM, show=None, at=at)


def seen(at: datetime = EPOCH) -> Record:
    return marked(None, title_id=FILM, show=None, at=at)


# --- begun and seen: rules ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "duration", "state", "expected"),
    [
        (0, HOUR, PLAYING, "nothing"),
        (179.9, HOUR, PLAYING, "nothing"),
        (180, HOUR, PLAYING, "started"),
        (180, HOUR, ENDED, "started"),
        (3240, HOUR, PAUSED, "started"),
        (3240.1, HOUR, PLAYING, "watched"),
        (3600, HOUR, PLAYING, "watched"),
        (3600, HOUR, ENDED, "watched"),
        (2880, HOUR, ENDED, "started"),
        (2881, HOUR, ENDED, "watched"),
        (2881, HOUR, PAUSED, "started"),
        (4000, HOUR, PLAYING, "watched"),
        (1e300, HOUR, PLAYING, "watched"),
        (150, 299, PLAYING, "nothing"),
        (280, 299, PLAYING, "watched"),
        (150, 300, PLAYING, "started"),
        (1, 1, ENDED, "watched"),
        (5e-324, 5e-324, PLAYING, "watched"),
        (5e6, 1e7, PLAYING, "started"),
    ],
)
def test_when_something_counts_as_begun_and_as_seen(position, duration, state, expected):
    record = after(position, duration=duration, state=state)
    match expected:
        case "nothing":
            assert record is None
        case "started":
            assert record is not None
            assert (record.position, record.progress.watched) == (position, False)
        case _:
            assert record is not None
            assert (record.position, record.progress.watched, record.plays) == (0, True, 1)


@pytest.mark.parametrize(
    ("position", "duration"),
    [
        (math.nan, HOUR),
        (math.inf, HOUR),
        (-1, HOUR),
        (-math.inf, HOUR),
        (1, 0),
        (0, 0),
        (1, -1),
        (1, math.nan),
        (1, math.inf),
        (1, 1.1e7),
    ],
)
def test_what_cannot_be_is_refused(position, duration):
    with pytest.raises(BadProgressError):
        report(position=position, duration=duration, state=PLAYING)


def test_going_back_to_the_beginning_forgets_what_was_begun():
    assert after(10, before=after(1000)) is None


def test_what_was_seen_stays_seen_when_it_is_begun_again():
    again = after(1000, before=seen(), at=EPOCH + timedelta(days=1))
    assert again is not None
    assert (again.position, again.watched_at, again.plays) == (1000, EPOCH, 1)
    forgotten = after(10, before=again)
    assert forgotten is not None
    assert (forgotten.position, forgotten.watched_at) == (0, EPOCH)


def test_seen_to_the_end_once_more_is_counted():
    again = after(1000, before=seen(), at=EPOCH + timedelta(days=1))
    twice = after(3500, before=again, at=EPOCH + timedelta(days=1, hours=1))
    assert twice is not None
    assert (twice.plays, twice.watched_at) == (2, EPOCH + timedelta(days=1, hours=1))


def test_a_look_back_from_the_credits_is_no_second_time():
    record = after(3500, before=after(1000))
    for minute, position in enumerate((3550, 3000, 3500, 3600)):
        record = after(position, before=record, at=EPOCH + timedelta(minutes=minute))
    assert record is not None
    assert (record.plays, record.position, record.watched_at) == (1, 0, EPOCH)


def test_a_report_that_says_nothing_new_changes_nothing():
    paused = after(1000, state=PAUSED)
    assert after(1000, state=PAUSED, before=paused, at=EPOCH + timedelta(hours=1)) is paused
    credits_roll = after(3500)
    assert after(3550, before=credits_roll, at=EPOCH + timedelta(minutes=1)) is credits_roll


def test_what_was_seen_elsewhere_before_does_not_undo_what_was_begun_since():
    begun = after(1000, at=EPOCH)
    assert begun is not None
    marked_late = marked(begun, title_id=FILM, show=None, at=EPOCH - timedelta(days=1))
    assert (marked_late.position, marked_late.progress.watched) == (1000, True)
    assert marked_late.updated_at == EPOCH
    now = marked(begun, title_id=FILM, show=None, at=EPOCH + timedelta(days=1))
    assert (now.position, now.plays) == (0, 1)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (None, PLAYING, "started"),
        (PLAYING, PLAYING, None),
        (PLAYING, PAUSED, "paused"),
        (PAUSED, PAUSED, None),
        (PAUSED, PLAYING, "started"),
        (PLAYING, ENDED, "stopped"),
        (ENDED, ENDED, None),
        (ENDED, PLAYING, "started"),
        (None, ENDED, "stopped"),
    ],
)
def test_what_a_player_has_begun_to_do(before, now, expected):
    assert turn(before, now) == expected


REPORTS = st.tuples(
    st.floats(0, 1.5e7), st.floats(1e-3, 1e7), st.sampled_from(State), st.integers(-10, 10**6)
)


@settings(derandomize=True)
@given(st.lists(REPORTS, max_size=30))
def test_whatever_players_say_what_is_kept_makes_sense(reports):
    record: Record | None = None
    plays = 0
    for position, duration, state, seconds in reports:
        record = after(
            position,
            duration=duration,
            state=state,
            before=record,
            at=EPOCH + timedelta(seconds=seconds),
        )
        if record is None:
            assert plays == 0, "what was seen stays so"
            continue
        assert 0 <= record.position <= record.duration * 0.9 + 1e-6
        assert record.plays in {plays, plays + 1}
        assert (record.watched_at is not None) == (record.plays > 0)
        assert record.position > 0 or record.watched_at is not None, "nothing worth keeping"
        plays = record.plays


# --- what comes next: rules -----------------------------------------------------------------------


def outline(**seasons: str) -> list[Step]:
    """Return an outline: a season's letters are episodes, `+` aired, `-` to come, `?` unknown."""
    aired = {"+": AGO, "-": TODAY + timedelta(days=1), "?": None, "=": TODAY}
    return [
        Step(
            season=int(name[1:]),
            number=number,
            id=episode(int(name[1:]) * 100 + number),
            aired=aired[letter],
        )
        for name, letters in seasons.items()
        for number, letter in enumerate(letters, start=1)
    ]


@pytest.mark.parametrize(
    ("steps", "watched_ones", "expected"),
    [
        ({"s1": "+++"}, (), None),
        ({"s1": "+++"}, (101,), 102),
        ({"s1": "+++"}, (102,), 103),
        ({"s1": "+++"}, (103,), None),
        ({"s1": "++", "s2": "++"}, (102,), 201),
        ({"s1": "++", "s2": "++"}, (201, 101), 202),
        ({"s1": "++-"}, (102,), None),
        ({"s1": "++="}, (102,), 103),
        ({"s1": "++?+"}, (102,), 104),
        ({"s0": "++", "s1": "++"}, (1,), None),
        ({"s0": "++", "s1": "++"}, (1, 101), 102),
        ({"s1": "++", "s0": "++"}, (102,), None),
        ({"s1": "+"}, (999,), None),
        ({}, (101,), None),
        ({"s2": "++", "s1": "++"}, (102,), 201),
    ],
)
def test_which_episode_comes_next(steps, watched_ones, expected):
    found = next_step(outline(**steps), {episode(one) for one in watched_ones}, today=TODAY)
    assert found == (
        None
        if expected is None
        else next(step for step in outline(**steps) if step.id == episode(expected))
    )


STEPS = st.lists(
    st.builds(
        Step,
        season=st.integers(0, 3),
        number=st.integers(0, 6),
        id=st.builds(episode, st.integers(1, 40)),
        aired=st.none() | st.dates(TODAY - timedelta(days=3), TODAY + timedelta(days=3)),
    ),
    unique_by=(lambda step: (step.season, step.number), lambda step: step.id),
    max_size=20,
)


@settings(derandomize=True)
@given(STEPS, st.sets(st.builds(episode, st.integers(1, 40))))
def test_what_comes_next_is_the_first_that_could_be_watched_behind_all_that_was(steps, was_seen):
    found = next_step(steps, was_seen, today=TODAY)
    behind = [
        (step.season, step.number)
        for step in steps
        if step.season > 0
        and step.aired is not None
        and step.aired <= TODAY
        and any(one.season > 0 and one.id in was_seen for one in steps)
        and all(
            (one.season, one.number) < (step.season, step.number)
            for one in steps
            if one.season > 0 and one.id in was_seen
        )
    ]
    assert (found and (found.season, found.number)) == min(behind, default=None)


# --- players report -------------------------------------------------------------------------------


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
def catalogue():
    return FakeCatalogue()


class Disk(WatchingStore):
    """The real store, counting what is written; it can be full."""

    def __init__(self, *, database: Database) -> None:
        super().__init__(database=database)
        self.writes = 0
        self.refusals = 0
        self.is_full = False

    async def save(self, records):
        if self.is_full:
            self.refusals += 1
            raise StorageFullError("There is no room")
        self.writes += 1
        await super().save(records)


@pytest.fixture
def disk(database):
    return Disk(database=database)


@pytest.fixture
def watching(disk, catalogue, clock, told):
    return Watching(
        store=disk, outline=catalogue, clock=clock, changed=told.append, seconds=clock.seconds
    )


async def note(
    watching: Watching,
    title_id: TitleId = FILM,
    position: float = 600,
    state: State = PLAYING,
    *,
    user_id: UserId = ANNA,
    duration: float = HOUR,
) -> watched.Noted:
    return await watching.note(user_id, title_id, position=position, duration=duration, state=state)


async def position(watching: Watching, title_id: TitleId = FILM) -> float | None:
    found = (await watching.progress(ANNA, [title_id])).get(title_id)
    return None if found is None else found.position


def on_disk(path) -> list[tuple[str, float]]:
    """Return what would be there after a crash."""
    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT title_id, position FROM progress ORDER BY 1").fetchall()


async def see(watching: Watching, clock: Clock, *ids: TitleId, user_id: UserId = ANNA) -> None:
    """Let somebody see these to their ends, a minute after one another."""
    for one in ids:
        clock.pass_by(minutes=1)
        await note(watching, one, HOUR, ENDED, user_id=user_id)


async def test_what_a_report_means_is_said(watching):
    noted = await note(watching, position=900)
    assert (noted.watched, noted.percent, noted.turn) == (False, 25, "started")
    assert (await note(watching, position=1800)).turn is None
    assert (await note(watching, position=1800, state=PAUSED)).turn == "paused"
    noted = await note(watching, position=3500, state=ENDED)
    assert (noted.watched, noted.turn) == (True, "stopped")
    assert not (await note(watching, position=3600, state=ENDED)).watched


async def test_a_player_that_was_silent_for_long_begins_anew(watching, clock):
    await note(watching)
    clock.pass_by(minutes=9)
    assert (await note(watching)).turn is None
    clock.pass_by(minutes=10)
    assert (await note(watching)).turn == "started"


async def test_a_title_that_plays_is_written_every_ten_seconds_and_known_at_once(
    watching, clock, disk
):
    for second in range(61):
        await note(watching, position=600 + second)
        assert await position(watching) == 600 + second
        clock.pass_by(seconds=1)
    assert disk.writes == 7


async def test_a_crash_costs_ten_seconds_at_most(watching, clock, path):
    for second in range(0, 60, 5):
        await note(watching, position=600 + second)
        ((_, written),) = on_disk(path)
        assert written > 600 + second - 10
        clock.pass_by(seconds=5)


@pytest.mark.parametrize("state", [PAUSED, ENDED])
async def test_where_somebody_stops_is_written_at_once(watching, path, state):
    await note(watching, position=600)
    await note(watching, position=603)
    await note(watching, position=605, state=state)
    assert on_disk(path) == [("movie:1", 605)]


async def test_where_a_player_vanishes_is_written_when_it_is_closed(watching, path):
    await note(watching, position=600)
    await note(watching, position=605)
    noted = await watching.close(ANNA, FILM)
    assert noted is not None
    assert (noted.turn, round(noted.percent)) == ("stopped", 17)
    assert on_disk(path) == [("movie:1", 605)]
    assert await watching.close(ANNA, FILM) is None
    assert await watching.close(BEN, FILM) is None


async def test_where_a_player_vanishes_is_written_a_moment_later(disk, catalogue, clock, path):
    watching = Watching(
        store=disk, outline=catalogue, clock=clock, changed=lambda _: None, written_every=0.2
    )
    async with running("watching", watching.run):
        await note(watching, position=600)
        await note(watching, position=605)
        async with asyncio.timeout(5):
            while on_disk(path) != [("movie:1", 605)]:
                await asyncio.sleep(0.01)


async def test_what_is_not_written_yet_is_written_at_the_end(watching, path):
    async with running("watching", watching.run):
        await note(watching, position=600)
        await note(watching, position=605)
        assert on_disk(path) == [("movie:1", 600)]
    assert on_disk(path) == [("movie:1", 605)]


async def test_one_title_that_is_due_does_not_write_another_that_is_not(watching, clock, path):
    await note(watching, movie(1), 600)
    clock.pass_by(seconds=7)
    await note(watching, movie(1), 607)
    await note(watching, movie(2), 700)
    await note(watching, movie(2), 701)
    clock.pass_by(seconds=3)
    await watching.flush(due=clock.seconds() - 10)
    assert on_disk(path) == [("movie:1", 607), ("movie:2", 700)]


async def test_a_full_disk_costs_nothing_once_there_is_room_again(watching, disk, path):
    disk.is_full = True
    with pytest.raises(StorageFullError):
        await note(watching, position=600)
    assert await position(watching) == 600
    disk.is_full = False
    await watching.flush()
    assert on_disk(path) == [("movie:1", 600)]


async def test_a_full_disk_is_tried_again_and_told_of_once(disk, clock, path, caplog, monkeypatch):
    monkeypatch.setattr(watched, "_PAUSE_WHEN_FAILING", 0.01)
    watching = Watching(
        store=disk, outline=FakeCatalogue(), clock=clock, changed=lambda _: None, written_every=0.01
    )
    async with running("watching", watching.run):
        disk.is_full = True
        with pytest.raises(StorageFullError):
            await note(watching, position=600)
        async with asyncio.timeout(5):
            while disk.refusals < 5:
                await asyncio.sleep(0.01)
        disk.is_full = False
        async with asyncio.timeout(5):
            while on_disk(path) != [("movie:1", 600)]:
                await asyncio.sleep(0.01)
    assert caplog.messages == ["What is watched cannot be written for now: storage_full"]


async def test_a_paused_player_that_goes_on_reporting_writes_nothing(watching, clock, disk):
    await note(watching, state=PAUSED)
    for _ in range(100):
        clock.pass_by(seconds=10)
        await note(watching, state=PAUSED)
    assert disk.writes == 1


async def test_nobody_begins_what_does_not_exist_or_a_whole_show(watching):
    with pytest.raises(NoTitleError):
        await note(watching, episode(1))
    with pytest.raises(BadProgressError):
        await note(watching, show(1))
    for number in (math.nan, -1.0, math.inf):
        with pytest.raises(BadProgressError):
            await note(watching, position=number)


async def test_reports_at_the_same_time_do_not_undo_each_other(watching):
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(note(watching, movie(number % 2), 600.0 + number))
    assert await position(watching, movie(0)) == 618
    assert await position(watching, movie(1)) == 619


async def test_memory_is_bounded_and_nothing_is_lost_by_that(watching, monkeypatch, clock):
    monkeypatch.setattr(watched, "_REMEMBERED", 3)
    for number in range(10):
        await note(watching, movie(number), 600.0 + number)
    assert len(watching._plays) == 3
    assert [await position(watching, movie(number)) for number in range(10)] == [
        600.0 + number for number in range(10)
    ]


async def test_who_listens_hears_of_progress_and_of_what_home_shows(watching, told, clock):
    await note(watching)
    assert told == ["progress:anna:movie:1", "home:anna"]
    told.clear()
    await note(watching, position=700)
    assert told == ["progress:anna:movie:1"]
    await note(watching, position=3500)
    assert told[1:] == ["progress:anna:movie:1", "home:anna"]
    told.clear()
    await watching.forget(ANNA, FILM)
    assert told == ["progress:anna:movie:1", "home:anna"]


# --- what people go on with -----------------------------------------------------------------------


async def test_what_was_begun_is_continued_the_latest_first(watching, clock):
    for number in (1, 2, 3):
        clock.pass_by(minutes=1)
        await note(watching, movie(number), 600)
    await note(watching, movie(4), 600, user_id=BEN)
    clock.pass_by(minutes=1)
    await note(watching, movie(1), 700)
    await note(watching, movie(2), 3500)
    found = await watching.continue_watching(ANNA, 10)
    assert [(str(one.title_id), one.position) for one in found] == [
        ("movie:1", 700),
        ("movie:3", 600),
    ]
    assert len(await watching.continue_watching(ANNA, 1)) == 1


async def test_after_an_episode_comes_the_next_of_each_show_the_latest_show_first(
    watching, catalogue, clock
):
    first = catalogue.add_show(1, seasons={1: [AGO, AGO, AGO]})
    second = catalogue.add_show(2, seasons={0: [AGO], 1: [AGO], 2: [AGO, None]})
    catalogue.add_show(3, seasons={1: [AGO]})
    await see(watching, clock, first[0], second[1])
    assert await watching.next_up(ANNA, 10) == [second[2], first[1]]
    await see(watching, clock, first[1])
    assert await watching.next_up(ANNA, 10) == [first[2], second[2]]
    assert await watching.next_up(ANNA, 1) == [first[2]]
    await see(watching, clock, second[2])
    assert await watching.next_up(ANNA, 10) == [first[2]]
    assert await watching.next_up(BEN, 10) == []


async def test_an_episode_that_was_begun_is_one_to_continue_and_not_one_to_come(
    watching, catalogue, clock
):
    ids = catalogue.add_show(1, seasons={1: [AGO, AGO, AGO]})
    await see(watching, clock, ids[0])
    await note(watching, ids[1], 600)
    assert await watching.next_up(ANNA, 10) == []
    assert [one.title_id for one in await watching.continue_watching(ANNA, 10)] == [ids[1]]
    await note(watching, ids[1], 10)
    assert await watching.next_up(ANNA, 10) == [ids[1]]
    assert await watching.continue_watching(ANNA, 10) == []


async def test_a_new_episode_comes_next_when_it_is_aired_or_becomes_known(
    watching, catalogue, clock
):
    ids = catalogue.add_show(1, seasons={1: [AGO, TODAY + timedelta(days=1)]})
    await see(watching, clock, ids[0])
    assert await watching.next_up(ANNA, 10) == []
    clock.pass_by(days=1)
    assert await watching.next_up(ANNA, 10) == [ids[1]]
    await see(watching, clock, ids[1])
    assert await watching.next_up(ANNA, 10) == []
    ids = catalogue.add_show(1, seasons={1: [AGO, AGO, AGO]})
    watching.outline_changed(TitleId(Kind.SHOW, 1))
    assert await watching.next_up(ANNA, 10) == [ids[2]]


async def test_a_row_is_filled_also_when_most_of_the_latest_shows_are_over(
    watching, catalogue, clock
):
    older = catalogue.add_show(1, seasons={1: [AGO, AGO]})
    await see(watching, clock, older[0])
    for number in range(2, 70):
        (only,) = catalogue.add_show(number, seasons={1: [AGO]})
        await see(watching, clock, only)
    newer = catalogue.add_show(70, seasons={1: [AGO, AGO]})
    await see(watching, clock, newer[0])
    assert await watching.next_up(ANNA, 1) == [newer[1]]
    # More than were asked for before.
    assert await watching.next_up(ANNA, 2) == [newer[1], older[1]]
    assert await watching.next_up(ANNA, 1) == [newer[1]]


async def test_only_the_show_of_which_something_is_new_is_looked_at_anew(
    watching, catalogue, clock
):
    asked: list[TitleId] = []
    real = catalogue.outlines

    async def noted(shows: list[TitleId]):
        asked.extend(shows)
        return await real(shows)

    catalogue.outlines = noted
    first = catalogue.add_show(1, seasons={1: [AGO, AGO, AGO]})
    second = catalogue.add_show(2, seasons={1: [AGO, AGO, AGO]})
    await see(watching, clock, first[0])
    await see(watching, clock, second[0])
    assert await watching.next_up(ANNA, 10) == [second[1], first[1]]
    asked.clear()
    await see(watching, clock, first[1])
    assert await watching.next_up(ANNA, 10) == [first[2], second[1]]
    watching.outline_changed(TitleId(Kind.SHOW, 2))
    assert await watching.next_up(ANNA, 10) == [first[2], second[1]]
    await watching.forget(ANNA, first[1])
    assert await watching.next_up(ANNA, 10) == [second[1], first[1]]
    assert asked[:2] == [TitleId(Kind.SHOW, 1), TitleId(Kind.SHOW, 2)]


async def test_what_changes_while_it_is_looked_for_is_not_missed(watching, catalogue, clock):
    ids = catalogue.add_show(1, seasons={1: [AGO, AGO, AGO]})
    await see(watching, clock, ids[0])
    going_on = asyncio.Event()
    real = catalogue.outlines

    async def slow(shows: list[TitleId]):
        await going_on.wait()
        return await real(shows)

    catalogue.outlines = slow
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(watching.next_up(ANNA, 10))
        await asyncio.sleep(0)
        await see(watching, clock, ids[1])
        going_on.set()
    assert looking.result() in ([ids[1]], [ids[2]])
    assert await watching.next_up(ANNA, 10) == [ids[2]]


# --- what people say ------------------------------------------------------------------------------


async def test_what_is_marked_was_seen(watching, catalogue, clock):
    ids = catalogue.add_show(1, seasons={0: [AGO], 1: [AGO, AGO], 2: [TODAY + timedelta(days=9)]})
    await note(watching, FILM, 600)
    await watching.mark_watched(ANNA, [FILM, show(1), show(7), episode(7)])
    found = await watching.progress(ANNA, [FILM, show(1), *ids, episode(7)])
    assert {one for one in found if found[one].watched} == {FILM, ids[1], ids[2]}
    assert found[FILM].position == 0
    assert await watching.continue_watching(ANNA, 10) == []


async def test_marking_again_changes_nothing(watching, disk, clock, told):
    await watching.mark_watched(ANNA, [FILM], at=EPOCH)
    before = await watching.progress(ANNA, [FILM])
    clock.pass_by(days=1)
    told.clear()
    await watching.mark_watched(ANNA, [FILM], at=EPOCH)
    assert await watching.progress(ANNA, [FILM]) == before
    assert told == []


async def test_thousands_that_were_seen_elsewhere_are_taken_over(watching, clock):
    seen_elsewhere = {movie(number): EPOCH - timedelta(hours=number) for number in range(1, 1201)}
    await watching.remember_watched(ANNA, seen_elsewhere)
    page = await watching.page(ANNA, state="watched", limit=3)
    assert page.total == 1200
    assert [one.title_id for one in page.items] == [movie(1), movie(2), movie(3)]
    found = await watching.progress(ANNA, list(seen_elsewhere))
    assert {one: progress.updated_at for one, progress in found.items()} == seen_elsewhere


async def test_pages_show_each_title_once_the_latest_first(watching, clock):
    for number in range(1, 8):
        # Two at a time: what happened in the same moment has an order too.
        clock.pass_by(minutes=number % 2)
        await note(watching, movie(number), 600 if number % 3 else 3500)
    shown: list[TitleId] = []
    cursor = None
    while True:
        page = await watching.page(ANNA, cursor=cursor, limit=2)
        assert page.total == 7
        shown += [one.title_id for one in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert sorted(shown) == [movie(number) for number in range(1, 8)]
    times = [(await watching.progress(ANNA, [one]))[one].updated_at for one in shown]
    assert times == sorted(times, reverse=True)
    assert {one.title_id for one in (await watching.page(ANNA, state="watched")).items} == {
        movie(3),
        movie(6),
    }
    assert (await watching.page(ANNA, state="started")).total == 5


@pytest.mark.parametrize(
    "cursor",
    ["", "-", "x-movie:1", "1", "1-", "1-movie:x", "-1-movie:1", f"{10**19}-movie:1", "²-movie:1"],
)
async def test_a_cursor_of_somebody_s_own_is_refused(watching, cursor):
    with pytest.raises(InvalidInputError):
        await watching.page(ANNA, cursor=cursor)


async def test_what_is_forgotten_was_never_begun(watching, path):
    await note(watching, position=600)
    await note(watching, position=605)
    await watching.forget(ANNA, FILM)
    await watching.forget(ANNA, movie(2))
    await watching.flush()
    assert await watching.progress(ANNA, [FILM]) == {}
    assert on_disk(path) == []


async def test_of_who_is_gone_nothing_is_left_not_even_in_memory(watching, catalogue, clock, path):
    ids = catalogue.add_show(1, seasons={1: [AGO, AGO]})
    await see(watching, clock, ids[0])
    await note(watching, position=600)
    await note(watching, position=605)
    await note(watching, movie(9), user_id=BEN)
    assert await watching.next_up(ANNA, 1) == [ids[1]]
    await watching.forget_user(ANNA)
    await watching.flush()
    assert on_disk(path) == [("movie:9", 600)]
    assert await watching.next_up(ANNA, 1) == []
    assert await position(watching) is None


async def test_everything_survives_a_restart(path, clock, catalogue):
    async def opened(database: Database) -> Watching:
        return Watching(
            store=WatchingStore(database=database),
            outline=catalogue,
            clock=clock,
            changed=lambda _: None,
        )

    ids = catalogue.add_show(1, seasons={1: [AGO, AGO]})
    async with Database.open(path) as database:
        watching = await opened(database)
        await note(watching, FILM, 600.25)
        await see(watching, clock, ids[0])
        before = await watching.progress(ANNA, [FILM, *ids])
    async with Database.open(path) as database:
        watching = await opened(database)
        assert await watching.progress(ANNA, [FILM, *ids]) == before
        assert await watching.next_up(ANNA, 1) == [ids[1]]
        assert (await watching.continue_watching(ANNA, 5))[0].position == 600.25
