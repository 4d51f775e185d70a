"""Who makes a request: by a header, a cookie, a key or a socket, and by nothing else."""

import asyncio
import ipaddress
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from miauflixd.auth.model import Actor, Role, UserChanges, Viewer
from miauflixd.web.connections import Crowd
from miauflixd.web.limits import ConnectionLimits, Limits
from miauflixd.web.server import serve
from miauflixd.web.settings import WebSettings
from tests.contract import kept
from tests.doorstep import bearer, open_doorstep
from tests.fakes import FakeTorrents

FILM = bytes(range(256)) * 40


@pytest.fixture
async def house(tmp_path):
    async with open_doorstep(tmp_path) as house:
        yield house


@pytest.fixture
def torrents():
    return FakeTorrents()


@pytest.fixture
def app(house, torrents):
    app = house.app(torrents=torrents, limits=Limits())
    with kept(app):
        yield app


@pytest.fixture
async def client(app):
    jar = aiohttp.DummyCookieJar()
    async with TestClient(TestServer(app), cookie_jar=jar) as client:
        yield client


@pytest.fixture
async def film(torrents):
    source_id = await torrents.add_magnet("magnet:?xt=urn:btih:1")
    torrents.learn(source_id, name="A film", files={"a.txt": b"x", "film.mkv": FILM})
    return source_id


async def code(response: aiohttp.ClientResponse, status: int) -> str:
    document: dict[str, Any] = await response.json(content_type=None)
    assert response.status == status, document
    if status == 401:
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    return str(document["code"])


# --- tokens ---------------------------------------------------------------------------------------


async def test_a_token_counts_in_the_header_or_in_the_cookie(client, house):
    for headers in (
        house.as_user,
        {"Authorization": f"bearer   {house.user_token} "},
        {"Cookie": f"other=1; miauflix_access={house.user_token}"},
        {"Cookie": f"miauflix_access={house.user_token}", **house.as_user},
        {"Cookie": f"miauflix_access={house.user_token}", "Authorization": "Basic YTpi"},
    ):
        answer = await client.get("/api/me", headers=headers)
        assert (await answer.json())["id"] == house.user.id


async def test_two_different_tokens_are_one_too_many(client, house):
    cookie = {"Cookie": f"miauflix_access={house.user_token}"}
    answer = await client.get("/api/me", headers={**cookie, **house.as_admin})
    assert await code(answer, 401) == "conflicting_credentials"
    twice = [("Authorization", f"Bearer {house.user_token}")] * 2
    answer = await client.get("/api/me", headers=twice)
    assert await code(answer, 401) == "conflicting_credentials"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
        {"Cookie": "miauflix_access="},
        {"Cookie": ""},
    ],
)
async def test_without_a_token_one_is_asked_to_sign_in(client, headers):
    assert await code(await client.get("/api/me", headers=headers), 401) == "unauthenticated"


@pytest.mark.parametrize("token", ["x", "a.b.c", "é", "mfs_" + "a" * 32, "a" * 8000])
async def test_what_is_no_token_opens_nothing(client, token):
    headers = {"Authorization": f"Bearer {token}"}
    assert await code(await client.get("/api/me", headers=headers), 401) == "invalid_token"


async def test_behind_tls_only_the_cookie_counts_that_nobody_else_can_set(house, tmp_path):
    path = tmp_path / "web.sock"
    settings = WebSettings(port=0, unix_socket=path)
    async with (
        serve(house.app(settings=settings), settings),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
    ):
        for name, status in (("__Host-miauflix_access", 200), ("miauflix_access", 401)):
            headers = {"X-Forwarded-Proto": "https", "Cookie": f"{name}={house.user_token}"}
            answer = await session.get("http://localhost/api/me", headers=headers)
            assert answer.status == status, name


async def test_with_a_cookie_nothing_is_changed_without_an_origin(client, house):
    cookie = {"Cookie": f"miauflix_access={house.user_token}"}
    change = {"json": {"display_name": "Benjamin"}}
    for headers, status in (
        (cookie, 403),
        ({**cookie, "Origin": "http://evil.example"}, 403),
        ({**cookie, "Sec-Fetch-Site": "same-site"}, 403),
        ({**cookie, "Sec-Fetch-Site": "same-origin"}, 200),
        ({**cookie, "Origin": f"http://127.0.0.1:{client.port}"}, 200),
        (house.as_user, 200),
    ):
        answer = await client.patch("/api/me", headers=headers, **change)
        assert answer.status == status, headers


