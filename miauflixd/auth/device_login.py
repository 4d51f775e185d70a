"""Signing in on a television, with a telephone (RFC 8628).

The device shows a short code, somebody who is signed in elsewhere types it (or reads the QR code)
and says yes, and the device, which asks every few seconds, gets its tokens.

    waiting -- approve --> approved -- the device asks --> gone
       +------- deny ----> denied   -- the device asks --> gone
       +-- ten minutes, from any of them --> gone

All of it is in memory: a login takes a minute and asks for nothing that cannot be asked again.
After a restart the device is told that its code has expired, and shows a new one.

Guessing: a user code is one of 20^8, some 2^34.6, of which at most `_PENDING` mean anything.
Whoever is signed in has `_GUESSES` wrong ones per quarter of an hour, and as many from one address.
So a guess is right once in 25 million, and what it earns is that a stranger's device watches films
as the one who guessed. A device code is of 256 bits, and nobody guesses that.
"""

import hashlib
import io
import secrets
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import segno

from miauflixd.auth.model import AuditType, Tokens, User, UserId
from miauflixd.errors import InvalidInputError, NotFoundError, RateLimitedError

EXPIRES_IN = 600
"""Seconds to find the telephone and type the code (the contract's number)."""

INTERVAL = 5
"""Seconds between two questions of a device, at first; and how many are added for asking sooner."""

_LONGEST_INTERVAL = 60
"""Seconds: a device that cannot wait learns soon enough when it has to."""

_JITTER = 0.5
"""Seconds that a device may be early: networks are not always equally slow."""

_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""Letters as RFC 8628 recommends: no vowels, so no words; no digits, so no look-alikes."""

_LENGTH = 8

_PENDING = 1000
"""Logins that may wait, about 1 MB."""

_PENDING_PER_ADDRESS = 10
"""A household's televisions; one more takes the place of the oldest."""

_GUESSES = 10
"""Wrong codes per user and per address, in `_GUESSES_WITHIN`."""

_GUESSES_WITHIN = 900.0
"""Seconds."""

_GUESSERS = 1000
"""Users and addresses whose wrong codes are counted."""


class DevicePollError(InvalidInputError):
    """What a device is told that gets no tokens (now); RFC 8628 wants a 400 for all of them."""

    code = "invalid_grant"


class AuthorizationPendingError(DevicePollError):
    """Nobody has said yes or no yet."""

    code = "authorization_pending"


class SlowDownError(DevicePollError):
    """Nobody has yet, and the device asks too often: five seconds more from now on."""

    code = "slow_down"


class ExpiredDeviceCodeError(DevicePollError):
    """The code is too old, has been used, or never was."""

    code = "expired_token"


class AccessDeniedError(DevicePollError):
    """Somebody said no."""

    code = "access_denied"


class UnknownUserCodeError(NotFoundError):
    """No device waits with this code."""

    code = "unknown_user_code"


class Sessions(Protocol):
    """Where devices are signed in."""

    async def open(self, user: User, *, name: str, address: str) -> Tokens:
        """Sign a user in on a device."""
        ...


