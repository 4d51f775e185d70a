"""From listings to what they hold, and from titles to sources."""

import asyncio
import logging

import pytest
from msgspec import structs

from miauflixd.catalogue.model import NoTitleError, TitleId
from miauflixd.sources.directories.directory import DirectoryUnreachableError, NothingThereError
from miauflixd.sources.listing_model import NothingToPlayError, NotPlayableError
from miauflixd.sources.offers import DirectoryId
from miauflixd.sources.opening import UnopenedError, UselessListingError
from miauflixd.sources.ranking import Preference
from miauflixd.torrents.model import SourceId
from miauflixd.tunnel.errors import TunnelDownError
from miauflixd.web_files.model import WebFile
from tests.ready_house import FILM, GB, TorrentDirectory, open_ready
from tests.sources_house import FakeDirectory, info_hash, offer
from tests.swarm_fakes import MIB, torrent

WANTED = Preference()
OTHER = "Big.Cat.2019.720p.WEB-DL.H264.AAC-GRP"
FILES = {"Big.Cat.2019.1080p.mkv": 4 * GB, "Sample/sample.mkv": 40 * MIB}

# --- what a listing holds -------------------------------------------------------------------------


async def test_the_swarm_says_what_a_link_leads_to_and_the_film_is_chosen(tmp_path):
    async with open_ready(tmp_path, FakeDirectory("a", [offer(FILM, 1, seeders=9)])) as ready:
        ready.swarms.put(1, FILES)
        film = await ready.house.movie()
        (listing_id,) = await ready.found(film)

        assert await ready.open(listing_id) == listing_id

        assert await ready.file_of(film, listing_id) == "Big.Cat.2019.1080p.mkv"
        assert (await ready.listing(listing_id)).state == "ready"
        assert not ready.swarms.sources


async def test_what_is_known_is_not_asked_again(tmp_path):
    async with open_ready(tmp_path, FakeDirectory("a", [offer(FILM, 1)])) as ready:
        ready.swarms.put(1, FILES)
        (listing_id,) = await ready.found(await ready.house.movie())

        await ready.open(listing_id)
        await ready.open(listing_id)

        assert ready.swarms.asked == [1]


async def test_a_torrent_file_is_taken_from_its_directory(tmp_path):
    one = offer(FILM, 1, torrent_url="https://a.example/1.torrent")
    directory = TorrentDirectory("a", [one], files={FILM: torrent(1, FILES).metainfo})
    async with open_ready(tmp_path, directory) as ready:
        ready.swarms.put(1, FILES)
        film = await ready.house.movie()
        (listing_id,) = await ready.found(film)

        await ready.open(listing_id)

        assert await ready.file_of(film, listing_id) == "Big.Cat.2019.1080p.mkv"
        assert ready.swarms.asked == []


async def test_a_file_without_a_promise_tells_its_hash_itself(tmp_path):
    one = offer(FILM, None, torrent_url="https://a.example/1.torrent")
    directory = TorrentDirectory("a", [one], files={FILM: torrent(1, FILES).metainfo})
    async with open_ready(tmp_path, directory) as ready:
        ready.swarms.put(1, FILES)
        film = await ready.house.movie()
        (listing_id,) = await ready.found(film)

        assert await ready.file_of(film, await ready.open(listing_id)) is not None


@pytest.mark.parametrize("delivered", [torrent(2, FILES).metainfo, info_hash(2)])
async def test_another_torrent_than_was_promised_is_never_played(tmp_path, delivered):
    one = offer(FILM, 1, torrent_url="https://a.example/1.torrent")
    async with open_ready(tmp_path, TorrentDirectory("a", [one], files={FILM: delivered})) as ready:
        ready.swarms.put(1, FILES)
        ready.swarms.put(2, FILES)
        film = await ready.house.movie()
        (listing_id,) = await ready.found(film)

        with pytest.raises(UselessListingError):
            await ready.open(listing_id)

        assert (await ready.listing(listing_id)).broken == "It is another torrent than was offered"
        assert not await ready.house.available(film)
        with pytest.raises(UselessListingError):
            await ready.open(listing_id)
        assert ready.swarms.asked == []


async def test_what_is_no_torrent_file_is_marked(tmp_path):
    one = offer(FILM, 1, torrent_url="https://a.example/1.torrent")
    async with open_ready(tmp_path, TorrentDirectory("a", [one], files={FILM: b"<html>"})) as ready:
        (listing_id,) = await ready.found(await ready.house.movie())

        with pytest.raises(UselessListingError):
            await ready.open(listing_id)

        assert (await ready.listing(listing_id)).broken is not None


