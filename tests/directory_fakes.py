"""Directories of every kind in one small server, with what goes wrong with them.

The answers have the shape of real ones; titles, hashes and keys are made up. A test sets
`server.trouble`, or changes what the dialects have, before it asks.
"""

import asyncio
import atexit
import base64
import gzip
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal
from xml.sax.saxutils import escape, quoteattr

import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from miauflixd.egress.clients import host_client
from miauflixd.runtime.http import Http
from miauflixd.runtime.secrets import Secret
from miauflixd.sources.directories.exchange import Exchange
from tests.torrent_files import bencode, v1

KEY = "0123456789abcdef0123456789abcdef"
API_KEY = Secret(KEY)

HASH = "89abcdef0123456789abcdef0123456789abcdef"
OTHER_HASH = "0123456789abcdef0123456789abcdef01234567"
BASE32 = base64.b32encode(bytes.fromhex(HASH)).decode()
MAGNET = f"magnet:?xt=urn:btih:{HASH.upper()}&dn=Big+Cat&tr=udp%3A%2F%2Ftracker.example%3A6969"
TORRENT = bencode(v1({"film.mkv": b"a film" * 5000}, name="film.mkv"))

LOGIN = "<!DOCTYPE html><html><head><title>Login</title></head><body>Who are you?</body></html>"
CLOUDFLARE = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    "<body><script src='/cdn-cgi/challenge-platform/x.js'></script></body></html>"
)
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1 if n > 1 else str()};" * 10}">' for n in range(1, 10))
    + "]><rss><channel><item><title>&a9;</title></item></channel></rss>"
)

Trouble = Literal[
    "none",
    "401",
    "404",
    "410",
    "429",
    "429 in an hour",
    "500",
    "500 twice",
    "html",
    "cloudflare",
    "cloudflare with 200",
    "half",
    "empty",
    "slow",
    "hung up",
    "huge",
    "huge when unpacked",
    "deep",
    "bomb",
    "binary",
    "to a private address",
    "to itself",
]


class AnyTurn:
    """Turns for everybody, and a memory of how long somebody wanted to rest."""

    def __init__(self) -> None:
        self.rests: list[float] = []

    @asynccontextmanager
    async def turn(self, _who) -> AsyncIterator[None]:
        yield

    def rest(self, seconds: float) -> None:
        self.rests.append(seconds)


@dataclass
class FakeClock:
    """A time of day that goes on when a test says so."""

    now: datetime = datetime(2025, 6, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **length: float) -> None:
        self.now += timedelta(**length)


@cache
def _authority() -> str:
    """Return a file with one authority: reading all that a machine trusts takes a while."""
    with tempfile.NamedTemporaryFile(suffix=".pem", delete=False) as file:
        atexit.register(os.unlink, file.name)
        file.write(trustme.CA().cert_pem.bytes())
        return file.name


@asynccontextmanager
async def client() -> AsyncIterator[Http]:
    """Have the real client of the host's network."""
    async with host_client(authorities=_authority()) as http:
        yield http


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


def exchange(http: Http, base: str, *, own: bool = True, within: float = 5.0) -> Exchange:
    return Exchange(http=http, base=base, turns=AnyTurn(), own=own, within=within, sleep=no_pause)


# --- Torznab --------------------------------------------------------------------------------------

CAPS = """<?xml version="1.0" encoding="UTF-8"?>
<caps>
  <server title="Fake" />
  <limits max="100" default="100" />
  <searching>
    <search available="yes" supportedParams="q" />
    <tv-search available="yes" supportedParams="q,season,ep,tvdbid,imdbid" />
    <movie-search available="yes" supportedParams="q,imdbid" />
    <music-search available="no" supportedParams="q" />
  </searching>
  <categories>
    <category id="2000" name="Movies"><subcat id="2040" name="Movies/HD" /></category>
    <category id="5000" name="TV" />
    <category id="6000" name="XXX"><subcat id="6010" name="XXX/DVD" /></category>
    <category id="100100" name="Adult Videos" />
  </categories>
</caps>"""

CAPS_OF_WORDS_ONLY = """<caps><searching><search available="yes"/><movie-search available="no"
  supportedParams="imdbid"/></searching><categories><category id="7000" name="Other"/>
  <category id="8000" name="Books"/><category id="2000" name="Audio"/>
  <category id="3000" name="Filme"/></categories></caps>"""

TORZNAB = "http://torznab.com/schemas/2015/feed"
NEWZNAB = "http://www.newznab.com/DTD/2010/feeds/attributes/"


def item(title: str, *, inside: str = "", **attributes: object) -> str:
    """One item; `inside` as it is, and attributes as `torznab:attr`."""
    said = "".join(
        f"<torznab:attr name={quoteattr(name)} value={quoteattr(str(value))} />"
        for name, value in attributes.items()
    )
    return f"<item><title>{title}</title>{inside}{said}</item>"


