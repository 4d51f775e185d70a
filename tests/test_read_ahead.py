"""Which pieces are wanted, decided from where readers are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.torrents.model import Layout, SourceFile
from miauflixd.torrents.read_ahead import (
    AHEAD,
    AT_ONCE,
    HEAD,
    PRELOAD_FIRST,
    REST,
    TAIL,
    UNWANTED,
    WINDOW_MAXIMUM,
    WINDOW_MINIMUM,
    Reading,
    Wishes,
    changes,
    heads,
    wishes,
)

MIB = 2**20
COUNT = 200
FILM = SourceFile(index=0, name="film.mkv", size=COUNT * MIB - 5, offset=0)
LAYOUT = Layout(name="film", piece_length=MIB, total_size=FILM.size, files=(FILM,))
ALL = frozenset(range(COUNT))


def reading(position: int, *, stop: int = FILM.size, rate: float = 0.0) -> Reading:
    return Reading(file=FILM, position=position, stop=stop, rate=rate)


def wanted(now: Wishes) -> list[int]:
    return sorted(now.windows)


def pieces_of(layout: Layout, file: SourceFile) -> list[range]:
    """Return the pieces of a file's head and tail."""
    return [layout.pieces_of(layout.file(index), start, stop) for index, start, stop in heads(file)]


# --- one reader -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "have", "first"),
    [
        (0, (), 0),
        (MIB - 1, (), 0),
        (MIB, (), 1),
        (50 * MIB + 7, (), 50),
        (50 * MIB, (50, 52), 51),
        (FILM.size - 1, (), COUNT - 1),
    ],
)
def test_what_comes_next_is_wanted_first(position, have, first):
    now = wishes(LAYOUT, set(have), [reading(position)])
    assert wanted(now)[0] == first
    assert now.priority(first) == AT_ONCE == max(now.windows.values())
    assert now.hungry


def test_a_short_range_wants_no_more_than_itself():
    now = wishes(LAYOUT, set(), [reading(10 * MIB, stop=11 * MIB + 1)])
    assert wanted(now) == [10, 11]


def test_once_the_window_is_here_nothing_is_urgent_and_the_rest_may_come():
    now = wishes(LAYOUT, ALL - {150}, [reading(0)], rest=[FILM])
    assert not now.hungry
    assert now.priority(150) == REST


def test_while_the_near_half_has_gaps_nothing_else_is_wanted():
    now = wishes(LAYOUT, set(), [reading(0)], preload=pieces_of(LAYOUT, FILM), rest=[FILM])
    assert now.hungry
    assert now.priority(COUNT - 1) == now.priority(100) == UNWANTED


def test_a_fast_reader_looks_further_ahead_but_not_without_end():
    # All that is near is here, so the window shows in full.
    def end(rate: float) -> int:
        far = wishes(LAYOUT, set(range(34)), [reading(0, rate=rate)])
        return max(far.windows, default=0)

    assert end(0) == end(1000) == 0
    assert end(3 * MIB) == end(10**9) == WINDOW_MAXIMUM // MIB - 1
    assert 34 <= end(1.5 * MIB) < end(2 * MIB) < end(3 * MIB)


def test_a_fast_swarm_may_have_more_under_way():
    slow = wishes(LAYOUT, set(), [reading(0)], swarm_rate=0)
    fast = wishes(LAYOUT, set(), [reading(0)], swarm_rate=20e6)
    assert wanted(slow) == wanted(fast)[: len(slow.windows)]
    assert len(fast.windows) > len(slow.windows)


def test_when_nothing_comes_whatever_the_others_have_is_wanted_too():
    now = wishes(LAYOUT, set(), [reading(0)], stalled=True, rest=[FILM])
    usual = wishes(LAYOUT, set(), [reading(0)], rest=[FILM])
    assert now.windows.items() > usual.windows.items()
    assert now.priority(COUNT - 1) == REST


