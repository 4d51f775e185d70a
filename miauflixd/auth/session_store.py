"""Sessions and their refresh tokens in the database; rows never leave here.

Of a refresh token there is only a keyed hash of it, its mark.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

import peewee

from miauflixd.auth.model import Session, SessionId, UserId
from miauflixd.database.database import Database

_ENDED_KEPT = 100
"""Sessions of a user that are over and still known: each can be told once more why it is."""


class Ending(StrEnum):
    """Why a session is over."""

    SIGNED_OUT = "signed_out"
    SUPERSEDED = "superseded"
    REPLACED = "replaced"
    """The same user signed in on the same device again."""
    REUSED = "reused"
    """A refresh token of it was used a second time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSession:
    """A session with what the device itself is not told."""

    session: Session
    version: int
    """Of the user when they signed in: with a later one of theirs, the session is over."""
    device_id: str | None
    ending: Ending | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RefreshToken:
    """A refresh token as far as it is known."""

    expires_at: datetime
    rotated_at: datetime | None
    """When its successor was given out."""


class Verdict(Enum):
    """What becomes of somebody who presents a refresh token."""

    ROTATE = 1
    REPEAT = 2
    """Its successor is given out once more."""
    REUSED = 3
    """The session ends."""
    EXPIRED = 4
    OVER = 5
    """The session had ended before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """What to write when a refresh token is good: its successor, and since when."""

    mark: bytes
    at: datetime
    expires_at: datetime
    address: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What came of a refresh token."""

    verdict: Verdict
    stored: StoredSession
    """As it is afterwards."""
    rotated_at: datetime | None
    """Since when its successor exists."""
    successor_expires_at: datetime | None


class _SessionRow(peewee.Model):
    id = peewee.TextField(primary_key=True)
    user_id = peewee.TextField(index=True)
    version = peewee.IntegerField()
    name = peewee.TextField()
    device_id = peewee.TextField(null=True)
    address = peewee.TextField()
    created_at = peewee.TextField()
    used_at = peewee.TextField()
    expires_at = peewee.TextField()
    ended_at = peewee.TextField(null=True)
    ending = peewee.TextField(null=True)

    class Meta:
        table_name = "sessions"


class _RefreshRow(peewee.Model):
    mark = peewee.BlobField(primary_key=True)
    session = peewee.ForeignKeyField(_SessionRow, column_name="session_id", on_delete="CASCADE")
    expires_at = peewee.TextField()
    rotated_at = peewee.TextField(null=True)

    class Meta:
        table_name = "refresh_tokens"


