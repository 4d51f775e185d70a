"""Room for what comes: what nobody has watched for longest goes first."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Protocol

from miauflixd.cache.model import Item, Shelf, Use, evicted, in_order
from miauflixd.cache.store import UseStore
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.clock import Clock
from miauflixd.torrents.downloads import Downloads, Room, Stored
from miauflixd.torrents.model import Source, SourceId
from miauflixd.torrents.settings import TorrentsSettings

logger = logging.getLogger(__name__)

_LOOK_EVERY = 2.0
"""Seconds between looks at the disk while something changes ..."""

_LOOK_ANYWAY = 600.0
"""... and when nothing does."""

_SAVE_EVERY = 60.0
"""Seconds after which it is written down what was used."""

_CUSHION = 64 * 2**20
"""Bytes of room made beyond what is to stay free, lest downloads stop before anything has gone."""


class Sources(Protocol):
    """What may have something on the disk."""

    def source(self, source_id: SourceId) -> Source:
        """Return a source as it is right now.

        Raises:
            NoSourceError: there is none of this id.
        """
        ...

    def knows(self, source_id: SourceId) -> bool:
        """Return whether there is such a source."""
        ...

    def reading(self, source_id: SourceId) -> bool:
        """Return whether somebody reads of it now."""
        ...

    async def discard(self, source_id: SourceId) -> None:
        """Delete what was downloaded of a source, and go on knowing it.

        Raises:
            NoSourceError: there is none of this id.
            ConflictError: somebody reads of it.
            MiauflixdError: the engine does not let go of it.
        """
        ...

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[SourceId]]:
        """Yield the id of each source that changes, comes or goes, for the length of the block."""
        ...


class Cache:
    """What is on the disk of all sources."""

    def __init__(
        self,
        *,
        settings: TorrentsSettings,
        sources: Sources,
        downloads: Downloads,
        store: UseStore,
        uses: Mapping[SourceId, Use],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._downloads = downloads
        self._store = store
        self._uses = dict(uses)
        self._unsaved: set[SourceId] = set()
        self._clock = clock
        self._look_again = asyncio.Event()
        self._evictions = 0
        self.latest: Shelf | None = None
        """What was on the disk when somebody last looked."""
        self._short = False

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        settings: TorrentsSettings,
        sources: Sources,
        downloads: Downloads,
        store: UseStore,
        clock: Clock,
    ) -> AsyncIterator["Cache"]:
        """Know what was used when; saves it at the end.

        Args:
            settings: how much room there is.
            sources: whose bytes they are.
            downloads: where they are.
            store: where uses outlive the process.
            clock: the time.
        """
        cache = cls(
            settings=settings,
            sources=sources,
            downloads=downloads,
            store=store,
            uses=await store.all(),
            clock=clock,
        )
        try:
            yield cache
        finally:
            await cache._save()

    async def run(self) -> None:
        """Make room until cancelled."""
        async with self._sources.changes() as changes, asyncio.TaskGroup() as group:
            following = group.create_task(self._follow(changes), name="changes of sources")
            try:
                await self._look_regularly()
            finally:
                following.cancel()

    async def _follow(self, changes: AsyncIterator[SourceId]) -> None:
        async for _ in changes:
            self._look_again.set()

    async def _look_regularly(self) -> None:
        loop = asyncio.get_running_loop()
        looked = saved = loop.time()
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            # Others may fill the disk, too.
            if self._look_again.is_set() or loop.time() - looked >= _LOOK_ANYWAY:
                self._look_again.clear()
                looked = loop.time()
                try:
                    await self.make_room()
                except (MiauflixdError, OSError) as error:
                    logger.warning("Room cannot be made now: %s", _in_words(error))
            if loop.time() - saved >= _SAVE_EVERY:
                saved = loop.time()
                try:
                    await self._save()
                except MiauflixdError as error:
                    logger.warning("What was used is not written down yet: %s", _in_words(error))

    # --- verbs ------------------------------------------------------------------------------------

    def note_use(self, source_id: SourceId) -> None:
        """Note that somebody reads, or has just read, of a source."""
        self._change(source_id, lambda use: replace(use, used_at=self._clock()))

    def note_part(self, source_id: SourceId, part: float) -> None:
        """Note how far somebody is who watches a source, 0 to 1."""
        self._change(
            source_id,
            lambda use: replace(use, used_at=self._clock(), part=min(max(part, 0.0), 1.0)),
        )

    async def pin(self, source_id: SourceId, *, pinned: bool) -> None:
        """Have a source stay, or go like others.

        Raises:
            NoSourceError: there is none of this id.
        """
        self._sources.source(source_id)
        self._change(source_id, lambda use: replace(use, pinned=pinned))
        await self._save()
        self._look_again.set()

    def use(self, source_id: SourceId) -> Use:
        """Return what is remembered of how a source was used."""
        return self._uses.get(source_id, Use())

    async def shelf(self) -> Shelf:
        """Return all that is on the disk, what goes first as the first.

        Raises:
            OSError: the disk does not say.
        """
        stored, disk = await asyncio.to_thread(self._measure)
        self.latest = shelf = Shelf(
            items=in_order(
                Item(
                    source_id=one.source_id,
                    size=one.size,
                    came_at=one.came_at,
                    use=self.use(one.source_id),
                    reading=self._sources.reading(one.source_id),
                )
                for one in stored
                if self._sources.knows(one.source_id)
            ),
            quota=self._settings.quota,
            free=disk.free,
            total=disk.total,
            minimum_free=self._settings.minimum_free,
            at=self._clock(),
        )
        return shelf

    @property
    def quota(self) -> int:
        """Bytes that downloads may take; 0: as many as there is room for."""
        return self._settings.quota

    @property
    def evictions(self) -> int:
        """How many sources had to go since the start."""
        return self._evictions

    def configure(self, settings: TorrentsSettings) -> None:
        """Have other bounds from now on."""
        self._settings = settings
        self._look_again.set()

    async def make_room(self) -> None:
        """Have what was not watched for longest go, if there is too little room.

        Raises:
            OSError: the disk does not say how much there is.
        """
        shelf = await self.shelf()
        if not shelf.items:
            return
        cushion = min(_CUSHION, shelf.total // 50)
        wanted = replace(shelf, minimum_free=shelf.minimum_free + cushion)
        short = wanted.excess > 0
        for item in evicted(wanted):
            try:
                await self._sources.discard(item.source_id)
            except MiauflixdError as error:  # somebody has pressed play just now, say
                logger.info("Something stays on the disk for now: %s", error.code)
                continue
            short = False
            self._evictions += 1
            self._uses.pop(item.source_id, None)
            self._unsaved.add(item.source_id)
            logger.info("Deleted a download to make room: %d MiB", item.size // 2**20)
        if short and not self._short:
            logger.warning("There is too little room, and nothing on the disk that may go")
        self._short = short

    # --- inside -----------------------------------------------------------------------------------

    def _change(self, source_id: SourceId, change: Callable[[Use], Use]) -> None:
        self._uses[source_id] = change(self.use(source_id))
        self._unsaved.add(source_id)

    def _measure(self) -> tuple[Collection[Stored], Room]:
        return self._downloads.stored(), self._downloads.room()

    async def _save(self) -> None:
        gone = {one for one in self._uses if not self._sources.knows(one)}
        for source_id in gone:
            del self._uses[source_id]
        unsaved, self._unsaved = self._unsaved | gone, set()
        if not unsaved:
            return
        changed = {one: self._uses[one] for one in unsaved if one in self._uses}
        try:
            await self._store.save(changed, gone=unsaved - changed.keys())
        except BaseException:
            self._unsaved |= unsaved
            raise


def _in_words(error: Exception) -> str:
    return error.code if isinstance(error, MiauflixdError) else type(error).__name__
