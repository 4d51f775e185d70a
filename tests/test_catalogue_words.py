import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miauflixd.catalogue.words import folded, indexed, matching


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The  Quiet—Harbour!", "the quiet harbour"),
        ("Amélie à Paris", "amelie a paris"),
        ("Ame\u0301lie", "amelie"),
        ("STRASSE Straße", "strasse strasse"),
        ("Łódź Ærø", "lodz aero"),
        ("İstanbul I\u011fd\u0131r", "istanbul igdir"),
        ("Salt & Smoke", "salt and smoke"),
        ("千と千尋", "千 と 千 尋"),
        ("Война и мир", "воина и мир"),
        ("...", ""),
        ("", ""),
        ("\x00\ud800", ""),
    ],
)
def test_words_are_compared_without_case_accents_and_punctuation(text, words):
    assert folded(text) == words


@given(st.text(max_size=100))
@settings(derandomize=True)
def test_folding_twice_changes_nothing(text):
    assert folded(folded(text)) == folded(text)


@pytest.fixture
def index():
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE names USING fts5(words)")
    titles = [
        "Spider-Man",
        "Schindler's Harbour",
        "千と千尋の神隠し",
        "S.W.A.T. and Friends",
        "हिन्दी मीडियम",
    ]
    connection.executemany(
        "INSERT INTO names VALUES (?)", [(indexed([title]),) for title in titles]
    )
    yield lambda query: [
        titles[number - 1]
        for (number,) in connection.execute(
            "SELECT rowid FROM names WHERE names MATCH ? ORDER BY rowid", (query,)
        )
    ]
    connection.close()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("spider", "Spider-Man"),
        ("spiderm", "Spider-Man"),
        ("spider man", "Spider-Man"),
        ("SPIDER-MAN", "Spider-Man"),
        ("schindlers har", "Schindler's Harbour"),
        ("schindler", "Schindler's Harbour"),
        ("schindler\u2019s", "Schindler's Harbour"),
        ("千尋", "千と千尋の神隠し"),
        ("神隠", "千と千尋の神隠し"),
        ("swat", "S.W.A.T. and Friends"),
        ("s.w.a.t", "S.W.A.T. and Friends"),
        ("friends swat", "S.W.A.T. and Friends"),
        ("swat & fri", "S.W.A.T. and Friends"),
        ("हिन्दी", "हिन्दी मीडियम"),
    ],
)
def test_a_title_is_found_however_it_is_typed(index, typed, found):
    assert index(matching(typed)) == [found]


@pytest.mark.parametrize("typed", ["", "   ", "...", '"', "*", "()", "-", "'\"^:", "\x00"])
def test_there_is_nothing_to_look_for_in_punctuation(typed):
    assert matching(typed) is None


@pytest.mark.parametrize(
    "typed",
    [
        'a" OR words:b',
        "NEAR(a b, 2)",
        "q AND",
        "NOT",
        "words : a",
        "{words}: a",
        "^q",
        "a*b*",
        "-- q",
        "x" * 10_240,
    ],
)
def test_what_fts5_takes_for_its_own_are_words_like_others(index, typed):
    assert index(matching(typed)) == []


@given(st.text(st.sampled_from("aé\"'*^:()-+{} \x00千\ud800ORANDNEAT"), max_size=60))
@settings(derandomize=True)
def test_no_words_make_fts5_raise(typed):
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE names USING fts5(words)")
    if (query := matching(typed)) is not None:
        assert (
            connection.execute("SELECT 1 FROM names WHERE names MATCH ?", (query,)).fetchall() == []
        )
    connection.close()


def test_ten_kilobytes_of_words_become_a_few():
    assert len(matching("dawn " * 2000) or "") < 200
