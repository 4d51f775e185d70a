"""Keys for programs, in JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from miauflixd.auth.key_store import PurposeKey
from miauflixd.auth.model import KeyPurpose


class NewKeyShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to make."""

    purpose: KeyPurpose
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    """What its owner will know it by."""
    user_id: (
        Annotated[
            str,
            Meta(max_length=64, description="Whose it is to be; at the control socket only."),
        ]
        | UnsetType
    ) = UNSET


class KeyShape(Struct, frozen=True, kw_only=True):
    """A key, without what it opens by."""

    id: str
    user_id: str
    purpose: KeyPurpose
    name: str
    created_at: datetime
    last_used_at: datetime | None


class CreatedKeyShape(Struct, frozen=True, kw_only=True):
    """A new key, which is shown this once."""

    key: str
    id: str
    user_id: str
    purpose: KeyPurpose
    name: str
    created_at: datetime
    addresses: dict[str, str]
    """What it opens, ready to be typed or shown as a code: `stremio`, `m3u`, `xspf`, `kodi`."""


def key_shape(key: PurposeKey) -> KeyShape:
    """Return a key as it is listed."""
    return KeyShape(
        id=key.id,
        user_id=key.user_id,
        purpose=key.purpose,
        name=key.name,
        created_at=key.created_at.astimezone(UTC),
        last_used_at=None if key.used_at is None else key.used_at.astimezone(UTC),
    )


_ADDRESSES: Mapping[KeyPurpose, Mapping[str, str]] = {
    "stremio": {"stremio": "/stremio/{}/manifest.json"},
    "playlist": {
        "m3u": "/playlist/{}.m3u8",
        "xspf": "/playlist/{}.xspf",
        "kodi": "/playlist/{}.zip",
    },
    "metrics": {},  # it belongs into a header
}


def created_key(text: str, key: PurposeKey, *, base: str) -> CreatedKeyShape:
    """Return a key that was just made, and what it opens at this machine's address."""
    return CreatedKeyShape(
        key=text,
        id=key.id,
        user_id=key.user_id,
        purpose=key.purpose,
        name=key.name,
        created_at=key.created_at.astimezone(UTC),
        addresses={
            name: base + path.format(text) for name, path in _ADDRESSES[key.purpose].items()
        },
    )
