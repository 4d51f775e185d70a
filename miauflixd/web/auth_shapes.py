"""Signing in and out, and the devices on which somebody is, in JSON."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from miauflixd.auth.model import Session, SessionId, Tokens
from miauflixd.web.user_shapes import Password, PersonShape, person_shape

DeviceName = Annotated[
    str, Meta(max_length=80, description="What the device is called in the list of devices.")
]
Token = Annotated[str, Meta(min_length=1, max_length=4096)]


class LoginShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who wants to sign in."""

    email: Annotated[str, Meta(max_length=254)]
    password: Password
    device_name: DeviceName = ""
    device_id: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=128,
                description="The device's own choice: a new session replaces its last one.",
            ),
        ]
        | None
    ) = None
    cookies: bool = False
    """For browsers: the tokens are set as cookies, and are not in the answer."""


class RefreshShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is exchanged for new tokens; without it, that of the cookie."""

    refresh_token: Token | UnsetType = UNSET


class LogoutShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which session is to end besides that of the headers and cookies, if any."""

    refresh_token: Token | UnsetType = UNSET


class PasswordShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new password for oneself."""

    current: Password
    new: Password


class SignedInShape(Struct, frozen=True, kw_only=True):
    """Who is signed in now, and the tokens of the device unless they went into cookies."""

    access_token: str | UnsetType = UNSET
    token_type: Literal["Bearer"] | UnsetType = UNSET
    expires_in: int
    """Seconds."""
    refresh_token: str | UnsetType = UNSET
    refresh_expires_in: int
    """Seconds."""
    session_id: str
    user: PersonShape


class SessionShape(Struct, frozen=True, kw_only=True):
    """A device on which one is signed in."""

    id: str
    name: str
    ip: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    current: bool
    """Whether it is the one that asks."""


class DeviceShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device without a keyboard that wants to be signed in."""

    device_name: DeviceName = ""


class DeviceCodeShape(Struct, frozen=True, kw_only=True):
    """What such a device shows, and asks with (RFC 8628)."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    qr_svg: str
    """The complete address as a picture, an SVG element."""
    expires_in: int
    interval: int


class DeviceTokenShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The question whether somebody has said yes."""

    device_code: Annotated[str, Meta(min_length=1, max_length=256)]
    cookies: bool = False


class ApproveShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody says to a device's wish."""

    user_code: Annotated[str, Meta(min_length=1, max_length=64)]
    approve: bool


class ApprovedShape(Struct, frozen=True, kw_only=True):
    """Which device it was."""

    device_name: str
    approved: bool


def signed_in(tokens: Tokens, *, cookies: bool) -> SignedInShape:
    """Return the answer to signing in."""
    return SignedInShape(
        access_token=UNSET if cookies else tokens.access,
        token_type=UNSET if cookies else "Bearer",
        expires_in=tokens.access_expires_in,
        refresh_token=UNSET if cookies else tokens.refresh,
        refresh_expires_in=tokens.refresh_expires_in,
        session_id=tokens.session.id,
        user=person_shape(tokens.user),
    )


def session_shape(session: Session, *, current: SessionId | None) -> SessionShape:
    """Return a device, as its owner sees it."""
    return SessionShape(
        id=session.id,
        name=session.name,
        ip=session.address,
        created_at=session.created_at.astimezone(UTC),
        last_used_at=session.used_at.astimezone(UTC),
        expires_at=session.expires_at.astimezone(UTC),
        current=session.id == current,
    )
