"""What can be wrong with a database, in words for whoever has to mend it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import peewee

from miauflixd.errors import MiauflixdError, StorageFullError, UnavailableError


class DatabaseUnusableError(MiauflixdError):
    """The file is damaged, no database, out of reach or of a later version; it was left alone."""

    code = "database_unusable"


class MigrationFailedError(MiauflixdError):
    """The database could not be brought to this version, and is as it was before."""

    code = "migration_failed"


class DatabaseBusyError(UnavailableError):
    """Another process has been writing to the database for too long."""

    code = "database_busy"


_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_OUT_OF_REACH = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


def damaged(path: Path, detail: str) -> DatabaseUnusableError:
    """Return the error for a file whose content cannot be trusted."""
    return DatabaseUnusableError(
        f"The database {path} is damaged or not a database ({detail}). It was left alone: "
        f"put a copy from {path.parent / 'backups'} in its place, or move it away to start afresh"
    )


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite says about the file or the disk into errors of ours.

    What it says about a statement (a broken constraint, a wrong query) passes: that is for the
    store which made it.
    """
    try:
        yield
    except (peewee.DatabaseError, sqlite3.Error) as error:
        # The lowest byte is the kind, the rest tells details: sqlite.org/rescode.html.
        code = _sqlite_code(error) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise StorageFullError("There is no room left on the disk for the database") from error
        if code in _DAMAGED:
            raise damaged(path, str(error)) from error
        if code in _BUSY:
            raise DatabaseBusyError("Another process is keeping the database busy") from error
        if code in _OUT_OF_REACH:
            raise DatabaseUnusableError(
                f"The database {path} cannot be read or written ({error})"
            ) from error
        raise


def _sqlite_code(error: BaseException) -> int:
    # peewee wraps SQLite's own exception, and a rollback that fails hides the failure before it:
    # when SQLite has already rolled back by itself (a full disk), that is the only thing peewee
    # says.
    code = 0
    seen: BaseException | None = error
    while seen is not None:
        code = getattr(seen, "sqlite_errorcode", code)
        if code not in (0, sqlite3.SQLITE_ERROR):
            break
        seen = seen.__cause__ or seen.__context__
    return code
