"""Searching for titles, keeping what fits, and choosing the best of it."""

import asyncio
import logging
import sqlite3
from datetime import timedelta

import pytest

from miauflixd.auth.model import Profile
from miauflixd.catalogue.model import Audience, NoTitleError, TitleId
from miauflixd.runtime.http import Http
from miauflixd.runtime.priority import Priority
from miauflixd.sources.choosing import preference
from miauflixd.sources.directories.directory import DirectoryRefusedError
from miauflixd.sources.listing_model import (
    BadSourceError,
    NoListingError,
    NothingToPlayError,
    NotPlayableError,
)
from miauflixd.sources.offers import Hints
from miauflixd.sources.own import Own
from miauflixd.sources.ranking import Preference
from miauflixd.sources.release_model import Quality
from miauflixd.torrents.model import BadTorrentError
from miauflixd.tunnel.errors import TunnelDownError
from miauflixd.web_files.model import WebFile
from tests.catalogue_titles import EN
from tests.directory_fakes import (
    API_KEY,
    HASH,
    MAGNET,
    OTHER_HASH,
    TORRENT,
    FakeDirectories,
    client,
    item,
    link,
    rss,
    serving,
)
from tests.sources_house import ANNA, ANYBODY, FakeDirectory, info_hash, offer, open_house, spec

FILM = "Big.Cat.2019.1080p.WEB-DL.H264.AAC-GRP"
HALF = "Big.Cat.2019.720p.WEB-DL.H264.AAC-GRP"
GB = 2**30


# --- searching ------------------------------------------------------------------------------------


async def test_what_fits_is_kept_and_what_does_not_is_counted_by_its_reason(tmp_path):
    directory = FakeDirectory(
        "a",
        [
            offer(FILM, 1, seeders=20, size=4 * GB),
            offer("Big.Cat.1971.1080p.BluRay-GRP", 2),
            offer("Big.Cat.2.2019.1080p.WEB-GRP", 3),
            offer("Small.Dog.2019.1080p.WEB-GRP", 4),
            offer("Big.Cat.2019.Sample.mkv", 5),
        ],
    )
    async with open_house(tmp_path, directory) as house:
        film = await house.movie()

        assert await house.search(film)

        found = await house.of(film)
        assert [one.listing.offer.name for one in found.listings] == [FILM]
        assert sum(found.refused.values()) == 4
        assert "It is another part of the same series" in found.refused
        assert not any("cat" in reason.lower() for reason in found.refused)
        assert found.checked_at == house.clock.now
        assert not found.searching


async def test_a_directory_is_asked_by_all_that_is_known(tmp_path):
    directory = FakeDirectory("a")
    async with open_house(tmp_path, directory) as house:
        film = await house.movie(imdb="tt5550001", tmdb=77, archive="big-cat")
        await house.search(film)

    (query,) = directory.asked
    assert query.kind == "movie"
    assert query.titles == ("Big Cat",)
    assert (query.year, query.imdb_id, query.tmdb_id) == (2019, "tt5550001", 77)
    assert query.archive_id == "big-cat"


async def test_an_episode_is_asked_for_and_its_season_too(tmp_path):
    directory = FakeDirectory("a")
    async with open_house(tmp_path, directory) as house:
        episodes = await house.season(number=2, episodes=4)
        await house.search(episodes[2])

    assert {(query.kind, query.season, query.episode) for query in directory.asked} == {
        ("episode", 2, 3),
        ("season", 2, None),
    }


async def test_whoever_waits_gets_what_is_there_and_the_rest_is_told(tmp_path):
    quick = FakeDirectory("a", [offer(FILM, 1, seeders=3)])
    slow = FakeDirectory("b", [offer(HALF, 2, by="b", seeders=9)], patient=False)
    async with open_house(tmp_path, quick, slow) as house:
        film = await house.movie()

        done = await house.search(film, within=0.05)

        found = await house.of(film)
        assert not done
        assert found.searching
        assert {report.directory: report.outcome for report in found.reports} == {
            "a": "answered",
            "b": "waiting",
        }
        assert [one.listing.offer.name for one in found.listings] == [FILM]

        house.told.clear()
        slow.released.set()
        assert await house.search(film)
        assert f"sources:{film}" in house.told
        assert not (await house.of(film)).searching
        assert set(await house.names(film)) == {FILM, HALF}


