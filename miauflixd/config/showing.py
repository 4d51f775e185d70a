"""The settings as they are in force, as a file that could be put in their place."""

from collections.abc import Mapping
from functools import reduce

from miauflixd.config.leaves import LEAVES, KeyPath, Leaf, dotted, to_toml
from miauflixd.config.mistakes import Origin
from miauflixd.config.settings import Config
from miauflixd.runtime.secrets import Secret

_NOWHERE: Mapping[KeyPath, Origin] = {}


def describe(config: Config, origins: Mapping[KeyPath, Origin] = _NOWHERE) -> str:
    """Return all settings as TOML, and behind each that is no default where it comes from.

    What is not set, and what is secret, is a comment.
    """
    lines: list[str] = []
    table: KeyPath = ()
    for path, leaf in LEAVES.items():
        if path[:-1] != table:
            table = path[:-1]
            lines += ["", f"[{dotted(table)}]"]
        lines.append(_line(leaf, reduce(getattr, path, config), origins.get(path)))
    return "\n".join(lines[1:]) + "\n"


def _line(leaf: Leaf, value: object, origin: Origin | None) -> str:
    name = leaf.path[-1]
    if value is None:
        text = f"# {name} is not set"
    elif isinstance(value, Secret):
        text = f"# {name} is set, and hidden"
    else:
        text = f"{name} = {to_toml(value)}"
    if value == leaf.default or origin is None:
        return text
    return f"{text}  # {origin}" if not text.startswith("#") else f"{text} ({origin})"
