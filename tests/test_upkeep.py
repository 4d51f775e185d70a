"""Copies at night, and what is forgotten."""

import re
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from miauflixd.catalogue.model import Region
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.database import backup
from miauflixd.database.database import Database
from miauflixd.database.errors import DatabaseUnusableError
from miauflixd.errors import StorageFullError, UnavailableError
from miauflixd.jobs.job import Run
from miauflixd.jobs.task_store import TaskStore
from miauflixd.jobs.upkeep import Backups, CleanUp, CleanUpError, Part
from tests.auth_house import Clock
from tests.catalogue_titles import EN, NOON, movie


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def database(tmp_path):
    async with Database.open(tmp_path / "house.sqlite3") as database:
        yield database


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "backups"


@pytest.fixture
def backups(database, folder, clock):
    return Backups(database=database, folder=folder, kept=3, clock=clock)


@pytest.fixture
async def run(database):
    return Run(task="a task", cursor=None, store=TaskStore(database=database))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def pages_of(path: Path) -> bytes:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as copied:
        return "\n".join(copied.iterdump()).encode()


# --- copies ---------------------------------------------------------------------------------------


async def test_a_copy_is_a_whole_database_and_nobody_else_s_to_read(backups, folder, run):
    told = await backups.run(run)
    assert re.fullmatch(r"0\.\d MiB copied and read back, 1 kept", told)
    (copied,) = folder.iterdir()
    assert b"CREATE TABLE" in pages_of(copied)
    assert copied.stat().st_mode & 0o777 == 0o600


async def test_of_many_copies_the_newest_stay_and_those_of_others_are_left_alone(
    backups, folder, clock, run
):
    folder.mkdir()
    others = ["before-0005-20200101T000000Z.sqlite3", "nightly-my-own.sqlite3", "notes.txt"]
    for name in others:
        (folder / name).write_text("mine")
    made = []
    for _ in range(5):
        clock.pass_by(days=1)
        await backups.run(run)
        made.append(f"nightly-{clock():%Y%m%dT%H%M%SZ}.sqlite3")
    assert names(folder) == sorted([*others, *made[-3:]])


async def test_a_house_with_titles_is_copied_and_starts_again_after_it_was_killed(
    tmp_path, database, backups, folder, run
):
    # SQLite 3.40's quick check finds damage in a sound table whose key has another order.
    titles = await TitleStore.open(database=database, region=Region("US"), language=EN)
    await titles.save([movie(genres=("drama", "comedy"))], at=NOON)

    await backups.run(run)

    (copied,) = folder.iterdir()
    killed = tmp_path / "killed.sqlite3"
    shutil.copy(copied, killed)
    killed.with_name(f"{killed.name}-wal").write_bytes(b"what a killed process leaves")
    async with Database.open(killed) as again:
        await again.check()


async def test_copies_from_the_future_do_not_push_out_those_of_today(backups, folder, clock, run):
    clock.pass_by(days=3650)
    for _ in range(3):
        clock.pass_by(days=1)
        await backups.run(run)
    clock.pass_by(days=-3660)
    made = []
    for _ in range(3):
        clock.pass_by(days=1)
        await backups.run(run)
        made.append(f"nightly-{clock():%Y%m%dT%H%M%SZ}.sqlite3")
    assert names(folder) == made


async def test_a_copy_that_turns_out_damaged_is_thrown_away_and_the_good_ones_stay(
    database, folder, clock, run, monkeypatch
):
    backups = Backups(database=database, folder=folder, kept=1, clock=clock)
    await backups.run(run)
    good = names(folder)
    verify = backup._verify

    def break_and_verify(copied: Path) -> None:
        with copied.open("r+b") as file:  # what a card that goes bad does
            file.seek(4096)
            file.write(b"\xff" * 8192)
        verify(copied)

    monkeypatch.setattr(backup, "_verify", break_and_verify)
    clock.pass_by(days=1)
    with pytest.raises(DatabaseUnusableError):
        await backups.run(run)
    assert names(folder) == good


async def test_without_room_the_good_ones_stay(database, folder, clock, run, monkeypatch):
    backups = Backups(database=database, folder=folder, kept=1, clock=clock)
    await backups.run(run)
    good = names(folder)

    def full(copied: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_verify", full)
    clock.pass_by(days=1)
    with pytest.raises(StorageFullError):
        await backups.run(run)
    assert names(folder) == good


async def test_what_a_killed_run_left_is_in_nobody_s_way(backups, folder, clock, run):
    folder.mkdir()
    stamp = f"{clock():%Y%m%dT%H%M%SZ}"
    (folder / f".nightly-{stamp}.sqlite3.partial").write_bytes(b"half")
    await backups.run(run)
    assert names(folder) == [f"nightly-{stamp}.sqlite3"]


# --- cleaning up ----------------------------------------------------------------------------------


def part(name: str, result: int | Exception) -> Part:
    async def run() -> int:
        if isinstance(result, Exception):
            raise result
        return result

    return Part(name=name, run=run)


async def test_it_says_what_there_is_less_of(database, clock, run):
    parts = [part("old sessions", 12), part("old keys", 0), part("old images", 1)]
    clean_up = CleanUp(database=database, parts=parts, clock=clock)
    assert await clean_up.run(run) == "12 old sessions, 1 old images, the database is sound"


async def test_one_part_that_fails_does_not_stop_the_rest_and_is_named(database, clock, run):
    parts = [
        part("old images", UnavailableError("A secret of the cache")),
        part("old keys", KeyError("x")),
        part("old sessions", 12),
    ]
    clean_up = CleanUp(database=database, parts=parts, clock=clock)
    with pytest.raises(CleanUpError) as caught:
        await clean_up.run(run)
    assert str(caught.value) == (
        "Not done: old images (unavailable), old keys (internal); 12 old sessions; "
        "the database is sound"
    )


async def test_the_database_is_checked_once_a_week(database, clock, run):
    clean_up = CleanUp(database=database, parts=[], clock=clock)
    told = []
    for _ in range(15):
        told.append(await clean_up.run(run))
        clock.pass_by(days=1)
    assert [day for day, text in enumerate(told) if text] == [0, 7, 14]


async def test_after_a_clock_that_was_set_back_it_is_checked_soon(database, clock, run):
    clean_up = CleanUp(database=database, parts=[], clock=clock)
    await clean_up.run(run)
    clock.now -= timedelta(days=3650)
    assert await clean_up.run(run) == "the database is sound"
    assert await clean_up.run(run) is None


@pytest.mark.parametrize("cursor", [b"", b"\xff\xfe", b"2026-01-01", b"yesterday"])
async def test_whatever_the_cursor_holds_it_goes_on(database, clock, cursor):
    run = Run(task="a task", cursor=cursor, store=TaskStore(database=database))
    clean_up = CleanUp(database=database, parts=[], clock=clock)
    assert await clean_up.run(run) == "the database is sound"


async def test_a_damaged_database_is_told_of(tmp_path, clock):
    path = tmp_path / "house.sqlite3"
    async with Database.open(path):
        pass
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096)
    async with Database.open(path) as database:
        run = Run(task="a task", cursor=None, store=TaskStore(database=database))
        clean_up = CleanUp(database=database, parts=[part("old keys", 1)], clock=clock)
        with pytest.raises(CleanUpError, match=r"checking the database \(database_unusable\)"):
            await clean_up.run(run)
