"""A queue in the database: what is kept through anything, in which order, and by which index."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from miauflixd.database.database import Database
from miauflixd.jobs import queue_store
from miauflixd.jobs.job import Run
from miauflixd.jobs.ladder import LONGEST, RUNGS
from miauflixd.jobs.model import MOST_AHEAD, Wanted
from miauflixd.jobs.queue import WorkQueue
from miauflixd.jobs.queue_store import Outcome, QueueStore
from miauflixd.jobs.task_store import TaskStore
from miauflixd.runtime.priority import Priority
from tests.auth_house import Clock

HOUR = timedelta(hours=1)


class House:
    """A database that can be abandoned at any moment: what was not committed is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.database: Database
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        self.database = await self._stack.enter_async_context(Database.open(self.path))

    async def restart(self) -> None:
        """Go on with what is in the file, and nothing else: no queue was told of the end."""
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        await self._stack.aclose()

    async def queue(self, name: str = "titles", **more: Any) -> WorkQueue:
        return await WorkQueue.open(
            name, database=self.database, clock=self.clock, jitter=lambda: 0.0, **more
        )


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path / "house.sqlite3")
    await house.start()
    yield house
    await house.stop()


async def take(queue: WorkQueue, count: int = 1, least: Priority = Priority.ROUTINE) -> list[str]:
    return [one.item for one in (await queue.turn([], claim=count, least=least)).claimed]


async def tell(queue: WorkQueue, *outcomes: Outcome) -> None:
    await queue.turn(outcomes, claim=0, least=Priority.ROUTINE)


def done(item: str) -> Outcome:
    return Outcome(item=item, kind="done")


def failed(item: str) -> Outcome:
    return Outcome(item=item, kind="failed", error="broken")


def released(item: str) -> Outcome:
    return Outcome(item=item, kind="released")


def items(*names: str, priority: Priority = Priority.ROUTINE, weight: float = 0) -> list[Wanted]:
    return [Wanted(item=name, priority=priority, weight=weight) for name in names]


# --- the order ------------------------------------------------------------------------------------


async def test_put_again_with_a_better_priority_an_item_is_raised_and_never_lowered(house):
    queue = await house.queue()
    await queue.put(items("a", "b", "c"))
    await queue.put(items("c", priority=Priority.ON_SCREEN))
    await queue.put(items("c", "b"))
    assert queue.length == 3
    assert await take(queue, 3) == ["c", "a", "b"]


async def test_what_left_the_screen_is_routine_again(house):
    queue = await house.queue()
    await queue.put(items("a"))
    await queue.put(items("b", priority=Priority.ON_SCREEN))
    await queue.put(items("c", priority=Priority.WAITED_FOR))
    await queue.demote(["b", "c", "not there"])
    assert await take(queue, 3) == ["c", "a", "b"]


async def test_only_what_is_wanted_enough_is_taken(house):
    queue = await house.queue()
    await queue.put(items("a"))
    await queue.put(items("b", priority=Priority.WAITED_FOR))
    assert await take(queue, 5, Priority.WAITED_FOR) == ["b"]


async def test_queues_do_not_see_each_other(house):
    one, other = await house.queue("one"), await house.queue("other")
    await one.put(items("a"))
    await other.put(items("a", "b"))
    assert await take(one, 5) == ["a"]
    await tell(one, done("a"))
    assert (one.length, other.length) == (0, 2)


async def test_beyond_its_limit_what_is_wanted_least_is_dropped_and_never_what_somebody_waits_for(
    house,
):
    queue = await house.queue(limit=4)
    await queue.put(items("waited for", "also", "third", priority=Priority.WAITED_FOR))
    await queue.put(items("popular", weight=5))
    await queue.put(items("dull", weight=1))
    assert not await queue.contains("dull")
    await queue.put(items("seen", priority=Priority.ON_SCREEN))
    assert not await queue.contains("popular")
    await queue.put(items("fourth", "fifth", priority=Priority.WAITED_FOR))
    assert not await queue.contains("seen")
    assert queue.length == 5  # nobody who waits is turned away
    await queue.put(items("routine", weight=100))
    assert not await queue.contains("routine")


async def test_of_those_that_wait_for_their_time_and_those_that_do_not_the_least_wanted_goes(house):
    queue = await house.queue(limit=2)
    later = house.clock() + HOUR
    await queue.put([Wanted(item="later", weight=1, not_before=later), Wanted(item="now")])
    await queue.put(items("new", weight=2))
    assert await queue.contains("later")
    assert not await queue.contains("now")


