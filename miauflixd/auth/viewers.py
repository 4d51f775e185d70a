"""Who stands behind a session or a user, from memory: every request asks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from miauflixd.auth.model import (
    InvalidTokenError,
    NoUserError,
    SessionId,
    TokenExpiredError,
    User,
    UserId,
    Viewer,
)
from miauflixd.auth.session_store import Ending, StoredSession
from miauflixd.errors import UnauthenticatedError
from miauflixd.runtime.remembered import Remembered

_SESSIONS = 4096
"""Sessions that are remembered, some 4 MB: a household never has as many, and somebody who shows
old tokens of many only makes the database read."""


class SessionSupersededError(UnauthenticatedError):
    """The session ended because its user signed in on one device too many."""

    code = "session_superseded"


class Accounts(Protocol):
    """The users, as far as sessions need them."""

    async def get(self, user_id: UserId) -> User:
        """Return a user, from memory, and never as they were before the last change.

        Raises:
            NoUserError: there is none of this id.
        """
        ...


class Sessions(Protocol):
    """The sessions as they are written down."""

    async def find(self, session_id: SessionId) -> StoredSession | None:
        """Return a session, also one that is over."""
        ...


class Viewers:
    """Tells who a session or a user is.

    Invariant: nobody gets in on what is not true any more. Users are asked for each time, and
    `Accounts` forgets what it changes. Sessions are remembered here: whoever changes one does it
    inside `changing`, and calls `forget` before saying that it is done.
    """

    def __init__(
        self, *, accounts: Accounts, sessions: Sessions, clock: Callable[[], datetime]
    ) -> None:
        self._accounts = accounts
        self._clock = clock
        self._sessions = Remembered(sessions.find, size=_SESSIONS)

    async def of_session(self, session_id: SessionId) -> tuple[Viewer, int]:
        """Return who uses a session, and of which version they are.

        Raises:
            SessionSupersededError: it ended for that of another device.
            TokenExpiredError: it was not used for too long.
            InvalidTokenError: it is over for another reason, or never was.
        """
        stored = await self._sessions.get(session_id)
        if stored is None:
            raise over(None)
        if stored.ending is not None:
            raise over(stored.ending)
        if stored.session.expires_at <= self._clock():
            raise TokenExpiredError("This session has expired. Sign in again")
        user = await self.user_of(stored)
        return _viewer(user, session_id), user.version

    async def of_user(self, user_id: UserId) -> Viewer:
        """Return somebody as a viewer without a session.

        Raises:
            InvalidTokenError: the user is disabled or gone.
        """
        return _viewer(await self._living(user_id), None)

    async def user_of(self, stored: StoredSession) -> User:
        """Return the user of a session, as they are now.

        Raises:
            InvalidTokenError: they are disabled or gone, or have changed so that their sessions
                from before are over.
        """
        user = await self._living(stored.session.user_id)
        if user.version != stored.version:
            raise InvalidTokenError(
                "This account has got a new password or role since. Sign in again"
            )
        return user

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Forget all sessions when the block does not end well: some may have been changed in it.

        A block that is cancelled while the database is at work does not stop the work. Nothing from
        before is read afterwards, for the database does one thing after the other.
        """
        try:
            yield
        except BaseException:
            self._sessions.forget_all()
            raise

    def forget(self, *sessions: SessionId) -> None:
        """Look at these sessions again: something about them has changed."""
        self._sessions.forget(sessions)

    async def _living(self, user_id: UserId) -> User:
        try:
            user = await self._accounts.get(user_id)
        except NoUserError:
            user = None
        if user is None or user.disabled:
            raise InvalidTokenError("This account is not in use any more")
        return user


def over(ending: Ending | None) -> UnauthenticatedError:
    """Return the error for a session that is over: each says why, one has a code of its own."""
    match ending:
        case Ending.SUPERSEDED:
            return SessionSupersededError(
                "You have signed in on another device since, and this was the one that you had not "
                "used for the longest time. Sign in again to go on here"
            )
        case Ending.REUSED:
            return InvalidTokenError(
                "This session was ended because one of its tokens was used a second time, as a "
                "thief would. Sign in again"
            )
        case Ending.SIGNED_OUT | Ending.REPLACED | None:
            return InvalidTokenError("This session has ended. Sign in again")


def _viewer(user: User, session_id: SessionId | None) -> Viewer:
    return Viewer(
        user_id=user.id, role=user.role, session_id=session_id, max_rating=user.max_rating
    )
