"""What is wrong with the settings, said so that it can be put right."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from miauflixd.config.leaves import LEAVES, KeyPath, Leaf, described, dotted, to_toml


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a value comes from."""

    place: str
    """A file, an environment variable or a credential."""
    line: int | None = None

    def __str__(self) -> str:
        # A name may hold the end of a line; a mistake has one line.
        place = self.place if self.place.isprintable() else ascii(self.place)
        return place if self.line is None else f"{place}:{self.line}"


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One thing that is wrong."""

    origin: Origin
    subject: str = ""
    """The dotted path of the setting, when it is about one."""
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        parts = (str(self.origin), self.subject, self.problem)
        return ": ".join(filter(None, parts)) + (f" ({self.hint})" if self.hint else "")


def unknown_key(path: KeyPath, value: object, origin: Origin) -> Mistake:
    """Return the mistake of a key that names no setting and no table."""
    above, name = path[:-1], path[-1]
    siblings = sorted({known[len(above)] for known in LEAVES if known[: len(above)] == above})
    elsewhere = [known for known in LEAVES if known[-1] == name]
    if near := get_close_matches(name, siblings, n=1):
        hint = f"did you mean {dotted((*above, *near))}?"
    elif elsewhere:
        hint = f"did you mean {dotted(elsewhere[0])}?"
    else:
        hint = f"known here: {', '.join(siblings)}"
    kind = "table" if isinstance(value, dict) else "setting"
    return Mistake(
        origin=origin, subject=dotted(path), problem=f"there is no such {kind}", hint=hint
    )


def unknown_name(name: str, known: Iterable[str], origin: Origin) -> Mistake:
    """Return the mistake of an environment variable or credential that names no setting."""
    known = sorted(known)
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    return Mistake(origin=origin, problem="there is no such setting", hint=hint)


def not_a_credential(path: KeyPath, known: Iterable[str], origin: Origin) -> Mistake:
    """Return the mistake of a credential that is named like a setting and is no secret one."""
    if path not in LEAVES:
        return unknown_name(dotted(path), known, origin)
    return Mistake(
        origin=origin,
        problem="is no secret, and credentials are for secrets only",
        hint="set it in the file or in the environment",
    )


def not_a_table(path: KeyPath, value: object, origin: Origin) -> Mistake:
    """Return the mistake of a single value where a table belongs."""
    return Mistake(
        origin=origin,
        subject=dotted(path),
        problem=f"is {described(value, hidden=True)}, but should be a table",
        hint=f"its settings stand below a line [{dotted(path)}]",
    )


def refused(leaf: Leaf, value: object, origin: Origin, *, written_as: str | None = None) -> Mistake:
    """Return the mistake of a value that its setting does not accept.

    `written_as` is how the setting is named where it was set, when that is not TOML.
    """
    near = get_close_matches(value, map(str, leaf.choices), n=1) if isinstance(value, str) else []
    if near:
        hint = f"did you mean {to_toml(near[0])}?"
    elif leaf.default is None:
        hint = ""
    elif written_as is None:
        hint = f"for example: {leaf.path[-1]} = {to_toml(leaf.default)}"
    else:
        hint = f"for example: {written_as}={as_variable(leaf.default)}"
    return Mistake(
        origin=origin,
        subject=dotted(leaf.path),
        problem=f"is {described(value, hidden=leaf.is_secret)}, but should be {leaf.expected}",
        hint=hint,
    )


def as_variable(value: object) -> str:
    """Return a setting's value as it is written in an environment variable."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return to_toml(value).strip('"')


def not_toml(error: ValueError | RecursionError, place: str) -> Mistake:
    """Return the mistake of a file that tomllib cannot read."""
    if isinstance(error, RecursionError):
        return Mistake(origin=Origin(place=place), problem="is nested too deeply")
    # "Invalid value (at line 3, column 5)", or "(at end of document)".
    what, _, where = str(error).rstrip(")").rpartition(" (at ")
    line, _, column = where.removeprefix("line ").partition(", column ")
    if not (line.isdecimal() and column.isdecimal()):
        return Mistake(origin=Origin(place=place), problem=f"is not valid TOML: {error}")
    return Mistake(
        origin=Origin(place=place, line=int(line)),
        problem=f"is not valid TOML at column {column}: {what}",
        hint='text stands in quotes: name = "value"' if what == "Invalid value" else "",
    )


def not_readable(error: OSError, place: str) -> Mistake:
    """Return the mistake of a file that cannot be opened or read."""
    match error:
        case FileNotFoundError():
            problem = "there is no such file"
        case IsADirectoryError():
            problem = "is a directory, but should be a file"
        case NotADirectoryError():
            problem = "is no directory, or lies in something that is none"
        case PermissionError():
            problem = "may not be read by this user"
        case _:
            problem = f"cannot be read: {error.strerror or error}"
    return Mistake(origin=Origin(place=place), problem=problem)


def not_utf8(error: UnicodeDecodeError, place: str) -> Mistake:
    """Return the mistake of a file that holds something else than UTF-8."""
    line = error.object.count(b"\n", 0, error.start) + 1
    return Mistake(
        origin=Origin(place=place, line=line),
        problem="is not UTF-8 text",
        hint="save it with the encoding UTF-8",
    )
