"""Searching: what is known here at once, and what others know as soon as they have said it.

Whoever types asks with every letter. So the answer is what is known here; the providers are asked
beside it, once for the same words, and waited for only where there would be next to nothing to
show. What they find is kept, and is known here the next time.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from miauflixd.catalogue.model import Audience, Card, Kind, OutsideIds, TitleId
from miauflixd.catalogue.syncing import Syncing
from miauflixd.catalogue.text import clean, imdb_id
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.errors import MiauflixdError

_log = logging.getLogger(__name__)

_LONGEST = 200
"""Characters of a search that anybody is asked for; no title has more that tell it from others."""

_SHORTEST = 2
"""Characters for which providers are asked: one letter fits everything."""

_ENOUGH = 6
"""Finds of our own with which nobody waits for more."""

_WAIT = 1.5
"""Seconds to wait for the providers where there is less than that."""

_KNOWN_FOR = 600.0
"""Seconds for which words that somebody knew are not asked again."""

_UNKNOWN_FOR = 30.0
"""Seconds for which those are not that nobody knew: there may have been no internet."""

_REMEMBERED = 256
"""Searches whose finds are remembered for so long."""

_AT_ONCE = 4
"""Searches under way with the providers; who types faster gets what is known here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a search has found so far."""

    cards: Sequence[Card]
    searching: bool
    """Whether the providers are still looking; asking again then tells more."""


@dataclass(frozen=True, slots=True)
class _Words:
    text: str
    kind: Kind | None

    @property
    def imdb(self) -> str | None:
        """The id of a title, where that is what was typed."""
        return imdb_id(self.text.lower())


@dataclass(frozen=True, slots=True)
class _Known:
    until: float
    """When the same may be asked again."""
    ids: Sequence[TitleId]


_NOTHING = _Known(until=float("-inf"), ids=())


class Searching:
    """Looks here and elsewhere."""

    def __init__(
        self,
        *,
        titles: TitleStore,
        syncing: Syncing,
        group: asyncio.TaskGroup,
        seconds: Callable[[], float],
    ) -> None:
        self._titles = titles
        self._syncing = syncing
        self._group = group
        self._seconds = seconds
        self._under_way: dict[_Words, asyncio.Task[None]] = {}
        self._known: OrderedDict[_Words, _Known] = OrderedDict()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        titles: TitleStore,
        syncing: Syncing,
        seconds: Callable[[], float] = time.monotonic,
    ) -> AsyncIterator[Self]:
        """Search for the length of the block; what is under way at its end is given up."""
        async with asyncio.TaskGroup() as group:
            searching = cls(titles=titles, syncing=syncing, group=group, seconds=seconds)
            try:
                yield searching
            finally:
                for task in searching._under_way.values():
                    task.cancel()

    async def search(
        self, text: str, *, kind: Kind | None, audience: Audience, count: int
    ) -> Found:
        """Return what fits these words, the best first; never fails for any words."""
        words = _Words(clean(text, _LONGEST), kind)
        cards = await self._here(words, audience, count)
        task = None if words.imdb is not None and cards else self._ask(words)
        if task is not None and len(cards) < min(_ENOUGH, count):
            await asyncio.wait({task}, timeout=_WAIT)
            cards = await self._here(words, audience, count)
        here = {card.id for card in cards}
        missing = [
            one
            for one in self._known.get(words, _NOTHING).ids
            if one not in here and words.kind in {None, one.kind}
        ]
        if missing and len(cards) < count:
            more = await self._titles.cards(missing, audience.locale, audience.limit)
            once = {card.id: card for card in [*cards, *more.values()]}
            cards = list(once.values())[:count]
        return Found(cards=cards, searching=task is not None and not task.done())

    async def look_up(self, imdb: str) -> TitleId | None:
        """Return what others know by this IMDb id, if they say so as soon as in a search."""
        words = _Words(imdb, None)
        task = self._ask(words)
        if task is not None:
            await asyncio.wait({task}, timeout=_WAIT)
        return next(iter(self._known.get(words, _NOTHING).ids), None)

    async def _here(self, words: _Words, audience: Audience, count: int) -> Sequence[Card]:
        if words.imdb is not None:
            ids = [
                await self._titles.find(OutsideIds(imdb=words.imdb), kind)
                for kind in ((Kind.MOVIE, Kind.SHOW) if words.kind is None else (words.kind,))
            ]
            known = [one for one in ids if one is not None]
            found = await self._titles.cards(known, audience.locale, audience.limit)
            return list(found.values())[:count]
        return await self._titles.search(
            words.text,
            kind=words.kind,
            locale=audience.locale,
            limit=audience.limit,
            count=count,
        )

    def _ask(self, words: _Words) -> asyncio.Task[None] | None:
        """Have the providers look, unless they have or cannot; return what to wait for."""
        if (task := self._under_way.get(words)) is not None:
            return task
        if (
            len(words.text) < _SHORTEST
            or self._seconds() < self._known.get(words, _NOTHING).until
            or len(self._under_way) >= _AT_ONCE
        ):
            return None
        task = self._group.create_task(self._elsewhere(words), name="search elsewhere")
        self._under_way[words] = task
        task.add_done_callback(lambda _: self._under_way.pop(words, None))
        return task

    async def _elsewhere(self, words: _Words) -> None:
        found: Sequence[TitleId] = ()
        try:
            if words.imdb is not None:
                title = await self._syncing.find(words.imdb)
                found = () if title is None else (title,)
            else:
                found = await self._syncing.search(words.text, kind=words.kind)
        except MiauflixdError as error:
            # One search less; a full disk, say, is somebody else's to report.
            _log.warning("What was found elsewhere cannot be kept: %s", error.code)
        until = self._seconds() + (_KNOWN_FOR if found else _UNKNOWN_FOR)
        self._known[words] = _Known(until=until, ids=found)
        self._known.move_to_end(words)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
