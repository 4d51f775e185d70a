"""What is hidden in requests stays hidden to nobody: through a real nginx, and past it."""

import asyncio
import json
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from miauflixd.runtime.secrets import Secret
from miauflixd.web.limits import ConnectionLimits, Limits
from miauflixd.web.server import serve
from miauflixd.web.settings import WebSettings
from tests.doorstep import open_doorstep
from tests.web_house import Web, open_web

PROXY_SECRET = "a-secret-between-two-programs"
CLIENT = "127.0.0.5"
"""Where the client is; on the loopback, but neither the daemon's address nor the proxy's."""
PATIENCE = 1.5
"""Seconds; for the daemon not to lose it before others were served."""
MADE_UP = "198.51.100.66"
"""Where the client pretends to be."""

CONF = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    # As lenient as it can be: what it lets through, the daemon has to withstand.
    underscores_in_headers on;
    ignore_invalid_headers off;
    large_client_header_buffers 8 64k;
    upstream daemon {{ server {upstream}; keepalive 1; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://daemon;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $host;
            proxy_set_header X-Miauflix-Proxy-Secret {secret};
        }}
    }}
}}
"""


@asynccontextmanager
async def nginx(folder: Path, upstream: str) -> AsyncIterator[int]:
    """Run nginx before a daemon, and yield its port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    folder.mkdir()
    conf = folder / "nginx.conf"
    conf.write_text(CONF.format(folder=folder, upstream=upstream, port=port, secret=PROXY_SECRET))
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert program is not None, "nginx is not installed"
    running = await asyncio.create_subprocess_exec(
        program, "-c", str(conf), "-e", str(folder / "error.log")
    )
    try:
        async with asyncio.timeout(10):
            while not (await reaches(port)):
                assert running.returncode is None, (folder / "error.log").read_text()
                await asyncio.sleep(0.02)
        yield port
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()


