"""The HTTP client: what it brings, and where it does not go."""

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from miauflixd.egress.client import HttpClient, Response
from miauflixd.egress.clients import host_client, open_client
from miauflixd.egress.errors import EgressError

KIB = 2**10


class Site:
    """A web site on the loopback whose pages are functions."""

    def __init__(self, **pages: Callable[[web.Request], object]) -> None:
        self.pages = pages
        self.seen: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.origin = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        self.bodies.append(await request.read())
        made = self.pages[request.path.strip("/") or "index"](request)
        if asyncio.iscoroutine(made):
            made = await made
        assert isinstance(made, web.StreamResponse)
        return made

    def url(self, path: str = "/") -> str:
        return self.origin + path

    @property
    def headers(self):
        return self.seen[-1].headers


@asynccontextmanager
async def up(
    site: Site, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Site]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.answer)
    server = TestServer(app, host=host, scheme="https" if tls else "http")
    await server.start_server(ssl=tls)
    try:
        site.origin = str(server.make_url("/")).rstrip("/")
        yield site
    finally:
        await server.close()


def text(body: str = "hello", **options) -> Callable[[web.Request], web.Response]:
    return lambda _request: web.Response(text=body, **options)


def to(location: str, status: int = 302) -> Callable[[web.Request], web.Response]:
    return lambda _request: web.Response(status=status, headers={"Location": location})


async def get(client: HttpClient, url: str, *allow: str, **options) -> Response:
    options = {"timeout": 5, "limit": 64 * KIB, **options}
    return await client.request("GET", url, allow=allow, **options)


async def refusal(client: HttpClient, url: str, *allow: str, **options) -> EgressError:
    with pytest.raises(EgressError) as raised:
        await get(client, url, *allow, **options)
    return raised.value


# --- what it brings -------------------------------------------------------------------------------


async def test_an_answer_comes_whole_whatever_its_status():
    site = Site(missing=text("not here", status=404, headers={"X-Kind": "a"}))
    async with up(site), host_client() as client:
        answer = await get(client, site.url("/missing?q=1"), site.origin)
    assert (answer.status, answer.body) == (404, b"not here")
    assert answer.headers["x-kind"] == "a"
    assert answer.url == site.url("/missing?q=1")


async def test_json_and_forms_are_sent_as_what_they_are():
    site = Site(index=text())
    async with up(site), host_client() as client:
        for body in ({"json": {"a": [1, "é"]}}, {"data": {"b": "x y"}}, {"data": b"raw"}):
            await client.request(
                "POST", site.url(), timeout=5, limit=KIB, allow=[site.origin], **body
            )
    assert site.bodies == ['{"a":[1,"é"]}'.encode(), b"b=x+y", b"raw"]
    kinds = [request.headers["Content-Type"] for request in site.seen]
    assert kinds[:2] == ["application/json", "application/x-www-form-urlencoded"]


async def test_a_packed_answer_is_unpacked_also_one_in_several_parts():
    packed = gzip.compress(b"one ", mtime=0) + gzip.compress(b"two")
    site = Site(index=lambda _: web.Response(body=packed, headers={"Content-Encoding": "gzip"}))
    async with up(site), host_client() as client:
        assert (await get(client, site.url(), site.origin)).body == b"one two"
    assert site.headers["Accept-Encoding"] == "gzip"


async def test_a_head_has_no_body_but_the_length_of_one():
    site = Site(index=text("x" * KIB))
    async with up(site), host_client() as client:
        answer = await client.request("HEAD", site.url(), timeout=5, limit=1, allow=[site.origin])
    assert (answer.body, answer.headers["Content-Length"]) == (b"", "1024")


async def test_we_tell_providers_who_we_are_and_everybody_else_nothing():
    site = Site(index=text())
    async with up(site):
        async with host_client() as client:
            await get(client, site.url(), site.origin)
        assert site.headers["User-Agent"].startswith("miauflixd/")
        async with open_client() as client:
            await get(client, site.url(), site.origin)
    told = str(site.headers).lower()
    assert not any(word in told for word in ("miauflix", "python", "aiohttp"))


async def test_cookies_are_not_kept():
    site = Site(index=text(headers={"Set-Cookie": "id=1; Path=/"}))
    async with up(site), host_client() as client:
        for _ in range(2):
            await get(client, site.url(), site.origin)
    assert "Cookie" not in site.headers


async def test_proxies_and_passwords_of_the_environment_are_not_used(monkeypatch, tmp_path):
    site = Site(index=text())
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with up(site), host_client() as client:
        assert (await get(client, site.url(), site.origin)).status == 200
    assert "Authorization" not in site.headers


# --- where it does not go -------------------------------------------------------------------------

