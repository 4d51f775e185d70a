"""What is made of films, decoded by FFmpeg from anywhere; playlists, played by mpv and VLC."""

import asyncio
import io
import random
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import av
import pytest

from miauflixd.playback.client import Capabilities
from miauflixd.playback.decision import decide
from miauflixd.playback.errors import UnplayableFileError
from miauflixd.playback.media_files import MediaFiles
from miauflixd.playback.model import Recipe
from miauflixd.torrents.model import SourceId
from tests import media_corpus
from tests.fakes import FakeTorrents
from tests.remux_house import FILM, Files, media_files
from tests.web_house import Web, open_web

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(300)]

ONLY_HLS = Capabilities(
    containers=frozenset(),
    video=frozenset({"h264", "h264-10bit", "hevc", "hevc-10bit", "av1", "vp9"}),
)
"""A client that plays no file as it is, and any codec."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("films")


async def recipe_of(files: MediaFiles) -> Recipe:
    decision = decide(await files.probe(FILM, None), ONLY_HLS)
    assert decision.recipe is not None, decision
    return decision.recipe


async def part(files: MediaFiles, recipe: Recipe, numbers: Sequence[int]) -> bytes:
    """Return some segments as one file, asked for as a player would who has just come there."""
    stream = await files.hls(FILM, None, recipe)
    try:
        data = [await stream.init(), *[await stream.segment(number) for number in numbers]]
    finally:
        await stream.aclose()
    return b"".join(data)


def complaints(data: bytes) -> str:
    """Return what FFmpeg says that is wrong with a file, all of which it decodes."""
    ran = subprocess.run(
        ["ffmpeg", "-v", "error", "-xerror", "-i", "-", "-f", "null", "-"],
        input=data,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return ran.stderr.decode(errors="replace") + (
        f"status {ran.returncode}" if ran.returncode else ""
    )


@pytest.mark.parametrize(
    "kind", sorted(set(media_corpus.KINDS) - {"mpeg2_mp2.mpg", "xvid_mp3.avi"})
)
async def test_ffmpeg_decodes_what_is_made_from_anywhere(tmp_path, films, kind):
    path = media_corpus.make(kind, films)
    drawn = random.Random(kind)
    async with media_files(tmp_path, Files(**{FILM: path})) as files:
        recipe = await recipe_of(files)
        stream = await files.hls(FILM, None, recipe)
        count = len(stream.durations)
        await stream.aclose()
        whole = await part(files, recipe, range(count))
        assert complaints(whole) == "", kind
        for _ in range(3):
            first = drawn.randrange(count)
            found = await part(files, recipe, range(first, min(count, first + 3)))
            # Of an open GOP the first pictures want some that are not there; all else is whole.
            if kind != "open_gop.mkv":
                assert complaints(found) == "", (kind, first)


@pytest.mark.parametrize("kind", ["h264_ac3.mkv", "h264_aac.ts", "vp9_opus.webm"])
async def test_half_a_film_plays_as_far_as_it_goes(tmp_path, films, kind):
    path = media_corpus.truncated(films, kind)
    async with media_files(tmp_path, Files(**{FILM: path})) as files:
        recipe = await recipe_of(files)
        stream = await files.hls(FILM, None, recipe)
        count = len(stream.durations)
        await stream.aclose()
        # What was cut in two is the last picture, and nothing before it.
        assert pictures(await part(files, recipe, range(min(2, count)))) >= 90


def pictures(data: bytes) -> int:
    """Return how many pictures can be decoded."""
    count = 0
    with av.open(io.BytesIO(data), "r") as container:
        for packet in container.demux(video=0):
            with suppress(av.InvalidDataError):
                count += len(packet.decode())
    return count


async def test_a_film_without_its_index_at_the_end_is_refused_and_spoils_nothing(tmp_path, films):
    broken = media_corpus.truncated(films, "moov_at_the_end.mp4")
    good = media_corpus.make("h264_ac3.mkv", films)
    async with media_files(tmp_path, Files(**{FILM: broken, "good": good})) as files:
        with pytest.raises(UnplayableFileError):
            await files.probe(FILM, None)
        assert (await files.probe(SourceId("good"), None)).video


async def test_a_film_that_was_never_finished_plays(tmp_path, films):
    path = media_corpus.without_index(films)
    async with media_files(tmp_path, Files(**{FILM: path})) as files:
        media = await files.probe(FILM, None)
        assert not media.keyframes
        decision = decide(media, ONLY_HLS)
        if media.duration is None:
            assert decision.method == "external"  # and says why
            return
        assert decision.recipe is not None
        found = await part(files, decision.recipe, range(2))
        assert complaints(found) == ""


async def test_a_clock_that_jumps_breaks_nothing(tmp_path, films):
    path = media_corpus.with_a_jump(films)
    async with media_files(tmp_path, Files(**{FILM: path})) as files:
        recipe = await recipe_of(files)
        stream = await files.hls(FILM, None, recipe)
        count = len(stream.durations)
        await stream.aclose()
        for first in (0, count // 2):
            found = await part(files, recipe, range(first, min(first + 2, count)))
            assert len(found) > 10_000


# --- players --------------------------------------------------------------------------------------


async def playlists(web: Web, torrents: FakeTorrents, film: Path) -> dict[str, str]:
    """Return the addresses of a film as HLS, as M3U and as XSPF."""
    source_id = await torrents.add_metainfo(b"d" + film.name.encode() + b"e")
    torrents.learn(source_id, name=film.stem, files={film.name: film.read_bytes()})
    token = await web.token_of(await web.add("ben"))
    client = {"containers": ["mp4"], "video": ["h264"], "audio": ["aac"]}
    wish = {"source_id": source_id, "client": client}
    answer = await web.ask("POST", "/api/playback", wish, token=token)
    assert answer.status == 201, answer.body
    told = answer.body
    assert told["method"] == "remux"
    m3u = web.url + told["playlist_url"]
    return {
        "hls": web.url + told["hls_url"],
        "m3u": m3u,
        "xspf": m3u.replace("playlist.m3u8", "playlist.xspf"),
    }


async def run(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(100):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        said, _ = await process.communicate()
        raise AssertionError(said.decode(errors="replace")[-2000:]) from None
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")


@pytest.mark.parametrize("form", ["hls", "m3u", "xspf"])
async def test_mpv_plays_what_it_is_given(tmp_path, films, form):
    torrents = FakeTorrents()
    film = media_corpus.make("h264_ac3.mkv", films)
    async with (
        media_files(tmp_path, torrents) as files,
        open_web(tmp_path, torrents=torrents, media=files) as web,
    ):
        address = (await playlists(web, torrents, film))[form]
        status, said = await run(
            *("mpv", "--no-config", "--vo=null", "--ao=null", "--untimed", "--no-terminal"),
            *("--msg-level=all=warn", "--terminal=yes", "--load-unsafe-playlists"),
            # FFmpeg 5.1, which it has here, finds nothing behind a seek in segments of fMP4.
            *(["--end=4"] if form == "hls" else ["--start=20"]),
            address,
        )
        assert status == 0, said
        assert "Failed" not in said, said


@pytest.mark.parametrize("form", ["hls", "m3u", "xspf"])
async def test_vlc_plays_what_it_is_given(tmp_path, films, form):
    torrents = FakeTorrents()
    film = media_corpus.make("h264_ac3.mkv", films)
    async with (
        media_files(tmp_path, torrents) as files,
        open_web(tmp_path, torrents=torrents, media=files) as web,
    ):
        address = (await playlists(web, torrents, film))[form]
        # It refuses to run as root, and has no option for that.
        status, said = await run(
            *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
            *(
                "env",
                f"HOME={tmp_path}",
                "cvlc",
                "-I",
                "dummy",
                "--vout",
                "dummy",
                "--aout",
                "dummy",
            ),
            *(
                "--no-video-title-show",
                "--run-time=3",
                "--play-and-exit",
                "-vv",
                address,
                "vlc://quit",
            ),
        )
        assert status == 0, said[-2000:]
        assert "using video decoder module" in said, said[-3000:]
        assert "using audio decoder module" in said, said[-3000:]