async def reaches(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


@pytest.fixture(params=["over the unix socket", "over TCP, with the secret"])
async def proxied(request, tmp_path):
    """Yield the house, and the port of the nginx before it."""
    over_unix = request.param == "over the unix socket"
    settings: dict[str, Any] = (
        {"unix_socket": tmp_path / "web.sock"}
        if over_unix
        else {"trusted_proxies": ["127.0.0.1"], "proxy_secret": Secret(PROXY_SECRET)}
    )
    async with AsyncExitStack() as stack:
        web = await stack.enter_async_context(open_web(tmp_path, **settings))
        await web.add("ben")
        upstream = f"unix:{tmp_path}/web.sock" if over_unix else web.url.removeprefix("http://")
        yield web, await stack.enter_async_context(nginx(tmp_path / "nginx", upstream))


async def say(port: int, *parts: bytes) -> bytes:
    """Send bytes from where the client is, and return all that comes back in a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(CLIENT, 0))
    answer = b""
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(1):
            while more := await reader.read(2**16):
                answer += more
    except (TimeoutError, ConnectionError):
        pass  # what waits for more of a request, or was hung up on, has said what it had to
    finally:
        writer.close()
    return answer


def statuses(answer: bytes) -> list[int]:
    """Return the status of each answer in what came back; aiohttp refuses in HTTP/1.0."""
    return [int(one) for one in re.findall(rb"^HTTP/1\.[01] (\d{3}) ", answer, re.MULTILINE)]


def body(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


HIDDEN = json.dumps({"email": "ben@example.org", "password": "wrong password"}).encode()
SMUGGLED = (
    b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(HIDDEN), HIDDEN)
)
"""A failed sign-in, which the audit would know of."""
END = b"0\r\n\r\n"

HEAD = b"POST /api/auth/logout HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LENGTH_OF_ALL = b"Content-Length: %d\r\n" % len(END + SMUGGLED)
CHUNK = b"%x\r\n%s\r\n" % (len(SMUGGLED), SMUGGLED)

PAIRS = {
    "CL.TE": HEAD + LENGTH_OF_ALL + b"Transfer-Encoding: chunked\r\n\r\n" + END + SMUGGLED,
    "TE.CL": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + CHUNK + END,
    "another case": HEAD + LENGTH_OF_ALL + b"tRANSFER-eNCODING: CHUNKED\r\n\r\n" + END + SMUGGLED,
    "a space before the colon": HEAD
    + LENGTH_OF_ALL
    + b"Transfer-Encoding : chunked\r\n\r\n"
    + END
    + SMUGGLED,
    "an underscore": HEAD + LENGTH_OF_ALL + b"Transfer_Encoding: chunked\r\n\r\n" + END + SMUGGLED,
    "a tab": HEAD + LENGTH_OF_ALL + b"Transfer-Encoding:\tchunked\r\n\r\n" + END + SMUGGLED,
    "a vertical tab": HEAD
    + LENGTH_OF_ALL
    + b"Transfer-Encoding: \x0bchunked\r\n\r\n"
    + END
    + SMUGGLED,
    "not quite chunked": HEAD
    + LENGTH_OF_ALL
    + b"Transfer-Encoding: xchunked\r\n\r\n"
    + END
    + SMUGGLED,
    "chunked twice": HEAD
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"
    + b"Content-Length: 4\r\n\r\n"
    + CHUNK
    + END,
    "a folded line": HEAD
    + LENGTH_OF_ALL
    + b"X-Folded: a\r\n Transfer-Encoding: chunked\r\n\r\n"
    + END
    + SMUGGLED,
    "two lengths": HEAD + b"Content-Length: 0\r\n" + LENGTH_OF_ALL + b"\r\n" + END + SMUGGLED,
    "a length with a sign": HEAD + b"Content-Length: +5\r\n\r\n" + END + SMUGGLED,
    "a chunk size with 0x": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x%s" % CHUNK + END,
    "a length that hides in a name": HEAD + b"Content-Length\x00: 5\r\n\r\n" + END + SMUGGLED,
}


async def signed_in_badly(web: Web) -> bool:
    return "sign_in_failed" in await web.noted()


async def others_are_served(port: int) -> None:
    """See to it that nobody gets an answer that was for somebody else."""
    for path, name in (("server", "version"), ("health", "status"), ("server", "version")):
        answer = await say(port, get(f"/api/{path}", "Connection: close"))
        assert statuses(answer) == [200]
        assert name in body(answer)


def get(path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


async def where(web: Web, port: int, *headers: str) -> Any:
    """Ask for where one is taken to be; `None` when that was refused as no HTTP."""
    token = await web.token_of(await web.admin())
    answer = await say(
        port, get("/api/ip", "Connection: close", f"Authorization: Bearer {token}", *headers)
    )
    if statuses(answer) == [400]:
        return None
    assert statuses(answer) == [200], answer
    return body(answer)


@pytest.mark.foreign
async def test_what_is_asked_openly_is_done(proxied):
    web, port = proxied
    assert statuses(await say(port, SMUGGLED)) == [401]
    assert await signed_in_badly(web)


@pytest.mark.foreign
@pytest.mark.parametrize("name", PAIRS)
async def test_no_request_hides_in_the_body_of_another_behind_nginx(proxied, name):
    web, port = proxied
    answers = statuses(await say(port, PAIRS[name]))
    await others_are_served(port)
    assert not await signed_in_badly(web)
    assert len(answers) <= 1


@pytest.mark.parametrize("name", PAIRS)
async def test_no_request_hides_in_the_body_of_another_without_a_proxy(tmp_path, name):
    async with open_web(tmp_path) as web:
        await web.add("ben")
        port = int(web.url.rpartition(":")[2])
        answers = statuses(await say(port, PAIRS[name]))
        await others_are_served(port)
        assert not await signed_in_badly(web)
        assert len(answers) <= 1


SPOOFS = {
    "the header itself": [f"X-Forwarded-For: {MADE_UP}"],
    "twice": [f"X-Forwarded-For: {MADE_UP}", f"X-Forwarded-For: {MADE_UP}"],
    "many hops": [f"X-Forwarded-For: {MADE_UP}, 127.0.0.1, {MADE_UP}"],
    "ending in a comma": [f"X-Forwarded-For: {MADE_UP},"],
    "an underscore": [f"X_Forwarded_For: {MADE_UP}"],
    "a space": [f"X-Forwarded-For : {MADE_UP}"],
    "a leading space": [f" X-Forwarded-For: {MADE_UP}"],
    "a tab": [f"X-Forwarded-For\t: {MADE_UP}"],
    "a folded line": ["X-Forwarded-For: 127.0.0.1", f" {MADE_UP}"],
    "a bare line feed": [f"X-Other: a\nX-Forwarded-For: {MADE_UP}"],
    "a bare carriage return": [f"X-Other: a\rX-Forwarded-For: {MADE_UP}"],
    "other headers": [
        f"Forwarded: for={MADE_UP}",
        f"X-Real-IP: {MADE_UP}",
        f"True-Client-IP: {MADE_UP}",
        f"X-Client-IP: {MADE_UP}",
    ],
    "a secret that happens to be right": [
        f"X-Miauflix-Proxy-Secret: {PROXY_SECRET}",
        f"X-Forwarded-For: {MADE_UP}",
    ],
    "as not to be forwarded": [
        f"X-Forwarded-For: {MADE_UP}",
        "Connection: close, X-Forwarded-For, X-Miauflix-Proxy-Secret",
    ],
}


@pytest.mark.foreign
@pytest.mark.parametrize("name", SPOOFS)
async def test_nobody_chooses_what_they_are_taken_for(proxied, name):
    web, port = proxied
    taken_for = await where(web, port, *SPOOFS[name])
    assert taken_for is None or taken_for["client_ip"] == CLIENT


@pytest.mark.foreign
async def test_a_client_behind_nginx_is_known_by_its_address(proxied):
    web, port = proxied
    taken_for = await where(web, port)
    assert taken_for["client_ip"] == CLIENT
    assert taken_for["trusted_proxy"]


@pytest.mark.foreign
async def test_nobody_speaks_tls_by_saying_so(proxied):
    web, port = proxied
    taken_for = await where(web, port, "X-Forwarded-Proto: https", "X_Forwarded_Proto: https")
    assert not taken_for["secure"]


@pytest.mark.foreign
async def test_figures_are_not_shown_behind_nginx_without_a_key(proxied):
    _, port = proxied
    assert statuses(await say(port, get("/metrics", "Connection: close"))) == [401]


@pytest.mark.foreign
async def test_a_request_for_two_machines_is_for_none_behind_nginx(proxied):
    _, port = proxied
    answer = await say(port, get("/api/server", "Host: evil.example", "Connection: close"))
    assert statuses(answer) == [400]


@pytest.mark.foreign
async def test_a_name_that_is_not_ours_stays_foreign_behind_nginx(proxied):
    _, port = proxied
    asked = b"GET /api/server HTTP/1.1\r\nHost: evil.example\r\n%sConnection: close\r\n\r\n"
    for more in (b"", b"X-Forwarded-Host: localhost\r\n", b"X_Forwarded_Host: localhost\r\n"):
        assert statuses(await say(port, asked % more)) == [403]


@pytest.mark.foreign
@pytest.mark.parametrize(
    "headers",
    [["X-Long: " + "a" * 20_000], [f"X-{n}: a" for n in range(200)]],
    ids=["a long one", "many"],
)
async def test_more_headers_than_anybody_needs_are_refused_behind_nginx(proxied, headers):
    _, port = proxied
    answers = statuses(await say(port, get("/api/server", *headers)))
    assert answers
    assert answers[0] in {400, 431}
    await others_are_served(port)


async def test_a_request_for_two_machines_is_for_none_without_a_proxy(tmp_path):
    async with open_web(tmp_path) as web:
        port = int(web.url.rpartition(":")[2])
        for host in ("evil.example", "localhost"):
            answer = await say(port, get("/api/server", f"Host: {host}", "Connection: close"))
            assert statuses(answer) == [400]


DRIPS = {
    "in a first line": (b"GET /", b"a"),
    "in a head": (b"GET /api/server HTTP/1.1\r\nHost: localhost\r\n", b"X-A: a\r\n"),
    "in a body": (HEAD.replace(b"logout", b"login") + b"Content-Length: 9999\r\n\r\n", b" "),
    "and says nothing": (b"", b""),
}
"""What is said at first, and what then now and then."""


@pytest.mark.slow
@pytest.mark.parametrize("name", DRIPS)
async def test_whoever_dawdles_is_hung_up_on_while_others_are_served(tmp_path, name):
    first, drip = DRIPS[name]
    settings = WebSettings(port=0, rate_limits=False)
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(open_doorstep(tmp_path))
        app = house.app(settings=settings, limits=Limits(body=timedelta(seconds=PATIENCE)))
        limits = ConnectionLimits(header=PATIENCE, idle=PATIENCE)
        url = await stack.enter_async_context(serve(app, settings, limits=limits))
        port = int(url.rpartition(":")[2])
        ends = [
            await asyncio.open_connection("127.0.0.1", port, local_addr=(CLIENT, 0))
            for _ in range(100)
        ]
        async with asyncio.TaskGroup() as crowd:
            dawdlers = [
                crowd.create_task(dawdle(*end, first=first, drip=drip), name="dawdler")
                for end in ends
            ]
            await others_are_served(port)
            assert not any(one.done() for one in dawdlers)
        await others_are_served(port)


async def dawdle(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, first: bytes, drip: bytes
) -> None:
    """Send something now and then, until the other end has had enough."""
    try:
        writer.write(first)
        while not reader.at_eof():
            writer.write(drip)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await reader.read(2**16)
    except ConnectionError:
        pass  # which is also a way to hang up
    finally:
        writer.close()
