"""Users in the database, and the setup code that makes the first; rows never leave here."""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec
import peewee

from miauflixd.auth.model import (
    AlreadySetUpError,
    EmailTakenError,
    InvalidSetupCodeError,
    LastAdminError,
    NoUserError,
    OutdatedError,
    Profile,
    Role,
    User,
    UserChanges,
    UserId,
)
from miauflixd.database import meta
from miauflixd.database.database import Database

_SETUP_CODE = "setup_code_digest"
"""Name of the digest of the setup code among the facts of the database; empty when it was used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A user as they are to be written down, all checked."""

    email: str
    email_key: str
    """What is compared: two addresses with the same are the same."""
    display_name: str
    role: Role
    max_rating: str | None = None
    password_hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredUser:
    """A user, and what their password is compared with."""

    user: User
    password_hash: str


class _UserRow(peewee.Model):
    id = peewee.TextField(primary_key=True)
    email = peewee.TextField()
    email_key = peewee.TextField(unique=True)
    display_name = peewee.TextField()
    role = peewee.TextField()
    disabled = peewee.BooleanField(default=False)
    max_rating = peewee.TextField(null=True)
    profile = peewee.TextField()
    password_hash = peewee.TextField()
    version = peewee.IntegerField(default=1)
    created_at = peewee.TextField()

    class Meta:
        table_name = "users"


