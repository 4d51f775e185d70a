"""How far one is, over HTTP."""

import asyncio
from datetime import timedelta

import pytest

from tests.auth_house import EPOCH
from tests.catalogue_fakes import FakeCatalogue, movie
from tests.web_house import open_web

pytestmark = pytest.mark.slow

HOUR = 3600.0
AGO = EPOCH.date() - timedelta(days=9)


@pytest.fixture
def catalogue():
    catalogue = FakeCatalogue()
    catalogue.add_movies(*range(1, 10))
    catalogue.add_show(40, seasons={1: [AGO, AGO]})
    return catalogue


@pytest.fixture
async def web(tmp_path, catalogue):
    async with open_web(tmp_path, catalogue=catalogue) as web:
        yield web


@pytest.fixture
async def ben(web):
    return await web.add("ben")


@pytest.fixture
async def token(web, ben):
    return await web.token_of(ben)


def body(position: float = 900.0, state: str = "playing") -> dict[str, object]:
    return {"position": position, "duration": HOUR, "state": state}


async def begun(web, token: str, query: str = "") -> list[tuple[str, float, bool]]:
    listed = (await web.ask("GET", f"/api/progress{query}", token=token)).body
    return [
        (one["id"], one["progress"]["position"], one["progress"]["watched"])
        for one in listed["items"]
    ]


async def test_a_player_says_how_far_it_is(web, token):
    said = await web.ask("PUT", "/api/progress/movie:1", body(), token=token)
    assert (said.status, said.body) == (204, None)
    assert await begun(web, token) == [("movie:1", 900.0, False)]
    await web.ask("PUT", "/api/progress/movie:1", body(3500, "ended"), token=token)
    assert await begun(web, token) == [("movie:1", 0.0, True)]


async def test_below_five_percent_nothing_was_begun(web, token):
    await web.ask("PUT", "/api/progress/movie:1", body(100), token=token)
    assert await begun(web, token) == []


async def test_an_episode_is_shown_with_its_show(web, token):
    await web.ask("PUT", "/api/progress/episode:400101", body(), token=token)
    (shown,) = (await web.ask("GET", "/api/progress", token=token)).body["items"]
    assert shown == {
        "id": "episode:400101",
        "type": "episode",
        "title": "Part 1",
        "year": AGO.year,
        "poster": "tmdb-poster-40.jpg",
        "backdrop": None,
        "rating": None,
        "available": True,
        "progress": {
            "position": 900.0,
            "duration": HOUR,
            "watched": False,
            "updated_at": "2026-03-01T20:15:00Z",
        },
        "show": {"id": "show:40", "title": "Series 40"},
        "season": 1,
        "episode": 1,
        "still": None,
        "air_date": AGO.isoformat(),
    }


async def test_what_was_begun_and_what_was_seen_are_asked_for_by_themselves(web, token):
    for number, position in ((1, 900.0), (2, 3500.0), (3, 1000.0)):
        web.clock.pass_by(minutes=1)
        await web.ask("PUT", f"/api/progress/movie:{number}", body(position), token=token)
    assert await begun(web, token, "?state=started") == [
        ("movie:3", 1000.0, False),
        ("movie:1", 900.0, False),
    ]
    assert await begun(web, token, "?state=watched") == [("movie:2", 0.0, True)]
    first = (await web.ask("GET", "/api/progress?limit=2", token=token)).body
    assert first["total"] == 3
    assert await begun(web, token, f"?cursor={first['next_cursor']}") == [("movie:1", 900.0, False)]


async def test_everybody_is_somewhere_else(web, token):
    await web.ask("PUT", "/api/progress/movie:1", body(), token=token)
    other = await web.token_of(await web.add("cleo"))
    assert await begun(web, other) == []
    await web.ask("DELETE", "/api/progress/movie:1", token=other)
    assert await begun(web, token) == [("movie:1", 900.0, False)]


async def test_what_is_forgotten_is_gone(web, token):
    await web.ask("PUT", "/api/progress/movie:1", body(3500), token=token)
    for _ in range(2):
        assert (await web.ask("DELETE", "/api/progress/movie:1", token=token)).status == 204
    assert await begun(web, token) == []


async def test_what_one_may_not_see_cannot_be_begun_and_is_not_shown_any_more(
    web, token, ben, catalogue
):
    for number in (1, 2):
        await web.ask("PUT", f"/api/progress/movie:{number}", body(), token=token)
    catalogue.hidden = {movie(1): ben.id}
    refused = await web.ask("PUT", "/api/progress/movie:1", body(1800), token=token)
    assert (refused.status, refused.code) == (404, "no_title")
    assert await begun(web, token) == [("movie:2", 900.0, False)]


@pytest.mark.parametrize(
    ("title_id", "changes", "refusal"),
    [
        ("movie:99", {}, (404, "no_title")),
        ("movie:\u0661", {}, (404, "no_title")),
        ("movie:1%00", {}, (404, "no_title")),
        ("movie:99999999999999999999", {}, (404, "no_title")),
        ("show:40", {}, (422, "bad_progress")),
        ("movie:1", {"position": -1}, (422, "invalid_input")),
        ("movie:1", {"position": 1e300}, (422, "invalid_input")),
        ("movie:1", {"position": None}, (422, "invalid_input")),
        ("movie:1", {"position": "900"}, (422, "invalid_input")),
        ("movie:1", {"duration": 0}, (422, "invalid_input")),
        ("movie:1", {"duration": 10**400}, (422, "invalid_input")),
        ("movie:1", {"position": float("nan")}, (422, "invalid_input")),
        ("movie:1", {"duration": float("inf")}, (422, "invalid_input")),
        ("movie:1", {"state": "stopped"}, (422, "invalid_input")),
        ("movie:1", {"user_id": "anna"}, (422, "invalid_input")),
    ],
)
async def test_what_makes_no_sense_is_refused(web, token, title_id, changes, refusal):
    refused = await web.ask("PUT", f"/api/progress/{title_id}", {**body(), **changes}, token=token)
    assert (refused.status, refused.code) == refusal
    assert await begun(web, token) == []


@pytest.mark.parametrize(
    "query", ["state=paused", "cursor=nonsense", "limit=0", "limit=201", "x=1"]
)
async def test_a_question_that_makes_no_sense_is_refused(web, token, query):
    assert (await web.ask("GET", f"/api/progress?{query}", token=token)).status == 422


async def test_many_players_report_at_once_and_the_last_word_counts(web, token):
    async with asyncio.TaskGroup() as group:
        for number in range(1, 10):
            group.create_task(
                web.ask("PUT", f"/api/progress/movie:{number}", body(900.0 + number), token=token)
            )
    assert sorted(await begun(web, token)) == [
        (f"movie:{number}", 900.0 + number, False) for number in range(1, 10)
    ]


async def test_the_progress_of_who_is_removed_goes_too(web, token, ben):
    await web.ask("PUT", "/api/progress/movie:1", body(), token=token)
    admin = await web.token_of(await web.admin())
    assert (await web.ask("DELETE", f"/api/users/{ben.id}", token=admin)).status == 204
    assert await web.watching.progress(ben.id, [movie(1)]) == {}


async def test_nobody_without_an_account_watches_anything(web, ben):
    for method, path, said in (
        ("GET", "/api/progress", None),
        ("PUT", "/api/progress/movie:1", body()),
        ("DELETE", "/api/progress/movie:1", None),
    ):
        refused = await web.ask_control(method, path, said)
        assert (refused.status, refused.code) == (403, "needs_user")
