"""What encryption costs a stream: a film out of the vault, and out of a plain folder."""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.bench.client import BenchError
from tests.bench.measuring import Results, Target, table, write_report
from tests.running import MIB, House, house, seeded

_SIZE = 512 * MIB

_CACHES = Path("/proc/sys/vm/drop_caches")

TARGETS = {
    "plain": Target("complete file, plain, in memory", "MB/s"),
    "vault": Target("the same out of the vault", "MB/s"),
    "ratio": Target("ratio", "", 0.8, at_least=True),
    "cold_plain": Target("complete file, plain, from the disk", "MB/s"),
    "cold_vault": Target("the same out of the vault", "MB/s"),
    "cold_ratio": Target("ratio", "", 0.8, at_least=True),
    "swarm_plain": Target("while it downloads, uncapped, plain", "MB/s"),
    "swarm_vault": Target("the same into and out of the vault", "MB/s"),
    "swarm_ratio": Target("ratio", ""),
    "paced_plain": Target("out of a swarm of 12 MB/s, plain", "MB/s"),
    "paced_vault": Target("the same into and out of the vault", "MB/s"),
    "paced_ratio": Target("ratio", "", 0.8, at_least=True),
}


async def stream(home: House, source_id: str) -> float:
    """Return the MB/s at which curl gets all of a film."""
    url = await home.player_url(source_id)
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sSf", "--output", "/dev/null", "--config", "-"),
        stdin=asyncio.subprocess.PIPE,
    )
    began = time.monotonic()
    await process.communicate(f'url = "{url}"\n'.encode())
    if process.returncode:
        raise BenchError(f"curl has ended with status {process.returncode}")
    return _SIZE / (time.monotonic() - began) / 1e6


def forget() -> None:
    """Have the disk's bytes out of memory."""
    os.sync()
    _CACHES.write_text("3")


@asynccontextmanager
async def houses(folder: Path, *, rate: int = 0) -> AsyncIterator[dict[str, tuple[House, str]]]:
    """Have two, one with a vault, and a swarm for each; nothing is downloaded yet."""
    async with AsyncExitStack() as stack:
        found = {}
        for name, encryption in (("plain", "off"), ("vault", "gocryptfs")):
            place = folder / name
            _, torrent, _ = await stack.enter_async_context(
                seeded(place / "swarm", size=_SIZE, piece_length=2 * MIB, upload_rate=rate)
            )
            home = await stack.enter_async_context(house(place / "house", encryption=encryption))
            found[name] = home, await home.add(torrent)
        yield found


async def compare(
    found: dict[str, tuple[House, str]], part: str, results: Results, *, cold: bool = False
) -> None:
    """Stream the film out of one and the other."""
    rates = {}
    for which, (home, source_id) in found.items():
        if cold:
            forget()
        rates[which] = await stream(home, source_id)
        results.note(f"{part}{which}", rates[which])
    results.note(f"{part}ratio", rates["vault"] / rates["plain"])


async def measure(results: Results, runs: int, folder: Path | None) -> None:
    """Measure, in turns."""
    with tempfile.TemporaryDirectory(prefix="miauflixd-bench-", dir=folder) as name:
        async with houses(Path(name) / "uncapped") as found:
            await compare(found, "swarm_", results)
            for _ in range(runs):
                await compare(found, "", results)
            for _ in range(runs):
                await compare(found, "cold_", results, cold=True)
        async with houses(Path(name) / "capped", rate=12_000_000) as found:
            await compare(found, "paced_", results)


def main(words: list[str]) -> None:
    """Measure, print JSON to standard output (or a file) and a table to standard error."""
    parser = argparse.ArgumentParser(prog="scripts/bench vault", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="of each measurement")
    parser.add_argument("--folder", type=Path, default=None, help="where to put the films")
    parser.add_argument("--json", type=Path, default=None, help="write the JSON there")
    arguments = parser.parse_args(words)
    if os.geteuid() != 0:
        raise SystemExit("Only root can have the disk's bytes out of memory")
    results = Results(TARGETS)
    asyncio.run(measure(results, arguments.runs, arguments.folder))
    summaries = results.summaries()
    write_report(summaries, to=arguments.json, conditions={"size": _SIZE})
    print(table(TARGETS, summaries), file=sys.stderr)
