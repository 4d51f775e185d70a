"""Somebody watches in a browser, and a process is killed: the film goes on by itself."""

import os
import signal
import subprocess
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from miauflixd.demo.daemon import free_port
from miauflixd.demo.swarm import Swarm
from tests.bench.measuring import family
from tests.browsers import Browser, browser, packages
from tests.running import House, house

pytestmark = [
    pytest.mark.browser,
    pytest.mark.foreign,
    pytest.mark.daemon,
    pytest.mark.swarm,
    pytest.mark.timeout(200),
]

CLIENT = {"containers": ["mp4"], "video": ["h264"], "audio": ["aac"]}


def film(folder: Path) -> Path:
    """Make a film longer than what a player has in hand."""
    path = folder / "film.mkv"
    source = "testsrc2=size=320x180:rate=25:duration=240"
    command = [
        *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", source),
        *("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=240"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p"),
        *("-c:a", "ac3", str(path)),
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=100)
    return path


async def begun(page: Browser, home: House, swarm: Swarm) -> None:
    source_id = await home.add(swarm.torrent)
    found = await page.does("click", home.token, {"source_id": source_id, "client": CLIENT})
    assert (found["method"], found["errors"]) == ("remux", [])
    assert found["at"] >= 1.5


async def goes_on(page: Browser, position: float) -> None:
    """Assert that the film plays at another position, of which nothing was there."""
    sought = await page.does("seek", position)
    assert sought["after"] is not None, sought
    assert sought["at"] >= position + 1, sought


async def test_a_killed_worker_is_not_even_noticed(tmp_path):
    page = packages(tmp_path / "page")
    async with (
        Swarm.open(film(tmp_path), directory=tmp_path / "swarm", seeders=1) as swarm,
        house(tmp_path / "house") as home,
        browser("chrome", home.url, page=page, inject=True) as opened,
    ):
        await begun(opened, home, swarm)
        workers = [pid for pid in family(home.pid) if _is(pid, b"miauflixd.remuxer")]
        assert workers
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        await goes_on(opened, 150)


@pytest.mark.parametrize("whom", ["engine", "daemon"])
async def test_after_a_restart_the_film_goes_on_in_the_same_page(tmp_path, whom):
    page, port, folder = packages(tmp_path / "page"), free_port(), tmp_path / "house"
    async with (
        Swarm.open(film(tmp_path), directory=tmp_path / "swarm", seeders=1) as swarm,
        AsyncExitStack() as stack,
    ):
        with pytest.raises(ExceptionGroup):
            async with house(folder, port=port) as home:
                opened = await stack.enter_async_context(
                    browser("chrome", home.url, page=page, inject=True)
                )
                await begun(opened, home, swarm)
                os.kill(home.pid if whom == "daemon" else home.engine_pid, signal.SIGKILL)
                await home.until_it_dies()
        async with house(folder, port=port):
            await goes_on(opened, 150)


def _is(pid: int, program: bytes) -> bool:
    with suppress(OSError):
        return program in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
