"""Tasks in the database; rows never leave here."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

import peewee

from miauflixd.database.database import Database
from miauflixd.jobs.model import Record
from miauflixd.jobs.moments import from_number, to_number

T = TypeVar("T")


class _TaskRow(peewee.Model):
    name = peewee.TextField(primary_key=True)
    started = peewee.BigIntegerField(null=True)
    finished = peewee.BigIntegerField(null=True)
    took = peewee.BigIntegerField()
    result = peewee.TextField(null=True)
    error = peewee.TextField(null=True)
    runs = peewee.IntegerField()
    failed = peewee.IntegerField()
    failures = peewee.IntegerField()
    rests = peewee.IntegerField()
    rests_until = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "tasks"


class _CursorRow(peewee.Model):
    task = peewee.TextField(primary_key=True)
    cursor = peewee.BlobField()

    class Meta:
        table_name = "task_cursors"


class TaskStore:
    """What became of the last run of each task, and how far it came."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        database.bind(_TaskRow, _CursorRow)

    async def records(self) -> Mapping[str, Record]:
        """Return what is kept of each task, by its name; of some, they may be gone."""
        return await self._database.run(lambda: {row.name: _record(row) for row in _TaskRow})

    async def write(self, records: Mapping[str, Record]) -> None:
        """Write these over what is there of them."""

        def write() -> None:
            for name, record in records.items():
                _TaskRow.insert(name=name, **_values(record)).on_conflict_replace().execute()

        await self._database.run(write)

    async def cursor(self, task: str) -> bytes | None:
        """Return how far a task came; only the task knows what it means."""

        def read() -> bytes | None:
            row = _CursorRow.get_or_none(_CursorRow.task == task)
            return None if row is None else bytes(row.cursor)

        return await self._database.run(read)

    async def checkpoint(self, task: str, cursor: bytes | None, also: Callable[[], T]) -> T:
        """Write how far a task came, and whatever else `also` writes: both, or neither.

        Args:
            task: its name.
            cursor: from where it would go on; `None`: from the beginning.
            also: called in the same transaction, in the database's thread.
        """

        def write() -> T:
            if cursor is None:
                _CursorRow.delete().where(_CursorRow.task == task).execute()
            else:
                _CursorRow.insert(task=task, cursor=cursor).on_conflict_replace().execute()
            return also()

        return await self._database.run(write)


def _record(row: _TaskRow) -> Record:
    return Record(
        started=None if row.started is None else from_number(row.started),
        finished=None if row.finished is None else from_number(row.finished),
        took=timedelta(microseconds=row.took),
        result=row.result,
        error=row.error,
        runs=row.runs,
        failed=row.failed,
        failures=row.failures,
        rests=row.rests,
        rests_until=None if row.rests_until is None else from_number(row.rests_until),
    )


def _values(record: Record) -> dict[str, object]:
    until = record.rests_until
    return {
        "started": None if record.started is None else to_number(record.started),
        "finished": None if record.finished is None else to_number(record.finished),
        "took": record.took // timedelta(microseconds=1),
        "result": record.result,
        "error": record.error,
        "runs": record.runs,
        "failed": record.failed,
        "failures": record.failures,
        "rests": record.rests,
        "rests_until": None if until is None else to_number(until),
    }
