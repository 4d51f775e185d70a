import asyncio
import importlib
import json
import logging
import pkgutil
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from multidict import CIMultiDict

import miauflixd
from miauflixd.errors import (
    ConflictError,
    MiauflixdError,
    SettingsError,
    StorageFullError,
    TimedOutError,
    UnavailableError,
)
from miauflixd.torrents.reader import NoDataError
from miauflixd.web.byte_ranges import UnsatisfiableRangeError
from miauflixd.web.guards import is_foreign, is_ours
from miauflixd.web.limits import Limits
from miauflixd.web.problems import status_of
from miauflixd.web.server import serve
from miauflixd.web.settings import WebSettings
from tests.contract import kept
from tests.doorstep import expose, open_doorstep
from tests.fakes import FakeTorrents

MAGNET = "magnet:?xt=urn:btih:dd8255ecdc7ca55fb0bbf81323d87062db1f6d1c"
INFO_HASH = "dd8255ecdc7ca55fb0bbf81323d87062db1f6d1c"
METAINFO = b"d4:infod6:lengthi5eee"

LIMITS = Limits(
    json=1000,
    torrent=2000,
    body=timedelta(milliseconds=50),
    heartbeat=timedelta(milliseconds=10),
)


@pytest.fixture
def torrents():
    return FakeTorrents()


@pytest.fixture
async def house(tmp_path):
    async with open_doorstep(tmp_path) as house:
        yield house


@pytest.fixture
def app(house, torrents):
    app = house.app(torrents=torrents, limits=LIMITS)
    with kept(app):
        yield app


@pytest.fixture
async def client(app, house):
    async with TestClient(TestServer(app), headers=house.as_admin) as client:
        yield client


@pytest.fixture
async def url(app):
    async with serve(app, WebSettings(port=0)) as url:
        yield url


async def problem(response: aiohttp.ClientResponse, status: int, code: str) -> dict[str, Any]:
    assert response.status == status
    assert response.content_type == "application/problem+json"
    document: dict[str, Any] = await response.json(content_type=None)
    assert document.keys() - {"errors"} == {
        *("type", "title", "status", "detail", "code", "request_id")
    }
    assert (document["status"], document["code"]) == (status, code)
    assert document["request_id"] == response.headers["X-Request-ID"]
    return document


@asynccontextmanager
async def events(client):
    async with client.get("/api/events") as response:
        assert response.status == 200
        yield response, _events(response)


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    name, data = "", ""
    async for line in response.content:
        match line.decode().rstrip("\n").partition(":")[::2]:
            case "event", value:
                name = value.strip()
            case "data", value:
                data = value.strip()
            case "", "":
                if name:
                    yield name, json.loads(data)
                name = ""
            case _:
                pass


# --- the appliance --------------------------------------------------------------------------------


async def test_it_says_how_it_is_and_what_it_is(client):
    assert await (await client.get("/api/health")).json() == {"status": "ok"}
    server = await (await client.get("/api/server")).json()
    assert (server["version"], server["api"], server["setup_required"]) == ("1.2.3", "1", False)


async def test_every_get_has_a_head(client):
    for path in ("/", "/api/health", "/api/torrents", "/api/events"):
        response = await client.head(path)
        assert (response.status, await response.read()) == (200, b"")


async def test_every_answer_has_an_id_of_ours_and_its_headers(client):
    for path in ("/", "/static/app.js", "/api/health", "/api/none"):
        response = await client.get(path, headers={"X-Request-ID": "mine"})
        assert response.headers["X-Request-ID"] not in {"", "mine"}
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy


# --- adding ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{"magnet": MAGNET}, {"info_hash": INFO_HASH}])
async def test_a_magnet_or_info_hash_is_added_before_anybody_knows_what_it_holds(client, body):
    response = await client.post("/api/torrents", json=body)
    assert response.status == 201
    answer = await response.json()
    assert answer.keys() == {"source_id", "files"}
    assert answer["files"] == []
    assert response.headers["Location"] == f"/api/torrents/{answer['source_id']}"


async def test_adding_twice_is_one_source(client):
    for _ in range(2):
        await client.post("/api/torrents", json={"magnet": MAGNET})
    assert (await (await client.get("/api/torrents")).json())["total"] == 1