async def test_whoever_waits_for_what_is_dropped_or_deleted_is_told(house):
    queue = await house.queue()
    async with asyncio.TaskGroup() as group:
        told = group.create_task(queue.do("a", within=HOUR))
        while not await queue.contains("a"):
            pass
        await queue.delete(["a"])
    assert told.result() is False
    assert queue.length == 0


# --- through a kill -------------------------------------------------------------------------------


async def test_what_was_in_the_works_when_the_process_was_killed_waits_for_a_minute(house):
    queue = await house.queue()
    await queue.put(items("a", "b"))
    assert await take(queue) == ["a"]
    await house.restart()
    queue = await house.queue()
    assert queue.length == 2
    assert await take(queue, 5) == ["b"]
    house.clock.pass_by(minutes=1)
    assert await take(queue, 5) == ["a"]


async def test_an_item_that_kills_the_process_gets_to_do_so_ever_more_rarely(house):
    waits = []
    queue = await house.queue()
    await queue.put(items("poison"))
    for _ in range(4):
        waited = timedelta()
        while not await take(queue):
            house.clock.pass_by(minutes=1)
            waited += timedelta(minutes=1)
        waits.append(waited)
        await house.restart()
        queue = await house.queue()
    assert waits == [timedelta(), *RUNGS[:3]]


async def test_attempts_and_rungs_are_remembered(house):
    queue = await house.queue()
    await queue.put(items("a"))
    for rung in RUNGS[:3]:
        assert await take(queue) == ["a"]
        await tell(queue, failed("a"))
        await house.restart()
        queue = await house.queue()
        house.clock.now += rung - timedelta(seconds=1)
        assert await take(queue) == []
        house.clock.pass_by(seconds=1)


async def test_what_was_not_the_item_s_fault_costs_it_no_rung(house):
    queue = await house.queue()
    await queue.put(items("a"))
    for _ in range(3):
        assert await take(queue) == ["a"]
        await tell(queue, released("a"))


async def test_nobody_waits_any_more_after_a_restart(house):
    queue = await house.queue()
    await queue.put(items("a", priority=Priority.WAITED_FOR))
    await house.restart()
    queue = await house.queue()
    assert await take(queue, 1, Priority.WAITED_FOR) == []
    assert await take(queue, 1, Priority.ON_SCREEN) == ["a"]


async def test_what_was_put_off_under_a_clock_that_was_wrong_is_due(house):
    queue = await house.queue()
    house.clock.pass_by(days=3650)
    await queue.put(items("bad"))
    await queue.put([Wanted(item="later", not_before=house.clock() + HOUR)])
    assert await take(queue) == ["bad"]
    await tell(queue, failed("bad"))
    house.clock.pass_by(days=-3650)
    await house.restart()
    assert sorted(await take(await house.queue(), 5)) == ["bad", "later"]


async def test_nothing_can_be_put_off_for_longer_than_a_month_or_so(house):
    queue = await house.queue()
    await queue.put([Wanted(item="a", not_before=datetime.max.replace(tzinfo=UTC))])
    house.clock.now += MOST_AHEAD
    assert await take(queue) == ["a"]


async def test_a_feed_that_is_killed_between_any_two_steps_loses_nothing_and_repeats_nothing(house):
    pages = [["a", "b"], ["c"], ["d", "e"]]
    handled: list[str] = []
    # One step more each time, and then the end of the process.
    for steps in range(1, 30):
        queue = await house.queue()
        store = TaskStore(database=house.database)
        left = steps % 3 + 1
        run = Run(task="feed", cursor=await store.cursor("feed"), store=store)
        while left:
            page = int(run.cursor or b"0")
            if page < len(pages):
                await run.checkpoint(b"%d" % (page + 1), {queue: items(*pages[page])})
            elif claimed := await take(queue):
                handled += claimed
                left -= 1
                if not left:
                    break  # killed behind the work, before it was written down
                await tell(queue, done(claimed[0]))
            left -= 1
        await house.restart()
        house.clock.pass_by(minutes=30)
    # What was killed in the middle of the work is worked on again: that much cannot be helped.
    assert sorted(set(handled)) == ["a", "b", "c", "d", "e"]
    queue = await house.queue()
    assert queue.length == 0


# --- whatever happens -----------------------------------------------------------------------------


