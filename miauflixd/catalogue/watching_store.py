"""What people have watched, in the database; rows never leave here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import peewee

from miauflixd.auth.model import UserId
from miauflixd.catalogue.model import Kind, TitleId
from miauflixd.catalogue.watching import Record
from miauflixd.database.database import Database

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_AT_ONCE = 500
"""Ids in one statement; SQLite takes 32,766 values, and others want their turn."""


class Key(NamedTuple):
    """Whose progress with what."""

    user_id: UserId
    title_id: TitleId


class Mark(NamedTuple):
    """Where a page of what somebody has watched ends."""

    updated_at: int
    """Microseconds since 1970."""
    title_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Following:
    """A show that somebody follows."""

    show: TitleId
    seen: set[TitleId] = field(default_factory=set)
    """The episodes that they have watched."""
    started: set[TitleId] = field(default_factory=set)
    """Those that they are in the middle of."""


class _ProgressRow(peewee.Model):
    user_id = peewee.TextField()
    title_id = peewee.TextField()
    show = peewee.BigIntegerField(null=True)
    position = peewee.FloatField()
    duration = peewee.FloatField()
    watched_at = peewee.BigIntegerField(null=True)
    plays = peewee.IntegerField()
    updated_at = peewee.BigIntegerField()

    class Meta:
        table_name = "progress"
        primary_key = peewee.CompositeKey("user_id", "title_id")


class WatchingStore:
    """How far everybody is with everything."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        database.bind(_ProgressRow)

    async def records(self, user_id: UserId, ids: Sequence[TitleId]) -> dict[TitleId, Record]:
        """Return what is known of a user and these titles."""

        def read() -> dict[TitleId, Record]:
            found: dict[TitleId, Record] = {}
            for some in _some(ids):
                rows = _ProgressRow.select().where(
                    _ProgressRow.user_id == user_id,
                    _ProgressRow.title_id.in_([str(one) for one in some]),
                )
                found |= {record.title_id: record for record in map(_record, rows)}
            return found

        return await self._database.run(read)

    async def save(self, records: Mapping[Key, Record | None]) -> None:
        """Write what is known, all or nothing; `None` is not known any more."""

        def save() -> None:
            for key, record in records.items():
                if record is None:
                    _ProgressRow.delete().where(
                        _ProgressRow.user_id == key.user_id,
                        _ProgressRow.title_id == str(key.title_id),
                    ).execute()
                else:
                    _write(key.user_id, record)

        await self._database.run(save)

    async def page(
        self,
        user_id: UserId,
        *,
        state: Literal["started", "watched"] | None,
        behind: Mark | None,
        limit: int,
    ) -> tuple[Sequence[Record], Mark | None, int]:
        """Return a page, the latest first, where the next one begins, and how many there are."""
        wanted = _ProgressRow.user_id == user_id
        if state == "started":
            wanted &= _ProgressRow.position > 0
        elif state == "watched":
            wanted &= _ProgressRow.watched_at.is_null(False)  # noqa: FBT003 - peewee's own way

        def read() -> tuple[Sequence[Record], Mark | None, int]:
            matching = _ProgressRow.select().where(wanted)
            total = matching.count()
            rest = matching.order_by(_ProgressRow.updated_at.desc(), _ProgressRow.title_id.desc())
            if behind is not None:
                rest = rest.where(
                    (_ProgressRow.updated_at < behind.updated_at)
                    | (
                        (_ProgressRow.updated_at == behind.updated_at)
                        & (_ProgressRow.title_id < behind.title_id)
                    )
                )
            rows = list(rest.limit(limit + 1))
            last = rows[limit - 1] if len(rows) > limit else None
            mark = None if last is None else Mark(last.updated_at, last.title_id)
            return [_record(row) for row in rows[:limit]], mark, total

        return await self._database.run(read)

    async def following(self, user_id: UserId, *, most: int) -> Sequence[Following]:
        """Return the shows that a user has watched something of, the latest first."""

        def read() -> Sequence[Following]:
            latest = peewee.fn.MAX(_ProgressRow.updated_at)
            shows = _ProgressRow.select(_ProgressRow.show)
            shows = shows.where(_ProgressRow.user_id == user_id, _ProgressRow.show.is_null(False))  # noqa: FBT003 - peewee's own way
            shows = shows.group_by(_ProgressRow.show).order_by(latest.desc(), _ProgressRow.show)
            found = {
                number: Following(show=TitleId(Kind.SHOW, number))
                for (number,) in _tuples(shows.limit(most))
            }
            episodes = _ProgressRow.select(
                _ProgressRow.show,
                _ProgressRow.title_id,
                _ProgressRow.position,
                _ProgressRow.watched_at,
            ).where(_ProgressRow.user_id == user_id, _ProgressRow.show.in_(list(found)))
            for number, title_id, position, watched_at in _tuples(episodes):
                episode = TitleId.parse(title_id)
                if watched_at is not None:
                    found[number].seen.add(episode)
                if position > 0:
                    found[number].started.add(episode)
            return list(found.values())

        return await self._database.run(read)

    async def forget_user(self, user_id: UserId) -> None:
        """Forget all that is known of a user."""

        def forget() -> None:
            _ProgressRow.delete().where(_ProgressRow.user_id == user_id).execute()

        await self._database.run(forget)


def _tuples(query: Any) -> Iterator[tuple[Any, ...]]:
    # Not objects, which take four times as long; peewee's stubs know of nothing else.
    yield from query.tuples()


def _some(ids: Sequence[TitleId]) -> Iterator[Sequence[TitleId]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]


def _write(user_id: UserId, record: Record) -> None:
    _ProgressRow.insert(
        user_id=user_id,
        title_id=str(record.title_id),
        show=None if record.show is None else record.show.number,
        position=record.position,
        duration=record.duration,
        watched_at=None if record.watched_at is None else _microseconds(record.watched_at),
        plays=record.plays,
        updated_at=_microseconds(record.updated_at),
    ).on_conflict_replace().execute()


def _record(row: _ProgressRow) -> Record:
    return Record(
        title_id=TitleId.parse(row.title_id),
        show=None if row.show is None else TitleId(Kind.SHOW, row.show),
        position=row.position,
        duration=row.duration,
        watched_at=None if row.watched_at is None else _moment(row.watched_at),
        plays=row.plays,
        updated_at=_moment(row.updated_at),
    )


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
