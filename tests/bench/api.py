"""`scripts/bench api`: how soon the daemon answers while fifty ask, and what it keeps of many.

The daemon, with its engine, has one core; whoever asks has another. The load is that of wrk, which
nobody here wrote. wrk asks again as soon as it has an answer, so that fifty connections measure
how many answers there are in a second: each waits for the forty-nine before it. So there are two
kinds of figures, those of fifty such connections and those of fifty clients that pause a little.

There is no catalogue yet, so the 10,000 titles are 10,000 sources. The rate limits are off where
one address asks as often as a town would, and on where memory is measured.
"""

import argparse
import asyncio
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from miauflixd.database.database import Database
from miauflixd.demo.daemon import DaemonProcess, free_port
from miauflixd.demo.household import sign_in
from miauflixd.demo.swarm import Swarm
from miauflixd.torrents.model import Layout, SourceFile
from miauflixd.torrents.store import SourceStore
from miauflixd.vault.keys import master_key
from miauflixd.vault.sealing import Sealer
from tests.bench import client
from tests.bench.measuring import (
    Results,
    Summary,
    Target,
    memory,
    on_core,
    table,
    waited_seconds,
    write_report,
)
from tests.bench.stream import LOGIN, MIB, Running, write_noise

TITLES = 10_000
CLIENTS = 50
PAUSE = 100
"""Milliseconds that a client thinks on average: fifty ask some 480 times a second."""

STREAMS = 5
STREAM_RATE = 3 * MIB
"""Bytes per second that each film is read with: 25 Mbit/s."""

FILM = 512 * MIB
SEEDER_RATE = 8 * MIB
"""Bytes per second of each of three: the film goes on growing while five read it."""

ADDRESSES = 100_000

_WRK = Path(__file__).with_name("wrk.lua")

_ASKED = {
    "server": "/api/server",
    "me": "/api/me",
    "list": "/api/torrents?limit=50",
}

_WAYS = {
    "full": ("as fast as it goes", 3.0, 15.0),
    "paced": ("with pauses", 3.0, 15.0),
    "streams": ("with pauses, five streams running", None, 40.0),
}

TARGETS = (
    {
        f"{asked}_{way}_{figure}": Target(f"{path}, {manner}, {figure}", unit, bound)
        for way, (manner, p50, p99) in _WAYS.items()
        for asked, path in _ASKED.items()
        for figure, unit, bound in (("p50", "ms", p50), ("p99", "ms", p99), ("rate", "1/s", None))
    }
    | {
        # What else runs on the machine is in the figures; these say how much it was.
        f"{way}_waited": Target(f"the daemon's wait for its core, {manner}", "% of the time")
        for way, (manner, _, _) in _WAYS.items()
    }
    | {
        "memory_early": Target("RSS after each address has asked once", "MB"),
        "memory_late": Target("RSS at the end", "MB"),
        "memory_growth": Target("growth between the two", "MB", 2.0),
    }
)


