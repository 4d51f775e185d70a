"""Whether a release is of what somebody wants: tables of names, and the reasons of refusals."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miauflixd.catalogue.model import Kind
from miauflixd.sources.matching import Fit, Refusal, Wanted, fit
from miauflixd.sources.release_names import parse


def movie(title: str, year: int | None = None, *others: str) -> Wanted:
    return Wanted(kind=Kind.MOVIE, titles=(title, *others), year=year)


def episode(title: str, season: int, number: int, **known: Any) -> Wanted:
    return Wanted(kind=Kind.EPISODE, titles=(title,), season=season, episode=number, **known)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Glass.Meridian.2021.1080p.WEB-DL", movie("Glass Meridian", 2021)),
        ("glass meridian (2021) 720p", movie("Glass Meridian", 2021)),
        ("Cafe.Paris.2023.1080p", movie("Café París", 2023)),
        ("Der.Koenig.2019.German.1080p", movie("Der König", 2019)),
        ("Der.Konig.2019.German.1080p", movie("Der König", 2019)),
        ("Kobenhavn.2014.1080p", movie("København", 2014)),
        ("Oceans.Twelve.2004.1080p", movie("Ocean's Twelve", 2004)),
        ("Oceans 12 2004 1080p", movie("Ocean's Twelve", 2004)),
        ("Wolves.and.Feathers.2018.1080p", movie("Wolves & Feathers", 2018)),
        ("Boxer.2.1979.1080p", movie("Boxer II", 1979)),
        ("Boxer.II.1979.1080p", movie("Boxer 2", 1979)),
        ("Sand.Part.2.2024.2160p", movie("Sand: Part Two", 2024)),
        ("T.O.W.E.R.2019.1080p", movie("T.O.W.E.R.", 2019)),
        ("TOWER.2019.1080p", movie("T.O.W.E.R.", 2019)),
        ("Ледяной порт / Ice Harbour (2019) WEB-DL", movie("Ice Harbour", 2019)),
        ("Ледяной порт (2019) WEB-DL", movie("Ice Harbour", 2019, "Ледяной порт")),
        ("Glass.Meridian.aka.Vitro.2021.1080p", movie("Vitro", 2021)),
        ("Silver.Runner.2049.2017.1080p", movie("Silver Runner 2049", 2017)),
        ("Under.Two.Suns.2018.COMPLETE.BLURAY-GRP", movie("Under Two Suns", 2018)),
        ("겨울.문.2020.1080p", movie("겨울 문", 2020)),
    ],
)
def test_a_film_is_known_by_its_title_and_year(name, wanted):
    assert fit(parse(name), wanted) == Fit(certain=True)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Glass.Meridian.2020.1080p", movie("Glass Meridian", 2021)),
        ("Glass.Meridian.2022.1080p", movie("Glass Meridian", 2021)),
        ("Glass.Meridian.1080p", movie("Glass Meridian", 2021)),
        ("Glass.Meridian.2021.1080p", movie("Glass Meridian")),
        ("Silver.Runner.2049.1080p", movie("Silver Runner 2049", 2017)),
        ("Some.Movie.1990.2020.Remastered.1080p", movie("Some Movie", 1990)),
        ("Meridian.2021.1080p", movie("The Meridian", 2021)),
        ("Glass.2021.1080p", movie("Glass: A Meridian Story", 2021)),
        ("2012.1080p", movie("2012", 2009)),
    ],
)
def test_a_film_of_which_less_is_said_is_only_likely(name, wanted):
    assert fit(parse(name), wanted) == Fit(certain=False)


@pytest.mark.parametrize(
    ("name", "wanted", "reason"),
    [
        ("Glass.Meridian.2013.1080p", movie("Glass Meridian", 2021), "It is of 2013, not of 2021"),
        (
            "Silver.Runner.2049.2017.1080p",
            movie("Silver Runner", 1982),
            "It is another part of the same series",
        ),
        (
            "Silver.Runner.2049.1080p",
            movie("Silver Runner", 1982),
            "It is of 2049, not of 1982",
        ),
        ("Boxer.II.1979.1080p", movie("Boxer", 1976), "It is another part of the same series"),
        ("Boxer.1976.1080p", movie("Boxer II", 1979), "It is another part of the same series"),
        (
            "Boxer.1976.1080p",
            movie("Boxer: Part II", 1976),
            "It is another part of the same series",
        ),
        ("Visitors.1986.1080p", movie("Visitor", 1979), "It is of another title"),
        ("Visitor.Romulus.2024.1080p", movie("Visitor", 1979), "It is of another title"),
        (
            "Sand.Part.Two.2024.1080p",
            movie("Sand", 2021),
            "It is another part of the same series",
        ),
        ("Glass.Meridian.S01E01.1080p", movie("Glass Meridian", 2021), "It is of a show"),
        ("Glass.Meridian.S01.1080p", movie("Glass Meridian", 2021), "It is of a show"),
        ("Glass.Meridian.2021.03.14.1080p", movie("Glass Meridian", 2021), "It is of a show"),
        ("Glass.Meridian.2021.Sample.1080p", movie("Glass Meridian", 2021), "It is a sample"),
        ("Glass Meridian 2021 Official Trailer", movie("Glass Meridian", 2021), "It is a trailer"),
        ("Glass.Meridian.2021.Extras.1080p", movie("Glass Meridian", 2021), "It is what comes"),
        ("Glass Meridian OST 2021 MP3", movie("Glass Meridian", 2021), "It is the music"),
        (
            "The.Glass.Trilogy.2001-2007.1080p",
            movie("Glass Meridian", 2001),
            "It is a collection",
        ),
        ("1080p", movie("Glass Meridian", 2021), "It is of another title"),
        ("", movie("Glass Meridian", 2021), "Its name says no title"),
    ],
)
def test_what_is_not_the_film_is_refused_with_a_reason(name, wanted, reason):
    verdict = fit(parse(name), wanted)
    assert isinstance(verdict, Refusal)
    assert verdict.reason.startswith(reason)


@pytest.mark.parametrize(
    ("name", "wanted", "expected"),
    [
        ("Cinder.Street.S02E05.720p", episode("Cinder Street", 2, 5), Fit(certain=True)),
        ("Cinder.Street.2x05.720p", episode("Cinder Street", 2, 5), Fit(certain=True)),
        (
            "Cinder.Street.2019.S02E05.720p",
            episode("Cinder Street", 2, 5, year=2019),
            Fit(certain=True),
        ),
        (
            "Cinder.Street.S02E04-E06.720p",
            episode("Cinder Street", 2, 5),
            Fit(certain=True, pack=True),
        ),
        ("Cinder.Street.S02.720p", episode("Cinder Street", 2, 5), Fit(certain=True, pack=True)),
        (
            "Cinder.Street.S01-S04.720p",
            episode("Cinder Street", 2, 5),
            Fit(certain=True, pack=True),
        ),
        (
            "Cinder Street The Complete Series 720p",
            episode("Cinder Street", 2, 5),
            Fit(certain=False, pack=True),
        ),
        (
            "Cinder Street S02 (2021) 720p",
            episode("Cinder Street", 2, 5, year=2019, aired=date(2021, 3, 1)),
            Fit(certain=True, pack=True),
        ),
        (
            "Evening.Desk.2024.03.14.720p",
            episode("Evening Desk", 9, 88, year=2015, aired=date(2024, 3, 14)),
            Fit(certain=True),
        ),
        (
            "[Kumo] Hoshi Kaze - 105 [720p]",
            episode("Hoshi Kaze", 5, 3, absolute=105),
            Fit(certain=True),
        ),
        ("Hoshi.Kaze.S01E105.720p", episode("Hoshi Kaze", 5, 3, absolute=105), Fit(certain=False)),
        ("[Kumo] Hoshi Kaze - 03 [720p]", episode("Hoshi Kaze", 1, 3), Fit(certain=False)),
        ("Tin.Harbour.US.S01E02.720p", episode("Tin Harbour", 1, 2), Fit(certain=False)),
        (
            "Tin.Harbour.US.S01E02.720p",
            episode("Tin Harbour", 1, 2, countries=("US",)),
            Fit(certain=True),
        ),
        ("Orbit.1999.S01E05.720p", episode("Orbit 1999", 1, 5, year=1975), Fit(certain=False)),
    ],
)
def test_an_episode_is_found_alone_and_in_packs(name, wanted, expected):
    assert fit(parse(name), wanted) == expected


@pytest.mark.parametrize(
    ("name", "wanted", "reason"),
    [
        ("Cinder.Street.S02E06.720p", episode("Cinder Street", 2, 5), "It is another episode"),
        ("Cinder.Street.S03E05.720p", episode("Cinder Street", 2, 5), "It is another season"),
        ("Cinder.Street.S03.720p", episode("Cinder Street", 2, 5), "It is another season"),
        ("Cinder.Street.720p", episode("Cinder Street", 2, 5), "It does not say which episode"),
        ("Cinder.Street.2019.1080p", episode("Cinder Street", 2, 5), "It does not say which"),
        (
            "Cinder.Street.2019.S02E05.720p",
            episode("Cinder Street", 2, 5, year=2004),
            "It is of a show of 2019",
        ),
        ("Cinder.Lane.S02E05.720p", episode("Cinder Street", 2, 5), "It is of another title"),
        (
            "Tin.Harbour.UK.S01E02.720p",
            episode("Tin Harbour", 1, 2, countries=("US",)),
            "It is the show of this name from another country",
        ),
        (
            "Evening.Desk.2024.03.15.720p",
            episode("Evening Desk", 9, 88, aired=date(2024, 3, 14)),
            "It was aired on 2024-03-15",
        ),
        (
            "[Kumo] Hoshi Kaze - 106 [720p]",
            episode("Hoshi Kaze", 5, 3, absolute=105),
            "It is another",
        ),
        ("[Kumo] Hoshi Kaze - 03 [720p]", episode("Hoshi Kaze", 5, 3), "It counts from the first"),
        ("Cinder.Street.S02E05.Sample.720p", episode("Cinder Street", 2, 5), "It is a sample"),
    ],
)
def test_what_is_not_the_episode_is_refused_with_a_reason(name, wanted, reason):
    verdict = fit(parse(name), wanted)
    assert isinstance(verdict, Refusal)
    assert verdict.reason.startswith(reason)


def test_a_reason_says_no_title():
    verdict = fit(parse("Cinder.Lane.S02E05.720p"), episode("Cinder Street", 2, 5))
    assert isinstance(verdict, Refusal)
    assert "cinder" not in verdict.reason.lower()


@settings(derandomize=True, max_examples=200)
@given(st.text(max_size=60), st.text(max_size=60), st.none() | st.integers(0, 9999))
def test_every_pair_of_names_and_titles_gets_an_answer(name, title, year):
    for wanted in (movie(title, year), episode(title, 1, 1, year=year)):
        assert isinstance(fit(parse(name), wanted), (Fit, Refusal))