class UserStore:
    """The people of this household.

    What holds after each of these verbs: where there are users, one of them is an administrator who
    is not disabled; and while there are none, the setup code opens one account.
    """

    def __init__(self, *, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._profiles = msgspec.json.Decoder(Profile)
        database.bind(_UserRow)

    async def is_empty(self) -> bool:
        """Return whether there is nobody yet."""
        return await self._database.run(_is_empty)

    async def setup_digest(self) -> bytes | None:
        """Return the digest of the setup code, if there is one."""
        return await self._database.run(lambda: meta.read(_SETUP_CODE) or None)

    async def save_setup_digest(self, digest: bytes) -> None:
        """Let this code open the first account, and no other.

        Raises:
            AlreadySetUpError: there are users.
        """

        def save() -> None:
            _require_empty()
            meta.write(_SETUP_CODE, digest)

        await self._database.run(save)

    async def add_first(self, draft: Draft, *, setup_digest: bytes) -> User:
        """Add the first user, who is an administrator, and use up the code.

        Of two at once one comes first, and the other too late.

        Raises:
            AlreadySetUpError: there are users.
            InvalidSetupCodeError: the code is another one by now.
        """

        def add() -> User:
            _require_empty()
            digest = meta.read(_SETUP_CODE)
            if not digest or not hmac.compare_digest(digest, setup_digest):
                raise InvalidSetupCodeError("This is not the setup code")
            meta.write(_SETUP_CODE, b"")
            return self._create(draft)

        return await self._database.run(add)

    async def add(self, draft: Draft) -> User:
        """Add a user.

        Raises:
            EmailTakenError: somebody has this address.
            LastAdminError: the first user must be an administrator.
        """

        def add() -> User:
            _require_free(draft.email_key)
            user = self._create(draft)
            _require_admin()
            return user

        return await self._database.run(add)

    async def all(self) -> list[User]:
        """Return everybody, in the order in which they came."""

        def read() -> list[User]:
            return [self._user(row) for row in _UserRow.select().order_by(peewee.SQL("rowid"))]

        return await self._database.run(read)

    async def find(self, user_id: UserId) -> StoredUser | None:
        """Return a user, if there is one of this id."""
        return await self._database.run(lambda: self._stored(_UserRow.id == user_id))

    async def find_by_email(self, email_key: str) -> StoredUser | None:
        """Return the user with this address, if there is one."""
        return await self._database.run(lambda: self._stored(_UserRow.email_key == email_key))

    async def change(
        self, user_id: UserId, changes: UserChanges, *, email_key: str | None = None
    ) -> tuple[User, User]:
        """Change a user, and return them as they were and as they are.

        Raises:
            NoUserError: there is none of this id.
            EmailTakenError: somebody else has this address.
            LastAdminError: nobody would be left to administer this machine.
        """

        def change() -> tuple[User, User]:
            row = _row(user_id)
            before = self._user(row)
            if email_key is not None and email_key != row.email_key:
                _require_free(email_key)
                row.email_key = email_key
            # Walked over by hand: `asdict` would take the profile apart, too.
            for name in UserChanges.__dataclass_fields__:
                value = getattr(changes, name)
                if value is not msgspec.UNSET:
                    setattr(row, name, _column(value))
            if row.role != before.role or (row.disabled and not before.disabled):
                row.version += 1
            row.save()
            _require_admin()
            return before, self._user(row)

        return await self._database.run(change)

    async def replace_password(
        self,
        user_id: UserId,
        password_hash: str,
        *,
        version: int | None = None,
        is_same_password: bool = False,
    ) -> User:
        """Keep another hash; unless it is of the same password, earlier sessions end.

        Raises:
            NoUserError: there is no user of this id.
            OutdatedError: the user is of another version by now.
        """

        def replace() -> User:
            row = _row(user_id)
            if version is not None and row.version != version:
                raise OutdatedError("The account was changed in the meantime")
            row.password_hash = password_hash
            if not is_same_password:
                row.version += 1
            row.save()
            return self._user(row)

        return await self._database.run(replace)

    async def remove(self, user_id: UserId) -> User:
        """Forget a user, and return who that was.

        Raises:
            NoUserError: there is none of this id.
            LastAdminError: nobody would be left to administer this machine.
        """

        def remove() -> User:
            row = _row(user_id)
            row.delete_instance()
            _require_admin()
            return self._user(row)

        return await self._database.run(remove)

    # --- inside a transaction ---------------------------------------------------------------------

    def _create(self, draft: Draft) -> User:
        return self._user(
            _UserRow.create(
                id=secrets.token_hex(8),
                email=draft.email,
                email_key=draft.email_key,
                display_name=draft.display_name,
                role=draft.role.value,
                max_rating=draft.max_rating,
                profile=_column(Profile()),
                password_hash=draft.password_hash,
                created_at=self._clock().isoformat(),
            )
        )

    def _stored(self, condition: peewee.Expression) -> StoredUser | None:
        row = _UserRow.get_or_none(condition)
        if row is None:
            return None
        return StoredUser(user=self._user(row), password_hash=row.password_hash)

    def _user(self, row: _UserRow) -> User:
        return User(
            id=UserId(row.id),
            email=row.email,
            display_name=row.display_name,
            role=Role(row.role),
            disabled=bool(row.disabled),
            max_rating=row.max_rating,
            profile=self._profiles.decode(row.profile),
            created_at=datetime.fromisoformat(row.created_at),
            version=row.version,
        )


def _column(value: str | bool | Role | Profile | None) -> str | bool | None:  # noqa: FBT001 - a value of any column, not a switch
    if isinstance(value, Profile):
        return msgspec.json.encode(value).decode()
    return value.value if isinstance(value, Role) else value


def _row(user_id: UserId) -> _UserRow:
    row = _UserRow.get_or_none(_UserRow.id == user_id)
    if not isinstance(row, _UserRow):
        raise NoUserError("There is no such user")
    return row


def _is_empty() -> bool:
    return not _UserRow.select().exists()


def _require_empty() -> None:
    if not _is_empty():
        raise AlreadySetUpError("This machine has its first user already")


def _require_free(email_key: str) -> None:
    if _UserRow.select().where(_UserRow.email_key == email_key).exists():
        raise EmailTakenError("Somebody has this e-mail address already")


def _require_admin() -> None:
    """Undo it all when nobody could administer this machine any more."""
    admins = _UserRow.select().where(
        (_UserRow.role == Role.ADMIN.value) & (_UserRow.disabled == False)  # noqa: E712 - SQL, not Python
    )
    if not admins.exists():
        raise LastAdminError("There must be an administrator who is not disabled")
