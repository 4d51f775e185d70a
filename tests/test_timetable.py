"""The timetable over a clock that is moved by hand: what runs when, and what is said of it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from miauflixd.database.database import Database
from miauflixd.errors import MiauflixdError, NotFoundError, StorageFullError, UnavailableError
from miauflixd.jobs.job import Job, QueueJob, Run
from miauflixd.jobs.model import (
    AlreadyRunningError,
    Every,
    Nightly,
    NoTaskError,
    TaskView,
    Wanted,
)
from miauflixd.jobs.queue import WorkQueue
from miauflixd.jobs.settings import JobsSettings
from miauflixd.jobs.task_store import TaskStore
from miauflixd.jobs.timetable import Timetable
from miauflixd.runtime.priority import Priority
from tests.time_machine import START, TimeMachine

HOUR = timedelta(hours=1)
HOURLY = Every(HOUR)


class Provider:
    """Somebody outside who answers, or does not; remembers what was asked of it, and when."""

    def __init__(self, clock: TimeMachine) -> None:
        self._clock = clock
        self.asked: list[str] = []
        self.times: list[timedelta] = []
        self.broken: dict[str, Exception] = {}
        """What it says to certain questions."""
        self.down: Exception | None = None
        """What it says to all of them."""
        self.slow: dict[str, asyncio.Event] = {}
        """When it answers certain ones."""
        self.at_once = self.most_at_once = 0

    async def ask(self, question: str) -> None:
        self.asked.append(question)
        self.times.append(self._clock() - START)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            if question in self.slow:
                await self.slow[question].wait()
            if self.down is not None:
                raise self.down
            if question in self.broken:
                raise self.broken[question]
        finally:
            self.at_once -= 1

    def new(self) -> list[str]:
        """Return what was asked since this was last called."""
        asked, self.asked = self.asked, []
        self.times = []
        return asked


class House:
    """A database, a clock, and whatever runs by them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "house.sqlite3"
        self.database: Database
        self.clock: TimeMachine
        self.provider: Provider

    @asynccontextmanager
    async def open(self) -> AsyncIterator["House"]:
        async with Database.open(self.path) as self.database:
            with TimeMachine.stopped(self.database) as self.clock:
                self.provider = Provider(self.clock)
                yield self

    async def queue(self, name: str = "titles", **more: Any) -> WorkQueue:
        return await WorkQueue.open(
            name, database=self.database, clock=self.clock, jitter=lambda: 0.0, **more
        )

    def hourly(self, name: str = "refresh", **more: Any) -> Job:
        async def run(_run: Run) -> str | None:
            await self.provider.ask(name)
            return "One asked"

        usual: dict[str, Any] = {"name": name, "summary": "Asks", "rule": HOURLY, "run": run}
        return Job(**(usual | more))

    def work(self, queue: WorkQueue, **more: Any) -> QueueJob:
        usual: dict[str, Any] = {
            "name": f"sync_{queue.name}",
            "summary": "Asks of each",
            "queue": queue,
            "handler": lambda item, _priority: self.provider.ask(item),
            "within": timedelta(minutes=1),
        }
        return QueueJob(**(usual | more))

    @asynccontextmanager
    async def running(
        self, *jobs: Job | QueueJob, background: bool = True, jitter: float = 0.0
    ) -> AsyncIterator[Timetable]:
        async with AsyncExitStack() as stack:
            timetable = await stack.enter_async_context(
                Timetable.open(
                    jobs,
                    database=self.database,
                    settings=JobsSettings(background=background),
                    clock=self.clock,
                    zone=UTC,
                    jitter=lambda: jitter,
                )
            )
            group = await stack.enter_async_context(asyncio.TaskGroup())
            task = group.create_task(timetable.run())
            await self.clock.settle()
            yield timetable
            task.cancel()


@pytest.fixture
async def house(tmp_path):
    async with House(tmp_path).open() as house:
        yield house


