"""What goes first when there is no room, and what never goes."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from miauflixd.cache.model import Item, Shelf, Use, evicted, in_order
from miauflixd.torrents.model import SourceId

NOW = datetime(2026, 11, 26, 20, 15, tzinfo=UTC)
GB = 10**9


def item(
    name: str,
    *,
    size: int = GB,
    days: float | None = None,
    part: float = 0.0,
    pinned: bool = False,
    reading: bool = False,
    came: float = 90,
) -> Item:
    used_at = None if days is None else NOW - timedelta(days=days)
    return Item(
        source_id=SourceId(name),
        size=size,
        came_at=NOW - timedelta(days=came),
        use=Use(used_at=used_at, part=part, pinned=pinned),
        reading=reading,
    )


def shelf(*items: Item, quota: int = 0, free: int = 100 * GB, minimum_free: int = GB) -> Shelf:
    return Shelf(
        items=in_order(items),
        quota=quota,
        free=free,
        total=1000 * GB,
        minimum_free=minimum_free,
        at=NOW,
    )


def names(items: Sequence[Item]) -> list[str]:
    return [one.source_id for one in items]


def test_what_was_not_watched_for_longest_goes_first_and_no_more_than_has_to():
    kept = shelf(
        item("lately", days=1),
        item("long ago", days=60),
        item("a while ago", days=20),
        quota=2 * GB,
    )
    assert names(evicted(kept)) == ["long ago"]


def test_with_room_nothing_goes():
    assert evicted(shelf(item("one", days=60), quota=GB)) == []
    assert evicted(shelf(item("one", days=60), item("two", days=70))) == []


@pytest.mark.parametrize(
    "safe",
    [
        pytest.param({"pinned": True}, id="pinned"),
        pytest.param({"reading": True}, id="read now"),
        pytest.param({"days": 5 / 1440}, id="read five minutes ago: a player that pauses"),
    ],
)
def test_what_is_pinned_or_runs_never_goes_and_another_does_in_its_place(safe):
    old = item("safe", **({"days": 90.0} | safe))
    kept = shelf(old, item("later", days=2), item("latest", days=1), quota=2 * GB)
    assert names(evicted(kept)) == ["later"]
    assert evicted(shelf(old, quota=1)) == []


@pytest.mark.parametrize(
    ("part", "first"),
    [(0.5, "seen"), (0.05, "seen"), (0.04, "begun"), (0.9, "begun"), (1.0, "begun")],
)
def test_what_somebody_is_in_the_middle_of_stays_two_weeks_longer(part, first):
    kept = in_order([item("begun", days=12, part=part), item("seen", days=10, part=1.0)])
    assert names(kept)[0] == first


def test_after_two_weeks_nobody_seems_to_go_on():
    kept = in_order([item("begun", days=25, part=0.5), item("seen", days=10, part=1.0)])
    assert names(kept)[0] == "begun"


def test_what_nobody_has_watched_counts_from_when_it_came():
    kept = in_order([item("never", came=30), item("watched", days=40), item("new", came=1)])
    assert names(kept) == ["watched", "never", "new"]


def test_a_disk_that_gets_full_counts_like_a_quota():
    kept = shelf(item("one", days=3), item("two", days=2), free=GB // 2, minimum_free=GB)
    assert kept.excess == GB // 2
    assert names(evicted(kept)) == ["one"]


def test_the_tighter_of_the_two_bounds_counts():
    kept = shelf(item("one", days=3), item("two", days=2), free=0, minimum_free=GB, quota=GB // 2)
    assert kept.excess == 3 * GB // 2
    assert names(evicted(kept)) == ["one", "two"]


def test_of_two_as_old_the_larger_goes():
    kept = in_order([item("small", size=1, days=3), item("large", size=2, days=3)])
    assert names(kept) == ["large", "small"]
