"""The Internet Archive as a place where titles can be had."""

from collections.abc import Sequence
from typing import Any, get_args

import pytest

from miauflixd.runtime.priority import Priority
from miauflixd.sources.directories.archive import Archive
from miauflixd.sources.directories.directory import DirectoryUnavailableError, TorrentBytes
from miauflixd.sources.offers import DirectoryId, Offer, Query
from tests.directory_fakes import (
    HASH,
    TORRENT,
    FakeDirectories,
    Trouble,
    archive_item,
    client,
    exchange,
    serving,
)

FILM = Query(kind="movie", imdb_id="tt5550001", archive_id="big_cat_1928")


@pytest.fixture
async def fake():
    async with serving(FakeDirectories(items={"big_cat_1928": archive_item()})) as fake:
        yield fake


@pytest.fixture
async def archive(fake):
    async with client() as http:
        yield Archive(
            id=DirectoryId("archive"),
            title="Fake",
            exchange=exchange(http, fake.origin, within=0.3),
        )


async def search(archive: Archive, query: Query = FILM) -> Sequence[Offer]:
    return await archive.search(query, priority=Priority.ROUTINE)


def video(name: str, **changes: Any) -> Any:
    return {"name": name, "format": "h.264", "size": "1000", "length": "60", **changes}


async def test_an_item_is_offered_as_files_of_the_web_and_as_a_torrent(archive, fake):
    web, torrent = await search(archive)

    assert web.name == torrent.name == "Big Cat (1928)"
    assert web.archive_id == torrent.archive_id == "big_cat_1928"
    # Of four files of the same film the one that plays everywhere.
    (file,) = web.web_files
    assert file.url == f"{fake.origin}/download/big_cat_1928/Big%20Cat.mp4"
    assert (web.size, web.runtime, web.hints.quality) == (190_000_000, 5750, "480p")
    assert (web.hints.video_codec, web.hints.audio_codec, web.info_hash) == ("h264", "aac", None)
    assert torrent.info_hash == HASH
    assert (
        torrent.torrent_url == f"{fake.origin}/download/big_cat_1928/big_cat_1928_archive.torrent"
    )
    assert (torrent.size, torrent.web_files) == (900_000_000, ())


async def test_its_torrent_can_be_fetched(archive):
    _, torrent = await search(archive)

    found = await archive.resolve(torrent, priority=Priority.WAITED_FOR)

    assert found == TorrentBytes(TORRENT)


async def test_only_titles_that_have_an_item_are_asked_for(archive, fake):
    assert await search(archive, Query(kind="movie", titles=("Big Cat",))) == ()
    assert await search(archive, Query(kind="movie", archive_id="../../etc")) == ()
    assert not fake.asked


@pytest.mark.parametrize(
    "changes",
    [
        {"is_dark": True},
        {"nodownload": "true"},
        {"metadata": {"access-restricted-item": "true"}},
        {"metadata": {"collection": "stream_only"}},
        {"metadata": {"collection": ["feature_films", "inlibrary"]}},
    ],
)
async def test_what_is_lent_or_withdrawn_is_not_offered(archive, fake, changes):
    fake.items["big_cat_1928"] = archive_item(**changes)

    assert await search(archive) == ()


@pytest.mark.parametrize("gone", [[], {}, {"metadata": {}}, {"files": 7, "metadata": []}, None])
async def test_an_item_that_is_not_there_offers_nothing(archive, fake, gone):
    fake.items["big_cat_1928"] = gone

    assert list(await search(archive)) == []


@pytest.mark.parametrize(
    "name",
    ["../x.mp4", "a/../../b.mp4", "/etc/passwd", "a//b.mp4", "", "x\x00.mp4", "a\nb", 7, None,
     "x" * 5000],
)  # fmt: skip
async def test_a_name_that_leads_out_of_the_item_is_not_followed(archive, fake, name):
    fake.items["big_cat_1928"] = archive_item(
        files=[video(name), {"name": name, "format": "Archive BitTorrent", "btih": HASH}]
    )

    assert await search(archive) == []


async def test_a_name_is_quoted(archive, fake):
    fake.items["big_cat_1928"] = archive_item(files=[video("reel 1/Cat? #1 & 50%.mp4")])

    (web,) = await search(archive)

    assert web.web_files[0].url.endswith("/big_cat_1928/reel%201/Cat%3F%20%231%20%26%2050%25.mp4")


async def test_the_longest_film_of_an_item_comes_first_and_private_files_never(archive, fake):
    fake.items["big_cat_1928"] = archive_item(
        files=[
            video("trailer.mp4", length="1:30"),
            video("film.mp4", length="1:35:00"),
            video("secret.mp4", private="true"),
            video("odd.mp4", size="-5", length="x", height="x"),
        ]
    )

    (web,) = await search(archive)

    assert [file.name for file in web.web_files] == ["film.mp4", "trailer.mp4", "odd.mp4"]
    assert web.web_files[2].size is None


async def test_values_may_be_lists_or_of_another_kind(archive, fake):
    fake.items["big_cat_1928"] = archive_item(
        metadata={"title": ["Big Cat", "Other"], "year": 1928, "collection": 7}, item_size="9e99"
    )

    web, torrent = await search(archive)

    assert (web.name, torrent.size) == ("Big Cat (1928)", None)


@pytest.mark.parametrize("trouble", [t for t in get_args(Trouble) if t[:3] not in ("non", "500")])
async def test_whatever_comes_instead_is_unavailable(archive, fake, trouble):
    fake.trouble = trouble

    with pytest.raises(DirectoryUnavailableError):
        await search(archive)
    with pytest.raises(DirectoryUnavailableError):
        await archive.check()
