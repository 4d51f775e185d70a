"""Films in workers: what they hold, and what is made of them."""

import asyncio
import io
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from miauflixd.errors import NotFoundError
from miauflixd.playback.errors import UnplayableFileError, WorkerDiedError
from miauflixd.playback.model import Encoding, Recipe
from miauflixd.playback.worker import Worker
from miauflixd.playback.workers import TooManyFilmsError
from miauflixd.remuxer.fragments import Boxes, decode_times
from miauflixd.torrents.model import SourceId
from miauflixd.torrents.reader import NoDataError
from tests.remux_house import FILM, Files, film, media_files, own_children

pytestmark = pytest.mark.timeout(60)

AAC = Recipe(video=0, audio=1, audio_codec="aac")


@pytest.fixture(scope="module")
def mkv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("films") / "film.mkv", texts=True)


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("films") / "film.mp4", audio="aac")


@pytest.fixture(scope="module")
def ts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("films") / "film.ts", audio="aac")


def starts(segment: bytes) -> list[dict[int, int]]:
    boxes = Boxes()
    boxes.take_in(segment)
    return [decode_times(box) for kind, box in boxes if kind == b"moof"]


def decoded(data: bytes) -> tuple[list[float], int]:
    """Return when pictures are shown, and how many samples of sound there are."""
    times, samples = [], 0
    with av.open(io.BytesIO(data), "r") as container:
        shown, heard = [*container.streams.video], [*container.streams.audio]
        frame: Any
        for frame in container.decode(*shown, *heard):
            if isinstance(frame, av.VideoFrame):
                times.append(frame.time or 0.0)
            else:
                samples += frame.samples
    return sorted(times), samples


async def test_what_a_film_holds_is_found_out_once_and_kept(tmp_path, mkv):
    sources = Files(**{FILM: mkv})
    async with media_files(tmp_path, sources) as files:
        media = await files.probe(FILM, None)
        assert media.container == "matroska"
        assert media.duration == pytest.approx(20, abs=0.2)
        (video,) = media.video
        assert (video.codec, video.width, video.height) == ("h264", 64, 48)
        assert video.codec_string is not None
        assert video.codec_string.startswith("avc1.")
        (audio,) = media.audio
        assert (audio.codec, audio.channels, audio.codec_string) == ("ac3", 2, "ac-3")
        (said,) = media.subtitles
        assert (said.codec, said.kind) == ("subrip", "text")
        assert len(media.keyframes) == 10
    asked = len(sources.asked)
    async with media_files(tmp_path, sources) as files:
        assert await files.probe(FILM, 0) == media
    assert len(sources.asked) == asked


async def test_a_probe_reads_the_ends_of_a_file_and_not_what_is_between(tmp_path):
    long = film(tmp_path / "long.mkv", seconds=120, audio="flac")
    sources = Files(**{FILM: long})
    async with media_files(tmp_path, sources) as files:
        assert len((await files.probe(FILM, None)).keyframes) == 60
    wanted = sum(stop - start for start, stop in sources.asked)
    assert wanted < long.stat().st_size / 4


async def test_what_is_no_film_is_refused_and_the_next_one_still_opens(tmp_path, mkv):
    bad = tmp_path / "bad.mkv"
    bad.write_bytes(os.urandom(100_000))
    async with media_files(tmp_path, Files(bad=bad, empty=_empty(tmp_path), good=mkv)) as files:
        for name in map(SourceId, ("bad", "empty", "bad")):
            with pytest.raises(UnplayableFileError):
                await files.probe(name, None)
        assert (await files.probe(SourceId("good"), None)).video


def _empty(folder: Path) -> Path:
    path = folder / "empty.mkv"
    path.touch()
    return path


