"""How fast a server may be asked, and who goes first."""

import asyncio
import gc
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miauflixd.catalogue.providers.pace import Pace, Ticket
from miauflixd.catalogue.providers.provider import ProviderUnavailableError
from miauflixd.runtime.priority import Priority
from tests.provider_house import FakeTimer, settle

WAITED_FOR, ON_SCREEN, ROUTINE = Priority.WAITED_FOR, Priority.ON_SCREEN, Priority.ROUTINE


class Queue:
    """People who ask, and when it was their turn."""

    def __init__(self, timer: FakeTimer, group: asyncio.TaskGroup, **limits: Any) -> None:
        self.timer = timer
        self.group = group
        self.pace = Pace(company="TMDB", timer=timer, **limits)
        self.begun: list[Any] = []
        self.times: list[float] = []
        self.refused: list[tuple[Any, float | None]] = []
        self.under_way = 0
        self.most = 0

    def ask(self, name, who=ROUTINE, *, lasts=None):
        """Ask for a turn; it lasts until the event, or no time at all."""

        async def have() -> None:
            try:
                async with self.pace.turn(who):
                    self.begun.append(name)
                    self.times.append(self.timer.now)
                    self.under_way += 1
                    self.most = max(self.most, self.under_way)
                    try:
                        if lasts is not None:
                            await lasts.wait()
                    finally:
                        self.under_way -= 1
            except ProviderUnavailableError as error:
                self.refused.append((name, error.retry_after))

        return self.group.create_task(have())


@asynccontextmanager
async def queue(**limits):
    timer = FakeTimer()
    async with asyncio.TaskGroup() as group:
        yield Queue(timer, group, **{"per_second": 10, "burst": 1, "at_once": 100, **limits})


async def test_turns_begin_at_the_pace_and_in_the_order_in_which_they_were_asked_for():
    async with queue() as people:
        for name in "abcd":
            people.ask(name)
        await people.timer.advance(1)

    assert people.begun == list("abcd")
    assert people.times == pytest.approx([100.0, 100.1, 100.2, 100.3])


async def test_after_a_quiet_time_a_burst_may_begin_at_once_and_no_more():
    async with queue(burst=3) as people:
        await people.timer.advance(3600)
        for name in range(6):
            people.ask(name)
        await people.timer.advance(1)

    assert people.times == pytest.approx([3700, 3700, 3700, 3700.1, 3700.2, 3700.3])


async def test_no_more_are_under_way_than_allowed_and_the_end_of_one_is_the_turn_of_another():
    async with queue(at_once=2, burst=9) as people:
        ends = [asyncio.Event() for _ in range(4)]
        for name, end in enumerate(ends):
            people.ask(name, lasts=end)
        await people.timer.advance(10)
        assert people.begun == [0, 1]
        ends[1].set()
        await settle()
        assert people.begun == [0, 1, 2]
        for end in ends:
            end.set()

    assert people.begun == [0, 1, 2, 3]
    assert people.most == 2


async def test_a_person_goes_before_what_is_on_screen_and_that_before_routine():
    async with queue() as people:
        people.ask("first")
        await settle()
        for name, who in [("r1", ROUTINE), ("s", ON_SCREEN), ("r2", ROUTINE), ("p", WAITED_FOR)]:
            people.ask(name, who)
        await people.timer.advance(1)

    assert people.begun == ["first", "p", "s", "r1", "r2"]


async def test_somebody_can_be_hurried_while_waiting():
    async with queue() as people:
        people.ask("first")
        await settle()
        slow = Ticket(ROUTINE)
        people.ask("r1")
        people.ask("r2", slow)
        people.ask("p", WAITED_FOR)
        await settle()
        people.pace.hurry(slow, WAITED_FOR)
        people.pace.hurry(slow, ROUTINE)  # nobody becomes less urgent by that
        await people.timer.advance(1)

    assert people.begun == ["first", "p", "r2", "r1"]


async def test_whoever_gives_up_holds_up_nobody():
    async with queue(at_once=1) as people:
        end = asyncio.Event()
        people.ask("first", lasts=end)
        await settle()
        gone = people.ask("gone")
        people.ask("next")
        await settle()
        gone.cancel()
        end.set()
        await people.timer.advance(1)

    assert people.begun == ["first", "next"]


