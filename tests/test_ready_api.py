"""`POST /api/playback` with a title, and `POST /api/ui/viewport`."""

from datetime import date

import pytest

from miauflixd.auth.model import Actor, UserChanges
from miauflixd.catalogue.model import TitleId
from miauflixd.sources.listing_model import NothingToPlayError
from miauflixd.sources.preload_plan import Nearness
from miauflixd.sources.release_model import AudioCodec, Quality, VideoCodec
from miauflixd.tunnel.errors import TunnelDownError
from tests.catalogue_titles import movie, put, show
from tests.fakes import FakeTorrents
from tests.ready_fakes import FakePlaying, FakePreloading, ready
from tests.web_house import Web, open_web

pytestmark = pytest.mark.slow

FILM = "Big.Cat.2019.1080p.WEB-DL.H264.AAC-GRP"


@pytest.fixture
def playing():
    return FakePlaying()


@pytest.fixture
def screens():
    return FakePreloading()


@pytest.fixture
async def web(tmp_path, playing, screens):
    async with open_web(
        tmp_path, torrents=FakeTorrents(), playing=playing, preloading=screens
    ) as web:
        yield web


@pytest.fixture
async def film(web) -> TitleId:
    return await put(web.library.titles, movie("Big Cat", released=date(2019, 5, 1)))


async def token(web: Web) -> str:
    return await web.token_of(await web.add("ben"))


# --- playing a title ------------------------------------------------------------------------------


async def test_a_title_is_played_at_an_address_of_its_source(web, film, playing):
    playing.titles[film] = ready(FILM, file=3)

    answer = await web.ask("POST", "/api/playback", {"title_id": str(film)}, token=await token(web))

    assert answer.status == 201
    assert answer.body["stream_url"].startswith("/api/stream/source-1?file=3&key=")
    assert answer.body["source"] == {
        "id": "source-1",
        "file_index": 3,
        "listing_id": "00112233aabbccdd",
        "quality": "1080p",
        "plays": "direct",
    }
    assert answer.body["reasons"] == ["many have it"]
    assert answer.body["resume_at"] == 0


async def test_it_goes_on_where_one_has_stopped(web, film, playing):
    playing.titles[film] = ready(FILM)
    ben = await token(web)
    report = {"position": 600.0, "duration": 3600.0, "state": "paused"}
    await web.ask("PUT", f"/api/progress/{film}", report, token=ben)

    answer = await web.ask("POST", "/api/playback", {"title_id": str(film)}, token=ben)

    assert answer.body["resume_at"] == 600


async def test_nothing_to_play_is_a_404_that_says_why(web, film, playing):
    playing.titles[film] = NothingToPlayError("Nothing was found that fits: too small (3)")

    answer = await web.ask("POST", "/api/playback", {"title_id": str(film)}, token=await token(web))

    assert (answer.status, answer.code) == (404, "no_source")
    assert answer.body["detail"] == "Nothing was found that fits: too small (3)"


async def test_a_closed_tunnel_is_a_503(web, film, playing):
    playing.titles[film] = TunnelDownError("The tunnel is down")

    answer = await web.ask("POST", "/api/playback", {"title_id": str(film)}, token=await token(web))

    assert (answer.status, answer.code) == (503, "tunnel_down")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title_id": "movie:1", "source_id": "x"},
        {"title_id": "movie:1", "quality": "999p"},
        {"title_id": "movie:1", "client": {"max_height": 0}},
        {"title_id": "movie:1", "client": {"video": ["x" * 100]}},
        {"title_id": "movie:1", "client": {"audio": ["aac"] * 100}},
        {"title_id": "movie:1", "file_index": -1},
        {"title_id": "movie:1", "surprise": 1},
        {"title_id": "m" * 10_000},
    ],
)
async def test_what_makes_no_sense_is_refused(web, film, playing, body):
    answer = await web.ask("POST", "/api/playback", body, token=await token(web))

    assert answer.status == 422
    assert not playing.liked


@pytest.mark.parametrize("title", ["movie:999", "nonsense", "movie:-1", "movie:1:2", "\u0661"])
async def test_a_title_that_there_is_not_is_a_404(web, playing, title):
    answer = await web.ask("POST", "/api/playback", {"title_id": title}, token=await token(web))

    assert answer.status == 404
    assert not playing.liked