def only(timetable: Timetable) -> TaskView:
    (view,) = timetable.tasks()
    return view


def items(*names: str, priority: Priority = Priority.ROUTINE) -> list[Wanted]:
    return [Wanted(item=name, priority=priority) for name in names]


def texts(caplog, level: int = logging.INFO) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= level]


# --- jobs on their beat ---------------------------------------------------------------------------


async def test_a_fresh_install_does_everything_at_once_and_in_order(house):
    async with house.running(*(house.hourly(name) for name in "abc"), jitter=1.0):
        assert house.provider.new() == ["a", "b", "c"]


async def test_an_hourly_job_runs_an_hour_after_the_end_of_the_run_before(house):
    house.provider.slow["refresh"] = asyncio.Event()
    async with house.running(house.hourly()) as timetable:
        await house.clock.pass_by(minutes=10)
        house.provider.slow["refresh"].set()
        await house.clock.settle()
        view = only(timetable)
        assert (view.state, view.next) == ("idle", house.clock() + HOUR)
        assert view.last is not None
        assert (view.last.started, view.last.took) == (START, timedelta(minutes=10))
        assert (view.last.result, view.last.error, view.runs) == ("One asked", None, 1)
        await house.clock.pass_by(minutes=59)
        assert len(house.provider.asked) == 1
        await house.clock.pass_by(minutes=1)
        assert house.provider.times[1] == timedelta(minutes=70)


async def test_a_job_never_overlaps_itself_however_long_it_takes(house):
    house.provider.slow["refresh"] = asyncio.Event()
    async with house.running(house.hourly(within=timedelta(days=1))) as timetable:
        await house.clock.pass_by(hours=5)
        assert only(timetable).state == "running"
        with pytest.raises(AlreadyRunningError):
            timetable.trigger("refresh")
        assert house.provider.most_at_once == 1


async def test_a_job_that_gets_stuck_is_stopped_and_tried_again(house):
    house.provider.slow["refresh"] = asyncio.Event()
    async with house.running(house.hourly(within=timedelta(minutes=15))) as timetable:
        await house.clock.pass_by(minutes=15)
        view = only(timetable)
        assert (view.state, view.reason) == ("resting", "It took too long and was stopped")
        assert view.last is not None
        assert (view.last.error, view.next) == ("timed_out", house.clock() + timedelta(minutes=1))
        house.provider.slow.clear()
        await house.clock.pass_by(minutes=1)
        assert only(timetable).state == "idle"


async def test_a_job_that_fails_climbs_its_ladder_and_starts_below_again(house):
    house.provider.down = UnavailableError("It does not answer")
    async with house.running(house.hourly()) as timetable:
        await house.clock.pass_by(hours=3)
        minutes = [one / timedelta(minutes=1) for one in house.provider.times]
        assert minutes == [0, 1, 6, 21, 51, 111, 171]
        assert (only(timetable).failed, only(timetable).runs) == (7, 7)
        house.provider.down = None
        await house.clock.pass_by(hours=1)
        assert only(timetable).state == "idle"
        house.provider.down = UnavailableError("Again")
        house.provider.new()
        await house.clock.pass_by(hours=1)
        minutes = [one / timedelta(minutes=1) for one in house.provider.times]
        assert minutes == [291, 292, 297]


async def test_a_day_without_internet_is_two_lines_in_the_log_for_each_task(house, caplog):
    caplog.set_level(logging.INFO)
    house.provider.down = UnavailableError("Nobody can say why")
    queue = await house.queue()
    await queue.put(items("one", "two"))
    async with house.running(house.hourly(), house.work(queue)):
        await house.clock.pass_by(days=1)
        house.provider.down = None
        await house.clock.pass_by(days=1)
    assert sorted(texts(caplog)) == [
        "The queue of sync_titles goes on",
        "The queue of sync_titles rests: unavailable",
        "The task refresh failed: unavailable",
        "The task refresh works again",
    ]


