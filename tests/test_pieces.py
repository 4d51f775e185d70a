"""Which bytes are here, and waiting for those that are not."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.torrents.model import Layout, SourceFile
from miauflixd.torrents.pieces import Pieces

PIECE = 100
FIRST = SourceFile(index=0, name="first", size=250, offset=0)
SECOND = SourceFile(index=2, name="second", size=30, offset=250)
THIRD = SourceFile(index=3, name="third", size=145, offset=280)
LAYOUT = Layout(name="show", piece_length=PIECE, total_size=425, files=(FIRST, SECOND, THIRD))
"""Five pieces, the last of 25 bytes; piece 2 has the end of a file, a whole one, and a start."""


def pieces(*numbers: int) -> Pieces:
    some = Pieces()
    some.add(numbers)
    return some


@pytest.mark.parametrize(
    ("have", "file", "position", "stop", "reach"),
    [
        ((), FIRST, 0, 250, 0),
        ((), FIRST, 120, 250, 120),  # not before where it starts
        ((0,), FIRST, 0, 250, 100),
        ((0,), FIRST, 0, 100, 100),
        ((0,), FIRST, 99, 250, 100),
        ((0, 1), FIRST, 0, 250, 200),
        ((0, 2), FIRST, 0, 250, 100),  # what is behind a gap does not count
        ((0, 1, 2), FIRST, 0, 250, 250),
        ((0, 1, 2), FIRST, 0, 180, 180),
        ((2,), SECOND, 0, 30, 30),  # a file within a piece
        ((2,), THIRD, 0, 145, 20),
        ((3,), THIRD, 20, 145, 120),
        ((2, 3, 4), THIRD, 0, 145, 145),  # to the end of the short piece
        ((4,), THIRD, 130, 145, 145),
        ((), FIRST, 50, 50, 50),
    ],
)
def test_a_reader_can_go_as_far_as_there_is_no_gap(have, file, position, stop, reach):
    assert pieces(*have).reach(LAYOUT, file, position, stop) == reach


@pytest.mark.parametrize(
    ("have", "file", "spans"),
    [
        ((), FIRST, ()),
        ((0,), FIRST, ((0, 100),)),
        ((0, 1), FIRST, ((0, 200),)),
        ((0, 2), FIRST, ((0, 100), (200, 250))),
        ((2,), SECOND, ((0, 30),)),
        ((2, 4), THIRD, ((0, 20), (120, 145))),
        ((0, 1, 2, 3, 4), THIRD, ((0, 145),)),
    ],
)
def test_what_can_be_read_of_a_file_is_told_in_spans(have, file, spans):
    assert pieces(*have).spans(LAYOUT, file) == spans


@pytest.mark.parametrize(
    ("have", "total"), [((), 0), ((0,), 100), ((4,), 25), ((0, 4), 125), (range(5), 425)]
)
def test_the_last_piece_counts_as_short_as_it_is(have, total):
    assert pieces(*have).total(LAYOUT) == total


def test_a_layout_of_whole_pieces_has_no_short_one():
    whole = Layout(name="x", piece_length=PIECE, total_size=200, files=())
    assert pieces(0, 1).total(whole) == 200


@pytest.mark.parametrize(
    ("bits", "have"),
    [
        (b"", set()),
        (b"\x00", set()),
        (b"\x80", {0}),
        (b"\x01", {7}),
        (b"\xc0\x40", {0, 1, 9}),
        (b"\x00\x00\x01", {23}),
    ],
)
def test_the_whole_truth_replaces_what_was_believed(bits, have):
    some = pieces(3, 99)
    some.replace(bits)
    assert {piece for piece in range(200) if piece in some} == have
    assert len(some) == len(have)


@given(have=st.sets(st.integers(0, 4)), at=st.integers(0, 144), file=st.sampled_from(LAYOUT.files))
def test_reach_spans_and_total_agree(have, at, file):
    some = pieces(*have)
    at %= file.size
    readable = {byte for start, stop in some.spans(LAYOUT, file) for byte in range(start, stop)}
    assert readable == {byte for byte in range(file.size) if LAYOUT.piece_at(file, byte) in have}
    reach = some.reach(LAYOUT, file, at, file.size)
    assert set(range(at, reach)) <= readable
    assert reach == file.size or reach not in readable
    parts = [sum(b - a for a, b in some.spans(LAYOUT, one)) for one in LAYOUT.files]
    assert some.total(LAYOUT) == sum(parts)


# --- waiting --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arrive",
    [
        lambda some: some.add([4, 3]),
        lambda some: some.replace(b"\x10"),
        lambda some: some.wake_all(),
    ],
    ids=["finished", "whole truth", "other news"],
)
async def test_all_who_wait_are_woken(arrive):
    some = Pieces()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(some.wait_for(3)) for _ in range(3)]
        await asyncio.sleep(0)
        some.add([1, 2])
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        arrive(some)


async def test_nobody_waits_for_what_is_here():
    await pieces(3).wait_for(3)


async def test_one_who_gives_up_waiting_disturbs_nobody():
    some = Pieces()
    async with asyncio.TaskGroup() as group:
        one, other = (group.create_task(some.wait_for(3)) for _ in range(2))
        await asyncio.sleep(0)
        one.cancel()
        await asyncio.sleep(0)
        assert not other.done()
        some.add([3])
    assert one.cancelled()
