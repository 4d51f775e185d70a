"""The tunnel over HTTP: what is told, what may be asked, and what is refused how."""

import asyncio
import io
import json
import zipfile
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from miauflixd.database.database import Database
from miauflixd.tunnel import service
from miauflixd.tunnel.providers.provider import ProviderRefusedError, ProviderUnavailableError
from miauflixd.tunnel.service import Tunnel
from miauflixd.tunnel.settings import TunnelSettings
from miauflixd.web.limits import Limits
from miauflixd.web.server import serve
from miauflixd.web.settings import WebSettings
from tests.contract import kept
from tests.doorstep import bearer, open_doorstep
from tests.fakes import FakeTorrents
from tests.running import until
from tests.tunnel_fakes import (
    PRIVATE_KEY,
    SECRETS,
    TOKEN,
    FakeKeeper,
    FakeNames,
    FakeProvider,
    conf,
    open_endpoints,
    spec,
    write_files,
)

ENDPOINTS = "/api/vpn/endpoints"
METAINFO = b"d4:infod6:lengthi5eee"


@pytest.fixture
def provider():
    return FakeProvider(spec(11), spec(12))


@pytest.fixture
def keeper():
    return FakeKeeper()


@pytest.fixture
def torrents():
    return FakeTorrents()


@pytest.fixture
async def endpoints(tmp_path, provider):
    async with Database.open(tmp_path / "house.sqlite3") as database:
        yield await open_endpoints(
            database,
            settings=TunnelSettings(conf_folder=write_files(tmp_path / "pool", 99)),
            names=FakeNames(),
            providers={"nordvpn": provider, "mullvad": provider},
        )


@pytest.fixture
async def tunnel(endpoints, keeper):
    tunnel = Tunnel(keeper=keeper, ladder=endpoints)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run()) for one in (tunnel, endpoints)]
        yield tunnel
        for task in tasks:
            task.cancel()


@pytest.fixture
async def doorstep(tmp_path):
    (tmp_path / "household").mkdir()
    async with open_doorstep(tmp_path / "household") as doorstep:
        yield doorstep


@pytest.fixture
def app(doorstep, tunnel, endpoints, torrents):
    app = doorstep.app(
        torrents=torrents,
        tunnel=tunnel,
        endpoints=endpoints,
        limits=Limits(endpoints=20_000, body=timedelta(seconds=5)),
    )
    with kept(app):
        yield app


@pytest.fixture
async def client(app, doorstep):
    async with TestClient(TestServer(app), headers=doorstep.as_admin) as client:
        yield client


async def told(response: aiohttp.ClientResponse, status: int = 200) -> Any:
    """Return the answer's JSON; whatever it is, no secret is in it."""
    text = await response.text()
    assert response.status == status, text
    assert not any(secret in text for secret in SECRETS)
    return json.loads(text) if text else None


async def problem(response: aiohttp.ClientResponse, status: int, code: str) -> Any:
    document = await told(response, status)
    assert response.content_type == "application/problem+json"
    assert document["code"] == code
    return document


async def send(client, *numbers, **more) -> Any:
    """Import files by JSON."""
    files = [{"name": f"server-{number}.conf", "text": conf(number)} for number in numbers]
    return await client.post(ENDPOINTS, json={"conf": files, **more})


async def rungs(client) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await told(await client.get(ENDPOINTS)))["items"]
    return items


async def names(client) -> list[str]:
    return [rung["name"] for rung in await rungs(client)]


# --- the tunnel -----------------------------------------------------------------------------------


