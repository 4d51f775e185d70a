from typing import Any

import pytest

from miauflixd.catalogue.identity import Candidate, Identity, comparable, names_of, recognised
from miauflixd.catalogue.model import OutsideIds


def described(*names: str, year: int | None = 1968, **ids: Any) -> Identity:
    return Identity(ids=OutsideIds(**ids), names=names_of(names), year=year)


def ours(number: int, *names: str, year: int | None = 1968, **ids: Any) -> Candidate:
    return Candidate(number=number, identity=described(*names, year=year, **ids))


@pytest.mark.parametrize(
    "title", ["The Quiet Harbour", "quiet harbour", "Quiet Harbour, The", "QUIET-HARBOUR (1968)"]
)
def test_titles_are_compared_without_articles_and_years(title):
    assert comparable(title) == "quiet harbour"


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("The", "the"),
        ("A", "a"),
        ("(1999)", "1999"),
        ("Die Hard", "die hard"),
        ("1984", "1984"),
        ("!", ""),
    ],
)
def test_something_is_left_of_every_title_that_has_a_letter(title, name):
    assert comparable(title) == name


@pytest.mark.parametrize(
    ("said", "provider", "candidates", "number"),
    [
        (described("Other", tmdb=7), "tmdb", [ours(1, "Dawn", tmdb=7)], 1),
        (described("Dawn", tmdb=7), "tmdb", [ours(1, "Dawn", tmdb=8)], None),
        (described("Dawn", tmdb=7, imdb="tt1"), "tmdb", [ours(1, "Dawn", tmdb=7, imdb="tt2")], 1),
        (
            described("Dusk", archive="x", imdb="tt1"),
            "archive",
            [ours(1, "D", imdb="tt1", tmdb=3)],
            1,
        ),
        (
            described("Dawn", tmdb=7, imdb="tt1"),
            "tmdb",
            [ours(1, "Dawn", tmdb=8, imdb="tt1")],
            None,
        ),
        (
            described("D", trakt=5, tmdb=7, imdb="tt2"),
            "trakt",
            [ours(1, "D", tmdb=7, imdb="tt1")],
            1,
        ),
        (described("The Dawn", archive="x"), "archive", [ours(1, "Dawn", tmdb=3)], 1),
        (
            described("Dawn", archive="x", imdb="tt1"),
            "archive",
            [ours(1, "Dawn", imdb="tt2")],
            None,
        ),
        (described("Dawn", archive="x", year=1969), "archive", [ours(1, "Dawn", tmdb=3)], None),
        (described("Dawn", archive="x", year=None), "archive", [ours(1, "Dawn", year=None)], None),
        (
            described("Dawn", archive="x"),
            "archive",
            [ours(1, "Dawn", tmdb=3), ours(2, "Dawn", tmdb=4)],
            None,
        ),
        (
            described("Dawn", archive="x"),
            "archive",
            [ours(1, "Dawn", archive="y"), ours(2, "Dawn", tmdb=4)],
            2,
        ),
        (described("Morgen", "Dawn", tmdb=3), "tmdb", [ours(1, "Dawn", archive="y")], 1),
        (described("!", archive="x"), "archive", [ours(1, "?", tmdb=3)], None),
        (described("Dawn", tmdb=7), "tmdb", [], None),
    ],
)
def test_a_title_is_recognised_by_ids_then_by_its_only_namesake(said, provider, candidates, number):
    assert recognised(said, provider, candidates) == number
