"""Sources through their service: added, woken, read, removed, kept; with an engine of paper."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from miauflixd.database.database import Database
from miauflixd.engine import metainfo as metainfos
from miauflixd.engine.messages import (
    AddMagnet,
    AddMetainfo,
    Command,
    Event,
    ExternalAddress,
    Inspect,
    Metadata,
    Pieces,
    PiecesFinished,
    Prioritize,
    Progress,
    ProgressReport,
    Rejected,
    Remove,
    Removed,
    ResumeData,
    RetryStorage,
    Saved,
    SaveResumeData,
    StorageFailed,
)
from miauflixd.errors import StorageFullError
from miauflixd.runtime.services import running
from miauflixd.torrents import road
from miauflixd.torrents.downloads import Downloads
from miauflixd.torrents.engine_process import EngineDiedError, EngineProcess
from miauflixd.torrents.model import Activity, BadTorrentError, NoSourceError, SourceId
from miauflixd.torrents.reader import NoDataError, SourceFailedError
from miauflixd.torrents.service import Torrents
from miauflixd.torrents.settings import TorrentsSettings
from miauflixd.torrents.store import SourceStore
from miauflixd.tunnel.errors import TunnelDownError
from miauflixd.vault.sealing import Sealer
from tests.torrent_files import LEAF, bencode, noise, v1

FILM = {"film.mkv": noise(4 * LEAF, 1), "film.srt": noise(9, 2)}
METAINFO = bencode(v1(FILM, name="A film"))
HASH, _ = metainfos.info_hashes(metainfos.load(METAINFO).ti)  # type: ignore[arg-type] # what `load` takes has it
MAGNET = f"magnet:?xt=urn:btih:{HASH.hex()}"  # type: ignore[union-attr] # v1 has one


class PaperEngine(EngineProcess):
    """Answers as an engine does, without a process, a disk or peers."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.torrents: set[str] = set()
        self.on_disk = b"\x00"
        """What it finds of each torrent, in bits."""
        self._said: asyncio.Queue[Event | None] = asyncio.Queue()

    def send(self, command: Command) -> None:
        self.commands.append(command)
        match command:
            case Inspect():
                self.say(metadata_or_refusal(command.torrent_id, command.metainfo))
            case AddMetainfo() | AddMagnet():
                self.torrents.add(command.torrent_id)
                if isinstance(command, AddMetainfo):
                    self.say(Pieces(torrent_id=command.torrent_id, have=self.on_disk))
            case Remove():
                self.torrents.discard(command.torrent_id)
                self.say(Removed(torrent_id=command.torrent_id))
            case SaveResumeData():
                for torrent_id in self.torrents:
                    self.say(ResumeData(torrent_id=torrent_id, data=b"where it was"))
                self.say(Saved())
            case _:
                pass

    def say(self, event: Event) -> None:
        self._said.put_nowait(event)

    def die(self) -> None:
        self._said.put_nowait(None)

    async def events(self) -> AsyncIterator[Event]:
        while (event := await self._said.get()) is not None:
            yield event
        raise EngineDiedError("The engine died: signal 9")

    def told(self, kind: type[Command]) -> list[Command]:
        return [command for command in self.commands if isinstance(command, kind)]


def metadata_or_refusal(torrent_id: str, metainfo: bytes) -> Metadata | Rejected:
    try:
        torrent = metainfos.load(metainfo).ti
    except metainfos.RefusedError as error:
        return Rejected(torrent_id=torrent_id, detail=str(error))
    assert torrent is not None
    contents = metainfos.describe(torrent)
    v1_hash, v2_hash = metainfos.info_hashes(torrent)
    return Metadata(
        torrent_id=torrent_id,
        **contents._asdict(),
        info_hash_v1=v1_hash,
        info_hash_v2=v2_hash,
        metainfo=metainfo,
    )


