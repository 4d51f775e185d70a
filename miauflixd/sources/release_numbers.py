"""Seasons, episodes, dates and years in the name of a release, as most people write them. No I/O.

What describes the release has been painted over with `|` before: "5.1" and "x264" are no numbers
of episodes.
"""

import re
from dataclasses import dataclass
from datetime import date

PAINT = "|"

YEARS = range(1900, 2050)

_MOST = 200
"""Episodes in a row; a range of more is a mistake, or was meant to be one."""

_STARTS = r"(?<![^\W_])"
_ENDS = r"(?![^\W_])"

_SEASON_EPISODE = re.compile(
    _STARTS
    + r"S(?P<season>\d{1,4})[ ._-]{0,3}(?:EP?|x)[ ._-]?(?P<first>\d{1,4})"
    + r"(?P<rest>(?:[ ._]?[-~&+,][ ._]?(?:S\d{1,4})?EP?\d{1,4}"  # -E03, - S02E03, + E03
    + r"|[-~&+]\d{1,4}(?![^\W_])"  # -03
    + r"|[ ._]?EP?\d{1,4})*)"  # E03
    + r"(?:v\d|END|[a-c])?"
    + _ENDS,
    re.IGNORECASE,
)
_CROSSED = re.compile(
    _STARTS
    + r"(?P<season>\d{1,2})x(?P<first>\d{2,3})(?P<rest>(?:[ ._]?[-+&][ ._]?(?:\d{1,2}x)?\d{2,3})*)"
    + _ENDS,
    re.IGNORECASE,
)
_SEASON_DASH_EPISODE = re.compile(
    _STARTS
    + r"(?:S|Season[ ._])(?P<season>\d{1,2})[ ._]+[-\u2013][ ._]+(?P<first>\d{1,4})"
    + r"(?P<rest>(?:[-~]\d{1,4})?)(?:v\d)?"
    + _ENDS,
    re.IGNORECASE,
)
_SEASONS = re.compile(
    _STARTS
    + r"(?P<complete>(?:The[ ._])?Complete[ ._])?"
    + r"(?:(?:Seasons?|Saisons?|Staffel|Stagione|Temporada)[ ._:-]{0,3}|Series[ ._]|S(?=\d))"
    + r"(?P<first>\d{1,2})"
    + r"(?P<rest>(?:[ ._]?(?:-|~|\u2013|&|\+|,|to|and|thru|[ ])[ ._]?(?:and[ ._]|&[ ._])?"
    + r"(?:Seasons?[ ._]?|S)?\d{1,2}(?![^\W_]))*)"
    + _ENDS,
    re.IGNORECASE,
)
_EPISODE = re.compile(
    _STARTS
    + r"(?:EP?|Eps|Episod[ei]s?|Folge|Odc|Cap|Cap[ií]tulos?)[ ._:-]{0,2}(?P<first>\d{1,4})"
    + r"(?P<rest>(?:[ ._]?[-~&+][ ._]?(?:EP?)?\d{1,4}(?![^\W_]))*)(?:v\d|END)?"
    + _ENDS,
    re.IGNORECASE,
)
_ORDINAL_SEASON = re.compile(
    _STARTS
    + r"(?P<complete>(?:The[ ._])?Complete[ ._])?(?:The[ ._])?"
    + r"(?P<season>\d{1,2}(?:st|nd|rd|th)|\w+(?:st|nd|rd|th))[ ._]Season"
    + _ENDS,
    re.IGNORECASE,
)
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_RUSSIAN_SEASON = re.compile(
    r"(?P<season>\d{1,2})(?:-?й)?[ ._]?сезон|сезон:?[ ._]?(?P<season_>\d{1,2})", re.IGNORECASE
)
_RUSSIAN_EPISODES = re.compile(
    r"(?<!\d)(?P<first>\d{1,4})(?P<rest>(?:-\d{1,4})?)(?:-?я)?[ ._]?сери[йяи]|"
    r"сери[яи]:?[ ._]?(?P<first_>\d{1,4})(?P<rest_>(?:-\d{1,4})?)",
    re.IGNORECASE,
)
_ABSOLUTE = re.compile(
    r"(?<=[ ._])[-\u2013][ ._]+(?:#)?(?P<first>\d{1,4})(?P<rest>(?:[ ._]?[-~][ ._]?\d{1,4})?)"
    r"(?:v\d|\.5)?(?:[ ._]?END)?(?=$|[ ._]*[\[(|]|[ ._]+[-\u2013][ ._])",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"\[(?P<first>\d{2,3})(?P<rest>(?:-\d{2,3})?)(?:v\d)?(?:[ ._]?END)?\]")
_LAST = re.compile(
    r"[ ._](?P<first>\d{2,4})(?P<rest>(?:[-~]\d{2,4})?)(?:v\d)?(?:[ ._]?END)?(?=$|[ ._]*[\[(|])"
)
"""Only of somebody who names himself in front, as those do who count so."""
_DATE = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)([ ./-])(?P<month>0[1-9]|1[0-2])\2(?P<day>[0-2]\d|3[01])(?!\d)"
)
_DATE_BACKWARDS = re.compile(
    r"(?<!\d)(?P<day>[0-2]\d|3[01])([ ./-])(?P<month>0[1-9]|1[0-2])\2(?P<year>(?:19|20)\d\d)(?!\d)"
)
_SPAN = re.compile(
    r"(?<!\d)(?P<first>(?:19|20)\d\d)[ ]?[-\u2013][ ]?(?P<last>(?:19|20)\d\d|\d\d(?=[)\]]))(?!\d)"
)
_YEAR = re.compile(r"(?<![^\W_])(?:19\d\d|20[0-4]\d)(?=\u0433?(?![^\W_]))")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbering:
    """Which episodes a name speaks of, and from where to where it does."""

    start: int
    end: int
    seasons: tuple[int, ...] = ()
    episodes: tuple[int, ...] = ()
    aired: date | None = None
    complete: bool = False