@pytest.mark.parametrize(
    "error", [DirectoryUnreachableError("Nobody answers"), NothingThereError("It is gone")]
)
async def test_when_the_directory_fails_the_swarm_is_asked(tmp_path, error):
    one = offer(FILM, 1, torrent_url="https://a.example/1.torrent")
    async with open_ready(tmp_path, TorrentDirectory("a", [one], files={FILM: error})) as ready:
        ready.swarms.put(1, FILES)
        (listing_id,) = await ready.found(await ready.house.movie())

        await ready.open(listing_id)

        assert ready.swarms.asked == [1]


async def test_without_a_link_a_failing_directory_means_later(tmp_path):
    one = offer(FILM, None, torrent_url="https://a.example/1.torrent")
    error = DirectoryUnreachableError("Nobody answers")
    async with open_ready(tmp_path, TorrentDirectory("a", [one], files={FILM: error})) as ready:
        (listing_id,) = await ready.found(await ready.house.movie())

        with pytest.raises(UnopenedError):
            await ready.open(listing_id)

        assert (await ready.listing(listing_id)).broken is None


async def test_a_silent_swarm_and_a_closed_tunnel_are_nobodys_fault(tmp_path):
    async with open_ready(tmp_path, FakeDirectory("a", [offer(FILM, 1)])) as ready:
        ready.swarms.put(1, FILES)
        ready.swarms.silent.add(1)
        (listing_id,) = await ready.found(await ready.house.movie())

        with pytest.raises(UnopenedError):
            await ready.open(listing_id)
        ready.swarms.is_up = False
        with pytest.raises(TunnelDownError):
            await ready.open(listing_id)

        assert (await ready.listing(listing_id)).broken is None


async def test_what_holds_no_video_is_marked_with_the_reason(tmp_path):
    async with open_ready(tmp_path, FakeDirectory("a", [offer(FILM, 1)])) as ready:
        ready.swarms.put(1, {"Big.Cat.2019.mkv.exe": MIB})
        (listing_id,) = await ready.found(await ready.house.movie())

        with pytest.raises(UselessListingError, match="program"):
            await ready.open(listing_id)


async def test_a_season_is_shared_out_among_its_episodes(tmp_path):
    pack = "Lantern.Street.S01.1080p.WEB.H264-GRP"
    async with open_ready(tmp_path, FakeDirectory("a", [offer(pack, 1, seeders=9)])) as ready:
        ready.swarms.put(1, {f"Lantern.Street.S01E{n:02}.mkv": GB for n in (1, 2)})
        first, second, third = await ready.house.season(episodes=3)
        (listing_id,) = await ready.found(first)

        await ready.open(listing_id)

        assert await ready.file_of(first, listing_id) == "Lantern.Street.S01E01.mkv"
        assert await ready.file_of(second, listing_id) == "Lantern.Street.S01E02.mkv"
        assert await ready.house.ids(third) == []
        assert not await ready.house.available(third)


async def test_what_comes_from_a_server_is_opened_without_asking_anybody(tmp_path):
    files = (
        WebFile(name="trailer.mp4", size=9 * MIB, url="https://a.example/t.mp4"),
        WebFile(name="Big.Cat.2019.mp4", size=None, url="https://a.example/f.mp4"),
    )
    async with open_ready(tmp_path, FakeDirectory("a", [offer(FILM, web_files=files)])) as ready:
        film = await ready.house.movie()
        (listing_id,) = await ready.found(film)

        await ready.open(listing_id)

        assert await ready.file_of(film, listing_id) == "Big.Cat.2019.mp4"
        assert ready.swarms.asked == []


# --- sources --------------------------------------------------------------------------------------


async def test_a_title_is_played_from_its_best_listing(tmp_path):
    known = [offer(OTHER, 2, seeders=1), offer(FILM, 1, seeders=50)]
    async with open_ready(tmp_path, FakeDirectory("a", known)) as ready:
        ready.swarms.put(1, FILES)
        film = await ready.house.movie()
        await ready.found(film)

        found = await ready.playing.ready(film, WANTED)

        assert (found.source_id, found.file_index) == ("source-1", 0)
        assert "source-1" in ready.swarms.awake
        assert "many have it" in found.reasons
        assert (await ready.listing(found.listing_id)).source_id == "source-1"


