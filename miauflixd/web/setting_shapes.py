"""Settings in JSON; secrets go in and never come out."""

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from miauflixd.web.ports import SettingValue, SettingView

_Text = Annotated[str, Meta(max_length=4096)]


class SettingShape(Struct, frozen=True, kw_only=True):
    """One setting."""

    name: str
    """As in the settings file: `torrents.download_rate`."""
    value: bool | int | float | str | list[str] | None
    """`null` for one without a value, and for a secret."""
    default: bool | int | float | str | list[str] | None
    has_value: bool
    secret: bool
    expected: str
    """What it accepts, in words."""
    source: Literal["default", "file", "run_time"]
    takes_effect: Literal["at_once", "at_restart", "in_file_only"]
    needs_restart: bool
    """Whether the value is in force only after a restart."""


class SettingsShape(Struct, frozen=True, kw_only=True):
    """All settings."""

    items: list[SettingShape]
    restart_needed: bool


class SettingsChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values by the names of their settings; `null` goes back to what the file says."""

    values: Annotated[
        dict[
            Annotated[str, Meta(max_length=100)],
            bool | int | float | _Text | Annotated[list[_Text], Meta(max_length=64)] | None,
        ],
        Meta(min_length=1, max_length=100),
    ]


def settings_shape(settings: Sequence[SettingView]) -> SettingsShape:
    """Return the settings as administrators see them."""
    return SettingsShape(
        items=[_shape(one) for one in settings],
        restart_needed=any(one.needs_restart for one in settings),
    )


def _shape(setting: SettingView) -> SettingShape:
    value: SettingValue = None if setting.is_secret else setting.value
    return SettingShape(
        name=setting.name,
        value=value,
        default=setting.default,
        has_value=setting.has_value,
        secret=setting.is_secret,
        expected=setting.expected,
        source=setting.source,
        takes_effect=setting.takes_effect,
        needs_restart=setting.needs_restart,
    )
