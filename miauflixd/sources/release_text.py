"""The name of a release made readable, and its parts that are no description. No I/O."""

import re
import unicodedata
from typing import NamedTuple

from miauflixd.sources.release_words import find

LIMIT = 300
"""Characters. No file system takes a name of more than 255, and nobody reads so much."""

_JOINERS = "\u200c\u200d"
"""Invisible, but part of how names are written in Persian and in Hindi."""

_BLANKS = re.compile(r"\s+")
_PATH = re.compile(r"^(?:[A-Za-z]:\\|[/\\~]|\.{1,2}[/\\])|[/\\][^/\\]+\.[A-Za-z0-9]{2,4}$")
_SITE = re.compile(
    r"^\W{0,3}(?:w{2,3}[.,][\w-]+(?:\.[\w-]+){1,3}|[\w-]+\.(?:com|org|net|to|cd|cc|se|me|info|xyz|lol))"
    r"[\s\])}】]*(?:[-\u2013_: ]+|$)",
    re.IGNORECASE,
)
_SITE_IN_BRACKETS = re.compile(
    r"^[\[【({]\s*(?:www\.)?[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|to|cd|cc|se|me|info|xyz|lol|site|in|"
    r"vip|icu|mx|tv)\s*[\]】)}][\s_.-]*",
    re.IGNORECASE,
)
_SITE_BEHIND = re.compile(r"[\s._-]*[\[({]?\s*www\.[\w-]+(?:\.[\w-]+)+\s*[\])}]?$", re.IGNORECASE)
_GLUED = re.compile(
    r"(?<![^\W_])(BD|BDRip|BluRay|WEB|WEB-?DL|WEB-?Rip|HDTV|HDRip|DVDRip)(?=\d{3,4}[pi](?![^\W_]))",
    re.IGNORECASE,
)
_CONTAINER = re.compile(
    r"\.(mkv|mk3d|mp4|m4v|avi|mov|wmv|webm|flv|mpe?g|m2ts|ts|vob|iso|ogm|divx|3gp)$",
    re.IGNORECASE,
)
_TORRENT = re.compile(r"\.(?:torrent|nzb)$", re.IGNORECASE)
_LEADING = re.compile(r"^[\[【]([^\[\]【】]{1,60})[\]】][\s._-]*")
_NUMBERED = re.compile(r"[\[(【]|[ ._][-\u2013][ ._]+\d|Ep?\d|\d{3,4}p", re.IGNORECASE)
_YEAR_NEXT = re.compile(r"\d{1,2}[ ._]+[(\[]?(?:19|20)\d\d(?!\d)|[(\[]?(?:19|20)\d\d(?!\d)|$")


class Parts(NamedTuple):
    """A name without what stands around it."""

    text: str
    container: str | None
    leading_group: str | None


def split(name: str) -> Parts:
    """Take the name of whoever made it from the front, and the kind of file from the end."""
    text = readable(name)
    if _PATH.search(text) and (last := re.split(r"[/\\]", text.rstrip("/\\"))[-1].strip()):
        text = last
    text = _TORRENT.sub("", text)
    container = _CONTAINER.search(text)
    if container:
        text = text[: container.start()]
    text = _GLUED.sub(r"\1 ", text)
    for pattern in (_SITE_IN_BRACKETS, _SITE, _SITE_BEHIND):
        text = pattern.sub("", text) or text
    group, text = _leading_group(text)
    return Parts(text, container[1].lower() if container else None, group)


def readable(name: str) -> str:
    """Return the beginning of a name without what confuses a reader or a terminal."""
    # Not printable are control characters, marks that turn the direction of writing, surrogates.
    text = "".join(
        char if char.isprintable() or char in _JOINERS else " " if char.isspace() else ""
        for char in name[:LIMIT]
    )
    text = unicodedata.normalize("NFC", text).replace("_", " ")
    if " " not in text and "." not in text and text.count("+") > 1:
        text = text.replace("+", " ")
    return _BLANKS.sub(" ", text).strip()


def _leading_group(text: str) -> tuple[str | None, str]:
    """Take "[Somebody]" from the front, unless it is the title: `[REC] 2007 1080p`."""
    match = _LEADING.match(text)
    if match is None:
        return None, text
    rest = text[match.end() :]
    if any(word.fields[0] in ("quality", "source") for word in find(match[1])):
        return None, f"{rest} [{match[1]}]"
    if not rest or _YEAR_NEXT.match(rest) or not _NUMBERED.search(rest):
        return None, text
    return match[1].strip(), rest
