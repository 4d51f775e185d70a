"""TMDB in one small server: any number of titles, its true limits, and all that can go wrong.

What it answers has the shape of the real one's; titles and people are made up, and the same ones
every time. `serve_recorded` makes it answer from a folder of recorded answers instead.

    fake = FakeTmdb(movies=500, shows=100)
    async with serving(fake) as base:
        ...  # base ends with /3, as TMDB's does
    fake.count("/movie/")

What is wrong with it is said by `fake.trouble("500", "/movie/1003", times=2)`.
"""

import asyncio
import hashlib
import json
import re
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.tmdb_titles import GENRES, PAGE, changed, details, imdb, listed, season, title

TOKEN = "eyJhbGciOiJIUzI1NiJ9.made.up"  # no real one looks so
FIRST = 1000
"""The id of the first movie, and of the first show."""

Trouble = Literal[
    "401",
    "404",
    "429",
    "500",
    "slow",  # until the server is closed
    "hang up",
    "truncated",
    "html",
    "empty",
    "scalar",
    "deep",  # JSON that would break a parser that calls itself
    "huge",  # beyond what anybody should accept
    # What follows is whole JSON of the right outline, with something wrong in every part of it.
    "wrong types",
    "missing fields",
    "ids as strings",
    "nulls",
    "large overview",  # of the first title alone
    "control characters",
    "year zero",
    "images elsewhere",
    "adult",
    "endless numbers",
]

Query = Mapping[str, str]
Answer = tuple[int, Any]

HOSTILE = "<script>alert(1)</script>\x00\u202egnp.\u2066\x1b[31m\ud800 &lt;b&gt;"


@dataclass
class _Trouble:
    kind: Trouble
    path: str
    left: float