async def test_a_title_is_searched_for_once_however_many_want_it(tmp_path):
    directory = FakeDirectory("a", patient=False)
    async with open_house(tmp_path, directory) as house:
        film = await house.movie()
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(house.search(film))
            await asyncio.sleep(0.05)
            directory.released.set()

    assert len(directory.asked) == 1


async def test_whoever_waits_does_not_stand_behind_a_search_that_nobody_waits_for(tmp_path):
    directory = FakeDirectory("a", [offer(FILM, 1)], patient=False)
    async with open_house(tmp_path, directory) as house:
        film = await house.movie()
        await house.sources.search(film, within=0.02, priority=Priority.ROUTINE)

        await house.sources.search(film, within=0.02, priority=Priority.WAITED_FOR)

        assert len(directory.asked) == 2
        directory.released.set()
        assert await house.search(film)
        assert await house.names(film) == [FILM]


async def test_a_broken_directory_is_reported_and_spoils_nothing(tmp_path):
    good = FakeDirectory("a", [offer(FILM, 1)])
    broken = FakeDirectory("b", error=DirectoryRefusedError("It wants a key"))
    mad = FakeDirectory("c", error=RecursionError())
    async with open_house(tmp_path, good, broken, mad) as house:
        film = await house.movie()
        assert await house.search(film)
        assert await house.names(film) == [FILM]

        search = await house.sources.listings.search_of(film)
        assert search is not None
        assert not search.complete


async def test_without_a_way_out_a_search_says_so_and_is_not_complete(tmp_path):
    directory = FakeDirectory("a", error=TunnelDownError("The tunnel is down"))
    async with open_house(tmp_path, directory) as house:
        film = await house.movie()
        assert await house.search(film)
        with pytest.raises(NothingToPlayError, match="not every directory has answered"):
            await house.sources.best(film, Preference())


async def test_searches_in_vain_are_counted_until_one_finds_something(tmp_path):
    directory = FakeDirectory("a")
    async with open_house(tmp_path, directory) as house:
        film = await house.movie()
        for expected in (1, 2, 3):
            await house.search(film)
            search = await house.sources.listings.search_of(film)
            assert search is not None
            assert search.in_vain == expected
        directory.found = [offer(FILM, 1)]
        await house.search(film)
        search = await house.sources.listings.search_of(film)
        assert search is not None
        assert search.in_vain == 0


async def test_a_show_is_not_searched_for_as_a_whole(tmp_path):
    async with open_house(tmp_path, FakeDirectory("a")) as house:
        with pytest.raises(NotPlayableError):
            await house.search(TitleId.parse("show:1"))
        with pytest.raises(NoTitleError):
            await house.search(TitleId.parse("movie:99"))
        with pytest.raises(NoTitleError):
            await house.search(TitleId.parse("episode:99"))


async def test_what_was_just_searched_for_is_not_searched_for_again_unless_wanted(tmp_path):
    directory = FakeDirectory("a", [offer(FILM, 1)])
    async with open_house(tmp_path, directory) as house:
        film = await house.movie()
        await house.sources.freshen(film)
        await house.sources.freshen(film)
        assert len(directory.asked) == 1
        await house.sources.freshen(film, refresh=True)
        assert len(directory.asked) == 2
        house.clock.advance(minutes=31)
        await house.sources.freshen(film)
        assert len(directory.asked) == 3
        house.clock.advance(days=-300)
        await house.sources.freshen(film)
        assert len(directory.asked) == 4


async def test_a_title_in_another_language_is_found_too(tmp_path):
    directory = FakeDirectory("a", [offer("Die.grosse.Katze.2019.German.1080p.WEB.x264-GRP", 1)])
    async with open_house(tmp_path, directory) as house:
        film = await house.movie(
            "Big Cat",
            original_title="Die gro\u00dfe Katze",
            original_language="de",
            full=True,
        )
        await house.search(film)
        assert len(await house.names(film)) == 1


