"""Servers with TheRARBG's JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

import pytest

from miauflixd.runtime.priority import Priority
from miauflixd.sources.directories.directory import DirectoryUnavailableError
from miauflixd.sources.directories.therarbg import TheRarbg
from miauflixd.sources.merge import merge
from miauflixd.sources.offers import DirectoryId, Offer, OfferedFile, Query
from tests.directory_fakes import (
    HASH,
    OTHER_HASH,
    FakeDirectories,
    Trouble,
    client,
    detail,
    exchange,
    post,
    serving,
)

FILM = Query(kind="movie", titles=("Big Cat",), year=2019, imdb_id="tt5550001")
EPISODE = Query(kind="episode", titles=("Big: Cat/",), imdb_id="tt5550001", season=2, episode=3)


@pytest.fixture
async def fake():
    async with serving(FakeDirectories()) as fake:
        yield fake


@pytest.fixture
async def directory(fake):
    async with client() as http:
        yield TheRarbg(
            id=DirectoryId("bg"), title="Fake", exchange=exchange(http, fake.origin, within=0.3)
        )


async def search(directory: TheRarbg, query: Query = FILM) -> Sequence[Offer]:
    return await directory.search(query, priority=Priority.ROUTINE)


async def test_all_posts_of_an_id_are_offers(directory, fake):
    fake.detail = detail(post())

    (offer,) = await search(directory)

    assert offer.name == "Big Cat 2019 1080p BluRay HEVC x265"
    assert (offer.info_hash, offer.imdb_id) == (HASH, "tt5550001")
    assert (offer.size, offer.seeders, offer.leechers) == (4617089843, 38, 16)
    assert offer.published == datetime(2025, 5, 30, 15, 20, 22, 821488, tzinfo=UTC)
    assert (offer.season, offer.episode) == (None, None)
    # What was written as text, in seconds.
    assert offer.runtime == 10140
    # A tracker that does not answer the server is left out.
    assert offer.trackers == ("udp://good.example:80/announce",)
    assert fake.asked[0].path_qs == "/imdb-detail/tt5550001/?format=json"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (None, ()),
        ([], ()),
        ([{"name": "a.mkv", "size": 5, "full_location": "x/a.mkv"}], (("a.mkv", 5),)),
        ([{"name": ["a.mkv", "b.srt"], "size": [5, 6]}], (("a.mkv", 5), ("b.srt", 6))),
        ([{"name": ["a.mkv", "b.srt"], "size": [5]}], (("a.mkv", 5), ("b.srt", None))),
        ({"name": "a.mkv", "size": -1}, (("a.mkv", None),)),
        ("a.mkv", ()),
        ([{"name": 7}, None, [{"name": "x"}], {"name": "../../\x00\x1b[2Jpasswd"}],
         (("../../[2Jpasswd", None),)),
    ],
)  # fmt: skip
async def test_files_come_in_three_shapes_and_in_none(directory, fake, files, expected):
    fake.detail = detail(post(files=files))

    (offer,) = await search(directory)

    assert offer.files == tuple(OfferedFile(name=name, size=size) for name, size in expected)


@pytest.mark.parametrize(
    ("language", "expected"),
    [(None, ()), ("English", ("english",)), ("129", ()), (129, ()), ("", ()), (["x"], ())],
)
async def test_a_language_is_a_name_a_number_or_nothing(directory, fake, language, expected):
    fake.detail = detail(post(language=language))

    (offer,) = await search(directory)

    assert offer.hints.languages == expected


async def test_posts_of_one_torrent_can_be_put_together(directory, fake):
    fake.detail = detail(
        post(name="Big Cat 2019", seeders=4),
        post(name="Big Cat 2019 1080p BluRay", seeders=38, language=None, imdb=None),
    )

    (offer,) = merge(await search(directory))

    assert (offer.name, offer.other_names) == ("Big Cat 2019 1080p BluRay", ("Big Cat 2019",))
    assert (offer.seeders, offer.hints.languages) == (38, ("english",))


async def test_of_a_show_what_may_hold_the_episode_is_offered(directory, fake):
    fake.detail = detail(
        post(name="this", season=2, episode=3),
        post(name="pack", season=2),
        post(name="another episode", season=2, episode=4),
        post(name="another season", season=1, episode=3),
        post(name="nobody says", season="x"),
    )

    assert [offer.name for offer in await search(directory, EPISODE)] == [
        "this",
        "pack",
        "nobody says",
    ]


async def test_what_is_of_another_title_or_for_adults_is_left_out(directory, fake):
    fake.detail = detail(
        post(imdb="tt7777777"), post(category_str="XXX"), post(info_hash="x"), post(name=""), 7
    )

    assert await search(directory) == []


async def test_what_is_not_known_is_looked_for_by_words(directory, fake):
    fake.posts = {
        "results": [
            {
                "pk": "85381a",
                "n": "Big Cat S02E03 1080p",
                "a": 1753110022,
                "c": "TV",
                "s": 4402341478,
                "se": 4,
                "le": 11,
                "i": None,
                "h": HASH.upper(),
                "tg": ["1080p"],
            },
            {"n": "Other", "c": "TV", "i": "tt7777777", "h": OTHER_HASH},
            {"n": "Not for us", "c": "XXX", "h": OTHER_HASH},
            None,
        ]
    }

    (offer,) = await search(directory, EPISODE)

    # Front page first, which the server sends us to for what it does not know.
    assert [request.path for request in fake.asked] == [
        "/imdb-detail/tt5550001/",
        "/",
        "/get-posts/keywords:big cat S02E03:ncategory:XXX/",
    ]
    assert (offer.info_hash, offer.size, offer.seeders, offer.leechers) == (
        HASH, 4402341478, 4, 11,
    )  # fmt: skip
    assert offer.published == datetime(2025, 7, 21, 15, 0, 22, tzinfo=UTC)


@pytest.mark.parametrize("number", [2**63, -1, "x", None, 1e300, float("1e19"), True])
async def test_numbers_that_cannot_be_are_not_believed(directory, fake, number):
    fake.detail = detail(
        post(size=number, seeders=number, leechers=number, season=number, timestamp=number),
        runtime=number,
    )

    (offer,) = await search(directory)

    assert (offer.size, offer.seeders, offer.leechers, offer.season) == (None,) * 4
    assert offer.runtime is None


@pytest.mark.parametrize("answer", [[], "x", 7, True])
async def test_an_answer_of_another_shape_is_none(directory, fake, answer):
    fake.detail = answer

    with pytest.raises(DirectoryUnavailableError):
        await search(directory)


@pytest.mark.parametrize("trouble", [t for t in get_args(Trouble) if t[:3] not in ("non", "500")])
async def test_whatever_comes_instead_is_unavailable(directory, fake, trouble):
    fake.trouble = trouble

    if trouble == "404":  # which a server may say of a title that it does not know
        assert await search(directory) == ()
        return
    with pytest.raises(DirectoryUnavailableError):
        await search(directory)
    with pytest.raises(DirectoryUnavailableError):
        await directory.check()


async def test_a_check_asks_for_the_newest(directory, fake):
    await directory.check()

    assert fake.asked[0].path == "/get-posts/category:Movies:time:1H/"
