"""What downloads take of the disk, in JSON; nothing here tells which torrents they are."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from miauflixd.cache.model import Item, Safety, Shelf
from miauflixd.web.shapes import Moment

Encryption = Literal["fscrypt", "gocryptfs", "off"]


class ItemShape(Struct, frozen=True, kw_only=True):
    """What is on the disk of one source."""

    source_id: str
    name: str | None
    size: int
    """Bytes that it takes on the disk."""
    came_at: Moment
    used_at: Moment | None
    """When somebody last watched it."""
    part: float
    """How far they were, 0 to 1."""
    pinned: bool
    safety: Safety
    """What keeps it from going when room is needed."""


class StorageShape(Struct, frozen=True, kw_only=True):
    """What downloads take, and what there is room for."""

    quota: int
    """Bytes that they may take; 0: as many as there is room for."""
    used: int
    """Bytes that they take: blocks on the disk."""
    minimum_free: int
    """Bytes of the disk that are to stay free."""
    free: int
    total: int
    """Bytes of the disk."""
    encryption: Encryption
    """What makes them unreadable while miauflixd does not run."""
    evicted: int
    """How many had to go since the start."""
    items: list[ItemShape]
    """What goes first, when room is needed, is the first."""


class StorageChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other bounds; what is left out stays."""

    quota: Annotated[int, Meta(ge=0, le=2**53)] | UnsetType = UNSET
    minimum_free: Annotated[int, Meta(ge=0, le=2**53)] | UnsetType = UNSET


def storage_shape(
    shelf: Shelf,
    *,
    names: dict[str, str | None],
    encryption: Encryption,
    evicted: int,
) -> StorageShape:
    """Return what is on the disk."""
    return StorageShape(
        quota=shelf.quota,
        used=shelf.used,
        minimum_free=shelf.minimum_free,
        free=shelf.free,
        total=shelf.total,
        encryption=encryption,
        evicted=evicted,
        items=[_item(item, names.get(item.source_id), shelf.at) for item in shelf.items],
    )


def _item(item: Item, name: str | None, now: datetime) -> ItemShape:
    used_at = item.use.used_at
    return ItemShape(
        source_id=item.source_id,
        name=name,
        size=item.size,
        came_at=item.came_at.astimezone(UTC),
        used_at=None if used_at is None else used_at.astimezone(UTC),
        part=item.use.part,
        pinned=item.use.pinned,
        safety=item.safety(now),
    )
