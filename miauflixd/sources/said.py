"""What a stranger says, taken for what it can be. No I/O.

Directories answer with numbers that are texts, sizes of -1 and names full of control characters.
Each function here takes anything, and returns something sound or `None`; none raises.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from miauflixd.catalogue.text import clean, whole_number

MAX_NAME = 300
"""Characters of a release's name; no file system takes a file name of more than 255."""

MAX_SIZE = 2**44
"""Bytes; what the engine takes at most, which is the largest file of ext4."""

MAX_PEERS = 10_000_000
"""More than there ever were in a swarm, by far: beyond that somebody makes it up."""

MAX_SECONDS = 100 * 3600
"""Of a running time; the longest film that people watch has eleven hours, a season thirty."""

_MAX_URL = 8192
"""Characters. Links of a Torznab proxy carry another link inside, encoded; browsers stop here."""

_IMDB = re.compile(r"(?:tt)?([0-9]{1,10})")
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%|{}^-]+")
"""RFC 3986, and what indexers forget to encode."""

_APOSTROPHES = re.compile("['\u2019`\u00b4]")

_EARLIEST = datetime(1995, 1, 1, tzinfo=UTC)
"""No directory is older; what claims to be was dated by a clock that was never set."""


def text(value: object, *, limit: int = MAX_NAME) -> str:
    """Return a line of text without what could confuse a terminal, a reader or a parser."""
    return clean(value, limit)


def number(value: object, *, most: int, least: int = 0) -> int | None:
    """Return a whole number within bounds."""
    return whole_number(value, least=least, most=most)


def size(value: object) -> int | None:
    """Return a number of bytes; none is 0, whatever somebody says."""
    return number(value, most=MAX_SIZE, least=1)


def peers(value: object) -> int | None:
    """Return a number of peers."""
    return number(value, most=MAX_PEERS)


def outside_id(value: object) -> int | None:
    """Return an id of TMDB or TVDB; both count, and say 0 for none."""
    return number(value, most=2**31 - 1, least=1)


def imdb_id(value: object) -> str | None:
    """Return an IMDb id as `tt0111161`, however it was written: `tt111161`, `0111161`, 111161."""
    if isinstance(value, int):
        value = str(number(value, most=10**10))
    if not isinstance(value, str) or not (found := _IMDB.fullmatch(value.strip().lower())):
        return None
    digits = found[1].lstrip("0")
    return f"tt{digits:0>7}" if digits else None


def moment(value: object) -> datetime | None:
    """Return a point in time, from seconds since 1970, RFC 822 or ISO 8601; UTC where not said."""
    try:
        match value:
            case bool():
                return None
            case int() | float():
                found = datetime.fromtimestamp(value, UTC)
            case str():
                found = _written(value.strip()[:64])
            case _:
                return None
        found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    # A day in the future is a matter of time zones; there are years that no database takes.
    return found if _EARLIEST <= found < datetime(2100, 1, 1, tzinfo=UTC) else None


def _written(value: str) -> datetime:
    if value[:4].isdecimal():
        return datetime.fromisoformat(value)
    return parsedate_to_datetime(value)


def day(value: object) -> date | None:
    """Return a date."""
    found = moment(value)
    return found.date() if found else None


def url(value: object) -> str | None:
    """Return an address of the web; whether one goes there is for the client to say."""
    if not isinstance(value, str):
        return None
    value = value.strip().replace(" ", "%20")
    if len(value) > _MAX_URL or not _URL.fullmatch(value):
        return None
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is no number, a bracket that is not closed
        return None
    return value if parts.scheme in ("http", "https") and host and port != 0 else None


def items(value: object) -> Sequence[object]:
    """Return a list, or the single thing that should have been one."""
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)


def fields(value: object) -> Mapping[str, object]:
    """Return an object's fields."""
    return value if isinstance(value, dict) else {}


def words(value: str) -> tuple[str, ...]:
    """Return the words of a title or name, to search by and to compare: no marks, no case.

    Latin letters lose their accents, as in the names of releases. To others their marks belong.
    """
    plain = _APOSTROPHES.sub("", value[: 2 * MAX_NAME].replace("&", " and "))
    flat = unicodedata.normalize("NFKC", plain).casefold()
    kept = "".join(map(_letter, unicodedata.normalize("NFC", flat)))
    return tuple(kept.split())


def _letter(char: str) -> str:
    base = unicodedata.normalize("NFD", char)[0]
    if base.isascii() and base.isalpha():
        return base
    return char if char.isalnum() or unicodedata.category(char).startswith("M") else " "
