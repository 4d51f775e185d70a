"""The diary: everything once, floods in a few lines, and nobody waits for it."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from miauflixd.auth.audit import REPEATED, Audit
from miauflixd.auth.audit_store import AuditStore
from miauflixd.auth.model import AuditEntry, AuditType, UserId
from miauflixd.database.database import Database
from miauflixd.errors import InvalidInputError, StorageFullError
from miauflixd.runtime.services import running

ANNA = UserId("anna")
BEN = UserId("ben")
HOTEL = "203.0.113.9"
HOUR = timedelta(hours=1)


@dataclass
class Clock:
    now: datetime = datetime(2026, 3, 1, 20, 15, 0, 250, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class FullDisk(AuditStore):
    """A store on a disk that can be full."""

    is_full = False

    async def add(self, events) -> None:
        if self.is_full:
            raise StorageFullError("There is no room left")
        await super().add(events)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def store(tmp_path):
    async with Database.open(tmp_path / "house.sqlite3") as database:
        yield FullDisk(database=database)


@pytest.fixture
def audit(store, clock):
    return Audit(store=store, clock=clock, pause=0)


async def everything(audit: Audit) -> list[AuditEntry]:
    return list((await audit.page(limit=10_000)).entries)


async def test_what_was_noted_says_who_what_from_where_and_when(audit, clock):
    audit.note(AuditType.USER_CHANGED, user_id=ANNA, address=HOTEL, user="ben", changed="role")
    (entry,) = await everything(audit)
    event = entry.event
    assert (event.type, event.user_id, event.address, event.at) == (
        *(AuditType.USER_CHANGED, ANNA, HOTEL, clock.now),
    )
    assert event.details == {"user": "ben", "changed": "role"}


async def test_it_is_there_after_a_restart(tmp_path, clock):
    for what in (AuditType.SIGN_IN, AuditType.SIGNED_OUT):
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(Database.open(tmp_path / "a.sqlite3"))
            audit = Audit(store=AuditStore(database=database), clock=clock, pause=0)
            await stack.enter_async_context(running("audit", audit.run))
            await asyncio.sleep(0)
            audit.note(what, user_id=ANNA)
    async with Database.open(tmp_path / "a.sqlite3") as database:
        audit = Audit(store=AuditStore(database=database), clock=clock)
        assert [entry.event.type for entry in await everything(audit)] == [
            *(AuditType.SIGNED_OUT, AuditType.SIGN_IN),
        ]


async def test_it_is_filtered_by_type_user_and_time(audit, clock):
    start = clock.now
    for number, (what, user) in enumerate(
        [
            (AuditType.SIGN_IN, ANNA),
            (AuditType.SIGN_IN, BEN),
            (AuditType.SIGNED_OUT, ANNA),
            (AuditType.KEY_CREATED, ANNA),
        ]
    ):
        clock.now = start + timedelta(minutes=number)
        audit.note(what, user_id=user)

    async def found(**filters) -> list[tuple[AuditType, UserId | None]]:
        page = await audit.page(**filters)
        assert page.total == len(page.entries)
        return [(entry.event.type, entry.event.user_id) for entry in page.entries]

    assert await found(types=[AuditType.SIGN_IN]) == [
        (AuditType.SIGN_IN, BEN),
        (AuditType.SIGN_IN, ANNA),
    ]
    assert await found(types=[AuditType.SIGN_IN, AuditType.SIGNED_OUT], user_id=ANNA) == [
        (AuditType.SIGNED_OUT, ANNA),
        (AuditType.SIGN_IN, ANNA),
    ]
    since = start + timedelta(minutes=1)
    assert await found(since=since, until=since + timedelta(minutes=1)) == [
        (AuditType.SIGN_IN, BEN)
    ]


async def test_pages_follow_each_other_while_more_is_written(audit):
    for number in range(7):
        audit.note(AuditType.SIGN_IN, user_id=ANNA, number=number)
    seen = []
    cursor = None
    for _ in range(4):
        page = await audit.page(cursor=cursor, limit=3)
        seen += [entry.event.details["number"] for entry in page.entries]
        audit.note(AuditType.SIGN_IN, user_id=ANNA, number=99)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [6, 5, 4, 3, 2, 1, 0]
    assert cursor is None


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1 OR 1", "٣", "9" * 19])
async def test_a_cursor_of_somebody_elses_making_is_refused(audit, cursor):
    with pytest.raises(InvalidInputError):
        await audit.page(cursor=cursor)


async def test_what_happens_again_and_again_is_two_lines(audit, clock):
    for _ in range(1000):
        audit.note(AuditType.REFUSED, user_id=ANNA, address=HOTEL, route="users")
    clock.now += HOUR
    audit.note(AuditType.SIGN_IN, user_id=BEN)
    _, repeated, first = [entry.event for entry in await everything(audit)]
    assert first.details == {"route": "users"}
    assert repeated.details == {"repeated": 999}
    assert {first.type, repeated.type} == {AuditType.REFUSED}
    assert (repeated.user_id, repeated.address) == (ANNA, HOTEL)


async def test_what_somebody_does_on_purpose_is_never_counted_together(audit):
    for what in set(AuditType) - REPEATED:
        for _ in range(3):
            audit.note(what, user_id=ANNA, address=HOTEL)
    counted = Counter(entry.event.type for entry in await everything(audit))
    assert set(counted.values()) == {3}


async def test_a_flood_from_ever_new_addresses_is_a_few_lines(audit, clock):
    for number in range(20_000):
        audit.note(AuditType.RATE_LIMITED, address=f"203.0.{number // 250}.{number % 250}")
        audit.note(AuditType.SIGN_IN_FAILED, address=f"2001:db8:{number:x}::1")
    audit.note(AuditType.REFUSED, user_id=ANNA, address=HOTEL)
    clock.now += HOUR
    audit.note(AuditType.SIGN_IN, user_id=BEN)
    events = [entry.event for entry in await everything(audit)]
    assert len(events) < 210
    assert sum(int(event.details.get("repeated", 1)) for event in events) == 40_002
    assert any(event.type == AuditType.REFUSED and event.user_id == ANNA for event in events)


async def test_setting_the_clock_back_does_not_stop_the_counting(audit, clock):
    audit.note(AuditType.REFUSED, address=HOTEL)
    clock.now -= timedelta(days=300)
    audit.note(AuditType.REFUSED, address=HOTEL)
    assert [entry.event.at for entry in await everything(audit)] == [
        clock.now,
        clock.now + timedelta(days=300),
    ]


async def test_what_was_counted_is_said_when_the_daemon_stops(store, clock):
    audit = Audit(store=store, clock=clock, pause=0)
    async with running("audit", audit.run):
        await asyncio.sleep(0)
        for _ in range(5):
            audit.note(AuditType.LOCKED_OUT, address=HOTEL)
    assert [entry.event.details for entry in await everything(audit)] == [{"repeated": 4}, {}]


async def test_a_full_disk_loses_nothing_that_finds_room_to_wait(audit, store, caplog):
    store.is_full = True
    for number in range(6000):
        audit.note(AuditType.SIGN_IN, user_id=ANNA, number=number)
    assert await everything(audit) == []
    assert await everything(audit) == []
    store.is_full = False
    assert len(await everything(audit)) == 5000
    assert [record.getMessage() for record in caplog.records] == [
        "The audit cannot be written for now: storage_full",
        "The audit lacks 1000 events that found no room to wait",
    ]


async def test_nothing_is_written_twice_when_the_daemon_stops_in_between(store, clock):
    for turns in range(8):
        audit = Audit(store=store, clock=clock, pause=0)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(running("audit", audit.run))
            await asyncio.sleep(0)
            audit.note(AuditType.SIGN_IN, user_id=ANNA, turn=turns)
            for _ in range(turns):
                await asyncio.sleep(0)
    page = await store.page(limit=100)
    turns_seen = [entry.event.details["turn"] for entry in page.entries]
    assert turns_seen == [7, 6, 5, 4, 3, 2, 1, 0]


async def test_what_is_old_is_forgotten(audit, clock):
    for _ in range(2500):
        audit.note(AuditType.SIGN_IN, user_id=ANNA)
    clock.now += timedelta(days=100)
    audit.note(AuditType.SIGNED_OUT, user_id=ANNA)
    assert len(await everything(audit)) == 2501
    assert await audit.prune(timedelta(days=100)) == 0
    clock.now += timedelta(seconds=1)
    assert await audit.prune(timedelta(days=100)) == 2500
    assert [entry.event.type for entry in await everything(audit)] == [AuditType.SIGNED_OUT]


async def test_nothing_long_or_foreign_gets_in(audit):
    audit.note(AuditType.ADMIN_ACTION, address="<script>", task="x" * 5000)
    (entry,) = await everything(audit)
    assert entry.event.address == "unknown"
    assert len(str(entry.event.details["task"])) == 200
