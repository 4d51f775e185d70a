"""`scripts/bench stream`: how soon and how cheaply a film comes out of a swarm.

Everything is real but the distance: the daemon and its engine as child processes, seeders that are
engines too, HTTP over the loopback. Runs of the different measurements take turns, so that a slow
minute of the machine hits all of them.
"""

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from miauflixd.demo.daemon import DaemonProcess, free_port
from miauflixd.demo.household import Login, sign_in
from miauflixd.demo.metainfo import Torrent, make_torrent
from miauflixd.demo.swarm import Swarm
from tests.bench import client, distance
from tests.bench.measuring import (
    Results,
    Summary,
    Target,
    cpu_seconds,
    family,
    forget_peak_memory,
    memory,
    peak_memory,
    table,
    write_report,
)

LOGIN = Login(email="bench@example.org", password="kettle orbit walnut")

MIB = 2**20
PIECE = 2 * MIB
FILM = 128 * MIB
LARGE = 1024 * MIB
SEEDERS = 8
CAP = 1_500_000
"""Bytes per second of one capped seeder; 8 of them give 12 MB/s, a piece each 175 ms."""

PIECE_TIME = PIECE / (SEEDERS * CAP)
"""Seconds that the capped swarm needs for one piece: no client can be faster."""


TARGETS = {
    "ready": Target("start to READY", "s", 1.0),
    "torrent_first_byte": Target(".torrent to first byte", "s", 0.3),
    "torrent_4_mib": Target(".torrent to first 4 MiB", "s"),
    "magnet_first_byte": Target("magnet to first byte", "s", 0.8),
    "magnet_4_mib": Target("magnet to first 4 MiB", "s"),
    "tail": Target("last 1 MiB right after the start", "s"),
    "seek_first_byte": Target("seek to first byte", "s", 0.25 + PIECE_TIME),
    "seek_1_mib": Target("seek to 1 MiB", "s"),
    "download_rate": Target("download while reading, uncapped", "MB/s", 200, at_least=True),
    "download_cpu": Target("CPU of both processes, downloading", "s/GB", 3.5),
    "complete_rate": Target("complete file", "MB/s"),
    "complete_cpu": Target("CPU of both processes, complete file", "s/GB", 0.3),
    "nginx_rate": Target("nginx, the same file", "MB/s"),
    "nginx_cpu": Target("CPU of nginx, the same file", "s/GB"),
    "nginx_ratio": Target("complete file against nginx", "", 0.9, at_least=True),
    "one_stream_memory": Target("peak RSS of both, one stream", "MB", 180),
    "further_reader_memory": Target("RSS for each further reader", "MB", 10),
    "idle_cpu": Target("idle", "% of a core", 0.5),
}


@asynccontextmanager
async def film_swarm(
    folder: Path, *, size: int, seeders: int, cap: int, round_trip: float, name: str = "film.bin"
) -> AsyncIterator[Torrent]:
    """Yield the torrent of random bytes that are seeded for the length of the block."""
    folder.mkdir()
    film = folder / name
    await asyncio.to_thread(write_noise, film, size)
    async with AsyncExitStack() as stack:
        swarm = await stack.enter_async_context(
            Swarm.open(
                film,
                directory=folder,
                seeders=seeders,
                upload_rate=0,
                piece_length=PIECE,
            )
        )
        peers = await _peers(swarm.torrent)
        if round_trip or cap:
            peers = [
                await stack.enter_async_context(
                    distance.relay(peer, delay=round_trip / 2, rate=cap)
                )
                for peer in peers
            ]
        announce = await stack.enter_async_context(distance.tracker(peers, round_trip=round_trip))
        yield await asyncio.to_thread(
            make_torrent, film, name=name, announce_url=announce, piece_length=PIECE
        )


@dataclass(frozen=True)
class Running:
    """A daemon that somebody has signed in to."""

    url: str
    pid: int
    token: str


@asynccontextmanager
async def daemon(
    folder: Path,
    results: Results | None = None,
    *,
    filled: Path | None = None,
    settings: str = "",
) -> AsyncIterator[Running]:
    """Run a daemon with a fresh data folder.

    Args:
        folder: where that is put.
        results: get to know how long it took to be ready.
        filled: a database of which it gets a copy; it begins with none otherwise.
        settings: more of them, in TOML.
    """
    place = Path(tempfile.mkdtemp(dir=folder))
    if filled is not None:
        (place / "data").mkdir()
        shutil.copy(filled, place / "data" / "miauflixd.sqlite3")
    (place / "conf.d").mkdir()
    # One client alone asks here as often as many do.
    (place / "conf.d" / "bench.toml").write_text(
        f"[web]\nrate_limits = false\nstreams_per_user = 1000\n{settings}"
    )
    began = time.monotonic()
    try:
        async with DaemonProcess.open(
            directory=place, port=free_port(), log_level="warning"
        ) as process:
            if results is not None:
                results.note("ready", time.monotonic() - began)
            token = await sign_in(process, LOGIN)
            # Hashing the password took 64 MiB for a moment, and has nothing to do with streams.
            forget_peak_memory(family(process.pid))
            yield Running(url=process.url, pid=process.pid, token=token)
    finally:
        await asyncio.to_thread(shutil.rmtree, place)