@dataclass(frozen=True)
class Load:
    """What wrk saw; milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    max: float
    refused: int
    failed: int


class Cores:
    """Which core is whose."""

    def __init__(self) -> None:
        available = sorted(os.sched_getaffinity(0))
        self.ours, self.daemons = available[0], available[-1]


async def wrk(
    url: str,
    *,
    seconds: float,
    token: str | None = None,
    pause: int = 0,
    addresses: int = 0,
    secret: str = "",
) -> Load:
    """Ask for so long by fifty connections, and return what came of it."""
    process = await asyncio.create_subprocess_exec(
        *("wrk", "--threads", "1", "--connections", str(CLIENTS), "--timeout", "30s"),
        *("--duration", f"{seconds:.0f}s", "--script", str(_WRK), url),
        *("--", token or "-", str(pause), str(addresses), secret),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    load = Load(**json.loads(output.splitlines()[-1]))
    if process.returncode or load.failed or not load.requests:
        raise client.BenchError(output.decode())
    if load.refused > (load.requests / 4 + CLIENTS if addresses else 0):
        raise client.BenchError(f"{load.refused} of {load.requests} were refused")
    return load


async def fill(data: Path) -> None:
    """Write as many sources into a new database as a large household has titles."""
    data.mkdir()
    async with Database.open(data / "miauflixd.sqlite3") as database:
        sealer = Sealer(master_key(None, folder=data))
        store = await SourceStore.open(database=database, sealer=sealer)
        for number in range(TITLES):
            name = f"A film of the bench {number:05}.mkv"
            size = 2**31 + number
            await store.add(
                hashes=[secrets.token_bytes(20)],
                name=name,
                metainfo=b"de",  # nobody wakes them
                layout=Layout(
                    name=name,
                    piece_length=2**22,
                    total_size=size,
                    files=(SourceFile(index=0, name=name, size=size, offset=0),),
                ),
            )


@asynccontextmanager
async def daemon(
    folder: Path, cores: Cores, *, web: str, filled: Path | None = None
) -> AsyncIterator[Running]:
    """Run a daemon on its core, with a copy of a data folder or a fresh one."""
    place = Path(tempfile.mkdtemp(dir=folder))
    (place / "conf.d").mkdir()
    (place / "conf.d" / "bench.toml").write_text(f"[web]\n{web}\n")
    if filled is not None:
        shutil.copytree(filled, place / "data")
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, place)
        with on_core(cores.daemons):
            process = await stack.enter_async_context(
                DaemonProcess.open(directory=place, port=free_port(), log_level="error")
            )
        token = await sign_in(process, LOGIN)
        yield Running(url=process.url, pid=process.pid, token=token)


async def measure(
    process: Running, results: Results, *, way: str, seconds: float, pause: int
) -> None:
    """Ask for each of the addresses in turn."""
    for asked, path in _ASKED.items():
        token = None if asked == "server" else process.token
        waited = waited_seconds(process.pid)
        load = await wrk(f"{process.url}{path}", seconds=seconds, token=token, pause=pause)
        waited = waited_seconds(process.pid) - waited
        results.note(f"{way}_waited", waited / load.seconds * 100)
        results.note(f"{asked}_{way}_p50", load.p50)
        results.note(f"{asked}_{way}_p99", load.p99)
        results.note(f"{asked}_{way}_rate", load.requests / load.seconds)


@asynccontextmanager
async def streams(process: Running, folder: Path) -> AsyncIterator[None]:
    """Watch one film five times, each from elsewhere, while it still comes from the swarm."""
    place = Path(tempfile.mkdtemp(dir=folder))
    film = place / "film.bin"
    await asyncio.to_thread(write_noise, film, FILM)
    async with (
        Swarm.open(
            film, directory=place, seeders=3, upload_rate=SEEDER_RATE, piece_length=2 * MIB
        ) as swarm,
        asyncio.TaskGroup() as group,
    ):
        url = await asyncio.to_thread(
            client.add, process.url, token=process.token, metainfo=swarm.torrent.metainfo
        )
        watching = [
            group.create_task(_watch(url, number * FILM // STREAMS)) for number in range(STREAMS)
        ]
        await asyncio.sleep(2)
        yield
        for task in watching:
            task.cancel()
    shutil.rmtree(place)


async def _watch(url: str, start: int) -> None:
    """Read a film as a player does that has filled its buffer, again and again."""
    parts = urlsplit(url)
    while True:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=MIB)
        try:
            writer.write(
                f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                f"Range: bytes={start}-\r\nConnection: close\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 206"):
                raise client.BenchError(head.decode(errors="replace"))
            while await reader.read(MIB // 4):
                await asyncio.sleep(MIB / 4 / STREAM_RATE)
        finally:
            writer.close()
        start = 0


async def measure_memory(folder: Path, cores: Cores, results: Results, *, requests: int) -> None:
    """Measure what the daemon keeps of a town that asks, a proxy naming each one's address."""
    secret = secrets.token_hex(16)
    web = f'trusted_proxies = ["127.0.0.1"]\nproxy_secret = "{secret}"'
    async with daemon(folder, cores, web=web) as process:
        asked, early, now = 0, 0.0, 0.0
        while asked < requests:
            load = await wrk(
                f"{process.url}/api/server", seconds=20, addresses=ADDRESSES, secret=secret
            )
            asked += load.requests
            now = memory([process.pid]) / 1e6
            print(f"  {asked} requests: {now:.1f} MB", file=sys.stderr)
            if not early and asked >= ADDRESSES:
                early = now
                results.note("memory_early", early)
        results.note("memory_late", now)
        results.note("memory_growth", now - early)


async def run(arguments: argparse.Namespace) -> dict[str, Summary]:
    """Take all measurements."""
    results = Results(TARGETS)
    cores = Cores()
    seconds = 3 if arguments.quick else 10
    with (
        tempfile.TemporaryDirectory(prefix="miauflixd-bench-") as name,
        on_core(cores.ours),
    ):
        folder = Path(name)
        filled = folder / "filled"
        await fill(filled)
        web = "rate_limits = false\nstreams_per_user = 1000"
        async with daemon(folder, cores, web=web, filled=filled) as process:
            for number in range(arguments.runs):
                print(f"run {number + 1} of {arguments.runs}", file=sys.stderr)
                await measure(process, results, way="full", seconds=seconds, pause=0)
                await measure(process, results, way="paced", seconds=seconds, pause=PAUSE)
                async with streams(process, folder):
                    await measure(process, results, way="streams", seconds=seconds, pause=PAUSE)
        if arguments.requests:
            await measure_memory(folder, cores, results, requests=arguments.requests)
    return results.summaries()


def main(words: list[str]) -> None:
    """Measure, print JSON to standard output (or a file) and a table to standard error."""
    parser = argparse.ArgumentParser(prog="scripts/bench api", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="three seconds each, not ten")
    parser.add_argument(
        "--requests",
        type=int,
        default=1_000_000,
        help="after which to look at the memory, five minutes; 0 leaves it out",
    )
    parser.add_argument("--json", type=Path, default=None, help="write the JSON there")
    arguments = parser.parse_args(words)
    summaries = asyncio.run(run(arguments))
    write_report(
        summaries,
        to=arguments.json,
        conditions={"titles": TITLES, "clients": CLIENTS, "pause_ms": PAUSE},
    )
    print(table(TARGETS, summaries), file=sys.stderr)
