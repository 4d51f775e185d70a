"""Reading RSS, Atom and Torznab that anybody may have written.

What is wrong with real answers is mended before parsing: a charset that is not the one declared,
control characters, `&` that means just that. What is hostile is refused: any DTD, and with it
entities that grow. Entries are gathered while the parser runs and bounded in number, depth and
length, so that ten megabytes of tags do not become a gigabyte of tree.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]  # has no stubs
from defusedxml.ElementTree import (  # type: ignore[import-untyped]  # has no stubs
    DefusedXMLParser,
    fromstring,
)

MAX_ENTRIES = 1000
"""Of one answer; what servers give at once is 100 as a rule, and some give all they have."""

_MAX_PARTS = 200
"""Of one entry. Torznab has some thirty attributes, plus a tag for each category and language."""

_MAX_TEXT = 32 * 2**10
"""Characters of one element; a magnet link with many trackers has several thousand."""

_MAX_ELEMENTS = 250_000
"""More than `MAX_ENTRIES` of `_MAX_PARTS` have; each costs some microseconds of everybody's."""

_MAX_DEPTH = 30
"""Levels; feeds have five, but descriptions may hold a page."""

_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9_.-]{1,30})["']""")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,200}\?>")

_CHARSETS = re.compile(
    r"(utf-?8|utf-?16(le|be)?|us-ascii|ascii|iso-?8859-?\d{1,2}|latin-?1|(windows-|cp)125\d"
    r"|koi8-[ru]|gbk|gb2312|gb18030|big5|shift_jis|euc-(jp|kr))",
    re.IGNORECASE,
)
"""Charsets of the web; to Python also compressors and a cipher are "encodings"."""

_INVALID = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 does not allow."""

_BARE = re.compile("&(?!(?:amp|lt|gt|quot|apos);|#[0-9]{1,7};|#x[0-9A-Fa-f]{1,6};)")
_REFERENCE = re.compile("&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")
_CDATA, _CDATA_END = "<![CDATA[", "]]>"

_MAX_REFERENCES = 200_000
"""Ampersands, and sections of character data; a thousand links have ten thousand."""


class NotXmlError(Exception):
    """These bytes are no document, or a hostile one."""


@dataclass(slots=True)
class Part:
    """An element within an entry, at whatever depth."""

    name: str
    """In lower case and without its namespace."""
    attributes: Mapping[str, str]
    """Their names in lower case."""
    text: str = ""


@dataclass(slots=True)
class Entry:
    """An RSS `item` or Atom `entry`."""

    parts: list[Part] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Part]:
        """Return the elements of this name."""
        return (part for part in self.parts if part.name == name)

    def text(self, *names: str) -> str:
        """Return the text of the first element of these names that has one."""
        return next(
            (part.text.strip() for name in names for part in self.all(name) if part.text.strip()),
            "",
        )


@dataclass(slots=True)
class Document:
    """What an answer says."""

    root: str
    """The outermost element's name, in lower case and without its namespace: `rss`, `error`."""
    attributes: Mapping[str, str]
    """The outermost element's."""
    entries: list[Entry]


def read(body: bytes, *, content_type: str | None = None) -> Document:
    """Return the entries of a feed; costs time in proportion to its length.

    Raises:
        NotXmlError: it is none.
    """
    target = _Target()
    parser: Any = DefusedXMLParser(
        target=target, forbid_dtd=True, forbid_entities=True, forbid_external=True
    )
    try:
        parser.feed(readable(body, content_type=content_type))
        parser.close()
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise NotXmlError(type(error).__name__) from error
    return Document(root=target.root, attributes=target.attributes, entries=target.entries)


def tree(body: bytes) -> Element:
    """Return a small document as a whole.

    Raises:
        NotXmlError: it is none.
    """
    try:
        root: Element = fromstring(readable(body), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, RecursionError) as error:
        raise NotXmlError(type(error).__name__) from error
    return root


def readable(body: bytes, *, content_type: str | None = None) -> str:
    """Return a document's text with what no parser takes left out or escaped.

    Takes time in proportion to its length, whatever is in it.

    Raises:
        NotXmlError: there is more to mend than anybody's mistakes.
    """
    text = _DECLARATION.sub("", _INVALID.sub("", _decoded(body, content_type)), count=1)
    if text.count("&") + text.count(_CDATA) > _MAX_REFERENCES:
        raise NotXmlError("more to mend than a feed has")
    pieces: list[str] = []
    at = 0
    while (begins := text.find(_CDATA, at)) >= 0 and (ends := text.find(_CDATA_END, begins)) >= 0:
        ends += len(_CDATA_END)
        pieces += _mended(text[at:begins]), text[begins:ends]
        at = ends
    pieces.append(_mended(text[at:]))
    return "".join(pieces)


def _mended(text: str) -> str:
    return _REFERENCE.sub(_allowed, _BARE.sub("&amp;", text))


def _decoded(body: bytes, content_type: str | None) -> str:
    for mark, charset in (
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
    ):
        if body.startswith(mark):
            return body[len(mark) :].decode(charset, "replace")
    try:
        # Before what is declared: nothing else is UTF-8 by chance, and servers declare wrongly.
        return body.decode()
    except UnicodeDecodeError:
        declared = _DECLARED.match(body[:300])
        said = [declared[1].decode("ascii")] if declared else []
        said += re.findall(r"charset=[\"']?([A-Za-z0-9_.-]{1,30})", content_type or "")
        for charset in said:
            if _CHARSETS.fullmatch(charset):
                try:
                    return body.decode(charset)
                except (UnicodeDecodeError, LookupError):
                    continue
        return body.decode("cp1252", "replace")


def _allowed(found: re.Match[str]) -> str:
    """Return a reference to a character, if there may be such a one."""
    code = int(found[1], 16) if found[1] else int(found[2])
    return found[0] if code <= sys.maxunicode and not _INVALID.match(chr(code)) else ""


class _Target:
    """Gathers entries as the parser comes upon them."""

    def __init__(self) -> None:
        self.root = ""
        self.attributes: Mapping[str, str] = {}
        self.entries: list[Entry] = []
        self._depth = 0
        self._elements = 0
        self._entry: Entry | None = None
        self._open: list[Part | None] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > _MAX_DEPTH or self._elements > _MAX_ELEMENTS:
            raise ValueError("more than a feed has")
        name = _local(tag)
        if self._depth == 1:
            self.root = name
            self.attributes = _lower(attributes)
        if self._entry is not None:
            part = None
            if len(self._entry.parts) < _MAX_PARTS:
                part = Part(name, _lower(attributes))
                self._entry.parts.append(part)
            self._open.append(part)
        elif name in ("item", "entry") and len(self.entries) < MAX_ENTRIES:
            self._entry = Entry()
            self.entries.append(self._entry)
            self._open = []

    def end(self, tag: str) -> None:
        self._depth -= 1
        if self._open:
            self._open.pop()
        else:
            self._entry = None

    def data(self, text: str) -> None:
        if self._open and (part := self._open[-1]) is not None:
            part.text += text[: _MAX_TEXT - len(part.text)]

    def close(self) -> None:
        return


def _local(tag: str) -> str:
    return tag.rpartition("}")[2].lower()


def _lower(attributes: Mapping[str, str]) -> Mapping[str, str]:
    return {_local(name): value[:_MAX_TEXT] for name, value in attributes.items()}
