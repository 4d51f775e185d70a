"""Access tokens: who asks, signed, good for a quarter of an hour (RFC 7519).

What comes in is compared with what this machine itself would write, not interpreted: a header is
one of ours byte for byte, or the token is refused before anything in it is read. That leaves no
room for other algorithms, `none`, key ids that are paths, keys that a token brings along, or
`crit`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Literal

import jwt
import msgspec

from miauflixd.auth.model import (
    InvalidTokenError,
    Role,
    SessionId,
    TokenExpiredError,
    UserId,
)

_ALGORITHM = "HS256"

_LIMIT = 4096
"""Characters of a token that is looked at; ours have about 330."""

_REMEMBERED = 1024
"""Tokens whose signatures are not computed again, 1.5 MB."""

_LEEWAY = 5
"""Seconds that a token may be from the future: our own clock may have been set back a little."""

_FORM = re.compile(r"[\w-]+\.[\w-]+\.[\w-]{42}[AEIMQUYcgkosw048]", re.ASCII)
"""Three parts in base64url. The last character of 32 bytes has two bits to spare: only with zeros
in them is it the one spelling of a signature."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningKey:
    """A key, and the name under which tokens refer to it."""

    id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Claims:
    """What an access token says."""

    user_id: UserId
    session_id: SessionId
    version: int
    """Of the session: a token of an earlier one is not good any more."""
    role: Role
    token_id: str
    issued_at: datetime
    expires_at: datetime


_Time = Annotated[int, msgspec.Meta(ge=0, le=253402300799)]
"""Seconds since the epoch, up to the year 9999, where Python's dates end."""


class _Payload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims as they are written: all of them, and no others."""

    iss: Literal["miauflixd"]
    aud: Literal["miauflixd-api"]
    sub: str
    sid: str
    jti: str
    iat: _Time
    nbf: _Time
    exp: _Time
    ver: int
    role: Role


class AccessTokens:
    """Issues and verifies access tokens."""

    def __init__(self, *, keys: Sequence[SigningKey], clock: Callable[[], datetime]) -> None:
        """Take the keys, the newest first: it signs, and what the others have signed stays good."""
        self._clock = clock
        self._jws = jwt.PyJWS(algorithms=[_ALGORITHM])
        self._signing = keys[0]
        self._secrets = {self._header(key): key.secret for key in keys}
        self._decoder = msgspec.json.Decoder(_Payload)
        # A signature that was right once is right for ever, and costs as much as a whole answer.
        # What is wrong is not remembered, and what depends on the time is looked at each time.
        self._signed = lru_cache(maxsize=_REMEMBERED)(self._read)

    def issue(self, claims: Claims) -> str:
        """Return a token that says this; the same claims make the same token."""
        issued_at = int(claims.issued_at.timestamp())
        payload = _Payload(
            iss="miauflixd",
            aud="miauflixd-api",
            sub=claims.user_id,
            sid=claims.session_id,
            jti=claims.token_id,
            iat=issued_at,
            nbf=issued_at,
            exp=int(claims.expires_at.timestamp()),
            ver=claims.version,
            role=claims.role,
        )
        return self._jws.encode(
            msgspec.json.encode(payload),
            self._signing.secret,
            algorithm=_ALGORITHM,
            headers={"kid": self._signing.id},
        )

    def verify(self, token: str, *, expired_is_fine: bool = False) -> Claims:
        """Return what a token of ours says.

        That it says so does not mean that it is still true: whether the session lives is for
        `Sessions`.

        Raises:
            TokenExpiredError: it was good once.
            InvalidTokenError: it is none of ours, or not good yet.
        """
        if len(token) > _LIMIT or _FORM.fullmatch(token) is None:
            raise _invalid()
        secret = self._secrets.get(token.partition(".")[0])
        if secret is None:
            raise _invalid()
        payload = self._signed(token, secret)
        now = self._clock().timestamp()
        if max(payload.iat, payload.nbf) > now + _LEEWAY:
            raise InvalidTokenError("This token is from the future: is a clock wrong?")
        if payload.exp <= now and not expired_is_fine:
            raise TokenExpiredError("This token has expired; get a new one")
        return _claims(payload)

    def _read(self, token: str, secret: bytes) -> _Payload:
        try:
            content = self._jws.decode(token, secret, algorithms=[_ALGORITHM])
            return self._decoder.decode(content)
        except (jwt.PyJWTError, msgspec.MsgspecError) as error:
            raise _invalid() from error

    def _header(self, key: SigningKey) -> str:
        """Return the first part of every token that is signed with this key."""
        token = self._jws.encode(b"", key.secret, algorithm=_ALGORITHM, headers={"kid": key.id})
        return token.partition(".")[0]


def _claims(payload: _Payload) -> Claims:
    return Claims(
        user_id=UserId(payload.sub),
        session_id=SessionId(payload.sid),
        version=payload.ver,
        role=payload.role,
        token_id=payload.jti,
        issued_at=datetime.fromtimestamp(payload.iat, UTC),
        expires_at=datetime.fromtimestamp(payload.exp, UTC),
    )


def _invalid() -> InvalidTokenError:
    # One sentence for all: whoever made it up learns nothing.
    return InvalidTokenError("This is not a token of this machine")