async def test_an_old_token_is_told_from_a_wrong_one_and_from_one_pushed_out(client, house):
    house.clock.pass_by(minutes=16)
    assert await code(await client.get("/api/me", headers=house.as_user), 401) == "token_expired"
    first = await house.sign_in(house.user, name="The first")
    for number in range(20):
        house.clock.pass_by(seconds=1)
        await house.sign_in(house.user, name=f"Device {number}")
    answer = await client.get("/api/me", headers=bearer(first))
    assert await code(answer, 401) == "session_superseded"


async def test_who_is_disabled_or_loses_a_role_is_out_at_once(client, house):
    assert (await client.get("/api/me", headers=house.as_user)).status == 200
    changes = UserChanges(disabled=True)
    await house.household.accounts.update(house.user.id, changes, actor=Actor())
    assert await code(await client.get("/api/me", headers=house.as_user), 401) == "invalid_token"
    await house.add_admin()
    changes = UserChanges(role=Role.USER)
    await house.household.accounts.update(house.admin.id, changes, actor=Actor())
    answer = await client.get("/api/torrents", headers=house.as_admin)
    assert await code(answer, 401) == "invalid_token"


async def test_an_old_cookie_is_no_hindrance_where_all_may_come(client, house):
    headers = {"Cookie": "miauflix_access=old", "Authorization": "Bearer other"}
    assert (await client.get("/api/server", headers=headers)).status == 200


async def test_refusals_are_written_down_without_what_was_sent(client, house):
    await client.get("/api/torrents/secret-id", headers=house.as_user)
    await client.delete("/api/torrents/x", headers={"Origin": "http://evil.example"})
    await client.get("/api/me", headers=bearer("rubbish"))
    await client.get("/api/me")  # who has not signed in is not refused, but asked to
    noted = await house.noted("refused")
    # From one address only the first is written at once: the others are counted.
    assert {one["route"] for one in noted} <= {
        "GET /api/torrents/{source_id}",
        "DELETE /api/torrents/{source_id}",
        "GET /api/me",
    }
    assert noted[-1]["code"] == "forbidden"
    assert "secret-id" not in str(noted)
    assert "rubbish" not in str(noted)


# --- streams and figures --------------------------------------------------------------------------


async def test_a_stream_key_opens_one_file_and_nothing_else(client, house, film):
    viewer = Viewer(user_id=house.user.id, role=Role.USER, session_id=None)
    key = await house.household.stream_keys.issue(viewer, source_id=film, file=None)
    answer = await client.get(f"/api/stream/{film}?key={key}")
    assert (answer.status, await answer.read()) == (200, FILM)
    for path in (
        f"/api/stream/{film}?file=0&key={key}",
        f"/api/stream/other?key={key}",
        f"/api/stream/{film}?key=",
        f"/api/stream/{film}?key=%F0%9F%90%B1",
        f"/api/stream/{film}?key=mfs_" + "a" * 32,
    ):
        assert await code(await client.get(path), 401) == "invalid_token", path
    assert await code(await client.get(f"/api/stream/{film}"), 401) == "unauthenticated"
    assert await code(await client.get("/api/me", headers=bearer(key)), 401) == "invalid_token"


async def test_a_token_or_a_cookie_streams_as_well(client, house, film):
    for headers in (house.as_user, {"Cookie": f"miauflix_access={house.user_token}"}):
        answer = await client.get(f"/api/stream/{film}", headers=headers)
        assert (answer.status, await answer.read()) == (200, FILM)


async def test_a_key_dies_with_its_session(client, house, film):
    token = await house.sign_in(house.user)
    viewer = await house.household.sessions.authenticate(token)
    key = await house.household.stream_keys.issue(viewer, source_id=film, file=None)
    assert (await client.get(f"/api/stream/{film}?key={key}")).status == 200
    await client.post("/api/auth/logout", headers=bearer(token))
    assert (await client.get(f"/api/stream/{film}?key={key}")).status == 401


@pytest.mark.parametrize("file", ["x", "-1", "9999999999", ""])
async def test_an_index_is_a_number(client, house, film, file):
    answer = await client.get(f"/api/stream/{film}?file={file}", headers=house.as_user)
    assert await code(answer, 422) == "invalid_input"


