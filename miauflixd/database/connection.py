"""The one connection to the SQLite file, and what is checked before it is used."""

import os
from pathlib import Path

import peewee

from miauflixd.database.errors import DatabaseUnusableError, damaged

_PRAGMAS = (
    # First, so that the others wait too: a copy being made or a command line at work takes
    # milliseconds; whoever takes 5 s is stuck.
    ("busy_timeout", 5000),
    # Readers (copies, the command line) and the writer do not wait for each other, and a commit is
    # one append to a file. A process that is killed loses nothing that was committed.
    ("journal_mode", "wal"),
    # No fsync per commit, only per checkpoint: an SD card needs 10 ms and more for one, and wears
    # out. A power failure may take the last commits with it, but whole ones: the file stays sound.
    ("synchronous", "normal"),
    # Off by default in SQLite, for history's sake.
    ("foreign_keys", 1),
    # KiB, thus the minus sign: 4 MiB hold all that is looked up often, and a Raspberry Pi can spare
    # them.
    ("cache_size", -4096),
    # No mapping: with one, an SD card that fails to read is a SIGBUS that ends the process
    # instead of an error that says so, and a cache of 4 MiB has little to gain.
    ("mmap_size", 0),
    # The log keeps the size that it once needed; after a large transaction it shrinks to 16 MiB.
    ("journal_size_limit", 16 * 2**20),
    # Sorting and indexing needs no file outside of the data directory.
    ("temp_store", "memory"),
    # What stands in a database's schema runs nothing: the file may be a copy from anywhere.
    ("trusted_schema", 0),
)

_SMALLEST = 512
"""Bytes of the smallest SQLite file: one page of the smallest size."""


def prepare(path: Path) -> None:
    """Make sure that the file exists and is nobody else's to read.

    SQLite gives its log and its shared memory the permissions of the file.

    Raises:
        DatabaseUnusableError: there is no such place, it belongs to somebody else, or it holds
            something else.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            if not path.is_file():
                raise DatabaseUnusableError(f"The database {path} is not a file")
            if 0 < path.stat().st_size < _SMALLEST:
                # SQLite would take it for an empty one, and write over it.
                raise damaged(path, "file is too short")
            # By name: closing a descriptor of a database drops the locks of the whole process.
            path.chmod(0o600)
        else:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise DatabaseUnusableError(
            f"The database {path} cannot be opened ({error.strerror})"
        ) from error


def connection(path: Path) -> peewee.SqliteDatabase:
    """Return the way to the file; `connect` it in the thread that will use it.

    It connects nowhere by itself, so that a query from another thread fails at once instead of
    becoming a second writer. A transaction takes the writer's lock when it begins: one that took it
    later could find that its view is out of date, and no waiting would mend that.
    """
    return peewee.SqliteDatabase(
        str(path), pragmas=_PRAGMAS, lock_type="IMMEDIATE", autoconnect=False
    )


def connect(database: peewee.SqliteDatabase, path: Path) -> None:
    """Connect in the current thread, and check that this is a sound database.

    Raises:
        DatabaseUnusableError: it is not.
    """
    log = path.with_name(f"{path.name}-wal")
    ended_badly = log.exists() and log.stat().st_size > 0
    database.connect()
    # Reads the first page and the schema, which is enough to notice another kind of file.
    database.get_tables()
    # The whole of it is read only after an unclean end, since it takes a second for each 50 MB or
    # so from an SD card; a page that goes bad otherwise is noticed when it is read.
    if ended_badly and database.pragma("quick_check") != "ok":
        # SQLite 3.40, Debian 12's, finds a NULL there in a sound table without rowids whose key
        # begins with another column than the table does. This check does not.
        verdict = database.pragma("integrity_check")
        if verdict != "ok":
            raise damaged(path, str(verdict).splitlines()[-1])