async def measure_start(
    folder: Path, torrent: Torrent, results: Results, *, by_magnet: bool
) -> None:
    """Measure the way from nothing to bytes, then seeks."""
    key = "magnet" if by_magnet else "torrent"
    async with daemon(folder, results) as process:
        began = time.monotonic()
        stream = await _add(process, torrent, by_magnet=by_magnet)
        added = time.monotonic() - began
        transfer = await asyncio.to_thread(client.get, stream, length=5 * MIB)
        results.note(f"{key}_first_byte", added + transfer.first_byte)
        if transfer.first_4_mib is not None:
            results.note(f"{key}_4_mib", added + transfer.first_4_mib)
        if by_magnet:
            return
        # Places far behind what the first reader's window has fetched, each away from the others.
        reading = asyncio.to_thread(client.get, stream, length=24 * MIB)
        async with asyncio.TaskGroup() as group:
            group.create_task(reading)
            await asyncio.sleep(0.5)
            for place in random.sample(range(5, 12), 3):
                at = place * 10 * MIB + random.randrange(MIB)
                seek = await asyncio.to_thread(client.get, stream, start=at, length=MIB)
                results.note("seek_first_byte", seek.first_byte)
                results.note("seek_1_mib", seek.total)


async def measure_tail(folder: Path, torrent: Torrent, results: Results) -> None:
    """Measure the end of the file as a player wants it that looks for the index there."""
    async with daemon(folder) as process:
        began = time.monotonic()
        stream = await _add(process, torrent, by_magnet=False)
        await asyncio.to_thread(client.get, stream, start=torrent.size - MIB, length=MIB)
        results.note("tail", time.monotonic() - began)


async def measure_throughput(
    folder: Path, torrent: Torrent, results: Results, *, nginx_runs: int
) -> None:
    """Measure an uncapped download that is read, then the complete file, beside nginx."""
    async with daemon(folder) as process:
        pids = family(process.pid)
        stream = await _add(process, torrent, by_magnet=False)
        before = cpu_seconds(pids)
        transfer = await asyncio.to_thread(client.get, stream)
        results.note("download_rate", transfer.size / transfer.total / 1e6)
        results.note("download_cpu", (cpu_seconds(pids) - before) / (transfer.size / 1e9))
        results.note("one_stream_memory", peak_memory(pids) / 1e6)
        source_id = urlsplit(stream).path.rpartition("/")[2]
        content = next(folder.glob(f"*/data/downloads/{source_id}/0"))
        async with _nginx(folder, content) as (nginx_url, nginx_pids):
            for _ in range(nginx_runs):
                ours = await asyncio.to_thread(_complete, stream, lambda: pids, "complete", results)
                theirs = await asyncio.to_thread(_complete, nginx_url, nginx_pids, "nginx", results)
                results.note("nginx_ratio", ours / theirs)


def _complete(url: str, pids: Callable[[], list[int]], key: str, results: Results) -> float:
    before = cpu_seconds(pids())
    transfer = client.get(url)
    rate = transfer.size / transfer.total / 1e6
    results.note(f"{key}_rate", rate)
    results.note(f"{key}_cpu", (cpu_seconds(pids()) - before) / (transfer.size / 1e9))
    return rate


async def measure_memory(folder: Path, torrent: Torrent, results: Results) -> None:
    """Measure what ten readers of one growing file cost beyond one."""
    async with daemon(folder) as process:
        pids = family(process.pid)
        stream = await _add(process, torrent, by_magnet=False)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(client.get, stream, length=40 * MIB))
            await asyncio.sleep(1.5)
            one = memory(pids)
            for number in range(9):
                group.create_task(
                    asyncio.to_thread(client.get, stream, start=number * 4 * MIB, length=4 * MIB)
                )
            await asyncio.sleep(1.5)
            results.note("further_reader_memory", max(0.0, (memory(pids) - one) / 9 / 1e6))


async def measure_idle(folder: Path, torrent: Torrent, results: Results, seconds: float) -> None:
    """Measure what the daemon uses while a source is in the swarm and nobody watches."""
    async with daemon(folder) as process:
        pids = family(process.pid)
        stream = await _add(process, torrent, by_magnet=False)
        await asyncio.to_thread(client.get, stream, length=MIB)
        await _complete_download(process)
        before = cpu_seconds(pids)
        await asyncio.sleep(seconds)
        results.note("idle_cpu", (cpu_seconds(pids) - before) / seconds * 100)


