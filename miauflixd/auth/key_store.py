"""Keys in the database, by their marks only; rows never leave here.

The tables are read once, at the start, and written through: they are small, for a user may have
so many keys and no more, and what is not in memory then does not exist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

import peewee

from miauflixd.auth.model import KeyId, KeyPurpose, SessionId, UserId
from miauflixd.database.database import Database

_PURPOSES: Mapping[str, KeyPurpose] = {purpose: purpose for purpose in get_args(KeyPurpose)}


@dataclass(frozen=True, kw_only=True, slots=True)
class PurposeKey:
    """A revocable token for one purpose, without the token."""

    id: KeyId
    user_id: UserId
    purpose: KeyPurpose
    name: str
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamKey:
    """What a key in the address of a stream opens."""

    user_id: UserId
    session_id: SessionId | None
    """`None`: it was given to one of the user's own keys."""
    source_id: str
    file: int | None
    playback_id: str | None
    expires_at: datetime


class _PurposeRow(peewee.Model):
    id = peewee.TextField(primary_key=True)
    mark = peewee.BlobField(unique=True)
    user_id = peewee.TextField()
    purpose = peewee.TextField()
    name = peewee.TextField()
    created_at = peewee.TextField()
    used_at = peewee.TextField(null=True)

    class Meta:
        table_name = "purpose_keys"


class _StreamRow(peewee.Model):
    mark = peewee.BlobField(primary_key=True)
    user_id = peewee.TextField()
    session_id = peewee.TextField(null=True)
    source_id = peewee.TextField()
    file = peewee.IntegerField(null=True)
    playback_id = peewee.TextField(null=True)
    expires_at = peewee.TextField()

    class Meta:
        table_name = "stream_keys"


class KeyStore:
    """The keys that have been given out."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        database.bind(_PurposeRow, _StreamRow)

    async def purpose_keys(self) -> Mapping[bytes, PurposeKey]:
        """Return all of them by their marks, the oldest first."""

        def read() -> dict[bytes, PurposeKey]:
            rows = _PurposeRow.select().order_by(_PurposeRow.created_at, peewee.SQL("rowid"))
            return {bytes(row.mark): _purpose_key(row) for row in rows}

        return await self._database.run(read)

    async def add_purpose_key(self, mark: bytes, key: PurposeKey) -> None:
        """Add one."""

        def add() -> None:
            _PurposeRow.create(
                id=key.id,
                mark=mark,
                user_id=key.user_id,
                purpose=key.purpose,
                name=key.name,
                created_at=key.created_at.isoformat(),
            )

        await self._database.run(add)

    async def remove_purpose_keys(self, marks: Sequence[bytes]) -> None:
        """Remove those that are there."""
        await self._database.run(lambda: _remove(_PurposeRow, marks))

    async def used_purpose_keys(self, used: Mapping[KeyId, datetime]) -> None:
        """Write down when they were last used."""

        def write() -> None:
            for key_id, at in used.items():
                _PurposeRow.update(used_at=at.isoformat()).where(_PurposeRow.id == key_id).execute()

        await self._database.run(write)

    async def stream_keys(self) -> Mapping[bytes, StreamKey]:
        """Return all of them by their marks, the first to expire first."""

        def read() -> dict[bytes, StreamKey]:
            rows = _StreamRow.select().order_by(_StreamRow.expires_at)
            return {bytes(row.mark): _stream_key(row) for row in rows}

        return await self._database.run(read)

    async def change_stream_keys(
        self, *, written: Mapping[bytes, StreamKey], removed: Sequence[bytes]
    ) -> None:
        """Write these, over what is there of them, and remove those."""

        def change() -> None:
            for mark, key in written.items():
                _StreamRow.insert(
                    mark=mark,
                    user_id=key.user_id,
                    session_id=key.session_id,
                    source_id=key.source_id,
                    file=key.file,
                    playback_id=key.playback_id,
                    expires_at=key.expires_at.isoformat(timespec="microseconds"),
                ).on_conflict_replace().execute()
            _remove(_StreamRow, removed)

        await self._database.run(change)


def _remove(rows: type[_PurposeRow | _StreamRow], marks: Sequence[bytes]) -> None:
    # One by one: SQLite takes so many values in a statement and no more.
    for mark in marks:
        rows.delete().where(rows.mark == mark).execute()


def _purpose_key(row: _PurposeRow) -> PurposeKey:
    return PurposeKey(
        id=KeyId(row.id),
        user_id=UserId(row.user_id),
        purpose=_PURPOSES[row.purpose],
        name=row.name,
        created_at=datetime.fromisoformat(row.created_at),
        used_at=None if row.used_at is None else datetime.fromisoformat(row.used_at),
    )


def _stream_key(row: _StreamRow) -> StreamKey:
    return StreamKey(
        user_id=UserId(row.user_id),
        session_id=None if row.session_id is None else SessionId(row.session_id),
        source_id=row.source_id,
        file=row.file,
        playback_id=row.playback_id,
        expires_at=datetime.fromisoformat(row.expires_at),
    )