@pytest.mark.parametrize("kind", ["mkv", "mp4"])
async def test_segments_begin_at_their_cuts_wherever_one_begins(tmp_path, request, kind):
    path = request.getfixturevalue(kind)
    inits, by_start = set(), {}
    for first in (0, 4, 8, 2):
        async with media_files(tmp_path, Files(**{FILM: path})) as files:
            stream = await files.hls(FILM, None, AAC, start=2.0 * first)
            assert sum(stream.durations) == pytest.approx(20, abs=0.2)
            segment = await stream.segment(first)
            inits.add(await stream.init())
            video = min(one[1] for one in starts(segment)) / 90_000
            assert video == pytest.approx(2.0 * first, abs=0.2)
            by_start[first] = segment
            assert await stream.segment(first + 1)
    assert len(inits) == 1
    (init,) = inits
    # Made by four jobs, they are one film.
    async with media_files(tmp_path, Files(**{FILM: path})) as files:
        stream = await files.hls(FILM, None, AAC)
        for number in range(10):
            if number not in by_start:
                by_start[number] = await stream.segment(number)
    times, samples = decoded(init + b"".join(by_start[number] for number in range(10)))
    assert len(times) == 20 * 24
    assert max(after - before for before, after in pairwise(times)) < 0.06
    assert samples / 48_000 == pytest.approx(20, abs=1.3)  # a quarter of a second twice per job


async def test_the_first_sound_is_at_nought(tmp_path, mkv):
    async with media_files(tmp_path, Files(**{FILM: mkv})) as files:
        stream = await files.hls(FILM, None, AAC)
        first = starts(await stream.segment(0))[0]
        assert first == {1: 0, 2: 0}


async def test_a_film_without_an_index_is_cut_by_time(tmp_path, ts):
    async with media_files(tmp_path, Files(**{FILM: ts})) as files:
        media = await files.probe(FILM, None)
        assert media.keyframes == ()
        stream = await files.hls(FILM, None, Recipe(video=0, audio=1))
        data = [await stream.segment(number) for number in range(len(stream.durations))]
        times, _ = decoded(await stream.init() + b"".join(data))
        assert len(times) == 20 * 24
        # Begun in the middle, a segment leaves nothing out.
        another = await files.hls(FILM, None, Recipe(video=0, audio=None), start=13)
        times, _ = decoded(await another.init() + await another.segment(1))
        assert times[0] <= 8.05
        assert times[-1] == pytest.approx(16, abs=0.2)


async def test_pictures_are_encoded_anew_with_keyframes_at_the_cuts(tmp_path, mkv):
    recipe = Recipe(video=0, audio=None, encoding=Encoding(encoder="libx264", height=480))
    async with media_files(tmp_path, Files(**{FILM: mkv})) as files:
        stream = await files.hls(FILM, None, recipe, start=8)
        segment = await stream.segment(4)
        times, _ = decoded(await stream.init() + segment)
        assert times[0] == pytest.approx(8, abs=0.05)
        assert len(times) == 2 * 24


async def test_there_is_no_segment_behind_the_last(tmp_path, mkv):
    async with media_files(tmp_path, Files(**{FILM: mkv})) as files:
        stream = await files.hls(FILM, None, AAC)
        for number in (-1, len(stream.durations)):
            with pytest.raises(NotFoundError):
                await stream.segment(number)


async def test_a_segment_waits_for_its_bytes_and_no_others(tmp_path, mkv):
    sources = Files(**{FILM: mkv})
    async with media_files(tmp_path, sources) as files:
        await files.probe(FILM, None)
        await sources.bring(0)
        stream = await files.hls(FILM, None, AAC)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(stream.segment(4))
            done, _ = await asyncio.wait([waiting], timeout=0.3)
            assert not done
            await sources.bring(2**62)
        assert waiting.result()


async def test_who_waits_is_told_that_nothing_comes(tmp_path, mkv):
    sources = Files(**{FILM: mkv})
    async with media_files(tmp_path, sources) as files:
        await files.probe(FILM, None)
        sources.here, sources.error = 0, NoDataError("Nothing came")
        stream = await files.hls(FILM, None, AAC)
        with pytest.raises(NoDataError):
            await stream.segment(0)
        sources.here, sources.error = 2**62, None
        assert await stream.segment(0)


