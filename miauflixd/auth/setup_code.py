"""The code that opens the first account: whoever can read this machine's log is its owner."""

import asyncio
import hashlib
import hmac
import logging
import secrets

from miauflixd.auth.model import AlreadySetUpError
from miauflixd.auth.user_store import UserStore

_log = logging.getLogger(__name__)

_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ"
"""No I, L and O, which look like others; no digits, so that there are none to take them for."""

_GROUPS = 4
_GROUP = 4
"""23 to the power of 16 is 72 bits: nobody guesses it, lockout or not, and a plain digest of it is
as good as one of Argon2."""


class SetupCode:
    """Makes the code and shows it; the database keeps a digest only."""

    def __init__(self, *, store: UserStore) -> None:
        self._store = store
        self._code: str | None = None
        self._making = asyncio.Lock()

    async def current(self) -> str:
        """Return the code.

        One that this process has not made itself is not known, and is replaced.

        Raises:
            AlreadySetUpError: there are users.
        """
        # Of two who ask at once, neither must be shown a code that the other's replaces.
        async with self._making:
            if self._code is None or not await self._is_good(self._code):
                code = _new()
                await self._store.save_setup_digest(digest_of(code))
                self._code = code
            return self._code

    async def announce(self) -> None:
        """Write the code into the log, once: not again at the next start."""
        if not await self._store.is_empty():
            return
        if await self._store.setup_digest() is not None:
            _log.warning(
                "Nobody has an account yet. The setup code was written here when it was made; "
                "`miauflixd setup` shows another"
            )
            return
        try:
            code = await self.current()
        except AlreadySetUpError:  # a command line was faster
            return
        _log.warning("Nobody has an account yet. The code to set one up with is %s", code)

    async def _is_good(self, code: str) -> bool:
        digest = await self._store.setup_digest()
        return (
            digest is not None
            and hmac.compare_digest(digest, digest_of(code))
            and await self._store.is_empty()
        )


def digest_of(code: str) -> bytes:
    """Return what is kept of a code, however it was typed: in small letters, without the dashes."""
    letters = "".join(character for character in code.upper() if character in _LETTERS)
    return hashlib.sha256(letters.encode()).digest()


def _new() -> str:
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)
