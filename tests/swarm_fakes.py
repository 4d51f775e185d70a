"""Swarms, and sources of them, without an engine."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from miauflixd.runtime.changes import Changes
from miauflixd.runtime.priority import Priority
from miauflixd.torrents.magnet import Magnet, parse_magnet
from miauflixd.torrents.model import (
    Activity,
    BadTorrentError,
    Condition,
    Fetched,
    Layout,
    NoSourceError,
    Source,
    SourceFile,
    SourceId,
    Swarm,
)
from miauflixd.torrents.reader import NoDataError
from miauflixd.tunnel.errors import TunnelDownError
from miauflixd.web_files.model import WebContent
from tests.sources_house import info_hash

MIB = 2**20
_NOON = datetime(2025, 6, 1, 12, 0, tzinfo=UTC)


def laid_out(files: Mapping[str, int]) -> tuple[SourceFile, ...]:
    """Return files of these sizes, one behind the other."""
    found = []
    offset = 0
    for index, (name, size) in enumerate(files.items()):
        found.append(SourceFile(index=index, name=name, size=size, offset=offset))
        offset += size
    return tuple(found)


def torrent(number: int, files: Mapping[str, int], *, name: str = "a torrent") -> Fetched:
    """Return the torrent of this number, whose `.torrent` file is no real one."""
    return Fetched(
        metainfo=f"d{number}e".encode(),
        info_hashes=(bytes.fromhex(info_hash(number)),),
        name=name,
        files=laid_out(files),
        total_size=sum(files.values()),
    )


@dataclass
class FakeSwarms:
    """All swarms that there are, by the numbers of their torrents, and the sources made of them.

    What a swarm holds is known to whoever asks, unless a test says that it hesitates.
    """

    torrents: dict[int, Fetched] = field(default_factory=dict)
    counts: dict[int, tuple[int, int]] = field(default_factory=dict)
    silent: set[int] = field(default_factory=set)
    """Nobody in these swarms says anything."""
    hesitates: asyncio.Event | None = None
    """Until it is set nobody says anything at all."""
    is_up: bool = True
    hungry: bool = False
    piece_length: int = MIB

    def __post_init__(self) -> None:
        self.asked: list[int] = []
        self.scrapes: list[int] = []
        """How many were asked about at once."""
        self.given_up: list[int] = []
        self.sources: dict[SourceId, Fetched | None] = {}
        self.served: list[WebContent] = []
        self.awake: set[SourceId] = set()
        self.preloads: dict[SourceId, tuple[tuple[tuple[int, int, int], ...], int]] = {}
        self.ever_preloaded: list[SourceId] = []
        self.here: set[SourceId] = set()
        self.readers: dict[SourceId, int] = {}
        self._changes = Changes[SourceId]()

    def put(self, number: int, files: Mapping[str, int], *, name: str = "a torrent") -> None:
        self.torrents[number] = torrent(number, files, name=name)

    # --- what is asked of swarms ------------------------------------------------------------------

    async def inspect(self, metainfo: bytes, /) -> Fetched:
        for held in self.torrents.values():
            if held.metainfo == metainfo:
                return held
        raise BadTorrentError("This is not a .torrent file")

    async def fetch_metadata(
        self, magnet_uri: str, /, *, within: float, priority: Priority
    ) -> Fetched:
        number = self._number(parse_magnet(magnet_uri))
        self.asked.append(number)
        if not self.is_up:
            raise TunnelDownError("The tunnel is down")
        if self.hesitates is not None:
            try:
                await self.hesitates.wait()
            except asyncio.CancelledError:
                self.given_up.append(number)
                raise
        if number in self.silent:
            raise NoDataError("Nobody told")
        return self.torrents[number]

    async def scrape(
        self, targets: Sequence[Magnet], /, *, within: float, priority: Priority
    ) -> Mapping[bytes, Swarm]:
        if not self.is_up:
            raise TunnelDownError("The tunnel is down")
        self.scrapes.append(len(targets))
        told = {}
        for magnet in targets:
            if (counts := self.counts.get(self._number(magnet))) is not None:
                told[magnet.hashes[0]] = Swarm(seeders=counts[0], leechers=counts[1], at=_NOON)
        return told

    def _number(self, magnet: Magnet) -> int:
        for number in range(200):
            if bytes.fromhex(info_hash(number)) in magnet.hashes:
                return number
        raise AssertionError("a swarm that no test has made")

    # --- sources ----------------------------------------------------------------------------------

    async def add_magnet(self, uri: str, /, *, wake: bool = True) -> SourceId:
        return self._add(self._number(parse_magnet(uri)), None, wake=wake)

    async def add_metainfo(self, metainfo: bytes, /, *, wake: bool = True) -> SourceId:
        held = await self.inspect(metainfo)
        number = next(number for number, one in self.torrents.items() if one is held)
        return self._add(number, held, wake=wake)

    def _add(self, number: int, held: Fetched | None, *, wake: bool) -> SourceId:
        source_id = SourceId(f"source-{number}")
        self.sources[source_id] = held or self.sources.get(source_id)
        if wake:
            self.awake.add(source_id)
        return source_id

    async def add_web_content(self, content: WebContent, /) -> SourceId:
        source_id = SourceId(f"web-{len(self.served)}")
        self.served.append(content)
        self.sources[source_id] = None
        return source_id

    def source(self, source_id: SourceId, /) -> Source:
        if source_id not in self.sources:
            raise NoSourceError("There is no such source")
        held = self.sources[source_id]
        layout = None
        if held is not None:
            layout = Layout(
                name=held.name,
                piece_length=self.piece_length,
                total_size=held.total_size,
                files=held.files,
            )
        return Source(
            id=source_id,
            name=None if held is None else held.name,
            added_at=_NOON,
            condition=Condition(activity=Activity.IDLE, since=_NOON, reason="", next=""),
            layout=layout,
            readers=self.readers.get(source_id, 0),
        )

    async def remove(self, source_id: SourceId, /) -> None:
        self.source(source_id)
        del self.sources[source_id]
        self.awake.discard(source_id)

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[SourceId]]:
        async with self._changes.listen() as ids:
            yield ids

    # --- preloads ---------------------------------------------------------------------------------

    async def preload(
        self, source_id: SourceId, spans: Sequence[tuple[int, int, int]], /, *, rank: int
    ) -> None:
        self.source(source_id)
        self.preloads[source_id] = tuple(spans), rank
        self.ever_preloaded.append(source_id)

    def stop_preload(self, source_id: SourceId, /) -> None:
        self.preloads.pop(source_id, None)

    def preloaded(self, source_id: SourceId, /) -> bool:
        return source_id in self.here

    def arrive(self, source_id: SourceId) -> None:
        """Let all that was asked of a source be here."""
        self.here.add(source_id)
        self._changes.note(source_id)
