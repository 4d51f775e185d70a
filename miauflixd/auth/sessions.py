"""Sessions: a device signs in once, and stays signed in by exchanging its refresh token in time.

A refresh token is good once. Exchanged, it has a successor, and shown again it is a sign of theft:
the thief or the owner has the successor, nobody can tell who, so the session ends for both.

Unless it is shown again within `RACE`: then an answer was lost on the way, or two tabs woke at the
same moment, and the answer is the same once more. For that nothing is kept that a thief could use:
a successor is the HMAC of its predecessor under a key of this machine, and the id of an access
token that of the refresh token beside it, so the same answer can be made again, even by a daemon
that was started in between, out of the old token (which only the device has) and the time of the
exchange (which is in the database). Without the key, a successor cannot be told from 256 random
bits.
"""

import logging
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol, assert_never

from miauflixd.auth.model import (
    AuditType,
    InvalidTokenError,
    Session,
    SessionId,
    TokenExpiredError,
    Tokens,
    User,
    UserId,
    Viewer,
)
from miauflixd.auth.session_store import (
    Ending,
    RefreshToken,
    Rotation,
    SessionStore,
    StoredSession,
    Verdict,
)
from miauflixd.auth.settings import AuthSettings
from miauflixd.auth.tokens import AccessTokens, Claims
from miauflixd.auth.viewers import Accounts, Viewers, over
from miauflixd.errors import NotFoundError, UnauthenticatedError
from miauflixd.vault.sealing import Sealer

_log = logging.getLogger(__name__)

RACE = timedelta(seconds=10)
"""How long after its exchange a refresh token may be shown again (the contract's number)."""

_PREFIX = "mfr_"
_REFRESH_TOKEN = re.compile(rf"{_PREFIX}[0-9a-f]{{64}}")

_NAME_LIMIT = 80
_DEVICE_ID_LIMIT = 128


class NoSessionError(NotFoundError):
    """The viewer has no session of this id."""

    code = "no_session"


class Audit(Protocol):
    """Where is written down what was done by whom."""

    def note(
        self, what: AuditType, *, user_id: UserId | None, address: str | None, **details: str
    ) -> None:
        """Write down what happened; never a token."""
        ...


