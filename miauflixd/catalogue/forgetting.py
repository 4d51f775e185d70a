"""Titles that nobody wants any more: what a search or a list once named, and nobody looked at."""

from collections.abc import Sequence
from datetime import timedelta

from miauflixd.catalogue.lists import Lists
from miauflixd.catalogue.model import TitleId
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.catalogue.watched import Watching
from miauflixd.runtime.clock import Clock

_AFTER = timedelta(days=30)
"""Since a provider last named it, in a list or to a search."""

_AT_ONCE = 25
"""Titles forgotten in one go: 25 ms in which the database does nothing else. A night of a house has
some dozens to forget."""


class Forgetting:
    """Forgets what has only ever been named.

    What somebody has opened is known in full, and stays; so does whatever is in a list, and what
    anybody has begun or seen.
    """

    def __init__(
        self, *, titles: TitleStore, lists: Lists, watching: Watching, clock: Clock
    ) -> None:
        self._titles = titles
        self._lists = lists
        self._watching = watching
        self._clock = clock

    async def run(self) -> Sequence[TitleId]:
        """Forget them, and return which that was."""
        before = self._clock() - _AFTER
        forgotten: list[TitleId] = []
        while True:
            # Anew each time: in between, somebody may have put one into a list.
            kept = {*await self._lists.titles(), *await self._watching.titles()}
            some = await self._titles.forget(kept, before=before, limit=_AT_ONCE)
            forgotten += some
            if len(some) < _AT_ONCE:
                return forgotten
