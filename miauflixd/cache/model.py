"""What is on the disk, and what may go. No I/O."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from miauflixd.torrents.model import SourceId

BEGUN, SEEN = 0.05, 0.9
"""Parts of a film between which somebody will want to go on; the bounds of `catalogue.watching`."""

KEPT_FOR_GOING_ON = timedelta(days=14)
"""By how much later what somebody is in the middle of seems to have been watched."""

RESTING = timedelta(minutes=15)
"""For so long after the last byte a source counts as running: players that pause let go of it."""

Safety = Literal["pinned", "running", "none"]
"""What keeps something from going."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """What is remembered of how a source was used."""

    used_at: datetime | None = None
    """When somebody last read of it; `None`: nobody has."""
    part: float = 0.0
    """How far the last one who watched it was, 0 to 1."""
    pinned: bool = False
    """It stays until somebody says otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """What is on the disk of one source."""

    source_id: SourceId
    size: int
    """Bytes that it takes there: blocks, not what the files seem to hold."""
    came_at: datetime
    """When the first of it came."""
    use: Use
    reading: bool
    """Somebody reads of it now."""

    @property
    def partly_watched(self) -> bool:
        """Somebody is in the middle of it."""
        return BEGUN <= self.use.part < SEEN

    def safety(self, now: datetime) -> Safety:
        """Return what keeps it from going."""
        if self.use.pinned:
            return "pinned"
        used_at = self.use.used_at
        if self.reading or (used_at is not None and now - used_at < RESTING):
            return "running"
        return "none"

    @property
    def counts_as_used(self) -> datetime:
        """When it seems to have been used, for the order in which things go."""
        at = self.use.used_at or self.came_at
        return at + KEPT_FOR_GOING_ON if self.partly_watched else at


@dataclass(frozen=True, kw_only=True, slots=True)
class Shelf:
    """All that is on the disk, and what there is room for."""

    items: Sequence[Item]
    """What goes first comes first."""
    quota: int
    """Bytes that downloads may take; 0: as many as there is room for."""
    free: int
    """Bytes of the disk that nobody uses."""
    total: int
    """Bytes of the disk."""
    minimum_free: int
    """Bytes of it that are to stay so."""
    at: datetime
    """When somebody looked."""

    @property
    def used(self) -> int:
        """Bytes that downloads take."""
        return sum(item.size for item in self.items)

    @property
    def excess(self) -> int:
        """Bytes that are too many; not more than 0: there is room."""
        over = self.minimum_free - self.free
        return max(over, self.used - self.quota) if self.quota else over


def in_order(items: Iterable[Item]) -> list[Item]:
    """Return what goes first before what goes later; among equals, the larger first."""
    return sorted(items, key=lambda item: (item.counts_as_used, -item.size, item.source_id))


def evicted(shelf: Shelf) -> list[Item]:
    """Return what has to go for there to be room, as far as it may.

    Whatever may not go, another one goes in its place.
    """
    excess, going = shelf.excess, []
    for item in shelf.items:
        if excess <= 0:
            break
        if item.safety(shelf.at) == "none" and item.size:
            going.append(item)
            excess -= item.size
    return going
