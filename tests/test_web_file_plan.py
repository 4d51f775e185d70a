"""Which parts of a file are asked for, given where its readers are."""

from hypothesis import given, settings
from hypothesis import strategies as st

from miauflixd.web_files.model import BLOCK
from miauflixd.web_files.plan import SEGMENT, WINDOW, Plan, Reading, Segment, plan, window

MIB = 2**20
PER_MIB = MIB // BLOCK
END = 100 * MIB


def at(position: int, *, begun: int | None = None, stop: int = END) -> Reading:
    return Reading(begun=position if begun is None else begun, position=position, stop=stop)


def begun(found: Plan) -> list[tuple[float, float]]:
    """Return what a plan begins, in MiB."""
    return [(one.start / PER_MIB, one.stop / PER_MIB) for one in found.begin]


def test_nobody_reading_changes_nothing():
    assert plan(set(), [], [Segment(3, 9)], lanes=2) == Plan()


def test_the_first_requests_are_short_and_the_next_ones_longer():
    assert begun(plan(set(), [at(0)], [], lanes=2)) == [(0, 1), (1, 2)]
    have = set(range(4 * PER_MIB))
    assert begun(plan(have, [at(2 * MIB, begun=0)], [], lanes=1)) == [(4, 8)]
    have = set(range(20 * PER_MIB))
    assert begun(plan(have, [at(2 * MIB, begun=0)], [], lanes=1)) == [(20, 28)]


def test_a_seek_gives_up_what_is_behind_and_keeps_what_is_ahead():
    found = plan(set(), [at(50 * MIB)], [Segment(0, 40), Segment(200, 204)], lanes=2)
    assert found.cancel == (Segment(0, 40),)
    assert begun(found) == [(51, 52)]


def test_a_reader_does_not_wait_for_all_that_is_before_it_in_a_request():
    late = plan(set(), [at(6 * MIB)], [Segment(0, 32)], lanes=1)
    assert (late.cancel, begun(late)) == ((Segment(0, 32),), [(6, 7)])
    soon = plan(set(), [at(MIB // 2)], [Segment(0, 32)], lanes=1)
    assert soon == Plan()


def test_nothing_is_fetched_beyond_the_window_or_the_end_of_a_range():
    have = set(range(WINDOW // BLOCK + 4))
    assert plan(have, [at(0)], [], lanes=2) == Plan()
    assert begun(plan(set(), [at(0, stop=BLOCK + 1)], [], lanes=2)) == [(0, 0.5)]


def test_who_waits_is_served_before_what_lies_far_ahead_of_others():
    have = set(range(20 * PER_MIB))
    ahead = [Segment(80, 112), Segment(112, 128)]
    found = plan(have, [at(0), at(60 * MIB)], ahead, lanes=2)
    assert found.cancel == (Segment(112, 128),)
    assert begun(found) == [(60, 61)]


def test_each_of_two_who_wait_has_a_connection():
    assert begun(plan(set(), [at(0), at(60 * MIB)], [], lanes=2)) == [(0, 1), (60, 61)]


def test_no_block_is_asked_for_twice_or_when_it_is_here():
    have = {2, 3, 9}
    found = plan(have, [at(0)], [Segment(5, 7)], lanes=4)
    asked = [block for one in (*found.begin, Segment(5, 7)) for block in range(one.start, one.stop)]
    assert len(asked) == len(set(asked))
    assert not have & set(asked)


readings = st.builds(
    lambda begun, run, rest: Reading(begun=begun, position=begun + run, stop=begun + run + rest),
    st.integers(0, 90 * MIB),
    st.integers(0, 8 * MIB),
    st.integers(0, 60 * MIB),
)
segments = st.lists(st.integers(0, 400), unique=True, max_size=6).map(
    lambda ends: [
        Segment(a, b) for a, b in zip(sorted(ends)[::2], sorted(ends)[1::2], strict=False)
    ]
)


@settings(derandomize=True)
@given(st.sets(st.integers(0, 400)), st.lists(readings, max_size=4), segments, st.integers(1, 3))
def test_whatever_is_read_and_under_way(have, readers, under_way, lanes):
    found = plan(have, readers, under_way, lanes=lanes)
    kept = [one for one in under_way if one not in found.cancel]
    assert set(found.cancel) <= set(under_way)
    assert not found.begin or len(kept) + len(found.begin) <= max(lanes, len(under_way))
    asked = [block for one in (*kept, *found.begin) for block in range(one.start, one.stop)]
    assert len(asked) == len(set(asked))
    for one in found.begin:
        assert 0 < one.stop - one.start <= SEGMENT // BLOCK
        assert not have & set(range(one.start, one.stop))
        assert any(one.start in window(reader) for reader in readers)


@settings(derandomize=True)
@given(st.lists(readings, min_size=1, max_size=4), st.integers(1, 3))
def test_when_all_that_is_asked_for_comes_nobody_waits_for_ever(readers, lanes):
    have: set[int] = set()
    under_way: list[Segment] = []
    for _ in range(1000):
        found = plan(have, readers, under_way, lanes=lanes)
        under_way = [one for one in under_way if one not in found.cancel] + list(found.begin)
        if not under_way:
            break
        first = under_way.pop(0)  # a block of it comes, and the rest is still to come
        have.add(first.start)
        if first.start + 1 < first.stop:
            under_way.append(Segment(first.start + 1, first.stop))
    assert all(reader.position // BLOCK in have for reader in readers if window(reader))
