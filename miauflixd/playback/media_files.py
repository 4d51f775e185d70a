"""Files of sources, opened as media: what they hold, what is made of them, what is said in them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from miauflixd.errors import NotFoundError
from miauflixd.playback.errors import UnplayableFileError, WorkerDiedError
from miauflixd.playback.media_store import MediaStore
from miauflixd.playback.model import Recipe
from miauflixd.playback.ports import Readers
from miauflixd.playback.segments import Film, Job, Viewing
from miauflixd.playback.settings import PlaybackSettings
from miauflixd.playback.texts import Texts
from miauflixd.playback.worker import Worker
from miauflixd.playback.workers import Workers
from miauflixd.remuxer.media import Media, SubtitlePacket
from miauflixd.remuxer.messages import Read
from miauflixd.runtime.services import running
from miauflixd.torrents.model import SourceId

_TIDY_EVERY = 60.0
"""Seconds between looks at what nobody watches any more."""

_FORGOTTEN = 600.0
"""Seconds after which the segments of a film that nobody asks for are forgotten."""


class NoTrackError(NotFoundError):
    """The file has no such track."""

    code = "no_track"


@dataclass(slots=True)
class _File:
    """What is known of one file while the daemon runs."""

    source_id: SourceId
    index: int
    probing: asyncio.Lock = field(default_factory=asyncio.Lock)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Each held while something is found out: whoever asks for the same waits for it, and who has
    only to know what the file holds does not wait for subtitles that are still to come."""
    media: Media | None = None
    unplayable: str = ""
    texts: Texts = field(default_factory=Texts)
    films: dict[Recipe, Film] = field(default_factory=dict)
    used_at: float = 0.0


class MediaFiles:
    """Opens files in workers; the port of the same name."""

    def __init__(
        self,
        *,
        sources: Readers,
        store: MediaStore,
        workers: Workers,
        group: asyncio.TaskGroup,
    ) -> None:
        self._sources = sources
        self._store = store
        self._workers = workers
        self._group = group
        self._files: dict[tuple[SourceId, int], _File] = {}
        self._jobs: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, *, settings: PlaybackSettings, sources: Readers, store: MediaStore
    ) -> AsyncIterator[Self]:
        """Be there for the length of the block.

        Args:
            settings: how many films at the same time.
            sources: where their bytes are.
            store: what is known of them.
        """
        workers = Workers(most=settings.workers)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(running("workers", workers.run))
            group = await stack.enter_async_context(asyncio.TaskGroup())
            files = cls(sources=sources, store=store, workers=workers, group=group)
            tidying = group.create_task(files._tidy(), name="media files")
            try:
                yield files
            finally:
                tidying.cancel()
                for task in files._jobs:
                    task.cancel()

    async def probe(self, source_id: SourceId, file: int | None) -> Media:
        """See the port."""
        known = await self._known(source_id, file)
        return await self._media(known)

    async def hls(
        self, source_id: SourceId, file: int | None, recipe: Recipe, *, start: float = 0.0
    ) -> Viewing:
        """See the port."""
        known = await self._known(source_id, file)
        media = await self._media(known)
        film = known.films.get(recipe)
        if film is None:
            try:
                film = Film(
                    media=media,
                    recipe=recipe,
                    texts=known.texts,
                    worker=lambda: self._worker(known.source_id, known.index),
                )
            except ValueError as error:
                raise UnplayableFileError(str(error)) from error
            known.films[recipe] = film
        return Viewing(film, start=start, spawn=self._spawn)

    async def subtitles(
        self, source_id: SourceId, file: int | None, *, track: int, start: float, stop: float
    ) -> Sequence[SubtitlePacket]:
        """See the port."""
        known = await self._known(source_id, file)
        media = await self._media(known)
        tracks = tuple(one.index for one in media.subtitles if one.kind == "text")
        if track not in tracks:
            raise NoTrackError("The film has no such subtitles")
        stop = stop if media.duration is None else min(stop, media.duration)
        async with known.reading:
            for low, high in known.texts.missing(max(0.0, start), stop):
                await self._read(known, Read(texts=tracks, start=low, stop=high))
        return known.texts.between(track, start, stop)

    async def attachment(self, source_id: SourceId, file: int | None, index: int) -> bytes:
        """See the port."""
        known = await self._known(source_id, file)
        media = await self._media(known)
        if index not in {one.index for one in media.attachments}:
            raise NoTrackError("The film has no such attachment")
        async with self._worker(known.source_id, known.index) as worker:
            return await worker.attachment(index)

    # --- one file ---------------------------------------------------------------------------------

    async def _known(self, source_id: SourceId, file: int | None) -> _File:
        if file is None:
            async with self._sources.reader(source_id, None) as reader:
                file = reader.file.index
        known = self._files.setdefault((source_id, file), _File(source_id, file))
        known.used_at = asyncio.get_running_loop().time()
        return known

    async def _media(self, known: _File) -> Media:
        """Return what a file holds, found out now if need be."""
        async with known.probing:
            if known.unplayable:
                raise UnplayableFileError(known.unplayable)
            if known.media is None:
                known.media = await self._store.get(known.source_id, known.index)
            if known.media is None:
                try:
                    known.media = await self._probed(known)
                except UnplayableFileError as error:
                    known.unplayable = str(error)
                    raise
                await self._store.put(known.source_id, known.index, known.media)
            return known.media

    async def _probed(self, known: _File) -> Media:
        try:
            async with self._worker(known.source_id, known.index) as worker:
                return await worker.probe()
        except WorkerDiedError:
            # Once more: it may have been somebody's doing, and a bad file does it again.
            async with self._worker(known.source_id, known.index) as worker:
                try:
                    return await worker.probe()
                except WorkerDiedError as error:
                    raise UnplayableFileError(
                        "This file cannot be played: it breaks what opens it"
                    ) from error

    async def _read(self, known: _File, wanted: Read) -> None:
        at = wanted.start
        async with (
            self._worker(known.source_id, known.index) as worker,
            aclosing(worker.read(wanted)) as told,
        ):
            async for texts in told:
                known.texts.add(texts.texts)
                known.texts.know(at, texts.passed)
                at = texts.passed

    @asynccontextmanager
    async def _worker(self, source_id: SourceId, index: int) -> AsyncIterator[Worker]:
        async with (
            self._sources.reader(source_id, index) as reader,
            self._workers.worker(reader) as worker,
        ):
            yield worker

    # --- jobs -------------------------------------------------------------------------------------

    @property
    def jobs(self) -> int:
        """How many films are being made into segments now."""
        return sum(len(film.jobs) for one in self._files.values() for film in one.films.values())

    def _spawn(self, job: Job) -> "asyncio.Task[None]":
        task = self._group.create_task(job.run(), name="film")
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task

    async def _tidy(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TIDY_EVERY)
            for key, known in list(self._files.items()):
                locked = known.probing.locked() or known.reading.locked()
                busy = locked or any(film.jobs for film in known.films.values())
                if not busy and loop.time() - known.used_at > _FORGOTTEN:
                    del self._files[key]