async def test_a_job_that_breaks_in_a_way_that_nobody_meant_says_so_once_and_goes_on(house, caplog):
    house.provider.down = KeyError("colour")
    async with house.running(house.hourly(), house.hourly("other")) as timetable:
        await house.clock.pass_by(hours=6)
        broken, _ = timetable.tasks()
        assert broken.last is not None
        assert broken.last.error == "internal"
        assert broken.last.result == "Something broke; the log tells what"
    assert texts(caplog, logging.ERROR) == ["The task refresh broke", "The task other broke"]


async def test_of_several_errors_at_once_the_one_that_says_something_is_told(house):
    async def run(_run: Run) -> str | None:
        raise ExceptionGroup("several", [KeyError("x"), UnavailableError("It does not answer")])

    async with house.running(house.hourly(run=run)) as timetable:
        view = only(timetable)
        assert view.last is not None
        assert (view.last.error, view.last.result) == ("unavailable", "It does not answer")


async def test_a_nightly_job_runs_once_a_night(house):
    async with house.running(house.hourly(rule=Nightly(time(3, 30)))):
        house.provider.new()
        await house.clock.pass_by(days=3)
        hours = [one / HOUR for one in house.provider.times]
        assert hours == [15.5, 39.5, 63.5]


# --- clocks that cannot be believed ---------------------------------------------------------------


@pytest.mark.parametrize("by", [timedelta(days=-3650), timedelta(days=3650), timedelta(hours=-1)])
@pytest.mark.parametrize("rule", [HOURLY, Nightly(time(3, 30))])
async def test_a_clock_that_is_set_makes_nothing_run_in_a_loop_or_sleep_for_years(house, by, rule):
    queue = await house.queue()
    house.provider.broken["bad"] = MiauflixdError("no")
    await queue.put(items("bad"))
    async with house.running(house.hourly(rule=rule), house.work(queue)):
        house.clock.set(by)
        await house.clock.pass_by(days=2)
        asked = house.provider.new()
        beats = 48 if rule == HOURLY else 2
        assert beats <= asked.count("refresh") <= beats + 3
        # 0, 1, 6, 21, 51 min; 2, 5, 11, 23, 47 h; and once because of the clock.
        assert 9 <= asked.count("bad") <= 12


async def test_a_machine_that_slept_does_what_it_missed_within_minutes(house):
    async with house.running(house.hourly()):
        house.provider.new()
        house.clock.set(timedelta(hours=8))  # the loop's own clock stands still meanwhile
        await house.clock.pass_by(minutes=10)
        assert house.provider.new() == ["refresh"]


# --- restarts -------------------------------------------------------------------------------------


async def test_after_a_restart_an_hourly_job_waits_for_the_rest_of_its_hour(house):
    async with house.running(house.hourly()):
        await house.clock.pass_by(minutes=20)
    house.provider.new()
    async with house.running(house.hourly(), jitter=0.0) as timetable:
        assert only(timetable).runs == 1
        await house.clock.pass_by(minutes=39)
        assert house.provider.new() == []
        await house.clock.pass_by(minutes=1)
        assert house.provider.new() == ["refresh"]


async def test_what_was_missed_while_it_was_off_runs_soon_after_the_start(house):
    async with house.running(house.hourly()):
        pass
    house.provider.new()
    await house.clock.pass_by(hours=9)
    async with house.running(house.hourly(), jitter=0.5):
        assert house.provider.new() == []
        await house.clock.pass_by(seconds=30)
        assert house.provider.new() == ["refresh"]


async def test_a_ladder_goes_on_where_it_was_before_the_restart(house):
    house.provider.down = UnavailableError("no")
    async with house.running(house.hourly()):
        await house.clock.pass_by(minutes=25)
    house.provider.new()
    async with house.running(house.hourly()):
        await house.clock.pass_by(minutes=25)
        assert house.provider.new() == []
        await house.clock.pass_by(minutes=2)
        assert house.provider.new() == ["refresh"]


