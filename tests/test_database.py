"""The database: transactions, migrations, copies, and what happens when something is wrong."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import peewee
import pytest

from miauflixd.database import meta
from miauflixd.database.backup import copy
from miauflixd.database.database import Database
from miauflixd.database.errors import (
    DatabaseBusyError,
    DatabaseUnusableError,
    MigrationFailedError,
)
from miauflixd.errors import StorageFullError

CREATE_NOTES = """
import peewee

def up(migrator, database):
    database.execute_sql("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
"""
ADD_COLOUR = """
import peewee

def up(migrator, database):
    migrator.migrate(migrator.add_column("notes", "colour", peewee.TextField(null=True)))
    database.execute_sql("UPDATE notes SET colour = 'red'")
"""
WRITE_AND_FAIL = """
def up(migrator, database):
    database.execute_sql("INSERT INTO notes (text) VALUES ('half done')")
    database.execute_sql("CREATE TABLE half_done (id INTEGER)")
    raise KeyError("no such thing")
"""


class Note(peewee.Model):
    text = peewee.TextField()

    class Meta:
        table_name = "notes"


class Steps:
    """A folder of migrations that can grow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def write(self, name: str, code: str) -> None:
        (self.folder / f"{name}.py").write_text(code)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "house.sqlite3"


@pytest.fixture
def steps(tmp_path):
    steps = Steps(tmp_path / "steps [of a test]")
    steps.write("0001_notes", CREATE_NOTES)
    return steps


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as other:
        return other.execute(query).fetchall()


def texts(path: Path) -> list[object]:
    return [text for (text,) in rows(path, "SELECT text FROM notes ORDER BY id")]


def tables(path: Path) -> set[object]:
    return {name for (name,) in rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}


def content(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as other:
        return list(other.iterdump())


def write_notes(words: Iterable[str]) -> None:
    for word in words:
        Note.create(text=word)


async def fill(path: Path, steps: Steps, *words: str) -> None:
    async with Database.open(path, migrations=steps.folder) as database:
        database.bind(Note)
        await database.run(write_notes, words)


# --- transactions ---------------------------------------------------------------------------------


async def test_what_one_run_writes_the_next_run_of_the_program_reads(path, steps):
    await fill(path, steps, "one", "two")

    async with Database.open(path, migrations=steps.folder) as database:
        database.bind(Note)
        assert await database.run(lambda: [note.text for note in Note.select()]) == ["one", "two"]


async def test_a_function_that_raises_has_done_nothing(path, steps):
    def write_and_fail():
        Note.create(text="lost")
        raise LookupError("changed my mind")

    async with Database.open(path, migrations=steps.folder) as database:
        database.bind(Note)
        with pytest.raises(LookupError, match="changed my mind"):
            await database.run(write_and_fail)
        await database.run(write_notes, ["kept"])

    assert texts(path) == ["kept"]


async def test_all_functions_run_in_one_thread_named_after_the_database(path):
    async with Database.open(path) as database, asyncio.TaskGroup() as group:
        threads = [group.create_task(database.run(threading.current_thread)) for _ in range(20)]

    assert len({task.result() for task in threads}) == 1
    assert threads[0].result().name.startswith("database")


async def test_concurrent_counting_loses_nothing(path):
    def count():
        number = int(meta.read("count") or b"0")
        meta.write("count", str(number + 1).encode())

    async with Database.open(path) as database:
        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(database.run(count))
        assert await database.run(meta.read, "count") == b"50"


async def test_a_query_outside_of_the_database_thread_fails_at_once(path, steps):
    async with Database.open(path, migrations=steps.folder) as database:
        database.bind(Note)
        with pytest.raises(peewee.InterfaceError, match="not opened"):
            Note.create(text="from the loop")


async def test_a_broken_rule_is_the_stores_to_handle(path, steps):
    async with Database.open(path, migrations=steps.folder) as database:
        database.bind(Note)
        with pytest.raises(peewee.IntegrityError):
            await database.run(Note.create, text=None)


async def test_cancelling_the_caller_leaves_no_half_transaction(path, steps):
    started, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow():
        Note.create(text="first half")
        loop.call_soon_threadsafe(started.set)
        go_on.wait()
        Note.create(text="second half")

    async with Database.open(path, migrations=steps.folder) as database:
        database.bind(Note)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(database.run(slow))
            await started.wait()
            task.cancel()
        go_on.set()

    assert texts(path) == ["first half", "second half"]


async def test_a_full_disk_is_said_so_and_changes_nothing(path, steps):
    async with Database.open(path, migrations=steps.folder) as database:
        database.bind(Note)
        await database.run(write_notes, ["before"])
        # SQLite's own way of having no room: it fails exactly as it does on a full disk.
        pages = await database.run(lambda: database._connection.pragma("page_count"))
        await database.run(lambda: database._connection.pragma("max_page_count", pages + 2))

        with pytest.raises(StorageFullError, match="no room left"):
            await database.run(write_notes, ["x" * 1000] * 100)

        await database.run(lambda: database._connection.pragma("max_page_count", 1000000))
        await database.run(write_notes, ["after"])

    assert texts(path) == ["before", "after"]


async def test_another_process_that_does_not_let_go_is_said_so(path, steps):
    async with Database.open(path, migrations=steps.folder) as database:
        database.bind(Note)
        await database.run(write_notes, ["before"])
        # Not five seconds for a test. (In the thread, outside of a transaction.)
        await database._submit(lambda: database._connection.pragma("busy_timeout", 1))
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseBusyError):
                await database.run(write_notes, ["refused"])
            other.execute("ROLLBACK")
        await database.run(write_notes, ["after"])

    assert texts(path) == ["before", "after"]


# --- the file -------------------------------------------------------------------------------------


async def test_file_folder_and_log_are_nobody_elses_to_read(path, steps):
    async with Database.open(path, migrations=steps.folder) as database:
        database.bind(Note)
        await database.run(write_notes, ["one"])
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}

    assert modes == {path.name: 0o600, f"{path.name}-wal": 0o600, f"{path.name}-shm": 0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_file_that_was_open_to_others_is_closed_to_them(path, steps):
    await fill(path, steps, "one")
    path.chmod(0o644)

    await fill(path, steps, "two")

    assert path.stat().st_mode & 0o777 == 0o600


async def test_closing_leaves_one_file_that_holds_everything(path, steps):
    await fill(path, steps, "one")

    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_the_settings_of_the_connection_are_in_force(path):
    async with Database.open(path) as database:
        pragma = database._connection.pragma
        assert await database.run(pragma, "journal_mode") == "wal"
        assert await database.run(pragma, "synchronous") == 1
        assert await database.run(pragma, "foreign_keys") == 1
        assert await database.run(pragma, "busy_timeout") == 5000


@pytest.mark.parametrize(
    "junk", [b"this is a shopping list\n" * 100, b"\0" * 5000, b"x", b"SQLite format 3\0"]
)
async def test_what_is_no_database_is_refused_and_left_alone(path, junk):
    path.parent.mkdir()
    path.write_bytes(junk)

    with pytest.raises(DatabaseUnusableError, match=r"damaged or not a database.*backups"):
        async with Database.open(path):
            pass

    assert path.read_bytes() == junk


async def test_a_damaged_schema_is_refused_and_left_alone(path, steps):
    await fill(path, steps, *["word" * 100] * 100)
    damaged = path.read_bytes()[:100] + b"\xff" * 3996 + path.read_bytes()[4096:]
    path.write_bytes(damaged)

    with pytest.raises(DatabaseUnusableError, match="damaged"):
        async with Database.open(path, migrations=steps.folder):
            pass

    assert path.read_bytes() == damaged


@pytest.mark.parametrize(("offset", "damage"), [(0, b"\xff" * 4096), (8, b"\x00\x10")])
async def test_damage_to_a_page_is_noticed_at_the_start_after_an_unclean_end(
    path, steps, offset, damage
):
    await fill(path, steps, *["word" * 100] * 100)
    with path.open("r+b") as file:
        file.seek(4096 * 5 + offset)
        file.write(damage)
    path.with_name(f"{path.name}-wal").write_bytes(b"what a killed process leaves")

    with pytest.raises(DatabaseUnusableError, match="damaged"):
        async with Database.open(path, migrations=steps.folder):
            pass


async def test_damage_to_a_page_is_noticed_when_it_is_read(path, steps):
    await fill(path, steps, *["word" * 100] * 100)
    with path.open("r+b") as file:
        file.seek(4096 * 5)
        file.write(b"\xff" * 4096)

    async with Database.open(path, migrations=steps.folder) as database:
        database.bind(Note)
        with pytest.raises(DatabaseUnusableError, match="damaged"):
            await database.run(lambda: list(Note.select()))


async def test_a_folder_in_the_place_of_the_database_is_refused(path):
    path.mkdir(parents=True, mode=0o755)

    with pytest.raises(DatabaseUnusableError, match="is not a file"):
        async with Database.open(path):
            pass

    assert path.stat().st_mode & 0o777 == 0o755


async def test_a_place_that_cannot_be_reached_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(DatabaseUnusableError, match=r"file/house\.sqlite3 cannot be opened"):
        async with Database.open(tmp_path / "file" / "house.sqlite3"):
            pass


# --- migrations -----------------------------------------------------------------------------------


async def test_our_own_migrations_make_a_database_from_nothing(path):
    async with Database.open(path):
        pass

    assert tables(path) == {
        *("meta", "schema_migration", "sources", "source_hashes", "vpn_rungs"),
        *("web_sources", "web_files"),
        *("users", "audit", "sessions", "refresh_tokens", "purpose_keys", "stream_keys"),
        *("settings", "tasks", "task_cursors", "work", "lists", "progress", "trakt_links"),
        *("titles", "documents", "tellings", "title_names", "title_genres"),
        *("title_certifications", "genre_names"),
        *("listings", "listing_marks", "listing_titles", "listing_torrents"),
        *("title_searches", "directories", "directory_standings", "media", "playbacks", "preloads"),
        "source_uses",
        *("seasons", "season_texts", "episodes", "episode_texts", "sqlite_sequence"),
        *(
            f"title_search{part}"
            for part in ("", "_config", "_content", "_data", "_docsize", "_idx")
        ),
    }
    assert not (path.parent / "backups").exists()


async def test_migrations_run_once_and_in_order(path, steps):
    await fill(path, steps, "one")
    steps.write("0002_colour", ADD_COLOUR)

    await fill(path, steps, "two")
    await fill(path, steps, "three")

    assert rows(path, "SELECT text, colour FROM notes WHERE id = 1") == [("one", "red")]
    assert rows(path, "SELECT name FROM schema_migration ORDER BY id") == [
        ("0001_notes",),
        ("0002_colour",),
    ]


async def test_a_copy_from_before_the_migration_opens_with_the_version_before(path, steps):
    await fill(path, steps, "one")
    before = content(path)
    steps.write("0002_colour", ADD_COLOUR)
    await fill(path, steps, "two")

    (copied,) = (path.parent / "backups").iterdir()
    assert copied.name.startswith("before-0002-")
    assert copied.stat().st_mode & 0o777 == 0o600
    assert copied.parent.stat().st_mode & 0o777 == 0o700
    assert content(copied) == before

    (steps.folder / "0002_colour.py").unlink()
    copied.replace(path)
    await fill(path, steps, "restored")
    assert texts(path) == ["one", "restored"]


async def test_the_copies_from_before_the_last_three_migrations_are_kept(path, steps):
    await fill(path, steps)
    for number in range(2, 8):
        steps.write(f"000{number}_nothing", "def up(migrator, database):\n    pass\n")
        await fill(path, steps)

    numbers = sorted(copied.name.split("-")[1] for copied in (path.parent / "backups").iterdir())
    assert numbers == ["0005", "0006", "0007"]


async def test_when_the_second_of_two_migrations_fails_the_first_has_not_happened(path, steps):
    await fill(path, steps, "one")
    before = content(path)
    steps.write("0002_colour", ADD_COLOUR)
    steps.write("0003_broken", WRITE_AND_FAIL)

    with pytest.raises(
        MigrationFailedError, match=r"'0003_broken' failed .*no such thing.* as it was"
    ):
        async with Database.open(path, migrations=steps.folder):
            pass

    assert content(path) == before
    (steps.folder / "0003_broken.py").unlink()
    await fill(path, steps, "two")
    assert rows(path, "SELECT text, colour FROM notes WHERE id = 1") == [("one", "red")]


async def test_a_migration_that_fails_at_every_start_does_not_push_out_older_copies(path, steps):
    await fill(path, steps)
    steps.write("0002_nothing", "def up(migrator, database):\n    pass\n")
    await fill(path, steps)
    steps.write("0003_broken", WRITE_AND_FAIL)
    folder = path.parent / "backups"
    # As if it had failed before: copies of seconds ago.
    for second in range(5):
        copy(path, folder / f"before-0003-20200101T00000{second}Z.sqlite3")

    with pytest.raises(MigrationFailedError):
        async with Database.open(path, migrations=steps.folder):
            pass

    assert sorted(copied.name.split("-")[1] for copied in folder.iterdir()) == ["0002", "0003"]


async def test_a_migration_that_cannot_be_read_changes_nothing(path, steps):
    await fill(path, steps, "one")
    before = content(path)
    steps.write("0002_colour", "def up(migrator, database:\n")

    with pytest.raises(MigrationFailedError, match="0002_colour"):
        async with Database.open(path, migrations=steps.folder):
            pass

    assert content(path) == before


async def test_a_migration_that_leaves_rows_that_refer_to_nothing_is_undone(path, steps):
    await fill(path, steps, "one")
    before = content(path)
    steps.write(
        "0002_comments",
        "def up(migrator, database):\n"
        "    database.execute_sql('CREATE TABLE comments (note INTEGER REFERENCES notes (id))')\n"
        "    database.execute_sql('INSERT INTO comments VALUES (99)')\n",
    )

    with pytest.raises(MigrationFailedError, match="refer to nothing"):
        async with Database.open(path, migrations=steps.folder):
            pass

    assert content(path) == before


async def test_rebuilding_a_table_does_not_delete_what_refers_to_it(path, steps):
    steps.write(
        "0002_comments",
        "def up(migrator, database):\n"
        "    database.execute_sql('CREATE TABLE comments"
        " (note INTEGER REFERENCES notes (id) ON DELETE CASCADE)')\n",
    )
    async with Database.open(path, migrations=steps.folder) as database:
        database.bind(Note)
        await database.run(write_notes, ["one"])
        await database.run(database._connection.execute_sql, "INSERT INTO comments VALUES (1)")
    steps.write(
        "0003_rename",
        "def up(migrator, database):\n"
        "    migrator.migrate(migrator.drop_not_null('notes', 'text'))\n",
    )

    await fill(path, steps, "two")

    assert rows(path, "SELECT note FROM comments") == [(1,)]


async def test_a_database_of_a_later_version_is_refused_and_left_alone(path, steps):
    steps.write("0002_colour", ADD_COLOUR)
    await fill(path, steps, "one")
    before = path.read_bytes()
    (steps.folder / "0002_colour.py").unlink()

    with pytest.raises(DatabaseUnusableError, match=r"later version of miauflixd.*'0002_colour'"):
        async with Database.open(path, migrations=steps.folder):
            pass

    assert path.read_bytes() == before
    assert not (path.parent / "backups").exists()


async def test_without_a_copy_there_is_no_migration(path, steps):
    await fill(path, steps, "one")
    before = content(path)
    steps.write("0002_colour", ADD_COLOUR)
    (path.parent / "backups").write_text("a file where the folder should be")

    with pytest.raises(DatabaseUnusableError, match="cannot be copied"):
        async with Database.open(path, migrations=steps.folder):
            pass

    assert content(path) == before


# --- copies ---------------------------------------------------------------------------------------


async def test_a_copy_made_while_writing_holds_whole_transactions(path, steps, tmp_path):
    async with Database.open(path, migrations=steps.folder) as database:
        database.bind(Note)

        async def write() -> None:
            for number in range(60):
                await database.run(write_notes, [f"{number} a", f"{number} b"])

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            for number in range(5):
                await database.backup(tmp_path / "copies" / f"{number}.sqlite3")

    for number in range(5):
        assert len(texts(tmp_path / "copies" / f"{number}.sqlite3")) % 2 == 0
    assert len(list((tmp_path / "copies").iterdir())) == 5


async def test_a_copy_replaces_an_older_one_whole(path, steps, tmp_path):
    target = tmp_path / "copy.sqlite3"
    target.write_bytes(b"an older one")
    (tmp_path / ".copy.sqlite3.partial").write_bytes(b"of a run that was killed")

    async with Database.open(path, migrations=steps.folder) as database:
        database.bind(Note)
        await database.run(write_notes, ["one"])
        await database.backup(target)

    assert texts(target) == ["one"]
    assert not (tmp_path / ".copy.sqlite3.partial").exists()


async def test_a_copy_that_cannot_be_written_says_so_and_leaves_nothing(path, tmp_path):
    (tmp_path / "file").touch()

    async with Database.open(path) as database:
        with pytest.raises(DatabaseUnusableError, match="cannot be copied"):
            await database.backup(tmp_path / "file" / "copy.sqlite3")


async def test_there_is_no_copy_of_what_is_not_there(tmp_path):
    with pytest.raises(DatabaseUnusableError, match="cannot be read or written"):
        copy(tmp_path / "nothing.sqlite3", tmp_path / "copy.sqlite3")

    assert list(tmp_path.iterdir()) == []


# --- being killed ---------------------------------------------------------------------------------

WRITER = """
import asyncio, pathlib, sys
sys.path[:0] = [{root!r}]
from miauflixd.database.database import Database
from tests.test_database import Note, write_notes

async def main():
    path, steps = pathlib.Path({path!r}), pathlib.Path({steps!r})
    async with Database.open(path, migrations=steps) as database:
        database.bind(Note)
        number = 0
        while True:
            await database.run(write_notes, [f"{{number}} " + half * 5000 for half in "ab"])
            number += 1
            print(number, flush=True)

asyncio.run(main())
"""


def start_writer(path: Path, steps: Steps) -> "subprocess.Popen[str]":
    root = str(Path(__file__).parent.parent)
    code = WRITER.format(root=root, path=str(path), steps=str(steps.folder))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


async def test_a_killed_process_leaves_whole_transactions_and_all_committed_ones(path, steps):
    committed = 0
    for transactions in (1, 17, 60):
        with start_writer(path, steps) as writer:
            assert writer.stdout is not None
            for _ in range(transactions):
                assert writer.stdout.readline()
            os.kill(writer.pid, signal.SIGKILL)
            committed += transactions + len(writer.stdout.readlines())
        assert writer.returncode == -signal.SIGKILL
        assert path.with_name(f"{path.name}-wal").exists()

    await fill(path, steps)  # opens, checks, and writes the log into the file

    found = texts(path)
    # The last transaction of each round may have been committed and not yet reported.
    assert committed <= len(found) / 2 <= committed + 3
    assert [str(text).split(" ")[0] for text in found[::2]] == [
        str(text).split(" ")[0] for text in found[1::2]
    ]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


async def test_a_process_that_is_killed_amid_a_migration_has_not_migrated(path, steps):
    await fill(path, steps, "one")
    before = content(path)
    steps.write("0002_colour", ADD_COLOUR)
    steps.write(
        "0003_killed", "import os\n\ndef up(migrator, database):\n    os.kill(os.getpid(), 9)\n"
    )

    with start_writer(path, steps) as writer:
        writer.wait()
    assert writer.returncode == -signal.SIGKILL

    assert content(path) == before
    (steps.folder / "0003_killed.py").unlink()
    await fill(path, steps, "two")
    assert texts(path) == ["one", "two"]
