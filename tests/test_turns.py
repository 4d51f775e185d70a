"""So many at a time, the urgent ones first."""

import asyncio

import pytest

from miauflixd.runtime.priority import Priority
from miauflixd.runtime.turns import Turns

ROUTINE, ON_SCREEN, WAITED_FOR = Priority.ROUTINE, Priority.ON_SCREEN, Priority.WAITED_FOR


class Room:
    """Who is inside, in the order of coming."""

    def __init__(self, turns: Turns) -> None:
        self.came: list[str] = []
        self._turns = turns
        self._ends: dict[str, asyncio.Event] = {}

    async def visit(self, name: str, priority: Priority) -> None:
        self._ends[name] = asyncio.Event()
        async with self._turns.turn(priority):
            self.came.append(name)
            await self._ends[name].wait()

    async def leaves(self, name: str) -> None:
        self._ends[name].set()
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_have_their_turn_than_may_and_the_urgent_go_first():
    room = Room(Turns(1))
    async with asyncio.TaskGroup() as group:
        for name, priority in (
            ("first", ROUTINE),
            ("routine", ROUTINE),
            ("screen", ON_SCREEN),
            ("person", WAITED_FOR),
            ("another routine", ROUTINE),
        ):
            group.create_task(room.visit(name, priority))
            await settle()
        order = ["first", "person", "screen", "routine", "another routine"]
        for count, name in enumerate(order, start=1):
            assert room.came == order[:count]
            await room.leaves(name)


async def test_what_is_reserved_is_for_people_only():
    room = Room(Turns(2, reserved=1))
    async with asyncio.TaskGroup() as group:
        for name, priority in (("a", ROUTINE), ("b", ON_SCREEN), ("person", WAITED_FOR)):
            group.create_task(room.visit(name, priority))
            await settle()
        assert room.came == ["a", "person"]
        await room.leaves("person")
        assert room.came == ["a", "person"]
        await room.leaves("a")
        assert room.came == ["a", "person", "b"]
        await room.leaves("b")


@pytest.mark.parametrize("turns", range(6))
async def test_whoever_gives_up_at_any_moment_takes_no_turn_away(turns):
    room = Room(Turns(1))
    async with asyncio.TaskGroup() as group:
        group.create_task(room.visit("first", ROUTINE))
        await settle()
        fickle = group.create_task(room.visit("fickle", WAITED_FOR))
        await settle()
        room._ends["first"].set()
        for _ in range(turns):
            await asyncio.sleep(0)
        fickle.cancel()
        await settle()
        group.create_task(room.visit("last", ROUTINE))
        await settle()
        assert room.came[-1] == "last"
        await room.leaves("last")
