"""`miauflixd sources`: what can be asked about sources without a daemon."""

import json
import sys
from collections.abc import Iterable, Sequence

from miauflixd.sources.release_names import parse


def print_parsed(names: Sequence[str]) -> int:
    """Print what the names of releases say, as JSON, one object a line.

    Args:
        names: none: those on standard input, one a line.
    """
    for name in names or _lines():
        # What is no text is not repeated, for no reader of JSON would have it.
        said = {"name": name.encode(errors="replace").decode()} | dict(parse(name).to_mapping())
        # In ASCII: whatever a stranger wrote, it does nothing to a terminal.
        print(json.dumps(said), flush=not names)
    return 0


def _lines() -> Iterable[str]:
    for line in sys.stdin.buffer:
        if name := line.decode(errors="replace").rstrip("\r\n"):
            yield name
