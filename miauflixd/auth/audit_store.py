"""What was done, in the database; rows never leave here."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import peewee

from miauflixd.auth.model import AuditEntry, AuditEvent, AuditPage, AuditType, UserId
from miauflixd.database.database import Database

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_AT_ONCE = 2000
"""Rows to delete before others get their turn in the database's thread: some milliseconds."""


class _AuditRow(peewee.Model):
    id = peewee.AutoField()
    at = peewee.BigIntegerField(index=True)
    type = peewee.TextField()
    user = peewee.TextField(null=True, column_name="user_id")
    address = peewee.TextField(null=True)
    details = peewee.TextField()

    class Meta:
        table_name = "audit"


class AuditStore:
    """All that was done, in the order in which it was written down."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._details = msgspec.json.Decoder(dict[str, str | int | bool])
        database.bind(_AuditRow)

    async def add(self, events: Sequence[AuditEvent]) -> None:
        """Write events down, all or none."""
        rows = [
            {
                "at": _microseconds(event.at),
                "type": event.type.value,
                "user": event.user_id,
                "address": event.address,
                "details": msgspec.json.encode(event.details).decode(),
            }
            for event in events
        ]

        def add() -> None:
            if rows:
                _AuditRow.insert_many(rows).execute()

        await self._database.run(add)

    async def page(
        self,
        *,
        types: Sequence[AuditType] = (),
        user_id: UserId | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        limit: int,
    ) -> AuditPage:
        """Return the latest events that fit, written before a certain one."""
        wanted: list[peewee.Expression] = []
        if types:
            wanted.append(_AuditRow.type.in_([kind.value for kind in types]))
        if user_id is not None:
            wanted.append(_AuditRow.user == user_id)
        if since is not None:
            wanted.append(_AuditRow.at >= _microseconds(since))
        if until is not None:
            wanted.append(_AuditRow.at < _microseconds(until))

        def read() -> AuditPage:
            matching = _AuditRow.select()
            for condition in wanted:
                matching = matching.where(condition)
            total = matching.count()
            # By id, not by time: the clock of a Raspberry Pi starts wrong and is set later.
            rest = matching.order_by(_AuditRow.id.desc())
            if before is not None:
                rest = rest.where(_AuditRow.id < before)
            rows = list(rest.limit(limit + 1))
            more = len(rows) > limit
            return AuditPage(
                entries=tuple(self._entry(row) for row in rows[:limit]),
                next_cursor=str(rows[limit - 1].id) if more else None,
                total=total,
            )

        return await self._database.run(read)

    async def remove_before(self, moment: datetime) -> int:
        """Forget what happened earlier, and return how much that was."""

        def remove() -> int:
            old = (
                _AuditRow.select(_AuditRow.id)
                .where(_AuditRow.at < _microseconds(moment))
                .limit(_AT_ONCE)
            )
            return int(_AuditRow.delete().where(_AuditRow.id.in_(old)).execute())

        removed = 0
        while some := await self._database.run(remove):
            removed += some
        return removed

    def _entry(self, row: _AuditRow) -> AuditEntry:
        return AuditEntry(
            id=row.id,
            event=AuditEvent(
                type=AuditType(row.type),
                at=_EPOCH + timedelta(microseconds=row.at),
                user_id=None if row.user is None else UserId(row.user),
                address=row.address,
                details=self._details.decode(row.details),
            ),
        )


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
