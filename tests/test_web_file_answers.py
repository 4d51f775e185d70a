"""What servers of files answer, and what is made of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.web_files.answers import AnswerError, Part, read_answer
from miauflixd.web_files.model import MAX_SIZE, Facts


def answer(status: int = 206, /, *, start: int = 100, stop: int = 200, **headers: str) -> Part:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_answer(status, named, start=start, stop=stop)


def test_a_part_is_what_its_range_says():
    part = answer(Content_Range="bytes 100-199/1000", ETag='"a"', Last_Modified="yesterday")
    facts = Facts(size=1000, etag='"a"', modified="yesterday")
    assert part == Part(facts=facts, start=100, stop=200)


def test_a_shorter_part_is_taken_and_of_a_longer_one_what_was_asked_for():
    assert answer(Content_Range="bytes 100-149/1000").stop == 150
    assert answer(Content_Range="bytes 100-999/1000").stop == 200


def test_a_whole_file_is_one_from_its_start():
    part = answer(200, Content_Length="1000")
    assert (part.start, part.stop, part.whole) == (0, 1000, True)


def test_that_there_are_no_such_bytes_tells_how_long_the_file_is():
    part = answer(416, Content_Range="bytes */50")
    assert (part.facts.size, part.start, part.stop) == (50, 50, 50)


def test_a_weak_validator_promises_nothing_of_bytes():
    assert answer(Content_Range="bytes 100-199/1000", ETag='W/"a"').facts.etag is None
    assert answer(Content_Range="bytes 100-199/1000", ETag='"' + "a" * 9999).facts.etag is None


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {}),
        (206, {"Content_Range": "bytes 101-199/1000"}),
        (206, {"Content_Range": "bytes 100-99/1000"}),
        (206, {"Content_Range": "bytes 100-1000/1000"}),
        (206, {"Content_Range": "bytes 100-199/0"}),
        (206, {"Content_Range": "bytes */1000"}),
        (206, {"Content_Range": "items 100-199/1000"}),
        (206, {"Content_Range": "bytes 100-199/-5"}),
        (206, {"Content_Range": "bytes 100-199/1e9"}),
        (206, {"Content_Range": "bytes \u0661\u0660\u0660-199/1000"}),
        (416, {"Content_Range": "bytes */5000"}),
        (416, {}),
        (429, {}),
        (503, {}),
    ],
)
def test_an_answer_without_those_bytes_may_be_better_next_time(status, headers):
    with pytest.raises(AnswerError) as raised:
        answer(status, **headers)
    assert not raised.value.final


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {"Content_Range": "bytes 100-199/*"}),
        (206, {"Content_Range": f"bytes 100-199/{MAX_SIZE + 1}"}),
        (200, {}),
        (200, {"Content_Length": "-1"}),
        (200, {"Content_Length": "9" * 5000}),
        *((status, {}) for status in (204, 300, 304, 401, 403, 404, 410, 418, 451)),
    ],
)
def test_some_answers_stay_what_they_are(status, headers):
    with pytest.raises(AnswerError) as raised:
        answer(status, **headers)
    assert raised.value.final


def test_a_busy_server_may_say_for_how_long():
    with pytest.raises(AnswerError) as raised:
        answer(503, Retry_After="17")
    assert (raised.value.busy, raised.value.retry_after) == (True, 17)


numbers = st.integers(0, 10**20)
ranges = st.builds("bytes {}-{}/{}".format, numbers, numbers, numbers | st.just("*"))


@given(
    st.sampled_from([200, 206, 416, 503]) | st.integers(100, 599),
    st.dictionaries(
        st.sampled_from(["Content-Range", "content-length", "ETag", "Last-Modified"]),
        ranges | st.text(max_size=20),
    ),
    st.integers(0, 2**40),
)
def test_whatever_comes_is_a_part_of_what_was_asked_for_or_an_error(status, headers, start):
    try:
        part = read_answer(status, headers, start=start, stop=start + 1000)
    except AnswerError:
        return
    assert 0 <= part.start <= part.stop <= part.facts.size <= MAX_SIZE
    assert part.whole or part.start in {start, part.stop}


@pytest.mark.parametrize(
    ("earlier", "later", "same"),
    [
        (Facts(size=5), Facts(size=5), True),
        (Facts(size=5), Facts(size=6), False),
        (Facts(size=5, etag='"a"'), Facts(size=5, etag='"b"'), False),
        (Facts(size=5, etag='"a"', modified="x"), Facts(size=5, etag='"a"', modified="y"), True),
        (Facts(size=5, etag='"a"', modified="x"), Facts(size=5, modified="x"), True),
        (Facts(size=5, etag='"a"'), Facts(size=5, modified="x"), True),
        (Facts(size=5, modified="x"), Facts(size=5, modified="y"), False),
    ],
)
def test_another_version_of_a_file_is_told_by_what_both_say(earlier, later, same):
    assert earlier.fit(later) is same