async def test_real_directories_are_asked_over_the_network(tmp_path):
    said = rss(
        item("Big.Cat.2019.1080p.WEB-GRP", infohash=HASH, seeders=12, size=4 * GB),
        item("Big.Cat.2019.720p.WEB-GRP", inside=link(MAGNET.replace("89AB", "77AB"))),
        item("Big.Cat.1971.1080p.WEB-GRP", infohash=OTHER_HASH),
    )
    async with (
        serving(FakeDirectories(feed=said)) as server,
        client() as http,
        open_house(tmp_path, http=http) as house,
    ):
        described = {"kind": "torznab", "url": f"{server.origin}/torznab/api", "api_key": API_KEY}
        await house.sources.directories.add(spec("t", via="host", **described))
        await house.sources.directories.add(spec("y", via="host", url=f"{server.origin}/api/v2"))
        film = await house.movie("Big Cat", imdb="tt5550001")
        assert await house.search(film)
        found = await house.of(film)
        names = {one.listing.offer.name for one in found.listings}
        assert {"Big.Cat.2019.1080p.WEB-GRP", "Big.Cat.2019.720p.WEB-GRP"} <= names
        assert not any("1971" in name for name in names)
        conditions = {
            view.spec.id: view.standing.condition for view in house.sources.directories.all()
        }
        assert conditions["t"] == "ok"


# --- packs ----------------------------------------------------------------------------------------


async def test_a_pack_belongs_to_all_its_episodes(tmp_path):
    directory = FakeDirectory(
        "a",
        [
            offer("Lantern.Street.S01.1080p.WEB-GRP", 1, size=9 * GB, seeders=5),
            offer("Lantern.Street.S01E01E02.720p.WEB-GRP", 2, seeders=5),
            offer("Lantern.Street.S01E02.1080p.WEB-GRP", 3, seeders=5),
        ],
    )
    async with open_house(tmp_path, directory) as house:
        first, second, third = await house.season(episodes=3)

        await house.search(second)

        assert len(await house.names(second)) == 3
        assert set(await house.names(first)) == {
            "Lantern.Street.S01.1080p.WEB-GRP",
            "Lantern.Street.S01E01E02.720p.WEB-GRP",
        }
        assert await house.names(third) == ["Lantern.Street.S01.1080p.WEB-GRP"]
        assert [await house.available(each) for each in (first, second, third)] == [True] * 3


# --- who has it -----------------------------------------------------------------------------------


async def test_a_torrent_stays_with_the_title_that_it_is_surer_of(tmp_path):
    directory = FakeDirectory("a", [offer("Big.Cat.2019.1080p.WEB-GRP", 1, seeders=5)])
    async with open_house(tmp_path, directory) as house:
        film = await house.movie("Big Cat", tmdb=1)
        other = await house.movie("A Big Cat", tmdb=2)  # the article makes it uncertain
        await house.search(film)
        await house.search(other)

        assert await house.names(film) == ["Big.Cat.2019.1080p.WEB-GRP"]
        assert await house.names(other) == []
        assert (await house.of(other)).refused == {"It is known to be of another title": 1}
        assert not await house.available(other)


async def test_a_surer_title_takes_a_torrent_away(tmp_path):
    directory = FakeDirectory("a", [offer("Big.Cat.2019.1080p.WEB-GRP", 1, seeders=5)])
    async with open_house(tmp_path, directory) as house:
        other = await house.movie("A Big Cat", tmdb=2)
        await house.search(other)
        assert await house.available(other)
        film = await house.movie("Big Cat", tmdb=1)
        await house.search(film)

        assert await house.names(film) == ["Big.Cat.2019.1080p.WEB-GRP"]
        assert await house.names(other) == []
        assert not await house.available(other)
        assert f"sources:{other}" in house.told


async def test_a_directory_that_offers_one_torrent_for_everything_is_believed_for_nothing(tmp_path):
    directory = FakeDirectory("a")
    async with open_house(tmp_path, directory) as house:
        film, other = await house.movie("Big Cat"), await house.movie("Small Dog")
        directory.found = [offer("Big.Cat.2019.1080p.WEB-GRP", 1)]
        await house.search(film)
        directory.found = [offer("Small.Dog.2019.1080p.WEB-GRP", 1)]
        await house.search(other)

        # Each fits for certain by its name: both may have it, and neither loses it.
        assert await house.names(film) == ["Big.Cat.2019.1080p.WEB-GRP"]
        assert await house.names(other) == ["Big.Cat.2019.1080p.WEB-GRP"]


