"""What commands have in common: an answer shown, a question asked, a secret read."""

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from typing import Any

from miauflixd.errors import InvalidInputError

_SECRET_LIMIT = 4096
"""Characters of a secret on standard input; a real one has 64."""


def show(parsed: argparse.Namespace, answer: Any, text: Callable[[Any], str]) -> None:
    """Print an answer: as words, or with `--json` as it came."""
    if parsed.json:
        print(json.dumps(answer, indent=2))
        return
    # Names came from files, providers and people: none may write to the terminal what it likes.
    print("".join(char if char.isprintable() or char == "\n" else "?" for char in text(answer)))


def say(text: str) -> None:
    """Print a sentence of ours."""
    print(text)


def agreed(question: str) -> bool:
    """Return whether somebody says yes.

    Raises:
        InvalidInputError: nobody is there to ask.
    """
    if not sys.stdin.isatty():
        raise InvalidInputError("Nobody is there to ask; say --yes to do it without a question")
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def secret(prompt: str) -> str:
    """Return what somebody types unseen, or what stands on standard input.

    Never an argument: those are visible to everybody on the machine.
    """
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.read(_SECRET_LIMIT).strip()


def new_password(prompt: str) -> str:
    """Return a new password: typed twice, or the first line of standard input.

    Raises:
        InvalidInputError: the two are not the same.
    """
    if not sys.stdin.isatty():
        # Spaces belong to a password, the end of the line does not.
        return sys.stdin.readline(_SECRET_LIMIT).rstrip("\r\n")
    first = getpass.getpass(f"{prompt}: ")
    if first != getpass.getpass(f"{prompt}, once more: "):
        raise InvalidInputError("These are two different passwords")
    return first
