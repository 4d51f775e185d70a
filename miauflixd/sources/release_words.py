"""Words that describe a release, found in its name. No I/O."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from miauflixd.sources.release_languages import LANGUAGES
from miauflixd.sources.release_vocabulary import TECHNICAL, Meaning, Trust

_SEPARATOR = r"[ ._-]?"
_STARTS = r"(?<![^\W_])(?=[^\W_])"
_ENDS = r"(?![^\W_])"
_ENDS_OR_DIGITS = r"(?:x\d)?(?![^\W\d_])"
"""After an audio codec: `AAC2.0`, `FLACx2`."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word that was found, and where."""

    start: int
    end: int
    text: str
    fields: tuple[str, ...]
    value: object
    trust: Trust


def find(text: str) -> Iterator[Word]:
    """Yield the words of a text that mean something, in order, whether to be believed or not."""
    pattern, meanings = _compiled()
    for match in pattern.finditer(text):
        meaning, fields = meanings[(match.lastindex or 1) - 1]
        yield Word(match.start(), match.end(), match[0], fields, meaning.value, meaning.trust)


@cache
def _compiled() -> tuple[re.Pattern[str], tuple[tuple[Meaning, tuple[str, ...]], ...]]:
    """Return a pattern with a group for every word, and what each group means.

    One pattern, because what is looked for word by word would be looked for 250 times. Compiled
    when it is first needed, for it takes longer than most commands.
    """
    vocabulary = (*TECHNICAL, *LANGUAGES)
    groups = [
        f"((?{'-i' if meaning.trust is Trust.CAPITALS else ''}:{_spelt(meaning.pattern)})"
        f"{_ENDS_OR_DIGITS if meaning.fields.startswith('audio') else _ENDS})"
        for meaning in vocabulary
    ]
    pattern = re.compile(f"{_STARTS}(?:{'|'.join(groups)})", re.IGNORECASE)
    return pattern, tuple((meaning, tuple(meaning.fields.split("+"))) for meaning in vocabulary)


def _spelt(pattern: str) -> str:
    return pattern.replace("~", _SEPARATOR)
