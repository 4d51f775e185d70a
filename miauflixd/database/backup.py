"""Copies of a database, made while it is in use."""

import errno
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from miauflixd.database.errors import DatabaseUnusableError, damaged, translated
from miauflixd.errors import StorageFullError

_KEPT = 3
"""Copies from before a migration that stay: enough to step back over three updates."""


def copy(source: Path, target: Path, *, verify: bool = False) -> None:
    """Write a copy of a database to `target`, whole or not at all.

    It reads through a connection of its own, in one step and therefore from one moment; with WAL,
    whoever writes meanwhile does not wait.

    Args:
        source: the database.
        target: what stands there is replaced at the very end.
        verify: read all of the copy before.

    Raises:
        StorageFullError: there is no room for it.
        DatabaseUnusableError: the source or the copy is damaged, or the target cannot be written.
    """
    try:
        _copy(source, target, verify=verify)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError("There is no room for a copy of the database") from error
        raise DatabaseUnusableError(
            f"The database cannot be copied to {target} ({error.strerror})"
        ) from error


def check(path: Path) -> None:
    """Read all of a database that may be in use, through a connection of its own.

    Raises:
        DatabaseUnusableError: it is damaged.
    """
    with (
        translated(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as reader,
    ):
        _require(reader, path)


def _copy(source: Path, target: Path, *, verify: bool) -> None:
    partial = target.with_name(f".{target.name}.partial")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial.unlink(missing_ok=True)  # from a run that was killed
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with (
            translated(source),
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True)) as reader,
            closing(sqlite3.connect(partial)) as writer,
        ):
            reader.backup(writer)
        if verify:
            _verify(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    # The content was synced by SQLite; the new name is not until the directory is.
    _sync(target.parent)


def _verify(copied: Path) -> None:
    # Immutable: nobody else knows of it yet, and no log is to appear beside it.
    uri = f"{copied.absolute().as_uri()}?mode=ro&immutable=1"
    with translated(copied), closing(sqlite3.connect(uri, uri=True)) as reader:
        # Not the quick one, which takes some sound tables for damaged: see `connection.connect`.
        _require(reader, copied)


def _require(reader: sqlite3.Connection, path: Path) -> None:
    (verdict,) = reader.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise damaged(path, str(verdict).splitlines()[-1])


def copy_before(migration: str, source: Path) -> Path:
    """Copy a database as it is before a migration, and drop copies that are of no more use.

    Of several copies before the same migration only the newest stays: a migration that fails at
    every start would otherwise push out the copies of all earlier versions.
    """
    number = migration.partition("_")[0]
    folder = source.parent / "backups"
    target = folder / f"before-{number}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.sqlite3"
    copy(source, target)
    newest_first = sorted(folder.glob("before-*-*.sqlite3"), key=_written, reverse=True)
    same = [path for path in newest_first if _number(path) == number]
    others = [path for path in newest_first if _number(path) != number]
    for path in same[1:] + others[_KEPT - 1 :]:
        path.unlink(missing_ok=True)
    return target


def _number(path: Path) -> str:
    return path.stem.split("-")[1]


def _written(path: Path) -> tuple[str, str]:
    # The number decides between two of the same second.
    return path.stem.split("-")[2], _number(path)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