async def test_being_stopped_in_the_middle_is_no_failure_and_no_run(house):
    house.provider.slow["refresh"] = asyncio.Event()
    async with house.running(house.hourly()):
        await house.clock.pass_by(minutes=5)
    async with house.running(house.hourly()) as timetable:
        assert (only(timetable).state, only(timetable).runs) == ("running", 0)


# --- asking ---------------------------------------------------------------------------------------


async def test_whoever_asks_does_not_wait_for_the_beat(house):
    async with house.running(house.hourly()) as timetable:
        house.provider.new()
        assert timetable.trigger("refresh").state == "running"
        with pytest.raises(AlreadyRunningError):
            timetable.trigger("refresh")
        await house.clock.settle()
        assert house.provider.new() == ["refresh"]
        assert only(timetable).next == house.clock() + HOUR


async def test_what_has_changed_during_a_run_is_looked_at_by_another(house):
    held = house.provider.slow["refresh"] = asyncio.Event()
    async with house.running(house.hourly()) as timetable:
        await house.clock.settle()
        assert house.provider.new() == ["refresh"]
        timetable.stir("refresh")
        timetable.stir("refresh")
        held.set()
        await house.clock.settle()
        assert house.provider.new() == ["refresh"]
        await house.clock.pass_by(minutes=30)
        assert house.provider.new() == []
        timetable.stir("refresh")
        await house.clock.settle()
        assert house.provider.new() == ["refresh"]


async def test_nobody_can_ask_for_what_is_not_there(house):
    async with house.running(house.hourly()) as timetable:
        with pytest.raises(NoTaskError):
            timetable.trigger("../../etc/passwd")


async def test_without_background_work_only_what_somebody_asks_for_is_done(house):
    queue = await house.queue()
    await queue.put(items("routine"))
    jobs: Sequence[Job | QueueJob] = (house.hourly(), house.work(queue))
    async with house.running(*jobs, background=False) as timetable:
        await house.clock.pass_by(days=1)
        assert house.provider.new() == []
        assert [view.state for view in timetable.tasks()] == ["off", "off"]
        timetable.trigger("refresh")
        assert await queue.do("waited for", within=HOUR)
        await house.clock.settle()
        assert sorted(house.provider.new()) == ["refresh", "waited for"]
        timetable.trigger("sync_titles")
        await house.clock.settle()
        assert house.provider.new() == ["routine"]
        await queue.put(items("later"))
        await house.clock.pass_by(days=1)
        assert house.provider.new() == []


async def test_changes_name_the_task_that_changed(house):
    async with (
        house.running(house.hourly(), house.hourly("other")) as timetable,
        timetable.changes() as names,
    ):
        timetable.trigger("other")
        assert await anext(names) == "other"


# --- cursors --------------------------------------------------------------------------------------


async def test_a_cursor_is_what_the_next_run_begins_with(house):
    seen: list[bytes | None] = []

    async def run(run: Run) -> str | None:
        seen.append(run.cursor)
        await run.checkpoint(b"page %d" % len(seen))
        assert run.cursor == b"page %d" % len(seen)
        if len(seen) == 2:
            await run.checkpoint(None)
        return None

    async with house.running(house.hourly(run=run)):
        await house.clock.pass_by(hours=2)
    assert seen == [None, b"page 1", None]


async def test_a_checkpoint_that_fails_leaves_neither_cursor_nor_items(house):
    queue = await house.queue()
    store = TaskStore(database=house.database)
    run = Run(task="sync", cursor=None, store=store)
    await run.checkpoint(b"1", {queue: items("a")})
    unfit = [Wanted(item="b"), Wanted(item="c", weight=float("nan"))]  # SQLite: NaN is NULL
    with pytest.raises(Exception, match="NOT NULL"):
        await run.checkpoint(b"2", {queue: unfit})
    assert (await store.cursor("sync"), run.cursor) == (b"1", b"1")
    assert not await queue.contains("b")
    assert queue.length == 1


