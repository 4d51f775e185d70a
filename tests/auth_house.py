"""A household to sign in to: real sessions and keys, a real database, users in a dictionary."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from miauflixd.auth.device_login import DeviceLogins
from miauflixd.auth.key_store import KeyStore
from miauflixd.auth.model import AuditType, NoUserError, Profile, Role, User, UserId
from miauflixd.auth.purpose_keys import PurposeKeys
from miauflixd.auth.session_store import SessionStore
from miauflixd.auth.sessions import Sessions
from miauflixd.auth.settings import AuthSettings
from miauflixd.auth.stream_keys import StreamKeys
from miauflixd.auth.tokens import AccessTokens, SigningKey
from miauflixd.auth.viewers import Viewers
from miauflixd.database.database import Database
from miauflixd.vault.sealing import Sealer, signing_key

MASTER_KEY = bytes(range(32))
SECRET = signing_key(MASTER_KEY, purpose="access tokens", key_id="1")
HOME = "192.0.2.7"
EPOCH = datetime(2026, 3, 1, 20, 15, tzinfo=UTC)


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = EPOCH

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)


class FakeAccounts:
    """Users that change as the real ones do: with a new version, and at once."""

    def __init__(self) -> None:
        self.users: dict[UserId, User] = {}

    async def get(self, user_id: UserId) -> User:
        try:
            return self.users[user_id]
        except KeyError:
            raise NoUserError("There is no such user") from None

    def add(self, name: str, *, role: Role = Role.USER) -> User:
        user = User(
            id=UserId(name),
            email=f"{name}@example.org",
            display_name=name.title(),
            role=role,
            disabled=False,
            max_rating="PG-13",
            profile=Profile(),
            created_at=EPOCH,
            version=1,
        )
        self.users[user.id] = user
        return user

    def change(self, user: User, **fields: Any) -> User:
        changed = replace(self.users[user.id], version=self.users[user.id].version + 1, **fields)
        self.users[user.id] = changed
        return changed


class Diary:
    """What the audit was told."""

    def __init__(self) -> None:
        self.notes: list[tuple[AuditType, dict[str, object]]] = []

    def note(self, what: AuditType, **details: object) -> None:
        self.notes.append((what, details))

    def kinds(self) -> list[AuditType]:
        return [what for what, _ in self.notes]


@dataclass(kw_only=True)
class House:
    """Everything of one run of the daemon."""

    database: Database
    clock: Clock
    accounts: FakeAccounts
    diary: Diary
    access: AccessTokens
    viewers: Viewers
    sessions: Sessions
    devices: DeviceLogins
    purpose_keys: PurposeKeys
    stream_keys: StreamKeys
    queries: list[str] = field(default_factory=list)
    """The functions that ran in the database."""

    def listen(self) -> None:
        """Take note of what is asked of the database from now on."""
        run = self.database.run

        async def noting(function: Any, /, *args: Any, **kwargs: Any) -> Any:
            self.queries.append(function.__qualname__)
            return await run(function, *args, **kwargs)

        self.database.run = noting  # type: ignore[method-assign]  # of this one object, to count


@asynccontextmanager
async def open_house(
    path: Path,
    *,
    clock: Clock | None = None,
    accounts: FakeAccounts | None = None,
    settings: AuthSettings | None = None,
) -> AsyncIterator[House]:
    """Start a house on a database; the same path, clock and accounts once more are a restart."""
    clock = clock or Clock()
    accounts = accounts or FakeAccounts()
    diary = Diary()
    sealer = Sealer(MASTER_KEY)
    async with Database.open(path) as database:
        store = SessionStore(database=database)
        keys = KeyStore(database=database)
        access = AccessTokens(keys=[SigningKey(id="1", secret=SECRET)], clock=clock)
        viewers = Viewers(accounts=accounts, sessions=store, clock=clock)
        sessions = Sessions(
            settings=settings or AuthSettings(),
            store=store,
            tokens=access,
            viewers=viewers,
            accounts=accounts,
            audit=diary,
            sealer=sealer,
            clock=clock,
        )
        yield House(
            database=database,
            clock=clock,
            accounts=accounts,
            diary=diary,
            access=access,
            viewers=viewers,
            sessions=sessions,
            devices=DeviceLogins(sessions=sessions, audit=diary, clock=clock.seconds),
            purpose_keys=await PurposeKeys.open(
                store=keys, viewers=viewers, audit=diary, sealer=sealer, clock=clock
            ),
            stream_keys=await StreamKeys.open(
                store=keys, viewers=viewers, sealer=sealer, clock=clock
            ),
        )
