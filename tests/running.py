"""A house with a real daemon, and seeders that count: what tests of the whole need, small."""

import asyncio
import hashlib
import io
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from miauflixd.demo.daemon import DaemonProcess, free_port
from miauflixd.demo.household import Login, sign_in
from miauflixd.demo.metainfo import Torrent
from miauflixd.demo.swarm import Swarm
from miauflixd.engine.messages import AddMetainfo, Configure, ProgressReport
from miauflixd.torrents.engine_process import EngineDiedError, EngineProcess
from miauflixd.torrents.launching import PlainLauncher
from tests.bench.measuring import family
from tests.torrent_files import noise

KIB = 2**10
MIB = 2**20

_GUARD = 30.0
"""Seconds after which nothing that a test waits for will come any more."""

_SEEDERS_FOLDER = "seeders"

LOGIN = Login(email="anna@example.org", password="kettle orbit walnut")
"""Who administers every house."""


def write_film(folder: Path, *, size: int, name: str = "film.bin", seed: int = 0) -> bytes:
    """Write a film that is the same each time, and return what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    content = noise(size, seed)
    (folder / name).write_bytes(content)
    return content


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def random_ranges(size: int, *, count: int, longest: int, seed: int = 0) -> Iterator[range]:
    """Yield places in a film, the same each time; never empty."""
    choice = random.Random(seed)
    for _ in range(count):
        start = choice.randrange(size)
        yield range(start, min(size, start + choice.randrange(1, longest + 1)))


# --- the swarm ------------------------------------------------------------------------------------


def is_engine(pid: int) -> bool:
    """Whether a process is an engine."""
    try:
        return b"miauflixd.engine" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


class Seeder:
    """A process that has the whole film, and says how much of it it gave."""

    def __init__(self, engine: EngineProcess) -> None:
        self._engine = engine
        self._reported = asyncio.Condition()
        self._killed = False
        self.uploaded = 0
        """Payload bytes, as of the last second."""
        self._rate = 0

    def kill(self) -> None:
        """Let it die in the middle of a word."""
        self._killed = True
        os.kill(self._engine.pid, signal.SIGKILL)

    async def has_given(self, size: int) -> int:
        """Wait until it has given that much and gives no more; return how much it gave."""
        async with asyncio.timeout(_GUARD), self._reported:
            await self._reported.wait_for(lambda: self.uploaded >= size and self._rate == 0)
        return self.uploaded

    async def listen(self) -> None:
        """Count until its end."""
        try:
            async for event in self._engine.events():
                if isinstance(event, ProgressReport):
                    async with self._reported:
                        self.uploaded = event.torrents[0].uploaded
                        self._rate = event.torrents[0].upload_rate
                        self._reported.notify_all()
        except EngineDiedError:
            if not self._killed:
                raise


@asynccontextmanager
async def tracked(
    film: Path, folder: Path, *, piece_length: int = 256 * KIB
) -> AsyncIterator[Swarm]:
    """Make a film's torrent and run its tracker for the length of the block; nobody seeds yet."""
    async with Swarm.open(
        film, directory=folder / _SEEDERS_FOLDER, seeders=0, piece_length=piece_length
    ) as swarm:
        yield swarm


@asynccontextmanager
async def seeding(
    swarm: Swarm, folder: Path, *, number: int = 1, upload_rate: int = 0
) -> AsyncIterator[Seeder]:
    """Seed a tracked film from an address of its own for the length of the block.

    Args:
        swarm: what `tracked` gave.
        folder: the same that `tracked` got.
        number: of this seeder, from 1 on.
        upload_rate: bytes per second at most; 0 for no limit.
    """
    settings = Configure(
        listen=[f"127.0.0.{20 + number}:0"],
        connections=50,
        download_rate=0,
        upload_rate=upload_rate,
        dht=False,
    )
    async with (
        EngineProcess.open(settings, launcher=PlainLauncher()) as engine,
        asyncio.TaskGroup() as group,
    ):
        engine.set_network(up=True)
        seeder = Seeder(engine)
        listening = group.create_task(seeder.listen(), name=f"seeder {number}")
        engine.send(
            AddMetainfo(
                torrent_id="film",
                save_path=str(folder / _SEEDERS_FOLDER / "film"),
                metainfo=swarm.torrent.metainfo,
                seed=True,
            )
        )
        async with asyncio.timeout(_GUARD):
            await swarm.tracker.seeded(swarm.torrent.info_hash, seeders=number)
        yield seeder
        listening.cancel()


@asynccontextmanager
async def seeded(
    folder: Path, *, size: int, upload_rate: int = 0, piece_length: int = 256 * KIB
) -> AsyncIterator[tuple[bytes, Torrent, Seeder]]:
    """Yield a film's bytes, its torrent and the one seeder that it has."""
    content = write_film(folder, size=size)
    async with (
        tracked(folder / "film.bin", folder, piece_length=piece_length) as swarm,
        seeding(swarm, folder, upload_rate=upload_rate) as seeder,
    ):
        yield content, swarm.torrent, seeder


# --- the house ------------------------------------------------------------------------------------