PRIVATE = [
    "http://127.0.0.1:{port}/",
    "http://127.0.0.2:{port}/",
    "http://localhost:{port}/",
    "http://0.0.0.0:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://10.1.2.3/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://192.168.1.1/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://[ff02::1]/",
    "http://224.0.0.251/",
]


@pytest.mark.parametrize("where", PRIVATE)
async def test_a_private_address_is_not_asked(where):
    site = Site(index=text("secret"))
    async with up(site), host_client() as client:
        error = await refusal(client, where.format(port=site.origin.rsplit(":")[-1]))
    assert error.reason == "refused"
    assert error.code == "egress_failed"
    assert site.seen == []


@pytest.mark.parametrize("where", PRIVATE)
@pytest.mark.parametrize("status", [301, 307])
async def test_nor_does_a_redirect_lead_there(where, status):
    inner = Site(index=text("secret"))
    site = Site()
    async with up(inner), up(site), host_client() as client:
        port = inner.origin.rsplit(":")[-1]
        site.pages["index"] = to(where.format(port=port), status)
        error = await refusal(client, site.url(), site.origin)
    assert error.reason == "refused"
    assert inner.seen == []


@pytest.mark.parametrize(
    "where",
    [
        "file:///etc/passwd",
        "ftp://1.1.1.1/",
        "javascript:alert(1)",
        "gopher://127.0.0.1:6379/_",
        "http://[",
        "//:80",
        "http://1.1.1.1:0/",
        "http://1.1.1.1:99999/",
        "unix:///run/docker.sock",
    ],
)
async def test_what_is_no_address_of_the_web_is_refused_directly_and_as_a_redirect(where):
    site = Site(index=to(where))
    async with up(site), host_client() as client:
        assert (await refusal(client, where)).reason == "refused"
        assert (await refusal(client, site.url(), site.origin)).reason == "refused"


@pytest.mark.parametrize("where", ["", "/path", "http://", "http:///path", "example.org"])
async def test_an_address_without_a_host_is_none(where):
    async with host_client() as client:
        assert (await refusal(client, where)).reason == "refused"


async def test_an_origin_that_was_allowed_is_its_port_too():
    site, other = Site(index=text()), Site(index=text())
    async with up(site), up(other), host_client() as client:
        assert (await refusal(client, other.url(), site.origin)).reason == "refused"


async def test_a_connection_that_was_allowed_once_is_not_used_when_it_is_not():
    site = Site(index=text())
    async with up(site), host_client() as client:
        assert (await get(client, site.url(), site.origin)).status == 200
        assert (await refusal(client, site.url())).reason == "refused"
    assert len(site.seen) == 1


# --- redirects ------------------------------------------------------------------------------------


async def test_redirects_are_followed_five_times_and_not_six():
    site = Site(end=text("there"), **{f"r{n}": to(f"r{n - 1}") for n in range(1, 7)}, r0=to("end"))
    async with up(site), host_client() as client:
        answer = await get(client, site.url("/r4#part"), site.origin)
        assert (answer.body, answer.url) == (b"there", site.url("/end"))
        error = await refusal(client, site.url("/r5"), site.origin)
    assert error.reason == "refused"


async def test_a_magnet_link_is_an_answer():
    magnet = "magnet:?xt=urn:btih:" + "0" * 40 + "&dn=A%20Film&tr=udp%3A%2F%2Ft%3A1"
    site = Site(index=to("download"), download=to(magnet))
    async with up(site), host_client() as client:
        answer = await get(client, site.url(), site.origin)
        assert (answer.status, answer.url, answer.body) == (302, magnet, b"")
        with pytest.raises(EgressError):
            async with client.stream("GET", site.url(), timeout=5, allow=[site.origin]):
                pass


async def test_credentials_stay_with_the_host_that_they_were_meant_for():
    secrets = {"Authorization": "Bearer s", "X-Api-Key": "s", "Cookie": "s=s", "Accept": "a/b"}
    first, second = Site(same=to("again"), again=text()), Site(index=text())
    async with up(first), up(second), host_client() as client:
        first.pages["other"] = to(second.url().replace("http://", "http://me:pw@"))
        both = [first.origin, second.origin]
        await get(client, first.url("/same"), *both, headers=secrets)
        assert first.headers["X-Api-Key"] == "s"
        answer = await get(client, first.url("/other"), *both, headers=secrets)
    assert second.headers["Accept"] == "a/b"
    assert not {"Authorization", "X-Api-Key", "Cookie", "Referer"} & set(second.headers)
    assert "pw" not in answer.url