async def test_playing_it_again_is_the_same_source(tmp_path):
    async with open_ready(tmp_path, FakeDirectory("a", [offer(FILM, 1)])) as ready:
        ready.swarms.put(1, FILES)
        film = await ready.house.movie()

        first = await ready.playing.ready(film, WANTED)
        again = await ready.playing.ready(film, WANTED)

        assert first.source_id == again.source_id
        assert len(ready.swarms.sources) == 1


async def test_a_source_that_was_removed_is_made_again(tmp_path):
    async with open_ready(tmp_path, FakeDirectory("a", [offer(FILM, 1)])) as ready:
        ready.swarms.put(1, FILES)
        film = await ready.house.movie()
        first = await ready.playing.ready(film, WANTED)
        await ready.swarms.remove(first.source_id)

        again = await ready.playing.ready(film, WANTED)

        assert again.source_id in ready.swarms.sources


async def test_what_nobody_has_looked_for_is_searched_for_first(tmp_path):
    async with open_ready(tmp_path, FakeDirectory("a", [offer(FILM, 1)])) as ready:
        ready.swarms.put(1, FILES)
        film = await ready.house.movie()

        assert (await ready.playing.ready(film, WANTED)).source_id == "source-1"


async def test_a_directory_that_hangs_does_not_keep_anybody_from_playing(tmp_path):
    hangs = FakeDirectory("b", patient=False)
    async with open_ready(tmp_path, FakeDirectory("a", [offer(FILM, 1)]), hangs) as ready:
        ready.swarms.put(1, FILES)
        film = await ready.house.movie()

        async with asyncio.timeout(10):
            found = await ready.playing.ready(film, WANTED)

        assert found.source_id == "source-1"
        hangs.released.set()


async def test_the_first_usable_one_that_comes_late_is_taken(tmp_path):
    late = FakeDirectory("a", [offer(FILM, 1)], patient=False)
    async with open_ready(tmp_path, late) as ready:
        ready.swarms.put(1, FILES)
        film = await ready.house.movie()

        async with asyncio.TaskGroup() as group:
            playing = group.create_task(ready.playing.ready(film, WANTED))
            await asyncio.sleep(0.05)
            late.released.set()

        assert playing.result().source_id == "source-1"


async def test_when_the_best_turns_out_to_be_useless_the_next_is_taken(tmp_path):
    known = [offer(FILM, 1, seeders=50), offer(OTHER, 2, seeders=1)]
    async with open_ready(tmp_path, FakeDirectory("a", known)) as ready:
        ready.swarms.put(1, {"film.rar": GB})
        ready.swarms.put(2, {"Big.Cat.2019.720p.mkv": GB})
        film = await ready.house.movie()

        found = await ready.playing.ready(film, WANTED)

        assert found.source_id == "source-2"
        assert any("archive" in reason for reason in found.reasons)
        assert [*ready.swarms.sources] == ["source-2"]


async def test_when_a_swarm_is_silent_the_next_is_taken_and_nothing_is_left_behind(tmp_path):
    known = [offer(FILM, 1, seeders=50), offer(OTHER, 2, seeders=1)]
    async with open_ready(tmp_path, FakeDirectory("a", known)) as ready:
        ready.swarms.put(1, FILES)
        ready.swarms.put(2, {"Big.Cat.2019.720p.mkv": GB})
        ready.swarms.silent.add(1)
        film = await ready.house.movie()

        found = await ready.playing.ready(film, WANTED)

        assert found.source_id == "source-2"
        assert [*ready.swarms.sources] == ["source-2"]
        assert [(await ready.listing(one)).broken for one in await ready.house.ids(film)] == [
            None,
            None,
        ]


async def test_what_somebody_has_marked_broken_is_not_taken(tmp_path):
    known = [offer(FILM, 1, seeders=50), offer(OTHER, 2, seeders=1)]
    async with open_ready(tmp_path, FakeDirectory("a", known)) as ready:
        ready.swarms.put(1, FILES)
        ready.swarms.put(2, {"Big.Cat.2019.720p.mkv": GB})
        film = await ready.house.movie()
        first = await ready.playing.ready(film, WANTED)

        await ready.house.sources.mark_broken(first.listing_id, "The sound is missing")

        assert (await ready.playing.ready(film, WANTED)).source_id == "source-2"