def rss(*items: str, namespace: str = TORZNAB, version: str = "2.0") -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<rss version="{version}" xmlns:torznab="{namespace}"><channel><title>Fake</title>'
        f"{''.join(items)}</channel></rss>"
    )


def error(code: int, description: str = "No") -> str:
    return f'<?xml version="1.0"?><error code="{code}" description={quoteattr(description)} />'


def enclosure(url: str, length: object = 1, kind: str = "application/x-bittorrent") -> str:
    return f'<enclosure url={quoteattr(url)} length="{length}" type="{kind}" />'


def link(url: str) -> str:
    return f"<link>{escape(url)}</link>"


@dataclass
class FakeDirectories:
    """All of them, each at a path of its own."""

    trouble: Trouble = "none"
    caps: str | bytes = CAPS
    feed: str | bytes | Callable[[Mapping[str, str]], str | bytes | web.Response] = field(
        default_factory=lambda: rss(item("Big.Cat.2019.1080p.WEB", infohash=HASH))
    )
    content_type: str = "application/rss+xml; charset=utf-8"
    downloads: dict[str, Callable[[], web.StreamResponse]] = field(default_factory=dict)
    prowlarr: Any = field(default_factory=list)
    yts: Any = field(default_factory=lambda: yts_answer(yts_film()))
    detail: Any = None
    posts: Any = field(default_factory=lambda: {"results": []})
    items: dict[str, Any] = field(default_factory=dict)
    etag: str = '"1"'

    def __post_init__(self) -> None:
        self.asked: list[web.Request] = []
        self.origin = ""

    def count(self, **parameters: str) -> int:
        return sum(
            all(request.query.get(k) == v for k, v in parameters.items()) for request in self.asked
        )

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if self.trouble != "none" and (made := await self._trouble(request)) is not None:
            return made
        path = request.path
        if path.startswith("/download/x/"):
            return self.downloads[path.rpartition("/")[2]]()
        for start, dialect in self._dialects().items():
            if path.startswith(start):
                return dialect(request)
        return web.Response(status=404, text="no")

    def _dialects(self) -> Mapping[str, Callable[[web.Request], web.StreamResponse]]:
        return {
            "/torznab/api": self._torznab,
            "/api/v1/": self._prowlarr,
            "/api/v2/list_movies.json": lambda _: web.json_response(self.yts),
            "/imdb-detail/": self._detail,
            "/get-posts/": lambda _: web.json_response(self.posts),
            "/metadata/": lambda r: web.json_response(self.items.get(r.path[10:], [])),
            "/feed": self._feed,
            "/download/": lambda _: web.Response(body=TORRENT),
            "/": lambda _: web.Response(text=LOGIN, content_type="text/html"),
        }

    def _torznab(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("apikey", KEY) != KEY:
            return web.Response(text=error(100, f"Invalid key {request.query['apikey']}"))
        if request.query["t"] == "caps":
            return web.Response(body=_bytes(self.caps), content_type="application/xml")
        made = self.feed(request.query) if callable(self.feed) else self.feed
        if isinstance(made, web.Response):
            return made
        return web.Response(body=_bytes(made), headers={"Content-Type": self.content_type})

    def _prowlarr(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("X-Api-Key") != KEY:
            return web.json_response({"error": "Unauthorized"}, status=401)
        return web.json_response(self.prowlarr if request.path.endswith("search") else [])

    def _detail(self, request: web.Request) -> web.StreamResponse:
        if self.detail is None:
            return web.Response(status=302, headers={"Location": "/"})
        return web.json_response(self.detail)

    def _feed(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("If-None-Match") == self.etag:
            return web.Response(status=304)
        made = self.feed if isinstance(self.feed, str | bytes) else rss()
        return web.Response(
            body=_bytes(made), headers={"Content-Type": self.content_type, "ETag": self.etag}
        )

    async def _trouble(self, request: web.Request) -> web.StreamResponse | None:
        if self.trouble == "slow":
            await asyncio.sleep(30)
        if self.trouble == "hung up":
            assert request.transport is not None
            request.transport.abort()
        if self.trouble == "500 twice":
            return web.Response(status=503) if len(self.asked) <= 2 else None
        opening = "<a>" if "torznab" in request.path else "["
        page = {"text": LOGIN, "content_type": "text/html"}
        guarded = {"text": CLOUDFLARE, "content_type": "text/html"}
        answers: dict[str, dict[str, Any]] = {
            "401": {"status": 401},
            "404": {"status": 404},
            "410": {"status": 410},
            "500": {"status": 500},
            "429": {"status": 429},
            "429 in an hour": {"status": 429, "headers": {"Retry-After": "7200"}},
            "html": page,
            "cloudflare": {**guarded, "status": 403, "headers": {"cf-mitigated": "challenge"}},
            "cloudflare with 200": guarded,
            "half": {"text": '<rss><channel>{"status": "ok", "data": [1, '},
            "huge": {"body": _HUGE},
            "huge when unpacked": {"body": _packed(), "headers": {"Content-Encoding": "gzip"}},
            "deep": {"text": opening * 100_000},
            "bomb": {"text": BOMB, "content_type": "text/xml"},
            "binary": {"body": bytes(range(256)) * 100},
            "to a private address": _redirect("http://192.168.1.1/admin"),
            "to itself": _redirect(str(request.rel_url)),
        }
        return web.Response(**answers.get(self.trouble, {}))


_HUGE = bytes(50 * 2**20)


@cache
def _packed() -> bytes:
    return gzip.compress(_HUGE, compresslevel=1)


def _redirect(location: str) -> dict[str, Any]:
    return {"status": 302, "headers": {"Location": location}}


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


@asynccontextmanager
async def serving(fake: FakeDirectories) -> AsyncIterator[FakeDirectories]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.answer)
    server = TestServer(app)
    await server.start_server()
    try:
        fake.origin = str(server.make_url("/")).rstrip("/")
        yield fake
    finally:
        await server.close()


# --- YTS, TheRARBG, the Archive -------------------------------------------------------------------


def yts_torrent(**changes: Any) -> Any:
    return {
        "url": f"http://files.example/torrent/download/{HASH.upper()}",
        "hash": HASH.upper(),
        "quality": "2160p",
        "type": "bluray",
        "is_repack": "0",
        "video_codec": "x265",
        "bit_depth": "10",
        "audio_channels": "5.1",
        "seeds": 100,
        "peers": 60,
        "size": "6.91 GB",
        "size_bytes": 7419556004,
        "date_uploaded": "2021-09-16 20:45:52",
        "date_uploaded_unix": 1631817952,
        **changes,
    }


def yts_film(**changes: Any) -> Any:
    return {
        "id": 3709,
        "imdb_code": "tt5550001",
        "title": "Big Cat",
        "title_english": "Big Cat",
        "year": 2019,
        "runtime": 142,
        "torrents": [yts_torrent()],
        **changes,
    }


def yts_answer(*films: Any, **changes: Any) -> Any:
    data: dict[str, Any] = {"movie_count": len(films), "limit": 20, "page_number": 1}
    if films:
        data["movies"] = list(films)
    return {"status": "ok", "status_message": "Query was successful", "data": data, **changes}


def post(**changes: Any) -> Any:
    return {
        "eid": "8779df",
        "category": None,
        "category_str": "Movies",
        "type": "HEVC/x265",
        "name": "Big Cat 2019 1080p BluRay HEVC x265",
        "num_files": 0,
        "size": 4617089843,
        "seeders": 38,
        "leechers": 16,
        "added": 0,
        "imdb": "tt5550001",
        "language": "English",
        "info_hash": HASH.upper(),
        "season": 0,
        "episode": 0,
        "timestamp": "2025-05-30T15:20:22.821488Z",
        "files": None,
        "trackers": [
            {"tracker": "udp://good.example:80/announce", "scrape_error": None},
            {"tracker": "udp://gone.example:80/announce", "scrape_error": "Failed"},
        ],
        **changes,
    }


def detail(*posts: Any, **film: Any) -> Any:
    return {"imdb": {"imdb_id": "tt5550001", "runtime": "10140", **film}, "trb_posts": list(posts)}


def archive_item(**changes: Any) -> Any:
    return {
        "created": 1700000000,
        "item_size": 900_000_000,
        "metadata": {
            "identifier": "big_cat_1928",
            "title": "Big Cat",
            "year": "1928",
            "collection": ["feature_films"],
        },
        "files": [
            {
                "name": "Big Cat.mpeg",
                "source": "original",
                "format": "MPEG2",
                "size": "700000000",
                "length": "5750.2",
                "height": "480",
            },
            {
                "name": "Big Cat_512kb.mp4",
                "source": "derivative",
                "format": "512Kb MPEG4",
                "original": "Big Cat.mpeg",
                "size": "90000000",
                "length": "5750.2",
            },
            {
                "name": "Big Cat.mp4",
                "source": "derivative",
                "format": "h.264",
                "original": "Big Cat.mpeg",
                "size": "190000000",
                "length": "1:35:50",
                "height": "480",
            },
            {"name": "Big Cat.ogv", "format": "Ogg Video", "original": "Big Cat.mpeg"},
            {
                "name": "big_cat_1928_archive.torrent",
                "format": "Archive BitTorrent",
                "btih": HASH,
                "size": "30000",
            },
        ],
        **changes,
    }