class House:
    """A running daemon and somebody who talks to it."""

    def __init__(
        self, daemon: DaemonProcess, session: aiohttp.ClientSession, *, token: str
    ) -> None:
        self.url = daemon.url
        self.pid = daemon.pid
        self.session = session
        """Signed in as the administrator."""
        self.token = token

    @property
    def engine_pid(self) -> int:
        """The number of the daemon's engine."""
        (engine,) = [pid for pid in family(self.pid) if is_engine(pid)]
        return engine

    def stream_url(self, source_id: str) -> str:
        """Return the address of a source's main file, for who sends the token."""
        return f"{self.url}/api/stream/{source_id}"

    async def player_url(self, source_id: str) -> str:
        """Return the same for programs that send no headers: with a key in it."""
        body = {"source_id": source_id}
        async with self.session.post(f"{self.url}/api/playback", json=body) as answer:
            assert answer.status == 201, await answer.text()
            return f"{self.url}{(await answer.json())['stream_url']}"

    def post(self, metainfo: bytes) -> Any:
        """Send a `.torrent` file; an answer to enter."""
        return self.session.post(
            f"{self.url}/api/torrents",
            data=io.BytesIO(metainfo),  # what aiohttp wants of large bodies
            headers={"Content-Type": "application/x-bittorrent"},
        )

    async def add(self, torrent: Torrent) -> str:
        """Add a source by its `.torrent` file and return its id."""
        return await self.add_metainfo(torrent.metainfo)

    async def add_metainfo(self, metainfo: bytes) -> str:
        async with self.post(metainfo) as answer:
            return await _id_of(answer)

    async def add_magnet(self, magnet: str) -> str:
        async with self.session.post(f"{self.url}/api/torrents", json={"magnet": magnet}) as answer:
            return await _id_of(answer)

    def get(self, source_id: str, span: range | None = None, **headers: str) -> Any:
        """Ask for bytes of a source's main file; an answer to enter."""
        if span is not None:
            headers["Range"] = f"bytes={span.start}-{span.stop - 1}"
        return self.session.get(self.stream_url(source_id), headers=headers)

    async def read(self, source_id: str, span: range | None = None) -> bytes:
        """Return bytes of a source's main file."""
        async with self.get(source_id, span) as answer:
            assert answer.status == (200 if span is None else 206), await answer.text()
            body: bytes = await answer.read()
            return body

    async def ask(self, source_id: str) -> asyncio.StreamWriter:
        """Ask for a source's main file over a connection of its own, and take no answer."""
        host, port = self.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=KIB)
        writer.write(
            f"GET /api/stream/{source_id} HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Bearer {self.token}\r\n\r\n".encode()
        )
        return writer

    async def source(self, source_id: str) -> dict[str, Any]:
        """Return what is told of a source now."""
        async with self.session.get(f"{self.url}/api/torrents/{source_id}") as answer:
            assert answer.status == 200, await answer.text()
            told: dict[str, Any] = await answer.json()
            return told

    async def until(
        self, source_id: str, holds: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        """Follow what is told of a source until something holds, and return that."""
        told: dict[str, Any] = {}
        try:
            async with (
                asyncio.timeout(_GUARD),
                self.session.get(f"{self.url}/api/events") as events,
            ):
                async for line in events.content:
                    if not line.startswith(b"data: "):
                        continue
                    event = json.loads(line.removeprefix(b"data: "))
                    if event.get("id") == source_id:
                        told = event
                        if holds(told):
                            return told
        except TimeoutError:
            raise AssertionError(f"It never came about; last was {told}") from None
        raise AssertionError("The events ended")

    async def still_answers(self) -> None:
        async with self.session.get(f"{self.url}/api/health") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok"})

    async def until_it_dies(self) -> None:
        """Wait to be cancelled: the block that runs the daemon ends with it."""
        async with asyncio.timeout(_GUARD):
            await asyncio.Event().wait()


@asynccontextmanager
async def house(
    folder: Path,
    *,
    data: Path | None = None,
    log_level: str = "warning",
    encryption: str = "off",
    port: int | None = None,
    **torrents: float,
) -> AsyncIterator[House]:
    """Run a daemon for the length of the block.

    Args:
        folder: for its settings and its data, which an earlier daemon may have left there.
        data: for its data, if elsewhere.
        log_level: the least important kind of line that goes to our standard error.
        encryption: of its downloads.
        port: at which it answers; by default any.
        torrents: settings of the downloads, by name; other than the defaults nothing is left free
            on the disk, so that tests need little of it.
    """
    more = folder / "conf.d"
    more.mkdir(parents=True, exist_ok=True)
    lines = [f"{name} = {value}" for name, value in ({"minimum_free": 0} | torrents).items()]
    # One client alone does here what a town would.
    web = ["[web]", "rate_limits = false", "streams_per_user = 1000"]
    storage = ["[storage]", f"encryption = {json.dumps(encryption)}"]
    storage += [] if data is None else [f"path = {json.dumps(str(data))}"]
    (more / "tests.toml").write_text("\n".join(["[torrents]", *lines, *web, *storage, ""]))
    async with (
        # Clients come and go: none of them waits for a connection of another.
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=60),
            read_bufsize=MIB,
        ) as session,
        DaemonProcess.open(
            directory=folder, port=port or free_port(), log_level=log_level
        ) as daemon,
    ):
        token = await sign_in(daemon, LOGIN)
        session.headers["Authorization"] = f"Bearer {token}"
        yield House(daemon, session, token=token)


async def _id_of(answer: aiohttp.ClientResponse) -> str:
    assert answer.status == 201, await answer.text()
    source_id: str = (await answer.json())["source_id"]
    return source_id


async def until(holds: Callable[[], bool], what: str) -> None:
    """Look again and again until something holds: for what tells nobody that it has changed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_GUARD):
            while not holds():
                await asyncio.sleep(0.02)
            return
    raise AssertionError(f"It never came about that {what}")
