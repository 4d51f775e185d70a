"""Servers with YTS's API."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

import pytest

from miauflixd.runtime.priority import Priority
from miauflixd.sources.directories.directory import DirectoryUnavailableError
from miauflixd.sources.directories.yts import Yts
from miauflixd.sources.offers import DirectoryId, Hints, Offer, Query
from tests.directory_fakes import (
    HASH,
    FakeDirectories,
    Trouble,
    client,
    exchange,
    serving,
    yts_answer,
    yts_film,
    yts_torrent,
)

FILM = Query(kind="movie", titles=("Big Cat",), year=2019, imdb_id="tt5550001")


@pytest.fixture
async def fake():
    async with serving(FakeDirectories()) as fake:
        yield fake


@pytest.fixture
async def yts(fake):
    async with client() as http:
        yield Yts(
            id=DirectoryId("yts"), title="Fake", exchange=exchange(http, fake.origin, within=0.3)
        )


async def search(yts: Yts, query: Query = FILM) -> Sequence[Offer]:
    return await yts.search(query, priority=Priority.ROUTINE)


async def test_each_of_a_film_s_torrents_is_an_offer_with_what_the_server_says_of_it(yts, fake):
    (offer,) = await search(yts)

    assert offer.name == "Big Cat (2019) [2160p] [bluray] [x265] [10bit] [5.1]"
    assert (offer.info_hash, offer.imdb_id, offer.trackers) == (HASH, "tt5550001", ())
    assert (offer.size, offer.seeders, offer.leechers) == (7419556004, 100, 60)
    assert offer.published == datetime(2021, 9, 16, 18, 45, 52, tzinfo=UTC)
    assert offer.runtime == 142 * 60
    assert offer.hints == Hints(
        quality="2160p",
        source_type="bluray",
        video_codec="h265",
        bit_depth=10,
        channels="5.1",
    )
    assert fake.asked[0].query["query_term"] == "tt5550001"


async def test_nothing_found_is_an_answer_without_a_list(yts, fake):
    fake.yts = yts_answer()

    assert await search(yts) == []


async def test_another_film_is_not_taken_for_the_one_that_was_asked_for(yts, fake):
    fake.yts = yts_answer(yts_film(imdb_code="tt48044377"), yts_film(imdb_code=None))

    assert await search(yts) == []


async def test_without_an_id_the_title_and_the_year_must_be_the_same(yts, fake):
    fake.yts = yts_answer(yts_film(), yts_film(year=1987), yts_film(title_english="", title="Cat"))

    assert len(await search(yts, Query(kind="movie", titles=("Big  Cat!",), year=2019))) == 1
    assert await search(yts, Query(kind="movie")) == ()


async def test_shows_are_not_asked_for(yts, fake):
    assert await search(yts, Query(kind="episode", titles=("Big Cat",), imdb_id="tt1")) == ()
    assert not fake.asked
    assert yts.capabilities().kinds == {"movie"}


@pytest.mark.parametrize(
    ("said", "hints"),
    [
        ({"quality": "3D", "type": "web"}, Hints(source_type="web", three_d=True)),
        ({"quality": "4K?", "type": "HDTV", "video_codec": "H.264"},
         Hints(source_type="hdtv", video_codec="h264")),
        ({"type": "cam", "is_repack": "1"}, Hints(source_type="cam", repack=True)),
        ({"quality": ["1080p"], "type": {}, "bit_depth": -1, "audio_channels": None}, Hints()),
    ],
)  # fmt: skip
async def test_what_the_server_says_of_the_quality_is_translated(yts, fake, said, hints):
    none = {"quality": "", "type": "", "video_codec": "", "bit_depth": "", "audio_channels": ""}
    fake.yts = yts_answer(yts_film(torrents=[yts_torrent(**{**none, **said})]))

    (offer,) = await search(yts)

    assert offer.hints == hints


@pytest.mark.parametrize("number", [2**63, -1, "x", None, 1.5e300, True, [1]])
async def test_numbers_that_cannot_be_are_not_believed(yts, fake, number):
    torrent = yts_torrent(size_bytes=number, seeds=number, peers=number, date_uploaded_unix=number)
    fake.yts = yts_answer(yts_film(torrents=[torrent], runtime=number, year=number))

    (offer,) = await search(yts)

    assert (offer.size, offer.seeders, offer.leechers, offer.runtime) == (None,) * 4


@pytest.mark.parametrize("hash_", ["", None, 7, "xyz", "0" * 40, HASH + "0"])
async def test_a_torrent_without_a_hash_is_left_out_and_the_others_stay(yts, fake, hash_):
    fake.yts = yts_answer(yts_film(torrents=[yts_torrent(hash=hash_), "x", yts_torrent()]))

    assert len(await search(yts)) == 1


@pytest.mark.parametrize(
    "answer",
    [[], "x", None, 7, {}, {"status": "error", "status_message": "Big Cat"}, {"status": 1}],
)
async def test_an_answer_of_another_shape_is_none(yts, fake, answer):
    fake.yts = answer

    with pytest.raises(DirectoryUnavailableError):
        await search(yts)


@pytest.mark.parametrize("films", ["x", 7, [None], [[]], {"torrents": 7}, [{"torrents": {"a": 1}}]])
async def test_a_list_of_another_shape_is_empty(yts, fake, films):
    fake.yts = {"status": "ok", "data": {"movies": films}}

    assert await search(yts) == []


@pytest.mark.parametrize("trouble", [t for t in get_args(Trouble) if t[:3] not in ("non", "500")])
async def test_whatever_comes_instead_is_unavailable(yts, fake, trouble):
    fake.trouble = trouble

    for question in (search(yts), yts.check()):
        with pytest.raises(DirectoryUnavailableError):
            await question


async def test_a_check_asks_for_one_film(yts, fake):
    await yts.check()

    assert dict(fake.asked[0].query) == {"limit": "1"}