class Place:
    """Where the house keeps things, from one start to the next."""

    def __init__(self, folder: Path) -> None:
        self.downloads = folder / "downloads"
        self._folder = folder

    @asynccontextmanager
    async def house(
        self,
        *,
        boot_id: str = "this run of the machine",
        no_data_timeout: float = 0.2,
        engine: PaperEngine | None = None,
    ) -> AsyncIterator[tuple[Torrents, PaperEngine]]:
        engine = engine or PaperEngine()
        async with Database.open(self._folder / "house.sqlite3") as database:
            store = await SourceStore.open(database=database, sealer=Sealer(bytes(32)))
            async with (
                Torrents.open(
                    settings=TorrentsSettings(minimum_free=0, no_data_timeout=no_data_timeout),
                    engine=engine,
                    store=store,
                    downloads=Downloads(self.downloads),
                    boot_id=boot_id,
                ) as torrents,
                running("torrents", torrents.run),
            ):
                yield torrents, engine


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


async def until(torrents: Torrents, holds: Callable[[], bool]) -> None:
    """Wait until something about the sources holds."""
    async with torrents.changes() as changes:
        if holds():
            return
        async for _ in changes:
            if holds():
                return


def activity(torrents: Torrents, source_id: SourceId) -> Activity:
    return torrents.source(source_id).condition.activity


# --- adding ---------------------------------------------------------------------------------------


async def test_a_torrent_file_is_known_whole_and_woken(place):
    async with place.house() as (torrents, engine):
        source_id = await torrents.add_metainfo(METAINFO)
        source = torrents.source(source_id)
        assert source.name == "A film"
        assert source.layout is not None
        assert [file.name for file in source.layout.files] == ["film.mkv", "film.srt"]
        (added,) = engine.told(AddMetainfo)
        assert isinstance(added, AddMetainfo)
        assert (added.torrent_id, added.metainfo) == (source_id, METAINFO)
        assert added.save_path == str(place.downloads / source_id)


async def test_adding_the_same_in_any_way_is_one_source(place):
    async with place.house() as (torrents, engine):
        async with asyncio.TaskGroup() as group:
            ways = [
                group.create_task(way)
                for way in (
                    torrents.add_magnet(MAGNET),
                    torrents.add_metainfo(METAINFO),
                    torrents.add_magnet(MAGNET),
                    torrents.add_metainfo(METAINFO),
                )
            ]
        assert len({way.result() for way in ways}) == len(torrents.sources()) == 1
        assert torrents.sources()[0].layout is not None
        assert len(engine.torrents) == 1


async def test_a_refused_torrent_file_is_no_source(place):
    async with place.house() as (torrents, _):
        with pytest.raises(BadTorrentError, match=r"It is no \.torrent file\."):
            await torrents.add_metainfo(b"a web page")
        assert torrents.sources() == []


async def test_a_magnet_link_learns_what_it_holds(place):
    async with place.house() as (torrents, engine):
        source_id = await torrents.add_magnet(MAGNET)
        assert activity(torrents, source_id) is Activity.METADATA
        engine.say(metadata_or_refusal(source_id, METAINFO))
        await until(torrents, lambda: torrents.source(source_id).layout is not None)
        engine.say(Pieces(torrent_id=source_id, have=b"\x00"))
        await until(torrents, lambda: activity(torrents, source_id) is Activity.DOWNLOADING)
    async with place.house() as (torrents, engine):
        # What peers told once is not asked again.
        assert torrents.source(source_id).layout is not None
        await torrents.add_magnet(MAGNET)
        (added,) = engine.told(AddMetainfo)
        assert isinstance(added, AddMetainfo)
        assert added.metainfo == METAINFO


async def test_metadata_that_was_rejected_is_told_to_whoever_reads(place):
    async with place.house(no_data_timeout=20) as (torrents, engine):
        source_id = await torrents.add_magnet(MAGNET)
        engine.say(Rejected(torrent_id=source_id, detail="It is hostile."))
        with pytest.raises(SourceFailedError, match="It is hostile"):
            async with torrents.reader(source_id, None):
                pass
        condition = torrents.source(source_id).condition
        assert (condition.activity, condition.reason) == (Activity.FAILED, "It is hostile.")
        await torrents.remove(source_id)