async def _complete_download(process: Running) -> None:
    """Wait until nothing is left to download: from then on the daemon has nothing to do."""
    headers = {"Authorization": f"Bearer {process.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{process.url}/api/events") as events,
    ):
        async for line in events.content:
            if b'"state":"complete"' in line:
                return


async def _add(process: Running, torrent: Torrent, *, by_magnet: bool) -> str:
    return await asyncio.to_thread(
        client.add,
        process.url,
        token=process.token,
        metainfo=None if by_magnet else torrent.metainfo,
        magnet=torrent.magnet if by_magnet else None,
    )


async def _peers(torrent: Torrent) -> list[distance.Address]:
    """Ask the swarm's own tracker who is there."""
    query = f"info_hash={''.join(f'%{byte:02x}' for byte in torrent.info_hash)}&peer_id={'b' * 20}"
    url = f"{torrent.announce_url}?{query}&port=1&uploaded=0&downloaded=0&left=1&compact=1"
    async with (
        aiohttp.ClientSession(requote_redirect_url=False) as session,
        session.get(URL(url, encoded=True)) as answer,
    ):
        body = await answer.read()
    _, _, rest = body.partition(b"5:peers")
    length, _, compact = rest.partition(b":")
    compact = compact[: int(length)]
    return [
        (".".join(map(str, compact[at : at + 4])), int.from_bytes(compact[at + 4 : at + 6]))
        for at in range(0, len(compact), 6)
        if int.from_bytes(compact[at + 4 : at + 6]) != 1
    ]


@asynccontextmanager
async def _nginx(folder: Path, content: Path) -> AsyncIterator[tuple[str, Callable[[], list[int]]]]:
    """Serve one file by nginx with sendfile, as it would be set up for films."""
    place = Path(tempfile.mkdtemp(dir=folder))
    port = free_port()
    settings = place / "nginx.conf"
    settings.write_text(
        f"""
        daemon off; worker_processes 1; pid {place}/pid; error_log {place}/error.log;
        {"user root;" if os.geteuid() == 0 else ""}
        events {{ worker_connections 64; }}
        http {{
            access_log off; sendfile on; tcp_nopush on; sendfile_max_chunk 8m;
            client_body_temp_path {place}; proxy_temp_path {place}; fastcgi_temp_path {place};
            uwsgi_temp_path {place}; scgi_temp_path {place};
            server {{ listen 127.0.0.1:{port}; root {content.parent}; }}
        }}
        """
    )
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "nginx"
    process = subprocess.Popen([program, "-c", str(settings)])
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}/{content.name}", lambda: family(process.pid)
    finally:
        process.terminate()
        process.wait()


def write_noise(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))


async def run(arguments: argparse.Namespace) -> dict[str, Summary]:
    """Take all measurements."""
    results = Results(TARGETS)
    with tempfile.TemporaryDirectory(prefix="miauflixd-bench-", dir=arguments.folder) as name:
        folder = Path(name)
        round_trip = arguments.round_trip / 1000
        async with film_swarm(
            folder / "capped", size=FILM, seeders=SEEDERS, cap=CAP, round_trip=round_trip
        ) as torrent:
            for number in range(arguments.runs):
                print(f"run {number + 1} of {arguments.runs}", file=sys.stderr)
                await measure_start(folder, torrent, results, by_magnet=False)
                await measure_start(folder, torrent, results, by_magnet=True)
                await measure_tail(folder, torrent, results)
                if not arguments.quick:
                    await measure_memory(folder, torrent, results)
        if not arguments.quick:
            async with film_swarm(
                folder / "uncapped", size=LARGE, seeders=3, cap=0, round_trip=0
            ) as torrent:
                for _ in range(arguments.runs):
                    await measure_throughput(folder, torrent, results, nginx_runs=2)
            async with film_swarm(
                folder / "idle", size=16 * MIB, seeders=1, cap=0, round_trip=0
            ) as torrent:
                await measure_idle(folder, torrent, results, arguments.idle)
    return results.summaries()


def main(words: list[str]) -> None:
    """Measure, print JSON to standard output (or a file) and a table to standard error."""
    parser = argparse.ArgumentParser(prog="scripts/bench stream", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each measurement")
    parser.add_argument(
        "--round-trip", type=float, default=0.0, help="milliseconds to peers and tracker"
    )
    parser.add_argument("--idle", type=float, default=60.0, help="seconds to watch it idle")
    parser.add_argument("--quick", action="store_true", help="only what concerns time to bytes")
    parser.add_argument("--folder", type=Path, default=None, help="where to put the films")
    parser.add_argument("--json", type=Path, default=None, help="write the JSON there")
    arguments = parser.parse_args(words)
    summaries = asyncio.run(run(arguments))
    write_report(summaries, to=arguments.json, conditions={"round_trip_ms": arguments.round_trip})
    print(table(TARGETS, summaries, bounds=not arguments.round_trip), file=sys.stderr)