async def test_a_torrent_file_is_added_as_a_form_or_as_it_is(client):
    form = aiohttp.FormData()
    form.add_field("torrent", METAINFO, filename="a.torrent")
    raw = {"Content-Type": "application/x-bittorrent"}
    first = await client.post("/api/torrents", data=form)
    second = await client.post("/api/torrents", data=METAINFO, headers=raw)
    for response in (first, second):
        assert response.status == 201
        answer = await response.json()
        assert answer["name"] == "A film"
        assert answer["files"] == [{"index": 0, "name": "film.mkv", "size": len(METAINFO)}]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{}", ""),
        (json.dumps({"magnet": MAGNET, "info_hash": INFO_HASH}), ""),
        (json.dumps({"magnet": 7}), "magnet"),
        (json.dumps({"magnet": None}), "magnet"),
        (json.dumps({"magnet": MAGNET, "colour": 1}), "colour"),
        ("[]", ""),
        ("", ""),
        ("{", ""),
        ('{"magnet":"\xff"}'.encode("latin-1"), ""),
        ('{"magnet":' + "[" * 900, "magnet"),
        ('{"a":' + "[" * 900, "a"),
    ],
)
async def test_a_body_that_makes_no_sense_is_refused_by_field(client, body, field):
    response = await client.post(
        "/api/torrents", data=body, headers={"Content-Type": "application/json"}
    )
    document = await problem(response, 422, "invalid_input")
    assert [error["field"] for error in document["errors"]] == [field]


async def test_what_is_no_torrent_is_refused(client):
    raw = {"Content-Type": "application/x-bittorrent"}
    for response in (
        await client.post("/api/torrents", json={"magnet": "http://example.org"}),
        await client.post("/api/torrents", json={"info_hash": "abc"}),
        await client.post("/api/torrents", data=b"MZ", headers=raw),
    ):
        await problem(response, 422, "bad_torrent")


async def test_only_json_forms_and_torrents_can_be_added(client):
    response = await client.post("/api/torrents", data={"magnet": MAGNET})
    await problem(response, 415, "unsupported_media_type")


async def test_a_compressed_body_is_not_unpacked(client):
    headers = {"Content-Type": "application/json", "Content-Encoding": "x-none"}
    response = await client.post("/api/torrents", data=b"{}", headers=headers)
    await problem(response, 415, "unsupported_media_type")


def parts(*values: tuple[bool, bytes], boundary: str = "--frontier") -> bytes:
    return (
        b"".join(
            boundary.encode()
            + b'\r\nContent-Disposition: form-data; name="f"'
            + (b'; filename="a.torrent"' if is_file else b"")
            + b"\r\n\r\n"
            + value
            + b"\r\n"
            for is_file, value in values
        )
        + boundary.encode()
        + b"--\r\n"
    )


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=" + "x" * 100, b"x"),
        ("multipart/form-data; boundary=frontier", b""),
        ("multipart/form-data; boundary=frontier", b"no such line"),
        ("multipart/form-data; boundary=frontier", b"--frontier\r\n"),
        ("multipart/form-data; boundary=frontier", b"--frontier\r\nno header\r\n\r\nx"),
        ("multipart/form-data; boundary=frontier", b"--frontier--\r\n"),
        ("multipart/form-data; boundary=frontier", parts((False, METAINFO))),
        ("multipart/form-data; boundary=frontier", parts((True, METAINFO), (True, METAINFO))),
        ("multipart/form-data; boundary=frontier", parts((True, METAINFO))[:-20]),
        (
            "multipart/form-data; boundary=frontier",
            b"--frontier\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n--frontier--",
        ),
        (
            "multipart/form-data; boundary=frontier",
            b"--frontier\r\n" + b"X: " + b"y" * 1500 + b"\r\n\r\n",
        ),
    ],
)
async def test_a_broken_form_is_refused(client, content_type, body):
    headers = {"Content-Type": content_type}
    response = await client.post("/api/torrents", data=body, headers=headers)
    await problem(response, 422, "invalid_input")
    assert (await (await client.get("/api/torrents")).json())["total"] == 0