class SessionStore:
    """The sessions of everybody.

    Users are kept elsewhere and not referred to by key: a session of somebody who is gone opens
    nothing, for its user is looked up before it does, and ids are not used twice.
    """

    def __init__(self, *, database: Database) -> None:
        self._database = database
        database.bind(_SessionRow, _RefreshRow)

    async def add(self, new: StoredSession, *, mark: bytes, most: int) -> Sequence[StoredSession]:
        """Add a session with its first refresh token, and return those that ended for it.

        These are the user's earlier ones with the same device id, and the least recently used of
        those beyond `most`.
        """
        session = new.session

        def add() -> list[StoredSession]:
            over = self._make_room(new, most=most)
            _SessionRow.create(
                id=session.id,
                user_id=session.user_id,
                version=new.version,
                name=session.name,
                device_id=new.device_id,
                address=session.address,
                created_at=_text(session.created_at),
                used_at=_text(session.used_at),
                expires_at=_text(session.expires_at),
            )
            _RefreshRow.create(mark=mark, session=session.id, expires_at=_text(session.expires_at))
            return over

        return await self._database.run(add)

    async def find(self, session_id: SessionId) -> StoredSession | None:
        """Return a session, also one that is over."""

        def find() -> StoredSession | None:
            row = _SessionRow.get_or_none(_SessionRow.id == session_id)
            return None if row is None else _stored(row)

        return await self._database.run(find)

    async def find_by_mark(self, mark: bytes) -> StoredSession | None:
        """Return the session that a refresh token belongs to, also one that is over."""

        def find() -> StoredSession | None:
            row = _RefreshRow.get_or_none(_RefreshRow.mark == mark)
            return None if row is None else _stored(row.session)

        return await self._database.run(find)

    async def refresh(
        self,
        mark: bytes,
        *,
        judge: Callable[[RefreshToken, StoredSession], tuple[Verdict, Rotation]],
    ) -> Judged | None:
        """Judge a refresh token and do what follows; `None`: there is no such token.

        Invariant: of a session at most one token is not rotated. Judging and writing are one
        transaction, and transactions come one after the other: of several who present the same
        token at once, one is first, and the others are judged by what that one wrote.
        """

        def refresh() -> Judged | None:
            token = _RefreshRow.get_or_none(_RefreshRow.mark == mark)
            if token is None:
                return None
            row = token.session
            verdict, rotation = judge(
                RefreshToken(
                    expires_at=datetime.fromisoformat(token.expires_at),
                    rotated_at=_time(token.rotated_at),
                ),
                _stored(row),
            )
            if verdict is Verdict.ROTATE:
                _rotate(token, row, rotation)
            elif verdict is Verdict.REUSED:
                _end(row, Ending.REUSED, rotation.at)
            successor = _RefreshRow.get_or_none(_RefreshRow.mark == rotation.mark)
            return Judged(
                verdict=verdict,
                stored=_stored(row),
                rotated_at=_time(token.rotated_at),
                successor_expires_at=(
                    None if successor is None else datetime.fromisoformat(successor.expires_at)
                ),
            )

        return await self._database.run(refresh)

    async def of_user(self, user_id: UserId, *, version: int, now: datetime) -> Sequence[Session]:
        """Return the living sessions of a user, the last used first."""

        def read() -> list[Session]:
            rows = _living(user_id, version, now).order_by(_SessionRow.used_at.desc())
            return [_stored(row).session for row in rows]

        return await self._database.run(read)

    async def end(self, session_id: SessionId, *, ending: Ending, now: datetime) -> bool:
        """End a session, and return whether it was alive."""

        def end() -> bool:
            row = _SessionRow.get_or_none(_SessionRow.id == session_id)
            if row is None or row.ending is not None:
                return False
            _end(row, ending, now)
            return True

        return await self._database.run(end)

    async def carry_over(self, session_id: SessionId, *, version: int) -> None:
        """Let a session live on with a new version of its user."""

        def carry_over() -> None:
            _SessionRow.update(version=version).where(_SessionRow.id == session_id).execute()

        await self._database.run(carry_over)

    async def tidy(self, used: Mapping[SessionId, tuple[datetime, str]], *, now: datetime) -> None:
        """Write down when sessions were last used and from where; forget those long over."""

        def tidy() -> None:
            for session_id, (at, address) in used.items():
                _SessionRow.update(used_at=_text(at), address=address).where(
                    (_SessionRow.id == session_id) & (_SessionRow.used_at < _text(at))
                ).execute()
            _SessionRow.delete().where(_SessionRow.expires_at < _text(now)).execute()

        await self._database.run(tidy)

    # --- inside a transaction ---------------------------------------------------------------------

    def _make_room(self, new: StoredSession, *, most: int) -> list[StoredSession]:
        now = new.session.created_at
        rows = list(
            _living(new.session.user_id, new.version, now).order_by(
                _SessionRow.used_at, _SessionRow.created_at, peewee.SQL("rowid")
            )
        )
        replaced = [row for row in rows if row.device_id and row.device_id == new.device_id]
        for row in replaced:
            _end(row, Ending.REPLACED, now)
        others = [row for row in rows if row not in replaced]
        superseded = others[: max(0, len(others) + 1 - most)]
        for row in superseded:
            _end(row, Ending.SUPERSEDED, now)
        _forget_ended(new.session.user_id)
        return [_stored(row) for row in (*replaced, *superseded)]


def _rotate(token: _RefreshRow, row: _SessionRow, rotation: Rotation) -> None:
    token.rotated_at = _text(rotation.at)
    token.save()
    _RefreshRow.create(mark=rotation.mark, session=row.id, expires_at=_text(rotation.expires_at))
    row.used_at = _text(rotation.at)
    row.expires_at = _text(rotation.expires_at)
    row.address = rotation.address
    row.save()


def _end(row: _SessionRow, ending: Ending, now: datetime) -> None:
    row.ended_at = _text(now)
    row.ending = ending
    row.save()


def _forget_ended(user_id: UserId) -> None:
    """Bound what somebody leaves behind who signs in over and over."""
    ended = (
        _SessionRow.select(_SessionRow.id)
        .where((_SessionRow.user_id == user_id) & _SessionRow.ending.is_null(is_null=False))
        .order_by(_SessionRow.ended_at.desc())
        .offset(_ENDED_KEPT)
        .limit(-1)
    )
    _SessionRow.delete().where(_SessionRow.id.in_(ended)).execute()


def _living(
    user_id: UserId, version: int, now: datetime
) -> "peewee.ModelSelect[_SessionRow]":  # quoted: it takes a type in its stubs only
    """Select the sessions of a user that are not over."""
    return _SessionRow.select().where(
        (_SessionRow.user_id == user_id)
        & (_SessionRow.version == version)
        & _SessionRow.ending.is_null()
        & (_SessionRow.expires_at > _text(now))
    )


def _stored(row: _SessionRow) -> StoredSession:
    return StoredSession(
        session=Session(
            id=SessionId(row.id),
            user_id=UserId(row.user_id),
            name=row.name,
            address=row.address,
            created_at=datetime.fromisoformat(row.created_at),
            used_at=datetime.fromisoformat(row.used_at),
            expires_at=datetime.fromisoformat(row.expires_at),
        ),
        version=row.version,
        device_id=row.device_id,
        ending=None if row.ending is None else Ending(row.ending),
    )


def _text(time: datetime) -> str:
    """Return a time as text of one length, so that SQL can tell which of two is earlier."""
    return time.isoformat(timespec="microseconds")


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