async def test_a_killed_worker_costs_nobody_their_film(tmp_path, mkv):
    sources = Files(**{FILM: mkv})
    async with media_files(tmp_path, sources) as files:
        await files.probe(FILM, None)
        await sources.bring(0)
        stream = await files.hls(FILM, None, AAC)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(stream.segment(3))
            await asyncio.wait([waiting], timeout=0.3)
            assert files.jobs == 1
            for pid in own_children():
                os.kill(pid, signal.SIGKILL)
            await sources.bring(2**62)
        assert waiting.result()


async def test_a_film_too_many_is_no_broken_film(tmp_path, mkv, mp4, monkeypatch):
    monkeypatch.setattr("miauflixd.playback.workers._WAIT", 0.1)
    other = SourceId("00000000000000f2")
    sources = Files(**{FILM: mkv, other: mp4})
    async with media_files(tmp_path, sources, workers=1) as files:
        await files.probe(FILM, None)
        stream = await files.hls(FILM, None, AAC)
        await stream.segment(0)
        with pytest.raises(TooManyFilmsError):
            await files.probe(other, None)
        await stream.aclose()
        assert (await files.probe(other, None)).video


async def test_what_a_file_holds_is_told_while_its_subtitles_are_still_to_come(tmp_path, mkv):
    sources = Files(**{FILM: mkv})
    async with media_files(tmp_path, sources) as files:
        track = (await files.probe(FILM, None)).subtitles[0].index
        await sources.bring(0)
        async with asyncio.TaskGroup() as group:
            asked = files.subtitles(FILM, None, track=track, start=8, stop=12)
            waiting = group.create_task(asked)
            await asyncio.wait([waiting], timeout=0.3)
            assert not waiting.done()
            assert (await files.probe(FILM, None)).video
            assert (await files.hls(FILM, None, AAC)).durations
            await sources.bring(2**62)
        assert [one.data for one in waiting.result()] == [b"At 8", b"At 10"]


async def test_a_worker_that_talks_nonsense_is_a_worker_that_died(tmp_path, monkeypatch):
    program = tmp_path / "taken_over"
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, sys\n"
        "end = int(sys.argv[3])\n"
        "os.write(end, bytes([0, 0, 0, 3, 0]) + b'abc')\n"
        "os.read(end, 1)\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr("miauflixd.playback.worker.sys.executable", str(program))
    with pytest.raises(WorkerDiedError):
        async with Worker.start():
            pass


async def test_two_who_watch_the_same_share_what_is_made(tmp_path, mkv):
    sources = Files(**{FILM: mkv})
    async with media_files(tmp_path, sources) as files:
        one = await files.hls(FILM, None, AAC)
        other = await files.hls(FILM, None, AAC)
        assert await one.segment(0) == await other.segment(0)
        assert await one.segment(1) == await other.segment(1)
        assert files.jobs <= 1


async def test_what_is_said_is_known_from_the_pictures_passed_by(tmp_path, mkv):
    sources = Files(**{FILM: mkv})
    async with media_files(tmp_path, sources) as files:
        media = await files.probe(FILM, None)
        track = media.subtitles[0].index
        stream = await files.hls(FILM, None, AAC)
        for number in (0, 1):
            await stream.segment(number)
        asked = len(sources.asked)
        said = await files.subtitles(FILM, None, track=track, start=0, stop=4)
        assert [(one.start, one.data) for one in said] == [(0.0, b"At 0"), (2.0, b"At 2")]
        assert len(sources.asked) == asked


async def test_what_is_said_later_is_read_for_itself(tmp_path, mkv):
    async with media_files(tmp_path, Files(**{FILM: mkv})) as files:
        track = (await files.probe(FILM, None)).subtitles[0].index
        said = await files.subtitles(FILM, None, track=track, start=11, stop=15)
        assert [one.data for one in said] == [b"At 10", b"At 12", b"At 14"]
        with pytest.raises(NotFoundError):
            await files.subtitles(FILM, None, track=0, start=0, stop=1)