async def test_a_source_that_failed_is_tried_again_when_somebody_asks_again(place):
    async with place.house(no_data_timeout=20) as (torrents, engine):
        source_id = await torrents.add_magnet(MAGNET)
        engine.say(Rejected(torrent_id=source_id, detail="It is hostile."))
        for _ in range(2):
            with pytest.raises(SourceFailedError):
                async with torrents.reader(source_id, None):
                    pass
            assert await torrents.add_magnet(MAGNET) == source_id
            engine.say(Rejected(torrent_id=source_id, detail="It is hostile."))
        assert len(engine.told(AddMagnet)) > len(engine.told(Remove)) > 0


async def test_a_reader_of_an_unknown_magnet_waits_only_so_long(place):
    async with place.house() as (torrents, _):
        source_id = await torrents.add_magnet(MAGNET)
        with pytest.raises(NoDataError):
            async with torrents.reader(source_id, None):
                pass


# --- reading --------------------------------------------------------------------------------------


async def test_a_reader_gets_spans_as_pieces_come_and_nothing_before(place):
    async with place.house(no_data_timeout=20) as (torrents, engine):
        source_id = await torrents.add_metainfo(METAINFO)
        folder = place.downloads / source_id
        folder.mkdir(parents=True)
        (folder / "0").write_bytes(FILM["film.mkv"])
        async with torrents.reader(source_id, None) as reader:
            spans = reader.spans(10, 3 * LEAF)
            async with asyncio.TaskGroup() as group:
                first = group.create_task(anext(spans))
                await until(torrents, lambda: torrents.source(source_id).readers == 1)
                assert not first.done()
                engine.say(PiecesFinished(torrent_id=source_id, pieces=[0, 2]))
            assert (first.result().offset, first.result().length) == (10, LEAF - 10)
            async with asyncio.TaskGroup() as group:
                second = group.create_task(anext(spans))
                engine.say(PiecesFinished(torrent_id=source_id, pieces=[1]))
            assert (second.result().offset, second.result().length) == (LEAF, 2 * LEAF)
            with pytest.raises(StopAsyncIteration):
                await anext(spans)
        assert torrents.source(source_id).readers == 0


async def test_what_a_reader_waits_for_is_asked_first(place):
    async with place.house() as (torrents, engine):
        source_id = await torrents.add_metainfo(METAINFO)
        async with torrents.reader(source_id, None) as reader:
            with pytest.raises(NoDataError):
                await anext(reader.spans(2 * LEAF, 3 * LEAF))
        asked = [one for one in engine.told(Prioritize) if isinstance(one, Prioritize)]
        assert any((2, 7) in one.pieces for one in asked)
        assert dict(asked[-1].pieces)[2] < 7  # nobody waits for it any more


async def test_as_long_as_anything_comes_a_reader_waits(place):
    async with place.house(no_data_timeout=0.5) as (torrents, engine):
        source_id = await torrents.add_metainfo(METAINFO)
        folder = place.downloads / source_id
        folder.mkdir(parents=True)
        (folder / "0").write_bytes(FILM["film.mkv"])
        async with torrents.reader(source_id, None) as reader, asyncio.TaskGroup() as group:
            first = group.create_task(anext(reader.spans(0, 1)))
            for downloaded in range(1, 8):
                # Longer than it would wait for nothing, in all.
                engine.say(progress(source_id, downloaded))
                await asyncio.wait([first], timeout=0.15)
            assert not first.done()
            engine.say(PiecesFinished(torrent_id=source_id, pieces=[0]))


