"""Trakt in a small server: devices, tokens that rotate, lists in pages, and everything going wrong.

Names and titles are made up. A test says what somebody does at Trakt (`fake.typed`), sets
`fake.trouble` or lets single answers go wrong (`fake.answers`) before it asks.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

from aiohttp import web
from aiohttp.test_utils import TestServer

from miauflixd.auth.model import UserId
from miauflixd.catalogue.trakt_model import DeviceCode, TraktLink, TraktOffError
from tests.auth_house import EPOCH

CLIENT_ID = "made-up-client-id"
CLIENT_SECRET = "made-up-client-secret"

Typed = Literal["pending", "yes", "no", "expired", "used", "unknown", "slower"]

Trouble = Literal[
    "none", "429", "500", "503", "520", "html", "half", "empty", "wrong shape", "deep", "hung up"
]

_POLLED: dict[str, int] = {
    "pending": 400,
    "unknown": 404,
    "used": 409,
    "expired": 410,
    "no": 418,
    "slower": 429,
}


class FakeTrakt:
    """One account at Trakt, and what this house asked and told."""

    def __init__(self) -> None:
        self.typed: Typed = "pending"
        self.trouble: Trouble = "none"
        self.answers: dict[str, list[int]] = defaultdict(list)
        """Statuses that the next requests of a path get instead of an answer."""
        self.code: dict[str, Any] = {
            "device_code": "d1",
            "user_code": "5055CC52",
            "verification_url": "https://trakt.tv/activate",
            "expires_in": 600,
            "interval": 5,
        }
        self.expires_in: Any = 86400
        self.pairs = 0
        self.access: set[str] = set()
        """Tokens that open the account."""
        self.refresh: str | None = None
        """The only one that is good for another pair."""
        self.secret = CLIENT_SECRET
        self.watchlist: list[Any] = []
        self.lists: list[Any] = []
        self.liked: list[Any] = []
        self.items: dict[str, list[Any]] = {}
        """By the number of the list, or the path of a public one."""
        self.titles: dict[str, Any] = {}
        """In full, by `/movies/1`."""
        self.activities: dict[str, Any] = {}
        self.seen: dict[str, list[Any]] = {"movies": [], "shows": []}
        self.paused: list[Any] = []
        self.held: dict[str, asyncio.Event] = {}
        """Paths that are answered only then."""
        self.asked: list[str] = []
        self.told: list[tuple[str, Any]] = []
        self.revoked: list[str] = []

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._troubled])
        application.add_routes(
            [
                web.post("/oauth/device/code", self._device_code),
                web.post("/oauth/device/token", self._device_token),
                web.post("/oauth/token", self._token),
                web.post("/oauth/revoke", self._revoke),
                web.get("/users/me/watchlist", self._watchlist),
                web.get("/users/me/lists", self._lists),
                web.get("/users/likes/lists", self._likes),
                web.get("/users/me/lists/{number}/items", self._items),
                web.get("/lists/{number}/items", self._items),
                web.get("/{kind:movies|shows}/{list:trending|anticipated}", self._public),
                web.get("/{kind:movies|shows}/{number}", self._title),
                web.get("/search/{kind}", self._search),
                web.post("/scrobble/{action}", self._tell),
                web.post("/sync/history", self._tell),
                web.get("/sync/last_activities", self._activities),
                web.get("/sync/watched/{kind:movies|shows}", self._seen),
                web.get("/sync/playback", self._paused),
            ]
        )
        return application

    @web.middleware
    async def _troubled(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        if request.headers.get("trakt-api-version") != "2":
            return web.Response(status=412)
        if request.headers.get("trakt-api-key") != CLIENT_ID:
            return web.Response(status=403)
        if (held := self.held.get(request.path)) is not None:
            await held.wait()
        if self.answers[request.path]:
            return web.Response(status=self.answers[request.path].pop(0))
        if self.trouble == "hung up":
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=500)  # Nobody gets it.
        return self._instead() or await handler(request)

    def _instead(self) -> web.Response | None:
        answers: dict[str, dict[str, Any]] = {
            "429": {"status": 429, "headers": {"Retry-After": "40", "X-Ratelimit": "{}"}},
            "500": {"status": 500, "text": "<h1>Internal Server Error</h1>"},
            "503": {"status": 503, "text": "overloaded"},
            "520": {"status": 520, "text": "error code: 520"},
            "html": {"text": "<!DOCTYPE html><title>Just a moment...</title>"},
            "half": {"text": '{"device_code":"d1","access_token":"a'},
            "empty": {"body": b""},
            "wrong shape": {"text": '{"access_token":7,"device_code":[]}'},
            "deep": {"text": "[" * 100_000},
        }
        answer = answers.get(self.trouble)
        return None if answer is None else web.Response(**answer)

    # --- accounts ---------------------------------------------------------------------------------

    def pair(self) -> dict[str, Any]:
        """Make the next pair of tokens, as whoever is linked gets it."""
        self.pairs += 1
        self.access = {f"access-{self.pairs}"}
        self.refresh = f"refresh-{self.pairs}"
        return {
            "access_token": f"access-{self.pairs}",
            "token_type": "bearer",
            "expires_in": self.expires_in,
            "refresh_token": self.refresh,
            "scope": "public",
            "created_at": 1487889741,
        }

    async def _device_code(self, request: web.Request) -> web.Response:
        assert (await request.json()) == {"client_id": CLIENT_ID}
        return web.json_response(self.code)

    async def _device_token(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert body["code"] == self.code["device_code"]
        if body["client_secret"] != self.secret:
            return web.Response(status=403)
        if self.typed != "yes":
            return web.Response(status=_POLLED[self.typed])
        self.typed = "used"
        return web.json_response(self.pair())

    async def _token(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert body["grant_type"] == "refresh_token"
        assert body["redirect_uri"] == "urn:ietf:wg:oauth:2.0:oob"
        if body["client_secret"] != self.secret:
            return web.json_response({"error": "invalid_client"}, status=401)
        if body["refresh_token"] != self.refresh:
            return web.json_response({"error": "invalid_grant"}, status=401)
        return web.json_response(self.pair())

    async def _revoke(self, request: web.Request) -> web.Response:
        token = (await request.json())["token"]
        self.revoked.append(token)
        self.access.discard(token)
        return web.json_response({})

    # --- lists ------------------------------------------------------------------------------------

    async def _watchlist(self, request: web.Request) -> web.Response:
        return self._mine(request, self.watchlist)

    async def _lists(self, request: web.Request) -> web.Response:
        return self._mine(request, self.lists)

    async def _likes(self, request: web.Request) -> web.Response:
        return self._mine(request, self.liked)

    async def _items(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        if number not in self.items:
            return web.Response(status=404)
        return self._mine(request, self.items[number])

    async def _activities(self, request: web.Request) -> web.Response:
        if not self._is_theirs(request):
            return web.Response(status=401)
        return web.json_response(self.activities)

    async def _seen(self, request: web.Request) -> web.Response:
        kind = request.match_info["kind"]
        found = self.seen[kind]
        if kind == "shows" and request.query.get("extended") != "progress":
            found = [{**one, "seasons": None} for one in found]
        return self._mine(request, found)

    async def _paused(self, request: web.Request) -> web.Response:
        return self._mine(request, self.paused)

    def _is_theirs(self, request: web.Request) -> bool:
        return request.headers.get("Authorization", "").removeprefix("Bearer ") in self.access

    def _mine(self, request: web.Request, everything: list[Any]) -> web.Response:
        if not self._is_theirs(request):
            return web.Response(status=401)
        return _page(request, everything)

    async def _public(self, request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        return _page(request, self.items.get(request.path, []))

    async def _title(self, request: web.Request) -> web.Response:
        assert request.query["extended"] == "full"
        if request.path not in self.titles:
            return web.Response(status=404)
        return web.json_response(self.titles[request.path])

    async def _search(self, request: web.Request) -> web.Response:
        kinds = request.match_info["kind"].split(",")
        everything = [one for many in self.items.values() for one in many]
        found = [
            {"type": kind, "score": 1, kind: one[kind]}
            for one in everything
            for kind in kinds
            if kind in one and request.query["query"] in one[kind]["title"].lower()
        ]
        return web.json_response(found)

    async def _tell(self, request: web.Request) -> web.Response:
        if not self._is_theirs(request):
            return web.Response(status=401)
        self.told.append((request.path, await request.json()))
        return web.json_response({"id": 1}, status=201)


def _page(request: web.Request, everything: list[Any]) -> web.Response:
    number, limit = int(request.query["page"]), int(request.query["limit"])
    assert limit <= 100
    return web.Response(
        text=json.dumps(everything[(number - 1) * limit : number * limit]),
        content_type="application/json",
        headers={
            "X-Pagination-Page": str(number),
            "X-Pagination-Page-Count": str(-(-len(everything) // limit)),
        },
    )


class NoTrakt:
    """The accounts of a house that has no application at Trakt."""

    def state(self, user_id: UserId) -> TraktLink:
        return TraktLink(state="off", since=EPOCH, reason="It is off", next="Nothing")

    async def begin(self, user_id: UserId) -> DeviceCode:
        raise TraktOffError("The settings have no application at Trakt")

    async def unlink(self, user_id: UserId) -> None:
        return None


def movie(number: int, **fields: Any) -> dict[str, Any]:
    """Return an entry of a list."""
    ids = {"trakt": number, "slug": f"film-{number}", "imdb": f"tt{number:07}", "tmdb": number}
    return {
        "rank": number,
        "type": "movie",
        "movie": {"title": f"Film {number}", "year": 2000, "ids": ids} | fields,
    }


def show(number: int, **fields: Any) -> dict[str, Any]:
    """Return an entry of a list."""
    ids = {"trakt": number, "slug": f"series-{number}", "tvdb": number, "tmdb": number}
    return {
        "type": "show",
        "show": {"title": f"Series {number}", "year": 2010, "ids": ids} | fields,
    }


@asynccontextmanager
async def serving(fake: FakeTrakt) -> AsyncIterator[str]:
    """Serve it on the loopback for the length of the block; yield its base URL."""
    async with TestServer(fake.application()) as server:
        yield str(server.make_url("")).rstrip("/")
