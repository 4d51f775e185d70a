"""Swarms that are asked and preloaded from for real: libtorrent on both sides, and trackers."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from miauflixd.database.database import Database
from miauflixd.demo.announces import Register
from miauflixd.demo.tracker import Tracker
from miauflixd.demo.udp_tracker import udp_tracker
from miauflixd.engine.messages import (
    AddMagnet,
    Configure,
    Displaced,
    Drop,
    Event,
    FetchMetadata,
    Metadata,
    Pieces,
    Rejected,
    Remove,
    Removed,
    Saved,
    SaveResumeData,
    Scrape,
)
from miauflixd.engine.scrapes import MOST_PEERS
from miauflixd.runtime.services import running
from miauflixd.torrents.downloads import Downloads
from miauflixd.torrents.engine_process import EngineProcess
from miauflixd.torrents.launching import PlainLauncher
from miauflixd.torrents.magnet import Magnet, from_hash
from miauflixd.torrents.reader import SourceFailedError
from miauflixd.torrents.service import Torrents
from miauflixd.torrents.settings import TorrentsSettings
from miauflixd.torrents.store import SourceStore
from miauflixd.vault.sealing import Sealer
from tests.running import until
from tests.test_demo_parts import ask
from tests.test_engine import PIECE, SHOW, Shared, add, engine, magnets
from tests.test_metainfo import Swarm as CarelessSwarm
from tests.test_metainfo import evil_torrent
from tests.test_tunnel_torrents import connections
from tests.torrent_files import LEAF, noise

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(40)]

WITHIN = 20.0
FILM = {"film.mkv": noise(300 * LEAF, 5)}


class House:
    """Sources with a real engine."""

    def __init__(self, torrents: Torrents, process: EngineProcess, downloads: Path) -> None:
        self.torrents = torrents
        self.questions = torrents.questions
        self.preloading = torrents.preloading
        self.pid = process.pid
        self.downloads = downloads

    def files(self) -> list[Path]:
        return [path for path in self.downloads.rglob("*") if path.is_file()]


@asynccontextmanager
async def house(
    folder: Path, *, listen: str = "127.0.0.1:0", up: bool = True
) -> AsyncIterator[House]:
    settings = TorrentsSettings(minimum_free=0, no_data_timeout=WITHIN)
    configure = Configure(
        listen=[listen], connections=50, download_rate=0, upload_rate=0, dht=False
    )
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.open(folder / "house.sqlite3"))
        process = await stack.enter_async_context(
            EngineProcess.open(configure, launcher=PlainLauncher())
        )
        process.set_network(up=up)
        torrents = await stack.enter_async_context(
            Torrents.open(
                settings=settings,
                engine=process,
                store=await SourceStore.open(database=database, sealer=Sealer(bytes(32))),
                downloads=Downloads(folder / "downloads"),
                boot_id="this run",
            )
        )
        await stack.enter_async_context(running("torrents", torrents.run))
        yield House(torrents, process, folder / "downloads")


class Lab:
    """A torrent that somebody seeds, and its tracker."""

    def __init__(self, shared: Shared, tracker: Tracker) -> None:
        self.shared = shared
        self.tracker = tracker

    @property
    def announced(self) -> bytes:
        """The hash by which trackers know it."""
        v1_hash, v2_hash = self.shared.info_hashes
        return v1_hash or (v2_hash or b"")[:20]

    def magnet(self, kind: str = "btih", *, over_udp: bool = False) -> str:
        url = self.tracker.udp_url if over_udp else self.tracker.announce_url
        return f"{magnets(self.shared)[kind]}&tr={url}"

    def target(self, *trackers: str) -> Magnet:
        return from_hash(self.announced, trackers=trackers)


@asynccontextmanager
async def seeded(
    folder: Path,
    *,
    kind: str = "v1",
    contents: dict[str, bytes] = SHOW,
    host: str = "127.0.0.41",
    upload_rate: int = 0,
) -> AsyncIterator[Lab]:
    async with Tracker.open() as tracker, engine(host, upload_rate=upload_rate) as seeder:
        shared = Shared(folder, contents, kind=kind, tracker=tracker.announce_url)
        shared.seed(seeder)
        lab = Lab(shared, tracker)
        await tracker.seeded(lab.announced, seeders=1)
        yield lab


def answers(said: Sequence[Event], asked: str) -> list[Event]:
    return [
        event
        for event in said
        if isinstance(event, Metadata | Displaced | Rejected) and event.torrent_id == asked
    ]


# --- what it holds --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "link"), [("v1", "btih"), ("v2", "btmh"), ("hybrid", "btih"), ("hybrid", "btmh")]
)
async def test_what_a_swarm_holds_is_learned_and_nothing_else_is_left(tmp_path, kind, link):
    async with seeded(tmp_path, kind=kind) as lab, house(tmp_path) as home:
        told = await home.questions.fetch_metadata(lab.magnet(link), within=WITHIN)
        expected = tuple(value for value in lab.shared.info_hashes if value is not None)
        assert told.info_hashes == expected
        assert [(file.name, file.size) for file in told.files] == [
            (file.path, file.size) for file in lab.shared.files
        ]
        assert (await home.questions.inspect(told.metainfo)).info_hashes == expected
        assert home.torrents.sources() == []
        # It has said goodbye to the tracker and to the peer.
        await until(lambda: not connections(home.pid), "the swarm is left")
        assert home.files() == []
        assert lab.shared.folder.name in {path.name for path in tmp_path.iterdir()}


async def test_hostile_metadata_is_refused_and_leaves_nothing_anywhere(tmp_path):
    careless = CarelessSwarm(tmp_path / "careless")
    contents = {"0": noise(LEAF, 1), "1": noise(LEAF, 2), "2": noise(LEAF, 3)}
    careless.seed(evil_torrent(tmp_path / "elsewhere"), contents, {"0": 0, "1": 1, "2": 2})
    info_hash = bytes.fromhex(careless.magnet.partition("btih:")[2][:40])
    before = sorted(tmp_path.rglob("*"))
    async with Tracker.open() as tracker, house(tmp_path / "home") as home:
        await ask(tracker, info_hash=info_hash, port=careless._seeder.listen_port(), left=0)
        with pytest.raises(SourceFailedError, match="write outside its own folder"):
            await home.questions.fetch_metadata(
                from_hash(info_hash, trackers=[tracker.announce_url]).uri, within=WITHIN
            )
        assert home.files() == []
    after = sorted(
        path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "home")
    )
    assert after == before


async def test_a_source_that_is_added_while_its_swarm_is_asked_takes_over(tmp_path):
    async with seeded(tmp_path) as lab, house(tmp_path) as home, asyncio.TaskGroup() as group:
        # Without its tracker, so that nobody answers before the source knows one.
        asking = group.create_task(
            home.questions.fetch_metadata(magnets(lab.shared)["btih"], within=WITHIN)
        )
        await until(lambda: home.questions.pending == 1, "the swarm is asked")
        source_id = await home.torrents.add_magnet(lab.magnet())
        assert (await asking).total_size == sum(map(len, SHOW.values()))
        async with home.torrents.reader(source_id, 0) as reader:
            span = await anext(reader.spans(0, 1))
            assert span.file.read(1) == SHOW["a.mkv"][:1]


async def test_a_source_that_plays_does_not_notice_that_its_swarm_is_asked(tmp_path):
    async with seeded(tmp_path, contents=FILM) as lab, house(tmp_path) as home:
        source_id = await home.torrents.add_magnet(lab.magnet())
        async with home.torrents.reader(source_id, None) as reader:
            spans = reader.spans(0, len(FILM["film.mkv"]))
            await anext(spans)
            before = connections(home.pid)
            told = await home.questions.fetch_metadata(lab.magnet(), within=WITHIN)
            await home.questions.scrape([lab.target(lab.tracker.udp_url)], within=WITHIN)
            assert told.name == "film"
            assert before <= connections(home.pid)
            async for span in spans:
                assert span.length > 0
        assert home.torrents.source(source_id).have == len(FILM["film.mkv"])


@pytest.mark.parametrize(("of_source", "of_question"), [("btih", "btmh"), ("btmh", "btih")])
@pytest.mark.parametrize("source_hears_first", [True, False])
async def test_a_torrent_of_two_hashes_asked_by_one_and_added_by_the_other_is_had_by_both(
    tmp_path, of_source, of_question, source_hears_first
):
    """libtorrent finds out only when one of them knows what it holds, and then stops both."""
    async with seeded(tmp_path, kind="hybrid") as lab, engine() as one:
        links = [lab.magnet(of_source), magnets(lab.shared)[of_question]]
        if not source_hears_first:
            links = [magnets(lab.shared)[of_source], lab.magnet(of_question)]
        one.send(
            AddMagnet(torrent_id="show", save_path=str(tmp_path / "show"), uri=links[0]),
            FetchMetadata(torrent_id="asked", uri=links[1]),
        )
        await one.says(Metadata, lambda event: event.torrent_id == "show")
        await one.says(Pieces)
        one.send(SaveResumeData())
        await one.says(Saved)
        # Either it knows, or the source was quicker and knows.
        (answer,) = answers(one.said, "asked")
        assert isinstance(answer, Metadata | Displaced)
        one.send(lab.shared.wanting(lab.shared.every_piece))
        await one.has_finished(lab.shared.every_piece)
        lab.shared.assert_saved(tmp_path / "show")


async def test_a_source_may_come_and_go_at_any_moment_of_the_asking(tmp_path):
    async with seeded(tmp_path) as lab, engine() as one:
        uri = lab.magnet()
        for moment in range(30):
            asked, told = f"asked {moment}", len(one.said)
            one.send(
                FetchMetadata(torrent_id=asked, uri=uri),
                Scrape(torrent_id=f"counted {moment}", uri=lab.magnet(over_udp=True)),
            )
            await asyncio.sleep(moment / 3000)  # all is told after some five milliseconds
            one.send(AddMagnet(torrent_id="show", save_path=str(tmp_path / "show"), uri=uri))
            if moment % 2:
                await one.says(Pieces, lambda event: event.torrent_id == "show")
            one.send(Remove(torrent_id="show"))
            await one.says(Removed)
            assert len(answers(one.said[told:], asked)) == 1
            assert not any(isinstance(event, Rejected) for event in one.said)
            one.send(Drop(torrent_id=f"counted {moment}"))


async def test_the_asking_may_be_given_up_at_any_moment(tmp_path):
    async with seeded(tmp_path) as lab, engine() as one:
        for moment in range(30):
            one.send(
                FetchMetadata(torrent_id=f"asked {moment}", uri=lab.magnet()),
                Scrape(torrent_id=f"counted {moment}", uri=lab.magnet(over_udp=True)),
            )
            await asyncio.sleep(moment / 3000)
            one.send(Drop(torrent_id=f"asked {moment}"), Drop(torrent_id=f"counted {moment}"))
        one.send(add(lab.shared, tmp_path))
        await one.says(Pieces)
        assert not any(isinstance(event, Rejected) for event in one.said)
        one.send(lab.shared.wanting(lab.shared.every_piece))
        await one.has_finished(lab.shared.every_piece)


# --- how many are in it ---------------------------------------------------------------------------


class Teller(Register):
    """Says what it was told to say, true or not."""

    def __init__(self, seeders: int, leechers: int) -> None:
        super().__init__(interval=60, clock=time.monotonic)
        # As 32 bits on the wire.
        self._counts = (seeders % 2**32, leechers % 2**32)

    def count(self, info_hash: bytes) -> tuple[int, int]:
        return self._counts


@asynccontextmanager
async def tellers(*counts: tuple[int, int]) -> AsyncIterator[list[str]]:
    """Yield the URL of a tracker for each of these seeders and leechers.

    Each has an address of its own: libtorrent takes those on one address for one tracker.
    """
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                udp_tracker(Teller(seeders, leechers), f"127.0.0.{51 + number}", interval=60)
            )
            for number, (seeders, leechers) in enumerate(counts)
        ]


SOME = from_hash(b"\x05" * 20)


async def test_of_all_trackers_the_one_counts_that_knows_most_seeders(tmp_path):
    async with house(tmp_path) as home, tellers((3, 90), (40, 2), (0, 0)) as urls:
        swarms = await home.questions.scrape(
            [from_hash(SOME.hashes[0], trackers=urls)], within=WITHIN
        )
        assert [(swarm.seeders, swarm.leechers) for swarm in swarms.values()] == [(40, 2)]
        assert home.torrents.sources() == []


@pytest.mark.parametrize("counts", [(2**31, 3), (-1, -1), (5, -4), (MOST_PEERS + 1, 0)])
async def test_a_tracker_that_tells_tales_counts_for_nothing(tmp_path, counts):
    async with house(tmp_path) as home, tellers(counts, (1, 1)) as urls:
        alone = from_hash(b"\x06" * 20, trackers=urls[:1])
        both = from_hash(b"\x07" * 20, trackers=urls)
        swarms = await home.questions.scrape([alone, both], within=WITHIN)
        assert swarms.keys() == set(both.hashes)
        assert swarms[both.hashes[0]].seeders == 1


async def test_swarms_without_trackers_or_with_dead_ones_are_missing_at_once(tmp_path):
    dead = ["http://127.0.0.1:1/announce", "https://127.0.0.1:1/announce", "http://127.0.0.1:1/x"]
    # On all addresses, of which most have no way to these trackers.
    async with house(tmp_path, listen="0.0.0.0:0") as home, tellers((2, 1)) as urls:
        targets = [
            SOME,
            from_hash(b"\x06" * 20, trackers=dead),
            from_hash(b"\x07" * 20, trackers=[*dead, *urls]),
        ]
        swarms = await home.questions.scrape(targets, within=3600)
        assert swarms.keys() == set(targets[2].hashes)


async def test_many_swarms_are_counted_and_none_is_joined(tmp_path):
    async with seeded(tmp_path) as lab, house(tmp_path) as home:
        others = [from_hash(bytes([9, number]) * 10) for number in range(100)]
        targets = [from_hash(one.hashes[0], trackers=[lab.tracker.udp_url]) for one in others] + [
            lab.target(lab.tracker.udp_url)
        ]
        swarms = await home.questions.scrape(targets, within=WITHIN)
        assert len(swarms) == 101
        assert swarms[lab.announced].seeders == 1
        # Whoever joins announces: nobody but the seeder has.
        assert all(swarm.leechers == 0 for swarm in swarms.values())
        assert home.questions.pending == 0


# --- what is fetched before anybody presses play --------------------------------------------------


async def test_only_what_is_preloaded_is_downloaded_and_then_plays_at_once(tmp_path):
    film = FILM["film.mkv"]
    async with seeded(tmp_path, contents=FILM) as lab:
        async with house(tmp_path, up=False) as home:
            source_id = await home.torrents.add_metainfo(lab.shared.metainfo)
        async with house(tmp_path) as home:
            spans = [(0, 0, 4 * PIECE), (0, len(film) - PIECE, len(film))]
            await home.preloading.preload(source_id, spans, rank=1)
            await until(lambda: home.preloading.preloaded(source_id), "all of it is here")
            assert home.torrents.source(source_id).have == 5 * PIECE
            home.preloading.stop_preload(source_id)
            await until(lambda: not connections(home.pid), "the swarm is left")
        async with (
            house(tmp_path, up=False) as home,
            home.torrents.reader(source_id, None) as reader,
        ):
            span = await anext(reader.spans(0, 4 * PIECE))
            assert span.file.read(span.length) == film[: 4 * PIECE]


async def test_a_preload_waits_for_who_is_watching(tmp_path):
    size = len(FILM["film.mkv"])
    async with (
        seeded(tmp_path / "a", contents=FILM, upload_rate=1_000_000) as watched,
        seeded(tmp_path / "b", host="127.0.0.42") as other,
    ):
        async with house(tmp_path, up=False) as home:
            one = await home.torrents.add_metainfo(watched.shared.metainfo)
            two = await home.torrents.add_metainfo(other.shared.metainfo)
        async with house(tmp_path) as home:
            async with home.torrents.reader(one, None) as reader:
                spans = reader.spans(0, size)
                await anext(spans)
                await home.preloading.preload(two, [(0, 0, 2**20)], rank=1)
                # The near half of its window is more than the film, and comes slowly.
                while home.torrents.source(one).have < size // 4:
                    await anext(spans)
                    assert home.torrents.source(two).have == 0
                await spans.aclose()
            await until(lambda: home.preloading.preloaded(two), "it has its turn")