def progress(source_id: str, downloaded: int) -> ProgressReport:
    one = Progress(
        torrent_id=source_id,
        state="downloading",
        download_rate=1,
        upload_rate=0,
        downloaded=downloaded,
        uploaded=0,
        peers=1,
        seeds=1,
        known_peers=1,
    )
    return ProgressReport(torrents=[one])


async def test_a_full_disk_is_told_and_then_tried_again(place):
    async with place.house(no_data_timeout=20) as (torrents, engine):
        source_id = await torrents.add_metainfo(METAINFO)
        async with torrents.reader(source_id, None) as reader:
            engine.say(StorageFailed(torrent_id=source_id, full=True, detail="ENOSPC"))
            # A piece of which a block could not be written cannot be hashed, either.
            engine.say(StorageFailed(torrent_id=source_id, full=False, detail="file too short"))
            with pytest.raises(StorageFullError):
                await anext(reader.spans(0, 1))
        assert activity(torrents, source_id) is Activity.DISK_FULL
        # Of this disk enough is free, so the next look lets it go on.
        await until(torrents, lambda: activity(torrents, source_id) is not Activity.DISK_FULL)
        assert engine.told(RetryStorage) == [RetryStorage(torrent_id=source_id)]


async def test_a_broken_disk_fails_the_source(place):
    async with place.house(no_data_timeout=20) as (torrents, engine):
        source_id = await torrents.add_metainfo(METAINFO)
        engine.say(StorageFailed(torrent_id=source_id, full=False, detail="Input/output error"))
        with pytest.raises(SourceFailedError, match="Input/output error"):
            async with torrents.reader(source_id, None) as reader:
                await anext(reader.spans(0, 1))


# --- without a road -------------------------------------------------------------------------------


async def test_without_a_road_a_source_says_so_and_what_happens_next(place):
    async with place.house() as (torrents, _):
        source_id = await torrents.add_metainfo(METAINFO)
        await until(torrents, lambda: activity(torrents, source_id) is Activity.DOWNLOADING)
        torrents.set_road(up=False, reason="Sweden #12 does not answer any more")
        condition = torrents.source(source_id).condition
        assert condition.activity is Activity.TUNNEL_DOWN
        assert condition.reason == "The VPN tunnel is down: Sweden #12 does not answer any more."
        assert condition.next == "It goes on by itself when the tunnel is back."
        torrents.set_road(up=False, reason="All servers are silent.")
        condition = torrents.source(source_id).condition
        assert condition.reason == "The VPN tunnel is down: All servers are silent."
        torrents.set_road(up=True)
        assert activity(torrents, source_id) is Activity.DOWNLOADING


async def test_whoever_follows_the_sources_hears_of_the_road(place):
    async with place.house() as (torrents, _):
        source_id = await torrents.add_magnet(MAGNET)
        async with asyncio.TaskGroup() as group:
            group.create_task(
                until(torrents, lambda: activity(torrents, source_id) is Activity.TUNNEL_DOWN)
            )
            await asyncio.sleep(0)
            torrents.set_road(up=False, reason="It is down")


async def test_what_is_on_the_disk_is_read_without_a_road_and_nothing_else(place, monkeypatch):
    monkeypatch.setattr(road, "_PATIENCE", 0.0)
    async with place.house(no_data_timeout=20) as (torrents, engine):
        source_id = await torrents.add_metainfo(METAINFO)
        write_film(place, source_id)
        engine.say(PiecesFinished(torrent_id=source_id, pieces=[0, 1]))
        await until(torrents, lambda: torrents.source(source_id).have == 2 * LEAF)
        torrents.set_road(up=False, reason="It is down")
        async with torrents.reader(source_id, None) as reader:
            span = await anext(reader.spans(0, 2 * LEAF))
            assert (span.offset, span.length) == (0, 2 * LEAF)
            with pytest.raises(TunnelDownError, match="The VPN tunnel is down: It is down"):
                await anext(reader.spans(2 * LEAF, 3 * LEAF))