async def test_a_turn_that_is_given_up_in_the_moment_it_comes_goes_to_the_next():
    async with queue(at_once=1) as people:
        end = asyncio.Event()
        first = people.ask("first", lasts=end)
        await settle()
        gone = people.ask("gone")
        people.ask("next")
        await people.timer.advance(1)
        # Its future is resolved by the end of the first one, in the same step of the loop.
        first.cancel()
        await asyncio.sleep(0)
        gone.cancel()
        await people.timer.advance(1)

    assert people.begun == ["first", "next"]
    assert people.under_way == 0


async def test_while_the_server_rests_no_turn_begins_and_then_they_keep_their_pace():
    async with queue(burst=2) as people:
        people.pace.rest(30)
        people.pace.rest(5)  # a shorter one does not shorten it
        for name in range(4):
            people.ask(name)
        await people.timer.advance(29)
        assert people.begun == []
        assert people.pace.resting == pytest.approx(1)
        await people.timer.advance(2)

    assert people.times == pytest.approx([130, 130, 130.1, 130.2])
    assert people.pace.resting == 0


async def test_a_person_waits_for_a_short_rest_and_is_told_of_a_long_one():
    async with queue() as people:
        people.pace.rest(3)
        people.ask("a", WAITED_FOR)
        await people.timer.advance(3)
        assert people.begun == ["a"]
        people.pace.rest(3.5)
        people.ask("b", WAITED_FOR)
        people.ask("c", ROUTINE)
        await settle()
        assert people.refused == [("b", 3.5)]
        await people.timer.advance(4)

    assert people.begun == ["a", "c"]


async def test_nobody_waits_for_a_day():
    async with queue() as people:
        people.pace.rest(86_400)
        people.ask("a")
        await settle()

    assert people.refused == [("a", 86_400)]


async def test_those_who_wait_already_are_told_when_the_rest_becomes_too_long_for_them():
    async with queue() as people:
        people.ask("first")
        await settle()
        hurried = Ticket(ROUTINE)
        people.ask("person", WAITED_FOR)
        people.ask("routine")
        people.ask("hurried", hurried)
        await settle()
        people.pace.rest(10)
        await settle()
        assert people.refused == [("person", 10)]
        people.pace.hurry(hurried, WAITED_FOR)
        await settle()
        assert people.refused == [("person", 10), ("hurried", 10)]
        await people.timer.advance(11)

    assert people.begun == ["first", "routine"]


async def test_a_refusal_that_nobody_hears_any_more_is_no_complaint_of_the_loop_s():
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with queue() as people:
        people.ask("first")
        await settle()
        gone = people.ask("gone", WAITED_FOR)
        await settle()
        people.pace.rest(10)
        gone.cancel()
        await settle()
    del people
    gc.collect()

    assert complaints == []


async def test_nobody_is_rung_for_when_nobody_waits():
    async with queue() as people:
        for name in range(50):
            people.ask(name)
        await settle()
        assert people.timer.alarms == 1
        await people.timer.advance(60)
        assert people.timer.alarms == 0


async def test_the_loop_s_own_clock_does_too():
    pace = Pace(company="TMDB", per_second=1000, burst=1, at_once=1)
    for _ in range(5):
        async with pace.turn(ROUTINE):
            pass


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from(list(Priority))),
        st.tuples(st.just("end"), st.integers(0, 20)),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
        st.tuples(st.just("rest"), st.floats(0, 5)),
        st.tuples(st.just("wait"), st.floats(0, 1)),
    ),
    max_size=60,
)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(steps=STEPS)
def test_whatever_happens_the_pace_is_kept_and_everybody_gets_a_turn(steps):
    async def script() -> None:
        async with queue(per_second=10, burst=3, at_once=4) as people:
            ends: list[asyncio.Event] = []
            tasks: list[asyncio.Task[None]] = []
            for what, value in steps:
                if what == "ask":
                    ends.append(asyncio.Event())
                    tasks.append(people.ask(len(tasks), value, lasts=ends[-1]))
                elif what == "end" and value < len(ends):
                    ends[value].set()
                elif what == "cancel" and value < len(tasks):
                    tasks[value].cancel()
                elif what == "rest":
                    people.pace.rest(value)
                elif what == "wait":
                    await people.timer.advance(value)
            for end in ends:
                end.set()
            await people.timer.advance(70)
            assert people.under_way == 0
        assert people.most <= 4
        for begin in people.times:
            within = [one for one in people.times if begin <= one <= begin + 0.9999]
            assert len(within) <= 10 + 3
        served = set(people.begun) | {name for name, _ in people.refused}
        assert all(n in served or task.cancelled() for n, task in enumerate(tasks))

    asyncio.run(script())
