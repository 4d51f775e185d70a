"""From the click to moving pictures, in Chromium, out of the swarm; and what it costs."""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miauflixd.demo.swarm import Swarm
from tests.bench.client import BenchError
from tests.bench.measuring import Results, Target, cpu_seconds, family, table, write_report
from tests.browsers import Browser, browser, packages
from tests.running import MIB, House, house

_MB = 10**6
_BITRATE = 8 * _MB
"""Bits per second of the pictures; the rest is held apart by filler data, so it is just that."""

_GLANCE = 20
"""Seconds for which the page is left alone."""

_SEEKS = 4
"""Of one and the same film; later ones would find too much of it."""

_AAC, _AC3 = ("-c:a", "aac"), ("-c:a", "ac3")

_CLIENT = {"containers": ["mp4", "mkv"], "video": ["h264"], "audio": ["aac"], "hls": True}
_ONLY_MP4 = _CLIENT | {"containers": ["mp4"]}

TARGETS = {
    "direct": Target("click to playing, direct", "ms", 1000),
    "remux": Target("click to playing, remuxed (sound as AAC)", "ms", 1500),
    "magnet_direct": Target("click to playing, direct, from a bare magnet link", "ms", 2000),
    "magnet_remux": Target("click to playing, remuxed, from a bare magnet link", "ms", 2000),
    "seek_direct": Target("seek to playing, direct", "ms", 1000),
    "seek_remux": Target("seek to playing, remuxed", "ms", 1000),
    "copy_share": Target("remux with copied sound, at real time (% of a core)", "%", 5),
    "sound_share": Target("the same with AC-3 made AAC", "%"),
    "three_waits": Target("three different films at once: stalls", "", 0),
    "stall_waits": Target("a swarm of 1.5 times the film's rate: stalls", "", 0),
}


