"""Each single setting: its place, what it accepts, and how that is said in plain words."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct, inspect

from miauflixd.config.settings import Config
from miauflixd.runtime.secrets import Secret

KeyPath = tuple[str, ...]
"""Keys from the top of the file down: `("web", "port")`."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

_LONGEST_SHOWN = 60
"""Characters of somebody's input to repeat to them; a wrong value may be a whole pasted file."""

_INTEGERS = range(-(2**63), 2**63)
"""What TOML calls an integer; tomllib itself reads larger ones."""


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """One setting."""

    path: KeyPath
    type: Any
    """As annotated in the struct that owns it."""
    default: object

    @property
    def is_secret(self) -> bool:
        """Whether its value is never shown."""
        return _plain(self.type) == inspect.CustomType(Secret)

    @property
    def is_optional(self) -> bool:
        """Whether it may be left without any value."""
        return isinstance(inspect.type_info(self.type), inspect.UnionType)

    @property
    def is_list(self) -> bool:
        """Whether it takes several values."""
        return isinstance(_plain(self.type), inspect.ListType | inspect.VarTupleType)

    @property
    def expected(self) -> str:
        """What it accepts, to be read after "should be"."""
        return _expected(inspect.type_info(self.type))

    @property
    def choices(self) -> tuple[object, ...]:
        """The values it can have, when they can be listed."""
        plain = _plain(self.type)
        return plain.values if isinstance(plain, inspect.LiteralType) else ()

    def read(self, value: object, *, as_text: bool = False) -> object:
        """Return the setting's value from one that was decoded from TOML.

        With `as_text`, numbers and truths may be written as text, as they are in the environment.

        Raises:
            ValueError: the setting does not accept it.
        """
        result = msgspec.convert(value, self.type, strict=not as_text, dec_hook=_from_text)
        if isinstance(result, int) and result not in _INTEGERS:
            raise ValueError("larger than 64 bits")
        return result


def _leaves(struct: type[Struct], above: KeyPath = ()) -> Iterator[Leaf]:
    for field in msgspec.structs.fields(struct):
        path = (*above, field.name)
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            yield from _leaves(field.type, path)
        else:
            default = field.default
            if field.default_factory is not NODEFAULT:
                default = field.default_factory()
            yield Leaf(path=path, type=field.type, default=default)


LEAVES: Mapping[KeyPath, Leaf] = {leaf.path: leaf for leaf in _leaves(Config)}
"""All there is to set, in the order of the structs."""

TABLES = frozenset(path[:depth] for path in LEAVES for depth in range(1, len(path)))
"""The paths that are tables."""


def to_toml(value: object) -> str:
    """Return a setting's value as TOML."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case list() | tuple():
            return f"[{', '.join(map(to_toml, value))}]"
        case _:
            # TOML reads what JSON escapes; JSON leaves more bare than TOML or a terminal likes.
            return "".join(map(_escaped, json.dumps(str(value), ensure_ascii=False)))


def dotted(path: KeyPath) -> str:
    """Return a path as TOML writes it: `web.port`, quoted where need be, and never endless."""
    return _shortened(".".join(key if _BARE_KEY.fullmatch(key) else to_toml(key) for key in path))


def described(value: object, *, hidden: bool = False) -> str:
    """Return what somebody has written, to be read after "is"; of a hidden one only its kind."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case bool():
            kind = "true or false"
        case int() | float():
            kind = "a number"
        case date() | time() | datetime():
            kind = "a date or time"
        case _:
            kind = "text"
    if hidden or kind == "a date or time":
        return kind
    try:
        return _shortened(to_toml(value))
    except ValueError:  # Python refuses to write out a number of thousands of digits
        return "an enormous number"


def _escaped(character: str) -> str:
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def _plain(annotation: Any) -> inspect.Type:
    """Return a type without what stands around it: notes for people, `None` for not set."""
    info = inspect.type_info(annotation)
    while True:
        match info:
            case inspect.Metadata(type=inner):
                info = inner
            case inspect.UnionType(types=types):
                info = next(kind for kind in types if not isinstance(kind, inspect.NoneType))
            case _:
                return info


def _from_text(kind: type, value: object) -> object:
    """Build what msgspec does not know by itself."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not text")
    if kind is Path:
        # Relative to what? systemd starts us in /, a person anywhere.
        if not value.startswith("/"):
            raise ValueError("not absolute")
        return Path(value)
    if not value.strip():
        raise ValueError("empty")
    return Secret(value)


def _expected(info: inspect.Type) -> str:  # noqa: C901 - a table, a line for each kind
    match info:
        case inspect.Metadata(extra_json_schema={"description": str(words)}):
            pass  # it says better than its pattern does
        case inspect.Metadata(type=inner):
            words = _expected(inner)
        case inspect.UnionType(types=types):
            words = _expected(next(t for t in types if not isinstance(t, inspect.NoneType)))
        case inspect.BoolType():
            words = "true or false"
        case inspect.IntType():
            words = f"a whole number{_limits(info, most=_INTEGERS.stop - 1)}"
        case inspect.FloatType():
            words = f"a number{_limits(info)}"
        case inspect.LiteralType(values=values):
            words = " or ".join(map(to_toml, values))
        case inspect.ListType(item_type=inner) | inspect.VarTupleType(item_type=inner):
            words = f"a list, each item {_expected(inner)}"
        case inspect.CustomType(cls=cls) if cls is Path:
            words = 'an absolute path, such as "/srv/miauflixd"'
        case inspect.CustomType(cls=cls) if cls is Secret:
            words = "text, not empty"
        case _:
            words = "text"
    return words


def _limits(info: inspect.IntType | inspect.FloatType, *, most: int | None = None) -> str:
    upper = info.le if info.lt is None and info.le is not None else most
    if info.ge is not None and upper is not None:
        return f" from {info.ge} to {upper}"
    limits = (
        ("at least", info.ge),
        ("above", info.gt),
        ("at most", upper),
        ("below", info.lt),
    )
    words = " and ".join(f"{words} {limit}" for words, limit in limits if limit is not None)
    return f", {words}" if words else ""