class Sessions:
    """Who is signed in, and on which devices."""

    def __init__(
        self,
        *,
        settings: AuthSettings,
        store: SessionStore,
        tokens: AccessTokens,
        viewers: Viewers,
        accounts: Accounts,
        audit: Audit,
        sealer: Sealer,
        clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._store = store
        self._access = tokens
        self._viewers = viewers
        self._accounts = accounts
        self._audit = audit
        self._sealer = sealer
        self._clock = clock
        self._used: dict[SessionId, tuple[datetime, str]] = {}

    def configure(self, settings: AuthSettings) -> None:
        """Use other settings from now on; what has been given out stays as it is."""
        self._settings = settings

    async def open(
        self, user: User, *, name: str, address: str, device_id: str | None = None
    ) -> Tokens:
        """Sign a user in on a device; that it is the user has been proved before.

        `user` is as they were then: with another password since, the session is over at once.

        A device that says who it is (`device_id`, its own choice) replaces its earlier session of
        the same user; other users' sessions on it are left alone.

        Raises:
            InvalidTokenError: the user has been changed, disabled or deleted meanwhile.
        """
        now = self._clock()
        refresh = _PREFIX + secrets.token_hex(32)
        stored = StoredSession(
            session=Session(
                id=SessionId(secrets.token_hex(8)),
                user_id=user.id,
                name=_plain(name) or "A device",
                address=address,
                created_at=now,
                used_at=now,
                expires_at=self._refresh_until(now, signed_in_at=now),
            ),
            version=user.version,
            device_id=device_id and device_id[:_DEVICE_ID_LIMIT],
            ending=None,
        )
        with self._viewers.changing():
            ended = await self._store.add(
                stored, mark=self._mark(refresh), most=self._settings.max_devices
            )
        self._viewers.forget(*(each.session.id for each in ended))
        for each in ended:
            self._audit.note(
                AuditType.SESSION_ENDED,
                user_id=user.id,
                address=address,
                session_id=each.session.id,
                ending=each.ending or "",
            )
        return await self._tokens(stored, refresh, since=now, until=stored.session.expires_at)

    async def refresh(self, refresh_token: str, *, address: str) -> Tokens:
        """Exchange a refresh token for the next pair of tokens.

        Raises:
            TokenExpiredError: it was not used for too long, or the sign-in is too long ago.
            SessionSupersededError: the session ended for that of another device.
            InvalidTokenError: it is none, the session is over, or it has been exchanged before, in
                which case the session is over now.
        """
        if _REFRESH_TOKEN.fullmatch(refresh_token) is None:
            raise _unknown()
        now = self._clock()
        successor = self._successor(refresh_token)
        mark = self._mark(successor)

        def decide(token: RefreshToken, stored: StoredSession) -> tuple[Verdict, Rotation]:
            until = self._refresh_until(now, signed_in_at=stored.session.created_at)
            rotation = Rotation(mark=mark, at=now, expires_at=until, address=address)
            return judge(token, stored.ending, now=now), rotation

        with self._viewers.changing():
            judged = await self._store.refresh(self._mark(refresh_token), judge=decide)
        if judged is None:
            raise _unknown()
        session = judged.stored.session
        match judged.verdict:
            case Verdict.ROTATE | Verdict.REPEAT:
                self._viewers.forget(session.id)  # it lives longer now
                return await self._tokens(
                    judged.stored,
                    successor,
                    # A token that was exchanged has a successor, which has both.
                    since=judged.rotated_at or now,
                    until=judged.successor_expires_at or now,
                )
            case Verdict.EXPIRED:
                raise TokenExpiredError("This session has expired. Sign in again")
            case Verdict.OVER:
                raise over(judged.stored.ending)
            case Verdict.REUSED:
                self._viewers.forget(session.id)
                _log.warning("A refresh token was used twice; session %s is over", session.id)
                self._audit.note(
                    AuditType.REFRESH_REUSED,
                    user_id=session.user_id,
                    address=address,
                    session_id=session.id,
                )
                raise over(Ending.REUSED)
            case _:
                assert_never(judged.verdict)

    async def authenticate(self, access_token: str, *, address: str | None = None) -> Viewer:
        """Return who shows an access token; usually without asking the database.

        Raises:
            TokenExpiredError: it has expired; a new one can be had for the refresh token.
            SessionSupersededError: the session ended for that of another device.
            InvalidTokenError: it is none, or the session is over.
        """
        claims = self._access.verify(access_token)
        viewer, version = await self._viewers.of_session(claims.session_id)
        # An earlier version is that of a session that was carried over: others would be over. A
        # later one is from a future that was undone by a copy of the database.
        if claims.version > version:
            raise _unknown()
        if address is not None:
            self._used[claims.session_id] = (self._clock(), address)
        return viewer

    async def of_user(self, user_id: UserId) -> Sequence[Session]:
        """Return the sessions of a user, the last used first.

        Raises:
            NoUserError: there is none of this id.
        """
        user = await self._accounts.get(user_id)
        stored = await self._store.of_user(user_id, version=user.version, now=self._clock())
        sessions = [self._as_used(session) for session in stored]
        return sorted(sessions, key=lambda session: session.used_at, reverse=True)

    async def end(self, session_id: SessionId, *, user_id: UserId, address: str) -> None:
        """End one of a user's own sessions.

        Raises:
            NoSessionError: the user has none of this id, or not any more.
        """
        stored = await self._store.find(session_id)
        is_own = stored is not None and stored.session.user_id == user_id
        if not (is_own and await self._end(session_id, Ending.SIGNED_OUT)):
            raise NoSessionError("You have no such session")
        self._audit.note(
            AuditType.SESSION_ENDED, user_id=user_id, address=address, session_id=session_id
        )

    async def log_out(
        self, *, access_token: str | None = None, refresh_token: str | None = None, address: str
    ) -> None:
        """End the session of these tokens, expired or not; nothing happens when there is none."""
        for session_id in {
            *self._session_of_access(access_token or ""),
            *await self._session_of_refresh(refresh_token or ""),
        }:
            stored = await self._store.find(session_id)
            if stored is not None and await self._end(session_id, Ending.SIGNED_OUT):
                self._audit.note(
                    AuditType.SIGNED_OUT,
                    user_id=stored.session.user_id,
                    address=address,
                    session_id=session_id,
                )

    async def carry_over(self, session_id: SessionId, user: User) -> None:
        """Let the one session live on from which a user was changed, their password say.

        The user's other sessions are of an earlier version now, and so are over already.
        """
        with self._viewers.changing():
            await self._store.carry_over(session_id, version=user.version)
        self._viewers.forget(session_id)

    async def tidy(self) -> None:
        """Write down when sessions were last used, and forget those long over; once a minute."""
        used, self._used = self._used, {}
        await self._store.tidy(used, now=self._clock())

    # --- tokens -----------------------------------------------------------------------------------

    async def _tokens(
        self, stored: StoredSession, refresh: str, *, since: datetime, until: datetime
    ) -> Tokens:
        """Return the pair that was given out at a time: the same arguments, the same pair."""
        session = stored.session
        user = await self._viewers.user_of(stored)
        since = since.replace(microsecond=0)  # as tokens write it
        access_until = min(since + timedelta(seconds=self._settings.access_lifetime), until)
        access = self._access.issue(
            Claims(
                user_id=session.user_id,
                session_id=session.id,
                version=user.version,
                role=user.role,
                token_id=self._derived(refresh, "access token")[:32],
                issued_at=since,
                expires_at=access_until,
            )
        )
        return Tokens(
            access=access,
            access_expires_in=int((access_until - since).total_seconds()),
            refresh=refresh,
            refresh_expires_in=int((until - since).total_seconds()),
            session=session,
            user=user,
        )

    def _refresh_until(self, now: datetime, *, signed_in_at: datetime) -> datetime:
        """Return when a token that is given out now expires: with its chain at the latest."""
        return min(
            now + timedelta(seconds=self._settings.refresh_lifetime),
            signed_in_at + timedelta(seconds=self._settings.chain_lifetime),
        )

    def _successor(self, refresh_token: str) -> str:
        return _PREFIX + self._derived(refresh_token, "successor of a refresh token")

    def _derived(self, refresh_token: str, purpose: str) -> str:
        return self._sealer.fingerprint(refresh_token.encode(), purpose=purpose).hex()

    def _mark(self, refresh_token: str) -> bytes:
        return self._sealer.fingerprint(refresh_token.encode(), purpose="refresh_tokens.mark")

    # --- sessions ---------------------------------------------------------------------------------

    async def _end(self, session_id: SessionId, ending: Ending) -> bool:
        with self._viewers.changing():
            was_alive = await self._store.end(session_id, ending=ending, now=self._clock())
        self._viewers.forget(session_id)
        return was_alive

    def _session_of_access(self, token: str) -> Sequence[SessionId]:
        try:
            return [self._access.verify(token, expired_is_fine=True).session_id]
        except UnauthenticatedError:
            return []

    async def _session_of_refresh(self, token: str) -> Sequence[SessionId]:
        if _REFRESH_TOKEN.fullmatch(token) is None:
            return []
        stored = await self._store.find_by_mark(self._mark(token))
        return [] if stored is None else [stored.session.id]

    def _as_used(self, session: Session) -> Session:
        """Return a session with what is not written down yet."""
        used_at, address = self._used.get(session.id, (session.used_at, session.address))
        if used_at < session.used_at:
            return session
        return replace(session, used_at=used_at, address=address)


def judge(token: RefreshToken, ending: Ending | None, *, now: datetime) -> Verdict:
    """Return what becomes of somebody who shows a refresh token now."""
    if ending is not None:
        return Verdict.OVER
    if token.rotated_at is not None:
        # In both directions: a clock that was set back a little makes no thief.
        return Verdict.REPEAT if abs(now - token.rotated_at) <= RACE else Verdict.REUSED
    return Verdict.EXPIRED if token.expires_at <= now else Verdict.ROTATE


def _unknown() -> InvalidTokenError:
    return InvalidTokenError("This is not a token of this machine")


def _plain(name: str) -> str:
    """Return a device's name in one short line of what can be printed."""
    return "".join(filter(str.isprintable, name)).strip()[:_NAME_LIMIT]
