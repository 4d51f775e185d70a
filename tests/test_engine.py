"""The engine over its socket pair: commands in, and what comes of them as events."""

import asyncio
import base64
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest

from miauflixd.demo.daemon import free_port
from miauflixd.engine import metainfo as metainfos
from miauflixd.engine.messages import (
    AddMagnet,
    AddMetainfo,
    Command,
    Configure,
    ConnectPeer,
    Event,
    Inspect,
    Metadata,
    Pieces,
    PiecesFinished,
    Prioritize,
    ProgressReport,
    Rejected,
    Remove,
    Removed,
    Reread,
    ResumeData,
    Saved,
    SaveResumeData,
)
from miauflixd.torrents.engine_process import EngineDiedError, EngineProcess
from miauflixd.torrents.launching import PlainLauncher
from tests.test_metainfo import Swarm as CarelessSwarm
from tests.test_metainfo import changed, evil_torrent
from tests.torrent_files import LEAF, MAKERS, bencode, noise, v1, write_by_index

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(40)]

SHOW = {"a.mkv": noise(20 * LEAF + 5, 1), "b.srt": noise(99, 2), "c.mkv": noise(9 * LEAF, 3)}
PIECE = 2 * LEAF

E = TypeVar("E", bound=Event)


class Engine:
    """A running engine and all that it has said."""

    def __init__(self, process: EngineProcess, *, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.pid = process.pid
        self.said: list[Event] = []
        self.process = process
        self._events = process.events()

    def send(self, *commands: Command) -> None:
        for command in commands:
            self.process.send(command)

    async def says(self, kind: type[E], holds: Callable[[E], bool] = lambda _: True) -> E:
        """Listen until it says something; what it says meanwhile is in `said`."""
        async for event in self._events:
            self.said.append(event)
            if isinstance(event, kind) and holds(event):
                return event
        raise AssertionError("it ended")

    def finished(self) -> set[int]:
        """Return the pieces that it has told of one by one."""
        return {
            piece
            for event in self.said
            if isinstance(event, PiecesFinished)
            for piece in event.pieces
        }

    async def has_finished(self, pieces: set[int]) -> None:
        while not pieces <= self.finished():
            await self.says(PiecesFinished)


@asynccontextmanager
async def engine(
    host: str = "127.0.0.1", *, upload_rate: int = 0, dht: bool = False, up: bool = True
) -> AsyncIterator[Engine]:
    """Run an engine for the length of the block."""
    port = free_port()
    settings = Configure(
        listen=[f"{host}:{port}"],
        connections=20,
        download_rate=0,
        upload_rate=upload_rate,
        dht=dht,
    )
    async with EngineProcess.open(settings, launcher=PlainLauncher()) as process:
        if up:
            process.set_network(up=True)
        yield Engine(process, host=host, port=port)


class Shared:
    """A torrent, and a folder with its files for a seeder."""

    def __init__(
        self, folder: Path, contents: Mapping[str, bytes], *, kind: str, tracker: str | None = None
    ) -> None:
        announced = {} if tracker is None else {b"announce": tracker.encode()}
        self.metainfo = bencode({**announced, **MAKERS[kind](contents, piece_length=PIECE)})
        torrent = metainfos.load(self.metainfo).ti
        assert torrent is not None
        self.count = torrent.num_pieces()
        self.every_piece = set(range(self.count))
        self.files = metainfos.describe(torrent).files
        self.info_hashes = metainfos.info_hashes(torrent)
        self.contents = contents
        self.folder = folder / "seeder"
        write_by_index(self.folder, contents, {file.path: file.index for file in self.files})

    def seed(self, seeder: Engine) -> None:
        seeder.send(
            AddMetainfo(
                torrent_id=self.folder.name,
                save_path=str(self.folder),
                metainfo=self.metainfo,
                seed=True,
            )
        )

    def wanting(self, pieces: set[int]) -> Prioritize:
        return Prioritize(torrent_id="show", pieces=[(piece, 4) for piece in sorted(pieces)])

    def assert_saved(self, folder: Path) -> None:
        for file in self.files:
            saved = folder / str(file.index)
            assert (saved.read_bytes() if file.size else b"") == self.contents[file.path]


def open_files(pid: int) -> list[Path]:
    paths = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            paths.append(descriptor.readlink())
    return paths


def to(seeder: Engine) -> ConnectPeer:
    return ConnectPeer(torrent_id="show", host=seeder.host, port=seeder.port)


def add(shared: Shared, folder: Path, *, resume_data: bytes | None = None) -> AddMetainfo:
    return AddMetainfo(
        torrent_id="show",
        save_path=str(folder / "show"),
        metainfo=shared.metainfo,
        resume_data=resume_data,
    )


# --- what is added --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKERS)
async def test_a_torrent_file_is_downloaded(tmp_path, kind):
    shared = Shared(tmp_path, SHOW, kind=kind)
    async with engine("127.0.0.41") as seeder, engine() as leecher:
        shared.seed(seeder)
        leecher.send(add(shared, tmp_path), to(seeder))
        before = await leecher.says(Pieces)
        assert not any(before.have)
        leecher.send(shared.wanting(shared.every_piece))
        await leecher.has_finished(shared.every_piece)
        # As soon as the last piece is told it is in the file.
        shared.assert_saved(tmp_path / "show")
        leecher.send(Reread(torrent_id="show"))
        after = await leecher.says(Pieces)
        assert sum(byte.bit_count() for byte in after.have) == shared.count


def magnets(shared: Shared) -> dict[str, str]:
    v1_hash, v2_hash = shared.info_hashes
    links = {}
    if v1_hash is not None:
        links["btih"] = f"magnet:?xt=urn:btih:{v1_hash.hex()}"
        links["base32"] = f"magnet:?xt=urn:btih:{base64.b32encode(v1_hash).decode()}"
    if v2_hash is not None:
        links["btmh"] = f"magnet:?xt=urn:btmh:1220{v2_hash.hex()}"
    return links


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        ("v1", "btih"),
        ("v1", "base32"),
        ("v2", "btmh"),
        ("hybrid", "btih"),
        ("hybrid", "btmh"),
    ],
)
async def test_a_magnet_link_learns_from_a_peer_what_it_holds(tmp_path, kind, link):
    shared = Shared(tmp_path, SHOW, kind=kind)
    async with engine("127.0.0.41") as seeder, engine() as leecher:
        shared.seed(seeder)
        leecher.send(
            AddMagnet(
                torrent_id="show", save_path=str(tmp_path / "show"), uri=magnets(shared)[link]
            ),
            to(seeder),
        )
        told = await leecher.says(Metadata)
        assert (told.name, told.piece_length) == ("film", PIECE)
        assert told.files == shared.files
        assert (told.info_hash_v1, told.info_hash_v2) == shared.info_hashes
        assert (
            metainfos.load(told.metainfo).info_hashes == metainfos.load(shared.metainfo).info_hashes
        )
        await leecher.says(Pieces)
        assert leecher.finished() == set()
        leecher.send(shared.wanting(shared.every_piece))
        await leecher.has_finished(shared.every_piece)
        shared.assert_saved(tmp_path / "show")