async def test_a_title_that_is_not_for_a_child_is_a_404(web, playing):
    grown_up = await put(
        web.library.titles,
        movie("Big Cat", full=True, certifications={"US": "R"}, released=date(2019, 5, 1)),
    )
    playing.titles[grown_up] = ready(FILM)
    child = await web.add("mia")
    await web.household.accounts.update(child.id, UserChanges(max_rating="PG"), actor=Actor())

    answer = await web.ask(
        "POST", "/api/playback", {"title_id": str(grown_up)}, token=await web.token_of(child)
    )

    assert answer.status == 404
    assert not playing.liked


async def test_what_the_client_and_the_person_say_counts(web, film, playing):
    playing.titles[film] = ready(FILM)
    ben = await token(web)

    await web.ask(
        "POST",
        "/api/playback",
        {
            "title_id": str(film),
            "quality": "720p",
            "client": {
                "containers": ["MKV"],
                "video": ["h265", "unheard-of"],
                "audio": ["eac3"],
                "hls": False,
                "max_height": 2160,
            },
        },
        token=ben,
    )

    liked = playing.liked[0]
    assert liked.quality is Quality.P720
    assert liked.max_height == 2160
    assert liked.client.containers == {"mkv"}
    assert liked.client.video == {VideoCodec.H265}
    assert liked.client.audio == {AudioCodec.EAC3}
    assert not liked.client.remux


async def test_the_machines_own_administrator_watches_nothing(web, film):
    answer = await web.ask_control("POST", "/api/playback", {"title_id": str(film)})

    assert answer.status == 403


# --- what is on a screen --------------------------------------------------------------------------


async def test_what_a_client_shows_is_taken_in_its_order(web, film, screens):
    other = await put(web.library.titles, movie("Old Dog", released=date(2001, 1, 1)))
    body = {
        "items": [
            {"id": str(other), "state": "near"},
            {"id": str(film), "state": "focused"},
            {"id": str(other), "state": "adjacent"},
        ]
    }

    answer = await web.ask("POST", "/api/ui/viewport", body, token=await token(web))

    assert (answer.status, answer.body) == (202, None)
    ((onlooker, shown),) = screens.shown.values()
    assert shown == {other: Nearness.ADJACENT, film: Nearness.FOCUSED}
    assert onlooker.preference.languages == ()


async def test_each_session_has_a_screen_of_its_own(web, film, screens):
    body = {"items": [{"id": str(film), "state": "visible"}]}
    ben = await web.add("ben")
    for device in ("TV", "Phone"):
        tv = await web.token_of(ben, device=device)
        await web.ask("POST", "/api/ui/viewport", body, token=tv)
        await web.ask("POST", "/api/ui/viewport", body, token=tv)

    assert len(screens.shown) == 2


async def test_what_there_is_not_and_shows_are_left_out(web, film, screens):
    series = await put(web.library.titles, show("Lantern Street"))
    ids = ["movie:999", "nonsense", "episode:7", str(series), str(film)]
    body = {"items": [{"id": one, "state": "visible"} for one in ids]}

    answer = await web.ask("POST", "/api/ui/viewport", body, token=await token(web))

    assert answer.status == 202
    ((_, shown),) = screens.shown.values()
    assert [*shown] == [film]


async def test_what_one_may_not_see_is_not_got_ready(web, screens):
    grown_up = await put(
        web.library.titles, movie("Big Cat", full=True, certifications={"US": "R"})
    )
    child = await web.add("mia")
    await web.household.accounts.update(child.id, UserChanges(max_rating="PG"), actor=Actor())
    body = {"items": [{"id": str(grown_up), "state": "focused"}]}

    await web.ask("POST", "/api/ui/viewport", body, token=await web.token_of(child))

    ((_, shown),) = screens.shown.values()
    assert shown == {}


@pytest.mark.parametrize(
    "items",
    [
        None,
        "everything",
        [{"id": "movie:1"}],
        [{"id": "movie:1", "state": "gone"}],
        [{"id": 7, "state": "near"}],
        [{"id": "m" * 100, "state": "near"}],
        [{"id": f"movie:{n}", "state": "near"} for n in range(201)],
    ],
)
async def test_a_screen_that_makes_no_sense_is_refused(web, screens, items):
    answer = await web.ask("POST", "/api/ui/viewport", {"items": items}, token=await token(web))

    assert answer.status == 422
    assert not screens.shown
