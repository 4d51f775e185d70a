"""What comes next of the shows that people watch."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from miauflixd.auth.model import UserId
from miauflixd.catalogue import watching
from miauflixd.catalogue.model import TitleId
from miauflixd.catalogue.ports import Clock, Outline
from miauflixd.catalogue.watching_store import WatchingStore

_FOLLOWED = 100
"""Shows that are looked at, the latest first; nobody scrolls so far."""

_REMEMBERED_FOR = 300.0
"""Seconds: what comes next also depends on the date, and on episodes that become known."""


@dataclass(kw_only=True, slots=True)
class _Known:
    until: float
    ids: Sequence[TitleId] | None = None


class NextUp:
    """The next episodes for everybody, remembered until something changes."""

    def __init__(
        self,
        *,
        store: WatchingStore,
        outline: Outline,
        clock: Clock,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._outline = outline
        self._clock = clock
        self._seconds = seconds
        self._known: dict[UserId, _Known] = {}

    async def ids(self, user_id: UserId) -> Sequence[TitleId]:
        """Return the next episode of each show that a user watches, of the latest show first.

        Not of shows that they have seen all of, nor where they are in the middle of that episode:
        it is one to continue then.
        """
        known = self._known.get(user_id)
        if known is not None and known.ids is not None and self._seconds() < known.until:
            return known.ids
        # Whatever changes meanwhile takes this away again, so that nothing old is remembered.
        known = self._known[user_id] = _Known(until=self._seconds() + _REMEMBERED_FOR)
        known.ids = await self._look(user_id)
        return known.ids

    def changed(self, user_id: UserId) -> None:
        """Look anew for a user, whose progress has changed."""
        self._known.pop(user_id, None)

    def outlines_changed(self) -> None:
        """Look anew for everybody: more is known of some show."""
        self._known.clear()

    async def _look(self, user_id: UserId) -> Sequence[TitleId]:
        today = self._clock().date()
        found: list[TitleId] = []
        for followed in await self._store.following(user_id, most=_FOLLOWED):
            if not followed.seen:
                continue
            outline = await self._outline.outline(followed.show)
            step = watching.next_step(outline, followed.seen, today=today)
            if step is not None and step.id not in followed.started:
                found.append(step.id)
        return found
