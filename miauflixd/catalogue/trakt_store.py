"""Accounts with Trakt in the database, their tokens sealed; rows never leave here."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
import peewee

from miauflixd.auth.model import UserId
from miauflixd.catalogue.trakt_model import StoredLink, Tokens
from miauflixd.database.database import Database
from miauflixd.runtime.secrets import Secret
from miauflixd.vault.sealing import Sealer


class _Row(peewee.Model):
    user_id = peewee.TextField(primary_key=True)
    tokens = peewee.BlobField(null=True)
    since = peewee.TextField()
    reason = peewee.TextField()

    class Meta:
        table_name = "trakt_links"


class _Sealed(msgspec.Struct, frozen=True, kw_only=True):
    access: str
    refresh: str
    got_at: datetime
    expires_at: datetime


class TraktStore:
    """Who of the household is linked with Trakt."""

    def __init__(self, *, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        database.bind(_Row)

    async def links(self) -> Mapping[UserId, StoredLink]:
        """Return all of them.

        Raises:
            UnsealError: they were sealed with another key.
        """

        def read() -> dict[UserId, StoredLink]:
            return {UserId(row.user_id): self._link(row) for row in _Row.select()}

        return await self._database.run(read)

    async def save(self, link: StoredLink) -> None:
        """Keep a link, in place of the user's last one."""

        def save() -> None:
            _Row.insert(
                user_id=link.user_id,
                tokens=None if link.tokens is None else self._seal(link.user_id, link.tokens),
                since=link.since.isoformat(),
                reason=link.reason,
            ).on_conflict_replace().execute()

        await self._database.run(save)

    async def remove(self, user_id: UserId) -> None:
        """Forget a user's link, if there is one."""
        await self._database.run(
            lambda: _Row.delete().where(_Row.user_id == user_id).execute(),
        )

    def _link(self, row: _Row) -> StoredLink:
        user_id = UserId(row.user_id)
        return StoredLink(
            user_id=user_id,
            tokens=None if row.tokens is None else self._unseal(user_id, bytes(row.tokens)),
            since=datetime.fromisoformat(row.since),
            reason=row.reason,
        )

    def _seal(self, user_id: UserId, tokens: Tokens) -> bytes:
        content = _Sealed(
            access=tokens.access.reveal(),
            refresh=tokens.refresh.reveal(),
            got_at=tokens.got_at,
            expires_at=tokens.expires_at,
        )
        return self._sealer.seal(msgspec.json.encode(content), purpose=_purpose(user_id))

    def _unseal(self, user_id: UserId, sealed: bytes) -> Tokens:
        content = msgspec.json.decode(
            self._sealer.unseal(sealed, purpose=_purpose(user_id)), type=_Sealed
        )
        return Tokens(
            access=Secret(content.access),
            refresh=Secret(content.refresh),
            got_at=content.got_at,
            expires_at=content.expires_at,
        )


def _purpose(user_id: UserId) -> str:
    # The user is part of it: one's tokens do not open in another's row.
    return f"trakt tokens of {user_id}"
