"""What people have watched, in the database; rows never leave here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec
import peewee

from miauflixd.auth.model import UserId
from miauflixd.catalogue.model import Kind, TitleId
from miauflixd.catalogue.watching import Record
from miauflixd.database.database import Database

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


_FIELDS = (
    _ProgressRow.title_id,
    _ProgressRow.show,
    _ProgressRow.position,
    _ProgressRow.duration,
    _ProgressRow.watched_at,
    _ProgressRow.plays,
    _ProgressRow.updated_at,
)


class WatchingStore:
    """How far everybody is with everything."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        database.bind(_ProgressRow)

    async def records(self, user_id: UserId, ids: Sequence[TitleId]) -> dict[TitleId, Record]:
        """Return what is known of a user and these titles."""
        # One value, where peewee would take longer over hundreds than SQLite over the answer.
        texts = msgspec.json.encode([str(one) for one in ids]).decode()
        wanted = peewee.SQL("(SELECT value FROM json_each(?))", [texts])

        def read() -> dict[TitleId, Record]:
            rows = _ProgressRow.select(*_FIELDS)
            rows = rows.where(_ProgressRow.user_id == user_id, _ProgressRow.title_id.in_(wanted))
            return {record.title_id: record for record in _records(rows)}

        return await self._database.run(read)

    async def save(self, records: Mapping[Key, Record | None]) -> None:
        """Write what is known, all or nothing; `None` is not known any more."""
        rows = [_row(key.user_id, one) for key, one in records.items() if one is not None]
        gone = [key for key, one in records.items() if one is None]

        def save() -> None:
            if rows:
                _ProgressRow.insert_many(rows).on_conflict_replace().execute()
            for key in gone:
                _ProgressRow.delete().where(
                    _ProgressRow.user_id == key.user_id,
                    _ProgressRow.title_id == str(key.title_id),
                ).execute()

        await self._database.run(save)

    async def started(self, user_id: UserId, limit: int) -> list[Record]:
        """Return what a user is in the middle of, the latest first."""

        def read() -> list[Record]:
            rows = _ProgressRow.select(*_FIELDS)
            rows = rows.where(_ProgressRow.user_id == user_id, _ProgressRow.position > 0)
            rows = rows.order_by(_ProgressRow.updated_at.desc(), _ProgressRow.title_id.desc())
            return _records(rows.limit(limit))

        return await self._database.run(read)

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
            matching = _ProgressRow.select(*_FIELDS).where(wanted)
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
            found = _records(rest.limit(limit + 1))
            last = found[limit - 1] if len(found) > limit else None
            mark = None if last is None else _mark(last)
            return found[:limit], mark, total

        return await self._database.run(read)

    async def followed(self, user_id: UserId, *, most: int) -> Sequence[TitleId]:
        """Return the shows that a user has watched something of, the latest first."""

        def read() -> Sequence[TitleId]:
            latest = peewee.fn.MAX(_ProgressRow.updated_at)
            shows = _ProgressRow.select(_ProgressRow.show)
            shows = shows.where(_ProgressRow.user_id == user_id, _ProgressRow.show.is_null(False))  # noqa: FBT003 - peewee's own way
            shows = shows.group_by(_ProgressRow.show).order_by(latest.desc(), _ProgressRow.show)
            return [TitleId(Kind.SHOW, number) for (number,) in _tuples(shows.limit(most))]

        return await self._database.run(read)

    async def following(self, user_id: UserId, shows: Sequence[TitleId]) -> Sequence[Following]:
        """Return how far a user is with these shows, in this order."""

        def read() -> Sequence[Following]:
            found = {show.number: Following(show=show) for show in shows}
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

    async def titles(self) -> set[TitleId]:
        """Return the movies, and the shows of the episodes, that anybody has begun or seen."""

        def read() -> set[TitleId]:
            rows = _tuples(_ProgressRow.select(_ProgressRow.title_id, _ProgressRow.show).distinct())
            return {
                TitleId.parse(title_id) if show is None else TitleId(Kind.SHOW, show)
                for title_id, show in rows
            }

        return await self._database.run(read)

    async def forget_user(self, user_id: UserId) -> None:
        """Forget all that is known of a user."""

        def forget() -> None:
            _ProgressRow.delete().where(_ProgressRow.user_id == user_id).execute()

        await self._database.run(forget)


def _tuples(query: Any) -> Iterator[tuple[Any, ...]]:
    # Not objects, which take four times as long; peewee's stubs know of nothing else.
    yield from query.tuples()


def _row(user_id: UserId, record: Record) -> dict[str, object]:
    return {
        "user_id": user_id,
        "title_id": str(record.title_id),
        "show": None if record.show is None else record.show.number,
        "position": record.position,
        "duration": record.duration,
        "watched_at": None if record.watched_at is None else _microseconds(record.watched_at),
        "plays": record.plays,
        "updated_at": _microseconds(record.updated_at),
    }


def _records(query: Any) -> list[Record]:
    return [
        Record(
            title_id=TitleId.parse(title_id),
            show=None if show is None else TitleId(Kind.SHOW, show),
            position=position,
            duration=duration,
            watched_at=None if watched_at is None else _moment(watched_at),
            plays=plays,
            updated_at=_moment(updated_at),
        )
        for title_id, show, position, duration, watched_at, plays, updated_at in _tuples(query)
    ]


def _mark(record: Record) -> Mark:
    return Mark(_microseconds(record.updated_at), str(record.title_id))


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