async def test_an_offer_with_another_films_id_is_refused(tmp_path):
    directory = FakeDirectory("a", [offer(FILM, 1, imdb_id="tt5559999")])
    async with open_house(tmp_path, directory) as house:
        film = await house.movie(imdb="tt5550001")
        await house.search(film)
        assert await house.names(film) == []


async def test_an_item_of_the_archive_is_its_title_whatever_it_is_called(tmp_path):
    item = offer(
        "THE BIG ONE uncut (1970)",
        archive_id="big-cat",
        web_files=(WebFile(name="cat.mp4", size=GB, url="https://archive.org/download/x/cat.mp4"),),
        size=GB,
        hints=Hints(quality="480p", video_codec="h264"),
    )
    async with open_house(tmp_path, FakeDirectory("a", [item])) as house:
        film = await house.movie(archive="big-cat")
        await house.search(film)
        (found,) = (await house.of(film)).listings
        assert found.state == "ready"
        assert not found.listing.needs_swarm
        assert "from a server" in found.reasons
        assert found.release.quality is Quality.P480
        assert found.release.container == "mp4"


# --- choosing -------------------------------------------------------------------------------------


async def test_the_best_is_for_just_this_viewer(tmp_path):
    german = "Big.Cat.2019.German.720p.WEB.H264-GRP"
    directory = FakeDirectory(
        "a", [offer(FILM, 1, seeders=40, size=4 * GB), offer(german, 2, seeders=40, size=2 * GB)]
    )
    async with open_house(tmp_path, directory) as house:
        film = await house.movie()
        await house.search(film)

        english = preference(Profile(audio_languages=("en",)))
        best = await house.sources.best(film, english)
        assert best.listing.offer.name == FILM
        assert best.reasons
        deutsch = preference(Profile(audio_languages=("de",), quality="720p"))
        assert (await house.sources.best(film, deutsch)).listing.offer.name == german


async def test_what_is_broken_is_passed_over_with_its_reason(tmp_path):
    directory = FakeDirectory("a", [offer(FILM, 1, seeders=40), offer(HALF, 2, seeders=4)])
    async with open_house(tmp_path, directory) as house:
        film = await house.movie()
        await house.search(film)
        first = (await house.sources.best(film, Preference())).listing

        await house.sources.mark_broken(first.id, "The sound is of another film", by=ANNA)

        second = (await house.sources.best(film, Preference())).listing
        assert second.id != first.id
        last = (await house.of(film)).listings[-1]
        assert last.reasons[:2] == ("found to be broken", "The sound is of another film")
        assert await house.available(film)

        await house.sources.mark_broken(second.id, "It does not start", by=ANNA)
        assert not await house.available(film)
        with pytest.raises(NothingToPlayError, match="found to be broken"):
            await house.sources.best(film, Preference())

        await house.search(film)  # which finds them again
        with pytest.raises(NothingToPlayError):
            await house.sources.best(film, Preference())
        await house.sources.mark_broken(first.id, None)
        assert await house.available(film)


async def test_what_was_tried_is_not_tried_again(tmp_path):
    directory = FakeDirectory("a", [offer(FILM, 1, seeders=40), offer(HALF, 2, seeders=4)])
    async with open_house(tmp_path, directory) as house:
        film = await house.movie()
        await house.search(film)
        first = (await house.sources.best(film, Preference())).listing.id
        second = (await house.sources.best(film, Preference(), not_these=[first])).listing.id
        assert first != second
        with pytest.raises(NothingToPlayError):
            await house.sources.best(film, Preference(), not_these=[first, second])


async def test_a_title_that_nobody_has_looked_for_says_so(tmp_path):
    async with open_house(tmp_path, FakeDirectory("a")) as house:
        film = await house.movie()
        with pytest.raises(NothingToPlayError, match="Nobody has looked"):
            await house.sources.best(film, Preference())
        await house.search(film)
        with pytest.raises(NothingToPlayError, match=r"Nothing was found$"):
            await house.sources.best(film, Preference())


async def test_what_is_not_for_a_child_has_no_sources_for_it(tmp_path):
    directory = FakeDirectory("a", [offer(FILM, 1)])
    child = Audience(user_id=None, locale=EN, limit=6)
    async with open_house(tmp_path, directory) as house:
        film = await house.movie()
        await house.search(film)
        (listing,) = await house.ids(film)
        with pytest.raises(NoTitleError):
            await house.sources.of_title(film, Preference(), audience=child)
        with pytest.raises(NoListingError):
            await house.sources.listing(listing, child)
        assert (await house.sources.listing(listing, ANYBODY)).id == listing


