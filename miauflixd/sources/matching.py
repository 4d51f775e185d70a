"""Whether a release is of what somebody wants to see, or of something like it. No I/O.

A release of the wrong film is worse than none, so whatever speaks against it is a refusal, with its
reason. Not looked at is whether it is any good: that is for `ranking`.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from miauflixd.catalogue.model import Kind
from miauflixd.sources.release_model import Release

_YEAR_OFF = 1
"""Years: at a festival in one, in the cinema in the next."""

_COUNTRIES = {
    "us": "US",
    "usa": "US",
    "uk": "GB",
    "au": "AU",
    "nz": "NZ",
    "ca": "CA",
    "ie": "IE",
    "in": "IN",
    "de": "DE",
    "fr": "FR",
}
"""What is put behind the title of a show that several countries have made."""

_ROMAN = {"ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8", "ix": "9"}
_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        (
            *("one", "two", "three", "four", "five", "six"),
            *("seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen"),
        ),
        start=1,
    )
}
_COUNTED = _ROMAN | _NUMBERS
_PARTS = frozenset({"part", "chapter", "vol", "volume", "episode", "book"})
_ARTICLES = frozenset({"the", "a", "an"})
_NOT_DECOMPOSED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"}
)
_WRITTEN_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa"})
_APOSTROPHES = re.compile("['\u2018\u2019\u02bc`\u00b4]")
_INITIALS = re.compile(r"(?<=\b[^\W\d_])\.(?=[^\W\d_]\b|\s|$)")
_APART = re.compile(r"[\W_]+")
_SUBTITLE = re.compile(r":| \u2013 | - |\(")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What somebody wants to see."""

    kind: Literal[Kind.MOVIE, Kind.EPISODE]
    titles: tuple[str, ...]
    """Of the film or show, in all languages, and what else it is called."""
    year: int | None = None
    """Of the film, or of the show's first episode."""
    countries: tuple[str, ...] = ()
    """Where the show is from, ISO 3166-1; empty: nobody knows."""
    season: int | None = None
    episode: int | None = None
    absolute: int | None = None
    """The episode's number when they are counted from the first of the first season."""
    aired: date | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """It is of that."""

    certain: bool
    """Whether all was said that could be asked; else only nothing speaks against it."""
    pack: bool = False
    """Whether there is more in it than what is wanted."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """It is not of that, or cannot be told to be."""

    reason: str
    """A sentence for a person; it says no title."""


def fit(release: Release, wanted: Wanted) -> Fit | Refusal:
    """Return whether a release is of what is wanted."""
    if release.extra is not None:
        return Refusal(_EXTRAS[release.extra])
    if not release.title:
        return Refusal("Its name says no title")
    named = _named(release, wanted)
    if isinstance(named, Refusal):
        return named
    if wanted.kind is Kind.MOVIE:
        return _fit_movie(release, wanted, named)
    return _fit_episode(release, wanted, named)


_EXTRAS = {
    "sample": "It is a sample, a minute or so",
    "trailer": "It is a trailer",
    "extras": "It is what comes with a film, not the film",
    "soundtrack": "It is the music, not the film",
}


# --- titles ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Named:
    certain: bool
    year_in_title: bool = False
    """Whether what was read as the year is part of the title, so that no year is said."""


def _named(release: Release, wanted: Wanted) -> _Named | Refusal:
    """Return how well the titles agree."""
    asked = _all_forms(wanted.titles)
    said = _all_forms((release.title, *release.other_titles))
    if asked & said:
        return _Named(certain=True)
    if wanted.kind is Kind.EPISODE and (named := _of_country(asked, said, wanted)):
        return named
    return _loosely(asked, said, release, wanted) or Refusal(_difference(asked, said, release))


def _loosely(asked: set[str], said: set[str], release: Release, wanted: Wanted) -> _Named | None:
    """Return how titles agree that are not the same."""
    if release.year and asked & {f"{form} {release.year}" for form in said}:
        return _Named(certain=False, year_in_title=True)
    for year in release.other_years:
        suffix = f" {year}"
        if _is_near(year, wanted.year) and asked & {form.removesuffix(suffix) for form in said}:
            return _Named(certain=False)
    without_subtitle = release.year is not None and release.year == wanted.year
    if without_subtitle and said & _shortened(wanted.titles):
        return _Named(certain=False)
    if _without_article(asked) & _without_article(said):
        return _Named(certain=False)
    return None


def _of_country(asked: set[str], said: set[str], wanted: Wanted) -> _Named | Refusal | None:
    for form in said:
        stem, _, last = form.rpartition(" ")
        if stem in asked and (country := _COUNTRIES.get(last)):
            if not wanted.countries:
                return _Named(certain=False)
            if country in wanted.countries:
                return _Named(certain=True)
            return Refusal("It is the show of this name from another country")
    return None


def _difference(asked: set[str], said: set[str], release: Release) -> str:
    if release.complete and not release.seasons:
        return "It is a collection, or of another title"
    for form in said:
        for other in asked:
            longer, shorter = (form, other) if len(form) > len(other) else (other, form)
            rest = longer.removeprefix(f"{shorter} ")
            if rest != longer and (rest.split()[0] in _PARTS or rest.split()[0].isdecimal()):
                return "It is another part of the same series"
    return "It is of another title"


def _all_forms(titles: Iterable[str]) -> set[str]:
    forms: set[str] = set()
    for title in titles:
        forms |= _forms(title)
    return forms


@lru_cache(maxsize=4096)  # the same few titles against every release that is found
def _forms(title: str) -> frozenset[str]:
    """Return how a title can be written, without case, accents, marks and ways to count."""
    lowered = unicodedata.normalize("NFC", title).casefold().translate(_NOT_DECOMPOSED)
    forms = {_normal(lowered), _normal(lowered.translate(_WRITTEN_OUT))}
    return frozenset(form for form in forms if form)


def _normal(lowered: str) -> str:
    plain = "".join(
        char for char in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(char)
    )
    plain = _INITIALS.sub("", _APOSTROPHES.sub("", plain)).replace("&", " and ")
    words = _APART.sub(" ", plain).split()
    counted = []
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        # Not the first: "Seven", "V". Elsewhere it does no harm, for both sides are treated alike.
        if place and word in _COUNTED:
            counted.append(_COUNTED[word])
        elif word == "i" and before in _PARTS:
            counted.append("1")
        else:
            counted.append(word)
    return " ".join(counted)


def _shortened(titles: Iterable[str]) -> set[str]:
    """Return the titles without subtitles; not if the subtitle tells a part from another."""
    short: set[str] = set()
    for title in titles:
        parts = _SUBTITLE.split(title, maxsplit=1)
        behind = _normal(parts[1].casefold()).split() if len(parts) > 1 else []
        if behind and behind[0] not in _PARTS and not behind[0].isdecimal():
            short |= _forms(parts[0])
    return short


def _without_article(forms: Iterable[str]) -> set[str]:
    return {
        rest if first in _ARTICLES and rest else form
        for form in forms
        for first, _, rest in [form.partition(" ")]
    }


# --- films ----------------------------------------------------------------------------------------


def _fit_movie(release: Release, wanted: Wanted, named: _Named) -> Fit | Refusal:
    if release.seasons or release.episodes or release.aired:
        return Refusal("It is of a show, not of a film")
    if named.year_in_title or release.year is None or wanted.year is None:
        return Fit(certain=False)
    if release.year == wanted.year:
        return Fit(certain=named.certain)
    if wanted.year in release.other_years:
        return Fit(certain=False)
    if named.certain and _is_near(release.year, wanted.year):
        return Fit(certain=False)
    return Refusal(f"It is of {release.year}, not of {wanted.year}")


def _is_near(year: int, wanted: int | None) -> bool:
    return wanted is not None and abs(year - wanted) <= _YEAR_OFF


# --- episodes -------------------------------------------------------------------------------------


def _fit_episode(release: Release, wanted: Wanted, named: _Named) -> Fit | Refusal:
    if release.year is not None and not named.year_in_title and not _year_agrees(release, wanted):
        return Refusal(f"It is of a show of {release.year}, or of another season")
    if release.aired is not None:
        return _fit_day(release.aired, wanted, named)
    if release.seasons:
        return _fit_season(release, wanted, named)
    if release.episodes:
        return _fit_count(release, wanted, named)
    return _fit_whole(release)


def _fit_day(aired: date, wanted: Wanted, named: _Named) -> Fit | Refusal:
    if aired == wanted.aired:
        return Fit(certain=named.certain)
    return Refusal(f"It was aired on {aired}, and the episode was not")


def _fit_whole(release: Release) -> Fit | Refusal:
    if release.complete:
        return Fit(certain=False, pack=True)
    return Refusal("It does not say which episode it is")


def _year_agrees(release: Release, wanted: Wanted) -> bool:
    """Whether it is the year of the show, or of the season, as some say instead."""
    known = [year for year in (wanted.year, wanted.aired and wanted.aired.year) if year]
    return (
        not known
        or release.aired is not None
        or any(release.year is not None and _is_near(release.year, year) for year in known)
    )


def _fit_season(release: Release, wanted: Wanted, named: _Named) -> Fit | Refusal:
    if wanted.season in release.seasons:
        if not release.episodes:
            return Fit(certain=named.certain, pack=True)
        if wanted.episode in release.episodes:
            return Fit(certain=named.certain, pack=len(release.episodes) > 1)
        return Refusal("It is another episode of the season")
    if release.seasons == (1,) and wanted.absolute and wanted.absolute in release.episodes:
        # Some count on and call it all the first season.
        return Fit(certain=False, pack=len(release.episodes) > 1)
    return Refusal("It is another season")


def _fit_count(release: Release, wanted: Wanted, named: _Named) -> Fit | Refusal:
    pack = len(release.episodes) > 1
    if wanted.absolute is not None:
        if wanted.absolute in release.episodes:
            return Fit(certain=named.certain, pack=pack)
    elif wanted.season == 1 and wanted.episode in release.episodes:
        return Fit(certain=False, pack=pack)
    elif wanted.season != 1:
        return Refusal("It counts from the first episode, and nobody knows how many came before")
    return Refusal("It is another episode")