@pytest.mark.parametrize("piece_length", [2**14, 2**18, 2**20, 2**22, 2**24, 2**26])
def test_whatever_a_piece_weighs_some_are_wanted_and_never_too_many(piece_length):
    size = 40 * 2**26
    file = SourceFile(index=0, name="film", size=size, offset=0)
    layout = Layout(name="film", piece_length=piece_length, total_size=size, files=(file,))
    for have in (set[int](), set(range(layout.piece_count // 100))):
        at = Reading(file=file, position=0, stop=size, rate=50e6)
        now = wishes(layout, have, [at], swarm_rate=50e6)
        assert len(now.windows) <= 256
        assert now.windows or len(have) > 0


# --- seeks, and several readers -------------------------------------------------------------------


def test_a_seek_drops_the_old_window():
    before = wishes(LAYOUT, set(), [reading(0)], rest=[FILM])
    after = wishes(LAYOUT, set(), [reading(100 * MIB)], rest=[FILM])
    told = dict(changes(before, after, set()))
    assert all(told[piece] == UNWANTED for piece in before.windows)
    assert told[100] == AT_ONCE


def test_a_reader_that_leaves_takes_its_window_along():
    both = wishes(LAYOUT, set(), [reading(0), reading(100 * MIB)])
    one = wishes(LAYOUT, set(), [reading(0)])
    told = dict(changes(both, one, set()))
    assert set(told) == set(both.windows) - set(one.windows)
    assert set(told.values()) == {UNWANTED}


def test_several_readers_are_served_alike():
    places = [0, 40 * MIB, 90 * MIB]
    now = wishes(LAYOUT, set(), [reading(place) for place in places])
    assert [now.priority(piece) for piece in (0, 40, 90)] == [AT_ONCE] * 3
    alone = [wishes(LAYOUT, set(), [reading(place)]) for place in places]
    assert now.windows == alone[0].windows | alone[1].windows | alone[2].windows


def test_where_readers_meet_the_greater_wish_counts():
    near, far = reading(0), reading(1 * MIB)
    now = wishes(LAYOUT, set(), [near, far])
    assert now.priority(0) == now.priority(1) == AT_ONCE
    assert now == wishes(LAYOUT, set(), [far, near])


def test_two_at_the_same_place_are_one():
    assert wishes(LAYOUT, set(), [reading(7 * MIB)] * 2) == wishes(
        LAYOUT, set(), [reading(7 * MIB)]
    )


# --- head and tail --------------------------------------------------------------------------------


def test_of_a_film_that_nobody_reads_yet_head_and_tail_come_first():
    now = wishes(LAYOUT, set(), [], preload=pieces_of(LAYOUT, FILM), rest=[FILM])
    head = set(range(HEAD // MIB))
    tail = {COUNT - 2, COUNT - 1}  # the film ends five bytes short of a piece
    assert set(now.windows) == head | tail
    assert min(now.priority(piece) for piece in head) > now.priority(COUNT - 1) > REST
    assert now.priority(100) == REST
    assert TAIL == MIB


def test_a_film_smaller_than_its_head_is_wanted_whole():
    small = SourceFile(index=0, name="small", size=1000, offset=500)
    layout = Layout(name="small", piece_length=2**14, total_size=1500, files=(small,))
    assert wanted(wishes(layout, set(), [], preload=pieces_of(layout, small))) == [0]


def test_what_will_probably_be_read_waits_behind_every_readers_window():
    # All that is near is here, so the window shows in full.
    now = wishes(LAYOUT, set(range(5)), [reading(0)], preload=[range(6, 100)], rest=[FILM])
    assert [now.priority(piece) for piece in (7, 99, 150)] == [AHEAD, PRELOAD_FIRST, REST]
    assert not now.hungry


def test_nothing_at_all_is_wanted_when_nobody_wants_anything():
    assert wishes(LAYOUT, set(), []) == Wishes()


# --- in general -----------------------------------------------------------------------------------

layouts = st.builds(
    lambda sizes, power, lead: _layout(sizes, 2**power, lead),
    st.lists(st.integers(0, 5 * MIB), min_size=1, max_size=4).filter(any),
    st.integers(14, 22),
    st.integers(0, 1000),
)


def _layout(sizes: list[int], piece_length: int, lead: int) -> Layout:
    files = []
    offset = lead
    for index, size in enumerate(sizes):
        files.append(SourceFile(index=index, name=str(index), size=size, offset=offset))
        offset += size
    return Layout(name="any", piece_length=piece_length, total_size=offset, files=tuple(files))


@st.composite
def situations(draw: Any) -> tuple[Layout, dict[str, Any], set[int]]:
    """A layout, all that `wishes` is told of it, and the pieces that are here."""
    layout = draw(layouts)
    files = [file for file in layout.files if file.size]
    readings = []
    for file in draw(st.lists(st.sampled_from(files), max_size=4)):
        start = draw(st.integers(0, file.size - 1))
        stop = draw(st.integers(start + 1, file.size))
        rate = draw(st.floats(0, 1e8))
        readings.append(Reading(file=file, position=start, stop=stop, rate=rate))
    told = {
        "readings": readings,
        "swarm_rate": draw(st.floats(0, 1e9)),
        "stalled": draw(st.booleans()),
        "preload": [
            pieces
            for file in draw(st.lists(st.sampled_from(files), max_size=2))
            for pieces in pieces_of(layout, file)
        ],
        "rest": draw(st.lists(st.sampled_from(files), max_size=2)),
    }
    return layout, told, draw(st.sets(st.integers(0, layout.piece_count - 1)))


@given(situations())
def test_only_missing_pieces_are_wanted_and_what_somebody_waits_for_at_once(situation):
    layout, told, have = situation
    now = wishes(layout, have, **told)
    assert not now.windows.keys() & have
    waiting = {layout.piece_at(at.file, at.position) for at in told["readings"]} - have
    assert all(now.priority(piece) == AT_ONCE for piece in waiting)
    assert set(now.windows.values()) <= set(range(REST + 1, AT_ONCE + 1))
    assert now.hungry or not waiting


@given(situations())
def test_nothing_is_wanted_that_no_reader_and_no_file_asks_for(situation):
    layout, told, have = situation
    now = wishes(layout, have, **told)
    asked: set[int] = set()
    for at in told["readings"]:
        asked.update(layout.pieces_of(at.file, at.position, at.stop))
    for file in told["rest"]:
        asked.update(layout.pieces_of(file, 0, file.size))
    asked.update(*told["preload"])
    assert {piece for piece in range(layout.piece_count) if now.priority(piece)} <= asked


@given(layouts, st.data())
def test_the_further_ahead_the_less_it_is_wanted(layout, data):
    file = data.draw(st.sampled_from([file for file in layout.files if file.size]))
    at = Reading(file=file, position=data.draw(st.integers(0, file.size - 1)), stop=file.size)
    now = wishes(layout, set(), [at], swarm_rate=data.draw(st.floats(0, 1e9)))
    falling = [now.windows[piece] for piece in sorted(now.windows)]
    assert falling == sorted(falling, reverse=True)
    ahead = layout.piece_start(max(now.windows)) - file.offset - at.position
    assert ahead <= WINDOW_MINIMUM


@given(situations(), st.data())
def test_what_is_told_leads_from_the_old_wishes_exactly_to_the_new(situation, data):
    layout, told, have = situation
    old = wishes(layout, have, **told)
    arrived = have | data.draw(st.sets(st.integers(0, layout.piece_count - 1)))
    keep = data.draw(st.integers(0, 4))
    new = wishes(
        layout,
        arrived,
        told["readings"][keep:],
        swarm_rate=told["swarm_rate"],
        rest=data.draw(st.sampled_from([told["rest"], []])),
    )
    engine = {piece: old.priority(piece) for piece in range(layout.piece_count)}
    said = changes(old, new, arrived)
    engine.update(said)
    missing = set(range(layout.piece_count)) - arrived
    assert all(engine[piece] == new.priority(piece) for piece in missing)
    assert len(dict(said)) == len(said)
    assert not dict(said).keys() & arrived


@given(situations())
def test_with_nothing_new_nothing_is_told(situation):
    layout, told, have = situation
    now = wishes(layout, have, **told)
    assert changes(now, now, have) == []