async def test_hostile_metadata_from_a_peer_is_rejected_and_leaves_nothing_elsewhere(tmp_path):
    careless = CarelessSwarm(tmp_path / "careless")
    contents = {"0": noise(LEAF, 1), "1": noise(LEAF, 2), "2": noise(LEAF, 3)}
    careless.seed(evil_torrent(tmp_path / "elsewhere"), contents, {"0": 0, "1": 1, "2": 2})
    home = tmp_path / "home"
    async with engine() as leecher:
        leecher.send(
            AddMagnet(torrent_id="show", save_path=str(home / "show"), uri=careless.magnet),
            ConnectPeer(torrent_id="show", host="127.0.0.1", port=careless._seeder.listen_port()),
        )
        rejected = await leecher.says(Rejected)
        assert rejected.detail == "It wants to write outside its own folder."
        await leecher.says(Removed)
        assert not any(isinstance(event, Metadata | PiecesFinished) for event in leecher.said)
    assert sorted(path.name for path in tmp_path.iterdir()) in (["careless"], ["careless", "home"])
    assert {path.name for path in home.rglob("*") if path.is_file()} <= set("01234")
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


async def test_a_torrent_file_is_inspected_without_joining_its_swarm(tmp_path):
    shared = Shared(tmp_path, SHOW, kind="hybrid")
    async with engine() as one:
        one.send(Inspect(torrent_id="ticket", metainfo=shared.metainfo))
        told = await one.says(Metadata)
        assert (told.torrent_id, told.files) == ("ticket", shared.files)
        one.send(Inspect(torrent_id="bad", metainfo=bencode(changed(v1(SHOW), piece_length=0))))
        refused = await one.says(Rejected)
        assert refused == Rejected(torrent_id="bad", detail="Its piece length makes no sense.")


# --- what is wanted, and what is not --------------------------------------------------------------


async def test_only_what_is_wanted_is_downloaded(tmp_path):
    shared = Shared(tmp_path, SHOW, kind="v1")
    wanted = {0, 3, shared.count - 1}
    async with engine("127.0.0.41") as seeder, engine() as leecher:
        shared.seed(seeder)
        leecher.send(add(shared, tmp_path), to(seeder))
        await leecher.says(Pieces)
        leecher.send(
            Prioritize(
                torrent_id="show",
                pieces=[(piece, 7) for piece in wanted],
            )
        )
        await leecher.has_finished(wanted)
        report = await leecher.says(
            ProgressReport, lambda report: report.torrents[0].state == "idle"
        )
        assert leecher.finished() == wanted
        sizes = 2 * PIECE + (sum(map(len, SHOW.values())) - (shared.count - 1) * PIECE)
        assert report.torrents[0].downloaded == sizes


