"""From a title to its first bytes through a real swarm: libtorrent on both sides."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from miauflixd.catalogue.model import TitleId
from miauflixd.runtime.priority import Priority
from miauflixd.runtime.services import running
from miauflixd.sources.counting import Counting
from miauflixd.sources.opening import Opening, UnopenedError
from miauflixd.sources.playing import Playing
from miauflixd.sources.preload_plan import Nearness
from miauflixd.sources.preload_store import PreloadStore
from miauflixd.sources.preloading import Preloading
from miauflixd.sources.ranking import Preference
from miauflixd.torrents.model import SourceId
from miauflixd.torrents.service import Torrents
from tests.ready_house import FILM, Watched, anna, until
from tests.sources_house import FakeDirectory, House, info_hash, offer, open_house
from tests.test_swarm import Lab, house, seeded
from tests.torrent_files import LEAF, noise

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(60)]

CONTENTS = {
    "Big.Cat.2019.1080p.mkv": noise(900 * LEAF, 5),
    "Sample/sample.mkv": noise(3 * LEAF, 6),
}


class Stock:
    """Sources of swarms alone, with what is fetched of them ahead."""

    def __init__(self, torrents: Torrents) -> None:
        self._torrents = torrents

    def __getattr__(self, name: str) -> Any:
        known = self._torrents if hasattr(self._torrents, name) else self._torrents.preloading
        return getattr(known, name)


@dataclass
class Ready:
    home: House
    torrents: Torrents
    opening: Opening
    preloading: Preloading
    playing: Playing
    counting: Counting
    film: TitleId
    downloads: Path

    async def first_byte(self, source_id: SourceId, index: int | None) -> None:
        """Wait for the first byte of a source."""
        async with self.torrents.reader(source_id, index) as reader:
            async for _ in reader.spans(0, 1):
                break

    async def listings(self) -> Sequence[Any]:
        await self.home.search(self.film)
        return await self.home.ids(self.film)


@asynccontextmanager
async def open_ready(folder: Path, lab: Lab | None) -> AsyncIterator[Ready]:
    if lab is None:
        known = offer(FILM, 7, seeders=1)
    else:
        trackers = (lab.tracker.udp_url,)
        known = offer(FILM, None, magnet=lab.magnet(), seeders=1, trackers=trackers)
    (folder / "engine").mkdir()
    (folder / "house").mkdir()
    async with (
        house(folder / "engine") as engine,
        open_house(folder / "house", FakeDirectory("a", [known])) as home,
    ):
        stock: Any = Stock(engine.torrents)
        opening = Opening(
            sources=home.sources,
            titles=home.titles,
            swarms=engine.torrents.questions,
            stock=stock,
        )
        preloading = Preloading(
            sources=home.sources,
            opening=opening,
            stock=stock,
            watched=Watched(),
            notes=PreloadStore(database=home.database),
            clock=home.clock,
        )
        async with running("preloading", preloading.run):
            yield Ready(
                home=home,
                torrents=engine.torrents,
                opening=opening,
                preloading=preloading,
                playing=Playing(
                    sources=home.sources, opening=opening, stock=stock, preloading=preloading
                ),
                counting=Counting(
                    sources=home.sources,
                    swarms=engine.torrents.questions,
                    clock=home.clock,
                ),
                film=await home.movie(),
                downloads=engine.downloads,
            )


async def test_a_title_that_nobody_has_looked_for_plays_from_the_swarm(tmp_path):
    async with seeded(tmp_path, contents=CONTENTS) as lab, open_ready(tmp_path, lab) as ready:
        found = await ready.playing.ready(ready.film, Preference())

        source = ready.torrents.source(found.source_id)
        assert source.layout is not None
        file = source.layout.file(found.file_index or 0)
        assert file.name.endswith("Big.Cat.2019.1080p.mkv")
        await ready.first_byte(found.source_id, found.file_index)


async def test_what_is_focused_is_on_the_disk_before_anybody_presses_play(tmp_path):
    async with seeded(tmp_path, contents=CONTENTS) as lab, open_ready(tmp_path, lab) as ready:
        ready.preloading.see("tv", anna(), {ready.film: Nearness.FOCUSED})
        await until(lambda: ready.preloading.is_ready(ready.film), within=30.0)
        (source,) = ready.torrents.sources()
        assert 6 * 2**20 <= source.have <= 8 * 2**20

        found = await ready.playing.ready(ready.film, Preference())

        assert found.source_id == source.id
        # No clock here: how soon that is, is for a bench to say.
        await ready.first_byte(found.source_id, found.file_index)


async def test_what_leaves_the_screen_leaves_the_swarm(tmp_path):
    async with (
        seeded(tmp_path, contents=CONTENTS, upload_rate=200_000) as lab,
        open_ready(tmp_path, lab) as ready,
    ):
        ready.preloading.see("tv", anna(), {ready.film: Nearness.FOCUSED})
        await until(lambda: bool(ready.torrents.sources()), within=30.0)
        await until(lambda: ready.torrents.downloads == 1, within=30.0)

        ready.preloading.see("tv", anna(), {})

        await until(lambda: ready.torrents.activity == "idle", within=10.0)


async def test_a_swarm_without_anybody_is_given_up_and_leaves_nothing(tmp_path):
    async with open_ready(tmp_path, None) as ready:
        (listing_id,) = await ready.listings()

        with pytest.raises(UnopenedError):
            await ready.opening.open(listing_id, priority=Priority.WAITED_FOR, within=0.5)

        assert ready.torrents.sources() == []
        assert info_hash(7) not in str([*ready.downloads.rglob("*")])


async def test_a_swarm_is_counted_by_its_tracker(tmp_path):
    async with seeded(tmp_path, contents=CONTENTS) as lab, open_ready(tmp_path, lab) as ready:
        (listing_id,) = await ready.listings()

        await ready.counting.count_due()

        listing = await ready.home.sources.listings.listing(listing_id)
        assert (listing.seeders, listing.leechers) == (1, 0)
