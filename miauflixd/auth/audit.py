"""Who did what, from where and when: noted at once, written a moment later.

What anybody can cause as often as they like (a refusal, a wrong password) is written when it
happens first, and then counted: one more line per hour says how often it came again. Of such lines
there is a limited number per hour, so that a flood from ever new addresses cannot fill the disk
either: what is beyond it is counted without its address.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from miauflixd.auth.audit_store import AuditStore
from miauflixd.auth.lockout import network_of, plain
from miauflixd.auth.model import AuditEvent, AuditPage, AuditType, UserId
from miauflixd.errors import InvalidInputError, MiauflixdError

_log = logging.getLogger(__name__)

REPEATED = frozenset(
    {
        AuditType.SETUP_REFUSED,
        AuditType.SIGN_IN_FAILED,
        AuditType.LOCKED_OUT,
        AuditType.PASSWORD_REFUSED,
        AuditType.REFUSED,
        AuditType.RATE_LIMITED,
    }
)
"""What happens as often as somebody likes."""

_WINDOW = timedelta(hours=1)
"""How long is counted before it is written how often."""

_KINDS = 100
"""Different ones in one window, with two lines each. Under a flood that never ends, 180 days of it
are 900,000 lines, some 120 MB."""

_WAITING = 5000
"""Events that may wait to be written while the disk is full or busy; later ones are lost."""

_BATCH = 500
"""Written in one transaction: 13 ms in which the database does nothing else."""

_PAUSE = 0.5
"""Seconds between batches, so that what comes in a burst is written together."""

_PAUSE_WHEN_FAILING = 30.0
"""Seconds after which to try again when the disk is full or the database busy."""

_LONGEST_CURSOR = 18
"""Digits; more than 18 could be more than SQLite counts to."""

_LONGEST_DETAIL = 200
"""Characters."""


class _Kind(NamedTuple):
    """What makes one event the same as another."""

    type: AuditType
    user_id: UserId | None
    network: str | None


class Audit:
    """The diary of this machine."""

    def __init__(
        self, *, store: AuditStore, clock: Callable[[], datetime], pause: float = _PAUSE
    ) -> None:
        """Write to the store; `pause` is in seconds."""
        self._store = store
        self._clock = clock
        self._pause = pause
        self._waiting: deque[AuditEvent] = deque()
        self._woken = asyncio.Event()
        self._writing = asyncio.Lock()
        self._repeats: Counter[_Kind] = Counter()
        self._window_began = clock()
        self._lost = 0
        self._fails = False

    def note(
        self,
        what: AuditType,
        *,
        user_id: UserId | None = None,
        address: str | None = None,
        **details: str | int | bool,
    ) -> None:
        """Take note of something; this waits for nothing and never fails.

        Args:
            what: what happened.
            user_id: who did it.
            address: from where.
            details: ids, names of fields, counts; no token, title or e-mail address.
        """
        now = self._clock()
        self._end_window(now)
        if what in REPEATED:
            kind = self._kind(what, user_id, address)
            self._repeats[kind] += 1
            if self._repeats[kind] > 1:
                return
            if kind.network is None:
                address = None
        self._wait(
            AuditEvent(
                type=what,
                at=now,
                user_id=user_id,
                address=None if address is None else plain(address),
                details={name: _short(value) for name, value in details.items()},
            )
        )

    async def page(
        self,
        *,
        types: Sequence[AuditType] = (),
        user_id: UserId | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> AuditPage:
        """Return what happened, the latest first, and whatever was noted a moment ago.

        Args:
            types: of these kinds; of all without.
            user_id: by this user.
            since: not before.
            until: before.
            cursor: the `next_cursor` of the page before.
            limit: how many at most.

        Raises:
            InvalidInputError: the cursor is none of ours.
        """
        if cursor is not None and not (
            cursor.isascii() and cursor.isdecimal() and len(cursor) <= _LONGEST_CURSOR
        ):
            raise InvalidInputError("The cursor is not one that was given out here")
        await self._write()
        return await self._store.page(
            types=types,
            user_id=user_id,
            since=since,
            until=until,
            before=None if cursor is None else int(cursor),
            limit=limit,
        )

    async def prune(self, older_than: timedelta) -> int:
        """Forget what happened longer ago, and return how much that was."""
        return await self._store.remove_before(self._clock() - older_than)

    async def run(self) -> None:
        """Write what is noted, until cancelled; then also what was counted so far."""
        try:
            while True:
                try:
                    async with asyncio.timeout(_WINDOW.total_seconds()):
                        await self._woken.wait()
                except TimeoutError:
                    self._end_window(self._clock())
                await self._write()
                await asyncio.sleep(_PAUSE_WHEN_FAILING if self._fails else self._pause)
        finally:
            self._say_how_often(self._clock())
            await self._write()

    def _kind(self, what: AuditType, user_id: UserId | None, address: str | None) -> _Kind:
        kind = _Kind(what, user_id, None if address is None else network_of(address))
        if kind in self._repeats or len(self._repeats) < _KINDS:
            return kind
        return _Kind(what, user_id, None)

    def _end_window(self, now: datetime) -> None:
        # Also when the clock was set back: the window must not last until it has caught up.
        if abs(now - self._window_began) >= _WINDOW:
            self._say_how_often(now)

    def _say_how_often(self, now: datetime) -> None:
        for kind, times in self._repeats.items():
            if times > 1:
                self._wait(
                    AuditEvent(
                        type=kind.type,
                        at=now,
                        user_id=kind.user_id,
                        address=kind.network,
                        details={"repeated": times - 1},
                    )
                )
        self._repeats.clear()
        self._window_began = now

    def _wait(self, event: AuditEvent) -> None:
        if len(self._waiting) >= _WAITING:
            self._lost += 1
            return
        self._waiting.append(event)
        self._woken.set()

    async def _write(self) -> None:
        """Write all that waits, and leave it waiting when that does not work now."""
        # Shielded: the database goes on when whoever waits for it is cancelled, and what is then
        # not taken from the queue would be written twice.
        await asyncio.shield(self._write_all())

    async def _write_all(self) -> None:
        async with self._writing:
            self._woken.clear()
            while self._waiting:
                batch = [self._waiting[place] for place in range(min(_BATCH, len(self._waiting)))]
                try:
                    await self._store.add(batch)
                except MiauflixdError as error:
                    if not self._fails:
                        _log.warning("The audit cannot be written for now: %s", error.code)
                    self._fails = True
                    self._woken.set()
                    return
                for _ in batch:
                    self._waiting.popleft()
            self._fails = False
            if self._lost:
                _log.warning("The audit lacks %d events that found no room to wait", self._lost)
                self._lost = 0


def _short(value: str | int | bool) -> str | int | bool:  # noqa: FBT001 - a value of any kind, not a switch
    return value[:_LONGEST_DETAIL] if isinstance(value, str) else value
