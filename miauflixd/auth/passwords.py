"""Passwords: which are taken, and how they are kept (docs/decisions/0012-passwords.md)."""

import asyncio
import logging
import os
import secrets
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self, TypeVar

import argon2

from miauflixd.auth.common_passwords import is_common
from miauflixd.auth.model import PasswordRejectedError
from miauflixd.errors import RateLimitedError

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

SHORTEST = 8
"""Characters, as NIST SP 800-63B has it; the lockout is what makes eight enough."""

LONGEST = 1024
"""Characters; Argon2 would take more, but nobody types it."""

_THREADS = 2
"""At once. Each takes 64 MiB and one core of the four of a Raspberry Pi, which plays films too."""

_WAITING = 16
"""More than a household ever has; the last of them waits some seconds on a Raspberry Pi."""

_NICENESS = 10
"""A film goes before a sign-in, and far before a thousand of somebody who guesses."""

_SALT_SIZE = 16
_TAG_SIZE = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What one guess costs."""

    memory: int = 64 * 2**10
    """KiB."""
    passes: int = 3
    lanes: int = 1


def prepared(password: str) -> str | None:
    """Return a password as it is hashed, or nothing when nobody's can look like that.

    RFC 8265 (OpaqueString): what looks the same is the same, whichever way a keyboard spells it.
    Upper and lower case stay different, and spaces stay where they are.
    """
    if len(password) > LONGEST:
        return None
    spaces = "".join(" " if unicodedata.category(c) == "Zs" else c for c in password)
    text = unicodedata.normalize("NFC", spaces)
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        return None
    return text


def require_good(password: str, *, names: Collection[str] = ()) -> str:
    """Return a new password as it is hashed.

    Args:
        password: as it was typed.
        names: what is known of its owner, such as their name and e-mail address.

    Raises:
        PasswordRejectedError: it is too short, too long or too easily guessed.
    """
    if len(password) > LONGEST:
        raise PasswordRejectedError(f"A password has {LONGEST} characters at most")
    text = prepared(password)
    if text is None:
        raise PasswordRejectedError("A password has no control characters")
    if len(text) < SHORTEST:
        raise PasswordRejectedError(f"A password has {SHORTEST} characters at least")
    if is_common(text, names=names):
        raise PasswordRejectedError(
            "This password is among the first that somebody would try. Three or four words that "
            "have nothing to do with each other are easy to remember and hard to guess"
        )
    return text


class Passwords:
    """Hashes and verifies, in threads of its own, a few at a time."""

    def __init__(self, *, cost: Cost, threads: ThreadPoolExecutor) -> None:
        self._hasher = argon2.PasswordHasher(
            time_cost=cost.passes,
            memory_cost=cost.memory,
            parallelism=cost.lanes,
            hash_len=_TAG_SIZE,
            salt_len=_SALT_SIZE,
        )
        self._nobodys = _hash_of_nothing(cost)
        self._threads = threads
        self._places = threading.BoundedSemaphore(_THREADS + _WAITING)

    @classmethod
    @contextmanager
    def open(cls, cost: Cost | None = None) -> Iterator[Self]:
        """Have the threads for the length of the block."""
        threads = ThreadPoolExecutor(_THREADS, "passwords", initializer=_be_nice)
        try:
            yield cls(cost=cost or Cost(), threads=threads)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, text: str) -> str:
        """Return the hash of what `require_good` gave.

        Raises:
            RateLimitedError: too many others are waiting.
        """
        return await self._run(lambda: self._hasher.hash(text))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Return whether this is the password of this hash.

        Without a hash, for somebody who does not exist, it takes as long and is `False`.

        Raises:
            RateLimitedError: too many others are waiting.
        """
        text = prepared(password)
        # What nobody's password can look like costs the same too.
        against = self._nobodys if hashed is None or text is None else hashed
        return await self._run(lambda: self._matches(against, text or ""))

    def is_outdated(self, hashed: str) -> bool:
        """Return whether a hash was made at another cost than today's."""
        return self._hasher.check_needs_rehash(hashed)

    def _matches(self, hashed: str, text: str) -> bool:
        try:
            return self._hasher.verify(hashed, text)
        except argon2.exceptions.VerifyMismatchError:
            return False
        except (argon2.exceptions.InvalidHashError, argon2.exceptions.VerificationError):
            _log.exception("A password cannot be verified: its hash in the database is damaged")
            return False

    async def _run(self, work: Callable[[], _T]) -> _T:
        if not self._places.acquire(blocking=False):
            raise RateLimitedError("Too many people are signing in at once", retry_after=2)
        # Freed by the work and not by who waits for it: who went away has still asked for it.
        future = self._threads.submit(work)
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, _future: Future[_T]) -> None:
        self._places.release()


def _hash_of_nothing(cost: Cost) -> str:
    """Return a hash that no password has, at the same cost to verify as any other."""
    salt, tag = (
        b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (_SALT_SIZE, _TAG_SIZE)
    )
    return f"$argon2id$v=19$m={cost.memory},t={cost.passes},p={cost.lanes}${salt}${tag}"


def _be_nice() -> None:
    # Linux has a niceness for each thread, whatever POSIX says of processes: sched(7).
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
