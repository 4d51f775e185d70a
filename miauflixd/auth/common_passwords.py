"""Which passwords everybody tries first.

Lists of the most common passwords are mostly a few hundred words, each in many dresses: `dragon1`,
`Dragon123!`, `dr4g0n2019`. So a password is undressed first, and what is left is looked up in
`common_passwords.txt`. What was never a word is known by its pattern.
"""

import re
from collections.abc import Collection, Iterator
from functools import cache
from importlib.resources import files

_SPOKEN = str.maketrans("@4831!05$7€", "aabeliosste")
"""What a digit or sign stands for when it is written in place of a letter."""

_LINES = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    # Keyboards: English, German and French, along the rows ...
    *("qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm"),
    *("azertyuiop", "qsdfghjklm", "wxcvbn"),
    # ... and down the columns.
    *("1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "qazwsxedcrfvtgbyhnujmikolp", "qweasdzxc"),
    *("1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0", "qawsedrftgyhujikolp", "!@#$%^&*()"),
    "a1b2c3d4e5f6g7h8i9j0",
)
"""What a finger or a mind runs along, in either direction."""

_SHORTEST_RUN = 3
_MOST_RUNS = 3
"""`qwer1234!` is two runs and a sign; more than three pieces is somebody's own idea."""

_MOST_DIGITS = 11
"""Digits of a number that is refused: dates and telephone numbers are no longer."""

_FEW_CHARACTERS = 3
"""Different characters of `abababab` or `112112112`."""

_SHORTEST_NAME = 3
"""Characters of a name that is looked for; `Al` would be found in too much."""


def is_common(password: str, *, names: Collection[str] = ()) -> bool:
    """Return whether this would be among the first guesses.

    Args:
        password: of any length.
        names: what is known of its owner, such as their name and e-mail address.
    """
    text = password.casefold()
    plain = re.sub(r"[\W_]", "", text)
    return (
        len(set(text)) <= _FEW_CHARACTERS
        or (plain.isdecimal() and len(plain) <= _MOST_DIGITS)
        or _runs(text) <= _MOST_RUNS
        or any(_is_word(core, names) for core in _undressed(text))
    )


def _undressed(text: str) -> Iterator[str]:
    """Give what the password may have been before it was made to look like one."""
    # A sign at the end is an ornament or a letter: `p@ssword!` has one of each.
    shorter = re.sub(r"[\W\d_]+$", "", text)
    for core in (text, shorter, re.sub(r"^[\W\d_]+", "", shorter)):
        for spoken in (core, core.translate(_SPOKEN)):
            once = re.sub(r"^(.+?)\1+$", r"\1", spoken)
            yield re.sub(r"[\W_]", "", once)


def _is_word(core: str, names: Collection[str]) -> bool:
    for name in sorted(_parts(names), key=len, reverse=True):
        core = core.replace(name, "")
    # Nothing but names, or a word, or both.
    core = core.strip("0123456789")
    return not core or core in _words()


def _parts(names: Collection[str]) -> set[str]:
    parts = set()
    for name in names:
        words = re.split(r"[\W\d_]+", name.casefold())
        parts |= {"".join(words), *words}
    return {part for part in parts if len(part) >= _SHORTEST_NAME}


def _runs(text: str) -> int:
    """Return of how few pieces this consists: runs along a line, or else single characters."""
    pieces = place = 0
    while place < len(text):
        place += max(_run_at(text, place), 1)
        pieces += 1
        if pieces > _MOST_RUNS:
            break
    return pieces


def _run_at(text: str, start: int) -> int:
    """Return how many characters from here on run along a line, 0 if too few."""
    length = _SHORTEST_RUN
    if start + length > len(text) or not _is_run(text[start : start + length]):
        return 0
    while start + length < len(text) and _is_run(text[start : start + length + 1]):
        length += 1
    return length


def _is_run(piece: str) -> bool:
    return len(set(piece)) == 1 or any(piece in line or piece[::-1] in line for line in _LINES)


@cache
def _words() -> frozenset[str]:
    text = files("miauflixd.auth").joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(text.split())
