"""What comes next of the shows that people watch."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from miauflixd.auth.model import UserId
from miauflixd.catalogue import watching
from miauflixd.catalogue.model import TitleId
from miauflixd.catalogue.ports import Outline
from miauflixd.catalogue.watching_store import WatchingStore
from miauflixd.runtime.clock import Clock

_FOLLOWED = 100
"""Shows that are looked at, the latest first; nobody scrolls so far."""

_AT_ONCE = 25
"""Shows that are looked at in one go: as a rule enough for a row of 20, and of most others nobody
needs to know every episode."""

_REMEMBERED_FOR = 300.0
"""Seconds: what comes next also depends on the date, and a show may turn out to be another one."""


@dataclass(kw_only=True, slots=True)
class _Known:
    """What is remembered for somebody."""

    until: float
    next: dict[TitleId, TitleId | None] = field(default_factory=dict)
    """The next episode by show; `None`: there is none."""
    ids: Sequence[TitleId] | None = None
    """The answer to the last question, which was for `count`."""
    count: int = 0
    changes: int = 0
    """How often any of it was forgotten: what was read before is not remembered behind that."""


class NextUp:
    """The next episodes for everybody, remembered show by show until something changes."""

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
        if known is None or self._seconds() >= known.until:
            known = self._known[user_id] = _Known(until=self._seconds() + _REMEMBERED_FOR)
        if known.ids is None or known.count < count:
            changes = known.changes
            ids = await self._look(user_id, known, count)
            if changes != known.changes:
                return ids
            known.ids, known.count = ids, count
        return known.ids[:count]

    def changed(self, user_id: UserId, shows: Collection[TitleId] | None = None) -> None:
        """Look anew for a user whose progress with these shows has changed; `None`: with any."""
        if shows is None:
            self._known.pop(user_id, None)
        elif (known := self._known.get(user_id)) is not None:
            _forget(known, shows)

    def outline_changed(self, show: TitleId) -> None:
        """Look anew for everybody: more is known of a show."""
        for known in self._known.values():
            _forget(known, [show])

    async def _look(self, user_id: UserId, known: _Known, count: int) -> Sequence[TitleId]:
        changes = known.changes
        shows = await self._store.followed(user_id, most=_FOLLOWED)
        found: list[TitleId] = []
        for start in range(0, len(shows), _AT_ONCE):
            some = shows[start : start + _AT_ONCE]
            steps = {show: known.next[show] for show in some if show in known.next}
            steps |= await self._next_of(user_id, [show for show in some if show not in steps])
            if changes == known.changes:
                known.next |= steps
            found += [step for show in some if (step := steps[show]) is not None]
            if len(found) >= count:
                break
        return found[:count]

    async def _next_of(
        self, user_id: UserId, shows: Sequence[TitleId]
    ) -> Mapping[TitleId, TitleId | None]:
        """Return the next episode of each of these shows."""
        if not shows:
            return {}
        today = self._clock().date()
        following = await self._store.following(user_id, shows)
        outlines = await self._outline.outlines([one.show for one in following if one.seen])
        found: dict[TitleId, TitleId | None] = {}
        for one in following:
            step = watching.next_step(outlines.get(one.show, ()), one.seen, today=today)
            found[one.show] = None if step is None or step.id in one.started else step.id
        return found


def _forget(known: _Known, shows: Collection[TitleId]) -> None:
    for show in shows:
        known.next.pop(show, None)
    known.ids = None
    known.changes += 1
