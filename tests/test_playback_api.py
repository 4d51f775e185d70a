"""Playing over HTTP: what one is told, the segments, another source in the middle, and the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from miauflixd.catalogue.model import TitleId
from miauflixd.playback.errors import UnplayableFileError, WorkerDiedError
from miauflixd.playback.service import Playbacks
from miauflixd.remuxer.media import SubtitlePacket
from miauflixd.torrents.model import Activity, SourceId
from miauflixd.torrents.reader import NoDataError
from miauflixd.tunnel.errors import TunnelDownError
from miauflixd.web.keys import PLAYBACKS
from tests.catalogue_titles import movie, put
from tests.fakes import FakeTorrents
from tests.playback_house import FakeMedia, media, rich, video
from tests.ready_fakes import FakePlaying, ready
from tests.web_house import Web, open_web

pytestmark = pytest.mark.slow

FILM = "Big.Cat.2019.1080p.WEB-DL.H264.AAC-GRP"


@pytest.fixture
def playing():
    return FakePlaying()


@pytest.fixture
def files():
    return FakeMedia()


@pytest.fixture
def torrents():
    return FakeTorrents()


@pytest.fixture
async def web(tmp_path, playing, files, torrents):
    async with open_web(tmp_path, torrents=torrents, playing=playing, media=files) as web:
        yield web


@pytest.fixture
async def film(web) -> TitleId:
    return await put(web.library.titles, movie("Big Cat", released=date(2019, 5, 1)))


async def source_of(torrents: FakeTorrents, name: bytes = b"film", **files: bytes) -> SourceId:
    """Add a source with a film in it."""
    source_id = await torrents.add_metainfo(b"d" + name + b"e")
    contents = {
        "film.mkv": name * 100,
        **{key.replace("_", "."): data for key, data in files.items()},
    }
    torrents.learn(source_id, name="Film", files=contents)
    return source_id


async def play(web: Web, token: str, **wish: Any) -> Any:
    answer = await web.ask("POST", "/api/playback", wish, token=token)
    assert answer.status == 201, answer.body
    return answer.body


async def text(web: Web, path: str) -> tuple[int, str]:
    async with web.session.get(f"{web.url}{path}") as response:
        return response.status, await response.text()


# --- what one is told -----------------------------------------------------------------------------


async def test_what_a_film_holds_and_how_it_is_played(web, files, torrents):
    source_id = await source_of(torrents)
    files.files[source_id] = rich()
    ben = await web.token_of(await web.add("ben"))
    told = await play(web, ben, source_id=source_id)
    assert told["method"] == "remux"
    assert told["obstacles"] == ["audio_codec_not_supported"]
    assert told["duration"] == 5400
    assert [(one["index"], one["language"], one["channels"]) for one in told["audio"]] == [
        (1, "en", 6),
        (2, "de", 2),
    ]
    assert told["audio_index"] == 1
    assert [(one["label"], one["url"] is not None) for one in told["subtitles"]] == [
        ("English", True),
        ("Deutsch (forced)", True),
        ("Français", False),
    ]
    assert told["links"]["vlc"].startswith(
        "vlc-x-callback://x-callback-url/stream?url=http%3A%2F%2F"
    )
    assert "#Intent;package=org.videolan.vlc;" in told["links"]["vlc-android"]
    assert told["chapters"] == [{"start": 0, "stop": 60, "title": "Opening"}]
    assert told["next"] is None


async def test_a_client_says_what_it_plays(web, files, torrents):
    source_id = await source_of(torrents)
    files.files[source_id] = media("mov", video=(video("hevc"),))
    ben = await web.token_of(await web.add("ben"))
    assert (await play(web, ben, source_id=source_id))["method"] == "external"
    can = {"video": ["hevc"]}
    assert (await play(web, ben, source_id=source_id, client=can))["method"] == "direct"
    vlc = {"player": True}
    assert (await play(web, ben, source_id=source_id, client=vlc))["method"] == "direct"
    again = await play(web, ben, source_id=source_id, client=can, failed=["direct"])
    assert (again["method"], again["obstacles"]) == ("remux", ["direct_play_failed"])


async def test_what_is_no_film_is_for_other_players(web, files, torrents):
    source_id = await source_of(torrents)
    files.files[source_id] = UnplayableFileError("This file cannot be played")
    ben = await web.token_of(await web.add("ben"))
    told = await play(web, ben, source_id=source_id)
    assert (told["method"], told["obstacles"]) == ("external", ["not_a_media_file"])
    assert told["hls_url"] is None


async def test_what_could_not_be_looked_into_is_tried_as_it_is(web, files, torrents):
    source_id = await source_of(torrents)
    ben = await web.token_of(await web.add("ben"))
    for error in (NoDataError("Nothing came"), WorkerDiedError("It died")):
        files.files[source_id] = error
        told = await play(web, ben, source_id=source_id)
        assert (told["method"], told["obstacles"]) == ("direct", ["not_looked_into"])


# --- which source ---------------------------------------------------------------------------------


async def test_a_source_that_cannot_be_shown_gives_way_to_the_next(web, film, playing, files):
    playing.others[film] = [ready(FILM, source="black", listing="a" * 16)]
    playing.titles[film] = ready(FILM, source="fine", listing="b" * 16)
    files.files[SourceId("black")] = media("mov", video=(video("hevc"),))
    told = await play(web, await web.token_of(await web.add("ben")), title_id=str(film))
    assert (told["source"]["id"], told["method"]) == ("fine", "direct")
    assert "Another one cannot be shown on this screen" in told["reasons"]


@pytest.mark.parametrize(
    "error", [UnplayableFileError("It is broken"), NoDataError("Nothing came")]
)
async def test_a_source_that_is_broken_or_silent_gives_way_to_the_next(
    web, film, playing, files, error
):
    playing.others[film] = [ready(FILM, source="bad", listing="a" * 16)]
    playing.titles[film] = ready(FILM, source="fine", listing="b" * 16)
    files.files[SourceId("bad")] = error
    told = await play(web, await web.token_of(await web.add("ben")), title_id=str(film))
    assert told["source"]["id"] == "fine"
    assert str(error) in told["reasons"]
    assert playing.disappointing == ["bad"]


async def test_when_none_can_be_shown_one_is_for_other_players(web, film, playing, files):
    playing.titles[film] = ready(FILM, source="black")
    files.files[SourceId("black")] = media("mov", video=(video("hevc"),))
    told = await play(web, await web.token_of(await web.add("ben")), title_id=str(film))
    assert told["method"] == "external"
    assert told["obstacles"] == ["video_codec_not_supported", "encoding_not_allowed"]


async def test_when_all_are_broken_the_answer_says_so(web, film, playing, files):
    playing.titles[film] = ready(FILM, source="bad")
    files.files[SourceId("bad")] = UnplayableFileError("It is broken")
    ben = await web.token_of(await web.add("ben"))
    answer = await web.ask("POST", "/api/playback", {"title_id": str(film)}, token=ben)
    assert (answer.status, answer.code) == (404, "no_source")
    assert "It is broken" in answer.body["detail"]


async def test_without_a_tunnel_nothing_is_tried_in_vain(web, film, playing, files):
    playing.titles[film] = ready(FILM)
    files.usual = TunnelDownError("The tunnel is down")
    ben = await web.token_of(await web.add("ben"))
    answer = await web.ask("POST", "/api/playback", {"title_id": str(film)}, token=ben)
    assert (answer.status, answer.code) == (503, "tunnel_down")
    assert not playing.disappointing


# --- segments -------------------------------------------------------------------------------------


async def test_a_player_finds_its_way_with_the_key_alone(web, files, torrents):
    source_id = await source_of(torrents)
    files.files[source_id] = rich()
    told = await play(web, await web.token_of(await web.add("ben")), source_id=source_id)
    base, _, said = told["hls_url"].partition("?")
    folder = base.rpartition("/")[0]
    status, master = await text(web, told["hls_url"])
    assert status == 200
    assert 'CODECS="avc1.640028,mp4a.40.2"' in master
    assert 'NAME="English"' in master
    media_url = next(line for line in master.splitlines() if line.startswith("media.m3u8"))
    _, playlist = await text(web, f"{folder}/{media_url}")
    assert playlist.count("#EXTINF:4.00000,") == 1350
    assert playlist.endswith("#EXT-X-ENDLIST\n")
    assert f'#EXT-X-MAP:URI="init.mp4?{said}"' in playlist
    assert await text(web, f"{folder}/init.mp4?{said}") == (200, "init")
    assert await text(web, f"{folder}/7.m4s?{said}") == (200, "segment 7 of 1")
    assert await text(web, f"{folder}/7.m4s?{said}&audio=2") == (200, "segment 7 of 2")
    for wrong in ("1350.m4s", "-1.m4s", "x.m4s", "7.m4s"):
        query = said if wrong != "7.m4s" else f"{said}&audio=9"
        assert (await text(web, f"{folder}/{wrong}?{query}"))[0] == 404


async def test_the_first_segment_is_begun_where_one_has_stopped(web, film, playing, files):
    playing.titles[film] = ready(FILM)
    files.usual = rich()
    ben = await web.token_of(await web.add("ben"))
    report = {"position": 600.0, "duration": 5400.0, "state": "paused"}
    await web.ask("PUT", f"/api/progress/{film}", report, token=ben)
    assert (await play(web, ben, title_id=str(film)))["resume_at"] == 600
    assert files.streams[-1].warm_at == 600


async def test_nobody_elses_key_opens_segments(web, files, torrents):
    source_id = await source_of(torrents)
    files.files[source_id] = rich()
    bens = await play(web, await web.token_of(await web.add("ben")), source_id=source_id)
    carlas = await play(web, await web.token_of(await web.add("carla")), source_id=source_id)
    key = carlas["hls_url"].partition("key=")[2]
    address = bens["hls_url"].partition("key=")[0]
    assert (await text(web, f"{address}key={key}"))[0] == 404
    assert (await text(web, f"{address}key=mfs_{'x' * 32}"))[0] == 401
    assert (await text(web, address))[0] == 401


async def test_subtitles_come_as_webvtt_by_parts(web, files, torrents):
    source_id = await source_of(torrents, film_de_srt=b"1\n00:00:05,000 --> 00:00:07,000\nJa\n")
    files.files[source_id] = rich()
    files.said = [SubtitlePacket(start=at, duration=1.0, data=f"at {at}".encode()) for at in (1, 9)]
    told = await play(web, await web.token_of(await web.add("ben")), source_id=source_id)
    english, *_, beside = [one for one in told["subtitles"] if one["url"]]
    status, vtt = await text(web, f"{english['url']}&start=8&stop=12&delay=0.5")
    assert (status, vtt) == (200, "WEBVTT\n\n00:00:09.500 --> 00:00:10.500\nat 9\n\n")
    _, vtt = await text(web, beside["url"])
    assert "00:00:05.000 --> 00:00:07.000\nJa" in vtt
    folder = told["hls_url"].partition("/master")[0]
    said = told["hls_url"].partition("?")[2]
    _, playlist = await text(web, f"{folder}/subtitles/3.m3u8?{said}")
    assert f"\n3/2.vtt?{said}\n" in playlist
    _, vtt = await text(web, f"{folder}/subtitles/3/2.vtt?{said}")
    assert "X-TIMESTAMP-MAP" in vtt
    assert "at 9" in vtt
    assert "at 1\n" not in vtt
    for gone in ("99", "5", "x", "1000099"):
        path = english["url"].replace("/3.vtt", f"/{gone}.vtt")
        assert (await text(web, path))[0] == 404


async def test_other_players_are_given_a_playlist(web, film, playing, files, torrents):
    source_id = await source_of(torrents, film_de_srt=b"1\n")
    playing.titles[film] = ready(FILM, source=source_id)
    ben = await web.token_of(await web.add("ben"))
    report = {"position": 600.0, "duration": 5400.0, "state": "paused"}
    await web.ask("PUT", f"/api/progress/{film}", report, token=ben)
    told = await play(web, ben, title_id=str(film))
    status, playlist = await text(web, told["playlist_url"])
    assert status == 200
    assert "#EXTINF:5400,Big Cat" in playlist
    assert "#EXTVLCOPT:start-time=600" in playlist
    assert f"{web.url}{told['stream_url']}" in playlist
    assert "subtitles/1000001.vtt" in playlist
    _, xspf = await text(web, told["playlist_url"].replace(".m3u8", ".xspf"))
    assert "<vlc:option>start-time=600</vlc:option>" in xspf
    assert (await text(web, f"/api/playback/{told['id']}/playlist.m3u8?key=no"))[0] == 401


# --- while it lasts -------------------------------------------------------------------------------


async def test_one_sees_how_it_goes_and_an_administrator_sees_everybody(web, files, torrents):
    source_id = await source_of(torrents)
    torrents.update(source_id, available={0: ((0, 100),)}, peers=3, download_rate=5000)
    ben = await web.token_of(await web.add("ben"))
    told = await play(web, ben, source_id=source_id)
    seen = (await web.ask("GET", f"/api/playback/{told['id']}", token=ben)).body
    assert seen["buffered"] == [{"start": 0, "stop": 0.25}]
    assert (seen["peers"], seen["download_rate"], seen["stalls"]) == (3, 5000, 0)
    assert {"state", "since", "reason", "next"} <= set(seen)
    assert seen["stream_url"].startswith(f"/api/stream/{source_id}?")
    carla = await web.token_of(await web.add("carla"))
    assert (await web.ask("GET", f"/api/playback/{told['id']}", token=carla)).status == 404
    assert (await web.ask("GET", "/api/playback", token=carla)).body["items"] == []
    anna = await web.token_of(await web.admin())
    everybodys = (await web.ask("GET", "/api/playback", token=anna)).body["items"]
    assert [one["id"] for one in everybodys] == [told["id"]]
    assert everybodys[0]["stream_url"] is None


async def test_what_has_ended_opens_nothing_any_more(web, files, torrents):
    source_id = await source_of(torrents)
    files.files[source_id] = rich()
    ben = await web.token_of(await web.add("ben"))
    told = await play(web, ben, source_id=source_id)
    await text(web, told["hls_url"])
    assert (await web.ask("DELETE", f"/api/playback/{told['id']}", token=ben)).status == 204
    assert files.streams[-1].closed
    assert (await text(web, told["stream_url"]))[0] == 401
    assert (await text(web, told["hls_url"]))[0] == 401
    assert (await web.ask("GET", f"/api/playback/{told['id']}", token=ben)).status == 404


async def test_segments_go_on_after_the_daemon_was_started_anew(tmp_path):
    torrents, files = FakeTorrents(), FakeMedia(usual=rich())
    source_id = await source_of(torrents)
    async with open_web(tmp_path, torrents=torrents, media=files) as web:
        ben = await web.token_of(await web.add("ben"))
        address = (await play(web, ben, source_id=source_id))["hls_url"]
    async with open_web(tmp_path, torrents=torrents, media=files) as web:
        segment = address.replace("master.m3u8", "7.m4s")
        assert await text(web, segment) == (200, "segment 7 of 1")


async def test_an_episode_that_is_nearly_over_has_the_next_one_got_ready(web, film, playing):
    playing.titles[film] = ready(FILM)
    ben = await web.token_of(await web.add("ben"))
    told = await play(web, ben, title_id=str(film))
    app = _playbacks(web)
    asked: list[str] = []

    async def prepare(playback: Any) -> None:
        asked.append(playback.id)

    app._prepare = prepare
    for position in (4000, 4400, 4500):
        report = {"position": position, "duration": 5400.0, "state": "playing"}
        await web.ask("PUT", f"/api/progress/{film}", report, token=ben)
    assert asked == [told["id"]]


def _playbacks(web: Web) -> Playbacks:
    return web.app[PLAYBACKS]


# --- another source in the middle -----------------------------------------------------------------


async def test_a_source_that_gives_nothing_is_swapped_at_the_same_position(
    web, film, playing, files, torrents
):
    first, second = await source_of(torrents), await source_of(torrents, b"other")
    playing.others[film] = [ready(FILM, source=first, listing="a" * 16)]
    playing.titles[film] = ready(FILM, source=second, listing="b" * 16)
    files.usual = rich()
    ben = await web.token_of(await web.add("ben"))
    told = await play(web, ben, title_id=str(film))
    assert told["source"]["id"] == first
    report = {"position": 300.0, "duration": 5400.0, "state": "playing"}
    await web.ask("PUT", f"/api/progress/{film}", report, token=ben)
    playbacks = _playbacks(web)
    playback = await playbacks.get(told["id"])
    await playbacks.swap(playback)
    assert playing.disappointing == [first]
    seen = (await web.ask("GET", f"/api/playback/{told['id']}", token=ben)).body
    assert (seen["source"]["id"], seen["swaps"]) == (second, 1)
    assert files.streams[-1].warm_at == 300
    assert (await text(web, told["hls_url"]))[0] == 404
    assert (await text(web, seen["hls_url"]))[0] == 200


async def test_wrong_data_again_and_again_is_a_reason_to_swap(web, film, playing, torrents):
    first = await source_of(torrents)
    playing.titles[film] = ready(FILM, source=first)
    ben = await web.token_of(await web.add("ben"))
    told = await play(web, ben, title_id=str(film))
    playbacks = _playbacks(web)
    playback = await playbacks.get(told["id"])
    with _somebody_waits(playbacks, torrents, first):
        torrents.update(first, wrong_pieces=3)
        assert not playbacks.is_hopeless(playback)
        torrents.update(first, wrong_pieces=4)
        assert playbacks.is_hopeless(playback)


@contextmanager
def _somebody_waits(
    playbacks: Playbacks, torrents: FakeTorrents, source_id: SourceId
) -> Iterator[None]:
    condition = replace(torrents.source(source_id).condition, activity=Activity.DOWNLOADING)
    torrents.update(source_id, condition=condition)
    with playbacks.waiting.somebody(source_id):
        yield
