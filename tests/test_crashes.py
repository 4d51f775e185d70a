"""What happens when a process is killed, the disk is full, or the start is cut short."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from miauflixd.demo.daemon import DaemonDiedError
from tests.bench.measuring import family
from tests.demo_running import wait_until_gone
from tests.running import MIB, House, house, is_engine, seeded, sha256, until

pytestmark = [pytest.mark.daemon, pytest.mark.swarm, pytest.mark.timeout(90)]

ROOT = Path(__file__).parent.parent

SIZE = 16 * MIB


async def read_until_it_breaks(home: House, source_id: str, victim: int, kept: bytearray) -> None:
    """Read the film, kill somebody in the middle of it, and keep what had come until then."""
    async with home.get(source_id) as answer:
        kept += await answer.content.readexactly(5 * MIB)
        os.kill(victim, signal.SIGKILL)
        while chunk := await answer.content.readany():
            kept += chunk


@pytest.mark.parametrize(
    ("whom", "reason"),
    [
        ("engine", r"ended with status 1: Failed: The engine died: signal 9"),
        ("daemon", r"ended by signal 9"),
    ],
)
async def test_after_a_kill_9_it_goes_on_where_it_was(tmp_path, whom, reason):
    async with seeded(tmp_path, size=SIZE, upload_rate=6_000_000) as (content, torrent, seeder):
        kept = bytearray()
        with pytest.raises(ExceptionGroup) as caught:
            async with house(tmp_path) as home:
                victims = {"engine": home.engine_pid, "daemon": home.pid}
                source_id = await home.add(torrent)
                with pytest.raises(aiohttp.ClientError):
                    await read_until_it_breaks(home, source_id, victims[whom], kept)
                await home.until_it_dies()
        died = caught.value.subgroup(DaemonDiedError)
        assert died is not None, caught.value
        assert re.search(reason, str(leaf(died)))
        # Neither outlives the other.
        wait_until_gone(list(victims.values()))
        assert sha256(bytes(kept)) == sha256(content[: len(kept)])

        async with house(tmp_path) as home:
            assert sha256(await home.read(source_id)) == sha256(content)
            await home.until(source_id, lambda told: told["state"] == "complete")
        # Once and nothing more, but for pieces that were half done.
        assert await seeder.has_given(SIZE) <= SIZE + 4 * MIB


async def test_after_a_clean_end_nothing_is_downloaded_again(tmp_path):
    async with seeded(tmp_path, size=SIZE) as (content, torrent, seeder):
        async with house(tmp_path) as home:
            source_id = await home.add(torrent)
            await home.read(source_id)
            await home.until(source_id, lambda told: told["state"] == "complete")
        given = await seeder.has_given(SIZE)
        async with house(tmp_path) as home:
            told = await home.source(source_id)
            assert (told["state"], told["name"]) == ("dormant", "film.bin")
            assert sha256(await home.read(source_id)) == sha256(content)
        assert seeder.uploaded == given


def leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


# --- the start ------------------------------------------------------------------------------------


@contextmanager
def starting(folder: Path) -> Iterator[tuple[subprocess.Popen[str], socket.socket]]:
    """Start a daemon and yield it at once, with what it tells systemd."""
    settings = folder / "miauflixd.toml"
    settings.write_text(
        f'[storage]\npath = "{folder / "data"}"\nencryption = "off"\n'
        '[web]\nport = 0\n[vpn]\nmode = "off"\n'
        '[service]\nuser = ""\n[torrents]\nlisten = ["127.0.0.1:0"]\ndht = false\n'
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        notifications.bind("")
        notifications.settimeout(20)
        name: bytes = notifications.getsockname()
        with subprocess.Popen(
            [sys.executable, "-m", "miauflixd", "--config", str(settings), "run"],
            env=os.environ | {"PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": f"@{name[1:].decode()}"},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process, notifications
            finally:
                process.kill()


async def test_sigterm_ends_it_at_once_when_it_only_begins_to_start(tmp_path):
    with starting(tmp_path) as (process, notifications):
        assert notifications.recv(4096) == b"STATUS=Starting"
        process.terminate()
        _, said = await asyncio.to_thread(process.communicate, timeout=30)
        assert (process.returncode, "Traceback" in said) == (0, False), said


async def test_sigterm_ends_it_while_its_engine_starts_and_leaves_none(tmp_path):
    with starting(tmp_path) as (process, _):
        # The engine needs far longer to import libtorrent than we to see its process.
        await until(lambda: any(map(is_engine, family(process.pid))), "there is an engine")
        engines = [pid for pid in family(process.pid) if pid != process.pid]
        process.terminate()
        _, said = await asyncio.to_thread(process.communicate, timeout=30)
        assert (process.returncode, "Traceback" in said) == (0, False), said
        wait_until_gone(engines)


async def test_it_starts_after_a_start_that_was_cut_short(tmp_path):
    with starting(tmp_path) as (process, _):
        await until(lambda: any(map(is_engine, family(process.pid))), "there is an engine")
        process.kill()
        process.communicate(timeout=30)
    async with house(tmp_path) as home:
        await home.still_answers()


# --- the disk -------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 40 MiB, and a file that takes most of it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m,mode=700", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.strip()}")
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(30 * MIB))
        yield disk, ballast
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.root
@pytest.mark.parametrize(
    "minimum_free", [0, 4 * MIB], ids=["the disk refuses", "room is left for others"]
)
async def test_a_full_disk_is_told_spoils_nothing_and_is_got_over(
    tmp_path, small_disk, minimum_free
):
    disk, ballast = small_disk
    async with (
        seeded(tmp_path, size=SIZE, upload_rate=8_000_000) as (content, torrent, _),
        house(tmp_path, data=disk / "data", minimum_free=minimum_free) as home,
    ):
        source_id = await home.add(torrent)
        got = bytearray()
        async with home.get(source_id) as answer:
            assert answer.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                while chunk := await answer.content.readany():
                    got += chunk
        assert 0 < len(got) < SIZE
        assert sha256(bytes(got)) == sha256(content[: len(got)])
        told = await home.until(source_id, lambda told: told["state"] == "disk_full")
        assert told["reason"] == "There is too little room on the disk."

        # What is here plays, what is not is refused before the first byte.
        assert await home.read(source_id, range(MIB)) == content[:MIB]
        async with home.get(source_id, range(SIZE - 5 * MIB, SIZE - 4 * MIB)) as answer:
            problem = await answer.json()
            assert (answer.status, problem["code"]) == (507, "storage_full")
            assert "too little room" in problem["detail"]
        await home.still_answers()

        ballast.unlink()
        await home.until(source_id, lambda told: told["state"] != "disk_full")
        assert sha256(await home.read(source_id)) == sha256(content)
        await home.until(source_id, lambda told: told["state"] == "complete")
