import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.web.byte_ranges import (
    ByteRange,
    UnsatisfiableRangeError,
    if_none_match_matches,
    if_range_holds,
    requested_range,
)

WHOLE = None
UNSATISFIABLE = "unsatisfiable"

HUGE = "9" * 1000


def answer(header: str | None, size: int) -> tuple[int, int] | str | None:
    try:
        found = requested_range(header, size)
    except UnsatisfiableRangeError:
        return UNSATISFIABLE
    return WHOLE if found is None else (found.start, found.stop)


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        (None, 100, WHOLE),
        # one range
        ("bytes=0-99", 100, (0, 100)),
        ("bytes=0-0", 100, (0, 1)),
        ("bytes=99-99", 100, (99, 100)),
        ("bytes=10-", 100, (10, 100)),
        ("bytes=10-1000", 100, (10, 100)),
        (f"bytes=10-{HUGE}", 100, (10, 100)),
        ("bytes=007-08", 100, (7, 9)),
        ("Bytes=1-2", 100, (1, 3)),
        (" bytes=1-2 ", 100, (1, 3)),
        # the last bytes
        ("bytes=-1", 100, (99, 100)),
        ("bytes=-100", 100, (0, 100)),
        ("bytes=-1000", 100, (0, 100)),
        (f"bytes=-{HUGE}", 100, (0, 100)),
        # none of it is there
        ("bytes=-0", 100, UNSATISFIABLE),
        ("bytes=100-", 100, UNSATISFIABLE),
        ("bytes=100-200", 100, UNSATISFIABLE),
        (f"bytes={HUGE}-", 100, UNSATISFIABLE),
        ("bytes=100-, -0, 500-600", 100, UNSATISFIABLE),
        # an empty file
        ("bytes=0-", 0, UNSATISFIABLE),
        ("bytes=0-0", 0, UNSATISFIABLE),
        ("bytes=-0", 0, UNSATISFIABLE),
        ("bytes=-5", 0, WHOLE),
        # several: as one when there is no gap, else the first that exists
        ("bytes=0-4,5-9", 100, (0, 10)),
        ("bytes=5-9, 0-4", 100, (0, 10)),
        ("bytes=0-9,5-19,-80", 100, (0, 100)),
        ("bytes=0-4,6-9", 100, (0, 5)),
        ("bytes=6-9,0-4", 100, (6, 10)),
        ("bytes=200-300,6-9", 100, (6, 10)),
        ("bytes=,1-2,,", 100, (1, 3)),
        # another unit, so ignored
        ("seconds=1-2", 100, WHOLE),
        ("items=100-", 100, WHOLE),
        # malformed, so ignored
        ("", 100, WHOLE),
        ("bytes", 100, WHOLE),
        ("bytes=", 100, WHOLE),
        ("bytes=,", 100, WHOLE),
        ("bytes=-", 100, WHOLE),
        ("bytes=a-b", 100, WHOLE),
        ("bytes=5", 100, WHOLE),
        ("bytes=5-4", 100, WHOLE),
        ("bytes=200-100", 100, WHOLE),
        ("bytes=--5", 100, WHOLE),
        ("bytes=+1-2", 100, WHOLE),
        ("bytes=1-2-3", 100, WHOLE),
        ("bytes=1 - 2", 100, WHOLE),
        ("bytes =1-2", 100, WHOLE),
        ("bytes= 1-2", 100, (1, 3)),
        ("bytes=1_0-20", 100, WHOLE),
        ("bytes=0x1-2", 100, WHOLE),
        ("bytes=１-２", 100, WHOLE),  # noqa: RUF001 - digits, but not ASCII ones
        ("bytes=1-2\n", 100, WHOLE),
        ("bytes=0-4,x", 100, WHOLE),
        ("bytes=0-4,9-5", 100, WHOLE),
        # unreasonable, so ignored
        ("bytes=" + "1-2," * 32, 100, (1, 3)),
        ("bytes=" + "1-2," * 33, 100, WHOLE),
        ("bytes=" + "," * 5000 + "1-2", 100, WHOLE),
        ("bytes=1-" + "9" * 5000, 100, WHOLE),
    ],
)
def test_a_range_header_asks_for_these_bytes(header, size, expected):
    assert answer(header, size) == expected


def test_an_unsatisfiable_range_says_how_large_the_file_is():
    with pytest.raises(UnsatisfiableRangeError, match="100 bytes") as caught:
        requested_range("bytes=100-", 100)
    assert caught.value.size == 100


def test_a_range_describes_itself():
    one = ByteRange(start=5, stop=10)
    assert (one.length, one.content_range(100)) == (5, "bytes 5-9/100")


sizes = st.integers(min_value=0, max_value=2**62)


@given(header=st.text(max_size=50) | st.text("bytes=0123456789-, ", max_size=80), size=sizes)
def test_whatever_the_header_says_only_bytes_that_exist_are_answered(header, size):
    found = answer(header, size)
    if isinstance(found, tuple):
        assert 0 <= found[0] < found[1] <= size


@given(size=sizes, first=sizes, length=st.integers(min_value=1, max_value=2**62))
def test_a_single_range_is_answered_with_exactly_its_bytes(size, first, length):
    expected = (first, min(first + length, size)) if first < size else UNSATISFIABLE
    assert answer(f"bytes={first}-{first + length - 1}", size) == expected


@given(
    size=st.integers(min_value=1, max_value=60),
    ranges=st.lists(
        st.tuples(st.integers(0, 70), st.integers(0, 70)).map(sorted), min_size=1, max_size=8
    ),
)
def test_several_ranges_are_one_when_they_leave_no_gap_and_else_the_first(size, ranges):
    wanted = [set(range(first, min(last + 1, size))) for first, last in ranges]
    everything = set().union(*wanted)
    found = answer("bytes=" + ",".join(f"{first}-{last}" for first, last in ranges), size)
    if not everything:
        assert found == UNSATISFIABLE
        return
    assert isinstance(found, tuple)
    got = set(range(*found))
    is_one = len(everything) == max(everything) - min(everything) + 1
    assert got == (everything if is_one else next(one for one in wanted if one))


@pytest.mark.parametrize(
    ("header", "holds"),
    [
        (None, True),
        ('"film-1"', True),
        (' "film-1" ', True),
        ('"film-2"', False),
        ('W/"film-1"', False),
        ("film-1", False),
        ("", False),
        ("*", False),
        ("Wed, 01 May 2024 20:15:00 GMT", False),
    ],
)
def test_a_range_holds_only_for_exactly_this_version(header, holds):
    assert if_range_holds(header, '"film-1"') is holds


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        (None, False),
        ('"film-1"', True),
        ('W/"film-1"', True),
        ('"a", "film-1"', True),
        ('"a,b" , W/"film-1",', True),
        ("*", True),
        ('"film-2"', False),
        ('"a,"film-1"', False),
        ("film-1", False),
        ("", False),
        ('"' + "a" * 5000 + '", "film-1"', False),
    ],
)
def test_a_client_may_have_this_version_already(header, matches):
    assert if_none_match_matches(header, '"film-1"') is matches


@given(header=st.text(st.characters(codec="latin-1"), max_size=60) | st.text('",W/a ', max_size=60))
def test_no_condition_is_too_strange_to_be_read(header):
    if_range_holds(header, '"film-1"')
    if_none_match_matches(header, '"film-1"')
