"""On which line of a TOML text a key stands, which tomllib does not tell.

The text has been accepted by tomllib before, so this needs only to tell keys from values: it walks
over the tokens, and what stands at the start of a statement is a key.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping

from miauflixd.config.leaves import KeyPath

_TOKEN = re.compile(
    r'''
      """ (?: \\. | [^\\] )*? "{3,5}    # a text over several lines may end in two quotes of its own
    | \'\'\' .*? '{3,5}
    | " (?: \\. | [^"\\\n] )* "
    | ' [^'\n]* '
    | \# [^\n]*
    | [A-Za-z0-9_-]+ | [ \t\r]+
    | .                                 # a bracket, an equals sign, the end of a line
    ''',
    re.VERBOSE | re.DOTALL,
)


_DEEPEST = 4
"""Keys of a path to keep: settings lie two deep, and a dotted key may have a million parts."""


def lines_of(text: str) -> Mapping[KeyPath, int]:
    """Return the line, counted from 1, of every table and key, and of what a dotted key implies.

    The keys inside an inline table or a list are not in it: there, the line of the outer key is the
    answer. Of several tables of the same name (`[[name]]`) the first one counts.
    """
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, is_header, written in _keys(text):
        path = (written if is_header else (*table, *written))[:_DEEPEST]
        if is_header:
            table = path
        for depth in range(1, len(path) + 1):
            found.setdefault(path[:depth], line)
    return found


def _keys(text: str) -> Iterator[tuple[int, bool, KeyPath]]:
    """Yield each statement's line, whether it is a table's header, and its key."""
    line = 1
    key = ""
    depth = 0  # of the brackets that are open in a value
    in_key = True
    for match in _TOKEN.finditer(text):
        part = match[0]
        if in_key:
            if part == "=":
                yield line, False, _decoded(key)
                key, in_key = "", False
            elif part == "]" and key.startswith("["):
                yield line, True, _decoded(key.lstrip("["))
                key, in_key = "", False
            elif not part.isspace() and not part.startswith("#"):
                key += part
        elif part in ("[", "{"):
            depth += 1
        elif part in ("]", "}"):
            # The second bracket of `]]` closes what was never counted.
            depth = max(depth - 1, 0)
        elif part == "\n" and depth == 0:
            in_key = True
        line += part.count("\n")


def _decoded(key: str) -> KeyPath:
    """Return the parts of a dotted key, by asking tomllib."""
    path = []
    value: object = tomllib.loads(f"{key} = 0")
    while isinstance(value, dict):
        ((part, value),) = value.items()
        path.append(part)
    return tuple(path)