def write_film(place: Place, source_id: SourceId) -> None:
    folder = place.downloads / source_id
    folder.mkdir(parents=True)
    (folder / "0").write_bytes(FILM["film.mkv"])


async def test_a_source_that_wakes_without_a_road_looks_at_the_disk_first(place, monkeypatch):
    monkeypatch.setattr(road, "_PATIENCE", 0.0)
    async with place.house() as (torrents, _):
        source_id = await torrents.add_metainfo(METAINFO)
        write_film(place, source_id)
    async with place.house(no_data_timeout=20) as (torrents, engine):
        engine.on_disk = b"\xff"
        torrents.set_road(up=False, reason="It is down")
        async with torrents.reader(source_id, None) as reader:
            assert (await anext(reader.spans(0, LEAF))).length == LEAF


async def test_a_road_that_is_gone_for_a_moment_is_waited_for(place):
    async with place.house(no_data_timeout=0.3) as (torrents, engine):
        source_id = await torrents.add_metainfo(METAINFO)
        write_film(place, source_id)
        async with torrents.reader(source_id, None) as reader, asyncio.TaskGroup() as group:
            first = group.create_task(anext(reader.spans(0, 1)))
            await until(torrents, lambda: torrents.source(source_id).readers == 1)
            for up in (False, True, False, True):
                # In all it is longer than it would wait for a swarm that gives nothing.
                await asyncio.wait([first], timeout=0.2)
                torrents.set_road(up=up, reason="It is down")
            assert not first.done()
            engine.say(PiecesFinished(torrent_id=source_id, pieces=[0]))


async def test_who_has_begun_to_watch_is_not_cut_off_as_soon_as_who_has_not(place, monkeypatch):
    monkeypatch.setattr(road, "_PATIENCE", 0.0)
    async with place.house(no_data_timeout=0.5) as (torrents, engine):
        source_id = await torrents.add_metainfo(METAINFO)
        write_film(place, source_id)
        engine.say(PiecesFinished(torrent_id=source_id, pieces=[0]))
        await until(torrents, lambda: torrents.source(source_id).have == LEAF)
        async with torrents.reader(source_id, None) as reader:
            watching = reader.spans(0, 3 * LEAF)
            await anext(watching)
            torrents.set_road(up=False, reason="It is down")
            with pytest.raises(TunnelDownError):
                await anext(reader.spans(2 * LEAF, 3 * LEAF))
            async with asyncio.TaskGroup() as group:
                second = group.create_task(anext(watching))
                await asyncio.wait([second], timeout=0.1)
                assert not second.done()
                engine.say(PiecesFinished(torrent_id=source_id, pieces=[1]))
            # And yet there is an end to it.
            with pytest.raises(TunnelDownError):
                await anext(watching)


async def test_without_a_road_nobody_waits_long_for_what_a_magnet_link_holds(place, monkeypatch):
    monkeypatch.setattr(road, "_PATIENCE", 0.0)
    async with place.house(no_data_timeout=20) as (torrents, _):
        source_id = await torrents.add_magnet(MAGNET)
        torrents.set_road(up=False, reason="It is down")
        with pytest.raises(TunnelDownError):
            async with torrents.reader(source_id, None):
                pass


async def test_the_address_that_the_swarm_sees_is_known(place):
    async with place.house() as (torrents, engine):
        assert torrents.external_address is None
        for address in ("198.51.100.7", None):
            engine.say(ExternalAddress(address=address))
            await torrents.add_metainfo(METAINFO)  # what was said before was heard
            assert torrents.external_address == address


# --- removing -------------------------------------------------------------------------------------


