"""What a swarm is asked without a source, with an engine of paper."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest

from miauflixd.engine.messages import (
    AddMagnet,
    Command,
    Displaced,
    Drop,
    FetchMetadata,
    Pieces,
    Progress,
    ProgressReport,
    Rejected,
    Scrape,
    Scraped,
)
from miauflixd.runtime.priority import Priority
from miauflixd.torrents import road
from miauflixd.torrents.magnet import Magnet, from_hash, parse_magnet
from miauflixd.torrents.model import BadTorrentError, Fetched
from miauflixd.torrents.reader import NoDataError, SourceFailedError
from miauflixd.torrents.service import Torrents
from miauflixd.tunnel.errors import TunnelDownError
from tests.test_torrents_service import (
    HASH,
    MAGNET,
    METAINFO,
    PaperEngine,
    Place,
    metadata_or_refusal,
    outcome,
)
from tests.torrent_files import bencode, noise, v1

OTHER = bencode(v1({"other.mkv": noise(9, 3)}))
TRACKER = "udp://tracker.example:6969/announce"
assert HASH is not None
TARGET = from_hash(HASH, trackers=[TRACKER])

C = TypeVar("C", bound=Command)


class Engine(PaperEngine):
    """One of which one can wait until it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()

    def send(self, command: Command) -> None:
        super().send(command)
        self._news.set()

    def asked(self, kind: type[C]) -> list[C]:
        return [command for command in self.commands if isinstance(command, kind)]

    async def is_asked(self, kind: type[C], count: int = 1) -> C:
        """Wait until it has been asked so often, and return what it was asked last."""
        async with asyncio.timeout(10):
            while len(self.asked(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return self.asked(kind)[-1]

    def tell(self, torrent_id: str, metainfo: bytes = METAINFO) -> None:
        self.say(metadata_or_refusal(torrent_id, metainfo))


@asynccontextmanager
async def house(tmp_path) -> AsyncIterator[tuple[Torrents, Engine]]:
    async with Place(tmp_path).house(engine=Engine()) as (torrents, engine):
        assert isinstance(engine, Engine)
        yield torrents, engine


async def fetch(
    torrents: Torrents, *, within: float = 10, priority: Priority = Priority.ROUTINE
) -> Fetched:
    return await torrents.questions.fetch_metadata(MAGNET, within=within, priority=priority)


def seen_activity(torrents: Torrents) -> str:
    return torrents.activity


# --- what it holds --------------------------------------------------------------------------------


async def test_what_a_magnet_link_leads_to_is_known_without_a_source(tmp_path):
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        asking = group.create_task(fetch(torrents))
        asked = await engine.is_asked(FetchMetadata)
        assert seen_activity(torrents) == "active"
        engine.tell(asked.torrent_id)
        told = await asking
        assert (told.name, told.metainfo, told.info_hashes) == ("A film", METAINFO, (HASH,))
        assert [(file.name, file.size) for file in told.files] == [
            ("film.mkv", 65536),
            ("film.srt", 9),
        ]
        assert torrents.sources() == []
        assert seen_activity(torrents) == "idle"
        assert not engine.told(AddMagnet)


async def test_two_who_ask_for_the_same_share_one_visit(tmp_path):
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        asking = [group.create_task(fetch(torrents)) for _ in range(2)]
        asked = await engine.is_asked(FetchMetadata, 2)
        assert len({command.torrent_id for command in engine.asked(FetchMetadata)}) == 1
        engine.tell(asked.torrent_id)
        assert await asking[0] == await asking[1]
        assert not engine.told(Drop)


async def test_the_swarm_is_left_when_the_last_who_asked_gives_up(tmp_path):
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        first, second = (group.create_task(fetch(torrents)) for _ in range(2))
        asked = await engine.is_asked(FetchMetadata, 2)
        first.cancel()
        await asyncio.wait([first])
        assert not engine.told(Drop)
        second.cancel()
        await asyncio.wait([second])
        assert engine.told(Drop) == [Drop(torrent_id=asked.torrent_id)]
        # What was on its way is nobody's, and nothing breaks.
        engine.tell(asked.torrent_id)
        engine.say(Displaced(torrent_id=asked.torrent_id))
        assert (await torrents.questions.inspect(METAINFO)).name == "A film"


async def test_nobody_waits_longer_than_they_said(tmp_path):
    async with house(tmp_path) as (torrents, engine):
        with pytest.raises(NoDataError, match="No peer has told what this torrent holds"):
            await fetch(torrents, within=0.05)
        assert len(engine.told(Drop)) == 1


async def test_what_is_refused_is_told_as_such(tmp_path):
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        asking = group.create_task(outcome(fetch(torrents)))
        asked = await engine.is_asked(FetchMetadata)
        engine.say(Rejected(torrent_id=asked.torrent_id, detail="It is hostile."))
        error = await asking
        assert isinstance(error, SourceFailedError)
        assert "It is hostile" in str(error)


async def test_another_torrent_than_the_link_promises_is_not_taken(tmp_path):
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        asking = group.create_task(outcome(fetch(torrents)))
        asked = await engine.is_asked(FetchMetadata)
        engine.tell(asked.torrent_id, OTHER)
        error = await asking
        assert isinstance(error, SourceFailedError)
        assert "another torrent" in str(error)


async def test_a_link_that_is_none_is_refused_before_anybody_is_asked(tmp_path):
    async with house(tmp_path) as (torrents, engine):
        with pytest.raises(BadTorrentError):
            await torrents.questions.fetch_metadata("http://example.org/", within=1)
        assert engine.commands == []


async def test_without_a_road_it_is_told_that_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(road, "_PATIENCE", 0.0)
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        asking = group.create_task(outcome(fetch(torrents, within=60)))
        await engine.is_asked(FetchMetadata)
        torrents.set_road(up=False, reason="It is down")
        error = await asking
        assert isinstance(error, TunnelDownError)
        assert "It is down" in str(error)


async def test_a_person_goes_before_all_that_is_routine(tmp_path):
    links = [f"magnet:?xt=urn:btih:{number:040x}" for number in range(1, 31)]
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        routine = [
            group.create_task(torrents.questions.fetch_metadata(link, within=60)) for link in links
        ]
        await engine.is_asked(FetchMetadata, 6)
        person = group.create_task(fetch(torrents, priority=Priority.WAITED_FOR))
        asked = await engine.is_asked(FetchMetadata, 7)
        assert len(engine.asked(FetchMetadata)) == 7
        engine.tell(asked.torrent_id)
        await person
        for task in routine:
            task.cancel()


# --- while there is a source ----------------------------------------------------------------------


async def test_what_a_source_knows_is_not_asked_again(tmp_path):
    async with house(tmp_path) as (torrents, engine):
        source_id = await torrents.add_metainfo(METAINFO)
        told = await fetch(torrents)
        assert (told.name, told.metainfo) == ("A film", METAINFO)
        assert not engine.told(FetchMetadata)
        assert engine.torrents == {source_id}


async def test_a_source_that_is_asking_is_waited_for_and_left_alone(tmp_path):
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        source_id = await torrents.add_magnet(MAGNET)
        asking = group.create_task(fetch(torrents))
        waiting = group.create_task(outcome(fetch(torrents, within=0.05)))
        assert isinstance(await waiting, NoDataError)
        engine.tell(source_id)
        assert (await asking).name == "A film"
        assert engine.torrents == {source_id}
        assert not engine.told(FetchMetadata)


async def test_a_source_that_comes_meanwhile_takes_over(tmp_path):
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        asking = group.create_task(fetch(torrents))
        asked = await engine.is_asked(FetchMetadata)
        source_id = await torrents.add_magnet(MAGNET)
        engine.say(Displaced(torrent_id=asked.torrent_id))
        engine.tell(source_id)
        assert (await asking).name == "A film"
        assert engine.torrents == {source_id}


async def test_a_source_that_goes_again_leaves_the_asking_to_us(tmp_path):
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        source_id = await torrents.add_magnet(MAGNET)
        asking = group.create_task(fetch(torrents))
        await asyncio.sleep(0.02)
        await torrents.remove(source_id)
        asked = await engine.is_asked(FetchMetadata)
        engine.tell(asked.torrent_id)
        assert (await asking).name == "A film"


async def test_an_engine_that_always_gives_way_is_not_asked_for_ever(tmp_path):
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        asking = group.create_task(outcome(fetch(torrents)))
        for count in range(1, 6):
            asked = await engine.is_asked(FetchMetadata, count)
            engine.say(Displaced(torrent_id=asked.torrent_id))
        assert isinstance(await asking, NoDataError)


# --- how many are in it ---------------------------------------------------------------------------


def told(torrent_id: str, seeders: int | None, leechers: int | None, pending: int = 0) -> Scraped:
    return Scraped(torrent_id=torrent_id, seeders=seeders, leechers=leechers, pending=pending)


async def test_swarms_are_told_by_their_hash_and_silent_ones_are_missing(tmp_path):
    silent = from_hash(bytes(19) + b"\x01", trackers=[TRACKER])
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        asking = group.create_task(torrents.questions.scrape([TARGET, silent], within=10))
        await engine.is_asked(Scrape, 2)
        for asked in engine.asked(Scrape):
            if asked.uri == TARGET.uri:
                engine.say(told(asked.torrent_id, 3, 1, pending=1))
                engine.say(told(asked.torrent_id, 7, 2))
            else:
                engine.say(told(asked.torrent_id, None, None))
        swarms = await asking
        assert swarms.keys() == {HASH}
        assert (swarms[TARGET.hashes[0]].seeders, swarms[TARGET.hashes[0]].leechers) == (7, 2)
        assert seen_activity(torrents) == "idle"


async def test_what_was_said_in_time_counts_though_others_are_silent(tmp_path):
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        asking = group.create_task(torrents.questions.scrape([TARGET], within=0.2))
        asked = await engine.is_asked(Scrape)
        engine.say(told(asked.torrent_id, 3, 1, pending=1))
        assert (await asking)[TARGET.hashes[0]].seeders == 3
        assert engine.told(Drop) == [Drop(torrent_id=asked.torrent_id)]


async def test_of_a_source_whose_trackers_are_silent_its_peers_count(tmp_path):
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        source_id = await torrents.add_metainfo(METAINFO)
        engine.say(ProgressReport(torrents=[progress(source_id)]))
        await torrents.questions.inspect(METAINFO)  # what was said before was heard
        asking = group.create_task(torrents.questions.scrape([TARGET], within=10))
        engine.say(told((await engine.is_asked(Scrape)).torrent_id, None, None))
        swarm = (await asking)[TARGET.hashes[0]]
        assert (swarm.seeders, swarm.leechers) == (4, 2)


def progress(source_id: str) -> Progress:
    return Progress(
        torrent_id=source_id,
        state="downloading",
        download_rate=0,
        upload_rate=0,
        downloaded=0,
        uploaded=0,
        peers=6,
        seeds=4,
        known_peers=80,
    )


async def test_a_road_that_breaks_is_not_taken_for_silence(tmp_path):
    async with house(tmp_path) as (torrents, engine), asyncio.TaskGroup() as group:
        asking = group.create_task(outcome(torrents.questions.scrape([TARGET], within=10)))
        await engine.is_asked(Scrape)
        torrents.set_road(up=False, reason="It is down")
        assert isinstance(await asking, TunnelDownError)
        with pytest.raises(TunnelDownError):
            await torrents.questions.scrape([TARGET], within=10)
        assert len(engine.told(Scrape)) == 1


async def test_answers_that_nobody_waits_for_are_nothing(tmp_path):
    async with house(tmp_path) as (torrents, engine):
        engine.say(told("0123456789abcdef", 1, 1))
        engine.say(Pieces(torrent_id="0123456789abcdef", have=b""))
        assert await torrents.questions.scrape([], within=1) == {}


# --- links ----------------------------------------------------------------------------------------


def test_a_hash_and_trackers_make_the_link_that_says_the_same():
    assert parse_magnet(TARGET.uri) == TARGET
    both = from_hash(b"\x05" * 32, trackers=[TRACKER, "gopher://x/", TRACKER, "udp://no-port"])
    assert both == Magnet(v1=None, v2=b"\x05" * 32, name=None, trackers=(TRACKER,), uri=both.uri)
    for wrong in (b"", bytes(20), bytes(32), b"\x05" * 21):
        with pytest.raises(BadTorrentError):
            from_hash(wrong)
