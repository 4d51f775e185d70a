"""From what age a title may be seen, by what a country's censors have put on it. No I/O.

What carries a number (`12A`, `VM14`, `MA15+`, `K-16`) means that age, in every country that is
known; the tables hold what carries none, or the wrong one. The letters are those that TMDB lists
for each country. Whoever has a limit sees what is known to be within it and nothing else: what
nobody has looked at is not for children.
"""

import re
from collections.abc import Mapping

from miauflixd.catalogue.model import Region

ADULT = 18
"""The highest age that there is."""

_FIRST = Region("US")
"""Whose certifications are known for most titles."""

_FOR_ALL = 0

_AGES: Mapping[str, Mapping[str, int]] = {
    "AR": {"ATP": 0},
    "AT": {"AA": 0},
    # M and MA15+ are both from 15; only the second is enforced.
    "AU": {"P": 0, "C": 0, "G": 0, "PG": 8, "M": 15, "MA": 15, "R": 18, "X": 18},
    "BE": {"AL": 0, "TOUS": 0, "KT": 0, "KNT": 16},
    "BR": {"L": 0, "AL": 0},
    "CA": {"C": 0, "G": 0, "PG": 8, "R": 18, "A": 18, "E": 18},
    "CZ": {"U": 0},
    "DE": {"OA": 0},
    "DK": {"A": 0, "F": 0},
    "ES": {"A": 0, "APTA": 0, "AI": 0, "A/I": 0, "TP": 0, "I": 0, "X": 18},
    "FI": {"S": 0},
    "FR": {"U": 0, "TP": 0, "X": 18},
    "GB": {"U": 0, "UC": 0, "PG": 8, "X": 18},
    "GR": {"K": 0},
    "HU": {"KN": 0, "X": 18},
    "IE": {"G": 0, "PG": 8},
    # UA alone is from the time before its ages: with parents below 12.
    "IN": {"U": 0, "UA": 12, "U/A": 12, "A": 18, "S": 18},
    "IT": {"T": 0, "BA": 0},
    "JP": {"G": 0},
    "KR": {"ALL": 0, "RESTRICTED SCREENING": 18, "LIMITED SCREENING": 18},
    "MX": {"AA": 0, "A": 0, "B": 12, "C": 18, "D": 18},
    "NL": {"AL": 0, "MG6": 6},
    "NO": {"A": 0, "AL": 0},
    "NZ": {"G": 0, "PG": 8, "M": 16, "R": 18},
    "PL": {"BO": 0},
    "PT": {"PÚBLICOS": 0, "TP": 0, "P": 18},
    "SE": {"BTL": 0, "BT": 0},
    # R asks for company below 17, and NC-17 lets in nobody of 17 either.
    "US": {
        "G": 0,
        "PG": 10,
        "R": 17,
        "NC-17": 18,
        "X": 18,
        "TV-Y": 0,
        "TV-Y7-FV": 7,
        "TV-G": 0,
        "TV-PG": 10,
        "TV-MA": 17,
    },
}

_NUMBERED = re.compile(r"(?:[A-Z][A-Z/ -]{0,9})?([0-9]{1,2})(?: ?[A-Z+]{1,3})?\Z")
_LONGEST = 40


def age(certification: str, region: Region) -> int | None:
    """Return from what age a title is, from 0 to 18; `None`: the certification does not say."""
    if len(certification) > _LONGEST:
        return None
    text = " ".join(certification.upper().split())
    if (listed := _AGES.get(region, {}).get(text)) is not None:
        return listed
    match = _NUMBERED.match(text)
    return None if match is None else min(int(match[1]), ADULT)


def deciding(certifications: Mapping[Region, str], region: Region) -> Region | None:
    """Return the region whose certification counts in a house: its own, the US, the strictest.

    One that says no age counts only as long as no other does. `None`: there are none.
    """
    ages = {
        where: found
        for where, text in certifications.items()
        if (found := age(text, where)) is not None
    }
    for preferred in (region, _FIRST):
        if preferred in ages:
            return preferred
    if ages:
        return max(ages, key=lambda where: (ages[where], where))
    return region if region in certifications else min(certifications, default=None)


def age_of(certifications: Mapping[Region, str], region: Region) -> int | None:
    """Return from what age a title is in a house; `None`: nobody says."""
    where = deciding(certifications, region)
    return None if where is None else age(certifications[where], where)


def limit_of(rating: str, region: Region = _FIRST) -> int:
    """Return the highest age that somebody's `max_rating` lets through.

    Args:
        rating: a certification of any country, or an age; what is neither lets through only what
            is for everybody.
        region: where the house is, whose meaning comes first.
    """
    for preferred in (region, _FIRST):
        if (found := age(rating, preferred)) is not None:
            return found
    known = [found for where in _AGES if (found := age(rating, Region(where))) is not None]
    return min(known, default=_FOR_ALL)


def may_see(title_age: int | None, limit: int | None) -> bool:
    """Return whether whoever has this limit, or none, may know of a title from this age."""
    return limit is None or (title_age is not None and title_age <= limit)