async def many(chunk: bytes, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield chunk


@pytest.mark.parametrize("kind", ["application/json", "application/x-bittorrent"])
async def test_too_much_is_refused_whether_announced_or_not(client, kind):
    headers = {"Content-Type": kind}
    announced = await client.post("/api/torrents", data=b"d" * 5000, headers=headers)
    chunked = await client.post("/api/torrents", data=many(b"d" * 100, 50), headers=headers)
    await problem(announced, 413, "too_large")
    await problem(chunked, 413, "too_large")


async def test_a_form_with_too_large_a_file_is_refused(client):
    headers = {"Content-Type": "multipart/form-data; boundary=frontier"}
    body = parts((True, b"d" * 5000))
    await problem(await client.post("/api/torrents", data=body, headers=headers), 413, "too_large")
    huge = parts((True, b"d" * 100_000))
    await problem(await client.post("/api/torrents", data=huge, headers=headers), 413, "too_large")


# --- looking and removing -------------------------------------------------------------------------


async def test_a_source_is_shown_with_its_state_and_never_with_its_swarm(client, torrents):
    source_id = await torrents.add_magnet(MAGNET)
    torrents.learn(source_id, name="Two films", files={"a.mkv": b"x" * 10, "b.mkv": b"y" * 30})
    torrents.update(source_id, have=10, download_rate=1000, available={1: ((0, 5), (9, 12))})
    response = await client.get(f"/api/torrents/{source_id}")
    shown = await response.json()
    assert shown["state"] == "metadata"
    assert shown["since"] == "2024-05-01T20:15:00Z"
    assert shown["reason"]
    assert shown["next"]
    assert (shown["size"], shown["have"], shown["progress"]) == (40, 10, 0.25)
    assert shown["main_file"] == 1
    assert shown["files"] == [
        {"index": 0, "name": "a.mkv", "size": 10},
        {"index": 1, "name": "b.mkv", "size": 30, "available": [[0, 5], [9, 12]]},
    ]
    text = await response.text()
    assert INFO_HASH not in text
    assert "magnet" not in text
    assert response.headers["Cache-Control"] == "no-store"


async def test_a_list_comes_in_pages_newest_first(client, torrents):
    ids = [await torrents.add_magnet(f"{MAGNET}{number}") for number in range(5)]
    seen: list[str] = []
    sizes: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = await (await client.get("/api/torrents", params=query)).json()
        sizes.append(len(page["items"]))
        assert page["total"] == 5
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ids[::-1]
    assert sizes == [2, 2, 1]


async def test_a_page_stays_in_place_when_its_neighbour_is_removed(client, torrents):
    ids = [await torrents.add_magnet(f"{MAGNET}{number}") for number in range(4)]
    page = await (await client.get("/api/torrents?limit=2")).json()
    await torrents.remove(ids[2])
    rest = await (await client.get(f"/api/torrents?cursor={page['next_cursor']}")).json()
    assert [item["id"] for item in rest["items"]] == [ids[1], ids[0]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("cursor=%C3%A4", "cursor"),
        ("cursor=a", "cursor"),
        ("cursor=W10", "cursor"),
        ("cursor=" + "A" * 600, "cursor"),
        ("colour=1", "colour"),
    ],
)
async def test_a_wrong_page_is_refused_by_field(client, query, field):
    document = await problem(await client.get(f"/api/torrents?{query}"), 422, "invalid_input")
    assert [error["field"] for error in document["errors"]] == [field]


async def test_a_removed_source_is_gone(client, torrents):
    source_id = await torrents.add_magnet(MAGNET)
    response = await client.delete(f"/api/torrents/{source_id}")
    assert (response.status, await response.read()) == (204, b"")
    for method in (client.get, client.delete):
        await problem(await method(f"/api/torrents/{source_id}"), 404, "no_source")


@pytest.mark.parametrize("name", ["x", "..%2f..%2fetc", "%00", "a" * 3000, "%F0%9F%90%B1"])
async def test_an_unknown_source_is_not_found_however_it_is_written(client, name):
    await problem(await client.get(f"/api/torrents/{name}"), 404, "no_source")


# --- the file -------------------------------------------------------------------------------------


FILM = bytes(range(256)) * 40


@pytest.fixture
async def film(torrents):
    source_id = await torrents.add_magnet(MAGNET)
    torrents.learn(source_id, name="A film", files={"a.txt": b"", "film.mkv": FILM})
    return f"/api/stream/{source_id}"


