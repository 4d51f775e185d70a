"""Who is asking, and what they may do. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, NewType

from msgspec import UNSET, UnsetType

from miauflixd.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnauthenticatedError,
)

UserId = NewType("UserId", str)
SessionId = NewType("SessionId", str)
KeyId = NewType("KeyId", str)


class Role(StrEnum):
    """What somebody may do."""

    ADMIN = "admin"
    USER = "user"


KeyPurpose = Literal["stremio", "playlist", "metrics"]
"""What a revocable token is for, and the only thing it opens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What a person likes."""

    language: str | None = None
    """To read, a BCP 47 tag: `pt-BR`. `None`: they have not said, so it is that of the house."""
    quality: Literal["auto", "2160p", "1080p", "720p", "480p"] = "auto"
    audio_languages: tuple[str, ...] = ()
    """Best first; empty: the original."""
    subtitle_languages: tuple[str, ...] = ()
    """Best first; empty: none but forced ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """Somebody of the household."""

    id: UserId
    email: str
    display_name: str
    role: Role
    disabled: bool
    max_rating: str | None
    """The highest certification they may see, such as `PG-13`; `None`: all."""
    profile: Profile
    created_at: datetime
    version: int
    """Grows with each change after which earlier sessions must not live on: role, password, being
    disabled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewUser:
    """Somebody who is to be one of the household."""

    email: str
    password: str
    display_name: str
    role: Role = Role.USER
    max_rating: str | None = None

    def __repr__(self) -> str:
        # The password must not reach a log or a traceback by way of the others.
        return f"NewUser(role={self.role!r})"


@dataclass(frozen=True, kw_only=True, slots=True)
class UserChanges:
    """What is to be different about somebody; what is `UNSET` stays as it is."""

    email: str | UnsetType = UNSET
    display_name: str | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    max_rating: str | UnsetType | None = UNSET
    profile: Profile | UnsetType = UNSET


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """Who does something, for the audit."""

    user_id: UserId | None = None
    """`None`: nobody who is signed in, or the machine's own administrator."""
    address: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Viewer:
    """Who makes a request."""

    user_id: UserId | None
    """`None`: the machine's own administrator, at the control socket."""
    role: Role
    session_id: SessionId | None
    max_rating: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One device that somebody signed in on."""

    id: SessionId
    user_id: UserId
    name: str
    address: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """What a device gets: a short one to ask with, a long one to get the next pair with."""

    access: str
    access_expires_in: int
    """Seconds."""
    refresh: str
    refresh_expires_in: int
    """Seconds."""
    session: Session
    user: User


class AuditType(StrEnum):
    """What can have happened."""

    SETUP = "setup"
    SETUP_REFUSED = "setup_refused"
    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in_failed"
    LOCKED_OUT = "locked_out"
    SIGNED_OUT = "signed_out"
    SESSION_ENDED = "session_ended"
    REFRESH_REUSED = "refresh_reused"
    DEVICE_APPROVED = "device_approved"
    DEVICE_DENIED = "device_denied"
    KEY_CREATED = "key_created"
    KEY_REVOKED = "key_revoked"
    USER_CREATED = "user_created"
    USER_CHANGED = "user_changed"
    USER_DISABLED = "user_disabled"
    USER_DELETED = "user_deleted"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of an event
    PASSWORD_REFUSED = "password_refused"  # noqa: S105 - the name of an event
    SETTINGS_CHANGED = "settings_changed"
    VPN_CHANGED = "vpn_changed"
    ADMIN_ACTION = "admin_action"
    REFUSED = "refused"
    RATE_LIMITED = "rate_limited"


AuditDetails = Mapping[str, str | int | bool]
"""A few words on what was done: ids, names of fields, counts. No token, title or e-mail address."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEvent:
    """Something that happened."""

    type: AuditType
    at: datetime
    user_id: UserId | None
    """Who did it; of a failed sign-in, whose account it was. `None`: nobody we know."""
    address: str | None
    """From where; `None`: from this machine, or from too many places to name."""
    details: AuditDetails


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """An event as it was written down."""

    id: int
    event: AuditEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditPage:
    """A part of what was written down, the latest first."""

    entries: tuple[AuditEntry, ...]
    next_cursor: str | None
    """Where the next page begins; `None`: this is the last."""
    total: int
    """How many there are on all pages."""


class InvalidCredentialsError(UnauthenticatedError):
    """Address or password are wrong; which of them is not said."""

    code = "invalid_credentials"


class TokenExpiredError(UnauthenticatedError):
    """The token was good once."""

    code = "token_expired"


class InvalidTokenError(UnauthenticatedError):
    """The token is none of ours, or is not valid any more."""

    code = "invalid_token"


class NoUserError(NotFoundError):
    """There is no user of this id."""

    code = "no_user"


class EmailTakenError(ConflictError):
    """Somebody else has this e-mail address."""

    code = "email_taken"


class LastAdminError(ConflictError):
    """Nobody would be left who may administer this machine."""

    code = "last_admin"


class AlreadySetUpError(ConflictError):
    """There are users, so the setup code opens nothing any more."""

    code = "already_set_up"


class OutdatedError(ConflictError):
    """It was changed by somebody else in the meantime."""

    code = "outdated"


class InvalidSetupCodeError(ForbiddenError):
    """That is not the setup code."""

    code = "invalid_setup_code"


class WrongPasswordError(ForbiddenError):
    """Who is signed in did not give their present password."""

    code = "wrong_password"


class PasswordRejectedError(InvalidInputError):
    """The password is too short, too long or too easily guessed."""

    code = "password_rejected"


class InvalidUserError(InvalidInputError):
    """An e-mail address or a name cannot be used."""

    code = "invalid_user"
