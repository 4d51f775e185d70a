"""Artwork over HTTP: what a browser keeps, and what it is told when there is none."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from miauflixd.catalogue.image_source import ImageUnavailableError
from tests.artwork_fakes import JPEG, FakeArtwork
from tests.web_house import open_web

pytestmark = pytest.mark.slow

KEY = "tmdb-poster-abc.jpg"
ADDRESS = f"/api/images/small/{KEY}"


@pytest.fixture
def artwork():
    return FakeArtwork()


@pytest.fixture
async def web(tmp_path, artwork):
    async with open_web(tmp_path, artwork=artwork) as web:
        yield web


@pytest.fixture
async def get(web):
    token = await web.token_of(await web.add("ben"))

    async def get(address=ADDRESS, *, method="GET", **headers):
        headers["Authorization"] = f"Bearer {token}"
        async with web.session.request(method, web.url + address, headers=headers) as answer:
            return answer, await answer.read()

    return get


def large(artwork: FakeArtwork, tmp_path: Path, size: int = 2**20) -> tuple[Path, bytes]:
    """Have an image that is handed out as a file."""
    content = JPEG.ljust(size, b"\0")
    path = tmp_path / "large.jpg"
    path.write_bytes(content)
    found = replace(artwork.add(KEY), content=path, size=size)
    artwork.images[KEY, "small"] = found
    return path, content


async def test_an_image_is_sent_for_the_browser_to_keep(get, artwork):
    artwork.add(KEY)
    answer, content = await get()
    assert (answer.status, content) == (200, JPEG)
    headers = answer.headers
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Cache-Control"] == "private, max-age=2592000, immutable"
    assert headers["Content-Disposition"] == "inline"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Length"] == str(len(JPEG))


async def test_who_has_it_is_told_so(get, artwork):
    etag = artwork.add(KEY).etag
    answer, content = await get(**{"If-None-Match": etag})
    assert (answer.status, content, answer.headers["ETag"]) == (304, b"", etag)
    answer, content = await get(**{"If-None-Match": '"another"'})
    assert (answer.status, content) == (200, JPEG)


@pytest.mark.parametrize("size", [2**18, 2**20, 10 * 2**20])
async def test_a_large_one_is_sent_from_the_disk(get, artwork, tmp_path, size):
    _, content = large(artwork, tmp_path, size)
    answer, found = await get()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert found == content
    answer, found = await get()  # over the same connection
    assert found == content


async def test_a_head_says_as_much_as_a_get(get, artwork, tmp_path):
    artwork.add(KEY)
    answer, content = await get(method="HEAD")
    assert (answer.status, content, answer.headers["Content-Length"]) == (200, b"", str(len(JPEG)))
    large(artwork, tmp_path)
    answer, content = await get(method="HEAD")
    assert (answer.status, content, answer.headers["Content-Length"]) == (200, b"", str(2**20))


@pytest.mark.parametrize(
    "address",
    [
        "/api/images/small/tmdb-poster-none.jpg",
        f"/api/images/huge/{KEY}",
        "/api/images/small/..%2F..%2Fetc%2Fpasswd",
        "/api/images/small/%00",
        "/api/images/small/" + "a" * 5000,
        "/api/images/%F0%9F%8E%AC/%F0%9F%8E%AC",
    ],
)
async def test_what_there_is_not_is_not_found(get, artwork, address):
    artwork.add(KEY)
    answer, _ = await get(address)
    assert answer.status == 404
    assert (await answer.json(content_type=None))["code"] == "no_image"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_what_cannot_be_fetched_now_is_no_line_in_the_log(get, artwork, caplog):
    artwork.trouble = ImageUnavailableError("Where this image is could not be reached just now")
    with caplog.at_level(logging.INFO, logger="miauflixd"):
        answer, _ = await get()
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert (await answer.json(content_type=None))["code"] == "image_unavailable"
    assert not caplog.records


async def test_a_large_one_that_has_gone_meanwhile_is_unavailable(get, artwork, tmp_path):
    path, _ = large(artwork, tmp_path)
    path.unlink()
    answer, _ = await get()
    assert answer.status == 503


async def test_images_are_for_the_household(web, artwork):
    artwork.add(KEY)
    assert (await web.ask("GET", ADDRESS)).status == 401
