"""Artwork: fetched once, kept within its quota, and never anything but images."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from miauflixd.catalogue.artwork import Artwork, Urls
from miauflixd.catalogue.image_source import ImageSource, ImageUnavailableError
from miauflixd.catalogue.images import ImageSize, is_image_key, media_type
from miauflixd.catalogue.ladder import Ladder
from miauflixd.catalogue.model import ImageKey, NoImageError
from miauflixd.egress.client import Response
from miauflixd.egress.clients import host_client
from tests.artwork_fakes import AVIF, JPEG, PNG, WEBP, FakeImageHost

POSTER = "tmdb-poster-abc.jpg"
DAY = 24 * 3600.0


class Time:
    """Two clocks that a test moves on."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Surprising:
    """A client that fails as nobody has thought of."""

    async def request(self, method: str, url: str, **more: Any) -> Response:
        raise ValueError("what is this?")


class House:
    """Images, where they come from, and how to open them again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = FakeImageHost()
        self.origin = ""
        self.time = Time()
        self.hosts = ["127.0.0.1"]

    def url(self, key: ImageKey, size: ImageSize) -> str | None:
        return None if "nowhere" in key else f"{self.origin}/{size}/{key}"

    @asynccontextmanager
    async def open(
        self, *, quota: int = 2**30, allow: tuple[str, ...] = (), url: Urls | None = None
    ) -> AsyncIterator[Artwork]:
        async with (
            host_client() as http,
            Artwork.open(
                self.folder,
                quota=quota,
                http=http,
                urls=url or self.url,
                hosts=self.hosts,
                allow=(self.origin, *allow),
                clock=self.time,
                seconds=self.time,
            ) as artwork,
        ):
            yield artwork

    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path / "artwork")
    async with house.host.serving() as house.origin:
        yield house


@pytest.fixture
async def artwork(house):
    async with house.open() as artwork:
        yield artwork


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


# --- what an image is -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "good"),
    [
        (POSTER, True),
        ("tmdb-backdrop-8cdWjvZQUExUUTzyp4t6EDMubfO.jpg", True),
        ("tmdb-still-a.png", True),
        ("archive-night_of_the_living_dead", True),
        ("archive-..", True),  # only ever a part of an address, never of a path
        ("tmdb-poster-abc.svg", False),
        ("tmdb-poster-.jpg", False),
        ("tmdb-poster-a/b.jpg", False),
        ("tmdb-poster-" + "a" * 65 + ".jpg", False),
        ("tmdb-trailer-abc.jpg", False),
        ("tmdb-poster-abc.jpg\n", False),
        ("tmdb-poster-\u0661.jpg", False),
        ("archive-a/../../b", False),
        ("archive-a?b", False),
        ("archive-", False),
        ("archive-" + "a" * 101, False),
        ("", False),
        ("../../etc/passwd", False),
    ],
)
def test_a_key_has_only_harmless_letters(key, good):
    assert is_image_key(key) is good


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (JPEG, "image/jpeg"),
        (PNG, "image/png"),
        (WEBP, "image/webp"),
        (AVIF, "image/avif"),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00miafavif...", "image/avif"),
        (b"GIF89a\x01\x00", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", None),
        (b"<!doctype html><title>Blocked</title>", None),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", None),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2", None),
        (b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00avif", None),  # behind the end of the box
        (b"\xff\xff\xff\xffftyp", None),
        (b"\xff\xd8", None),
        (b"", None),
    ],
)
def test_the_first_bytes_decide_what_it_is(content, kind):
    assert media_type(content) == kind


# --- fetched once ---------------------------------------------------------------------------------


async def test_an_image_is_fetched_once_and_is_then_here(artwork, house):
    first = await artwork.image(POSTER, "small")
    assert first.content == house.host.image(f"/small/{POSTER}")
    assert (first.media_type, first.size) == ("image/jpeg", 2000)
    assert await artwork.image(POSTER, "small") == first
    assert house.host.asked == {f"/small/{POSTER}": 1}
    figures = artwork.figures()
    assert (figures.hits, figures.fetched, figures.received, figures.images) == (1, 1, 2000, 1)


async def test_each_size_is_an_image_of_its_own(artwork):
    found = [await artwork.image(POSTER, size) for size in ("small", "medium", "large", "original")]
    assert len({one.content for one in found}) == 4
    assert len({one.etag for one in found}) == 4


async def test_it_is_here_after_a_restart_and_without_the_internet(house):
    async with house.open() as artwork:
        first = await artwork.image(POSTER, "small")
    house.host.trouble = web.Response(status=503)
    async with house.open() as artwork:
        assert await artwork.image(POSTER, "small") == first
        with pytest.raises(ImageUnavailableError):
            await artwork.image(POSTER, "large")


async def test_who_wants_the_same_at_the_same_time_shares_one_fetch(artwork, house):
    house.host.open.clear()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(artwork.image(POSTER, "small")) for _ in range(50)]
        await until(lambda: house.host.at_once == 1)
        house.host.open.set()
    assert len({task.result() for task in tasks}) == 1
    assert house.host.asked.total() == 1


async def test_who_gives_up_waiting_does_not_end_it_for_others(artwork, house):
    house.host.open.clear()
    async with asyncio.TaskGroup() as group:
        impatient = group.create_task(artwork.image(POSTER, "small"))
        patient = group.create_task(artwork.image(POSTER, "small"))
        await until(lambda: house.host.at_once == 1)
        impatient.cancel()
        await asyncio.sleep(0)
        house.host.open.set()
    assert patient.result().size == 2000
    assert house.host.asked.total() == 1


async def test_only_so_many_are_fetched_at_once_and_all_in_the_end(artwork, house):
    house.host.open.clear()
    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(artwork.image(f"tmdb-poster-{number}.jpg", "small"))
        await until(lambda: house.host.at_once == 8)
        house.host.open.set()
    assert house.host.most_at_once == 8
    assert artwork.figures().images == 30


async def test_closing_does_not_wait_for_what_is_on_its_way(house):
    async with house.open() as artwork, asyncio.TaskGroup() as group:
        house.host.open.clear()
        waiting = group.create_task(artwork.image(POSTER, "small"))
        await until(lambda: house.host.at_once == 1)
        waiting.cancel()
    assert house.files() == []


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "size"),
    [
        ("../../etc/passwd", "small"),
        ("tmdb-poster-abc.svg", "small"),
        (POSTER, "huge"),
        (POSTER, ""),
        ("archive-nowhere", "small"),
    ],
)
async def test_nobody_is_asked_for_what_cannot_be(artwork, house, key, size):
    with pytest.raises(NoImageError):
        await artwork.image(key, size)
    assert not house.host.asked


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(body=b"<!doctype html>", content_type="image/jpeg"),
        web.Response(body=b"<svg/>", content_type="image/svg+xml"),
        web.Response(body=b"GIF89a", content_type="image/gif"),
        web.Response(body=b""),
        web.Response(status=206, body=JPEG),
        web.Response(status=500, body=JPEG),
        web.Response(status=403, body=JPEG),
        web.Response(status=302, headers={"Location": "http://192.0.2.1:1/a.jpg"}),
        web.Response(status=302, headers={"Location": "file:///etc/passwd"}),
        web.Response(status=302, headers={"Location": "magnet:?xt=urn:btih:" + "a" * 40}),
        web.Response(body=JPEG + b"\0" * 10 * 2**20),
    ],
    ids=[
        "html",
        "svg",
        "gif",
        "empty",
        "a part",
        "500",
        "403",
        "private",
        "file",
        "magnet",
        "huge",
    ],
)
async def test_what_is_no_image_is_not_kept_and_not_asked_for_again_soon(artwork, house, answer):
    house.host.answers[f"/small/{POSTER}"] = answer
    for _ in range(3):
        with pytest.raises(ImageUnavailableError):
            await artwork.image(POSTER, "small")
    assert house.host.asked.total() == 1
    assert house.files() == []
    # One that is broken is no reason to leave the others alone.
    assert (await artwork.image(POSTER, "large")).size == 2000


async def test_an_image_may_only_come_from_its_hosts(house):
    other = FakeImageHost()
    async with other.serving("localhost") as elsewhere:
        redirect = web.Response(status=302, headers={"Location": f"{elsewhere}/a.jpg"})
        house.host.answers[f"/small/{POSTER}"] = redirect
        async with house.open(allow=(elsewhere,)) as artwork:
            with pytest.raises(ImageUnavailableError):
                await artwork.image(POSTER, "small")
        assert house.files() == []
        house.hosts = ["localhost", "127.0.0.1"]
        async with house.open(allow=(elsewhere,)) as artwork:
            assert (await artwork.image(POSTER, "small")).content == other.image("/a.jpg")


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("https://archive.org/services/img/a", True),
        ("https://ia800.us.archive.org/1/a.jpg", True),
        ("https://IA800.us.Archive.org/1/a.jpg", True),
        ("https://archive.org.evil.example/a", False),
        ("https://evilarchive.org/a", False),
        ("https://evil.example/archive.org", False),
        ("https://archive.org@evil.example/a", False),
        ("magnet:?xt=urn:btih:00", False),
    ],
)
def test_names_below_a_host_can_be_meant(url, ours):
    hosts = ["archive.org", "*.archive.org"]
    source = ImageSource(http=Surprising(), hosts=hosts, allow=())
    assert source.may_come_from(url) is ours


async def test_a_missing_image_is_believed_missing_for_a_day(artwork, house):
    house.host.answers[f"/small/{POSTER}"] = web.Response(status=404)
    for _ in range(3):
        with pytest.raises(NoImageError):
            await artwork.image(POSTER, "small")
    assert house.host.asked.total() == 1
    house.host.answers.clear()
    house.time.now += DAY + 1
    assert (await artwork.image(POSTER, "small")).size == 2000


async def test_a_broken_one_is_left_alone_for_longer_each_time(artwork, house):
    house.host.answers[f"/small/{POSTER}"] = web.Response(status=500)
    asked_at = []
    for minute in range(200):
        before = house.host.asked.total()
        with pytest.raises(ImageUnavailableError):
            await artwork.image(POSTER, "small")
        if house.host.asked.total() > before:
            asked_at.append(minute)
        house.time.now += 60
    assert asked_at == [0, 1, 11, 71]


async def test_a_host_that_is_away_is_not_asked_for_each_of_a_hundred(house):
    async with house.open() as artwork:
        house.host.trouble = web.Response(status=503)
        for number in range(100):
            with pytest.raises(ImageUnavailableError):
                await artwork.image(f"tmdb-poster-{number}.jpg", "small")
        assert house.host.asked.total() == 1
        house.host.trouble = None
        house.time.now += 2
        for number in range(100):
            await artwork.image(f"tmdb-poster-{number}.jpg", "small")


async def test_what_nobody_has_thought_of_does_not_end_the_house(tmp_path, caplog):
    async with Artwork.open(
        tmp_path, quota=2**20, http=Surprising(), urls=lambda *_: "https://a/", hosts=["a"]
    ) as artwork:
        for _ in range(2):
            with pytest.raises(ImageUnavailableError):
                await artwork.image(POSTER, "small")
    assert len(caplog.records) == 1


async def test_a_host_that_wants_to_be_left_alone_is(artwork, house):
    house.host.trouble = web.Response(status=429, headers={"Retry-After": "30"})
    with pytest.raises(ImageUnavailableError):
        await artwork.image(POSTER, "small")
    house.host.trouble = None
    house.time.now += 29
    with pytest.raises(ImageUnavailableError):
        await artwork.image(POSTER, "small")
    house.time.now += 1
    await artwork.image(POSTER, "small")
    assert house.host.asked.total() == 2


async def test_an_outage_is_two_lines_in_the_log(house, caplog):
    caplog.set_level("INFO", logger="miauflixd.catalogue")
    # Nobody listens at the port that was the host's until a moment ago.
    async with FakeImageHost().serving() as gone:
        pass
    where = [gone]

    def url(key, size):
        return f"{where[0]}/{key}"

    async with house.open(allow=(gone,), url=url) as artwork:
        for number in range(200):
            with pytest.raises(ImageUnavailableError):
                await artwork.image(f"tmdb-poster-{number}.jpg", "small")
            house.time.now += 30
        where[0] = house.origin
        house.time.now += 60
        await artwork.image(POSTER, "small")
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "Images of 127.0.0.1 cannot be fetched now",
        "Images of 127.0.0.1 can be fetched again",
    ]


# --- the disk -------------------------------------------------------------------------------------


async def test_what_was_not_seen_for_longest_goes_first(house):
    house.host.size = 4096
    async with house.open(quota=3 * 4096) as artwork:
        for name in "abc":
            await artwork.image(f"archive-{name}", "small")
        await artwork.image("archive-a", "small")
        await artwork.image("archive-d", "small")
        house.host.trouble = web.Response(status=500)
        for name in "acd":
            await artwork.image(f"archive-{name}", "small")
        with pytest.raises(ImageUnavailableError):
            await artwork.image("archive-b", "small")
        figures = artwork.figures()
        assert (figures.images, figures.used) == (3, 3 * 4096)
        assert sum(path.stat().st_blocks * 512 for path in house.files()) == figures.used


async def test_what_was_seen_is_known_after_a_restart_by_the_day(house):
    house.host.size = 4096
    async with house.open() as artwork:
        for name in "abc":
            await artwork.image(f"archive-{name}", "small")
            house.time.now += DAY
    async with house.open() as artwork:
        await artwork.image("archive-a", "small")
    async with house.open(quota=2 * 4096) as artwork:
        house.host.trouble = web.Response(status=500)
        for name in "ca":
            await artwork.image(f"archive-{name}", "small")
        with pytest.raises(ImageUnavailableError):
            await artwork.image("archive-b", "small")


async def test_looking_at_it_all_day_writes_once(artwork, house):
    await artwork.image(POSTER, "small")
    (path,) = house.files()
    seen = set()
    for _ in range(48):
        house.time.now += 3600
        await artwork.image(POSTER, "small")
        seen.add(path.stat().st_mtime)
    assert len(seen) <= 3


async def test_a_smaller_quota_holds_at_once(house):
    house.host.size = 4096
    async with house.open() as artwork:
        for name in "abcd":
            await artwork.image(f"archive-{name}", "small")
        artwork.set_quota(2 * 4096)
        assert await artwork.tidy() == 2
        assert len(house.files()) == 2
        assert await artwork.tidy() == 0
    async with house.open(quota=4096) as artwork:
        assert await artwork.tidy() == 1
        assert len(house.files()) == 1
    async with house.open() as artwork:
        artwork.set_quota(0)  # before it is known what there is
        await artwork.tidy()
        assert house.files() == []


async def test_what_a_crash_left_behind_is_removed_and_what_is_not_ours_is_left_alone(house):
    async with house.open() as artwork:
        await artwork.image(POSTER, "small")
    (kept,) = house.files()
    other = kept.with_name(kept.name.partition("-")[0] + "-0123456789abcdef.jpg")
    other.write_bytes(JPEG)
    os.utime(other, (1, 1))
    (house.folder / "part-0123456789abcdef").write_bytes(b"half of an")
    (house.folder / ("0" * 32 + "-0123456789abcdef.png")).write_bytes(b"")
    (house.folder / "notes.txt").write_text("mine")
    (house.folder / ("1" * 32 + "-0123456789abcdef.png")).mkdir()
    async with house.open() as artwork:
        await artwork.image(POSTER, "small")
        assert artwork.figures().images == 1
        names = [path.name for path in house.files()]
        assert names == sorted([kept.name, "1" * 32 + "-0123456789abcdef.png", "notes.txt"])


@pytest.mark.parametrize("spoil", ["truncate", "zeros", "other", "gone"])
async def test_a_spoilt_file_is_fetched_again(house, spoil):
    async with house.open() as artwork:
        first = await artwork.image(POSTER, "small")
    (path,) = house.files()
    match spoil:
        case "truncate":
            os.truncate(path, 1000)
        case "zeros":
            path.write_bytes(bytes(2000))
        case "other":
            path.write_bytes(b"<html>")
        case _:
            path.unlink()
    async with house.open() as artwork:
        assert await artwork.image(POSTER, "small") == first
        assert house.host.asked.total() == 2
        if spoil == "gone":  # under a running house, too
            for one in house.files():
                one.unlink()
            assert await artwork.image(POSTER, "small") == first
            assert artwork.figures().images == 1


async def test_a_large_one_is_handed_out_as_a_file(artwork, house):
    house.host.size = 2**20
    found = await artwork.image(POSTER, "original")
    assert isinstance(found.content, Path)
    assert found.content.read_bytes() == house.host.image(f"/original/{POSTER}")
    assert found.size == 2**20


async def test_a_full_disk_is_no_reason_to_ask_again_at_once(artwork, house, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    for _ in range(3):
        with pytest.raises(ImageUnavailableError):
            await artwork.image(POSTER, "small")
    assert house.host.asked.total() == 1
    assert house.files() == []


async def test_titles_are_not_in_the_names_of_files(artwork, house):
    await artwork.image("archive-night_of_the_living_dead", "small")
    (path,) = house.files()
    assert "night" not in path.name


# --- the ladder -----------------------------------------------------------------------------------


def test_failures_at_the_same_time_are_one():
    now = Time()
    ladder = Ladder[str](steps=(1, 10, 100), clock=now)
    assert [ladder.failed("a") for _ in range(3)] == [True, False, False]
    assert ladder.wait("a") == 1
    now.now += 1
    assert ladder.wait("a") == 0
    assert not ladder.failed("a")
    assert ladder.wait("a") == 10
    assert ladder.wait("b") == 0


def test_a_success_ends_a_row_of_failures():
    now = Time()
    ladder = Ladder[str](steps=(1, 10), clock=now)
    ladder.failed("a")
    now.now += 5
    ladder.failed("a")
    assert ladder.succeeded("a")
    assert not ladder.succeeded("a")
    assert ladder.wait("a") == 0
    assert ladder.failed("a")
    assert ladder.wait("a") == 1


def test_only_so_many_failures_are_remembered():
    ladder = Ladder[int](steps=(1,), clock=Time(), most=100)
    for number in range(1000):
        ladder.failed(number)
    assert [bool(ladder.wait(number)) for number in (0, 899, 900, 999)] == [
        False,
        False,
        True,
        True,
    ]