async def test_a_removed_torrent_is_let_go_and_can_be_added_again(tmp_path):
    shared = Shared(tmp_path, SHOW, kind="v1")
    async with engine("127.0.0.41") as seeder, engine() as leecher:
        shared.seed(seeder)
        for _ in range(2):
            leecher.send(add(shared, tmp_path), to(seeder))
            await leecher.says(Pieces)
            leecher.send(shared.wanting({1}), Remove(torrent_id="show"))
            await leecher.says(Removed)
            assert not any(path.is_relative_to(tmp_path) for path in open_files(leecher.pid))
        leecher.send(Remove(torrent_id="never seen"))
        assert (await leecher.says(Removed)).torrent_id == "never seen"


async def test_a_torrent_removed_the_moment_it_was_added_is_gone(tmp_path):
    shared = Shared(tmp_path, SHOW, kind="v1")
    async with engine() as one:
        one.send(add(shared, tmp_path), Remove(torrent_id="show"))
        await one.says(Removed)
        one.send(SaveResumeData())
        await one.says(Saved)
        assert not any(isinstance(event, ProgressReport | ResumeData) for event in one.said)


async def test_a_magnet_link_removed_at_any_moment_is_gone(tmp_path):
    shared = Shared(tmp_path, SHOW, kind="v1")
    async with engine("127.0.0.41") as seeder, engine() as leecher:
        shared.seed(seeder)
        folder, uri = str(tmp_path / "show"), magnets(shared)["btih"]
        for moment in range(40):
            leecher.send(AddMagnet(torrent_id="show", save_path=folder, uri=uri), to(seeder))
            # Its metadata takes some 50 ms to arrive, and is looked at in several steps.
            await asyncio.sleep(moment / 500)
            leecher.send(Remove(torrent_id="show"), shared.wanting({0}), Reread(torrent_id="show"))
            await leecher.says(Removed)
        leecher.send(SaveResumeData())
        await leecher.says(Saved)


# --- the end, and after it ------------------------------------------------------------------------


async def test_an_engine_that_is_killed_says_by_which_signal():
    async with engine() as one:
        os.kill(one.pid, signal.SIGKILL)
        with pytest.raises(EngineDiedError, match="The engine died: signal 9"):
            await one.says(Saved)


def test_the_engine_ends_when_the_house_is_gone():
    ours, theirs = socket.socketpair()
    with (
        theirs,
        subprocess.Popen(
            [sys.executable, "-m", "miauflixd.engine", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        ) as process,
    ):
        try:
            theirs.close()
            # Up to here it may be anywhere in its start.
            ours.close()
            _, complaint = process.communicate(timeout=20)
            assert (process.returncode, complaint) == (0, b"")
        finally:
            process.kill()


async def test_what_was_finished_just_before_a_kill_is_not_downloaded_again(tmp_path):
    big = {"film": noise(400 * LEAF + 7, 4)}
    shared = Shared(tmp_path, big, kind="v1")
    async with engine("127.0.0.41", upload_rate=2_500_000) as seeder:
        shared.seed(seeder)
        async with engine() as first:
            first.send(add(shared, tmp_path), to(seeder))
            await first.says(Pieces)
            first.send(shared.wanting(shared.every_piece))
            await first.says(PiecesFinished)
            first.send(SaveResumeData())
            resume_data = (await first.says(ResumeData)).data
            remembered = len(first.finished())
            while len(first.finished()) < remembered + 30:
                await first.says(PiecesFinished)
            os.kill(first.pid, signal.SIGKILL)
            with pytest.raises(EngineDiedError):
                await first.says(Saved)
            known = first.finished()
        assert len(known) < shared.count
        async with engine() as second:
            second.send(add(shared, tmp_path, resume_data=resume_data))
            told = await second.says(Pieces)
            have = {
                piece
                for piece in range(shared.count)
                if told.have[piece // 8] & (0x80 >> piece % 8)
            }
            assert known <= have
            second.send(shared.wanting(shared.every_piece), to(seeder))
            await second.has_finished(shared.every_piece - have)
            report = await second.says(
                ProgressReport, lambda report: report.torrents[0].state == "seeding"
            )
            shared.assert_saved(tmp_path / "show")
            missing = len(big["film"]) - len(have) * PIECE
            assert report.torrents[0].downloaded <= missing + 2 * PIECE


async def test_resume_data_that_is_none_is_no_obstacle(tmp_path):
    shared = Shared(tmp_path, SHOW, kind="v1")
    write_by_index(tmp_path / "show", SHOW, {file.path: file.index for file in shared.files})
    async with engine() as one:
        one.send(add(shared, tmp_path, resume_data=b"not even bencode"))
        told = await one.says(Pieces)
        assert sum(byte.bit_count() for byte in told.have) == shared.count