# --- queues ---------------------------------------------------------------------------------------


async def test_what_a_person_waits_for_goes_before_what_is_seen_and_that_before_the_rest(house):
    queue = await house.queue()
    await queue.put(
        [
            Wanted(item="dull"),
            Wanted(item="popular", weight=9.5),
            Wanted(item="seen", priority=Priority.ON_SCREEN),
            Wanted(item="seen and popular", priority=Priority.ON_SCREEN, weight=3),
            Wanted(item="also dull"),
            Wanted(item="waited for", priority=Priority.WAITED_FOR),
        ]
    )
    async with house.running(house.work(queue)) as timetable:
        assert house.provider.new() == [
            "waited for",
            "seen and popular",
            "seen",
            "popular",
            "dull",
            "also dull",
        ]
        view = only(timetable)
        assert (view.queue, view.state, view.runs) == (0, "idle", 1)
        assert view.last is not None
        assert (view.last.result, view.last.error) == ("6 done", None)


async def test_so_many_are_worked_on_at_once_and_no_more(house):
    queue = await house.queue()
    names = [f"item {number}" for number in range(20)]
    gate = asyncio.Event()
    house.provider.slow = dict.fromkeys(names, gate)
    await queue.put(items(*names))
    async with house.running(house.work(queue, workers=3)) as timetable:
        assert len(house.provider.asked) == 3
        assert (only(timetable).state, only(timetable).queue) == ("running", 20)
        gate.set()
        await house.clock.settle()
        assert house.provider.new() == names
        assert house.provider.most_at_once == 3


async def test_whoever_waits_does_not_wait_for_slow_routine(house):
    queue = await house.queue()
    house.provider.slow = dict.fromkeys(["slow", "slower"], asyncio.Event())
    await queue.put(items("slow", "slower"))
    async with house.running(house.work(queue)):
        await queue.put(items("seen", priority=Priority.ON_SCREEN))
        assert await queue.do("waited for", within=timedelta(seconds=10))
        assert house.provider.new() == ["slow", "waited for"]


async def test_one_broken_item_does_not_hold_up_the_others_and_is_tried_up_its_ladder(house):
    queue = await house.queue()
    house.provider.broken["bad"] = MiauflixdError("It cannot be read")
    await queue.put(items("bad", "good", "also good"))
    async with house.running(house.work(queue)) as timetable:
        assert house.provider.new() == ["bad", "good", "also good"]
        view = only(timetable)
        assert view.last is not None
        assert (view.last.result, view.last.error) == ("2 done, 1 failed (internal)", None)
        await house.clock.pass_by(days=3)
        minutes = [one / timedelta(minutes=1) for one in house.provider.times]
        assert minutes == [1, 6, 21, 51, 111, 291, 651, 1371, 2811, 4251]
        house.provider.broken.clear()
        await house.clock.pass_by(days=1)
        assert only(timetable).queue == 0


async def test_what_is_gone_is_done(house):
    queue = await house.queue()
    house.provider.broken["gone"] = NotFoundError("There is none")
    await queue.put(items("gone"))
    async with house.running(house.work(queue)) as timetable:
        assert only(timetable).queue == 0


async def test_an_item_that_gets_stuck_is_stopped_and_is_the_item_s_fault(house):
    queue = await house.queue()
    house.provider.slow["stuck"] = asyncio.Event()
    await queue.put(items("stuck", "next"))
    async with house.running(house.work(queue)) as timetable:
        await house.clock.pass_by(minutes=1)
        assert house.provider.new() == ["stuck", "next"]
        assert only(timetable).queue == 1


