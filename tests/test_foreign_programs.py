"""Programs that nobody here wrote: as clients of the stream, and as the only peer."""

import asyncio
import json
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from miauflixd.demo.daemon import free_port
from tests.running import KIB, MIB, house, seeded, seeding, sha256, tracked, write_film

pytestmark = [
    pytest.mark.foreign,
    pytest.mark.daemon,
    pytest.mark.swarm,
    pytest.mark.timeout(90),
]


def needs(program: str) -> str:
    """Return where a program is, or skip the test."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


@asynccontextmanager
async def started(
    program: str, *arguments: str, output: int = DEVNULL
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program for the length of the block."""
    process = await asyncio.create_subprocess_exec(
        needs(program), *arguments, stdin=DEVNULL, stdout=output, stderr=output
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(program: str, *arguments: str) -> tuple[int, bytes, str]:
    """Run a program to its end; return its status, what it put out and what it complained of."""
    async with started(program, *arguments, output=PIPE) as process:
        out, complaint = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out, complaint.decode(errors="replace")


# --- curl -----------------------------------------------------------------------------------------


async def test_curl_gets_ranges(tmp_path):
    async with seeded(tmp_path, size=4 * MIB) as (content, torrent, _), house(tmp_path) as home:
        url = await home.player_url(await home.add(torrent))
        for asked, start, stop in (
            ("0-0", 0, 1),
            ("1000000-2999999", 1_000_000, 3_000_000),
            ("-777", 4 * MIB - 777, 4 * MIB),
            (f"{4 * MIB - 1}-", 4 * MIB - 1, 4 * MIB),
        ):
            status, got, complaint = await run("curl", "-sSf", "-r", asked, url)
            assert (status, complaint) == (0, "")
            assert got == content[start:stop]
        status, _, complaint = await run("curl", "-sSf", "-r", f"{4 * MIB}-", url)
        assert status == 22
        assert "416" in complaint


async def test_curl_resumes_a_download_that_broke_off(tmp_path):
    saved = tmp_path / "saved.bin"
    async with (
        seeded(tmp_path, size=6 * MIB, upload_rate=8_000_000) as (content, torrent, _),
        house(tmp_path) as home,
    ):
        url = await home.player_url(await home.add(torrent))
        async with started("curl", "-sS", "-N", "-o", str(saved), url) as process:
            while not saved.exists() or saved.stat().st_size < MIB:
                await asyncio.sleep(0.01)
            process.kill()
            await process.wait()
        assert MIB <= saved.stat().st_size < len(content)
        status, _, complaint = await run("curl", "-sSf", "-C", "-", "-o", str(saved), url)
        assert (status, complaint) == (0, "")
        assert sha256(saved.read_bytes()) == sha256(content)


# --- players --------------------------------------------------------------------------------------


async def make_film(folder: Path, name: str) -> Path:
    """Make a film of ten seconds, so large that its index, at its end, is far from its start."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    status, _, complaint = await run(
        "ffmpeg",
        *("-nostdin", "-loglevel", "error"),
        *("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25"),
        *("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"),
        *("-t", "10", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
        *("-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "1M", "-g", "25"),
        *("-c:a", "aac", str(path)),
    )
    assert (status, complaint) == (0, "")
    return path


FILMS = {
    "film.mp4": ("moov", "mov,mp4,m4a,3gp,3g2,mj2"),
    "film.mkv": ("Cues", "matroska,webm"),
}
"""What each has at its end, by which a player finds its way, and what ffprobe calls it."""


@pytest.mark.parametrize("name", FILMS)
async def test_ffprobe_understands_a_film_while_it_arrives(tmp_path, name):
    path = await make_film(tmp_path / "made", name)
    _, container = FILMS[name]
    async with (
        tracked(path, tmp_path, piece_length=64 * KIB) as swarm,
        seeding(swarm, tmp_path, upload_rate=1_500_000),
        house(tmp_path) as home,
    ):
        source_id = await home.add(swarm.torrent)
        status, out, complaint = await run(
            "ffprobe",
            *("-v", "error", "-of", "json", "-show_format", "-show_streams"),
            await home.player_url(source_id),
        )
        assert (status, complaint) == (0, "")
        told = json.loads(out)
        assert told["format"]["format_name"] == container
        assert float(told["format"]["duration"]) == pytest.approx(10, abs=0.2)
        assert int(told["format"]["size"]) == path.stat().st_size
        assert {stream["codec_name"] for stream in told["streams"]} == {"h264", "aac"}
        assert (await home.source(source_id))["state"] == "downloading"


@pytest.mark.parametrize("name", FILMS)
async def test_ffmpeg_seeks_to_the_end_and_decodes_the_last_pictures(tmp_path, name):
    path = await make_film(tmp_path / "made", name)
    frame = ("-map", "0:v", "-frames:v", "1", "-f", "framemd5", "-")
    async with (
        tracked(path, tmp_path, piece_length=64 * KIB) as swarm,
        seeding(swarm, tmp_path, upload_rate=3_000_000),
        house(tmp_path) as home,
    ):
        url = await home.player_url(await home.add(swarm.torrent))
        place = ("-nostdin", "-v", "error", "-ss", "9.5", "-i")
        _, expected, _ = await run("ffmpeg", *place, str(path), *frame)
        status, got, complaint = await run("ffmpeg", *place, url, *frame)
        assert (status, complaint) == (0, "")
        assert got == expected


@pytest.mark.parametrize("name", FILMS)
async def test_mpv_opens_a_film_seeks_to_its_end_and_plays_it_out(tmp_path, name):
    path = await make_film(tmp_path / "made", name)
    async with (
        tracked(path, tmp_path, piece_length=64 * KIB) as swarm,
        seeding(swarm, tmp_path, upload_rate=3_000_000),
        house(tmp_path) as home,
    ):
        url = await home.player_url(await home.add(swarm.torrent))
        status, out, complaint = await run(
            "mpv",
            *("--no-config", "--vo=null", "--ao=null", "--untimed", "--start=-2"),
            "--term-status-msg=at ${=time-pos}\n",
            url,
        )
        said = out.decode() + complaint
        assert status == 0, said
        assert "Exiting... (End of file)" in said
        places = [float(place) for place in re.findall(r"at ([0-9.]+)", said)]
        assert min(places) > 7
        assert max(places) > 9.5


# --- peers ----------------------------------------------------------------------------------------


def place_content(folder: Path, name: str, content: bytes, metainfo: bytes) -> tuple[Path, Path]:
    """Put a film and its torrent where a foreign client finds both."""
    shared = folder / "shared"
    shared.mkdir()
    (shared / name).write_bytes(content)
    torrent = folder / "film.torrent"
    torrent.write_bytes(metainfo)
    return shared, torrent


async def test_aria2_is_peer_enough(tmp_path):
    content = write_film(tmp_path, size=4 * MIB)
    async with tracked(tmp_path / "film.bin", tmp_path) as swarm:
        shared, torrent = place_content(tmp_path, "film.bin", content, swarm.torrent.metainfo)
        async with (
            started(
                "aria2c",
                *("--no-conf", "--quiet", "--enable-dht=false", "--enable-dht6=false"),
                *("--bt-enable-lpd=false", "--enable-peer-exchange=false", "--disable-ipv6"),
                *("--seed-ratio=0.0", "--check-integrity", "--interface=127.0.0.31"),
                *(f"--listen-port={free_port()}", f"--dir={shared}", str(torrent)),
            ),
            house(tmp_path) as home,
        ):
            await swarm.tracker.seeded(swarm.torrent.info_hash, seeders=1)
            by_file = await home.add(swarm.torrent)
            assert sha256(await home.read(by_file)) == sha256(content)
            async with home.session.delete(f"{home.url}/api/torrents/{by_file}"):
                pass
            by_magnet = await home.add_magnet(swarm.torrent.magnet)
            assert sha256(await home.read(by_magnet)) == sha256(content)


async def test_transmission_is_peer_enough(tmp_path):
    content = write_film(tmp_path, size=4 * MIB)
    async with tracked(tmp_path / "film.bin", tmp_path) as swarm:
        shared, torrent = place_content(tmp_path, "film.bin", content, swarm.torrent.metainfo)
        settings = tmp_path / "transmission"
        settings.mkdir()
        (settings / "settings.json").write_text(
            json.dumps(
                {
                    "bind-address-ipv4": "127.0.0.32",
                    "dht-enabled": False,
                    "lpd-enabled": False,
                    "pex-enabled": False,
                    "port-forwarding-enabled": False,
                }
            )
        )
        async with (
            started(
                "transmission-cli",
                *("-g", str(settings), "-w", str(shared), "-p", str(free_port()), "-M"),
                str(torrent),
            ),
            house(tmp_path) as home,
        ):
            await swarm.tracker.seeded(swarm.torrent.info_hash, seeders=1)
            # It lets nobody download for its first ten seconds, so one way of asking has to do.
            source_id = await home.add_magnet(swarm.torrent.magnet)
            assert sha256(await home.read(source_id)) == sha256(content)