class Audit(Protocol):
    """Where is written down what was done by whom."""

    def note(self, what: AuditType, *, user_id: UserId | None, address: str | None) -> None:
        """Write down what happened."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class StartedLogin:
    """What a device that wants to be signed in needs to know."""

    device_code: str
    user_code: str
    expires_in: int = EXPIRES_IN
    """Seconds."""
    interval: int = INTERVAL
    """Seconds to wait between two questions."""


class _Decision(Enum):
    DENIED = 1


@dataclass(kw_only=True, slots=True)
class _Login:
    """A device that waits."""

    user_code: str
    name: str
    address: str
    expires_at: float
    interval: float = INTERVAL
    asked_at: float | None = None
    decided: User | _Decision | None = None
    """Whose session it becomes, once somebody has said yes."""


class DeviceLogins:
    """The devices that wait to be signed in."""

    def __init__(self, *, sessions: Sessions, audit: Audit, clock: Callable[[], float]) -> None:
        """Take collaborators, and a clock that counts seconds and is never set back."""
        self._sessions = sessions
        self._audit = audit
        self._clock = clock
        # By a hash of the device code, so that looking one up takes equally long for all that are
        # not there. The oldest first, which is also the first to expire.
        self._logins: OrderedDict[bytes, _Login] = OrderedDict()
        self._by_user_code: dict[str, _Login] = {}
        self._wrong = _WrongCodes(clock)

    def start(self, *, name: str, address: str) -> StartedLogin:
        """Let a device wait for somebody to type its code.

        Raises:
            RateLimitedError: too many are waiting.
        """
        self._forget_expired()
        self._make_room(address)
        device_code = secrets.token_urlsafe(32)
        user_code = self._new_user_code()
        login = _Login(
            user_code=user_code,
            name=name,
            address=address,
            expires_at=self._clock() + EXPIRES_IN,
        )
        self._logins[_digest(device_code)] = login
        self._by_user_code[user_code] = login
        return StartedLogin(device_code=device_code, user_code=f"{user_code[:4]}-{user_code[4:]}")

    async def poll(self, device_code: str, *, address: str) -> Tokens:
        """Return a device's tokens once somebody has said yes; they are there to be had once.

        Raises:
            AuthorizationPendingError: nobody has said anything yet.
            SlowDownError: nor has anybody, and it was too early to ask again.
            AccessDeniedError: somebody has said no.
            ExpiredDeviceCodeError: the code is over or unknown.
            InvalidTokenError: whoever said yes has been disabled since.
        """
        self._forget_expired()
        digest = _digest(device_code)
        login = self._logins.get(digest)
        if login is None:
            raise ExpiredDeviceCodeError("This code has expired. Begin again")
        match login.decided:
            case None:
                raise self._told_to_wait(login)
            case _Decision.DENIED:
                self._forget(digest)
                raise AccessDeniedError("Somebody has refused to let this device in")
            case user:
                # Before anything waits: of two that ask at once, one gets the tokens.
                self._forget(digest)
                return await self._sessions.open(user, name=login.name, address=address)

    def decide(self, user_code: str, *, approve: bool, user: User, address: str) -> str:
        """Let a device in, as this user, or refuse it; return what the device calls itself.

        With another password or role before the device has asked, its session is over at once.

        Raises:
            UnknownUserCodeError: no device waits with this code (any more).
            RateLimitedError: too many wrong codes were typed by this user or from this address.
        """
        self._forget_expired()
        who: Sequence[Hashable] = (("user", user.id), ("address", address))
        self._wrong.require_few(who)
        login = self._by_user_code.pop(_typed(user_code), None)
        if login is None:
            self._wrong.count(who)
            raise UnknownUserCodeError("No device waits with this code. Is it typed correctly?")
        login.decided = user if approve else _Decision.DENIED
        self._audit.note(
            AuditType.DEVICE_APPROVED if approve else AuditType.DEVICE_DENIED,
            user_id=user.id,
            address=address,
        )
        return login.name

    def _told_to_wait(self, login: _Login) -> DevicePollError:
        now = self._clock()
        early = login.asked_at is not None and now < login.asked_at + login.interval - _JITTER
        login.asked_at = now
        if early:
            login.interval = min(login.interval + INTERVAL, _LONGEST_INTERVAL)
            return SlowDownError(f"Ask every {login.interval:.0f} seconds and not more often")
        return AuthorizationPendingError("Nobody has let this device in yet")

    def _new_user_code(self) -> str:
        while True:
            code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
            if code not in self._by_user_code:
                return code

    def _make_room(self, address: str) -> None:
        own = [digest for digest, login in self._logins.items() if login.address == address]
        for digest in own[: max(0, len(own) + 1 - _PENDING_PER_ADDRESS)]:
            self._forget(digest)
        if len(self._logins) >= _PENDING:
            # Those that wait go on waiting: a flood of new ones must not push them out.
            oldest = next(iter(self._logins.values()))
            raise RateLimitedError(
                "Too many devices are waiting to be signed in. Try again in a few minutes",
                retry_after=oldest.expires_at - self._clock(),
            )

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._logins:
            digest, login = next(iter(self._logins.items()))
            if login.expires_at > now:
                return
            self._forget(digest)

    def _forget(self, digest: bytes) -> None:
        login = self._logins.pop(digest)
        # One that was decided upon is not there any more; its code may be another device's now.
        if self._by_user_code.get(login.user_code) is login:
            del self._by_user_code[login.user_code]


class _WrongCodes:
    """Counts wrong codes by who typed them; the longest quiet is forgotten first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._times: OrderedDict[Hashable, list[float]] = OrderedDict()

    def require_few(self, who: Sequence[Hashable]) -> None:
        since = self._clock() - _GUESSES_WITHIN
        for one in who:
            recent = [time for time in self._times.get(one, ()) if time > since]
            if len(recent) >= _GUESSES:
                raise RateLimitedError(
                    "Too many wrong codes. Wait a while, and look at the device again",
                    retry_after=recent[0] - since,
                )

    def count(self, who: Sequence[Hashable]) -> None:
        now = self._clock()
        for one in who:
            times = self._times.setdefault(one, [])
            times.append(now)
            del times[:-_GUESSES]
            self._times.move_to_end(one)
        while len(self._times) > _GUESSERS:
            self._times.popitem(last=False)


def verification_uri_complete(verification_uri: str, user_code: str) -> str:
    """Return the address that says the code by itself; the letters need no quoting."""
    return f"{verification_uri}?code={user_code}"


def qr_svg(text: str) -> str:
    """Return a QR code as an SVG element, black on white with a border, in pixels of its own."""
    picture = io.BytesIO()
    # Micro QR codes are not read by every telephone.
    segno.make(text, micro=False, error="m").save(
        picture, kind="svg", xmldecl=False, light="#fff", omitsize=True, nl=False
    )
    return picture.getvalue().decode()


def _typed(user_code: str) -> str:
    """Return a user code as it is kept, however somebody has typed it."""
    letters = (letter for letter in user_code[:64].upper() if letter in _ALPHABET)
    return "".join(letters)


def _digest(device_code: str) -> bytes:
    return hashlib.sha256(device_code.encode(errors="replace")).digest()