@pytest.mark.parametrize(
    ("asked", "status", "span"),
    [
        ({}, 200, (0, 10240)),
        ({"Range": "bytes=0-0"}, 206, (0, 1)),
        ({"Range": "bytes=100-199"}, 206, (100, 200)),
        ({"Range": "bytes=-40"}, 206, (10200, 10240)),
        ({"Range": "bytes=10000-"}, 206, (10000, 10240)),
        ({"Range": "bytes=500-599, 0-9"}, 206, (500, 600)),
        ({"Range": "bytes=5-4"}, 200, (0, 10240)),
        ({"Range": "nonsense"}, 200, (0, 10240)),
        ({"Range": "bytes=0-9", "If-Range": '"another"'}, 200, (0, 10240)),
    ],
)
async def test_a_range_of_a_film_is_exactly_those_bytes(client, film, asked, status, span):
    response = await client.get(film, headers=asked)
    start, stop = span
    assert (response.status, await response.read()) == (status, FILM[start:stop])
    assert response.headers["Content-Length"] == str(stop - start)
    expected = f"bytes {start}-{stop - 1}/10240" if status == 206 else None
    assert response.headers.get("Content-Range") == expected
    assert response.headers["Accept-Ranges"] == "bytes"


async def test_a_range_behind_the_end_is_told_where_the_end_is(client, film):
    response = await client.get(film, headers={"Range": "bytes=10240-"})
    await problem(response, 416, "range_not_satisfiable")
    assert response.headers["Content-Range"] == "bytes */10240"


async def test_a_film_that_gives_nothing_is_a_problem_and_one_that_stops_is_broken_off(
    app, house, torrents, film
):
    async with (
        serve(app, WebSettings(port=0)) as url,
        aiohttp.ClientSession(headers=house.as_admin) as session,
    ):
        torrents.breaks = (0, NoDataError("Nothing came"))
        await problem(await session.get(url + film), 504, "no_data")
        torrents.breaks = (100, NoDataError("Nothing came"))
        response = await session.get(url + film)
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


# --- live -----------------------------------------------------------------------------------------


async def test_a_listener_hears_of_every_source_and_then_of_each_change(client, torrents):
    source_id = await torrents.add_magnet(MAGNET)
    async with events(client) as (_, heard):
        name, source = await anext(heard)
        assert (name, source["id"], source["name"]) == ("torrent", source_id, None)
        name, tunnel = await anext(heard)
        assert (name, tunnel["state"]) == ("tunnel", "off")
        assert await anext(heard) == ("ready", {})
        torrents.learn(source_id, name="A film", files={"a.mkv": b"x"})
        name, source = await anext(heard)
        assert (name, source["name"]) == ("torrent", "A film")
        assert source == await (await client.get(f"/api/torrents/{source_id}")).json()
        await torrents.remove(source_id)
        assert await anext(heard) == ("torrent", {"id": source_id, "removed": True})


async def test_events_keep_a_quiet_connection_alive(client):
    async with events(client) as (response, _):
        async for line in response.content:
            if line.startswith(b":"):
                return


async def test_a_listener_that_goes_is_forgotten(client, torrents):
    async with events(client) as (_, heard):
        await anext(heard)
        assert len(torrents._changes._listeners) == 1
    async with asyncio.timeout(5):
        while torrents._changes._listeners:  # nobody tells when one has gone
            await asyncio.sleep(0.01)


# --- the page -------------------------------------------------------------------------------------


async def test_the_page_is_asked_for_again_but_sent_only_when_it_changed(client):
    for path in ("/", "/static/app.js", "/static/app.css", "/static/icon.svg"):
        first = await client.get(path)
        assert first.headers["Cache-Control"] == "no-cache"
        again = await client.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status, await again.read()) == (304, b"")


async def test_the_page_needs_nothing_that_its_policy_forbids(client):
    text = await (await client.get("/")).text()
    for forbidden in ("<style", " style=", " onclick", "http://", "https://", "<script>"):
        assert forbidden not in text


@pytest.mark.parametrize(
    "path", ["/static/", "/static/none.js", "/static/..%2Fsettings.py", "/static/%2Fetc%2Fpasswd"]
)
async def test_nothing_but_the_page_is_served(client, path):
    await problem(await client.get(path), 404, "not_found")


