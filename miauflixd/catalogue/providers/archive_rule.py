"""What of the Internet Archive may be shown. No I/O.

Anybody may upload there, and say of it what they like: curated collections, too, hold films that
are somebody's, until somebody notices. So nothing is shown for one reason alone:

- it is on the list that comes with this version (`archive_items.json`), unless the settings want
  more than that; and
- it is free: licensed as Creative Commons, dedicated to the public, or so old that no copyright is
  left on it; and
- it stands in a collection that the Archive's own people look after, unless its makers themselves
  have given it away and the list says so; and
- the Archive neither lends it, nor keeps it from being downloaded.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from miauflixd.catalogue.text import FIRST_YEAR

TERM = 96
"""Years after which the copyright on a film has ended in the United States, where the Archive is:
95 full ones after that of its publication (17 U.S.C. 304)."""

CURATED = frozenset(
    {
        "classic_cartoons",
        "classic_tv",
        "comedy_films",
        "feature_films",
        "fedflix",
        "film_noir",
        "nasa",
        "prelinger",
        "scifi_horror",
        "short_films",
        "silent_films",
    }
)
"""Collections that are looked after, in small letters: the Archive writes `SciFi_Horror`, too."""

_CAPITALS = frozenset({"Comedy_Films", "FedFlix", "Film_Noir", "SciFi_Horror"})

WITHHELD = frozenset({"inlibrary", "printdisabled", "stream_only"})
"""Collections of what may be borrowed or looked at, and not be downloaded."""

Why = Literal["term", "not_renewed", "no_notice", "government", "licence"]
"""Why something is free, as the list has it: its copyright ended with its term, or after
28 years without being renewed; it was published without a notice when one was needed; an office of
the United States has made it; or its makers have licensed it so."""

# The host is part of it: a licence of `https://creativecommons.org.example/` is none.
_FREE = re.compile(
    r"https?://(?:www\.)?creativecommons\.org/(?:licenses|publicdomain)/", re.IGNORECASE
)

IDENTIFIER = re.compile(r"(?!\.+\Z)[A-Za-z0-9._-]{1,100}\Z")
"""What the Archive calls an item. It stands in addresses as it is, where dots alone would lead
elsewhere."""

_WORD = re.compile(r"[^\W_]+")
_WORDS = 12
_TYPED = 400
"""Characters of what somebody typed that are looked at; more words do not find more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reviewed:
    """An item that is on the list."""

    identifier: str
    title: str
    year: int
    why: Why
    imdb: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """What the Archive says of one of its items, as far as it makes sense; clean already."""

    identifier: str
    title: str
    year: int | None = None
    description: str = ""
    language: str = "en"
    """ISO 639-1."""
    runtime: int | None = None
    """Seconds."""
    subjects: tuple[str, ...] = ()
    imdb: str | None = None
    downloads: int = 0
    rating: float | None = None
    """From 0 to 10."""
    votes: int = 0
    creators: tuple[str, ...] = ()
    licence: str = ""
    """The address of one, as whoever uploaded it has said."""
    collections: frozenset[str] = field(default_factory=frozenset)
    """In small letters."""
    is_film: bool = True
    withheld: bool = False
    """Whether the Archive has taken it down, or lends it only."""


def last_free_year(now: int) -> int:
    """Return the last year whose films are free of copyright in this one."""
    return now - TERM


def may_be_shown(
    item: Item, *, reviewed: Mapping[str, Reviewed], wider: bool, free_until: int
) -> bool:
    """Return whether an item may be shown.

    Args:
        item: what the Archive says.
        reviewed: what is on the list, by identifier.
        wider: whether it may be anything else as well.
        free_until: the last year whose films are free.
    """
    seen = reviewed.get(item.identifier)
    if (seen is None and not wider) or not item.is_film or _is_withheld(item):
        return False
    if seen is not None and seen.why == "licence":
        return has_free_licence(item)
    # The list knows its year better than whoever uploaded it.
    year = item.year if seen is None else seen.year
    is_old = year is not None and FIRST_YEAR <= year <= free_until
    return (is_old or has_free_licence(item)) and not item.collections.isdisjoint(CURATED)


def has_free_licence(item: Item) -> bool:
    """Return whether an item is said to be free to be passed on."""
    return _FREE.match(item.licence) is not None


def _is_withheld(item: Item) -> bool:
    return item.withheld or not item.collections.isdisjoint(WITHHELD)


# --- questions, as Lucene wants them --------------------------------------------------------------


def these(identifiers: Collection[str]) -> str:
    """Return the question for items by their identifiers, which are such."""
    # In quotes, for a hyphen means "not" without them.
    return f"mediatype:movies AND identifier:({' OR '.join(map(_quoted, identifiers))})"


def anything_free(free_until: int) -> str:
    """Return the question for what may be shown without being on the list."""
    # In capitals too: whether the index tells them apart is not written down anywhere.
    collections = " OR ".join(sorted(CURATED | _CAPITALS))
    return (
        f"mediatype:movies AND collection:({collections})"
        f" AND NOT collection:({' OR '.join(sorted(WITHHELD))})"
        f" AND (licenseurl:*creativecommons.org* OR year:[{FIRST_YEAR} TO {free_until}])"
    )


def titled(text: str) -> str | None:
    """Return the question for words in a title; `None`: there are no words in the text.

    Words only, and small ones: so nothing of what somebody typed can be an operator.
    """
    words = _WORD.findall(text[:_TYPED].lower())[:_WORDS]
    return f"title:({' AND '.join(words)})" if words else None


def _quoted(identifier: str) -> str:
    return f'"{identifier}"'