class Model(RuleBasedStateMachine):
    """The store against a dictionary, over puts, claims, outcomes, deletions and kills."""

    schema: str
    """That of the migrations."""

    names = st.sampled_from([f"item {number}" for number in range(8)])

    def __init__(self) -> None:
        super().__init__()
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.executescript(self.schema)
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.claimed: set[str] = set()
        self.there: dict[str, bool] = {}
        """And whether it was put again while it was claimed."""
        self.open()

    def open(self) -> None:
        direct: Any = Direct(self.connection)  # all that a store needs of a database
        self.store = QueueStore(database=direct, queue="q", limit=6, longest=LONGEST, jitter=float)

    def step(self, coroutine: Any) -> Any:
        with pytest.raises(StopIteration) as stop:
            coroutine.send(None)
        return stop.value.value

    @rule(name=names, priority=st.sampled_from(Priority), weight=st.floats(0, 10))
    def put(self, name, priority, weight):
        wanted = Wanted(item=name, priority=priority, weight=weight)
        dropped = self.step(self.store.put([wanted], now=self.now))
        again = name in self.claimed and priority is Priority.ROUTINE
        self.there[name] = self.there.get(name, False) or again
        for one in dropped:
            assert one not in self.claimed
            del self.there[one]

    @rule(count=st.integers(1, 3))
    def claim(self, count):
        turn = self.step(self.store.turn([], claim=count, least=Priority.ROUTINE, now=self.now))
        claimed = {one.item for one in turn.claimed}
        assert not self.claimed & claimed
        assert claimed <= set(self.there)
        self.claimed |= claimed

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), kind=st.sampled_from(["done", "failed", "released"]))
    def end(self, data, kind):
        item = data.draw(st.sampled_from(sorted(self.claimed)))
        outcome = Outcome(item=item, kind=kind, error="x")
        self.step(self.store.turn([outcome], claim=0, least=Priority.ROUTINE, now=self.now))
        self.claimed.discard(item)
        if kind == "done" and not self.there.get(item, True):
            del self.there[item]
        elif item in self.there:
            self.there[item] = False

    @rule(name=names)
    def delete(self, name):
        self.step(self.store.delete([name]))
        self.there.pop(name, None)
        self.claimed.discard(name)

    @rule()
    def kill(self):
        self.open()
        self.step(self.store.take_over())
        self.claimed.clear()
        # That it was to be done once more is no loss: it is done once more anyway.
        self.there = dict.fromkeys(self.there, False)
        self.connection.execute("UPDATE work SET again_at = NULL")

    @rule(hours=st.integers(-48, 48))
    def pass_by(self, hours):
        self.now += timedelta(hours=hours)

    @invariant()
    def nothing_is_lost_and_nothing_is_invented(self):
        rows = self.connection.execute("SELECT item FROM work WHERE queue = 'q'").fetchall()
        assert sorted(item for (item,) in rows) == sorted(self.there)
        self.step(self.store.contains("x"))
        assert self.store.length == len(self.there)

    def teardown(self):
        self.connection.close()


class Direct:
    """A database without a thread of its own."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, parameters)

    async def run(self, function: Any) -> Any:
        return function()


async def test_nothing_is_lost_whatever_happens(house):
    def read() -> list[str]:
        rows = house.database.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = 'work' AND sql IS NOT NULL "
            "ORDER BY type DESC"
        )
        return [sql for (sql,) in rows.fetchall()]

    Model.schema = ";".join(await house.database.run(read))
    run_state_machine_as_test(
        Model, settings=settings(derandomize=True, max_examples=60, stateful_step_count=40)
    )


# --- what it costs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        (queue_store.FIND, ("q", "item")),
        (queue_store.READY, ("q", 2, 1)),
        (queue_store.READY, ("q", 0, 1)),
        (queue_store.DUE, ("q", 0, 500)),
        (queue_store.SOONEST, ("q",)),
        (queue_store.LEAST_WANTED, ("q", 0, 1)),
    ],
)
@pytest.mark.parametrize("analysed", [False, True])
async def test_each_question_is_answered_out_of_an_index(house, statement, parameters, analysed):
    queue = await house.queue("q")
    await queue.put(items(*map(str, range(300))))
    if analysed:
        await house.database.run(house.database.execute, "ANALYZE")

    def plan() -> list[str]:
        rows = house.database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [row[-1] for row in rows.fetchall()]

    (found, *more) = await house.database.run(plan)
    assert found.startswith("SEARCH work USING")
    assert "INDEX work_queue" in found
    assert not more, "it sorts"