def film(folder: Path, name: str, seconds: int, *sound: str) -> Path:
    """Return a film of 8 Mbit/s, made unless it is there."""
    path = folder / name
    if not path.exists():
        source = f"testsrc2=size=640x360:rate=25:duration={seconds}"
        tone = f"sine=frequency=440:sample_rate=48000:duration={seconds}"
        rate = str(_BITRATE)
        command = [
            *("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source),
            *("-f", "lavfi", "-i", tone, "-c:v", "libx264", "-preset", "ultrafast", "-g", "50"),
            *("-pix_fmt", "yuv420p", "-b:v", rate, "-minrate", rate, "-maxrate", rate),
            *("-bufsize", rate, "-x264-params", "nal-hrd=cbr", *sound, "-ac", "2"),
            *(["-movflags", "+faststart"] if path.suffix == ".mp4" else []),
            str(path),
        ]
        subprocess.run(command, check=True)
    return path


@dataclass(frozen=True)
class Scene:
    """A film in a swarm, a daemon, and a browser before it."""

    home: House
    swarm: Swarm
    page: Browser

    async def known(self) -> str:
        """Add the film so that its metadata is known and no byte is here."""
        source_id = await self.home.add(self.swarm.torrent)
        await self._ask("PATCH", f"/api/torrents/{source_id}", {"paused": True})
        await self._ask("DELETE", f"/api/storage/{source_id}")
        return source_id

    async def forget(self, source_id: str) -> None:
        """Leave the page, and know nothing of the film any more."""
        await self.page.does("fresh")
        await self._ask("DELETE", f"/api/torrents/{source_id}")

    async def click(self, client: Any, *, magnet: bool = False) -> Any:
        """Press play in a page that was just opened, and return how it went."""
        await self.page.does("fresh")
        wish = {"client": client}
        if magnet:
            link = self.swarm.torrent.magnet
        else:
            link, wish["source_id"] = None, await self.known()
        found = await self.page.does("click", self.home.token, wish, link)
        if found["errors"]:
            raise BenchError(f"It did not play: {found}")
        return found

    async def watch(self, seconds: int) -> tuple[int, float]:
        """Watch on; return how often it stood still, and how much of the film was seen."""
        stalls, seen = 0, 0.0
        for _ in range(0, seconds, _GLANCE):
            watched = await self.page.does("watch", _GLANCE)
            stalls += watched["waits"]
            seen += watched["watched"]
        return stalls, seen

    async def _ask(self, method: str, path: str, body: object = None) -> None:
        async with self.home.session.request(method, f"{self.home.url}{path}", json=body) as answer:
            if answer.status >= 400:
                raise BenchError(f"{method} {path}: {answer.status} {await answer.text()}")


@asynccontextmanager
async def scenes(
    films: Sequence[Path], folder: Path, page: Path, *, rate: int, browsers: int = 1
) -> AsyncIterator[list[Scene]]:
    """Have a swarm of three seeders for each film, and one daemon, for the length of the block.

    Args:
        films: in the order in which they come.
        folder: for all of them.
        page: see `browsers.packages`.
        rate: bytes per second of each swarm.
        browsers: how many of the films have one of their own; the rest share the first.
    """
    async with AsyncExitStack() as stack:
        swarms = [
            await stack.enter_async_context(
                Swarm.open(
                    one,
                    directory=folder / f"swarm{n}",
                    seeders=3,
                    upload_rate=rate // 3,
                    piece_length=2 * MIB,
                )
            )
            for n, one in enumerate(films)
        ]
        home = await stack.enter_async_context(house(folder / "house"))
        opened = [
            await stack.enter_async_context(browser("chrome", home.url, page=page, inject=True))
            for _ in range(browsers)
        ]
        yield [
            Scene(home, swarm, opened[n] if n < browsers else opened[0])
            for n, swarm in enumerate(swarms)
        ]


async def clicks(scene: Scene, method: str, results: Results, runs: int) -> None:
    """Press play where nothing is yet, but the metadata or not even that."""
    for magnet in (False, True):
        for _ in range(runs):
            found = await scene.click(_CLIENT, magnet=magnet)
            if found["method"] != method:
                raise BenchError(f"It is played in another way: {found}")
            results.note(f"magnet_{method}" if magnet else method, found["after"])
            await scene.forget(found["source_id"])


async def seeks(scene: Scene, method: str, results: Results, runs: int) -> None:
    """Seek to where nothing is yet."""
    drawn = random.Random(1)
    while runs > 0:
        found = await scene.click(_CLIENT)
        for _ in range(min(runs, _SEEKS)):
            sought = await scene.page.does("jump", drawn.uniform(0.05, 0.95))
            results.note(f"seek_{method}", sought["after"])
            runs -= 1
        await scene.forget(found["source_id"])


async def share(scene: Scene, key: str, results: Results) -> None:
    """Note what is taken of a core while somebody watches: by workers, from first to last."""
    daemon = scene.home.pid
    before = _children_seconds(daemon)
    found = await scene.click(_ONLY_MP4)
    watched = 0
    # One that has made all of the film ends.
    while _workers(daemon) and watched < found["duration"]:
        await scene.watch(_GLANCE)
        watched += _GLANCE
    results.note(key, 100 * (_children_seconds(daemon) - before) / found["duration"])
    await scene.forget(found["source_id"])


async def stalls(of: Sequence[Scene], key: str, results: Results, seconds: int) -> None:
    """Watch a film in each browser at once, and note how often it stands still."""

    async def one(scene: Scene) -> None:
        await scene.click(_ONLY_MP4)
        stood, seen = await scene.watch(seconds)
        if seen < 0.9 * seconds:
            raise BenchError(f"Only {seen:.0f} s of it were seen")
        results.note(key, stood)

    async with asyncio.TaskGroup() as group:
        for scene in of:
            group.create_task(one(scene))


def _workers(daemon: int) -> list[int]:
    """Return the processes that take films apart."""
    found = []
    for pid in family(daemon):
        with suppress(OSError):  # it has just ended
            if b"miauflixd.remuxer" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def _children_seconds(daemon: int) -> float:
    """Return what workers have used, those that have ended too, proc(5)."""
    fields = Path(f"/proc/{daemon}/stat").read_text().rpartition(")")[2].split()
    ended = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    return ended + cpu_seconds(_workers(daemon))


async def measure(options: argparse.Namespace, results: Results) -> None:
    """Measure all of it, or the parts that somebody wants."""
    with tempfile.TemporaryDirectory(prefix="miauflix-bench-") as name:
        folder = Path(name)
        films = options.films or folder / "films"
        films.mkdir(exist_ok=True)
        page = packages(folder / "node")
        for part in options.parts:
            (folder / part).mkdir()
            await _PARTS[part](options, results, films, folder / part, page)


async def _starts(
    options: argparse.Namespace, results: Results, films: Path, folder: Path, page: Path
) -> None:
    direct = film(films, "direct.mp4", 300, *_AAC)
    remux = film(films, "remux.mkv", 300, *_AC3)
    async with scenes([direct, remux], folder, page, rate=12 * _MB) as of:
        for scene, method in zip(of, ("direct", "remux"), strict=True):
            await clicks(scene, method, results, options.runs)
            await seeks(scene, method, results, 2 * options.runs)


async def _shares(
    _options: argparse.Namespace, results: Results, films: Path, folder: Path, page: Path
) -> None:
    for key, name, sound in (
        ("copy_share", "copied.mkv", _AAC),
        ("sound_share", "encoded.mkv", _AC3),
    ):
        one = [film(films, name, 240, *sound)]
        async with scenes(one, folder / name, page, rate=12 * _MB) as of:
            await share(of[0], key, results)


async def _three(
    _options: argparse.Namespace, results: Results, films: Path, folder: Path, page: Path
) -> None:
    others = [film(films, f"film{n}.mkv", 120 + n, *_AC3) for n in range(3)]
    async with scenes(others, folder, page, rate=12 * _MB, browsers=3) as of:
        await stalls(of, "three_waits", results, 90)


async def _long(
    options: argparse.Namespace, results: Results, films: Path, folder: Path, page: Path
) -> None:
    long = film(films, f"long{options.long}.mkv", options.long + 30, *_AC3)
    async with scenes([long], folder, page, rate=int(1.5 * _BITRATE / 8)) as of:
        await stalls(of, "stall_waits", results, options.long)


_PARTS = {"starts": _starts, "shares": _shares, "three": _three, "long": _long}


def main(words: list[str]) -> None:
    """Measure, print JSON to standard output (or a file) and a table to standard error."""
    parser = argparse.ArgumentParser(prog="scripts/bench playback", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="of each measurement")
    parser.add_argument("--long", type=int, default=600, help="seconds to watch on a slow swarm")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=[*_PARTS], help="not all")
    parser.add_argument("--films", type=Path, help="keep the films here")
    parser.add_argument("--json", type=Path, default=None, help="write the JSON there")
    arguments = parser.parse_args(words)
    results = Results(TARGETS)
    asyncio.run(measure(arguments, results))
    summaries = results.summaries()
    write_report(summaries, to=arguments.json, conditions={"films": "8 Mbit/s, 3 seeders"})
    print(table(TARGETS, summaries), file=sys.stderr)