class FakeTmdb:
    """TMDB's API, and what it was asked."""

    def __init__(
        self,
        *,
        movies: int = 130,
        shows: int = 45,
        seasons: int = 2,
        episodes: int = 5,
        rate: int | None = 40,
        max_age: int = 3600,
        token: str = TOKEN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make one up.

        Args:
            movies: how many there are; their ids begin at `FIRST`, the most popular first.
            shows: how many there are, likewise.
            seasons: of each show, besides its specials.
            episodes: of each season.
            rate: requests within a second; `None`: as many as anybody likes.
            max_age: seconds for which it says that its answers hold.
            token: what it accepts.
            clock: seconds, by which it counts.
        """
        self.titles = {"movie": movies, "tv": shows}
        self.seasons = seasons
        self.episodes = episodes
        self.rate = rate
        self.max_age = max_age
        self.token = token
        self.retry_after: str | None = "1"
        self.delay = 0.0
        """Seconds before each answer."""
        self.version = 0
        """Another one gives every title another overview."""
        self.asked: list[str] = []
        """Paths with their queries, in the order in which they came."""
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """By path, and by status or trouble."""
        self.headers: list[dict[str, str]] = []
        self.at_once = 0
        """How many it was asked at the same time at most."""
        self.released = asyncio.Event()
        self._clock = clock
        self._lately: deque[float] = deque()
        self._busy = 0
        self._troubles: list[_Trouble] = []
        self._changes: dict[str, list[tuple[date, Any]]] = {"movie": [], "tv": []}
        self._recorded: dict[str, dict[int, Any]] | None = None

    def trouble(self, kind: Trouble, path: str = "", *, times: float = float("inf")) -> None:
        """Answer so to whatever begins with this path (without `/3`), so many times."""
        self._troubles.append(_Trouble(kind, path, times))

    def recover(self) -> None:
        """Let all be well again."""
        self._troubles.clear()

    def change(self, kind: Literal["movie", "tv"], number: int, day: date) -> None:
        """Let a title stand in the change feed of a day."""
        self._changes[kind].append((day, changed(number)))

    def count(self, path: str = "", outcome: str | None = None) -> int:
        """Return how often something that begins with this path was asked, to this end."""
        return sum(
            times
            for (asked, ended), times in self.outcomes.items()
            if asked.startswith(path) and outcome in {None, ended}
        )

    def serve_recorded(self, folder: Path) -> None:
        """Answer from recorded answers: files of `{"headers", "status", "data"}`.

        Their names are `movie/680-...json`, `tv_season/50821_season_3-...json`,
        `discover/movie-...-page-1-...json` and so on. What was appended, and dates, make no
        difference. A page or list that nobody recorded is empty, and any other path a 404.
        """
        self._recorded = {}
        for file in sorted(folder.glob("**/*.json")):
            name = file.relative_to(folder).with_suffix("").as_posix()
            head = name.split("-", 1)[0]
            head = re.sub(r"^tv_season/(\d+)_season_(\d+)$", r"tv/\1/season/\2", head)
            head = re.sub(r"^genre/(movie|tv)_list$", r"genre/\1/list", head)
            found = re.search(r"-page-(\d+)", name)
            pages = self._recorded.setdefault(f"/{head}", {})
            pages[int(found[1]) if found else 1] = json.loads(file.read_text())

    # --- answering --------------------------------------------------------------------------------

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/3{path:/.*}", self._answer)
        return application

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.asked.append(request.path_qs.removeprefix("/3"))
        self.headers.append(dict(request.headers))
        self._busy += 1
        self.at_once = max(self.at_once, self._busy)
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            outcome, response = await self._judged(request, path)
        finally:
            self._busy -= 1
        self.outcomes[path, outcome] += 1
        return response

    async def _judged(self, request: web.Request, path: str) -> tuple[str, web.Response]:
        if self._too_many():
            return "429", self._failure(429, 25)
        trouble = next(
            (one for one in self._troubles if one.left >= 1 and path.startswith(one.path)), None
        )
        if trouble is not None:
            trouble.left -= 1
            instead = await self._instead(request, trouble.kind)
            if instead is not None:
                return trouble.kind, instead
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return "401", self._failure(401, 7)
        if self._recorded is not None:
            status, data = self._from_recorded(path, request)
        else:
            status, data = self._made_up(path, request)
        if trouble is not None:
            return trouble.kind, self._json(request, status, spoiled(data, trouble.kind))
        response = self._json(request, status, data)
        return str(response.status), response

    def _too_many(self) -> bool:
        if self.rate is None:
            return False
        now = self._clock()
        while self._lately and self._lately[0] <= now - 1:
            self._lately.popleft()
        if len(self._lately) >= self.rate:
            return True
        self._lately.append(now)
        return False

    def _failure(self, status: int, code: int) -> web.Response:
        headers = {}
        if status == 429 and self.retry_after is not None:
            headers["Retry-After"] = self.retry_after
        body = {"success": False, "status_code": code, "status_message": "made up"}
        return web.json_response(body, status=status, headers=headers)

    def _json(self, request: web.Request, status: int, data: Any) -> web.Response:
        body = json.dumps(data).encode()
        headers = {"Content-Type": "application/json;charset=utf-8"}
        if status == 200:
            headers["ETag"] = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
            headers["Cache-Control"] = f"public, max-age={self.max_age}"
            if request.headers.get("If-None-Match") == headers["ETag"]:
                return web.Response(status=304, headers=headers)
        return web.Response(status=status, headers=headers, body=body)

    async def _instead(self, request: web.Request, kind: Trouble) -> web.Response | None:
        """Return what is answered instead of any JSON of the right outline."""
        if kind == "slow":
            await self.released.wait()
        if kind == "hang up":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if kind in _PLAIN:
            headers = {"Cache-Control": "max-age=600", "Content-Type": "text/html"}
            return web.Response(body=_PLAIN[kind], headers=headers)
        codes = {"401": 7, "404": 34, "429": 25, "500": 11}
        return self._failure(int(kind), codes[kind]) if kind in codes else None

    def _from_recorded(self, path: str, request: web.Request) -> Answer:
        assert self._recorded is not None
        pages = self._recorded.get(path)
        if pages is None and re.fullmatch(r"/find/.*", path):
            return 200, {"movie_results": [], "tv_results": [], "person_results": []}
        if pages is None and re.fullmatch(r"/(movie|tv|trending|search|discover)/[a-z_/]+", path):
            return 200, {"page": 1, "results": [], "total_pages": 1, "total_results": 0}
        if pages is None:
            return _UNKNOWN
        number = int(request.query.get("page", "1"))
        if number in pages:
            return pages[number].get("status", 200), pages[number]["data"]
        first = next(iter(pages.values()))["data"]
        return 200, {**first, "page": number, "results": []}

    def _made_up(self, path: str, request: web.Request) -> Answer:
        for pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found is not None:
                return answer(self, request.query, *found.groups())
        return _UNKNOWN

    def _configuration(self, _query: Query) -> Answer:
        # Elsewhere, where nobody must look for images.
        return 200, {"change_keys": [], "images": {"base_url": "http://evil.example/"}}

    def _genres(self, _query: Query, word: str) -> Answer:
        return 200, {"genres": GENRES[word]}

    def _list(self, query: Query, word: str) -> Answer:
        return 200, self._page(self._every(word), query, named=word == "all")

    def _search(self, query: Query, word: str) -> Answer:
        wanted = query.get("query", "").casefold()
        found = [one for one in self._every(word) if wanted in title(one[1]).casefold()]
        answer = self._page(found, query, named=word == "multi")
        if word == "multi" and found:
            person = {"id": 5, "media_type": "person", "name": "Somebody", "adult": False}
            answer["results"].insert(1, person)
        return 200, answer

    def _find(self, _query: Query, wanted: str) -> Answer:
        found: dict[str, list[Any]] = {"movie_results": [], "tv_results": [], "person_results": []}
        for kind in self.titles:
            number = int(wanted.removeprefix("tt")) - int(imdb(kind, 0).removeprefix("tt"))
            if self._exists(kind, number):
                found[f"{kind}_results"] = [{**listed(kind, number), "media_type": kind}]
        return 200, found

    def _title(self, query: Query, word: str, number: str) -> Answer:
        if not self._exists(word, int(number)):
            return _UNKNOWN
        whole = details(word, int(number), self.seasons, self.episodes, self.version)
        parts = query.get("append_to_response", "").split(",")
        assert len(parts) <= 20, "TMDB appends 20 parts at most"
        return 200, {**whole.own, **{part: whole.parts[part] for part in parts if part}}

    def _season(self, _query: Query, show: str, which: str) -> Answer:
        if not self._exists("tv", int(show)) or int(which) > self.seasons:
            return _UNKNOWN
        return 200, season(int(show), int(which), self.episodes)

    def _exists(self, word: str, number: int) -> bool:
        return FIRST <= number < FIRST + self.titles[word]

    def _every(self, word: str) -> list[tuple[str, int]]:
        """Return the kind and number of all titles; of both kinds in turn, if both are wanted."""
        kinds = [word] if word in self.titles else list(self.titles)
        return [
            (kind, FIRST + n)
            for n in range(max(self.titles[kind] for kind in kinds))
            for kind in kinds
            if n < self.titles[kind]
        ]

    def _page(self, found: list[tuple[str, int]], query: Query, *, named: bool) -> Any:
        number = int(query.get("page", "1"))
        return {
            "page": number,
            "results": [
                {**listed(*one), **({"media_type": one[0]} if named else {})}
                for one in found[PAGE * (number - 1) : PAGE * number]
            ],
            "total_pages": -(-len(found) // PAGE) or 1,
            "total_results": len(found),
        }

    def _change_feed(self, query: Query, word: str) -> Answer:
        start, end = (date.fromisoformat(query[name]) for name in ("start_date", "end_date"))
        if not timedelta(0) <= end - start <= timedelta(days=14):
            return 422, {"success": False, "status_code": 20, "status_message": "made up"}
        found = [one for day, one in self._changes[word] if start <= day <= end]
        number = int(query.get("page", "1"))
        return 200, {
            "results": found[100 * (number - 1) : 100 * number],
            "page": number,
            "total_pages": -(-len(found) // 100),
            "total_results": len(found),
        }


_PLAIN: dict[Trouble, bytes] = {
    "html": b"<!DOCTYPE html><title>Welcome to the hotel's network</title>",
    "truncated": b'{"page": 1, "results": [{"id": 10',
    "empty": b"",
    "scalar": b"7",
    "deep": b'{"results":' + b"[" * 100_000,
    "huge": b'{"results": [' + b" " * 9 * 2**20 + b"]}",
}

_UNKNOWN: Answer = (404, {"success": False, "status_code": 34, "status_message": "made up"})

_ROUTES: tuple[tuple[str, Callable[..., Answer]], ...] = (
    (r"/configuration", FakeTmdb._configuration),
    (r"/genre/(movie|tv)/list", FakeTmdb._genres),
    (r"/(movie|tv)/changes", FakeTmdb._change_feed),
    (r"/search/(multi|movie|tv)", FakeTmdb._search),
    (r"/find/(tt\d+)", FakeTmdb._find),
    (r"/trending/(all|movie|tv)/(?:day|week)", FakeTmdb._list),
    (r"/discover/(movie|tv)", FakeTmdb._list),
    (r"/(movie|tv)/(?:popular|top_rated|now_playing|on_the_air)", FakeTmdb._list),
    (r"/(movie|tv)/(\d+)", FakeTmdb._title),
    (r"/tv/(\d+)/season/(\d+)", FakeTmdb._season),
)


@asynccontextmanager
async def serving(fake: FakeTmdb) -> AsyncIterator[str]:
    """Serve it on the loopback for the length of the block; yield its base URL."""
    async with TestServer(fake.application()) as server:
        try:
            yield f"{str(server.make_url('')).rstrip('/')}/3"
        finally:
            fake.released.set()


def spoiled(data: Any, kind: Trouble) -> Any:
    """Return an answer with something wrong in every part of it, within its outline."""

    def spoil(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            if kind == "missing fields" and "id" in value and name in {"results", ""}:
                return {"id": value["id"]} if name else {}
            found = {key: spoil(one, key) for key, one in value.items()}
            if kind == "large overview" and value.get("id") == FIRST:
                found["overview"] = "word " * 200_000
            return found
        if isinstance(value, list):
            return [spoil(one, name) for one in value]
        return _SPOILING[kind](value, name) if kind in _SPOILING else value

    return spoil(data, "")


def _wrong(value: Any, name: str) -> Any:
    if name in {"page", "total_pages", "total_results"}:
        return value
    return [value, {"a": 1}] if isinstance(value, str) else str(value) + "?"


_SPOILING: dict[Trouble, Callable[[Any, str], Any]] = {
    "wrong types": _wrong,
    "ids as strings": lambda value, name: str(value) if name == "id" else value,
    "nulls": lambda value, name: value if name == "id" else None,
    "control characters": lambda value, name: (
        f"{HOSTILE}{value}"
        if isinstance(value, str) and name in {"title", "name", "overview", "tagline", "character"}
        else value
    ),
    "year zero": lambda value, name: "0000-00-00" if name.endswith("_date") else value,
    "images elsewhere": lambda value, name: (
        "//evil.example/../../etc/passwd.jpg" if name.endswith("_path") else value
    ),
    "adult": lambda value, name: True if name == "adult" else value,
    "endless numbers": lambda value, name: (
        10**400 if isinstance(value, int | float) and name != "page" else value
    ),
}