@pytest.mark.parametrize("error", [UnavailableError("down"), StorageFullError("full")])
async def test_when_the_provider_is_down_the_whole_queue_rests_and_nothing_is_lost(house, error):
    queue = await house.queue()
    house.provider.down = error
    await queue.put(items("one", "two", "three"))
    async with house.running(house.work(queue)) as timetable:
        await house.clock.pass_by(hours=1)
        minutes = [one / timedelta(minutes=1) for one in house.provider.times]
        assert minutes == [0, 1, 6, 21, 51]
        view = only(timetable)
        assert (view.state, view.reason, view.queue) == ("resting", str(error), 3)
        assert view.next == START + timedelta(minutes=111)
        house.provider.down = None
        house.provider.new()
        await house.clock.pass_by(hours=1)
        assert house.provider.new() == ["one", "two", "three"]
        assert only(timetable).state == "idle"


async def test_a_provider_that_says_how_long_is_left_alone_for_so_long(house):
    queue = await house.queue()
    house.provider.down = UnavailableError("Too many")
    house.provider.down.retry_after = 1234.0  # as providers' have it
    await queue.put(items("one"))
    async with house.running(house.work(queue)):
        house.provider.down = None
        await house.clock.pass_by(seconds=1233)
        assert house.provider.new() == ["one"]
        await house.clock.pass_by(seconds=1)
        assert house.provider.new() == ["one"]


async def test_a_rest_goes_on_over_a_restart(house):
    queue = await house.queue()
    house.provider.down = UnavailableError("down")
    await queue.put(items("one"))
    async with house.running(house.work(queue)):
        await house.clock.pass_by(minutes=7)
    house.provider.new()
    async with house.running(house.work(await house.queue())) as timetable:
        assert only(timetable).state == "resting"
        await house.clock.pass_by(minutes=13)
        assert house.provider.new() == []
        await house.clock.pass_by(minutes=1)
        assert house.provider.new() == ["one"]


async def test_whoever_waits_is_tried_once_in_spite_of_the_rest_and_told_the_truth(house):
    queue = await house.queue()
    house.provider.down = UnavailableError("down")
    await queue.put(items("routine"))
    async with house.running(house.work(queue)):
        house.provider.new()
        assert not await queue.do("waited for", within=HOUR)
        await house.clock.pass_by(seconds=50)
        assert house.provider.new() == ["waited for"]
        # It answers again: what shows it ends the rest.
        house.provider.down = None
        assert await queue.do("waited for", within=HOUR)
        await house.clock.settle()
        assert house.provider.new() == ["waited for", "routine"]


async def test_an_answer_to_an_older_question_does_not_end_a_rest(house):
    queue = await house.queue()
    gate = asyncio.Event()
    house.provider.slow["slow"] = gate
    house.provider.broken["bad"] = UnavailableError("Too many")
    await queue.put(items("slow", "bad", "next"))
    async with house.running(house.work(queue, workers=2)):
        gate.set()
        await house.clock.pass_by(seconds=50)
        assert house.provider.new() == ["slow", "bad"]


async def test_whoever_asks_ends_the_rest(house):
    queue = await house.queue()
    house.provider.down = UnavailableError("down")
    await queue.put(items("one"))
    async with house.running(house.work(queue)) as timetable:
        house.provider.down = None
        assert timetable.trigger("sync_titles").state == "running"
        await house.clock.settle()
        assert (only(timetable).state, only(timetable).queue) == ("idle", 0)


async def test_whoever_waits_too_long_is_told_so_and_the_work_goes_on(house):
    queue = await house.queue()
    gate = house.provider.slow["slow"] = asyncio.Event()
    async with house.running(house.work(queue)) as timetable, asyncio.TaskGroup() as group:
        waiting = group.create_task(queue.do("slow", within=timedelta(seconds=5)))
        await house.clock.pass_by(seconds=5)
        assert waiting.result() is False
        gate.set()
        await house.clock.settle()
        assert only(timetable).queue == 0


async def test_two_who_wait_for_the_same_are_served_by_one_run(house):
    queue = await house.queue()
    gate = house.provider.slow["title"] = asyncio.Event()
    async with house.running(house.work(queue)), asyncio.TaskGroup() as group:
        waiting = [group.create_task(queue.do("title", within=HOUR)) for _ in range(2)]
        await house.clock.settle()
        gate.set()
        await house.clock.settle()
        assert [one.result() for one in waiting] == [True, True]
        assert house.provider.new() == ["title"]


