"""The names of releases, read. No I/O.

A name is a title, then numbers (a year, or season and episode), then words that describe the
release, then who made it; or all of it in any order. So the words are found first, the numbers
beside them, and the title is what stands before all of that. Words that could be part of a title
are believed only behind it.

Whoever counts in a way that is not known here is left to parsett, which knows it in a dozen
languages; only then, because that takes a fifth of a second to import, and a millisecond to ask.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from miauflixd.sources.release_fields import describe
from miauflixd.sources.release_groups import find_group
from miauflixd.sources.release_model import Release
from miauflixd.sources.release_numbers import (
    PAINT,
    YEARS,
    Numbering,
    find_numbering,
    find_span,
    find_years,
)
from miauflixd.sources.release_text import split
from miauflixd.sources.release_titles import find_titles
from miauflixd.sources.release_vocabulary import Trust
from miauflixd.sources.release_words import Word, find

_GAP = re.compile(r"[\s._,+&/()\[\]{}|~-]*")
"""What may stand between two things that belong together."""

_COUNTS = re.compile(
    r"(?:\d[\d\s.,~-]{0,12}(?:-?[йя]|ª|º|°|st|nd|rd|th)?[\s._]?)?"
    r"(?:сез|сери|эпизод|тв-|temporad|temp[. ]|cap[ií]tulo|\bcap[. ]|folge|staffel|stagion|"
    r"saison|sezon|\bepisod|\bepis[oó]d|seizoen|\bseason|\bvol|화|회|話|话|集|季)",
    re.IGNORECASE,
)
"""Where somebody counts; without it parsett would take the angry men for twelve episodes."""

_REMADE = re.compile(r"[\s._(\[]*(?:4K[\s._])?(?:Remaster|Restor|\d+th.Anniv)", re.IGNORECASE)
_OF_LANGUAGE = frozenset({"language", "dual_audio", "multiple"})
_NAMES_FOLLOW = re.compile(r" \w+( \w+)?$")
_SITE_TAG = re.compile(r"[\[(][\w-]+\.[A-Za-z]{2,4}[\])]")
_COLLECTION = re.compile(
    r"\b(?:duology|trilogy|quadrilogy|tetralogy|pentalogy|hexalogy|anthology|trilog[ií]a|"
    r"filmography|collection|colecci[oó]n|saga completa)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """What stands where in a name."""

    technical: int
    """Where the first word stands that is in no title."""
    numbering: Numbering | None
    year: re.Match[str] | None
    other_years: Sequence[re.Match[str]]
    span: re.Match[str] | None
    """Of years."""
    title_end: int

    @property
    def numbers_end(self) -> int:
        """Where the last of year and episodes ends."""
        matches = (match for match in (self.year, self.span) if match)
        ends = [match.end() for match in matches]
        return max([self.numbering.end if self.numbering else 0, *ends])


def parse(name: str) -> Release:
    """Read the name of a release, or of its file.

    It answers to whatever it is given, within a millisecond as a rule, and twenty if somebody
    means harm; what is longer than 300 characters is not looked at beyond these.
    """
    text, container, leading = split(name)
    words = [*find(text)]
    layout = _layout(text, words, named_in_front=leading is not None)
    believed = _believed(text, words, layout)
    described = describe(text, believed)
    numbering, span = layout.numbering, layout.span
    if numbering and not numbering.episodes and described.extra in ("extras", "soundtrack"):
        described = replace(described, extra=None)  # the seasons, and those as well
    titles = _titles(text, layout)
    said_until = max(
        layout.title_end,
        layout.numbers_end,
        *(word.end for word in believed if word.fields[0] != "extra"),
    )
    is_described = layout.technical < len(text) or bool(believed)
    return replace(
        described,
        title=titles[0] if titles else "",
        other_titles=tuple(titles[1:]),
        year=_year_of(layout),
        other_years=tuple(
            number for match in layout.other_years if (number := int(match[0])) in YEARS
        ),
        seasons=numbering.seasons if numbering else (),
        episodes=numbering.episodes if numbering else (),
        aired=numbering.aired if numbering else None,
        complete=described.complete or span is not None or _is_collection(text, layout),
        container=container or described.container,
        group=find_group(text, floor=said_until, described=is_described, leading=leading),
    )


def _layout(text: str, words: Sequence[Word], *, named_in_front: bool) -> _Layout:
    technical = next((w.start for w in words if w.trust is Trust.PLAIN and w.start), len(text))
    numbering = _numbering(text, words, named_in_front=named_in_front)
    span = None if numbering and numbering.aired else find_span(text)
    year, others = (None, []) if span else _year(text, numbering, technical)
    # What stands at the very beginning does not end a title: "1917", "(2001) Some Title".
    starts = (
        technical,
        numbering.start if numbering else 0,
        year.start() if year and year.start() > 1 else 0,
        span.start() if span else 0,
    )
    title_end = min((start for start in starts if start), default=len(text))
    if remade := _remade(text, year, others):
        title_end = min(title_end, remade.start())
    elif technical == title_end:
        title_end = _without(text, words, title_end, _describes_before_technical)
    elif year and year.start() == title_end:
        title_end = _without(text, words, title_end, _describes_before_year)
    return _Layout(
        technical=technical,
        numbering=numbering,
        year=year,
        other_years=others,
        span=span,
        title_end=title_end,
    )


def _titles(text: str, layout: _Layout) -> list[str]:
    year = layout.year
    start = year.end() if year and year.end() < layout.title_end else 0
    if titles := find_titles(text[start : layout.title_end]):
        return titles
    # Some number first, and say the title then.
    return find_titles(text[layout.numbering.end if layout.numbering else 0 : layout.technical])


def _is_collection(text: str, layout: _Layout) -> bool:
    if layout.numbering:
        return layout.numbering.complete
    return _COLLECTION.search(text, 0, layout.title_end) is not None


def _numbering(text: str, words: Sequence[Word], *, named_in_front: bool) -> Numbering | None:
    painted = text
    for word in words:
        if word.trust is Trust.PLAIN:
            size = word.end - word.start
            painted = painted[: word.start] + PAINT * size + painted[word.end :]
    if numbering := find_numbering(painted, named_in_front=named_in_front):
        return numbering
    counts = _COUNTS.search(painted)
    return _counted_elsewhere(painted.replace(PAINT, " "), counts) if counts else None


def _counted_elsewhere(text: str, counts: re.Match[str]) -> Numbering | None:
    """Ask parsett how somebody counts."""
    result = _parsett()(text)
    seasons, episodes = (
        tuple(sorted({int(number) for number in result.get(field, ())}))
        for field in ("seasons", "episodes")
    )
    if not seasons and not episodes:
        return None
    return Numbering(start=counts.start(), end=counts.end(), seasons=seasons, episodes=episodes)


@cache
def _parsett() -> Any:
    from PTT import parse_title  # noqa: PLC0415 -- slow, see the module's docstring

    return parse_title


def _year(
    text: str, numbering: Numbering | None, technical: int
) -> tuple[re.Match[str] | None, list[re.Match[str]]]:
    """Return the year, and the numbers that may be one but for it.

    "Blade Runner 2049 2017": the last one before all else. "1917": nothing else is the title.
    "Show 2005 8x11", "Show S01 (2019)": beside the numbers, or in brackets, because episodes have
    titles too.
    """
    years = [
        match
        for match in find_years(text)
        if not (numbering and numbering.aired and numbering.start <= match.start() < numbering.end)
    ]
    if numbering:
        beside = [
            match
            for match in years
            if match.start()
            and (
                _touches(text, match.end(), numbering.start)
                or _touches(text, numbering.end, match.start())
                or text[match.start() - 1] in "(["
            )
        ]
        year = beside[0] if beside else None
    else:
        early = [
            match
            for match in years
            if match.start() < technical and (match.start() > 1 or text.startswith("("))
        ]
        bracketed = [match for match in early if text[match.start() - 1] in "(["]
        late = [match for match in years if match.start() >= technical]
        year = next((found[-1] for found in (bracketed, early, late[:1]) if found), None)
    others = [match for match in years if match is not year and match.start() < technical]
    return year, others


def _remade(
    text: str, year: re.Match[str] | None, others: Sequence[re.Match[str]]
) -> re.Match[str] | None:
    """Return the first year of "1990 2020 Remastered", neither of which is part of the title."""
    if year is None or not _REMADE.match(text, year.end()):
        return None
    return next((other for other in others if _touches(text, other.end(), year.start())), None)


def _year_of(layout: _Layout) -> int | None:
    if layout.span:
        return int(layout.span["first"])
    if layout.year:
        return int(layout.year[0])
    aired = layout.numbering.aired if layout.numbering else None
    return aired.year if aired else None


def _touches(text: str, end: int, start: int) -> bool:
    return end <= start and _GAP.fullmatch(text, end, start) is not None


def _describes_before_technical(word: Word) -> bool:
    """Whether a word right before plain ones describes: "FRENCH 1080p" does, "German 1080p" not."""
    if word.fields[0] in ("quality_bare", "edition"):
        return True
    return not (word.text.istitle() or word.text.islower())


def _describes_before_year(word: Word) -> bool:
    return word.fields[0] in ("edition", "extra")


def _without(text: str, words: Sequence[Word], end: int, describes: Callable[[Word], bool]) -> int:
    """Take from the end of a title the words that describe the release."""
    for word in reversed(words):
        if word.start >= end:
            continue
        if not (word.start and _touches(text, word.end, end) and describes(word)):
            break
        end = word.start
    return end


def _believed(text: str, words: Sequence[Word], layout: _Layout) -> list[Word]:
    """Return the words that describe the release, and are in no title of film or episode."""
    believed = [
        word for word in words if word.trust >= Trust.PASSING or word.start >= layout.title_end
    ]
    numbering, technical = layout.numbering, layout.technical
    if numbering and (numbering.episodes or numbering.aired):
        inside = {
            id(word)
            for word in believed
            if word.trust is not Trust.PLAIN and numbering.end <= word.start < technical
        }
        for run, forwards in ((believed, True), (believed[::-1], False)):
            edge = numbering.end if forwards else technical
            for word in _run(text, run, edge, forwards=forwards):
                if forwards and word.text.istitle():
                    break  # "S01E02 Extended Stay 1080p"
                inside.discard(id(word))
        believed = [word for word in believed if id(word) not in inside]
    sites = [match.span() for match in _SITE_TAG.finditer(text)]
    believed = [
        word
        for word in believed
        if word.trust is Trust.PLAIN or not any(start < word.start < end for start, end in sites)
    ]
    while believed and _is_group(text, believed):
        believed.pop()
    return believed


def _run(text: str, words: Sequence[Word], edge: int, *, forwards: bool) -> Iterator[Word]:
    """Yield the words that follow each other without a gap, from where an episode's title is."""
    for word in words:
        if (word.start < edge) if forwards else (word.end > edge):
            continue
        if not (_touches(text, edge, word.start) if forwards else _touches(text, word.end, edge)):
            break
        yield word
        edge = word.end if forwards else word.start


def _is_group(text: str, believed: Sequence[Word]) -> bool:
    """Whether the last word is of who made it: "x264-FRENCH", "H265 BEN THE MEN"; not "ITA-ENG"."""
    last, before = believed[-1], believed[:-1]
    field = last.fields[0]
    if field == "extra" or (before and before[-1].fields[0] in _OF_LANGUAGE):
        return False
    if last.trust is Trust.PLAIN and all(word.fields[0] != field for word in before):
        return False
    if any(char.isalnum() for char in text[last.end :]):
        return last.trust is Trust.CAPITALS and _NAMES_FOLLOW.match(text, last.end) is not None
    return text[last.start - 1 : last.start] == "-"
