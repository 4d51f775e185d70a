import itertools
from datetime import date

import pytest

from miauflixd.catalogue.merging import merged, merit, pack, renown, texts_of, unpack
from miauflixd.catalogue.model import (
    Credit,
    EpisodeFacts,
    Image,
    ImageKey,
    Kind,
    Locale,
    OutsideIds,
    SeasonFacts,
    Text,
    Trailer,
)
from tests.catalogue_titles import EN, also, movie, show

PT = Locale("pt-BR")


def test_what_is_kept_comes_back_as_it_was():
    facts = show(
        tmdb=7,
        full=True,
        certifications={"US": "TV-PG"},
        texts={PT: Text(title="Rua")},
        credits=(Credit(name="Ada Moor", part="creator"),),
        images=(Image(role="logo", key=ImageKey("tmdb-logo-a.png"), language="en"),),
        trailer=Trailer(site="vimeo", key="1"),
        seasons=(SeasonFacts(number=1, episodes=(EpisodeFacts(number=1, rating=7.5),)),),
    )

    back = unpack(pack(facts)[1])

    assert back.kind is Kind.SHOW
    assert all(getattr(back, name) == getattr(facts, name) for name in facts.__slots__)


def test_the_same_facts_have_the_same_mark_in_whatever_order_they_were_told():
    one = movie(tmdb=7, texts={PT: Text(title="A"), Locale("de"): Text(title="B")})
    other = movie(tmdb=7, texts={Locale("de"): Text(title="B"), PT: Text(title="A")})

    assert pack(one) == pack(other)
    assert pack(one)[0] != pack(also(one, votes=1))[0]


ARCHIVE = movie(
    "Quiet Harbor",
    provider="archive",
    archive="quiet",
    overview="The Archive's.",
    released=None,
    year=1969,
    rating=9.0,
    votes=2,
    runtime=5000,
    genres=("drama",),
    texts={PT: Text(title="Porto", overview="Do arquivo.")},
    full=True,
)
TRAKT = movie(provider="trakt", trakt=3, tmdb=7, tagline="Trakt's.", runtime=5100)
TMDB = movie(tmdb=7, imdb="tt0000007", genres=("war",), texts={PT: Text(title="O Porto")})


@pytest.mark.parametrize("said", [*itertools.permutations((ARCHIVE, TRAKT, TMDB))])
def test_the_better_one_is_believed_whoever_spoke_first(said):
    whole = merged(said)

    assert whole.ids == OutsideIds(tmdb=7, imdb="tt0000007", archive="quiet", trakt=3)
    assert whole.text.title == "The Quiet Harbour"
    assert whole.genres == ("war",)
    assert whole.runtime == 5100
    assert (whole.rating, whole.votes) == (9.0, 2)
    # A day and a year of two would contradict each other.
    assert (whole.released, whole.year) == (date(1968, 10, 1), None)
    assert whole.full
    texts = texts_of(whole)
    assert texts[EN] == Text(
        title="The Quiet Harbour", tagline="Trakt's.", overview="The Archive's."
    )
    assert texts[PT] == Text(title="O Porto", overview="Do arquivo.")


def test_one_who_speaks_alone_is_quoted():
    assert merged([ARCHIVE]) is ARCHIVE


def test_votes_make_a_rating_worth_something():
    assert merit(movie(rating=10.0, votes=1)) < merit(movie(rating=8.5, votes=1000))
    assert merit(movie(rating=3.0, votes=1000)) < merit(movie(rating=10.0, votes=0))
    assert merit(movie()) < merit(movie(rating=0.0, votes=10**9))
    assert merit(movie(rating=5.0, votes=-200)) == pytest.approx(6.5)


def test_a_thousand_downloads_are_not_a_thousand_times_better_known():
    few, many = (movie(provider="archive", popularity=n) for n in (1_000, 5_000_000))

    assert renown(few) < renown(many) < renown(movie(popularity=5.0))
    assert renown(movie(popularity=-1.0)) == 0