def find_numbering(text: str, *, named_in_front: bool) -> Numbering | None:
    """Return what a name says about seasons and episodes, if it does.

    Args:
        text: painted over, see above.
        named_in_front: whether the name began with somebody in brackets.
    """
    for read in (_season_and_episode, _day, _ordinal_season, _seasons, _russian):
        if numbering := read(text):
            return numbering
    return _episodes_alone(text, named_in_front=named_in_front)


def find_years(text: str) -> list[re.Match[str]]:
    """Return everything in a name that can be a year."""
    return [*_YEAR.finditer(text)]


def find_span(text: str) -> re.Match[str] | None:
    """Return "1999-2004", which says that there are several films or seasons."""
    match = _SPAN.search(text)
    if match is None:
        return None
    last = match["last"]
    return match if int(match["first"]) < int(last) or len(last) < len("1999") else None


def _season_and_episode(text: str) -> Numbering | None:
    for pattern in (_SEASON_EPISODE, _CROSSED, _SEASON_DASH_EPISODE):
        if match := pattern.search(text):
            rest = re.sub(r"S\d{1,4}(?=E)|\d{1,2}x", "", match["rest"], flags=re.IGNORECASE)
            return Numbering(
                start=match.start(),
                end=match.end(),
                seasons=(int(match["season"]),),
                episodes=_many(match["first"], rest),
            )
    return None


def _day(text: str) -> Numbering | None:
    for pattern in (_DATE, _DATE_BACKWARDS):
        if (match := pattern.search(text)) and (aired := _date(match)):
            return Numbering(start=match.start(), end=match.end(), aired=aired)
    return None


def _seasons(text: str) -> Numbering | None:
    """Return the seasons of a pack, or a season with its episode further on."""
    match = _SEASONS.search(text)
    if match is None:
        return None
    seasons = _many(match["first"], match["rest"])
    episode = _EPISODE.search(text, match.end())
    episodes = _many(episode["first"], episode["rest"]) if episode else ()
    if len(seasons) == 1:
        # In Spain the season is said again: 205 is the fifth of the second.
        episodes = tuple(n % 100 if n // 100 == seasons[0] else n for n in episodes)
    return Numbering(
        start=match.start(),
        end=episode.end() if episode else match.end(),
        seasons=seasons,
        episodes=episodes,
        complete=match["complete"] is not None,
    )


def _ordinal_season(text: str) -> Numbering | None:
    match = _ORDINAL_SEASON.search(text)
    if match is None or not (season := _ordinal(match["season"])):
        return None
    episode = _EPISODE.search(text, match.end()) or _ABSOLUTE.search(text, match.end())
    return Numbering(
        start=match.start(),
        end=episode.end() if episode else match.end(),
        seasons=(season,),
        episodes=_many(episode["first"], episode["rest"]) if episode else (),
        complete=match["complete"] is not None,
    )


def _episodes_alone(text: str, *, named_in_front: bool) -> Numbering | None:
    patterns = [_EPISODE, _ABSOLUTE, _BRACKETED, *([_LAST] if named_in_front else ())]
    for pattern in patterns:
        if (match := pattern.search(text)) and match.start():
            episodes = _many(match["first"], match["rest"])
            if named_in_front or episodes[0] not in YEARS:
                return Numbering(start=match.start(), end=match.end(), episodes=episodes)
    return None


def _ordinal(text: str) -> int:
    """Return 2 for "second" and "2nd", 0 for what is no ordinal."""
    if text[0].isdecimal():
        return int(text[:-2])
    return _ORDINALS.index(text.lower()) + 1 if text.lower() in _ORDINALS else 0


def _russian(text: str) -> Numbering | None:
    """Return "1 сезон: 1-8 серии из 8", with the number before or behind."""
    season = _RUSSIAN_SEASON.search(text)
    episodes = _RUSSIAN_EPISODES.search(text)
    found = [match for match in (season, episodes) if match]
    if not found:
        return None
    return Numbering(
        start=min(match.start() for match in found),
        end=max(match.end() for match in found),
        seasons=(int(season["season"] or season["season_"]),) if season else (),
        episodes=_many(
            episodes["first"] or episodes["first_"], episodes["rest"] or episodes["rest_"] or ""
        )
        if episodes
        else (),
    )


def _many(first: str, rest: str) -> tuple[int, ...]:
    """Return the numbers of "1", "1-3", "1, 2 & 5"."""
    numbers = [int(first)]
    position = 0
    for match in _NUMBER.finditer(rest):
        number = int(match[0])
        between = rest[position : match.start()].lower()
        position = match.end()
        is_range = any(mark in between for mark in ("-", "~", "\u2013", "to", "thru"))
        if is_range and 0 < number - numbers[-1] < _MOST:
            numbers.extend(range(numbers[-1] + 1, number + 1))
        else:
            numbers.append(number)
    return tuple(sorted(set(numbers)))


def _date(match: re.Match[str]) -> date | None:
    try:
        return date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return None