async def test_it_is_told_as_the_contract_says(client, keeper, tunnel):
    await told(await send(client, 1, 2), 201)
    one, two = [rung["id"] for rung in await rungs(client)][:2]
    keeper.tell("connecting", endpoint_id=one)
    keeper.tell("up", since=1e9, standby=keeper.standby(two))
    await keeper.heard()
    tunnel.set_exit_ip("203.0.113.9")
    tunnel.set_port(40000)
    view = await told(await client.get("/api/vpn"))
    history = view.pop("history")
    assert view == {
        "mode": "required",
        "state": "up",
        "reason": "It is up.",
        "since": "2001-09-09T01:46:40Z",
        "next": "Nothing.",
        "endpoint": {"id": one, "name": "server-1", "country": None},
        "exit_ip": "203.0.113.9",
        "handshake_age": 3.0,
        "rx": 1000,
        "tx": 500,
        "port": 40000,
        "standby": {
            "endpoint": {"id": two, "name": "server-2", "country": None},
            "answers": True,
            "handshake_age": 1.0,
        },
    }
    assert [(one["from"], one["to"], one["reason"]) for one in history] == [
        ("down", "connecting", "It is connecting."),
        ("connecting", "up", "It is up."),
    ]
    assert all(datetime.fromisoformat(one["at"]).tzinfo for one in history)


async def test_whoever_only_watches_learns_state_and_reason(client, doorstep):
    public = {"state": "down", "reason": "miauflixd has just started."}
    assert await told(await client.get("/api/vpn", headers=doorstep.as_user)) == public
    async with client.get("/api/events", headers=doorstep.as_user) as response:
        assert await response.content.readline() == b"event: tunnel\n"
        assert json.loads((await response.content.readline())[6:]) == public


async def test_whoever_only_watches_hears_of_no_source(client, doorstep, torrents):
    await torrents.add_metainfo(METAINFO)
    async with client.get("/api/events", headers=doorstep.as_user) as response:
        heard = [await response.content.readline() for _ in range(4)]
    assert [line for line in heard if line.startswith(b"event")] == [
        b"event: tunnel\n",
        b"event: ready\n",
    ]


async def test_events_tell_of_the_tunnel_at_first_and_at_each_change(client, keeper, tunnel):
    async with client.get("/api/events") as response:
        states = []
        async for line in response.content:
            if line.startswith(b"data: {") and (view := json.loads(line[6:])).get("mode"):
                states.append(view["state"])
                if states == ["down"]:
                    keeper.tell("up")
                if states == ["down", "up"]:
                    return


# --- importing ------------------------------------------------------------------------------------


async def test_a_preview_says_what_would_come_of_a_file_and_imports_nothing(client):
    hooks = "PostUp = rm -rf /\n"
    body = {
        "conf": [{"name": "a.conf", "text": conf(1).replace("[Peer]", f"{hooks}[Peer]")}],
        "preview": True,
    }
    answer = await told(await client.post(ENDPOINTS, json=body))
    assert answer["preview"] is True
    (item,) = answer["items"]
    assert (item["file"], item["name"], item["refused"]) == ("a.conf", "a", None)
    assert item["endpoint"] == "198.51.100.1:51820"
    assert "Address = 10.2.0.2/32" in item["used"]
    assert [(one["key"], one["line"]) for one in item["ignored"]] == [("PostUp", 5)]
    assert await names(client) == ["server-99"]


async def test_files_are_imported_as_json_or_as_a_form_also_packed(client):
    await told(await send(client, 1), 201)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("server-3.conf", conf(3))
    form = aiohttp.FormData()
    form.add_field("file", conf(2).encode(), filename="server-2.conf")
    form.add_field("file", packed.getvalue(), filename="more.zip")
    looked = await told(await client.post(f"{ENDPOINTS}?preview=true", data=form()))
    assert [one["file"] for one in looked["items"]] == ["server-2.conf", "server-3.conf"]
    assert await names(client) == ["server-1", "server-99"]
    form = aiohttp.FormData()
    form.add_field("file", conf(2).encode(), filename="server-2.conf")
    form.add_field("file", packed.getvalue(), filename="more.zip")
    await told(await client.post(ENDPOINTS, data=form), 201)
    assert await names(client) == ["server-1", "server-2", "server-3", "server-99"]