async def test_figures_are_for_this_machine_or_a_key(client, house):
    key, _ = await house.household.purpose_keys.create(
        house.admin.id, purpose="metrics", name="Prometheus", address=None
    )
    proxied = {"X-Forwarded-For": "203.0.113.9"}
    assert (await client.get("/metrics")).status == 200
    assert await code(await client.get("/metrics", headers=proxied), 401) == "unauthenticated"
    assert (await client.get("/metrics", headers={**proxied, **bearer(key)})).status == 200
    answer = await client.get("/metrics", headers={**proxied, **house.as_admin})
    assert await code(answer, 401) == "invalid_token"
    assert await code(await client.get("/api/me", headers=bearer(key)), 401) == "invalid_token"


async def test_a_user_is_sent_so_many_films_at_once_and_an_administrator_too(house, torrents):
    ids = []
    for number in range(3):
        source_id = await torrents.add_magnet(f"magnet:?xt=urn:btih:{number}")
        torrents.learn(source_id, name="A film", files={"film.mkv": bytes(30_000_000)})
        ids.append(source_id)
    app = house.app(torrents=torrents, settings=WebSettings(streams_per_user=2))
    async with (
        serve(app, WebSettings(port=0)) as url,
        aiohttp.ClientSession(headers=house.as_user, read_bufsize=1024) as session,
    ):
        open_now = [await session.get(f"{url}/api/stream/{one}") for one in ids[:2]]
        # More of the same film to the same device is no further stream.
        open_now.append(await session.get(f"{url}/api/stream/{ids[0]}"))
        assert [one.status for one in open_now] == [200, 200, 200]
        refusal = await session.get(f"{url}/api/stream/{ids[2]}")
        assert await code(refusal, 429) == "too_many_streams"
        assert int(refusal.headers["Retry-After"]) > 0
        assert (await session.head(f"{url}/api/stream/{ids[2]}")).status == 200
        for one in open_now:
            one.close()

        status = 0
        async with asyncio.timeout(5):
            while status != 200:  # nobody tells when the server has noticed
                async with session.get(f"{url}/api/stream/{ids[2]}") as answer:
                    status = answer.status
                await asyncio.sleep(0.01)


async def test_whoever_is_shut_out_hears_no_more_and_is_sent_no_more(house, torrents):
    app = house.app(torrents=torrents)
    async with (
        TestClient(TestServer(app), headers=house.as_admin) as client,
        client.get("/api/events") as response,
    ):
        while await response.content.readline() != b"event: ready\n":
            pass
        await client.post("/api/auth/logout")
        await torrents.add_magnet("magnet:?xt=urn:btih:1")
        rest = await response.read()
    assert b"torrent" not in rest


# --- the control socket ---------------------------------------------------------------------------


async def test_whoever_is_at_the_control_socket_is_the_administrator(house, tmp_path):
    path = tmp_path / "control.sock"
    settings = WebSettings(port=0, control_socket=path)
    app = house.app(settings=settings)
    with kept(app):
        async with (
            serve(app, settings) as url,
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        ):
            assert path.stat().st_mode & 0o777 == 0o600
            told = await (await session.get("http://localhost/api/ip")).json()
            assert (told["peer_ip"], told["trusted_proxy"]) == (None, False)
            for _ in range(400):
                assert (await session.get("http://localhost/api/torrents")).status == 200
            assert (await session.get("http://localhost/metrics")).status == 200
            async with aiohttp.ClientSession() as other:
                assert (await other.get(f"{url}/api/ip")).status == 401
    assert not path.exists()


@pytest.mark.root
async def test_other_users_are_hung_up_on_whatever_the_permissions_say(house):
    script = (
        "import os, socket, sys\n"
        "os.setuid(65534)\n"
        "end = socket.socket(socket.AF_UNIX)\n"
        "end.connect(sys.argv[1])\n"
        "try:\n"
        "    end.sendall(b'GET /api/health HTTP/1.0\\r\\n\\r\\n')\n"
        "    print(end.recv(100))\n"
        "except ConnectionError:\n"
        "    print(b'')\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "control.sock"
        settings = WebSettings(port=0, control_socket=path)
        async with serve(house.app(settings=settings), settings):
            path.chmod(0o666)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, str(path), stdout=subprocess.PIPE
            )
            said, _ = await process.communicate()
    assert said.strip() == b"b''"