# --- who may ask ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://nas:80", "Host": "nas:80"}, True),
        ({"Origin": "http://nas:8484", "Host": "nas:8484"}, False),
        ({"Origin": "https://NAS", "Host": "nas"}, False),
        ({"Origin": "http://nas:1", "Host": "nas:8484"}, True),
        ({"Origin": "http://evil.example", "Host": "nas"}, True),
        ({"Origin": "null", "Host": "nas"}, True),
        ({"Origin": "", "Host": "nas"}, True),
    ],
)
def test_another_sites_page_is_told_from_ours(headers, foreign):
    assert is_foreign(CIMultiDict(headers), headers.get("Host")) is foreign


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1", True),
        ("192.168.1.7:8484", True),
        ("[::1]:8484", True),
        ("[fe80::1]", True),
        ("localhost:8484", True),
        ("LOCALHOST", True),
        ("films.local", True),
        ("films.local.:80", True),
        ("nas", True),
        ("NAS:8484", True),
        ("nas.evil.example", False),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("local", False),
        ("nas:80:80", False),
        ("nas:evil", False),
        ("[evil.example]", False),
        ("", False),
    ],
)
def test_a_host_is_ours_only_when_nobody_else_can_point_it_here(host, ours):
    assert is_ours(host, {"nas"}) is ours


async def test_another_sites_page_may_not_change_anything(client, torrents):
    source_id = await torrents.add_magnet(MAGNET)
    foreign = {"Origin": "http://evil.example"}
    response = await client.delete(f"/api/torrents/{source_id}", headers=foreign)
    await problem(response, 403, "foreign_origin")
    assert len(torrents.sources()) == 1


async def test_a_name_that_is_not_ours_gets_no_answer(client):
    for path in ("/", "/api/torrents", "/api/none"):
        response = await client.get(path, headers={"Host": "evil.example"})
        await problem(response, 403, "unknown_host")


# --- errors ---------------------------------------------------------------------------------------


def every_error(kind: type[MiauflixdError] = MiauflixdError) -> Iterator[type[MiauflixdError]]:
    for module in pkgutil.walk_packages(miauflixd.__path__, "miauflixd."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for error in kind.__subclasses__():
        yield error
        yield from every_error(error)


def test_every_error_that_a_request_can_meet_is_of_a_kind_that_http_knows():
    # These are nobody's doing who asks: they end the process, or are a mistake of ours.
    ours = {
        *("SettingsError", "ServiceExitedError", "EngineDiedError", "DaemonDiedError"),
        *("KeeperDiedError", "RefusedError", "PrivilegesError"),
        *("DatabaseUnusableError", "MigrationFailedError", "UnsealError"),
        "VaultError",
        "CleanUpError",  # is only ever what became of a task
    }
    unknown = [
        error.__name__
        for error in every_error()
        if status_of(error.__new__(error)) == 500
        and not ours & {kind.__name__ for kind in error.__mro__}
    ]
    assert unknown == []


async def answer_from(app: web.Application, raises: Exception) -> aiohttp.ClientResponse:
    """Return the client's answer of an application whose `/x` raises this."""

    async def handler(request):
        raise raises

    expose(app, "/x", handler)
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/x")
        await response.read()
        return response


@pytest.mark.parametrize(
    ("error", "status", "code", "headers"),
    [
        (ConflictError("No"), 409, "conflict", {}),
        (UnavailableError("No"), 503, "unavailable", {"Retry-After": "5"}),
        (TimedOutError("No"), 504, "timed_out", {}),
        (StorageFullError("No"), 507, "storage_full", {}),
        (
            UnsatisfiableRangeError(7),
            416,
            "range_not_satisfiable",
            {"Content-Range": "bytes */7"},
        ),
    ],
)
async def test_an_error_is_answered_by_its_kind(app, error, status, code, headers):
    response = await answer_from(app, error)
    document = await problem(response, status, code)
    assert document["detail"] == str(error)
    assert headers.items() <= dict(response.headers).items()


@pytest.mark.parametrize("error", [ZeroDivisionError("/etc/secret"), SettingsError("/etc/secret")])
async def test_a_mistake_of_ours_is_logged_once_and_tells_nothing(app, error, caplog):
    response = await answer_from(app, error)
    document = await problem(response, 500, "internal")
    assert "secret" not in await response.text()
    (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert document["request_id"] in record.getMessage()
    assert record.exc_info


async def test_a_redirect_is_no_problem(app):
    response = await answer_from(app, web.HTTPFound("/api/health"))
    assert await response.json() == {"status": "ok"}


async def test_what_is_not_there_or_not_possible_is_a_problem_too(client):
    await problem(await client.get("/api/none"), 404, "not_found")
    response = await client.put("/api/torrents")
    await problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "GET,HEAD,POST"


# --- the connection -------------------------------------------------------------------------------


@asynccontextmanager
async def connected(
    url: str,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def exchange(url: str, sent: bytes) -> bytes:
    """Send bytes, and return everything that comes back until the connection is closed."""
    async with connected(url) as (reader, writer):
        writer.write(sent)
        return await reader.read()


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"\x16\x03\x01\x00\x00\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400, "bad_request"),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 431, "headers_too_large"),
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
            431,
            "headers_too_large",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 100 + b"\r\n",
            400,
            "bad_request",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: miracles\r\n\r\n",
            417,
            "expectation_failed",
        ),
        (
            (
                b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
            ),
            400,
            "bad_request",
        ),
    ],
)
async def test_what_is_no_request_is_a_problem_and_ends_the_connection(
    url, caplog, sent, status, code
):
    got, headers, body = parsed(await exchange(url, sent))
    document = json.loads(body)
    assert (got, document["status"], document["code"]) == (status, status, code)
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == document["request_id"]
    assert headers["x-content-type-options"] == "nosniff"
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


