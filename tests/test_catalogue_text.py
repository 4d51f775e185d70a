import re
import unicodedata
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miauflixd.catalogue.text import (
    OVERVIEW,
    TITLE,
    clean,
    imdb_id,
    number,
    plausible_date,
    plausible_year,
    prose,
    whole_number,
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("  The\tQuiet \n Harbour ", "The Quiet Harbour"),
        ("<b>Salt</b> &amp; Smoke", "Salt & Smoke"),
        ("Salt &amp;amp; Smoke", "Salt & Smoke"),
        ("Salt & Smoke", "Salt & Smoke"),
        ("Rock &notes", "Rock &notes"),
        ("&lt;script&gt;x()&lt;/script&gt;Dawn", "x()Dawn"),
        ("&amp;lt;img src=x onerror=y()&amp;gt;Dawn", "Dawn"),
        ("<<b>b>Dawn", "Dawn"),
        ("<<<<<<<<b>b>b>b>b>b>b>b>Dawn", "bbbbDawn"),
        ("I <3 You", "I <3 You"),
        ("1 < 2 > 0", "1 < 2 > 0"),
        ("one<br/>two<p class=x>three", "one two three"),
        ("a\u202egnp.exe\u2066", "agnp.exe"),
        ("Da\x00w\x1bn\u200b", "Dawn"),
        ("half\ud83d pair", "half pair"),
        ("&#x202e;Dawn&#0;", "Dawn\ufffd"),
        ("e\u0301te\u0301", "été"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        (
            "🎬 \U0001f469\u200d\U0001f469\u200d\U0001f467",
            "🎬 \U0001f469\u200d\U0001f469\u200d\U0001f467",
        ),
        ("Z" + "\u0335" * 200 + "algo", "Z" + "\u0335" * 4 + "algo"),
        (None, ""),
        (7, ""),
        (["Dawn"], ""),
        ({}, ""),
    ],
)
def test_what_a_stranger_wrote_becomes_one_plain_line(raw, shown):
    assert clean(raw, TITLE) == shown


def test_prose_keeps_its_paragraphs():
    assert prose("One.\r\n\r\n \t Two  three.<br><br>Four.\n\n\n", OVERVIEW) == (
        "One.\nTwo three.\nFour."
    )


def test_what_is_too_long_ends_with_an_ellipsis():
    assert clean("word " * 1000, 300) == ("word " * 60)[:299].rstrip() + "…"
    assert clean("x" * 300, 300) == "x" * 300
    assert len(prose("word\n" * 1_000_000, OVERVIEW)) <= OVERVIEW


@pytest.mark.parametrize(
    "raw",
    [
        "<" * 1_000_000,
        "<!--" * 250_000,
        "&amp;" * 200_000,
        "&" + "amp;" * 250_000,
        "<b" * 500_000 + ">" * 500_000,
        "a" + "\u0301\u0316" * 500_000,
        " " * 1_000_000 + "Dawn",
        "\n \t" * 330_000,
    ],
)
def test_a_megabyte_of_malice_is_soon_a_short_line(raw):
    assert len(clean(raw, TITLE)) <= TITLE
    assert len(prose(raw, OVERVIEW)) <= OVERVIEW


@given(st.text(st.sampled_from("<>&;/ab#x20\n\u0301\u202e\ud800é \x00mp"), max_size=200))
@settings(derandomize=True)
def test_no_markup_nor_control_is_ever_left(raw):
    for text in (clean(raw, 50), prose(raw, 50)):
        assert len(text) <= 50
        assert text == text.strip()
        assert not re.search(r"<[a-z/!?][^<>]*>", text)
        assert all(
            unicodedata.category(character) not in {"Cc", "Cs"}
            for character in text
            if character != "\n"
        )
    assert "\n" not in clean(raw, 50)


@pytest.mark.parametrize(
    ("raw", "day"),
    [
        ("1999-03-30", date(1999, 3, 30)),
        (" 1999-03-30 ", date(1999, 3, 30)),
        ("1999-03-30T22:00:00.000Z", date(1999, 3, 30)),
        ("1999-03-30 00:00:00", date(1999, 3, 30)),
        ("", None),
        ("1999", None),
        ("1999-03", None),
        ("0000-00-00", None),
        ("0001-01-01", None),
        ("1999-02-30", None),
        ("9999-12-31", None),
        ("1999-03-30x", None),
        ("\u0661\u0669\u0669\u0669-03-30", None),
        ("1" * 100_000, None),
        (None, None),
        (19990330, None),
        (["1999-03-30"], None),
    ],
)
def test_only_a_day_that_a_film_can_be_of_is_a_date(raw, day):
    assert plausible_date(raw) == day


@pytest.mark.parametrize(
    ("raw", "year"),
    [
        (1999, 1999),
        ("1999", 1999),
        ("1999-03-30", 1999),
        ("1999-03-30T22:00:00Z", 1999),
        (1999.0, 1999),
        ("0000", None),
        (0, None),
        (19990330, None),
        ("19990330", None),
        (True, None),
        (None, None),
    ],
)
def test_only_a_year_that_a_film_can_be_of_is_a_year(raw, year):
    assert plausible_year(raw) == year


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("tt0111161", "tt0111161"),
        (" tt1234567890\n", "tt1234567890"),
        ("tt123456", None),
        ("tt12345678901", None),
        ("nm0111161", None),
        ("tt\u0660\u0661\u0661\u0661\u0661\u0666\u0661", None),
        ("", None),
        (111161, None),
        (None, None),
    ],
)
def test_only_what_imdb_would_call_so_is_an_imdb_id(raw, found):
    assert imdb_id(raw) == found


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (603, 603),
        ("603", 603),
        (603.0, 603),
        (603.5, None),
        (-1, None),
        ("-1", None),
        (True, None),
        (float("nan"), None),
        (float("inf"), None),
        (2**53 + 1, None),
        (10**400, None),
        ("9" * 5000, None),
        ("²", None),
        ("", None),
        (None, None),
        ([603], None),
    ],
)
def test_a_whole_number_is_one_that_any_client_can_hold(raw, found):
    assert whole_number(raw) == found


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (7, 7.0),
        (7.25, 7.25),
        ("7.25", 7.25),
        (10.1, None),
        (float("nan"), None),
        ("nan", None),
        (10**400, None),
        (False, None),
        (None, None),
    ],
)
def test_a_rating_is_a_number_within_its_bounds(raw, found):
    assert number(raw, most=10) == found
