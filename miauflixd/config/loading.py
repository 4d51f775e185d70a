"""Reading the settings: files, the environment, systemd's credentials; the later one wins.

Nothing stops at the first mistake: whoever puts the settings right wants to know all of them. A
value that a later source replaces is checked like any other.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from miauflixd.config import mistakes
from miauflixd.config.leaves import LEAVES, TABLES, KeyPath, Leaf, dotted
from miauflixd.config.mistakes import Mistake, Origin
from miauflixd.config.settings import Config
from miauflixd.config.toml_lines import lines_of
from miauflixd.errors import SettingsError

DEFAULT_FILE = Path("/etc/miauflixd/miauflixd.toml")

_PREFIX = "MIAUFLIX_"

_VARIABLES: Mapping[str, Leaf] = {
    _PREFIX + "_".join(path).upper(): leaf for path, leaf in LEAVES.items()
}

_LARGEST = 2**20
"""Bytes of a file at most. A real one has thousands; /dev/zero has no end."""

AnyStruct = TypeVar("AnyStruct", bound=msgspec.Struct)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The settings, and where they come from."""

    config: Config
    origins: Mapping[KeyPath, Origin]
    """Of each setting that was set anywhere."""
    sources: tuple[str, ...]
    """The files, variables and credentials that were read, in that order."""


def load(file: Path | None, environment: Mapping[str, str]) -> Loaded:
    """Read the settings.

    Args:
        file: the main file; `None` for the usual one, which may be missing. Files named `*.toml` in
            `conf.d` beside it are read after it, in the order of their names.
        environment: where `MIAUFLIX_<TABLE>_<FIELD>` and `CREDENTIALS_DIRECTORY` are looked up.

    Raises:
        SettingsError: they cannot be used; the message has one line for each mistake.
    """
    reader = _Reader()
    main = DEFAULT_FILE if file is None else file
    reader.file(main, may_be_missing=file is None)
    reader.directory(main.parent / "conf.d")
    reader.environment(environment)
    if credentials := environment.get("CREDENTIALS_DIRECTORY"):
        reader.credentials(Path(credentials))
    return reader.result()