# --- one's own ------------------------------------------------------------------------------------


async def test_a_magnet_of_ones_own_can_be_played_at_once(tmp_path):
    async with open_house(tmp_path, FakeDirectory("a")) as house:
        film = await house.movie()
        listing = await house.sources.add_own(film, Own(magnet=MAGNET), by=ANNA)

        assert listing.state == "magnet"
        assert listing.offer.info_hash == HASH
        assert await house.available(film)
        assert (await house.sources.best(film, Preference())).listing.id == listing.id
        again = await house.sources.add_own(film, Own(magnet=MAGNET), by=ANNA)
        assert again.id == listing.id


async def test_a_torrent_file_of_ones_own_is_kept(tmp_path):
    async with open_house(tmp_path, FakeDirectory("a")) as house:
        film = await house.movie()
        listing = await house.sources.add_own(film, Own(metainfo=TORRENT), by=ANNA)
        assert listing.state == "ready"
        assert await house.sources.listings.torrent(listing.id) == TORRENT


async def test_an_address_leads_to_a_torrent(tmp_path):
    async with (
        serving(FakeDirectories()) as server,
        client() as http,
        open_house(tmp_path, FakeDirectory("a"), http=_Own(http, server.origin)) as house,
    ):
        film = await house.movie()
        url = f"{server.origin}/download/x.torrent"
        listing = await house.sources.add_own(film, Own(url=url), by=ANNA)
        assert listing.state == "ready"
        with pytest.raises(BadSourceError, match="web page"):
            await house.sources.add_own(film, Own(url=f"{server.origin}/page"), by=ANNA)


async def test_an_address_in_a_private_network_is_not_looked_at(tmp_path):
    async with (
        serving(FakeDirectories()) as server,
        client() as http,
        open_house(tmp_path, FakeDirectory("a"), http=http) as house,
    ):
        film = await house.movie()
        for url in (
            f"{server.origin}/download/x.torrent",
            "http://192.168.1.1/admin",
            "http://[::1]/x",
            "http://169.254.169.254/latest/meta-data",
        ):
            with pytest.raises(BadSourceError):
                await house.sources.add_own(film, Own(url=url), by=ANNA)
        assert server.asked == []


async def test_an_address_that_leads_into_a_private_network_is_not_followed(tmp_path):
    async with (
        serving(FakeDirectories(trouble="to a private address")) as server,
        client() as http,
        open_house(tmp_path, FakeDirectory("a"), http=_Own(http, server.origin)) as house,
    ):
        film = await house.movie()
        with pytest.raises(BadSourceError):
            await house.sources.add_own(film, Own(url=f"{server.origin}/x"), by=ANNA)
        server.trouble = "huge"
        with pytest.raises(BadSourceError):
            await house.sources.add_own(film, Own(url=f"{server.origin}/x"), by=ANNA)


async def test_a_film_at_an_address_needs_no_swarm(tmp_path):
    async with open_house(tmp_path, FakeDirectory("a")) as house:
        film = await house.movie()
        url = "https://films.example/Big.Cat.2019.1080p.mp4?key=1"
        listing = await house.sources.add_own(film, Own(url=url), by=ANNA)
        assert not listing.needs_swarm
        assert listing.offer.web_files[0].url == url


@pytest.mark.parametrize(
    "own",
    [
        Own(magnet="magnet:?xt=urn:btih:zz"),
        Own(url="file:///etc/passwd"),
        Own(url="https://anna:secret@films.example/x.torrent"),
        Own(url="http://films.example/Big.Cat.mp4"),
        Own(url="javascript:alert(1)"),
        Own(metainfo=b"d4:infod4:name1:xee"),
        Own(metainfo=b"not a torrent"),
        Own(metainfo=b"d" * 100_000),
    ],
)
async def test_what_leads_nowhere_is_refused(tmp_path, own):
    async with open_house(tmp_path, FakeDirectory("a")) as house:
        film = await house.movie()
        with pytest.raises((BadSourceError, BadTorrentError)):
            await house.sources.add_own(film, own, by=ANNA)
        assert await house.sources.listings.count() == 0


