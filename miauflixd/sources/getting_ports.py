"""What getting ready wants of others."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from miauflixd.auth.model import UserId
from miauflixd.catalogue.model import Progress, TitleId
from miauflixd.runtime.priority import Priority
from miauflixd.sources.offers import Offer
from miauflixd.sources.preload_plan import Span
from miauflixd.torrents.magnet import Magnet
from miauflixd.torrents.model import Fetched, Source, SourceId, Swarm


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


class Torrents(Protocol):
    """The sources that come from peers."""

    async def add_magnet(self, uri: str, /, *, wake: bool) -> SourceId:
        """Add a source by its link; without `wake` it stays out of the swarm for now."""
        ...

    async def add_metainfo(self, metainfo: bytes, /, *, wake: bool) -> SourceId:
        """Add a source by its `.torrent` file; its layout is known afterwards."""
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


class WebSources(Protocol):
    """The sources that come from servers."""

    async def add(self, offer: Offer, /) -> SourceId:
        """Add what an offer names; its files are those of the offer, in its order."""
        ...

    def source(self, source_id: SourceId, /) -> Source:
        """Return one; raises `NoSourceError`."""
        ...


class Preloads(Protocol):
    """What the engine fetches ahead, as `torrents.preloading.Preloading` does."""

    async def preload(self, source_id: SourceId, spans: Sequence[Span], /, *, rank: int) -> None:
        """Fetch parts of a source's files; what was asked of it before is replaced."""
        ...

    def stop_preload(self, source_id: SourceId, /) -> None:
        """Want nothing of it any more."""
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