async def test_of_several_files_those_that_can_be_used_are_imported(client):
    files = [
        {"name": "good.conf", "text": conf(1)},
        {"name": "bad.conf", "text": conf(2).replace("198.51", "$(reboot).51")},
    ]
    answer = await told(await client.post(ENDPOINTS, json={"conf": files}), 201)
    assert [(one["file"], one["line"]) for one in answer["items"] if one["refused"]] == [
        ("bad.conf", 9)
    ]
    assert await names(client) == ["good", "server-99"]


async def test_files_of_which_none_can_be_used_are_refused_by_file_and_line(client):
    files = [
        {"name": "bad.conf", "text": conf(2).replace("51820", "0")},
        {"name": "empty.conf", "text": ""},
    ]
    document = await problem(
        await client.post(ENDPOINTS, json={"conf": files}), 422, "invalid_input"
    )
    assert [error["field"] for error in document["errors"]] == ["bad.conf:9", "empty.conf"]
    assert all(error["message"] for error in document["errors"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"conf": []}, "conf"),
        ({"conf": [], "nordvpn_token": "x"}, ""),
        ({"conf": [{"name": "a"}]}, "conf[0].text"),
        ({"conf": "text"}, "conf"),
        ({"nordvpn_token": 7}, "nordvpn_token"),
        ({"mullvad": {"colour": 1}}, "mullvad.colour"),
        ({"conf": [], "keys": 1}, "keys"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_field(client, body, field):
    document = await problem(await client.post(ENDPOINTS, json=body), 422, "invalid_input")
    assert document["errors"][0]["field"] == field


async def test_too_much_is_refused(client):
    body = {"conf": [{"name": "a", "text": "#" * 30_000}]}
    await problem(await client.post(ENDPOINTS, json=body), 413, "too_large")
    form = aiohttp.FormData()
    form.add_field("file", b"#" * 15_000, filename="a.conf")
    form.add_field("file", b"#" * 15_000, filename="b.conf")
    await problem(await client.post(ENDPOINTS, data=form), 413, "too_large")


@pytest.mark.parametrize("body", ["--x\r\n", "--x--", "rubbish"])
async def test_a_broken_form_is_refused(client, body):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    await problem(await client.post(ENDPOINTS, data=body, headers=headers), 422, "invalid_input")


async def test_a_form_holds_files_and_nothing_else(client):
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("preview", "true")
    document = await problem(await client.post(ENDPOINTS, data=form), 422, "invalid_input")
    assert document["errors"][0]["message"] == "The form may hold files only"
    form = aiohttp.FormData()
    form.add_field("file", conf(1).encode(), filename="a.conf")
    answer = await client.post(f"{ENDPOINTS}?preview=perhaps", data=form)
    assert (await problem(answer, 422, "invalid_input"))["errors"][0]["field"] == "preview"


async def test_another_sites_page_imports_nothing(client):
    answer = await client.post(
        ENDPOINTS, json={"nordvpn_token": TOKEN}, headers={"Origin": "https://evil.example"}
    )
    await problem(answer, 403, "foreign_origin")
    assert await names(client) == ["server-99"]


# --- accounts -------------------------------------------------------------------------------------


async def test_a_token_is_an_account_and_never_comes_back(client):
    answer = await client.post(ENDPOINTS, json={"nordvpn_token": f" {TOKEN}\n"})
    account = await told(answer, 201)
    assert answer.headers["Location"] == f"{ENDPOINTS}/{account['id']}"
    assert (account["kind"], account["name"]) == ("account", "NordVPN")
    assert [server["name"] for server in account["servers"]] == ["Server 11", "Server 12"]
    assert (await rungs(client))[0] == account


@pytest.mark.parametrize(
    "body", [{"account": "1234 5678"}, {"private_key": PRIVATE_KEY, "addresses": ["10.64.0.2/32"]}]
)
async def test_mullvad_knows_us_by_an_account_or_a_key(client, body):
    account = await told(await client.post(ENDPOINTS, json={"mullvad": body}), 201)
    assert (account["name"], account["problem"]) == ("Mullvad", None)


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (ProviderRefusedError("The token is not accepted"), 422, "provider_refused"),
        (ProviderUnavailableError("No answer"), 503, "provider_unavailable"),
    ],
)
async def test_what_the_provider_says_is_passed_on(client, provider, trouble, status, code):
    provider.trouble = trouble
    answer = await client.post(ENDPOINTS, json={"nordvpn_token": TOKEN})
    assert (await problem(answer, status, code))["detail"] == str(trouble)
    assert await names(client) == ["server-99"]


