"""Purpose keys: tokens for programs that cannot sign in, each for one thing and revocable alone."""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol, Self

from miauflixd.auth.key_store import KeyStore, PurposeKey
from miauflixd.auth.model import (
    AuditType,
    InvalidTokenError,
    KeyId,
    KeyPurpose,
    Role,
    UserId,
    Viewer,
)
from miauflixd.auth.viewers import Viewers
from miauflixd.errors import ConflictError, ForbiddenError, NotFoundError
from miauflixd.vault.sealing import Sealer

_PER_USER = 50
"""Keys of one user: more than a household has programs."""

_FOR_ADMINS = frozenset[KeyPurpose]({"metrics"})
"""What figures say of the tunnel and the machine is for admins, as it is elsewhere."""

_FORM = re.compile(r"mfx_[a-z]{1,16}_[\w-]{32}", re.ASCII)


class NoKeyError(NotFoundError):
    """The viewer has no key of this id."""

    code = "no_key"


class TooManyKeysError(ConflictError):
    """The user has as many keys as one may have."""

    code = "too_many_keys"


class KeyForAdminsError(ForbiddenError):
    """Keys for this purpose belong to admins."""

    code = "key_for_admins"


class Audit(Protocol):
    """Where is written down what was done by whom."""

    def note(
        self, what: AuditType, *, user_id: UserId | None, address: str | None, **details: str
    ) -> None:
        """Write down what happened; never a key."""
        ...


class PurposeKeys:
    """The keys of the household's programs.

    A key opens what its purpose says, for a user without any power over the machine: it stands in
    addresses, which get around, so an admin's key makes no admin.
    """

    def __init__(
        self,
        *,
        store: KeyStore,
        viewers: Viewers,
        audit: Audit,
        sealer: Sealer,
        clock: Callable[[], datetime],
    ) -> None:
        """Begin without keys; `open` reads those that there are."""
        self._store = store
        self._viewers = viewers
        self._audit = audit
        self._sealer = sealer
        self._clock = clock
        self._keys: dict[bytes, PurposeKey] = {}
        self._used: dict[KeyId, datetime] = {}

    @classmethod
    async def open(
        cls,
        *,
        store: KeyStore,
        viewers: Viewers,
        audit: Audit,
        sealer: Sealer,
        clock: Callable[[], datetime],
    ) -> Self:
        """Return the keys that there are."""
        keys = cls(store=store, viewers=viewers, audit=audit, sealer=sealer, clock=clock)
        keys._keys.update(await store.purpose_keys())
        return keys

    async def create(
        self, user_id: UserId, *, purpose: KeyPurpose, name: str, address: str | None
    ) -> tuple[str, PurposeKey]:
        """Return a new key, and what is known of it: the key itself is shown this once.

        Raises:
            InvalidTokenError: the user is disabled or gone.
            KeyForAdminsError: only admins may have a key for this.
            TooManyKeysError: the user has enough of them.
        """
        if purpose in _FOR_ADMINS and (await self._viewers.of_user(user_id)).role is not Role.ADMIN:
            raise KeyForAdminsError("Only an admin can make a key for this")
        # Nothing waits between counting and adding.
        if len(self.of_user(user_id)) >= _PER_USER:
            raise TooManyKeysError(
                f"You have {_PER_USER} keys. Revoke one that is not in use, and try again"
            )
        text = f"mfx_{purpose}_{secrets.token_urlsafe(24)}"
        key = PurposeKey(
            id=KeyId(secrets.token_hex(8)),
            user_id=user_id,
            purpose=purpose,
            name=name,
            created_at=self._clock(),
            used_at=None,
        )
        mark = self._mark(text)
        self._keys[mark] = key
        try:
            await self._store.add_purpose_key(mark, key)
        except BaseException:
            # Nobody has seen it: it must not count, nor be listed.
            self._keys.pop(mark, None)
            raise
        self._audit.note(
            AuditType.KEY_CREATED,
            user_id=user_id,
            address=address,
            key_id=key.id,
            purpose=purpose,
        )
        return text, key

    def of_user(self, user_id: UserId) -> Sequence[PurposeKey]:
        """Return the keys of a user, the oldest first."""
        return [key for key in self.all() if key.user_id == user_id]

    def all(self) -> Sequence[PurposeKey]:
        """Return the keys of everybody, the oldest first."""
        return [
            replace(key, used_at=self._used.get(key.id, key.used_at)) for key in self._keys.values()
        ]

    async def revoke(self, key_id: KeyId, *, user_id: UserId | None, address: str | None) -> None:
        """Let one of a user's keys open nothing any more; with no user: a key of anybody.

        Raises:
            NoKeyError: there is no such key, or it is not theirs.
        """
        found = [
            (mark, key)
            for mark, key in self._keys.items()
            if key.id == key_id and user_id in {None, key.user_id}
        ]
        if not found:
            raise NoKeyError("You have no such key")
        [(mark, key)] = found
        await self._remove([mark])
        self._audit.note(
            AuditType.KEY_REVOKED,
            user_id=user_id,
            address=address,
            key_id=key_id,
            purpose=key.purpose,
        )

    async def forget_user(self, user_id: UserId) -> None:
        """Remove the keys of somebody who is gone; they open nothing anyway."""
        await self._remove([mark for mark, key in self._keys.items() if key.user_id == user_id])

    async def check(self, text: str, purpose: KeyPurpose) -> Viewer:
        """Return whose key this is, usually without asking the database.

        Raises:
            InvalidTokenError: it is no key, not for this, revoked, or its user may not come in.
        """
        key = self._keys.get(self._mark(text)) if _FORM.fullmatch(text) else None
        if key is None or key.purpose != purpose:
            raise _invalid()
        viewer = await self._viewers.of_user(key.user_id)
        if purpose in _FOR_ADMINS and viewer.role is not Role.ADMIN:
            raise _invalid()
        self._used[key.id] = self._clock()
        return replace(viewer, role=Role.USER)

    async def tidy(self) -> None:
        """Write down when keys were last used; once a minute."""
        used, self._used = self._used, {}
        for mark, key in self._keys.items():
            if key.id in used:
                self._keys[mark] = replace(key, used_at=used[key.id])
        if used:
            await self._store.used_purpose_keys(used)

    async def _remove(self, marks: Sequence[bytes]) -> None:
        for mark in marks:
            key = self._keys.pop(mark)
            self._used.pop(key.id, None)
        await self._store.remove_purpose_keys(marks)

    def _mark(self, text: str) -> bytes:
        return self._sealer.fingerprint(text.encode(), purpose="purpose_keys.mark")


def _invalid() -> InvalidTokenError:
    return InvalidTokenError("This key is not good, or not any more")