async def test_whoever_waits_does_so_now_on_whichever_rung_the_item_is(house):
    queue = await house.queue()
    house.provider.broken["bad"] = MiauflixdError("no")
    await queue.put(items("bad"))
    async with house.running(house.work(queue)):
        await house.clock.pass_by(hours=2)
        house.provider.new()
        assert not await queue.do("bad", within=HOUR)
        house.provider.broken.clear()
        assert await queue.do("bad", within=HOUR)


async def test_what_changes_while_it_is_worked_on_is_worked_on_once_more(house):
    queue = await house.queue()
    gate = house.provider.slow["title"] = asyncio.Event()
    await queue.put(items("title"))
    async with house.running(house.work(queue)) as timetable:
        await queue.put(items("title"))
        gate.set()
        await house.clock.settle()
        assert house.provider.new() == ["title", "title"]
        assert only(timetable).queue == 0


async def test_what_can_wait_is_done_when_its_time_has_come(house):
    queue = await house.queue()
    async with house.running(house.work(queue)):
        await queue.put([Wanted(item="later", not_before=START + HOUR)])
        await house.clock.pass_by(minutes=59)
        assert house.provider.new() == []
        await house.clock.pass_by(minutes=1)
        assert house.provider.new() == ["later"]


async def test_a_handler_may_put_its_item_off_again(house):
    queue = await house.queue()

    async def handler(item: str, _priority: Priority) -> None:
        await house.provider.ask(item)
        await queue.put([Wanted(item=item, not_before=house.clock() + 6 * HOUR)])

    await queue.put(items("stats"))
    async with house.running(house.work(queue, handler=handler)):
        await house.clock.pass_by(hours=13)
        assert [one / HOUR for one in house.provider.times] == [0, 6, 12]


async def test_what_feeds_a_queue_has_a_beat_of_its_own_and_shows_when_it_fails(house):
    queue = await house.queue()
    feeds: list[bytes | None] = []

    async def feed(run: Run) -> str | None:
        feeds.append(run.cursor)
        if len(feeds) == 3:
            raise UnavailableError("The list does not answer")
        await run.checkpoint(b"%d" % len(feeds), {queue: items(f"item {len(feeds)}")})
        return "1 put"

    job = house.work(queue, rule=HOURLY, feed=feed)
    async with house.running(job) as timetable:
        await house.clock.pass_by(minutes=90)
        assert house.provider.new() == ["item 1", "item 2"]
        view = only(timetable)
        assert (view.every, view.state, view.runs) == (HOUR, "idle", 4)
        await house.clock.pass_by(minutes=30)
        view = only(timetable)
        assert (view.state, view.reason) == ("resting", "The list does not answer")
        assert feeds == [None, b"1", b"2"]


async def test_next_is_what_comes_first_of_an_item_s_turn_and_the_feeding(house):
    queue = await house.queue()
    house.provider.broken["item"] = MiauflixdError("no")

    async def feed(run: Run) -> str | None:
        await run.checkpoint(None, {queue: items("item")})
        return None

    async with house.running(house.work(queue, rule=HOURLY, feed=feed)) as timetable:
        await house.clock.pass_by(seconds=1)
        assert house.provider.new() == ["item"]
        soon = only(timetable).next
        assert soon is not None
        assert soon < house.clock() + timedelta(minutes=2)
        del house.provider.broken["item"]
        await house.clock.pass_by(minutes=2)
        assert house.provider.new() == ["item"]
        assert only(timetable).next == START + HOUR


async def test_stopping_in_the_middle_leaves_an_item_as_it_was(house):
    queue = await house.queue()
    house.provider.slow["slow"] = asyncio.Event()
    await queue.put(items("slow", "next"))
    async with house.running(house.work(queue)):
        pass
    house.provider.slow.clear()
    house.provider.new()
    async with house.running(house.work(await house.queue())):
        assert house.provider.new() == ["slow", "next"]


