"""Bringing the database to the version of the program, at start.

A migration is a file `NNNN_what_it_does.py` with a function `up(migrator, database)`; those that a
database has not seen run in order. `playhouse.migrations.Runner` finds and records them. What is
added here: all of a start's migrations are one transaction, and a copy of the database is made
before.
"""

import glob
import logging
from pathlib import Path

import peewee
from playhouse.migrations import Runner

from miauflixd.database import migrations
from miauflixd.database.backup import copy_before
from miauflixd.database.errors import DatabaseUnusableError, MigrationFailedError, translated

_log = logging.getLogger(__name__)

MIGRATIONS = Path(migrations.__path__[0])
"""Where ours are. A wheel is installed as files, so that the runner can list them."""


def migrate(database: peewee.SqliteDatabase, *, path: Path, directory: Path) -> None:
    """Apply every migration that the database has not seen: all of them, or none.

    Raises:
        DatabaseUnusableError: a later version of the program has been at work here.
        StorageFullError: there is no room for the copy.
        MigrationFailedError: one of them failed; the database is as it was.
    """
    runner = Runner(database, glob.escape(str(directory)))
    known = runner.status()
    # The runner gives no file for a migration that it finds only in the database.
    if foreign := [migration.name for migration in known if migration.path is None]:
        raise DatabaseUnusableError(
            f"The database {path} was used by a later version of miauflixd, which applied "
            f"{foreign[-1]!r} to it. Install that version again, or put a copy from "
            f"{path.parent / 'backups'} in its place"
        )
    pending = [migration.name for migration in known if not migration.applied]
    if not pending:
        return
    is_new = not database.get_tables()
    if not is_new:
        copy_before(pending[0], path)
    _apply(runner, database, path=path, names=pending)
    if not is_new:
        _log.info("The database has been migrated: %s", ", ".join(pending))


def _apply(
    runner: Runner, database: peewee.SqliteDatabase, *, path: Path, names: list[str]
) -> None:
    # SQLite changes a column by building the table anew and dropping the old one, which would
    # delete what refers to it; and the switch does nothing inside a transaction.
    database.pragma("foreign_keys", 0)
    running = names[0]
    try:
        with translated(path), database.atomic():
            for running in names:
                runner.up(running)
            if database.pragma("foreign_key_check"):
                raise ValueError("it left rows that refer to nothing")
    except Exception as error:  # a migration is a program: it may fail in any way
        raise MigrationFailedError(
            f"The migration {running!r} failed ({error}). The database {path} is as it was before"
        ) from error
    finally:
        database.pragma("foreign_keys", 1)
