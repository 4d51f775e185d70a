"""Sources: added, listed, woken, read and removed."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Literal, assert_never

from miauflixd.engine.messages import (
    AddMagnet,
    AddMetainfo,
    Configure,
    Displaced,
    Event,
    ExternalAddress,
    HashFailed,
    LimitUpload,
    Metadata,
    Pieces,
    PiecesFinished,
    ProgressReport,
    Rejected,
    Remove,
    Removed,
    ResumeData,
    Saved,
    Scraped,
    SetHunger,
    SocketOpened,
    Started,
    StorageFailed,
)
from miauflixd.runtime.changes import Changes
from miauflixd.torrents.active import ActiveTorrent
from miauflixd.torrents.description import Known, describe
from miauflixd.torrents.downloads import Downloads
from miauflixd.torrents.engine_process import EngineProcess
from miauflixd.torrents.giving import may_leave, upload_limit
from miauflixd.torrents.inspection import Inspections
from miauflixd.torrents.magnet import Magnet, from_info_hash, parse_magnet
from miauflixd.torrents.metadata import hashes_of, layout_of
from miauflixd.torrents.model import Layout, NoSourceError, Source, SourceId, SourceInUseError
from miauflixd.torrents.preloading import Preloading
from miauflixd.torrents.questions import Questions
from miauflixd.torrents.reader import Reader, SourceFailedError
from miauflixd.torrents.road import Road
from miauflixd.torrents.room import Room, on_storage_failed
from miauflixd.torrents.saving import Saving
from miauflixd.torrents.settings import TorrentsSettings
from miauflixd.torrents.store import SourceStore, StoredContent, StoredSource
from miauflixd.torrents.swarm_content import SwarmContent
from miauflixd.torrents.waiting import NOBODY_TOLD, until

logger = logging.getLogger(__name__)

_TIDY_EVERY = 2.0
"""Seconds between looks at the disk's room and at sources that nobody uses any more."""

_REMOVE_WITHIN = 15.0
"""Seconds in which the engine must have let go of a source."""

SourceEvent = (
    Metadata
    | Rejected
    | Pieces
    | PiecesFinished
    | HashFailed
    | StorageFailed
    | ResumeData
    | Removed
)


def engine_settings(settings: TorrentsSettings, *, port: int | None = None) -> Configure:
    """Return what the engine is told of the settings.

    Args:
        settings: what people set.
        port: the one at which peers reach us from outside; it takes the place of those of the
            settings.
    """
    return Configure(
        listen=settings.listen if port is None else [f"0.0.0.0:{port}", f"[::]:{port}"],
        connections=settings.connections,
        download_rate=settings.download_rate,
        upload_rate=settings.upload_rate,
        dht=settings.dht,
    )


