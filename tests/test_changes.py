"""The blackboard of what has changed."""

import asyncio

from miauflixd.runtime.changes import Changes


async def test_a_listener_hears_of_what_changes_while_it_listens():
    changes = Changes[str]()
    changes.note("before")
    async with changes.listen() as heard:
        changes.note("a")
        changes.note("b")
        assert [await anext(heard), await anext(heard)] == ["a", "b"]
        changes.note("c")
        assert await anext(heard) == "c"


async def test_what_changes_often_is_told_once():
    changes = Changes[int]()
    async with changes.listen() as heard:
        for _ in range(1000):
            changes.note(1)
        changes.note(2)
        assert [await anext(heard), await anext(heard)] == [1, 2]
        changes.note(3)
        assert await anext(heard) == 3


async def test_every_listener_hears_of_everything_at_its_own_pace():
    changes = Changes[str]()
    async with changes.listen() as quick, changes.listen() as slow:
        changes.note("a")
        assert await anext(quick) == "a"
        changes.note("b")
        assert await anext(quick) == "b"
        assert [await anext(slow), await anext(slow)] == ["a", "b"]


async def test_a_batch_is_all_that_has_changed_since_the_last_look():
    changes = Changes[str]()
    async with changes.listen_in_batches() as heard:
        for one in "abca":
            changes.note(one)
        assert await anext(heard) == ("a", "b", "c")
        changes.note("d")
        assert await anext(heard) == ("d",)


async def test_a_listener_that_has_gone_is_forgotten():
    changes = Changes[str]()
    async with changes.listen() as heard, changes.listen_in_batches():
        changes.note("a")
        await anext(heard)
        assert len(changes._listeners) == 2
    assert not changes._listeners


async def test_who_waits_for_a_change_can_be_cancelled():
    changes = Changes[str]()

    async def listen() -> None:
        async with changes.listen() as heard:
            await anext(heard)

    async with asyncio.TaskGroup() as group:
        listening = group.create_task(listen())
        await asyncio.sleep(0)
        listening.cancel()
    assert not changes._listeners