# --- connections ----------------------------------------------------------------------------------

QUICK = ConnectionLimits(header=0.05, idle=0.05, per_network=3)


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def test_a_head_that_trickles_is_not_waited_for(house):
    async with serve(house.app(), WebSettings(port=0), limits=QUICK) as url:
        reader, writer = await connect(url)
        async with asyncio.timeout(5):
            writer.write(b"GET /api/health HTTP/1.1\r\n")
            with pytest.raises(ConnectionError):
                while not reader.at_eof():
                    writer.write(b"X: y\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.005)
                raise ConnectionResetError
        writer.close()


async def test_a_head_that_trickles_on_a_used_connection_is_not_waited_for_either(house):
    limits = ConnectionLimits(header=0.05, idle=60)
    async with serve(house.app(), WebSettings(port=0), limits=limits) as url:
        reader, writer = await connect(url)
        writer.write(b"GET /api/health HTTP/1.1\r\nHost: nas\r\n\r\n")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET /api/health HTTP/1.1\r\nHost: n")
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


async def test_a_request_that_is_quick_enough_and_an_answer_that_is_slow_are_left_alone(
    house, torrents
):
    limits = ConnectionLimits(header=0.05, idle=0.05)
    async with serve(
        house.app(torrents=torrents, limits=Limits()), WebSettings(port=0), limits=limits
    ) as url:
        reader, writer = await connect(url)
        writer.write(b"GET /api/events HTTP/1.1\r\nHost: nas\r\n")
        writer.write(f"Authorization: Bearer {house.admin_token}\r\n\r\n".encode())
        await reader.readuntil(b"event: ready")
        await asyncio.sleep(0.2)
        await torrents.add_magnet("magnet:?xt=urn:btih:1")
        async with asyncio.timeout(5):
            assert await reader.readuntil(b"event: torrent")
        writer.close()


async def test_a_connection_that_says_nothing_is_closed(house):
    async with serve(house.app(), WebSettings(port=0), limits=QUICK) as url:
        reader, writer = await connect(url)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


async def test_one_address_has_so_many_connections_and_gets_more_when_some_are_closed(house):
    limits = ConnectionLimits(per_network=3)
    async with serve(house.app(), WebSettings(port=0), limits=limits) as url:
        ends = [await connect(url) for _ in range(3)]
        request = b"GET /api/health HTTP/1.1\r\nHost: nas\r\n\r\n"
        for reader, writer in ends:
            writer.write(request)
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        reader, writer = await connect(url)
        assert await reader.read() == b""
        writer.close()
        ends[0][1].close()
        async with asyncio.timeout(5):
            while True:  # nobody tells when the server has noticed
                reader, writer = await connect(url)
                writer.write(request)
                answer = await read_or_nothing(reader)
                writer.close()
                if answer.startswith(b"HTTP/1.1 200"):
                    break
        for _, one in ends:
            one.close()


async def read_or_nothing(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"}")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def test_a_proxy_comes_for_many_and_nobody_else_does():
    crowd = Crowd(most=1, proxies=[ipaddress.ip_network("10.0.0.2")])
    assert [crowd.enter("10.0.0.2") for _ in range(3)] == ["10.0.0.2"] * 3
    assert crowd.enter("2001:db8::1") == "2001:db8::/64"
    assert crowd.enter("2001:db8::2") is None
    crowd.leave("2001:db8::/64")
    assert crowd.enter("2001:db8::2") == "2001:db8::/64"
    for place in ["10.0.0.2"] * 3 + ["2001:db8::/64"]:
        crowd.leave(place)
    assert len(crowd) == 0


async def test_every_answer_is_dressed_and_named_also_a_refusal(client, house):
    for path, headers in (
        ("/", {}),
        ("/api/docs", {}),
        ("/api/me", {}),
        ("/api/torrents", house.as_user),
        ("/api/none", {}),
        ("/api/health", {"Host": "evil.example"}),
    ):
        answer = await client.get(path, headers=headers)
        assert len(answer.headers["X-Request-ID"]) == 16
        assert answer.headers["Server"] == "miauflixd"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "camera=()" in answer.headers["Permissions-Policy"]
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert not [name for name in answer.headers if name.startswith("Access-Control-")]
