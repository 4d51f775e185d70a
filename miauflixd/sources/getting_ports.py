"""What getting ready wants of others."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from miauflixd.auth.model import UserId
from miauflixd.catalogue.model import Progress, TitleId
from miauflixd.runtime.priority import Priority
from miauflixd.sources.preload_plan import Span
from miauflixd.torrents.magnet import Magnet
from miauflixd.torrents.model import Fetched, Source, SourceId, Swarm
from miauflixd.web_files.model import WebContent


class Swarms(Protocol):
    """What can be asked of swarms without a source, as `torrents.questions.Questions` does."""

    async def inspect(self, metainfo: bytes, /) -> Fetched:
        """Return what a `.torrent` file says; raises `BadTorrentError`."""
        ...

    async def fetch_metadata(
        self, magnet_uri: str, /, *, within: float, priority: Priority
    ) -> Fetched:
        """Return what a magnet link leads to; raises `NoDataError`, `SourceFailedError`."""
        ...

    async def scrape(
        self, targets: Sequence[Magnet], /, *, within: float, priority: Priority
    ) -> Mapping[bytes, Swarm]:
        """Return how many are in each swarm, by info-hash; what nobody tells is missing."""
        ...


class Stock(Protocol):
    """All sources, out of swarms and off the web, as `web_files.everything.Everything` has them."""

    async def add_magnet(self, uri: str, /, *, wake: bool) -> SourceId:
        """Add a source by its link; without `wake` it stays out of the swarm for now."""
        ...

    async def add_metainfo(self, metainfo: bytes, /, *, wake: bool) -> SourceId:
        """Add a source by its `.torrent` file; its layout is known afterwards."""
        ...

    async def add_web_content(self, content: WebContent, /) -> SourceId:
        """Add a source that comes from a server; raises `BadWebSourceError`."""
        ...

    def source(self, source_id: SourceId, /) -> Source:
        """Return one; raises `NoSourceError`."""
        ...

    async def remove(self, source_id: SourceId, /) -> None:
        """Forget one, and what was downloaded of it; raises `NoSourceError`."""
        ...

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[SourceId]]:
        """Follow them: an id whenever that source has changed."""
        ...

    @property
    def hungry(self) -> bool:
        """Whether somebody's stream waits for its data."""
        ...

    async def preload(self, source_id: SourceId, spans: Sequence[Span], /, *, rank: int) -> None:
        """Fetch parts of a source's files; what was asked of it before is replaced."""
        ...

    def stop_preload(self, source_id: SourceId, /) -> None:
        """Want nothing more of a preload; what has come stays."""
        ...

    def preloaded(self, source_id: SourceId, /) -> bool:
        """Whether all that was asked is on the disk."""
        ...


class Watched(Protocol):
    """What somebody has watched already."""

    async def progress(
        self, user_id: UserId, ids: Collection[TitleId], /
    ) -> Mapping[TitleId, Progress]:
        """Return how far somebody is with these."""
        ...


class PreloadNotes(Protocol):
    """What has been fetched though nobody has played it; it outlives the process."""

    async def add(self, source_id: SourceId, size: int, /, *, at: datetime) -> None:
        """Remember a source."""
        ...

    async def remove(self, source_id: SourceId, /) -> None:
        """Forget one; nothing happens when it is not known."""
        ...

    async def all(self) -> Mapping[SourceId, int]:
        """Return the bytes of each, the oldest first."""
        ...