async def test_what_was_posted_goes_to_nobody_else():
    first, second = Site(same=to("index", 307), index=text()), Site(index=text())
    async with up(first), up(second), host_client() as client:
        first.pages["kept"] = to(second.url(), 307)
        first.pages["dropped"] = to(second.url(), 303)
        options: dict[str, Any] = {
            "allow": [first.origin, second.origin],
            "timeout": 5,
            "limit": KIB,
        }
        await client.request("POST", first.url("/same"), json={"a": 1}, **options)
        assert (first.seen[-1].method, first.bodies[-1]) == ("POST", b'{"a":1}')
        with pytest.raises(EgressError):
            await client.request("POST", first.url("/kept"), json={"a": 1}, **options)
        assert second.seen == []
        await client.request("POST", first.url("/dropped"), json={"a": 1}, **options)
    assert (second.seen[-1].method, second.bodies[-1]) == ("GET", b"")
    assert "application/json" not in second.headers.values()


async def test_a_redirect_without_a_target_is_the_answer():
    site = Site(index=lambda _: web.Response(status=304))
    async with up(site), host_client() as client:
        assert (await get(client, site.url(), site.origin)).status == 304


# --- limits ---------------------------------------------------------------------------------------


def endless(piece: bytes, **headers: str):
    async def page(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for _ in range(10_000):
            await response.write(piece)
        return response

    return page


async def test_a_body_may_be_as_long_as_the_limit_and_no_longer():
    site = Site(index=text("x" * KIB))
    async with up(site), host_client() as client:
        assert len((await get(client, site.url(), site.origin, limit=KIB)).body) == KIB
        assert (await refusal(client, site.url(), site.origin, limit=KIB - 1)).reason == "too_large"


async def test_a_body_that_does_not_end_is_left():
    site = Site(index=endless(b"x" * KIB))
    async with up(site), host_client() as client:
        assert (await refusal(client, site.url(), site.origin)).reason == "too_large"


async def test_a_bomb_is_unpacked_only_to_the_limit():
    bomb = gzip.compress(bytes(200 * KIB * KIB), 9)  # 200 MiB in 200 KiB
    site = Site(index=lambda _: web.Response(body=bomb, headers={"Content-Encoding": "gzip"}))
    async with up(site), host_client() as client:
        error = await refusal(client, site.url(), site.origin, limit=KIB * KIB)
    assert error.reason == "too_large"


async def test_parts_that_unpack_to_nothing_are_not_taken_for_ever():
    site = Site(index=endless(gzip.compress(b"", mtime=0) * 50, **{"Content-Encoding": "gzip"}))
    async with up(site), host_client() as client:
        assert (await refusal(client, site.url(), site.origin)).reason == "too_large"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"this is not packed"),
        ("gzip", gzip.compress(b"x" * KIB, mtime=0)[:40] + b"garbage" * 9),
        ("br", b"x"),
        ("deflate", zlib.compress(b"x")),
    ],
)
async def test_an_answer_that_cannot_be_unpacked_is_none(encoding, body):
    site = Site(index=lambda _: web.Response(body=body, headers={"Content-Encoding": encoding}))
    async with up(site), host_client() as client:
        assert (await refusal(client, site.url(), site.origin)).reason == "protocol"


async def test_a_packed_answer_that_ends_too_early_is_none():
    body = gzip.compress(bytes(range(256)) * 9)[:-20]
    site = Site(index=lambda _: web.Response(body=body, headers={"Content-Encoding": "gzip"}))
    async with up(site), host_client() as client:
        assert (await refusal(client, site.url(), site.origin)).reason == "protocol"


async def test_a_server_that_is_slow_has_only_its_time():
    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async def slow_body(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await asyncio.sleep(5)
        return response

    site = Site(slow=slow, body=slow_body)
    async with up(site), host_client() as client:
        for path in ("/slow", "/body"):
            error = await refusal(client, site.url(path), site.origin, timeout=0.1)
            assert error.reason == "timeout"


async def test_the_deadline_is_that_of_all_hops():
    async def again(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.15)
        return web.Response(status=302, headers={"Location": "/again"})

    site = Site(again=again)
    async with up(site), host_client() as client:
        error = await refusal(client, site.url("/again"), site.origin, timeout=0.4)
    assert error.reason == "timeout"
    assert len(site.seen) <= 3


async def test_an_answer_that_breaks_off_is_none():
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"x")
        assert request.transport is not None
        request.transport.close()
        return response

    site = Site(index=broken)
    async with up(site), host_client() as client:
        assert (await refusal(client, site.url(), site.origin)).reason == "protocol"


async def test_what_is_no_http_is_none():
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server, host_client() as client:
        origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert (await refusal(client, origin, origin)).reason == "protocol"


