"""The grammar of WireGuard's `.conf`: bytes become sections of keys and values, each with its line.

As `wg` and `wg-quick` read it: sections and keys in any case, `#` begins a comment anywhere. What a
key means is `wireguard_conf`'s business.
"""

import codecs
import re
from dataclasses import dataclass, field
from typing import NoReturn

from miauflixd.errors import InvalidInputError

SIZE_LIMIT = 256 * 1024
"""Bytes of a file; one with a list of every network of a country takes half of it."""

_LINE_COUNT = 8192
_COMMENT_COUNT = 64
_COMMENT_LIMIT = 200
_NAME_LIMIT = 100
"""Characters of a file's name, as far as it is said."""

_END_OF_LINE = re.compile(r"\r\n|\r|\n")

_WORD = re.compile(r"[a-z]{2,24}|(?:[A-Z][a-z]{2,}){1,3}[0-9]?|[A-Z][A-Za-z][0-9]?")
"""What reads like the name of a key or a section. A private key that lost its place does not."""

_FOREIGN = {"client", "dev", "proto", "remote", "<ca>", "auth-user-pass", "resolv-retry", "nobind"}
"""How lines of an OpenVPN profile begin."""


class ConfRefusedError(InvalidInputError):
    """A WireGuard file that cannot be used; says file, line and what would be right."""

    code = "conf_refused"

    def __init__(self, reason: str, *, file: str, line: int | None = None) -> None:
        place = file if line is None else f"{file}, line {line}"
        super().__init__(f"{place}: {reason}")
        self.reason = reason
        """The sentence without the place."""
        self.line = line


@dataclass(frozen=True, slots=True)
class Entry:
    """One `Key = value`."""

    key: str
    """In lower case."""
    shown: str
    """As it may be said to people."""
    value: str
    line: int

    @property
    def compact(self) -> str:
        """The value without any white space, as `wg` takes it."""
        return "".join(self.value.split())

    @property
    def words(self) -> list[str]:
        """The value's parts between commas and white space, as `wg-quick` takes them."""
        return self.value.replace(",", " ").split()


@dataclass(frozen=True, slots=True)
class Section:
    """A `[Section]` and what stands below it."""

    name: str
    """In lower case."""
    shown: str
    line: int
    entries: list[Entry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Conf:
    """A file that follows the grammar."""

    file: str
    """Its name, fit to be said."""
    sections: list[Section]
    comments: list[str]

    def refuse(self, reason: str, line: int | None = None) -> NoReturn:
        """Give up on the file.

        Raises:
            ConfRefusedError: always.
        """
        raise ConfRefusedError(reason, file=self.file, line=line)


def read(content: str | bytes, *, name: str) -> Conf:
    """Divide a file into its sections.

    Raises:
        ConfRefusedError: it does not follow the grammar, or is too large to be what it says.
    """
    conf = Conf(shown_name(name), [], [])
    lines = _END_OF_LINE.split(_decoded(content, conf))
    if len(lines) > _LINE_COUNT:
        conf.refuse(f"The file has more than {_LINE_COUNT} lines")
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            conf.refuse("There is a NUL byte here, which no text has", number)
        code, hash_, comment = line.partition("#")
        if hash_ and len(conf.comments) < _COMMENT_COUNT:
            conf.comments.append(" ".join(comment[:_COMMENT_LIMIT].split()))
        code = code.strip()
        if code and not code.startswith(";"):
            _add(conf, code, number)
    return conf


def shown_name(name: str) -> str:
    """Return a file's name without its folders and anything that is not to be seen."""
    name = re.split(r"[/\\]", name)[-1]
    kept = "".join(char for char in name if char.isprintable())
    return kept.strip()[:_NAME_LIMIT] or "the file"


def _decoded(content: str | bytes, conf: Conf) -> str:
    size = len(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    if size > SIZE_LIMIT:
        conf.refuse(f"The file is larger than {SIZE_LIMIT // 1024} KiB, which no tunnel needs")
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # PowerShell's `>`
        return content.decode("utf-16", "replace")
    # What is not UTF-8 does no harm in a comment, and makes any value one that is refused.
    return content.decode("utf-8-sig", "replace")


def _add(conf: Conf, code: str, line: int) -> None:
    if code.startswith("["):
        title = "".join(code.split())
        if not title.endswith("]"):
            conf.refuse("A section's name is not closed; write `[Interface]` or `[Peer]`", line)
        name = title[1:-1]
        conf.sections.append(Section(name.lower(), _sayable(name, "section"), line))
        return
    key, equals, value = code.partition("=")
    key = "".join(key.split())
    if not equals or not key:
        conf.refuse(_neither(code), line)
    if not conf.sections:
        conf.refuse("This stands above any section; write `[Interface]` above it", line)
    conf.sections[-1].entries.append(Entry(key.lower(), _sayable(key, "key"), value.strip(), line))


def _neither(code: str) -> str:
    if code.split(maxsplit=1)[0].lower() in _FOREIGN:
        return "This is an OpenVPN profile; a WireGuard file is needed, which the provider has too"
    if code.startswith(("<", "{")):
        return "This is a web page or something else, not a WireGuard file; download it once more"
    return "This is neither a section, such as `[Peer]`, nor `Key = value`"


def _sayable(name: str, kind: str) -> str:
    return name if _WORD.fullmatch(name) else f"an unknown {kind}"