class _Reader:
    """Collects what the sources say, and what is wrong with it."""

    def __init__(self) -> None:
        self._values: dict[KeyPath, object] = {}
        self._origins: dict[KeyPath, Origin] = {}
        self._sources: list[str] = []
        self._mistakes: list[Mistake] = []

    def file(self, path: Path, *, may_be_missing: bool = False) -> None:
        text = self._text(path, str(path), may_be_missing=may_be_missing)
        if text is None:
            return
        try:
            table = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            # Not only TOMLDecodeError: int() refuses numbers of more than 4300 digits.
            self._mistakes.append(mistakes.not_toml(error, str(path)))
            return
        self._table(table, (), str(path), lines_of(text))
        self._sources.append(str(path))

    def directory(self, path: Path) -> None:
        # A name that starts with a dot is an editor's.
        for name in self._names(path):
            if name.endswith(".toml") and not name.startswith("."):
                self.file(path / name)

    def environment(self, environment: Mapping[str, str]) -> None:
        for name in sorted(environment):
            if not name.startswith(_PREFIX):
                continue
            origin = Origin(place=name)
            leaf = _VARIABLES.get(name)
            if leaf is None:
                self._mistakes.append(mistakes.unknown_name(name, _VARIABLES, origin))
                continue
            self._variable(leaf, environment[name], origin)
            self._sources.append(name)

    def credentials(self, directory: Path) -> None:
        known = [dotted(path) for path, leaf in LEAVES.items() if leaf.is_secret]
        for name in self._names(directory):
            path = tuple(name.split("."))
            if path[:-1] not in TABLES:
                continue  # systemd hands over more than ours
            origin = Origin(place=f"credential {name}")
            if name not in known:
                self._mistakes.append(mistakes.not_a_credential(path, known, origin))
                continue
            text = self._text(directory / name, origin.place)
            if text is not None:
                # An editor or `echo` has put the end of the line there.
                text = text.removesuffix("\n").removesuffix("\r")
                self._value(LEAVES[path], text, origin, written_as=name)
                self._sources.append(origin.place)

    def result(self) -> Loaded:
        if self._mistakes:
            raise SettingsError("\n".join(map(str, self._mistakes)))
        return Loaded(
            config=_built(Config, (), self._values),
            origins=self._origins,
            sources=tuple(self._sources),
        )

    def _table(
        self,
        table: Mapping[str, object],
        above: KeyPath,
        place: str,
        lines: Mapping[KeyPath, int],
    ) -> None:
        for key, value in table.items():
            path = (*above, key)
            # What stands in an inline table has the line of the table.
            origin = Origin(place=place, line=lines.get(path, lines.get(above)))
            if path in LEAVES:
                self._value(LEAVES[path], value, origin)
            elif path not in TABLES:
                self._mistakes.append(mistakes.unknown_key(path, value, origin))
            elif isinstance(value, dict):
                self._table(value, path, place, lines)
            else:
                self._mistakes.append(mistakes.not_a_table(path, value, origin))

    def _variable(self, leaf: Leaf, text: str, origin: Origin) -> None:
        value: object = text
        try:
            text.encode()
        except UnicodeEncodeError:  # Python smuggles bytes that are not UTF-8 through as surrogates
            self._mistakes.append(
                Mistake(origin=origin, subject=dotted(leaf.path), problem="is not UTF-8 text")
            )
            return
        if not text and leaf.is_optional and not leaf.is_secret:
            # The only way in the environment to take back what a file has set. Not for a secret: an
            # empty one is a slip, and going on without it would mean to make up another.
            value = None
        elif leaf.is_list:
            value = _list(text)
        self._value(leaf, value, origin, written_as=origin.place, as_text=True)

    def _value(
        self,
        leaf: Leaf,
        value: object,
        origin: Origin,
        *,
        written_as: str | None = None,
        as_text: bool = False,
    ) -> None:
        try:
            self._values[leaf.path] = leaf.read(value, as_text=as_text)
        except ValueError:
            self._mistakes.append(mistakes.refused(leaf, value, origin, written_as=written_as))
        else:
            self._origins[leaf.path] = origin

    def _text(self, path: Path, place: str, *, may_be_missing: bool = False) -> str | None:
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST + 1)
            if len(content) <= _LARGEST:
                return content.decode("utf-8-sig")  # Windows' editors begin with a mark
            self._mistakes.append(
                Mistake(origin=Origin(place=place), problem="is larger than 1 MiB: the wrong file?")
            )
        except FileNotFoundError as error:
            if not may_be_missing:
                self._mistakes.append(mistakes.not_readable(error, place))
        except OSError as error:
            self._mistakes.append(mistakes.not_readable(error, place))
        except UnicodeDecodeError as error:
            self._mistakes.append(mistakes.not_utf8(error, place))
        return None

    def _names(self, directory: Path) -> list[str]:
        try:
            return sorted(entry.name for entry in directory.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            self._mistakes.append(mistakes.not_readable(error, str(directory)))
            return []


def _list(text: str) -> object:
    """Return the items of a variable: a TOML list, or words between commas."""
    if not text.strip():
        return []
    try:
        match tomllib.loads(f"value = {text}"):
            case {"value": list(items), **rest} if not rest:
                return items
    except (ValueError, RecursionError):
        pass  # `[::]:0` begins like a list and is none
    if '"' in text or "'" in text:
        return text  # meant to be TOML, and is not
    return [item.strip() for item in text.split(",")]


def _built(struct: type[AnyStruct], above: KeyPath, values: Mapping[KeyPath, object]) -> AnyStruct:
    """Return a struct with the values given, and defaults for the rest."""
    given = {}
    for field in msgspec.structs.fields(struct):
        path = (*above, field.name)
        if path in TABLES:
            given[field.name] = _built(field.type, path, values)
        elif path in values:
            given[field.name] = values[path]
    return struct(**given)
