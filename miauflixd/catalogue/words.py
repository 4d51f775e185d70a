"""Words as they are compared and searched for, in any writing. No I/O.

Both what is indexed and what is looked for pass through here, so that the two meet: without case,
accents and punctuation, and with a blank between any two characters of Chinese and Japanese, which
are written without. SQLite's own tokenizer then has nothing left to decide.
"""

import re
import unicodedata
from collections.abc import Iterable

_LONGEST = 200
"""Characters that are looked at of what somebody searches for: the longest title has 250."""

_MOST = 12
"""Words that are looked for: more do not narrow it down, and each costs."""

# Letters with a stroke or joined ones, which Unicode does not take apart, as people type them.
_LETTERS = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "\u0131": "i",
        "ħ": "h",
    }
)
_AND = str.maketrans({"&": " and "})

# Within a word these are left out by some and written by others: Spider-Man, WALL·E, S.W.A.T.
_JOINED = re.compile(r"\w+(?:[-‐‑·.'’ʼ]\w+)+")  # noqa: RUF001 -- the apostrophes that are meant
_NOT_A_LETTER = re.compile(r"[\W_]+")
# Kana, ideographs and their extensions.
_UNSPACED = re.compile(r"([\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff])")


def folded(text: str) -> str:
    """Return a text as words in lower case, parted by one blank, without accents and punctuation.

    Idempotent. Empty when there is no letter and no digit.
    """
    if text.isascii():
        plain = text.lower()
    else:
        # Taken apart, the accents dropped; folded (which may bring forth new ones), and again.
        plain = _unmarked(_unmarked(text).casefold()).translate(_LETTERS)
    plain = _NOT_A_LETTER.sub(" ", plain.translate(_AND))
    if not plain.isascii():
        plain = _UNSPACED.sub(r" \1 ", plain)
    return " ".join(plain.split())


def indexed(titles: Iterable[str]) -> str:
    """Return what to index for these titles: their words, and those joined that may be."""
    lines: dict[str, None] = {}
    for title in titles:
        lines[folded(title)] = None
        for joined in _JOINED.findall(title):
            lines[folded(_NOT_A_LETTER.sub("", joined))] = None
    return "\n".join(line for line in lines if line)


def matching(text: str) -> str | None:
    """Return an expression for FTS5 that matches what has all of these words, the last as a prefix.

    Nothing in it is FTS5's syntax but what stands here. `None`: there is nothing to look for.
    """
    phrases = [phrase for word in text[:_LONGEST].split() if (phrase := folded(word))][:_MOST]
    if not phrases:
        return None
    # What was one word stays together: `wall-e` is "wall e", and one of Chinese is any part of it.
    return " AND ".join(f'"{phrase}"' for phrase in phrases) + "*"


def _unmarked(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in apart if unicodedata.category(letter)[0] != "M")
