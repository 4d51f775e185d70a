"""What people look like in JSON, and what may be said of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from miauflixd.auth.model import (
    PasswordRejectedError,
    Profile,
    Role,
    User,
)
from miauflixd.web.bodies import FieldProblem, InvalidFieldsError

Email = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=254,
        pattern=r"^[^@\s]+@[^@\s]+$(?!\n)",
        description="An e-mail address; a name to sign in with, to which nothing is sent.",
    ),
]
Password = Annotated[str, Meta(min_length=1, max_length=1024)]
"""One that is tried; of a new one more is asked, and said in words."""
DisplayName = Annotated[str, Meta(min_length=1, max_length=64)]
Rating = Annotated[
    str,
    Meta(min_length=1, max_length=16, description="The highest certification to see: `PG-13`."),
]
Language = Annotated[
    str,
    Meta(
        min_length=2,
        max_length=35,
        pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$(?!\n)",
        description="A language as BCP 47 has it: `pt-BR`.",
    ),
]
Languages = Annotated[list[Language], Meta(max_length=16)]
Quality = Literal["auto", "2160p", "1080p", "720p", "480p"]


class PersonShape(Struct, frozen=True, kw_only=True):
    """Who has signed in."""

    id: str
    email: str
    display_name: str
    role: Role


class UserShape(Struct, frozen=True, kw_only=True):
    """Somebody of the household, as an administrator sees them."""

    id: str
    email: str
    display_name: str
    role: Role
    disabled: bool
    max_rating: str | None
    created_at: datetime


class MeShape(Struct, frozen=True, kw_only=True):
    """Oneself, and what one likes."""

    id: str
    email: str
    display_name: str
    role: Role
    max_rating: str | None
    language: str | None
    """To read; `null`: that of the house."""
    quality: Quality
    audio_languages: list[str]
    subtitle_languages: list[str]


class NewUserShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody to add."""

    email: Email
    password: Password
    display_name: DisplayName
    role: Role = Role.USER
    max_rating: Rating | None = None


class UserPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different about somebody; a new password comes alone."""

    email: Email | UnsetType = UNSET
    display_name: DisplayName | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    max_rating: Rating | UnsetType | None = UNSET
    password: Password | UnsetType = UNSET


class MePatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different about oneself."""

    display_name: DisplayName | UnsetType = UNSET
    language: Language | UnsetType | None = UNSET
    quality: Quality | UnsetType = UNSET
    audio_languages: Languages | UnsetType = UNSET
    subtitle_languages: Languages | UnsetType = UNSET


class SetupShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first user, and the code that shows that they may be it."""

    setup_code: Annotated[str, Meta(min_length=1, max_length=64)]
    email: Email
    password: Password
    display_name: DisplayName


class SetupCodeShape(Struct, frozen=True, kw_only=True):
    """What opens the first account."""

    setup_code: str


class RejectedPasswordError(InvalidFieldsError):
    """A new password is not taken: that of the accounts, with the name of the field."""

    code = PasswordRejectedError.code


@contextmanager
def named_fields(*, password: str = "password") -> Iterator[None]:  # noqa: S107 - the name of a field
    """Say in which field a new password was that is not taken.

    Raises:
        RejectedPasswordError: it was not.
    """
    try:
        yield
    except PasswordRejectedError as error:
        raise RejectedPasswordError(FieldProblem(password, str(error))) from error


def person_shape(user: User) -> PersonShape:
    """Return who has signed in."""
    return PersonShape(id=user.id, email=user.email, display_name=user.display_name, role=user.role)


def user_shape(user: User) -> UserShape:
    """Return somebody as an administrator sees them."""
    return UserShape(
        id=user.id,
        email=user.email,
        display_name=user.display_name,
        role=user.role,
        disabled=user.disabled,
        max_rating=user.max_rating,
        created_at=user.created_at.astimezone(UTC),
    )


def me_shape(user: User) -> MeShape:
    """Return somebody as they see themselves."""
    return MeShape(
        id=user.id,
        email=user.email,
        display_name=user.display_name,
        role=user.role,
        max_rating=user.max_rating,
        language=user.profile.language,
        quality=user.profile.quality,
        audio_languages=list(user.profile.audio_languages),
        subtitle_languages=list(user.profile.subtitle_languages),
    )


def changed_profile(profile: Profile, patch: MePatch) -> Profile | UnsetType:
    """Return a profile with what a patch changes of it, if anything."""
    changed = profile
    if patch.language is not UNSET:
        changed = replace(changed, language=patch.language)
    if patch.quality is not UNSET:
        changed = replace(changed, quality=patch.quality)
    if patch.audio_languages is not UNSET:
        changed = replace(changed, audio_languages=tuple(patch.audio_languages))
    if patch.subtitle_languages is not UNSET:
        changed = replace(changed, subtitle_languages=tuple(patch.subtitle_languages))
    return UNSET if changed == profile else changed