async def test_a_body_that_never_arrives_is_not_waited_for(url):
    async with connected(url) as (reader, writer):
        writer.write(
            b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
        )
        answer = await reader.readuntil(b"}")
    status, _, body = parsed(answer)
    assert (status, json.loads(body)["code"]) == (408, "request_timeout")


async def test_an_old_client_without_a_host_is_served(url):
    status, _, body = parsed(await exchange(url, b"GET /api/health HTTP/1.0\r\n\r\n"))
    assert (status, body) == (200, b'{"status":"ok"}')


@pytest.mark.parametrize("sends_first", [b"", b"half of it"])
@pytest.mark.parametrize(
    "error", [ZeroDivisionError("x"), TimedOutError("x"), web.HTTPNotFound(), OSError("x")]
)
async def test_an_answer_that_has_begun_is_broken_off_and_never_followed_by_a_problem(
    app, error, sends_first
):
    async def handler(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        if sends_first:
            await response.write(sends_first)
        raise error

    expose(app, "/x", handler)
    async with serve(app, WebSettings(port=0)) as url:
        answer = await exchange(url, b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"problem" not in answer
    assert answer.partition(b"\r\n\r\n")[2] == sends_first


async def test_an_open_stream_does_not_keep_the_server_from_stopping(app, house):
    async with aiohttp.ClientSession(headers=house.as_admin) as session:
        async with serve(app, WebSettings(port=0)) as url:
            response = await session.get(f"{url}/api/events")
            assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_port_in_use_is_named_with_a_way_out(app):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"web\.port: {port} is in use.*another port"):
            async with serve(app, WebSettings(port=port)):
                pass


async def test_an_address_of_another_machine_is_named_with_a_way_out(app):
    with pytest.raises(SettingsError, match=r"web\.host: '192.0.2.1' is no address.*0\.0\.0\.0"):
        async with serve(app, WebSettings(host="192.0.2.1", port=0)):
            pass


async def test_a_unix_socket_is_for_the_group_and_gone_afterwards(app, tmp_path):
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))  # what a crash leaves behind
    async with serve(app, WebSettings(port=0, unix_socket=path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        connector = aiohttp.UnixConnector(str(path))
        async with aiohttp.ClientSession(connector=connector) as session:
            response = await session.get("http://localhost/api/health")
            assert await response.json() == {"status": "ok"}
    assert not path.exists()


async def test_a_unix_socket_in_use_is_left_alone(app, tmp_path):
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(SettingsError, match="another program"):
            async with serve(app, WebSettings(port=0, unix_socket=path)):
                pass
    assert path.exists()


async def test_a_file_where_the_unix_socket_should_be_is_left_alone(app, tmp_path):
    path = tmp_path / "web.sock"
    path.write_text("precious")
    with pytest.raises(SettingsError, match="no socket"):
        async with serve(app, WebSettings(port=0, unix_socket=path)):
            pass
    assert path.read_text() == "precious"


async def test_a_folder_that_is_not_there_is_named(app, tmp_path):
    with pytest.raises(SettingsError, match=r"web\.unix_socket: cannot use"):
        async with serve(app, WebSettings(port=0, unix_socket=tmp_path / "no" / "web.sock")):
            pass