# --- the ladder -----------------------------------------------------------------------------------


async def test_the_list_says_all_but_the_keys_and_what_is_in_use(client, keeper):
    await told(await send(client, 1), 201)
    (first, _) = await rungs(client)
    keeper.tell("up", endpoint_id=first["id"], penalties={first["id"]: 0.5})
    await keeper.heard()
    (first, folder) = await rungs(client)
    assert first == {
        "id": first["id"],
        "kind": "endpoint",
        "name": "server-1",
        "provider": "proton",
        "problem": None,
        "refreshed_at": None,
        "servers": [
            {
                "id": first["id"],
                "name": "server-1",
                "country": None,
                "city": None,
                "host": "198.51.100.1",
                "port": 51820,
                "port_forwarding": False,
                "hints": [],
                "problem": None,
                "in_use": True,
                "penalty": 0.5,
            }
        ],
    }
    assert folder["kind"] == "file"
    assert folder["servers"][0]["in_use"] is False


async def test_a_long_ladder_comes_in_pages(client):
    await told(await send(client, *range(1, 8)), 201)
    page = await told(await client.get(f"{ENDPOINTS}?limit=5"))
    assert (len(page["items"]), page["total"]) == (5, 8)
    rest = await told(await client.get(f"{ENDPOINTS}?limit=5&cursor={page['next_cursor']}"))
    assert [one["name"] for one in rest["items"]] == ["server-6", "server-7", "server-99"]
    assert rest["next_cursor"] is None


async def test_the_order_is_what_somebody_says(client):
    await told(await send(client, 1, 2, 3), 201)
    ids = [rung["id"] for rung in await rungs(client)]
    await told(await client.put(f"{ENDPOINTS}/order", json={"ids": [ids[2], ids[0]]}), 204)
    assert await names(client) == ["server-3", "server-1", "server-2", "server-99"]
    for wrong, status, code in (
        ([ids[0], "stranger"], 404, "no_endpoint"),
        ([ids[3]], 409, "endpoint_in_folder"),
    ):
        answer = await client.put(f"{ENDPOINTS}/order", json={"ids": wrong})
        await problem(answer, status, code)


async def test_an_endpoint_is_removed_once_and_a_file_in_the_folder_never(client):
    await told(await send(client, 1), 201)
    first, folder = [rung["id"] for rung in await rungs(client)]
    await told(await client.delete(f"{ENDPOINTS}/{first}"), 204)
    await problem(await client.delete(f"{ENDPOINTS}/{first}"), 404, "no_endpoint")
    await problem(await client.delete(f"{ENDPOINTS}/{folder}"), 409, "endpoint_in_folder")
    assert await names(client) == ["server-99"]


# --- switching and testing ------------------------------------------------------------------------


async def test_a_switch_is_begun_and_then_told(client, keeper, tunnel):
    await told(await send(client, 1, 2), 201)
    one, two = [rung["id"] for rung in await rungs(client)][:2]
    await until(lambda: len(keeper.ladder) == 3, "the ladder is handed over")
    keeper.connect(one)
    await keeper.heard()
    view = await told(await client.post("/api/vpn/switch", json={"endpoint_id": two}), 202)
    assert view["mode"] == "required"
    await keeper.heard()
    assert (await told(await client.get("/api/vpn")))["endpoint"]["id"] == two
    await told(await client.post("/api/vpn/switch", json={}), 202)


