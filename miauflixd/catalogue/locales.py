"""Languages: how they are written, and which of those that there are somebody is to see. No I/O.

A region matters: Brazil does not read Portugal's titles, which are often other titles altogether.
So whoever wants `pt-BR` gets that, else what belongs to no region, and only then Portugal's.
"""

import re
from collections.abc import Iterable

from miauflixd.catalogue.model import Locale

ENGLISH = Locale("en")
"""What most titles are known by, and most people can make out."""

# Language, script, region; what may follow (variants, extensions) says nothing about a title.
_TAG = re.compile(
    r"([a-z]{2,3})(?:[-_]([a-z]{4}))?(?:[-_]([a-z]{2}|[0-9]{3}))?(?:[-_][a-z0-9]{1,8})*\Z",
    re.IGNORECASE,
)
_LONGEST = 35
"""Characters of a tag, RFC 5646 section 4.4.1."""

_SCRIPTS = {("zh", "hans"): "CN", ("zh", "hant"): "TW"}
"""Where a script alone says what region's titles are meant."""

_HOMES = {"en": "US", "zh": "CN", "ja": "JP", "ko": "KR", "da": "DK", "sv": "SE"}
"""The region that speaks for a language, where it is not called as the language is (`fr-FR`)."""


def parse_locale(raw: object) -> Locale | None:
    """Return the tag in its usual form, `pt-BR` of `PT_br`, or nothing if it is none."""
    match = _TAG.match(raw.strip()) if isinstance(raw, str) and len(raw) <= _LONGEST else None
    if match is None:
        return None
    language, script, region = (part and part.lower() for part in match.groups())
    region = (region or "").upper() or _SCRIPTS.get((language, script), "")
    return Locale(f"{language}-{region}" if region else language)


def language_of(locale: Locale) -> str:
    """Return the language without a region."""
    return locale.partition("-")[0]


def in_order(
    available: Iterable[Locale], *, wanted: Locale, house: Locale, original: str
) -> tuple[Locale, ...]:
    """Return what there is, what to show first first.

    Args:
        available: what a title has been translated to.
        wanted: what its viewer reads.
        house: what this house reads by default.
        original: ISO 639-1 of what it was made in; may be empty.
    """
    wishes = preferences(wanted, house=house, original=original)

    def rank(locale: Locale) -> tuple[int, bool, int, Locale]:
        language = language_of(locale)
        for place, wish in enumerate(wishes):
            if language == language_of(wish):
                return place, locale != wish, _remoteness(locale), locale
        return len(wishes), True, _remoteness(locale), locale

    return tuple(sorted(set(available), key=rank))


def preferences(wanted: Locale, *, house: Locale, original: str) -> tuple[Locale, ...]:
    """Return what to look for, one tag for each language; any of its regions will do after it."""
    chosen: dict[str, Locale] = {}
    for locale in (wanted, house, ENGLISH, Locale(original)):
        if locale:
            chosen.setdefault(language_of(locale), locale)
    return tuple(chosen.values())


def home(language: str) -> Locale:
    """Return the tag of the region that speaks for a language."""
    return Locale(f"{language}-{_HOMES.get(language, language.upper())}")


def _remoteness(locale: Locale) -> int:
    language = language_of(locale)
    return 0 if locale == language else 1 if locale == home(language) else 2
