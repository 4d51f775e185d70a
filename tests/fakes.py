"""Stand-ins with behaviour for what is costly to have in a test."""

import hashlib
import io
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from miauflixd.jobs.model import AlreadyRunningError, LastRun, NoTaskError, TaskView
from miauflixd.runtime.changes import Changes
from miauflixd.torrents.model import (
    Activity,
    BadTorrentError,
    Condition,
    Layout,
    NoSourceError,
    Source,
    SourceFile,
    SourceId,
    SourceInUseError,
)
from miauflixd.torrents.reader import Span

_PIECE = 2**14
_EPOCH = datetime(2024, 5, 1, 20, 15, tzinfo=UTC)


class FakeReader:
    """Reads a file whose bytes are all in memory; `breaks` is raised behind the byte it names."""

    def __init__(
        self, *, file: SourceFile, content: bytes, breaks: tuple[int, Exception] | None
    ) -> None:
        self.file = file
        self._content = content
        self._breaks = breaks

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self._content).hexdigest()[:16]}"'

    async def spans(self, start: int, stop: int) -> AsyncGenerator[Span, None]:
        end, error = self._breaks or (stop, None)
        with io.FileIO(os.memfd_create("film"), "r+") as film:
            film.write(self._content)
            if start < min(end, stop):
                yield Span(film, start, min(end, stop) - start)
            if error is not None and end < stop:
                raise error


@dataclass(kw_only=True)
class FakeTorrents:
    """The sources of a house without a swarm.

    A magnet link is anything that begins like one, a `.torrent` file anything that looks bencoded.
    The first learns what it holds when a test says so (`learn`), the second at once.
    """

    breaks: tuple[int, Exception] | None = None
    """At which byte readers fail, and with what."""

    def __post_init__(self) -> None:
        self._sources: dict[SourceId, Source] = {}
        self._contents: dict[SourceId, Mapping[str, bytes]] = {}
        self._changes = Changes[SourceId]()

    async def add_magnet(self, uri: str, *, wake: bool = True) -> SourceId:
        if not uri.startswith("magnet:?xt="):
            raise BadTorrentError("This is not a magnet link")
        return self._add(uri.encode())

    async def add_info_hash(self, text: str) -> SourceId:
        if len(text) not in {40, 64}:
            raise BadTorrentError("An info-hash has 40 or 64 hexadecimal digits")
        return self._add(text.encode())

    async def add_metainfo(self, metainfo: bytes, *, wake: bool = True) -> SourceId:
        if not (metainfo.startswith(b"d") and metainfo.endswith(b"e")):
            raise BadTorrentError("This is not a .torrent file")
        source_id = self._add(metainfo)
        self.learn(source_id, name="A film", files={"film.mkv": metainfo})
        return source_id

    def sources(self) -> list[Source]:
        return list(self._sources.values())

    def newest_first(self) -> list[tuple[float, SourceId]]:
        return sorted((-one.added_at.timestamp(), one.id) for one in self._sources.values())

    def source(self, source_id: SourceId) -> Source:
        try:
            return self._sources[source_id]
        except KeyError:
            raise NoSourceError("There is no such source") from None

    async def remove(self, source_id: SourceId) -> None:
        self.source(source_id)
        del self._sources[source_id]
        self._changes.note(source_id)

    async def discard(self, source_id: SourceId) -> None:
        if self.reading(source_id):
            raise SourceInUseError("Somebody is watching this")
        self.update(source_id, have=0)

    async def pause(self, source_id: SourceId) -> None:
        self._become(source_id, Activity.DORMANT)

    async def resume(self, source_id: SourceId) -> None:
        self._become(source_id, Activity.DOWNLOADING)

    def _become(self, source_id: SourceId, activity: Activity) -> None:
        condition = replace(self.source(source_id).condition, activity=activity)
        self.update(source_id, condition=condition)

    def knows(self, source_id: SourceId) -> bool:
        return source_id in self._sources

    def reading(self, source_id: SourceId) -> bool:
        return self.source(source_id).readers > 0

    @property
    def readers(self) -> int:
        return sum(source.readers for source in self._sources.values())

    @property
    def downloads(self) -> int:
        activities = [source.condition.activity for source in self._sources.values()]
        return activities.count(Activity.DOWNLOADING)

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[SourceId]]:
        return self._changes.listen()

    @asynccontextmanager
    async def reader(self, source_id: SourceId, file: int | None) -> AsyncIterator[FakeReader]:
        layout = self.source(source_id).layout
        if layout is None:
            raise NoSourceError("Nobody has told yet what this source holds")
        chosen = layout.main_file() if file is None else layout.file(file)
        content = self._contents[source_id][chosen.name]
        yield FakeReader(file=chosen, content=content, breaks=self.breaks)

    def learn(self, source_id: SourceId, *, name: str, files: Mapping[str, bytes]) -> None:
        """Let a source know what it holds."""
        listed: list[SourceFile] = []
        offset = 0
        for index, (file, content) in enumerate(files.items()):
            size = len(content)
            listed.append(SourceFile(index=index, name=file, size=size, offset=offset))
            offset += size
        layout = Layout(name=name, piece_length=_PIECE, total_size=offset, files=tuple(listed))
        self._contents[source_id] = files
        self.update(source_id, name=name, layout=layout)

    def update(self, source_id: SourceId, **fields: Any) -> None:
        """Let something about a source change."""
        self._sources[source_id] = replace(self._sources[source_id], **fields)
        self._changes.note(source_id)

    def _add(self, content: bytes) -> SourceId:
        source_id = SourceId(hashlib.sha256(b"fake" + content).hexdigest()[:16])
        if source_id not in self._sources:
            added_at = _EPOCH + timedelta(minutes=len(self._sources))
            self._sources[source_id] = Source(
                id=source_id,
                name=None,
                added_at=added_at,
                condition=Condition(
                    activity=Activity.METADATA,
                    since=added_at,
                    reason="Only its name in the swarm is known",
                    next="Peers are asked what it holds",
                ),
                layout=None,
            )
            self._changes.note(source_id)
        return source_id


class FakeTimetable:
    """Tasks that run for as long as a test wants them to."""

    def __init__(self, *tasks: TaskView) -> None:
        self._tasks = {task.name: task for task in tasks}
        self._changes = Changes[str]()

    def tasks(self) -> list[TaskView]:
        return list(self._tasks.values())

    def task(self, name: str) -> TaskView:
        try:
            return self._tasks[name]
        except KeyError:
            raise NoTaskError("There is no such task") from None

    def trigger(self, name: str) -> TaskView:
        if name not in self._tasks:
            raise NoTaskError("There is no such task")
        if self._tasks[name].state == "running":
            raise AlreadyRunningError(f"The task {name} is running already")
        self._update(name, state="running", reason="Somebody asked for it", next=None)
        return self._tasks[name]

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        return self._changes.listen()

    def finish(self, name: str, *, took: timedelta, result: str) -> None:
        """Let a run come to its end."""
        last = LastRun(started=_EPOCH, took=took, result=result, error=None)
        self._update(name, state="idle", last=last, runs=self._tasks[name].runs + 1)

    def fail(self, name: str, reason: str) -> None:
        """Let a run come to another end."""
        last = LastRun(started=_EPOCH, took=timedelta(seconds=1), result=reason, error="broken")
        self._update(name, state="resting", reason=reason, last=last)

    def _update(self, name: str, **fields: Any) -> None:
        self._tasks[name] = replace(self._tasks[name], **fields)
        self._changes.note(name)
