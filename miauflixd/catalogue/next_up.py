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

_AT_ONCE = 25
"""Shows that are looked at in one go: as a rule enough for a row of 20, and of most others nobody
needs to know every episode."""

_REMEMBERED_FOR = 300.0
"""Seconds: what comes next also depends on the date, and on episodes that become known."""


@dataclass(kw_only=True, slots=True)
class _Known:
    until: float
    count: int
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

    async def ids(self, user_id: UserId, count: int) -> Sequence[TitleId]:
        """Return the next episodes of so many shows that a user watches, of the latest show first.

        Not of shows that they have seen all of, nor where they are in the middle of that episode:
        it is one to continue then.
        """
        known = self._known.get(user_id)
        now = self._seconds()
        if (
            known is not None
            and known.ids is not None
            and known.count >= count
            and now < known.until
        ):
            return known.ids[:count]
        # Whatever changes meanwhile takes this away again, so that nothing old is remembered.
        known = self._known[user_id] = _Known(until=now + _REMEMBERED_FOR, count=count)
        known.ids = await self._look(user_id, count)
        return known.ids

    def changed(self, user_id: UserId) -> None:
        """Look anew for a user, whose progress has changed."""
        self._known.pop(user_id, None)

    def outlines_changed(self) -> None:
        """Look anew for everybody: more is known of some show."""
        self._known.clear()

    async def _look(self, user_id: UserId, count: int) -> Sequence[TitleId]:
        shows = await self._store.followed(user_id, most=_FOLLOWED)
        found: list[TitleId] = []
        for start in range(0, len(shows), _AT_ONCE):
            found += await self._next_of(user_id, shows[start : start + _AT_ONCE])
            if len(found) >= count:
                break
        return found[:count]

    async def _next_of(self, user_id: UserId, shows: Sequence[TitleId]) -> Sequence[TitleId]:
        today = self._clock().date()
        following = [one for one in await self._store.following(user_id, shows) if one.seen]
        outlines = await self._outline.outlines([one.show for one in following])
        steps = [
            (one, watching.next_step(outlines.get(one.show, ()), one.seen, today=today))
            for one in following
        ]
        return [step.id for one, step in steps if step is not None and step.id not in one.started]