async def test_what_is_added_without_a_title_is_of_none(tmp_path):
    async with open_house(tmp_path, FakeDirectory("a")) as house:
        listing = await house.sources.add_own(None, Own(magnet=MAGNET), by=ANNA)
        assert await house.sources.listings.parts(listing.id) == []


async def test_ones_own_is_added_even_where_a_directory_was_unsure(tmp_path):
    async with open_house(
        tmp_path, FakeDirectory("a", [offer("Big.Cat.2019.1080p-GRP", 1)])
    ) as house:
        other = await house.movie("A Big Cat", tmdb=2)
        film = await house.movie("Something Else", tmdb=1)
        await house.search(other)
        magnet = f"magnet:?xt=urn:btih:{info_hash(1)}"
        await house.sources.add_own(film, Own(magnet=magnet), by=ANNA)
        assert await house.names(other) == []


async def test_what_is_removed_is_gone(tmp_path):
    async with open_house(tmp_path, FakeDirectory("a")) as house:
        film = await house.movie()
        listing = await house.sources.add_own(film, Own(metainfo=TORRENT), by=ANNA)
        await house.sources.remove(listing.id)
        assert not await house.available(film)
        with pytest.raises(NoListingError):
            await house.sources.remove(listing.id)


# --- hostile --------------------------------------------------------------------------------------


async def test_names_numbers_and_sizes_of_a_madman_break_nothing(tmp_path):
    names = [
        "../../../etc/passwd",
        "\u202egnp.exe",
        "S01E01" * 40,
        "[" * 250,
        "Big.Cat.2019." + "1080p." * 40,
        "\U0001f408" * 200,
        "99999999999999999999999999",
        " ",
    ]
    directory = FakeDirectory(
        "a",
        [
            offer(name, number, seeders=10_000_000, leechers=0, size=number + 1)
            for number, name in enumerate(names)
        ],
    )
    async with open_house(tmp_path, directory) as house:
        film = await house.movie()
        episodes = await house.season()
        await house.search(film)
        await house.search(episodes[0])
        assert (await house.of(film)).checked_at is not None


async def test_nothing_that_tells_of_a_torrent_is_readable_in_the_database(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    url = "https://films.example/Secret.mp4"
    directory = FakeDirectory(
        "a",
        [
            offer(FILM, 1, magnet=MAGNET, trackers=("udp://tracker.example:6969",), seeders=4),
            offer(HALF, torrent_url="https://x.example/dl?apikey=hunter2"),
        ],
    )
    async with open_house(tmp_path, directory) as house:
        film = await house.movie()
        await house.search(film)
        await house.sources.add_own(film, Own(metainfo=TORRENT), by=ANNA)
        await house.sources.add_own(film, Own(url=url), by=ANNA)
        await house.sources.mark_broken((await house.ids(film))[0], "Katze klingt falsch")

    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    said = caplog.text
    for word in (
        info_hash(1),
        bytes.fromhex(info_hash(1)),
        HASH,
        "tracker.example",
        "hunter2",
        "films.example",
        "Big.Cat.2019",
        "film.mkv",
        "klingt falsch",
    ):
        raw = word if isinstance(word, bytes) else word.encode()
        assert raw not in written
        if isinstance(word, str):
            assert word not in said
    assert sqlite3.connect(tmp_path / "shelf.sqlite3").execute(
        "SELECT count(*) FROM listings"
    ).fetchone() == (4,)


async def test_a_listing_is_found_again_after_a_restart(tmp_path):
    async with open_house(tmp_path, FakeDirectory("a", [offer(FILM, 1, seeders=7)])) as house:
        film = await house.movie()
        await house.search(film)
        ids = await house.ids(film)
    async with open_house(tmp_path, FakeDirectory("a", [offer(FILM, 1, seeders=7)])) as house:
        house.clock.advance(hours=2)
        assert await house.ids(film) == ids
        await house.search(film)
        assert await house.ids(film) == ids
        assert house.clock.now - (await house.of(film)).listings[0].listing.added_at == timedelta(
            hours=2
        )


class _Own:
    """The client, where one server on this machine stands for one on the internet."""

    def __init__(self, http: Http, origin: str) -> None:
        self._http, self._origin = http, origin

    async def request(self, method, url, *, allow=(), **options):
        return await self._http.request(method, url, allow=(self._origin,), **options)
