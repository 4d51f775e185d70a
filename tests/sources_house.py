"""Sources over a real database, and directories that answer when a test lets them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from miauflixd.auth.model import Actor
from miauflixd.catalogue.model import (
    Audience,
    EpisodeFacts,
    Locale,
    SeasonFacts,
    TitleId,
)
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.database.database import Database
from miauflixd.runtime.http import Http
from miauflixd.runtime.priority import Priority
from miauflixd.sources.directories.directory import Capabilities, DirectoryKind, TorrentBytes
from miauflixd.sources.listing_model import ListingId
from miauflixd.sources.offers import DirectoryId, InfoHash, Offer, Query
from miauflixd.sources.ranking import Preference
from miauflixd.sources.service import Sources, TitleSources
from miauflixd.sources.settings import DirectorySpec, SourcesSettings
from miauflixd.torrents.magnet import Magnet, from_info_hash
from miauflixd.vault.sealing import Sealer
from tests.catalogue_titles import EN, NOON, movie, open_shelf, put, show
from tests.directory_fakes import FakeClock
from tests.library_house import Nowhere

ANYBODY = Audience(user_id=None, locale=EN, limit=None)
ANNA = Actor()
SEALER = Sealer(bytes(range(32)))


def info_hash(number: int) -> InfoHash:
    return InfoHash(hashlib.sha1(f"torrent {number}".encode()).hexdigest())


def offer(name: str, number: int | None = None, *, by: str = "a", **said: Any) -> Offer:
    return Offer(
        directory=DirectoryId(by),
        name=name,
        info_hash=None if number is None else info_hash(number),
        **said,
    )


@dataclass
class FakeDirectory:
    """A directory that has what a test gives it."""

    name: str
    found: Sequence[Offer] = ()
    error: Exception | None = None
    patient: bool = True
    kinds: frozenset[str] = frozenset({"movie", "episode", "season"})
    asked: list[Query] = field(default_factory=list)

    kind: DirectoryKind = "yts"

    def __post_init__(self) -> None:
        self.id = DirectoryId(self.name)
        self.title = self.name.title()
        self.released = asyncio.Event()
        if self.patient:
            self.released.set()

    def capabilities(self) -> Capabilities:
        return Capabilities(kinds=self.kinds)  # type: ignore[arg-type]  # a test's are few

    async def search(self, query: Query, *, priority: Priority) -> Sequence[Offer]:
        self.asked.append(query)
        await self.released.wait()
        if self.error is not None:
            raise self.error
        return self.found

    async def check(self) -> None:
        if self.error is not None:
            raise self.error

    async def resolve(self, offer: Offer, *, priority: Priority) -> Magnet | TorrentBytes:
        return from_info_hash(offer.info_hash or "")


@dataclass
class House:
    """Sources, and what is around them."""

    titles: TitleStore
    sources: Sources
    database: Database
    clock: FakeClock
    told: list[str]

    async def movie(self, title: str = "Big Cat", **said: Any) -> TitleId:
        said.setdefault("released", date(2019, 5, 1))
        return await put(self.titles, movie(title, **said))

    async def season(
        self, title: str = "Lantern Street", *, number: int = 1, episodes: int = 3, **said: Any
    ) -> list[TitleId]:
        """Add a season of a show, and return its episodes."""
        said.setdefault("released", date(2019, 5, 1))
        known = await put(
            self.titles,
            show(
                title,
                full=True,
                seasons=tuple(
                    SeasonFacts(number=each, episode_count=episodes)
                    for each in range(1, number + 1)
                ),
                **said,
            ),
        )
        for each in range(1, number + 1):
            facts = SeasonFacts(
                number=each,
                episode_count=episodes,
                episodes=tuple(
                    EpisodeFacts(number=place, aired=date(2019, each, place))
                    for place in range(1, episodes + 1)
                ),
            )
            await self.titles.save_season(known, facts, locale=Locale("en"), at=NOON)
        found = await self.titles.episodes(known, number, EN, None)
        return [episode.id for episode in found]

    async def search(self, title: TitleId, *, within: float = 5.0) -> bool:
        return await self.sources.search(title, within=within)

    async def of(self, title: TitleId, **liked: Any) -> TitleSources:
        return await self.sources.of_title(title, Preference(**liked), audience=ANYBODY)

    async def names(self, title: TitleId) -> list[str]:
        """Return the names of a title's listings, the best first."""
        return [one.listing.offer.name for one in (await self.of(title)).listings]

    async def ids(self, title: TitleId) -> list[ListingId]:
        return [one.listing.id for one in (await self.of(title)).listings]

    async def available(self, title: TitleId) -> bool:
        if title.kind == "episode":
            return (await self.titles.episode(title, EN, None))[1].available
        return (await self.titles.cards([title], EN, None))[title].available


@asynccontextmanager
async def open_house(
    path: Path, *directories: FakeDirectory, http: Http | None = None, **settings: Any
) -> AsyncIterator[House]:
    """Have sources with these directories, for the length of the block."""
    known = {directory.name: directory for directory in directories}
    told: list[str] = []
    clock = FakeClock()
    async with AsyncExitStack() as stack:
        titles = await stack.enter_async_context(open_shelf(path))
        sources = await stack.enter_async_context(
            Sources.open(
                settings=SourcesSettings(**({"archive": False} | settings)),
                database=titles._database,
                sealer=SEALER,
                titles=titles,
                changed=told.append,
                tunnel_http=http or Nowhere(),
                host_http=http or Nowhere(),
                clock=clock,
                build=(lambda spec: known[spec.id]) if directories else None,
            )
        )
        for name in known:
            if name not in {view.spec.id for view in sources.directories.all()}:
                await sources.directories.add(spec(name))
        await asyncio.sleep(0)
        yield House(
            titles=titles,
            sources=sources,
            database=titles._database,
            clock=clock,
            told=told,
        )


def spec(name: str, **said: Any) -> DirectorySpec:
    return DirectorySpec(
        **(
            {"id": name, "kind": "yts", "title": name.title(), "url": f"https://{name}.example"}
            | said
        )
    )
