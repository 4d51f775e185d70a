"""Accounts: who belongs to this household, and that they are who they say."""

import hmac
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from msgspec import UNSET, UnsetType

from miauflixd.auth.audit import Audit
from miauflixd.auth.lockout import Lockout, plain
from miauflixd.auth.model import (
    Actor,
    AlreadySetUpError,
    AuditType,
    InvalidCredentialsError,
    InvalidSetupCodeError,
    NewUser,
    NoUserError,
    OutdatedError,
    Role,
    User,
    UserChanges,
    UserId,
    WrongPasswordError,
)
from miauflixd.auth.names import checked_email, checked_name, checked_rating, email_key
from miauflixd.auth.passwords import Passwords, prepared, require_good
from miauflixd.auth.setup_code import digest_of
from miauflixd.auth.user_store import Draft, StoredUser, UserStore
from miauflixd.errors import RateLimitedError

_log = logging.getLogger(__name__)

_SETUP = "\0setup"
"""What the lockout calls guessing at the setup code; no e-mail address looks like this."""


class Accounts:
    """The users, and the doors that they come in by."""

    def __init__(
        self, *, store: UserStore, passwords: Passwords, lockout: Lockout, audit: Audit
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._lockout = lockout
        self._audit = audit
        self._has_users = False
        self._known: dict[UserId, User] = {}
        self._changes = 0
        self._listeners: list[Callable[[UserId], None]] = []

    # --- the first user ---------------------------------------------------------------------------

    async def setup_required(self) -> bool:
        """Return whether there is nobody yet."""
        # Once there is somebody there always is: the last administrator cannot be removed.
        if not self._has_users:
            self._has_users = not await self._store.is_empty()
        return not self._has_users

    async def setup(
        self, *, code: str, email: str, password: str, display_name: str, address: str
    ) -> User:
        """Add the first user, an administrator, for who has the setup code.

        Raises:
            AlreadySetUpError: there are users.
            InvalidSetupCodeError: that is not the code.
            InvalidUserError: the e-mail address or the name cannot be used.
            PasswordRejectedError: the password is not good enough.
            RateLimitedError: too many wrong codes came from there.
        """
        if not await self.setup_required():
            raise AlreadySetUpError("This machine has its first user already")
        try:
            async with self._attempt(account=_SETUP, address=address):
                digest = digest_of(code)
                # Before anything that costs: who has no code gets no hash made.
                if not hmac.compare_digest(digest, await self._store.setup_digest() or b""):
                    raise InvalidSetupCodeError("This is not the setup code")
                new = NewUser(
                    email=email, password=password, display_name=display_name, role=Role.ADMIN
                )
                user = await self._store.add_first(await self._draft(new), setup_digest=digest)
        except InvalidSetupCodeError:
            self._audit.note(AuditType.SETUP_REFUSED, address=address)
            raise
        self._audit.note(AuditType.SETUP, user_id=user.id, address=address)
        _log.info("The first account was set up")
        return user

    # --- passwords --------------------------------------------------------------------------------

    async def sign_in(self, *, email: str, password: str, address: str) -> User:
        """Return whose e-mail address and password these are.

        Whether there is no such user, the password is wrong or the account disabled: the answer is
        the same, and takes as long.

        Raises:
            InvalidCredentialsError: nobody's.
            RateLimitedError: there were too many attempts, or there are too many at once.
        """
        key = email_key(email)
        stored = None if key is None else await self._store.find_by_email(key)
        user_id = None if stored is None else stored.user.id
        try:
            async with self._attempt(account=key, address=address, user_id=user_id):
                user = await self._verified(stored, password)
                if user is None or user.disabled:
                    raise InvalidCredentialsError("The e-mail address or the password is wrong")
        except InvalidCredentialsError:
            self._audit.note(AuditType.SIGN_IN_FAILED, user_id=user_id, address=address)
            raise
        self._audit.note(AuditType.SIGN_IN, user_id=user.id, address=address)
        return user

    async def change_password(
        self, user_id: UserId, *, current: str, new: str, address: str
    ) -> User:
        """Change one's own password; sessions from before are of an earlier version.

        Raises:
            WrongPasswordError: `current` is not the present one.
            PasswordRejectedError: the new one is not good enough.
            RateLimitedError: there were too many attempts.
            OutdatedError: it was changed in the meantime.
            NoUserError: there is no user of this id.
        """
        stored = await self._stored(user_id)
        try:
            async with self._attempt(
                account=email_key(stored.user.email), address=address, user_id=user_id
            ):
                if not await self._passwords.verify(stored.password_hash, current):
                    raise WrongPasswordError("This is not the present password")
        except WrongPasswordError:
            self._audit.note(AuditType.PASSWORD_REFUSED, user_id=user_id, address=address)
            raise
        hashed = await self._hashed(new, stored.user.email, stored.user.display_name)
        with self._changing(user_id):
            user = await self._store.replace_password(user_id, hashed, version=stored.user.version)
        self._audit.note(AuditType.PASSWORD_CHANGED, user_id=user_id, address=address)
        return user

    async def set_password(self, user_id: UserId, new: str, *, actor: Actor) -> User:
        """Give somebody another password; all their sessions end.

        Raises:
            PasswordRejectedError: it is not good enough.
            NoUserError: there is no user of this id.
        """
        stored = await self._stored(user_id)
        hashed = await self._hashed(new, stored.user.email, stored.user.display_name)
        with self._changing(user_id):
            user = await self._store.replace_password(user_id, hashed)
        self._note(AuditType.PASSWORD_CHANGED, actor, user_id)
        return user

    # --- users ------------------------------------------------------------------------------------

    async def all(self) -> list[User]:
        """Return everybody, in the order in which they came."""
        return await self._store.all()

    async def get(self, user_id: UserId) -> User:
        """Return a user, out of memory as a rule, and never as they were before the last change.

        Raises:
            NoUserError: there is none of this id.
        """
        if (known := self._known.get(user_id)) is not None:
            return known
        changes = self._changes
        user = (await self._stored(user_id)).user
        # Read after the last change, or not remembered: the database does one thing at a time, and
        # what was asked for after a change is read after it.
        if changes == self._changes:
            self._known[user_id] = user
        return user

    async def user_version(self, user_id: UserId) -> int | None:
        """Return the version that a session of this user must be of; `None`: none may live."""
        try:
            user = await self.get(user_id)
        except NoUserError:
            return None
        return None if user.disabled else user.version

    def on_change(self, listener: Callable[[UserId], None]) -> None:
        """Call this whenever a user may have been changed or deleted; what is read then is new."""
        self._listeners.append(listener)

    async def create(self, new: NewUser, *, actor: Actor) -> User:
        """Add somebody.

        Raises:
            InvalidUserError: the e-mail address or a name cannot be used.
            EmailTakenError: somebody has this address.
            PasswordRejectedError: the password is not good enough.
            LastAdminError: the first user must be an administrator.
        """
        user = await self._store.add(await self._draft(new))
        self._note(AuditType.USER_CREATED, actor, user.id, role=user.role.value)
        return user

    async def update(self, user_id: UserId, changes: UserChanges, *, actor: Actor) -> User:
        """Change somebody.

        Raises:
            NoUserError: there is none of this id.
            InvalidUserError: the e-mail address or a name cannot be used.
            EmailTakenError: somebody else has this address.
            LastAdminError: nobody would be left to administer this machine.
        """
        key = None
        if not isinstance(changes.email, UnsetType):
            email, key = checked_email(changes.email)
            changes = replace(changes, email=email)
        if not isinstance(changes.display_name, UnsetType):
            changes = replace(changes, display_name=checked_name(changes.display_name))
        if isinstance(changes.max_rating, str):
            changes = replace(changes, max_rating=checked_rating(changes.max_rating))
        with self._changing(user_id):
            before, after = await self._store.change(user_id, changes, email_key=key)
        changed = [
            name
            for name in UserChanges.__dataclass_fields__
            if getattr(changes, name) is not UNSET and getattr(before, name) != getattr(after, name)
        ]
        if after.disabled and not before.disabled:
            self._note(AuditType.USER_DISABLED, actor, user_id)
            changed.remove("disabled")
        if changed:
            self._note(AuditType.USER_CHANGED, actor, user_id, changed=", ".join(changed))
        return after

    async def delete(self, user_id: UserId, *, actor: Actor) -> None:
        """Remove somebody; what they did stays in the audit.

        Raises:
            NoUserError: there is none of this id.
            LastAdminError: nobody would be left to administer this machine.
        """
        with self._changing(user_id):
            await self._store.remove(user_id)
        self._note(AuditType.USER_DELETED, actor, user_id)

    # --- within -----------------------------------------------------------------------------------

    @asynccontextmanager
    async def _attempt(
        self, *, account: str | None, address: str, user_id: UserId | None = None
    ) -> AsyncIterator[None]:
        """Count the block as an attempt at an account, unless it ends well or never took place.

        A wrong password or code, and being cancelled on the way, is a failure.

        Raises:
            RateLimitedError: there were too many.
        """
        refusal = self._lockout.attempt(account=account, address=address)
        if refusal is not None:
            if refusal.is_first:
                self._log_refusal(address)
            self._audit.note(AuditType.LOCKED_OUT, user_id=user_id, address=address)
            raise RateLimitedError(
                "There were too many attempts. Wait a little before the next",
                retry_after=refusal.retry_after,
            )
        try:
            yield
        except (InvalidCredentialsError, InvalidSetupCodeError, WrongPasswordError):
            self._log_refusal(address)
            raise
        except Exception:
            # Nothing was learnt about a password: the queue was full, or something is broken.
            self._lockout.withdrawn(account=account, address=address)
            raise
        if account in (None, _SETUP):
            self._lockout.withdrawn(account=account, address=address)
        elif account is not None:
            self._lockout.succeeded(account=account, address=address)

    def _log_refusal(self, address: str) -> None:
        # Stable: fail2ban looks for this line (docs/decisions/0012-passwords.md).
        _log.warning("Sign-in refused from %s", plain(address))

    async def _verified(self, stored: StoredUser | None, password: str) -> User | None:
        """Return the user as they are now, if this is their password."""
        hashed = None if stored is None else stored.password_hash
        if not await self._passwords.verify(hashed, password) or stored is None:
            return None
        # Verifying took a while, in which they may have been disabled or got another password.
        now = await self._store.find(stored.user.id)
        if now is None or now.user.version != stored.user.version:
            return None
        if self._passwords.is_outdated(stored.password_hash):
            await self._rehash(stored, password)
        return now.user

    async def _rehash(self, stored: StoredUser, password: str) -> None:
        """Keep a password at today's cost; it is as good as ever if that does not work now."""
        text = prepared(password)
        if text is None:
            return
        try:
            hashed = await self._passwords.hash(text)
            await self._store.replace_password(
                stored.user.id, hashed, version=stored.user.version, is_same_password=True
            )
        except (RateLimitedError, OutdatedError, NoUserError):
            return

    async def _stored(self, user_id: UserId) -> StoredUser:
        stored = await self._store.find(user_id)
        if stored is None:
            raise NoUserError("There is no such user")
        return stored

    async def _draft(self, new: NewUser) -> Draft:
        email, key = checked_email(new.email)
        display_name = checked_name(new.display_name)
        return Draft(
            email=email,
            email_key=key,
            display_name=display_name,
            role=new.role,
            max_rating=None if new.max_rating is None else checked_rating(new.max_rating),
            password_hash=await self._hashed(new.password, email, display_name),
        )

    async def _hashed(self, password: str, email: str, display_name: str) -> str:
        names = (email, email.rpartition("@")[0], display_name)
        return await self._passwords.hash(require_good(password, names=names))

    @contextmanager
    def _changing(self, user_id: UserId) -> Iterator[None]:
        """Forget what is known of a user when the block ends, however it ends.

        Also when it is cancelled: the database may already be at it, and then goes on.
        """
        try:
            yield
        finally:
            self._changes += 1
            self._known.pop(user_id, None)
            for listener in self._listeners:
                listener(user_id)

    def _note(self, what: AuditType, actor: Actor, user_id: UserId, **details: str) -> None:
        self._audit.note(
            what, user_id=actor.user_id, address=actor.address, user=user_id, **details
        )
