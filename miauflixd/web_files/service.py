"""Web sources: added, listed, read and removed, with the same words as torrents."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from miauflixd.errors import MiauflixdError
from miauflixd.runtime.changes import Changes
from miauflixd.runtime.clock import Clock
from miauflixd.torrents.downloads import Downloads
from miauflixd.torrents.model import NoSourceError, Source, SourceId, SourceInUseError
from miauflixd.torrents.preloading import Span
from miauflixd.torrents.reader import SPAN_MAXIMUM, Reader, SourceFailedError
from miauflixd.torrents.settings import TorrentsSettings
from miauflixd.web_files.copies import Circumstances, Copy
from miauflixd.web_files.description import Known, describe
from miauflixd.web_files.local_file import LocalFile
from miauflixd.web_files.model import Facts, Via, WebContent, WebFile
from miauflixd.web_files.ports import Http
from miauflixd.web_files.probing import probe
from miauflixd.web_files.servers import Servers
from miauflixd.web_files.store import StoredFile, StoredWebSource, WebSourceStore

logger = logging.getLogger(__name__)

_LINGER = 600.0
"""Seconds after its last reader for which a copy stays open, and its server's word holds.

A player that has buffered enough closes its connection for minutes, and comes back.
"""

_TIDY_EVERY = 2.0
"""Seconds between looks at the disk's room, and between savings of what has come: so much is
fetched again after a crash."""

_ROOM_AGAIN = 16 * 2**20
"""Bytes above the minimum that must be free before downloads go on, lest they stop every second."""

_CONFIRM_WITHIN = 3.0
"""Seconds for a server to say that the file of which a part is here is still the same. What is here
plays without that too."""

_LONGEST = 4 * 2**20
"""Bytes that are sent in one go of a file that is not all here: an eighth of what is fetched ahead
of them, for that begins only where the last ones end."""


class WebSources:
    """All web sources of this machine."""

    def __init__(
        self,
        *,
        settings: TorrentsSettings,
        store: WebSourceStore,
        downloads: Downloads,
        http: Mapping[Via, Http],
        changes: Changes[SourceId],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._downloads = downloads
        self._http = http
        self._changes = changes
        self._clock = clock
        self._servers = Servers()
        self._known: dict[SourceId, Known] = {}
        self._awake: dict[SourceId, Known] = {}
        """Those with copies."""
        self._newest: list[tuple[float, SourceId]] | None = None
        """What `newest_first` returns, until a source comes or goes."""
        self._waking = asyncio.Lock()
        """Held while a copy is opened or thrown away, and while a source is added or removed."""
        self._group: asyncio.TaskGroup | None = None
        self._started = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        settings: TorrentsSettings,
        store: WebSourceStore,
        downloads: Downloads,
        http: Mapping[Via, Http],
        changes: Changes[SourceId],
        clock: Clock,
    ) -> AsyncIterator["WebSources"]:
        """Know all stored sources; nothing is asked for yet.

        Args:
            settings: of all downloads.
            store: where web sources are.
            downloads: where their files are.
            http: the client of each road.
            changes: where to tell of them.
            clock: the time of day.
        """
        sources = cls(
            settings=settings,
            store=store,
            downloads=downloads,
            http=http,
            changes=changes,
            clock=clock,
        )
        for stored in await store.all():
            sources._note(stored)
        yield sources

    async def run(self) -> None:
        """Fetch until cancelled, then save what is here."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._started.set()
                try:
                    while True:
                        await asyncio.sleep(_TIDY_EVERY)
                        await self._tidy()
                finally:
                    self._group = None
                    for copy in self._copies():
                        copy.stop()
        finally:
            for known in self._awake.values():
                for copy in known.copies.values():
                    await self._save(known, copy)
                    copy.close()

    # --- verbs ------------------------------------------------------------------------------------

    async def add(self, content: WebContent) -> SourceId:
        """Add a source, or return the one that has the same addresses.

        What is said later of that one counts: by which road it is fetched from then on, say.

        Raises:
            BadWebSourceError: there is nothing in it that could be fetched.
        """
        content.check()
        async with self._waking:
            known = self._note(await self._store.add(content))
            earlier, known.content = known.content, content
            if (earlier.via, earlier.own) != (content.via, content.own):
                for copy in list(known.copies.values()):
                    await self._retire(known, copy)
            return known.id

    async def probe(self, file: WebFile, *, via: Via, own: Sequence[str] = ()) -> Facts:
        """Return what a file's server says of it, without making it a source.

        Args:
            file: which.
            via: by which road.
            own: origins that may be on a private network.

        Raises:
            SourceFailedError: it does not give it.
            EgressError: there is no answer.
            TunnelDownError: there is no way out.
        """
        return await probe(file, http=self._http[via], allow=own)

    @property
    def ids(self) -> Collection[SourceId]:
        """The ids of all of them."""
        return self._known.keys()

    def __contains__(self, source_id: object) -> bool:
        return source_id in self._known

    def sources(self) -> Sequence[Source]:
        """Return all of them, in the order in which they were added."""
        return [self._describe(known) for known in self._known.values()]

    def newest_first(self) -> Sequence[tuple[float, SourceId]]:
        """Return the place and the id of each, in ascending order; the newest is the first."""
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

    @asynccontextmanager
    async def reader(self, source_id: SourceId, file: int | None) -> AsyncIterator[Reader]:
        """Read a file of a source, or its main file, for the length of the block.

        Raises:
            NoSourceError: no such source or file.
            NoDataError: its server did not tell in time how long it is.
            TunnelDownError: nor could it, for there is no way to it.
            StorageFullError: there is no room for it.
            SourceFailedError: it cannot be played.
        """
        known = self._find(source_id)
        index = known.main_file() if file is None else known.check(file)
        copy = await self._met(known, index)
        copy.last_used = asyncio.get_running_loop().time()
        yield Reader(
            content=copy,
            layout=copy.blocks.layout,
            file=copy.blocks.file,
            path=copy.holding.path,
            etag=copy.holding.etag,
            longest=SPAN_MAXIMUM if copy.complete else _LONGEST,
        )

    async def preload(self, source_id: SourceId, spans: Sequence[Span], *, rank: int = 0) -> None:
        """Fetch parts of a source's files while nobody waits for anything; they replace the last.

        Args:
            source_id: the source.
            spans: in the order in which they are wanted, of each up to the 32 MiB that are fetched
                ahead of a reader; what is beyond a file's end is left out.
            rank: for the sake of those who ask torrents the same; each file has its own connection.

        Raises:
            NoSourceError: there is no such source, or it has no such file.
        """
        known = self._find(source_id)
        indexes = {known.check(index) for index, _, _ in spans}
        for index in indexes:
            copy = await self._wake(known, index)
            copy.preload(tuple((start, stop) for of, start, stop in spans if of == index))
        for index, copy in known.copies.items():
            if index not in indexes:
                copy.preload(())

    def stop_preload(self, source_id: SourceId) -> None:
        """Want nothing of a preload any more; what has come stays on the disk."""
        if (known := self._known.get(source_id)) is not None:
            for copy in known.copies.values():
                copy.preload(())

    def preloaded(self, source_id: SourceId) -> bool:
        """Whether all that was asked of a source is on the disk."""
        known = self._known.get(source_id)
        return (
            known is not None
            and any(copy.preloads for copy in known.copies.values())
            and all(copy.is_preloaded() for copy in known.copies.values())
        )

    async def remove(self, source_id: SourceId) -> None:
        """Forget a source and delete its files.

        Raises:
            NoSourceError: there is none of this id.
        """
        async with self._waking:
            known = self._find(source_id)
            for copy in known.copies.values():
                copy.close()
            await self._store.remove(source_id)
            del self._known[source_id]
            self._awake.pop(source_id, None)
            self._newest = None
            # A crash before leaves an orphan, which the next start removes.
            await asyncio.to_thread(self._downloads.remove, source_id)
        self._changes.note(source_id)

    async def discard(self, source_id: SourceId) -> None:
        """Delete what was downloaded of a source, and go on knowing it.

        Raises:
            NoSourceError: there is none of this id.
            SourceInUseError: somebody reads of it.
        """
        async with self._waking:
            known = self._find(source_id)
            self._require_unread(source_id)
            for copy in known.copies.values():
                copy.close()
            known.copies.clear()
            self._awake.pop(source_id, None)
            for index in list(known.files):
                await self._store.forget_file(source_id, index)
            known.files.clear()
            await asyncio.to_thread(self._downloads.remove, source_id)
        self._changes.note(source_id)

    async def pause(self, source_id: SourceId) -> None:
        """Fetch nothing more of a source until somebody plays it, or resumes it.

        Raises:
            NoSourceError: there is none of this id.
            SourceInUseError: somebody reads of it.
        """
        async with self._waking:
            known = self._find(source_id)
            self._require_unread(source_id)
            for copy in list(known.copies.values()):
                await self._retire(known, copy)
        self._changes.note(source_id)

    async def resume(self, source_id: SourceId) -> None:
        """Be ready to go on with a source's main file; readers and preloads say what is fetched.

        Raises:
            NoSourceError: there is none of this id.
            MiauflixdError: its server does not say how long it is.
        """
        known = self._find(source_id)
        await self._met(known, known.main_file())

    def _require_unread(self, source_id: SourceId) -> None:
        if self.is_read(source_id):
            raise SourceInUseError("Somebody is watching this")

    def is_read(self, source_id: SourceId) -> bool:
        """Return whether somebody reads of a source now."""
        known = self._known.get(source_id)
        return known is not None and any(copy.readers for copy in known.copies.values())

    @property
    def readers(self) -> int:
        """How many read a file of any of them now."""
        return sum(copy.readers for copy in self._copies())

    @property
    def downloads(self) -> int:
        """How many want something from their servers now."""
        return sum(
            any(copy.wanting for copy in known.copies.values()) for known in self._awake.values()
        )

    @property
    def hungry(self) -> bool:
        """Whether some reader waits."""
        return any(copy.starving for copy in self._copies())

    def configure(self, settings: TorrentsSettings) -> None:
        """Use other limits from now on."""
        self._settings = settings

    # --- copies -----------------------------------------------------------------------------------

    def _find(self, source_id: SourceId) -> Known:
        if (known := self._known.get(source_id)) is None:
            raise NoSourceError("There is no such source")
        return known

    def _note(self, stored: StoredWebSource) -> Known:
        if (known := self._known.get(stored.id)) is None:
            known = Known(stored, since=self._clock())
            self._known[stored.id] = known
            self._newest = None
            self._changes.note(stored.id)
        return known

    def _describe(self, known: Known) -> Source:
        return describe(known, now=self._clock())

    def _copies(self) -> list[Copy]:
        return [copy for known in self._awake.values() for copy in known.copies.values()]

    async def _met(self, known: Known, index: int) -> Copy:
        """Return a copy of a file whose size is known, and which is still the server's, if it says.

        Raises:
            MiauflixdError: nobody says how long it is.
        """
        await self._started.wait()
        copy = await self._wake(known, index)
        first = copy.facts is None
        await copy.meet(self._settings.no_data_timeout if first else _CONFIRM_WITHIN)
        if copy.changed:
            # It was replaced since we had a part of it: begin with the one that is there now.
            copy = await self._wake(known, index)
            await copy.meet(self._settings.no_data_timeout)
        if copy.facts is None:
            raise copy.not_met()
        return copy

    async def _wake(self, known: Known, index: int) -> Copy:
        """Return the copy of a file; one that is over makes room for a new one."""
        async with self._waking:
            if known.id not in self._known:
                raise NoSourceError("There is no such source")
            copy = known.copies.get(index)
            if copy is not None and copy.over:
                await self._retire(known, copy)
                copy = None
            if copy is None:
                copy = await self._open(known, index)
                known.copies[index] = copy
                self._awake[known.id] = known
            copy.last_used = asyncio.get_running_loop().time()
            return copy

    async def _open(self, known: Known, index: int) -> Copy:
        copy = Copy(
            file=known.content.files[index],
            index=index,
            path=self._path(known, index),
            around=Circumstances(
                http=self._http[known.content.via],
                allow=known.content.own,
                servers=self._servers,
                spawn=self._spawn,
                on_change=lambda: self._changes.note(known.id),
                may_preload=lambda: not self.hungry,
                patience=self._settings.no_data_timeout,
            ),
        )
        if (stored := known.files.get(index)) is not None:
            try:
                local = await asyncio.to_thread(_reopened, copy.holding.path, stored.facts.size)
            except OSError as error:
                raise SourceFailedError("The file on the disk cannot be opened") from error
            if local is not None:
                copy.holding.use(stored.facts, stored.have, local)
        copy.set_room(room=await self._is_room(known))
        return copy

    async def _retire(self, known: Known, copy: Copy) -> None:
        """Let go of a copy: what it has stays, unless it is of a version that is no more."""
        copy.stop()
        if copy.changed:
            async with copy.holding.saving:
                known.files.pop(copy.index, None)
                await self._store.forget_file(known.id, copy.index)
                # Whoever still sends from it has it open, and goes on doing so.
                await asyncio.to_thread(copy.holding.path.unlink, missing_ok=True)
        else:
            await self._save(known, copy)
        copy.close()
        if known.copies.get(copy.index) is copy:
            del known.copies[copy.index]
        if not known.copies:
            self._awake.pop(known.id, None)

    def _path(self, known: Known, index: int) -> Path:
        return self._downloads.path(known.id) / str(index)

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        if self._group is None:
            work.close()
            return None
        return self._group.create_task(work, name=name)

    # --- what time brings -------------------------------------------------------------------------

    async def _tidy(self) -> None:
        for known in list(self._awake.values()):
            for copy in list(known.copies.values()):
                try:
                    await self._look_after(known, copy)
                except (MiauflixdError, OSError) as error:
                    # A disk that is full, say: there is another look in a moment.
                    logger.warning("A web source cannot be looked after now: %s", _in_words(error))

    async def _look_after(self, known: Known, copy: Copy) -> None:
        await self._save(known, copy)
        copy.measure(_TIDY_EVERY)
        if copy.wanting or copy.no_room:
            copy.set_room(room=await self._is_room(known, copy))
        if copy.is_idle(_LINGER):
            async with self._waking:
                if copy.is_idle(_LINGER) and known.copies.get(copy.index) is copy:
                    await self._retire(known, copy)
            self._changes.note(known.id)
        elif copy.preloads:
            copy.replan()

    async def _is_room(self, known: Known, copy: Copy | None = None) -> bool:
        minimum = self._settings.minimum_free
        if copy is not None and copy.no_room:
            minimum += _ROOM_AGAIN
        # A thread's work: a network file system that hangs would hold up everybody.
        return await asyncio.to_thread(self._downloads.free) >= minimum

    async def _save(self, known: Known, copy: Copy) -> None:
        """Keep what is here of a file, once its bytes have reached the disk."""
        holding = copy.holding
        async with holding.saving:
            if not holding.dirty or holding.facts is None or copy.changed:
                return
            # First what is here, and then the flush: it covers all of that.
            file = StoredFile(facts=holding.facts, have=copy.blocks.bits)
            holding.dirty = False
            kept = False
            try:
                await asyncio.to_thread(holding.flush)
                # Of a version that is no more nothing is kept, even if that is news.
                if not _is_changed(copy):
                    await self._store.save(known.id, copy.index, file)
                    known.files[copy.index] = file
                kept = True
            except (MiauflixdError, OSError) as error:
                logger.warning("What has come cannot be kept yet: %s", _in_words(error))
            finally:
                # Also when it is cut short: what stops us saves once more, last of all.
                holding.dirty = holding.dirty or not kept


def _is_changed(copy: Copy) -> bool:
    return copy.changed


def _in_words(error: MiauflixdError | OSError) -> str:
    """Return what happened without what it happened to: paths and names are nobody's business."""
    return error.code if isinstance(error, MiauflixdError) else str(error.strerror)


def _reopened(path: Path, size: int) -> LocalFile | None:
    """Return the file if it is there as it was; it blocks."""
    try:
        if path.is_symlink() or path.stat().st_size != size:
            return None
    except FileNotFoundError:
        return None
    return LocalFile.open(path, size=size)