async def test_a_removed_source_is_gone_with_its_files_and_its_readers(place):
    async with place.house(no_data_timeout=20) as (torrents, engine):
        source_id = await torrents.add_metainfo(METAINFO)
        folder = place.downloads / source_id
        folder.mkdir(parents=True)
        (folder / "0").write_bytes(b"what was here")
        async with torrents.reader(source_id, None) as reader, asyncio.TaskGroup() as group:
            waiting = group.create_task(outcome(anext(reader.spans(0, 1))))
            await until(torrents, lambda: torrents.source(source_id).readers == 1)
            await torrents.remove(source_id)
        assert isinstance(waiting.result(), SourceFailedError)
        assert not folder.exists()
        assert engine.torrents == set()
        with pytest.raises(NoSourceError):
            torrents.source(source_id)
        with pytest.raises(NoSourceError):
            await torrents.remove(source_id)


async def outcome(something: object) -> BaseException | None:
    try:
        await something  # type: ignore[misc] # whatever can be awaited
    except Exception as error:  # noqa: BLE001 -- it is what the test looks at
        return error
    return None


@pytest.mark.parametrize("turns", range(6))
async def test_a_source_removed_while_it_wakes_leaves_nothing_in_the_engine(place, turns):
    async with place.house() as (torrents, engine):
        source_id = await torrents.add_metainfo(METAINFO)
    async with place.house() as (torrents, engine):
        async with asyncio.TaskGroup() as group:
            group.create_task(outcome(torrents.add_metainfo(METAINFO)))
            for _ in range(turns):
                await asyncio.sleep(0)
            group.create_task(outcome(read_something(torrents, source_id)))
            group.create_task(outcome(torrents.remove(source_id)))
            group.create_task(outcome(torrents.remove(source_id)))
        assert engine.torrents <= {source.id for source in torrents.sources()}


async def read_something(torrents: Torrents, source_id: SourceId) -> None:
    async with torrents.reader(source_id, None) as reader:
        await anext(reader.spans(0, 1))


async def test_what_a_crash_left_of_a_removed_source_is_deleted_at_the_next_start(place):
    async with place.house() as (torrents, _):
        source_id = await torrents.add_metainfo(METAINFO)
    kept, orphan, foreign = (
        place.downloads / name for name in (source_id, "0123456789abcdef", "somebody else's")
    )
    for folder in (kept, orphan, foreign):
        folder.mkdir(parents=True)
        (folder / "0").write_bytes(b"x")
    async with place.house():
        assert kept.exists()
        assert foreign.exists()
        assert not orphan.exists()


# --- what is kept ---------------------------------------------------------------------------------


@pytest.mark.parametrize("boot_id", ["one", "other"])
async def test_after_a_clean_stop_what_was_saved_is_believed(place, boot_id):
    async with place.house(boot_id="one") as (torrents, _):
        source_id = await torrents.add_metainfo(METAINFO)
    async with place.house(boot_id=boot_id) as (torrents, engine):
        assert activity(torrents, source_id) is Activity.DORMANT
        assert engine.commands == []
        await torrents.add_metainfo(METAINFO)
        (added,) = engine.told(AddMetainfo)
        assert isinstance(added, AddMetainfo)
        assert (added.resume_data, added.recheck) == (b"where it was", False)


@pytest.mark.parametrize(("boot_id", "recheck"), [("one", False), ("other", True)])
async def test_after_a_crash_all_is_checked_only_if_the_machine_went_down_too(
    place, boot_id, recheck
):
    with pytest.raises(ExceptionGroup) as caught:
        async with place.house(boot_id="one") as (torrents, engine):
            source_id = await torrents.add_metainfo(METAINFO)
            engine.say(ResumeData(torrent_id=source_id, data=b"halfway"))
            engine.die()
            await asyncio.Event().wait()
    assert caught.group_contains(EngineDiedError, match="signal 9")
    async with place.house(boot_id=boot_id) as (torrents, engine):
        await torrents.add_metainfo(METAINFO)
        (added,) = engine.told(AddMetainfo)
        assert isinstance(added, AddMetainfo)
        # Whether the last word was still written does not matter here: nothing was settled.
        assert added.resume_data in {b"halfway", None}
        assert added.recheck is recheck or added.resume_data is None