async def test_where_nobody_listens_it_says_so_and_keeps_the_address_to_itself():
    async with up(Site()) as site:
        origin = site.origin
    async with host_client() as client:
        secret = origin.replace("http://", "http://me:hunter2@") + "/path?apikey=hunter2"
        error = await refusal(client, secret, origin)
    assert error.reason == "connect"
    assert "127.0.0.1" in str(error)
    assert "hunter2" not in f"{error} {error!r}"
    assert "path" not in str(error)


async def test_a_name_without_an_address_is_said_to_have_none():
    async with host_client() as client:
        error = await refusal(client, "http://nowhere.invalid/")
    assert error.reason == "name"


# --- certificates ---------------------------------------------------------------------------------


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def trusting(authority, tmp_path) -> Callable[[], AbstractAsyncContextManager[HttpClient]]:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return lambda: host_client(authorities=str(path))


def certified(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_a_certificate_of_a_trusted_authority_with_the_right_name_is_good(
    authority, trusting
):
    site = Site(index=text())
    async with up(site, tls=certified(authority, "127.0.0.1")), trusting() as client:
        assert (await get(client, site.url(), site.origin)).status == 200


async def test_a_wrong_name_or_an_unknown_authority_is_refused(authority, trusting):
    wrong, unknown = Site(index=text()), Site(index=text())
    async with (
        up(wrong, tls=certified(authority, "other.example")),
        up(unknown, tls=certified(trustme.CA(), "127.0.0.1")),
        trusting() as client,
    ):
        for site in (wrong, unknown):
            assert (await refusal(client, site.url(), site.origin)).reason == "tls"
        async with host_client() as plain:
            assert (await refusal(plain, wrong.url(), wrong.origin)).reason == "tls"
    assert wrong.seen == unknown.seen == []


async def test_nobody_is_led_from_https_to_http(authority, trusting):
    plain = Site(index=text())
    site = Site()
    async with (
        up(plain),
        up(site, tls=certified(authority, "127.0.0.1")),
        trusting() as client,
    ):
        site.pages["index"] = to(plain.url())
        error = await refusal(client, site.url(), site.origin, plain.origin)
    assert error.reason == "refused"
    assert plain.seen == []


# --- streams --------------------------------------------------------------------------------------


async def test_a_stream_comes_piece_by_piece_by_range_and_as_it_lies_there():
    content = bytes(range(256)) * 4 * KIB

    def ranged(request: web.Request) -> web.Response:
        part = request.http_range
        return web.Response(status=206, body=content[part])

    site = Site(index=to("film"), film=ranged)
    wanted = {"Range": "bytes=1000-700000"}
    async with (
        up(site),
        host_client() as client,
        client.stream("GET", site.url(), headers=wanted, timeout=5, allow=[site.origin]) as stream,
    ):
        assert (stream.status, stream.url) == (206, site.url("/film"))
        pieces = [piece async for piece in stream.chunks()]
    assert b"".join(pieces) == content[1000:700001]
    assert len(pieces) > 1
    assert site.headers["Accept-Encoding"] == "identity"


async def test_a_stream_can_be_left_at_any_time():
    site = Site(index=endless(bytes(64 * KIB)))
    async with up(site), host_client() as client:
        for _ in range(40):  # more than there may be at once
            async with client.stream("GET", site.url(), timeout=5, allow=[site.origin]) as stream:
                assert await anext(stream.chunks())


async def test_a_stream_that_stalls_is_an_error_of_its_reader():
    async def stalling(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await asyncio.sleep(5)
        return response

    site = Site(index=stalling)
    async with (
        up(site),
        host_client() as client,
        client.stream("GET", site.url(), timeout=0.2, allow=[site.origin]) as stream,
    ):
        chunks = stream.chunks()
        assert await anext(chunks) == b"x"
        with pytest.raises(EgressError) as raised:
            await anext(chunks)
    assert raised.value.reason == "timeout"


async def test_a_stream_that_comes_packed_all_the_same_is_refused():
    site = Site(
        index=lambda _: web.Response(
            body=gzip.compress(b"x", mtime=0), headers={"Content-Encoding": "gzip"}
        )
    )
    async with up(site), host_client() as client:
        with pytest.raises(EgressError):
            async with client.stream("GET", site.url(), timeout=5, allow=[site.origin]):
                pass


async def test_more_requests_than_may_be_under_way_wait_for_their_turn():
    busy = most = 0

    async def counting(_request: web.Request) -> web.Response:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.01)
        busy -= 1
        return web.Response()

    site = Site(index=counting)
    async with up(site), host_client() as client, asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(get(client, site.url(), site.origin))
    assert len(site.seen) == 100
    assert most <= 32
