r"""What strangers wrote, made fit to be kept and shown. No I/O.

A provider hands on what anybody may have typed into it: markup, control characters, a million of
letters, days that never were. Whatever these functions are given, of whatever type, they return
something that can be shown in any client, or nothing; they raise nothing, and take no longer than a
few milliseconds.
"""

import html
import math
import re
import unicodedata
from datetime import date

TITLE = 300
"""Characters of a title; the longest that TMDB has is shorter."""

NAME = 200
"""Characters of a person's name, or of a part that somebody plays."""

TAGLINE = 500
OVERVIEW = 10_000
"""Characters; TMDB's own limit for an overview is 1,000, the Archive has none."""

FIRST_YEAR = 1870
"""Nothing that moves on a screen is older: a horse of 1878, a transit of Venus of 1874."""

LAST_YEAR = 2199

_WORKED_ON = 8
"""How much more is read than may be kept: markup takes room too."""

_PASSES = 4
"""What is markup only once other markup is gone is taken out so often; then its brackets are."""

_STACK = 4
"""Marks on one letter. Vietnamese and Hebrew need 2, Tibetan 3; more are there to cover a page."""

_MOST = 2**53
"""A whole number that JavaScript can hold, too."""

_DIGITS = 16

# The semicolon is asked for: without one, "Rock &notes" would become "Rock ¬es".
_ENTITY = re.compile(r"&(?:amp;)*(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
# "I <3 you" and "a < b" are no tags. Neither bracket within one: a row of `<` takes linear time.
_BREAK = re.compile(
    r"</?(?:br|p|div|li|ul|ol|tr|h[1-6]|blockquote)(?:[\s/][^<>]*)?>", re.IGNORECASE
)
_TAG = re.compile(r"<[a-zA-Z/!?][^<>]*>")
# Controls but for blanks; what turns the direction of writing or cannot be seen; halves of pairs.
# What joins letters in Persian and families in emoji (U+200C, U+200D) stays.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_PARAGRAPH = re.compile(r"[^\S\n]*\n\s*")
_BLANKS = re.compile(r"[^\S\n]+")

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ].{0,40})?\Z", re.DOTALL)
_YEAR = re.compile(r"([0-9]{4})(?:-.{0,50})?\Z", re.DOTALL)
_IMDB = re.compile(r"tt[0-9]{7,10}\Z")


def clean(raw: object, limit: int) -> str:
    """Return a text as one line without markup; empty when it is none.

    Args:
        raw: what a provider sent, of whatever type.
        limit: characters that may be left; what is longer ends with "…".
    """
    return _cut(" ".join(_plain(raw, limit).split()), limit)


def prose(raw: object, limit: int) -> str:
    r"""Return a text without markup, its paragraphs parted by one `\n`; empty when it is none.

    Args:
        raw: what a provider sent, of whatever type.
        limit: characters that may be left; what is longer ends with "…".
    """
    plain = _plain(raw, limit).replace("\r\n", "\n").replace("\r", "\n")
    return _cut(_BLANKS.sub(" ", _PARAGRAPH.sub("\n", plain)).strip(), limit)


def plausible_date(raw: object) -> date | None:
    """Return the day of `1999-03-30` or `1999-03-30T22:00:00Z`, if it can be a film's.

    A year alone is no day; see `plausible_year`.
    """
    match = _DATE.match(raw.strip()) if isinstance(raw, str) and len(raw) < 100 else None  # noqa: PLR2004 -- blanks
    if match is None:
        return None
    year, month, day = (int(part) for part in match.groups())
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def plausible_year(raw: object) -> int | None:
    """Return the year of `1999`, `"1999"` or anything that begins as `1999-`, if it can be one."""
    if isinstance(raw, str):
        match = _YEAR.match(raw.strip()) if len(raw) < 100 else None  # noqa: PLR2004 -- blanks
        raw = None if match is None else match[1]
    return whole_number(raw, least=FIRST_YEAR, most=LAST_YEAR)


def imdb_id(raw: object) -> str | None:
    """Return an id such as `tt0111161`, or nothing."""
    found = raw.strip() if isinstance(raw, str) and len(raw) < 100 else ""  # noqa: PLR2004 -- blanks
    return found if _IMDB.match(found) else None


def whole_number(raw: object, *, least: int = 0, most: int = _MOST) -> int | None:
    """Return a whole number within these bounds, also of `"603"` and `603.0`, or nothing."""
    if isinstance(raw, str):
        digits = raw.strip() if len(raw) < 100 else ""  # noqa: PLR2004 -- blanks
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS):
            return None
        raw = int(digits)
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if isinstance(raw, bool) or not isinstance(raw, int):
        return None
    return raw if least <= raw <= most else None


def number(raw: object, *, least: float = 0.0, most: float = float(_MOST)) -> float | None:
    """Return a number within these bounds, also of `"7.5"`, or nothing."""
    if isinstance(raw, str) and len(raw) < 100:  # noqa: PLR2004 -- blanks
        try:
            raw = float(raw)
        except ValueError:
            return None
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    # Compared first: an int of a thousand digits becomes no float.
    return float(raw) if least <= raw <= most and math.isfinite(raw) else None


def _plain(raw: object, limit: int) -> str:
    if not isinstance(raw, str):
        return ""
    # Blanks first, or a million of them before the first letter would be all that is read.
    text = raw.lstrip()[: limit * _WORKED_ON]
    for _ in range(_PASSES):
        before = text
        text = _UNSEEN.sub("", _ENTITY.sub(_entity, text))
        text = _TAG.sub("", _BREAK.sub("\n", text))
        if text == before:
            break
    else:
        text = text.replace("<", "").replace(">", "")
    return text if text.isascii() else unicodedata.normalize("NFC", _unstacked(text))


def _entity(match: re.Match[str]) -> str:
    return html.unescape(f"&{match[1]};")


def _unstacked(text: str) -> str:
    # Before it is normalised, too: that takes quadratic time for a row of marks.
    if not any(map(unicodedata.combining, text)):
        return text
    kept = []
    stack = 0
    for character in text:
        stack = stack + 1 if unicodedata.combining(character) else 0
        if stack <= _STACK:
            kept.append(character)
    return "".join(kept)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
