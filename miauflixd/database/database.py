"""The database, seen from asyncio."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

import peewee

from miauflixd.database import backup
from miauflixd.database.connection import connect, connection, prepare
from miauflixd.database.errors import translated
from miauflixd.database.meta import MetaRow
from miauflixd.database.migration import MIGRATIONS, migrate

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Database:
    """One SQLite file and the one thread that works on it.

    Everything that a store does runs in that thread, one transaction after the other: what a
    function reads inside `run` is still true when it writes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connection(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, migrations: Path = MIGRATIONS) -> AsyncIterator[Self]:
        """Open the file for the length of the block, creating and migrating it as needed.

        Raises:
            DatabaseUnusableError: it is damaged, no database, out of reach or of a later version.
            MigrationFailedError: it could not be brought to this version, and is as it was.
            StorageFullError: there is no room for the copy that is made before a migration.
            DatabaseBusyError: another process does not let go of it.
        """
        database = cls(path)
        try:
            await database._submit(lambda: database._start(migrations))
            yield database
        finally:
            await database._stop()

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    def bind(self, *models: type[peewee.Model]) -> None:
        """Let a store's models speak to this database; the last one that was opened has them."""
        self._connection.bind(models)

    async def run(
        self,
        function: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Call a function in the database's thread, in a transaction, and return what it returns.

        What it raises undoes all that it did. Cancelling the caller does not: the function may
        already be running, and then runs and commits to its end.

        Raises:
            StorageFullError: there is no room; nothing was changed.
            DatabaseUnusableError: the file cannot be read or written any more.
            DatabaseBusyError: another process does not let go of it.
        """

        def transaction() -> Result:
            with translated(self._path), self._connection.atomic():
                return function(*args, **kwargs)

        return await self._submit(transaction)

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
        """Execute SQL inside `run`, where the query builder would be in the way of a fast loop."""
        cursor: sqlite3.Cursor = self._connection.execute_sql(statement, parameters)  # type: ignore[no-untyped-call]  # peewee has no types here
        return cursor

    async def backup(self, target: Path, *, verify: bool = False) -> None:
        """Write a copy as of now to `target`, replacing what is there; nobody waits for it.

        Args:
            target: what stands there is replaced by a whole copy, or left alone.
            verify: read the copy before it gets its name.

        Raises:
            StorageFullError: there is no room for it.
            DatabaseUnusableError: the copy cannot be written, or is damaged.
        """
        # Not in the database's thread: a copy takes seconds where a film must not wait.
        await asyncio.to_thread(backup.copy, self._path, target, verify=verify)

    async def check(self) -> None:
        """Read all of it, and compare the indexes with what they point at; nobody waits for it.

        Raises:
            DatabaseUnusableError: something in it is damaged.
        """
        await asyncio.to_thread(backup.check, self._path)

    async def optimize(self) -> None:
        """Let SQLite look anew at what there is, where that has changed much since it last did."""
        # Some hundred rows of each index tell enough; all of them would hold up everybody else.
        await self.run(self.execute, "PRAGMA analysis_limit = 400")
        await self.run(self.execute, "PRAGMA optimize")

    async def _submit(self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _start(self, migrations: Path) -> None:
        prepare(self._path)
        with translated(self._path):
            connect(self._connection, self._path)
            migrate(self._connection, path=self._path, directory=migrations)
        self.bind(MetaRow)

    async def _stop(self) -> None:
        # The last connection to close writes the log into the file and removes it.
        closing = asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        # Takes no more; what was handed in before, closing last, is done even when nobody waits for
        # it.
        self._thread.shutdown(wait=False)
        # Shielded, since cancelling would take the closing out of the queue.
        await asyncio.shield(closing)
