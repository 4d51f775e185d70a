"""The Internet Archive's search and metadata in a small server, with its habits and its troubles.

Items are made up. A test adds some with `fake.add`, changes their fields as an uploader would, and
sets `fake.trouble` before it asks.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

from aiohttp import web
from aiohttp.test_utils import TestServer

Trouble = Literal[
    "none",
    "deep paging",  # an error with a status of 200
    "cut off",  # most results left out, and the number of them as well
    "empty",  # all of them
    "429",
    "503",
    "html",
    "half",
    "wrong shape",
    "deep",
    "hung up",
]


class FakeArchive:
    """Some items, and who asked for what."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.dark: set[str] = set()
        self.nodownload: set[str] = set()
        self.trouble: Trouble = "none"
        self.asked: list[str] = []
        """The questions of all searches, and the identifiers of all metadata."""

    def add(self, identifier: str, **fields: Any) -> None:
        """Add an item of a curated collection that is old enough, but for what is said."""
        self.items[identifier] = {
            "identifier": identifier,
            "title": identifier.replace("_", " ").title(),
            "mediatype": "movies",
            "year": "1922",
            "collection": ["silent_films", "moviesandfilms"],
            "downloads": 1000,
        } | fields

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._troubled])
        application.add_routes(
            [
                web.get("/advancedsearch.php", self._search),
                web.get("/metadata/{identifier}", self._metadata),
            ]
        )
        return application

    @web.middleware
    async def _troubled(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        self.asked.append(request.query.get("q") or request.match_info["identifier"])
        if self.trouble == "hung up":
            assert request.transport is not None
            request.transport.abort()
        answers: dict[str, dict[str, Any]] = {
            "deep paging": {"text": '{"error":"[DEEP_PAGING] Requested too many results"}'},
            "429": {"status": 429, "headers": {"Retry-After": "120"}},
            "503": {"status": 503, "text": "<h1>Slow down</h1>"},
            "html": {"text": "<!DOCTYPE html><title>Temporarily offline</title>"},
            "half": {"text": '{"response":{"numFound":3,"docs":[{"identifier":"a'},
            "wrong shape": {"text": '{"response":{"numFound":"many","docs":7}}'},
            "deep": {"text": "[" * 100_000},
        }
        answer = answers.get(self.trouble)
        return await handler(request) if answer is None else web.Response(**answer)

    async def _search(self, request: web.Request) -> web.Response:
        query = request.query
        sorts = query.getall("sort[]")
        assert sorts[-1] == "identifier asc"
        rows, page = int(query["rows"]), int(query["page"])
        assert rows <= 100
        found = sorted(
            (one for one in self.items.values() if _matches(one, query["q"])),
            key=lambda one: (-_number(one.get("downloads")), one["identifier"]),
        )
        if self.trouble == "cut off":
            found = found[: len(found) // 4]
        if self.trouble == "empty":
            found = []
        wanted = set(query.getall("fl[]"))
        docs = [
            {name: value for name, value in one.items() if name in wanted}
            for one in found[(page - 1) * rows : page * rows]
        ]
        return web.json_response(
            {
                "responseHeader": {"status": 0, "QTime": 4, "params": {"query": query["q"]}},
                "response": {"numFound": len(found), "start": (page - 1) * rows, "docs": docs},
            }
        )

    async def _metadata(self, request: web.Request) -> web.Response:
        identifier = request.match_info["identifier"]
        if identifier not in self.items:
            return web.json_response([] if len(identifier) % 2 else {})
        answer: dict[str, Any] = {
            "created": 1,
            "files_count": 1,
            "files": [{"name": "film.mp4", "format": "h.264", "size": "1"}],
            "metadata": self.items[identifier],
        }
        if identifier in self.dark:
            answer["is_dark"] = True
        if identifier in self.nodownload:
            answer["nodownload"] = "true"
        return web.json_response(answer)


def _matches(item: dict[str, Any], question: str) -> bool:
    if found := re.search(r"identifier:\(([^)]*)\)", question):
        named = {one.strip('"') for one in found[1].split(" OR ")}
        if item["identifier"] not in named:
            return False
    if found := re.search(r"title:\(([^)]*)\)", question):
        title = str(item["title"]).lower()
        return all(word in title for word in found[1].split(" AND "))
    return True


def _number(raw: Any) -> float:
    try:
        return float(raw)
    except (TypeError, ValueError):
        return 0.0


@asynccontextmanager
async def serving(fake: FakeArchive) -> AsyncIterator[str]:
    """Serve it on the loopback for the length of the block; yield its base URL."""
    async with TestServer(fake.application()) as server:
        yield str(server.make_url("")).rstrip("/")