# --- what it costs --------------------------------------------------------------------------------


async def test_an_idle_house_hardly_ever_writes(house):
    async def nothing(_run: Run) -> str | None:
        return None

    jobs: list[Job | QueueJob] = [
        house.hourly(f"job {number}", rule=Every(timedelta(minutes=1)), run=nothing)
        for number in range(5)
    ]
    jobs += [house.work(await house.queue(f"queue {number}")) for number in range(5)]

    def count() -> Any:
        return int(house.database.execute("SELECT total_changes()").fetchone()[0])

    async def written() -> Any:
        return await house.database.run(count)

    async with house.running(*jobs):
        await house.clock.pass_by(minutes=1)
        before = await written()
        await house.clock.pass_by(hours=1)
        # Each ten minutes, of each job one row.
        assert await written() - before <= 6 * 5
    async with house.running(*jobs) as timetable:
        assert all(view.runs >= 60 for view in timetable.tasks()[:5])


async def test_the_times_are_those_of_the_clock_on_the_wall(house):
    async with house.running(house.hourly()) as timetable:
        view = only(timetable)
        assert isinstance(view.since, datetime)
        assert view.since == START


async def test_after_a_rest_a_single_item_finds_out_whether_it_was_long_enough(house):
    queue = await house.queue()
    await queue.put(items(*"abcdef"))
    house.provider.down = UnavailableError("Away")
    async with house.running(house.work(queue, workers=3)):
        assert len(house.provider.new()) == 3
        await house.clock.pass_by(minutes=1)
        assert len(house.provider.new()) == 1
        house.provider.down = None
        await house.clock.pass_by(minutes=5)
        assert len(house.provider.new()) == 6
        assert queue.length == 0


async def test_no_rest_that_nobody_asked_for_is_longer_than_an_hour(house):
    queue = await house.queue()
    await queue.put(items("a"))
    house.provider.down = UnavailableError("Away")
    async with house.running(house.work(queue)):
        await house.clock.pass_by(days=2)
        house.provider.down = None
        await house.clock.pass_by(minutes=61)
        assert queue.length == 0


async def test_who_says_in_a_second_again_and_again_is_asked_more_seldom(house):
    queue = await house.queue()
    await queue.put(items("a"))
    away = UnavailableError("Too often")
    away.retry_after = 1.0  # type: ignore[attr-defined]  # as a provider's error has
    house.provider.down = away
    async with house.running(house.work(queue)):
        await house.clock.pass_by(hours=1)
        assert len(house.provider.asked) < 12


async def test_what_has_failed_is_tried_again_when_somebody_asks_for_the_task(house):
    queue = await house.queue()
    await queue.put(items("a"))
    house.provider.broken["a"] = MiauflixdError("No")
    async with house.running(house.work(queue)) as timetable:
        house.provider.broken.clear()
        assert queue.length == 1
        timetable.trigger("sync_titles")
        await house.clock.settle()
        assert queue.length == 0


async def test_without_background_work_a_task_that_is_asked_for_does_what_its_feed_brings(house):
    queue = await house.queue()

    async def feed(_run: Run) -> str | None:
        await queue.put(items("a", "b"))
        return None

    job = house.work(queue, rule=HOURLY, feed=feed)
    async with house.running(job, background=False) as timetable:
        timetable.trigger("sync_titles")
        await house.clock.settle()
        assert house.provider.new() == ["a", "b"]
        assert only(timetable).state == "off"


async def test_an_item_that_fails_again_is_no_news(house, caplog):
    queue = await house.queue()
    await queue.put(items("a"))
    house.provider.broken["a"] = MiauflixdError("No")
    async with house.running(house.work(queue)):
        await house.clock.pass_by(days=1)
    assert len(house.provider.asked) > 5
    assert len(texts(caplog)) == 1
