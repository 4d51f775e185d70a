"""The household: all that has to do with accounts, built together and kept going."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from miauflixd.auth.accounts import Accounts
from miauflixd.auth.audit import Audit
from miauflixd.auth.audit_store import AuditStore
from miauflixd.auth.device_login import DeviceLogins
from miauflixd.auth.key_store import KeyStore
from miauflixd.auth.lockout import Lockout
from miauflixd.auth.passwords import Cost, Passwords
from miauflixd.auth.purpose_keys import PurposeKeys
from miauflixd.auth.session_store import SessionStore
from miauflixd.auth.sessions import Sessions
from miauflixd.auth.settings import AuthSettings
from miauflixd.auth.setup_code import SetupCode
from miauflixd.auth.stream_keys import StreamKeys
from miauflixd.auth.tokens import AccessTokens, SigningKey
from miauflixd.auth.upkeep import Upkeep
from miauflixd.auth.user_store import UserStore
from miauflixd.auth.viewers import Viewers
from miauflixd.database.database import Database
from miauflixd.runtime.services import running
from miauflixd.vault.sealing import Sealer, signing_key

_KEY_ID = "1"
"""The name of the key that signs access tokens; another name would be another key."""


class _Forgetting:
    """Removes from the audit what it need not keep any more."""

    def __init__(self, audit: Audit, *, days: int) -> None:
        self._audit = audit
        self.days = days

    async def forget(self) -> int:
        return await self._audit.prune(timedelta(days=self.days))


@dataclass(frozen=True, kw_only=True, slots=True)
class Household:
    """Who lives here, who is signed in, and what was done by whom."""

    accounts: Accounts
    setup_code: SetupCode
    audit: Audit
    viewers: Viewers
    sessions: Sessions
    devices: DeviceLogins
    purpose_keys: PurposeKeys
    stream_keys: StreamKeys
    forgetting: _Forgetting

    def configure(self, settings: AuthSettings) -> None:
        """Use other settings from now on; what has been given out stays as it is."""
        self.sessions.configure(settings)
        self.forgetting.days = settings.audit_days

    async def forget(self) -> int:
        """Forget what was done longer ago than the settings want it kept; return how much."""
        return await self.forgetting.forget()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        settings: AuthSettings,
        database: Database,
        sealer: Sealer,
        master_key: bytes,
        cost: Cost | None = None,
        clock: Callable[[], datetime] | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> AsyncIterator["Household"]:
        """Know everybody, and write down what happens, for the length of the block.

        Args:
            settings: how long people stay signed in.
            database: where everything is kept.
            sealer: makes marks of tokens, by which they are found and which open nothing.
            master_key: the key of this house, from which the one that signs tokens is derived.
            cost: what a guess at a password costs.
            clock: the time of day, in UTC.
            seconds: a clock that is never set back.
        """
        clock = clock or _now
        async with AsyncExitStack() as stack:
            audit = Audit(store=AuditStore(database=database), clock=clock)
            await stack.enter_async_context(running("audit", audit.run))
            users = UserStore(database=database, clock=clock)
            accounts = Accounts(
                store=users,
                passwords=stack.enter_context(Passwords.open(cost or Cost())),
                lockout=Lockout(clock=seconds),
                audit=audit,
            )
            stored_sessions = SessionStore(database=database)
            viewers = Viewers(accounts=accounts, sessions=stored_sessions, clock=clock)
            secret = signing_key(master_key, purpose="access tokens", key_id=_KEY_ID)
            sessions = Sessions(
                settings=settings,
                store=stored_sessions,
                tokens=AccessTokens(keys=[SigningKey(id=_KEY_ID, secret=secret)], clock=clock),
                viewers=viewers,
                accounts=accounts,
                audit=audit,
                sealer=sealer,
                clock=clock,
            )
            keys = KeyStore(database=database)
            purpose_keys = await PurposeKeys.open(
                store=keys, viewers=viewers, audit=audit, sealer=sealer, clock=clock
            )
            stream_keys = await StreamKeys.open(
                store=keys, viewers=viewers, sealer=sealer, clock=clock
            )
            forgetting = _Forgetting(audit, days=settings.audit_days)
            upkeep = Upkeep([sessions, purpose_keys, stream_keys])
            await stack.enter_async_context(running("upkeep of accounts", upkeep.run))
            yield cls(
                accounts=accounts,
                setup_code=SetupCode(store=users),
                audit=audit,
                viewers=viewers,
                sessions=sessions,
                devices=DeviceLogins(sessions=sessions, audit=audit, clock=seconds),
                purpose_keys=purpose_keys,
                stream_keys=stream_keys,
                forgetting=forgetting,
            )


def _now() -> datetime:
    return datetime.now(UTC)