async def test_a_test_tells_what_became_of_it(client, keeper):
    await told(await send(client, 1), 201)
    (first, _) = await rungs(client)
    answer = await client.post("/api/vpn/test", json={"endpoint_id": first["id"]})
    assert await told(answer) == {
        "endpoint": {"id": first["id"], "name": "server-1", "country": None},
        "handshake": 0.03,
        "egress": True,
        "names": True,
        "detail": "It works.",
    }


@pytest.mark.parametrize("path", ["/api/vpn/switch", "/api/vpn/test"])
async def test_what_cannot_be_done_is_refused_with_a_reason(
    client, path, keeper, monkeypatch, endpoints
):
    await problem(await client.post(path, json={"endpoint_id": "stranger"}), 404, "no_endpoint")
    document = await problem(await client.post(path, json={"endpoint": 1}), 422, "invalid_input")
    assert document["errors"][0]["field"] == "endpoint"
    await problem(await client.post(path, data="endpoint_id=1"), 415, "unsupported_media_type")


async def test_a_test_that_is_never_answered_is_a_time_out(client, keeper, monkeypatch):
    monkeypatch.setattr(service, "_TEST_WITHIN", 0.05)
    keeper.answers = False
    await problem(await client.post("/api/vpn/test", json={}), 504, "test_timed_out")


async def test_without_a_tunnel_it_says_off_and_refuses(doorstep, endpoints):
    app = doorstep.app(endpoints=endpoints)
    async with TestClient(TestServer(app), headers=doorstep.as_admin) as client:
        view = await told(await client.get("/api/vpn"))
        assert (view["mode"], view["state"], view["endpoint"]) == ("off", "off", None)
        assert "sees the address of this machine" in view["reason"]
        for path in ("/api/vpn/switch", "/api/vpn/test"):
            await problem(await client.post(path, json={}), 409, "tunnel_off")
        # Whoever prepares for a tunnel may add to the ladder.
        await told(await send(client, 1), 201)


# --- metrics --------------------------------------------------------------------------------------


async def test_the_numbers_are_for_prometheus(client, doorstep, keeper, torrents):
    await torrents.add_metainfo(METAINFO)
    keeper.tell("up", since=1e9)
    await keeper.heard()
    key, _ = await doorstep.household.purpose_keys.create(
        doorstep.admin.id, purpose="metrics", name="Prometheus", address=None
    )
    response = await client.get("/metrics", headers=bearer(key))
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = (await response.text()).splitlines()
    for line in (
        'miauflixd_info{version="1.2.3"} 1.0',
        'miauflixd_tunnel_state{miauflixd_tunnel_state="up"} 1.0',
        'miauflixd_tunnel_state{miauflixd_tunnel_state="down"} 0.0',
        "miauflixd_tunnel_state_since_seconds 1e+09",
        "miauflixd_tunnel_handshake_age_seconds 3.0",
        "miauflixd_tunnel_received_bytes_total 1000.0",
        "miauflixd_tunnel_sent_bytes_total 500.0",
        'miauflixd_tunnel_switches_total{reason="dead"} 0.0',
        'miauflixd_sources{activity="metadata"} 1.0',
        "miauflixd_streams 0.0",
    ):
        assert line in lines


async def test_the_numbers_stay_on_this_machine(app, tmp_path):
    path = tmp_path / "web.sock"
    async with serve(app, WebSettings(port=0, unix_socket=path)) as url:
        async with aiohttp.ClientSession() as session:
            assert (await session.get(f"{url}/metrics")).status == 200
            for header in ("X-Forwarded-For", "Forwarded"):
                answer = await session.get(f"{url}/metrics", headers={header: "203.0.113.9"})
                await problem(answer, 401, "unauthenticated")
        connector = aiohttp.UnixConnector(str(path))
        async with aiohttp.ClientSession(connector=connector) as session:
            assert (await session.get("http://localhost/metrics")).status == 200
