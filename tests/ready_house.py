"""Sources over a real database and swarms of a test's own, with all that gets them ready."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from miauflixd.auth.model import UserId
from miauflixd.catalogue.model import Progress, TitleId
from miauflixd.runtime.priority import Priority
from miauflixd.runtime.services import running
from miauflixd.sources.counting import Counting
from miauflixd.sources.directories.directory import TorrentBytes
from miauflixd.sources.listing_model import Listing, ListingId
from miauflixd.sources.offers import Offer
from miauflixd.sources.opening import Opening
from miauflixd.sources.playing import Playing
from miauflixd.sources.preload_plan import Onlooker
from miauflixd.sources.preload_store import PreloadStore
from miauflixd.sources.preloading import Preloading
from miauflixd.sources.ranking import Preference
from miauflixd.torrents.magnet import Magnet, from_info_hash
from tests.catalogue_titles import NOON
from tests.sources_house import FakeDirectory, House, open_house
from tests.swarm_fakes import FakeSwarms

ANNA = UserId("anna")
FILM = "Big.Cat.2019.1080p.WEB-DL.H264.AAC-GRP"
GB = 2**30


@dataclass
class TorrentDirectory(FakeDirectory):
    """A directory that gives `.torrent` files, or fails to."""

    files: dict[str, bytes | str | Exception] = field(default_factory=dict)
    """By the names of offers: a file, or the info-hash of a link."""
    resolved: list[str] = field(default_factory=list)

    async def resolve(self, offer: Offer, *, priority: Priority) -> Magnet | TorrentBytes:
        self.resolved.append(offer.name)
        match self.files[offer.name]:
            case Exception() as error:
                raise error
            case bytes() as data:
                return TorrentBytes(data)
            case str() as link:
                return from_info_hash(link)


@dataclass
class Watched:
    """How far people are."""

    positions: dict[TitleId, tuple[float, float]] = field(default_factory=dict)

    async def progress(
        self, user_id: UserId, ids: Collection[TitleId], /
    ) -> Mapping[TitleId, Progress]:
        return {
            title_id: Progress(
                title_id=title_id,
                position=self.positions[title_id][0],
                duration=self.positions[title_id][1],
                watched=False,
                updated_at=NOON,
            )
            for title_id in ids
            if title_id in self.positions
        }


@dataclass
class ReadyHouse:
    """The sources, and what gets them ready."""

    house: House
    swarms: FakeSwarms
    opening: Opening
    preloading: Preloading
    playing: Playing
    counting: Counting
    watched: Watched
    notes: PreloadStore

    async def found(self, title_id: TitleId) -> list[ListingId]:
        """Have a title searched for, and return its listings, the best first."""
        assert await self.house.search(title_id)
        return await self.house.ids(title_id)

    async def listing(self, listing_id: ListingId) -> Listing:
        return await self.house.sources.listings.listing(listing_id)

    async def file_of(self, title_id: TitleId, listing_id: ListingId) -> str | None:
        """Return the name of the file that is a title."""
        for part in await self.house.sources.listings.parts(listing_id):
            if part.title_id == title_id:
                return None if part.file is None else part.file.name
        return None

    async def open(self, listing_id: ListingId) -> ListingId:
        return await self.opening.open(listing_id, priority=Priority.WAITED_FOR, within=5.0)


def anna(**liked: Any) -> Onlooker:
    return Onlooker(user_id=ANNA, preference=Preference(**liked))


@asynccontextmanager
async def open_ready(
    folder: Path, *directories: FakeDirectory, preloads: bool = False
) -> AsyncIterator[ReadyHouse]:
    """Have all of it for the length of the block; preloading only works where a test wants it."""
    async with open_house(folder, *directories) as house:
        swarms, watched = FakeSwarms(), Watched()
        notes = PreloadStore(database=house.database)
        opening = Opening(
            sources=house.sources,
            titles=house.titles,
            swarms=swarms,
            stock=swarms,
        )
        preloading = Preloading(
            sources=house.sources,
            opening=opening,
            stock=swarms,
            watched=watched,
            notes=notes,
            clock=house.clock,
        )
        ready = ReadyHouse(
            house=house,
            swarms=swarms,
            opening=opening,
            preloading=preloading,
            playing=Playing(
                sources=house.sources, opening=opening, stock=swarms, preloading=preloading
            ),
            counting=Counting(
                sources=house.sources, swarms=swarms, clock=house.clock, chance=lambda: 0.5
            ),
            watched=watched,
            notes=notes,
        )
        if not preloads:
            yield ready
            return
        async with running("preloading", preloading.run):
            yield ready


async def until(condition: Any, *, within: float = 5.0) -> None:
    """Let others go on until something is true."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)