class Torrents:
    """All sources of this machine."""

    def __init__(
        self,
        *,
        settings: TorrentsSettings,
        engine: EngineProcess,
        store: SourceStore,
        downloads: Downloads,
        boot_id: str,
        changes: Changes[SourceId] | None = None,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._store = store
        self._downloads = downloads
        self._boot_id = boot_id
        self._known: dict[SourceId, Known] = {}
        self._newest: list[tuple[float, SourceId]] | None = None
        """What `newest_first` returns, until a source comes or goes."""
        self._active: dict[str, ActiveTorrent] = {}
        self._woken: set[SourceId] = set()
        """Sources that may have written to the disk during this run."""
        self._membership = asyncio.Lock()
        """Held while a source is added or removed, so that neither meets the other half done."""
        self._inspections = Inspections(send=engine.send)
        self._changes = Changes[SourceId]() if changes is None else changes
        self._saving = Saving(send=engine.send, store=store, downloads=downloads, boot_id=boot_id)
        self._road = Road()
        self.questions = Questions(
            send=engine.send,
            store=store,
            inspections=self._inspections,
            road=self._road,
            active=self._active.get,
        )
        """What can be asked of swarms without a source."""
        self.preloading = Preloading(
            wake=self._wake_for_preload,
            let_go=self._begin_to_let_go,
            active=self._active.get,
            hungry=self._somebody_is_hungry,
        )
        """What is fetched before anybody presses play."""
        self._room = Room(send=engine.send, downloads=downloads, minimum=settings.minimum_free)
        self._external_address: str | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        settings: TorrentsSettings,
        engine: EngineProcess,
        store: SourceStore,
        downloads: Downloads,
        boot_id: str,
        changes: Changes[SourceId] | None = None,
        elsewhere: Collection[SourceId] = (),
    ) -> AsyncIterator["Torrents"]:
        """Know all stored sources, none of them in the swarm yet.

        Args:
            settings: what people set.
            engine: which has to be running.
            store: where sources are.
            downloads: where their files are; what is nobody's there is removed.
            boot_id: what changes with every start of the machine.
            changes: where changes are told, if others tell theirs there too.
            elsewhere: sources that are no torrents, whose files stay.
        """
        torrents = cls(
            settings=settings,
            engine=engine,
            store=store,
            downloads=downloads,
            boot_id=boot_id,
            changes=changes,
        )
        for stored in await store.all():
            torrents._note(stored)
        known = frozenset((*torrents._known, *elsewhere))
        if orphans := await asyncio.to_thread(downloads.prepare, known):
            logger.info("Removed the files of %d sources that are not known any more", orphans)
        yield torrents

    async def run(self) -> None:
        """Follow the engine until cancelled, then save what it knows.

        Raises:
            ExceptionGroup: with `EngineDiedError` when the engine ends by itself.
        """
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._follow_engine(), name="engine events")
            writing = group.create_task(self._saving.run(), name="resume data")
            try:
                await self._tidy_regularly()
            finally:
                if not following.done():
                    await self._saving.save_everything(self._woken)
                following.cancel()
                writing.cancel()

    # --- verbs ------------------------------------------------------------------------------------

    async def add_magnet(self, uri: str, *, wake: bool = True) -> SourceId:
        """Add a source by its magnet link, or return the one that is known already.

        Args:
            uri: the link.
            wake: bring it into the swarm, as whoever adds something by hand is about to play it.

        Raises:
            BadTorrentError: the link cannot be used.
        """
        return await self._add_magnet(parse_magnet(uri), wake=wake)

    async def add_info_hash(self, text: str) -> SourceId:
        """Add a source of which only the info-hash is known.

        Raises:
            BadTorrentError: that is no info-hash.
        """
        return await self._add_magnet(from_info_hash(text))

    async def _add_magnet(self, magnet: Magnet, *, wake: bool = True) -> SourceId:
        hashes = [value for value in (magnet.v1, magnet.v2) if value is not None]
        async with self._membership:
            stored = await self._store.add(hashes=hashes, name=magnet.name, magnet=magnet.uri)
            known = self._note(stored)
        if wake:
            await self._wake(known)
            self.preloading.preload_main_file(stored.id)
        return stored.id

    async def add_metainfo(self, metainfo: bytes, *, wake: bool = True) -> SourceId:
        """Add a source by its `.torrent` file; its layout is known afterwards.

        Args:
            metainfo: the file.
            wake: as for `add_magnet`.

        Raises:
            BadTorrentError: the file cannot be used.
        """
        metadata = await self._inspections.inspect(metainfo)
        async with self._membership:
            stored = await self._store.add(
                hashes=hashes_of(metadata),
                name=metadata.name,
                metainfo=metadata.metainfo,
                layout=layout_of(metadata),
            )
            known = self._note(stored)
            if known.layout is None:
                # Known by its magnet link only, and here is what no peer has told yet.
                await self._start_over(known, metadata)
        if wake:
            await self._wake(known)
            self.preloading.preload_main_file(stored.id)
        return stored.id

    def sources(self) -> Sequence[Source]:
        """Return all sources, in the order in which they were added."""
        return [self._describe(known) for known in self._known.values()]

    def newest_first(self) -> Sequence[tuple[float, SourceId]]:
        """Return the place and the id of each source, in ascending order; the newest is the first.

        Cheap however many there are, unlike `sources`.
        """
        if self._newest is None:
            self._newest = sorted(
                (-known.added_at.timestamp(), known.id) for known in self._known.values()
            )
        return self._newest

    def source(self, source_id: SourceId) -> Source:
        """Return a source as it is right now.

        Raises:
            NoSourceError: there is none of this id.
        """
        return self._describe(self._find(source_id))

    def _describe(self, known: Known) -> Source:
        return describe(known, self._active.get(known.id), self._road)

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[SourceId]]:
        """Yield the id of each source that changes, comes or goes, for the length of the block."""
        return self._changes.listen()

    @asynccontextmanager
    async def reader(self, source_id: SourceId, file: int | None) -> AsyncIterator[Reader]:
        """Read a file of a source, or its main file, for the length of the block; wakes the source.

        Raises:
            NoSourceError: no such source or file.
            NoDataError: no peer told in time what the source holds.
            TunnelDownError: no peer can, for there is no way to any.
            SourceFailedError: the source cannot be played.
        """
        known = self._find(source_id)
        active = await self._wake(known)
        layout = await self._wait_for_layout(known, active)
        chosen = layout.main_file() if file is None else layout.file(file)
        yield Reader(
            content=SwarmContent(
                torrent=active,
                layout=layout,
                road=self._road,
                no_data_timeout=self._settings.no_data_timeout,
            ),
            layout=layout,
            file=chosen,
            path=self._downloads.file(source_id, chosen),
            # What a torrent holds never changes.
            etag=f'"{source_id}-{chosen.index}-{chosen.size}"',
        )

    async def remove(self, source_id: SourceId) -> None:
        """Forget a source and delete its files.

        Raises:
            NoSourceError: there is none of this id.
        """
        async with self._membership:
            self._find(source_id)
            self.preloading.forget(source_id)
            if (active := self._active.get(source_id)) is not None:
                await self._let_go(active)
            await self._store.remove(source_id)
            del self._known[source_id]
            self._newest = None
            # Only now that the engine has closed the files; a crash before leaves an orphan, which
            # the next start removes.
            await asyncio.to_thread(self._downloads.remove, source_id)
        self._changes.note(source_id)

    async def discard(self, source_id: SourceId) -> None:
        """Delete what was downloaded of a source, and go on knowing it.

        Raises:
            NoSourceError: there is none of this id.
            SourceInUseError: somebody reads of it.
        """
        async with self._membership:
            known = self._find(source_id)
            self._require_unread(source_id)
            with known.emptying():  # whoever wakes it waits
                self.preloading.forget(source_id)
                if (active := self._active.get(source_id)) is not None:
                    await self._let_go(active)
                await self._saving.settled()
                await self._store.forget_resume(source_id)
                await asyncio.to_thread(self._downloads.remove, source_id)
        self._changes.note(source_id)

    async def pause(self, source_id: SourceId) -> None:
        """Take a source out of the swarm; it comes back when somebody plays it, or resumes it.

        Raises:
            NoSourceError: there is none of this id.
            SourceInUseError: somebody reads of it.
        """
        self._find(source_id)
        self._require_unread(source_id)
        self.preloading.forget(source_id)
        if (active := self._active.get(source_id)) is not None:
            await self._let_go(active)

    async def resume(self, source_id: SourceId) -> None:
        """Bring a source into the swarm and fetch all of its main file.

        Raises:
            NoSourceError: there is none of this id.
            NoDataError: no peer told in time what the source holds.
            TunnelDownError: no peer can, for there is no way to any.
            SourceFailedError: the source cannot be fetched.
        """
        known = self._find(source_id)
        active = await self._wake(known)
        layout = await self._wait_for_layout(known, active)
        active.fetch(layout.main_file())

    def _require_unread(self, source_id: SourceId) -> None:
        if self.is_read(source_id):
            raise SourceInUseError("Somebody is watching this")

    def is_read(self, source_id: SourceId) -> bool:
        """Return whether somebody reads of a source now."""
        active = self._active.get(source_id)
        return active is not None and active.readers > 0

    def configure(self, settings: TorrentsSettings) -> None:
        """Have other bounds from now on; those of the engine are the passage's business."""
        self._settings = settings
        self._room.minimum = settings.minimum_free

    def __contains__(self, source_id: object) -> bool:
        return source_id in self._known

    # --- the way to the swarm ---------------------------------------------------------------------

    def set_road(self, *, up: bool, reason: str = "") -> None:
        """Say whether there is a way to the swarm; there is until the first word of it.

        What is on the disk can be read without. Whoever waits for more is told when there is none.

        Args:
            up: whether there is one.
            reason: why there is none, a sentence for people.
        """
        if not self._road.change(up=up, reason=reason, now=asyncio.get_running_loop().time()):
            return
        for active in self._active.values():
            active.announce_news()
        self.questions.on_road()

    @property
    def activity(self) -> Literal["idle", "active", "streaming"]:
        """How much depends on the way to the swarm."""
        if any(active.readers for active in self._active.values()):
            return "streaming"
        return "active" if self._active or self.questions.pending else "idle"

    @property
    def hungry(self) -> bool:
        """Whether somebody who reads waits for data."""
        return self._somebody_is_hungry()

    @property
    def readers(self) -> int:
        """How many read a file of any source now."""
        return sum(active.readers for active in self._active.values())

    @property
    def downloads(self) -> int:
        """How many sources want something from the swarm now."""
        return sum(active.wanting for active in self._active.values())

    @property
    def external_address(self) -> str | None:
        """The address under which the swarm sees us, if it has told already."""
        return self._external_address

    # --- waking and letting go --------------------------------------------------------------------

    def _find(self, source_id: SourceId) -> Known:
        if (known := self._known.get(source_id)) is None:
            raise NoSourceError("There is no such source")
        return known

    def _note(self, stored: StoredSource) -> Known:
        if (known := self._known.get(stored.id)) is None:
            known = Known(
                id=stored.id,
                name=stored.name,
                added_at=stored.added_at,
                layout=stored.layout,
                since=datetime.now(UTC),
            )
            self._known[stored.id] = known
            self._newest = None
            self._changes.note(stored.id)
        return known

    async def _wake_for_preload(self, source_id: SourceId) -> ActiveTorrent:
        return await self._wake(self._find(source_id), only_preloaded=True)

    async def _wake(self, known: Known, *, only_preloaded: bool = False) -> ActiveTorrent:
        """Bring a source into the swarm unless it is there."""
        active: ActiveTorrent | None = None
        while True:
            if known.emptied is not None:
                await known.emptied.wait()
            elif (active := self._active.get(known.id)) is None:
                break
            elif active.leaving:
                await active.removed.wait()
            elif active.failure is not None:
                await self._let_go(active)  # whoever asks again wants it tried again
            else:
                break
        if active is None:
            active = ActiveTorrent(
                source_id=known.id,
                send=self._engine.send,
                on_change=self._changes.note,
                on_hunger=self._tell_hunger,
                layout=known.layout,
                last_used=asyncio.get_running_loop().time(),
                only_preloaded=only_preloaded,
            )
            # Nothing was awaited since the look, so nobody else has woken it.
            self._active[known.id] = active
            self._woken.add(known.id)
            content = await self._store.content(known.id)
            if not active.leaving:  # or it was removed meanwhile, and the engine told so
                self._send_add(known.id, content)
        active.last_used = asyncio.get_running_loop().time()
        active.only_preloaded = active.only_preloaded and only_preloaded
        return active

    def _send_add(self, source_id: SourceId, content: StoredContent) -> None:
        save_path = str(self._downloads.path(source_id))
        if content.metainfo is not None:
            self._engine.send(
                AddMetainfo(
                    torrent_id=source_id,
                    save_path=save_path,
                    metainfo=content.metainfo,
                    resume_data=content.resume_data,
                    recheck=not content.resume_settled and content.resume_boot_id != self._boot_id,
                )
            )
        elif content.magnet is not None:
            self._engine.send(
                AddMagnet(torrent_id=source_id, save_path=save_path, uri=content.magnet)
            )

    def _begin_to_let_go(self, active: ActiveTorrent) -> None:
        """Tell the engine; until it answers by `Removed` a wake waits."""
        active.leaving = True
        self._engine.send(Remove(torrent_id=active.source_id))

    async def _let_go(self, active: ActiveTorrent) -> None:
        self._begin_to_let_go(active)
        async with asyncio.timeout(_REMOVE_WITHIN):
            await active.removed.wait()

    async def _start_over(self, known: Known, metadata: Metadata) -> None:
        """Replace a torrent that waits for its metadata by one that has it."""
        if (active := self._active.get(known.id)) is not None:
            await self._let_go(active)
        await self._learn(known, metadata)

    async def _wait_for_layout(self, known: Known, active: ActiveTorrent) -> Layout:
        def layout() -> Layout | None:
            if known.layout is None and active.failure is not None:
                raise SourceFailedError(active.failure)
            if known.layout is None and known.id not in self._known:
                raise NoSourceError("This source was removed")
            return known.layout

        return await until(
            layout,
            news=lambda: active.news,
            road=self._road,
            began=asyncio.get_running_loop().time(),
            patience=self._settings.no_data_timeout,
            otherwise=NOBODY_TOLD,
        )

    # --- what the engine tells --------------------------------------------------------------------

    async def _follow_engine(self) -> None:
        async for event in self._engine.events():
            await self._on_event(event)

    async def _on_event(self, event: Event) -> None:
        if self.questions.take(event):
            return
        match event:
            case Started() | SocketOpened() | Displaced() | Scraped():
                pass
            case Saved():
                self._saving.on_saved()
            case ExternalAddress(address=address):
                self._external_address = address
            case ProgressReport():
                for progress in event.torrents:
                    if (active := self._active.get(progress.torrent_id)) is not None:
                        active.progress = progress
                        self._changes.note(active.source_id)
            case _:
                if (active := self._active.get(event.torrent_id)) is not None:
                    await self._on_event_of(active, event)
                    self.preloading.on_change(active.source_id)

    async def _on_event_of(self, active: ActiveTorrent, event: SourceEvent) -> None:
        match event:
            case PiecesFinished():
                active.on_pieces_finished(event.pieces)
            case Pieces():
                active.on_pieces(event.have)
            case Metadata():
                await self._learn(self._known[active.source_id], event)
            case ResumeData():
                self._saving.note(event)
            case HashFailed():
                active.wrong_pieces += 1
                logger.info("A peer sent a wrong piece; it is fetched again")
            case Rejected():
                active.failure = event.detail
                active.announce_news()
            case StorageFailed():
                on_storage_failed(active, event)
            case Removed():
                del self._active[event.torrent_id]
                active.close()
                if (known := self._known.get(active.source_id)) is not None:
                    self._describe(known)  # notes since when it does nothing
            case _:
                assert_never(event)

    async def _learn(self, known: Known, metadata: Metadata) -> None:
        """Take over what a source holds, told by its peers or by a `.torrent` file."""
        known.layout = layout_of(metadata)
        known.name = metadata.name
        if (active := self._active.get(known.id)) is not None:
            active.layout = known.layout
            active.announce_news()
        await self._store.save_metainfo(
            known.id,
            hashes=hashes_of(metadata),
            name=metadata.name,
            metainfo=metadata.metainfo,
            layout=known.layout,
        )

    def _tell_hunger(self) -> None:
        hungry = self._somebody_is_hungry()
        self._engine.send(SetHunger(hungry=hungry))
        for active in self._active.values():
            if (limit := upload_limit(active, hungry=hungry)) != active.upload_limit:
                active.upload_limit = limit
                self._engine.send(LimitUpload(torrent_id=active.source_id, rate=limit))
        self.preloading.plan()

    def _somebody_is_hungry(self) -> bool:
        return any(active.wishes.hungry for active in self._active.values())

    # --- what time brings -------------------------------------------------------------------------

    async def _tidy_regularly(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_EVERY)
            self._room.look(self._active.values())
            self.preloading.look()
            now = asyncio.get_running_loop().time()
            for active in list(self._active.values()):
                if may_leave(active, settings=self._settings, now=now):
                    self._begin_to_let_go(active)