async def test_nothing_to_play_is_said_with_all_reasons(tmp_path):
    known = [offer(FILM, 1), offer("Big.Cat.1971.1080p.WEB-GRP", 3)]
    async with open_ready(tmp_path, FakeDirectory("a", known)) as ready:
        ready.swarms.put(1, FILES)
        ready.swarms.silent.add(1)
        film = await ready.house.movie()

        with pytest.raises(NothingToPlayError, match="Nobody in its swarm") as caught:
            await ready.playing.ready(film, WANTED)

        assert caught.value.code == "no_source"
        assert "Big" not in str(caught.value)
        assert not ready.swarms.sources


async def test_waiting_has_an_end(tmp_path):
    hangs = FakeDirectory("a", patient=False)
    async with open_ready(tmp_path, hangs) as ready:
        film = await ready.house.movie()

        with pytest.raises(NothingToPlayError, match="too long"):
            await ready.playing.ready(film, WANTED, within=0.05)
        hangs.released.set()


async def test_without_a_tunnel_that_is_said(tmp_path):
    async with open_ready(tmp_path, FakeDirectory("a", [offer(FILM, 1)])) as ready:
        ready.swarms.put(1, FILES)
        ready.swarms.is_up = False
        film = await ready.house.movie()

        with pytest.raises(TunnelDownError):
            await ready.playing.ready(film, WANTED)


async def test_a_show_and_what_there_is_not_are_not_played(tmp_path):
    async with open_ready(tmp_path) as ready:
        await ready.house.season()

        with pytest.raises(NotPlayableError):
            await ready.playing.ready(TitleId.parse("show:1"), WANTED)
        with pytest.raises(NoTitleError):
            await ready.playing.ready(TitleId.parse("movie:99"), WANTED)


async def test_what_gave_nothing_is_taken_last_for_a_while(tmp_path):
    known = [offer(OTHER, 2, seeders=1), offer(FILM, 1, seeders=50)]
    async with open_ready(tmp_path, FakeDirectory("a", known)) as ready:
        ready.swarms.put(1, FILES)
        ready.swarms.put(2, FILES)
        film = await ready.house.movie()
        best = await ready.playing.ready(film, WANTED)

        await ready.playing.gave_nothing(best.source_id)
        await ready.playing.gave_nothing(SourceId("nobody's"))
        second = await ready.playing.ready(film, WANTED)
        assert second.listing_id != best.listing_id

        await ready.playing.gave_nothing(second.source_id)
        assert (await ready.playing.ready(film, WANTED)).listing_id == best.listing_id


async def test_a_file_of_a_server_is_played_without_any_swarm(tmp_path):
    files = (WebFile(name="Big.Cat.2019.mp4", size=GB, url="https://a.example/f.mp4"),)
    async with open_ready(tmp_path, FakeDirectory("a", [offer(FILM, web_files=files)])) as ready:
        film = await ready.house.movie()

        found = await ready.playing.ready(film, WANTED)

        assert (found.source_id, found.file_index) == ("web-0", 0)
        assert await ready.playing.ready(film, WANTED) == found
        assert ready.swarms.asked == []
        (content,) = ready.swarms.served
        assert content.via == "tunnel"
        assert [file.url for file in content.files] == ["https://a.example/f.mp4"]


async def test_a_mirror_of_one_s_own_may_be_on_a_private_network(tmp_path):
    mirror = "http://192.168.1.20:8080"
    files = (WebFile(name="Big.Cat.2019.mp4", size=GB, url=f"{mirror}/f.mp4"),)
    async with open_ready(tmp_path, FakeDirectory("a", [offer(FILM, web_files=files)])) as ready:
        film = await ready.house.movie()
        await ready.house.sources.directories.change(
            DirectoryId("a"), lambda spec: structs.replace(spec, url=mirror, via="host")
        )

        await ready.playing.ready(film, WANTED)

        (content,) = ready.swarms.served
        assert (content.via, content.own) == ("host", (mirror,))


async def test_no_title_and_no_hash_gets_into_the_log(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    async with open_ready(tmp_path, FakeDirectory("a", [offer(FILM, 1)])) as ready:
        ready.swarms.put(1, {"film.rar": GB})
        film = await ready.house.movie()
        with pytest.raises(NothingToPlayError):
            await ready.playing.ready(film, WANTED)

    assert "Cat" not in caplog.text
    assert info_hash(1) not in caplog.text
