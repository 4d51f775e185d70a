"""Stream keys: what stands in the address of a stream instead of a token.

Players do not send headers, and addresses end up in lists of what was played, so a key opens one
file of one source and nothing else, for six hours after it was last used.

Keys are kept in memory, where a range request finds them without the database, and by their marks
in the database, so that a player goes on after the daemon was started anew. Who is behind a key is
asked of `Viewers` each time: a key is good for as long as its session and its user are, with
nothing to keep in step.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Self

from miauflixd.auth.key_store import KeyStore, StreamKey
from miauflixd.auth.model import InvalidTokenError, UserId, Viewer
from miauflixd.auth.viewers import Viewers
from miauflixd.vault.sealing import Sealer

LIFETIME = timedelta(hours=6)
"""Since it was last used: a long film, with a long break (the contract's number)."""

_PER_USER = 64
"""Keys of one user: some for each of twenty devices. The least recently used goes first."""

_PREFIX = "mfs_"
_FORM = re.compile(rf"{_PREFIX}[\w-]{{32}}", re.ASCII)


class StreamKeys:
    """The keys of the streams that somebody may be watching."""

    def __init__(
        self,
        *,
        store: KeyStore,
        viewers: Viewers,
        sealer: Sealer,
        clock: Callable[[], datetime],
    ) -> None:
        """Begin without keys; `open` reads those that there are."""
        self._store = store
        self._viewers = viewers
        self._sealer = sealer
        self._clock = clock
        # By their marks, in dictionaries of which the first is the least recently used.
        self._keys: dict[bytes, StreamKey] = {}
        self._of_user: dict[UserId, dict[bytes, None]] = {}
        self._used: set[bytes] = set()

    @classmethod
    async def open(
        cls,
        *,
        store: KeyStore,
        viewers: Viewers,
        sealer: Sealer,
        clock: Callable[[], datetime],
    ) -> Self:
        """Return the keys as they were when the daemon ended."""
        keys = cls(store=store, viewers=viewers, sealer=sealer, clock=clock)
        for mark, key in (await store.stream_keys()).items():
            keys._put(mark, key)
        return keys

    async def issue(
        self, viewer: Viewer, *, source_id: str, file: int | None, playback_id: str | None = None
    ) -> str:
        """Return a new key to one file of a source.

        `file` is compared as it is: whoever issues a key for the main file of a source names it
        by its index, or by `None`, and checks it by the same.

        Raises:
            InvalidTokenError: the viewer is no user.
        """
        if viewer.user_id is None:
            raise InvalidTokenError("Only users have streams of their own")
        text = _PREFIX + secrets.token_urlsafe(24)
        mark = self._mark(text)
        key = StreamKey(
            user_id=viewer.user_id,
            session_id=viewer.session_id,
            source_id=source_id,
            file=file,
            playback_id=playback_id,
            expires_at=self._clock() + LIFETIME,
        )
        self._put(mark, key)
        over = list(self._of_user[key.user_id])[:-_PER_USER]
        self._drop(over)
        await self._store.change_stream_keys(written={mark: key}, removed=over)
        return text

    async def check(self, text: str, *, source_id: str, file: int | None) -> Viewer:
        """Return who streams a file with a key, and let it live on from now.

        Raises:
            UnauthenticatedError: this is no key to this file, or not any more.
        """
        mark = self._mark(text) if _FORM.fullmatch(text) else b""
        key = self._keys.get(mark)
        now = self._clock()
        if key is None or key.expires_at <= now or (key.source_id, key.file) != (source_id, file):
            # One sentence for all, as one who tries keys should learn nothing.
            raise InvalidTokenError("This address is not good any more. Start the film again")
        viewer = await self._viewer(key)
        if mark in self._keys:  # it may have been dropped meanwhile
            self._put(mark, replace(key, expires_at=now + LIFETIME))
            self._used.add(mark)
        return viewer

    async def check_playback(self, text: str, playback_id: str) -> Viewer:
        """Return who plays something with a key, and let it live on from now.

        Raises:
            UnauthenticatedError: this is no key of this playback, or not any more.
        """
        key = self._keys.get(self._mark(text) if _FORM.fullmatch(text) else b"")
        if key is None or key.playback_id != playback_id:
            raise InvalidTokenError("This address is not good any more. Start the film again")
        return await self.check(text, source_id=key.source_id, file=key.file)

    async def forget_playback(self, playback_id: str) -> None:
        """Let the keys of a playback open nothing any more."""
        marks = [mark for mark, key in self._keys.items() if key.playback_id == playback_id]
        self._drop(marks)
        await self._store.change_stream_keys(written={}, removed=marks)

    async def tidy(self) -> None:
        """Write down until when used keys live, and remove expired ones; once a minute."""
        now = self._clock()
        expired = [mark for mark, key in self._keys.items() if key.expires_at <= now]
        self._drop(expired)
        used, self._used = self._used, set()
        written = {mark: self._keys[mark] for mark in used if mark in self._keys}
        if written or expired:
            await self._store.change_stream_keys(written=written, removed=expired)

    async def _viewer(self, key: StreamKey) -> Viewer:
        if key.session_id is None:
            return await self._viewers.of_user(key.user_id)
        viewer, _ = await self._viewers.of_session(key.session_id)
        return viewer

    def _put(self, mark: bytes, key: StreamKey) -> None:
        """Keep a key as the most recently used one of its user."""
        self._keys[mark] = key
        of_user = self._of_user.setdefault(key.user_id, {})
        of_user.pop(mark, None)
        of_user[mark] = None

    def _drop(self, marks: list[bytes]) -> None:
        for mark in marks:
            key = self._keys.pop(mark)
            of_user = self._of_user[key.user_id]
            del of_user[mark]
            if not of_user:
                del self._of_user[key.user_id]

    def _mark(self, text: str) -> bytes:
        return self._sealer.fingerprint(text.encode(), purpose="stream_keys.mark")
