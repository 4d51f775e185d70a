"""Keys for programs, and addresses for players, over HTTP."""

import pytest

from tests.fakes import FakeTorrents
from tests.web_house import open_web


@pytest.fixture
def torrents():
    return FakeTorrents()


@pytest.fixture
async def web(tmp_path, torrents):
    async with open_web(tmp_path, torrents=torrents) as web:
        yield web


@pytest.fixture
async def ben(web):
    return await web.add("ben")


@pytest.fixture
async def token(web, ben):
    return await web.token_of(ben)


BODY = {"purpose": "stremio", "name": "Living room"}


# --- for one purpose ------------------------------------------------------------------------------


async def test_a_key_is_shown_once_and_listed_without_itself(web, token, ben):
    made = await web.ask("POST", "/api/keys", BODY, token=token)
    assert made.status == 201
    assert made.body["key"].startswith("mfx_stremio_")
    listed = (await web.ask("GET", "/api/keys", token=token)).body
    (one,) = listed["items"]
    assert (one["id"], one["name"], one["last_used_at"]) == (made.body["id"], "Living room", None)
    assert made.body["key"] not in str(listed)
    assert (await web.household.purpose_keys.check(made.body["key"], "stremio")).user_id == ben.id


async def test_a_key_is_revoked_once_and_by_its_owner(web, token):
    path = f"/api/keys/{(await web.ask('POST', '/api/keys', BODY, token=token)).body['id']}"
    other = await web.token_of(await web.add("carl"))
    assert (await web.ask("GET", "/api/keys", token=other)).body["total"] == 0
    assert (await web.ask("DELETE", path, token=other)).status == 404
    assert (await web.ask("DELETE", path, token=token)).status == 204
    assert (await web.ask("DELETE", path, token=token)).status == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [({"purpose": "everything"}, "purpose"), ({"name": ""}, "name"), ({"role": "a"}, "role")],
)
async def test_what_is_wrong_with_a_key_is_said_by_field(web, token, change, field):
    answer = await web.ask("POST", "/api/keys", {**BODY, **change}, token=token)
    assert (answer.status, answer.fields) == (422, [field])


async def test_figures_are_for_administrators(web, token):
    metrics = {"purpose": "metrics", "name": "Grafana"}
    answer = await web.ask("POST", "/api/keys", metrics, token=token)
    assert (answer.status, answer.code) == (403, "key_for_admins")
    admin = await web.token_of(await web.admin())
    key = (await web.ask("POST", "/api/keys", metrics, token=admin)).body["key"]
    assert (await web.household.purpose_keys.check(key, "metrics")).role == "user"


async def test_nobody_makes_keys_for_others_but_the_machines_administrator(web, token, ben):
    anna = await web.admin()
    for_anna = {**BODY, "user_id": anna.id}
    assert (await web.ask("POST", "/api/keys", for_anna, token=token)).status == 403
    assert (await web.ask_control("POST", "/api/keys", BODY)).fields == ["user_id"]
    nobody = await web.ask_control("POST", "/api/keys", {**BODY, "user_id": "nobody"})
    assert (nobody.status, nobody.code) == (404, "no_user")
    made = await web.ask_control("POST", "/api/keys", {**BODY, "user_id": ben.id})
    assert (made.status, made.body["user_id"]) == (201, ben.id)
    assert (await web.ask_control("DELETE", f"/api/keys/{made.body['id']}")).status == 204


# --- for a player ---------------------------------------------------------------------------------


@pytest.fixture
async def source(torrents):
    source_id = await torrents.add_magnet("magnet:?xt=urn:btih:" + "0" * 40)
    torrents.learn(source_id, name="A film", files={"film.mkv": b"x" * 100, "extra.mkv": b"yy"})
    return source_id


async def play(web, token: str, **body: object) -> str:
    answer = await web.ask("POST", "/api/playback", body, token=token)
    assert answer.status == 201
    return str(answer.body["stream_url"])


async def read(web, address: str, **headers: str) -> tuple[int, bytes]:
    async with web.session.get(f"{web.url}{address}", headers=headers) as response:
        return response.status, await response.read()


async def test_a_player_without_headers_gets_its_file(web, token, source):
    assert await read(web, await play(web, token, source_id=source)) == (200, b"x" * 100)
    second = await play(web, token, source_id=source, file_index=1)
    assert await read(web, second) == (200, b"yy")


async def test_a_key_opens_its_own_file_alone(web, token, source):
    address = await play(web, token, source_id=source, file_index=1)
    key = address.partition("key=")[2]
    assert (await read(web, f"/api/stream/{source}?file=0&key={key}"))[0] == 401
    assert (await read(web, f"/api/stream/{source}?key={key}"))[0] == 401
    assert (await read(web, f"/api/stream/{source}"))[0] == 401


async def test_a_player_stops_with_the_session(web, token, source):
    address = await play(web, token, source_id=source)
    await web.ask("POST", "/api/auth/logout", token=token)
    assert (await read(web, address))[0] == 401


async def test_what_is_not_there_cannot_be_played(web, token, source):
    nowhere = await web.ask("POST", "/api/playback", {"source_id": "nowhere"}, token=token)
    assert (nowhere.status, nowhere.code) == (404, "no_source")
    body = {"source_id": source, "file_index": 2}
    assert (await web.ask("POST", "/api/playback", body, token=token)).status == 404
