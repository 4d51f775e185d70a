"""NordVPN's and Mullvad's APIs in one small server, with everything that can go wrong with them.

What they answer has the shape of the real ones; names, keys and addresses are made up. A test sets
`fake.trouble` or changes `fake.nordvpn` and `fake.mullvad` before it asks.
"""

import asyncio
import base64
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from aiohttp.test_utils import TestServer

TOKEN = hashlib.sha256(b"an access token").hexdigest()
ACCOUNT = "1234567890123456"

Trouble = Literal[
    "none",
    "304",  # though nobody asked whether anything changed
    "401",
    "404",
    "429",
    "500",
    "html",
    "half",  # of a JSON document
    "empty",
    "slow",
    "truncated gzip",
    "wrong shape",
    "hung up",
    "huge",
    "deep",  # JSON that would break a parser that calls itself
]


def key(name: str) -> str:
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


@dataclass
class FakeNordVpn:
    """The account and the servers of NordVPN."""

    token: str = TOKEN
    private_key: str | None = field(default_factory=lambda: key("nordvpn account"))
    servers: list[Any] = field(default_factory=list)
    countries: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        places = [(1, "Poland", "PL", "Warsaw"), (2, "Sweden", "SE", "Malm\u00f6")]
        self.countries = [
            {
                "id": country_id,
                "name": country,
                "code": code,
                "cities": [{"id": 10 * country_id, "name": city, "latitude": 1, "longitude": 2}],
            }
            for country_id, country, code, city in places
        ]
        self.countries.append({"id": 3, "name": "Bermuda", "code": "BM"})
        self.servers = [nordvpn_server(n, *places[n % 2]) for n in range(1, 7)]


def nordvpn_server(number: int, country_id: int, country: str, code: str, city: str) -> Any:
    return {
        "id": 900_000 + number,
        "name": f"{country} #{number}",
        "station": f"203.0.113.{number}",
        "ipv6_station": "",
        "hostname": f"{code.lower()}{number}.nordvpn.example",
        "load": 7 * number,
        "status": "online",
        "created_at": "2024-01-01 00:00:00",
        "locations": [
            {
                "id": number,
                "country": {
                    "id": country_id,
                    "name": country,
                    "code": code,
                    "city": {"id": 10 * country_id, "name": city, "hub_score": 0},
                },
            }
        ],
        "technologies": [
            {"id": 3, "identifier": "openvpn_udp", "pivot": {"status": "online"}, "metadata": []},
            {
                "id": 35,
                "identifier": "wireguard_udp",
                "pivot": {"status": "online"},
                "metadata": [{"name": "public_key", "value": key(f"nordvpn {number}")}],
            },
        ],
        "groups": [
            {"id": 11, "title": "Standard VPN servers"},
            *([{"id": 15, "title": "P2P"}] if code == "SE" else []),
        ],
        "ips": [{"ip": {"ip": f"203.0.113.{number}", "version": 4}, "type": "entry"}],
    }


@dataclass
class FakeMullvad:
    """The account, its devices and the relays of Mullvad."""

    account: str = ACCOUNT
    max_devices: int = 5
    claims_room: bool = False
    """Says that a device can be added, and then refuses: somebody else was faster."""
    access_token: str = "mva_made_up"
    devices: list[Any] = field(default_factory=list)
    locations: dict[str, Any] = field(
        default_factory=lambda: {
            "se-mma": {"city": "Malm\u00f6", "country": "Sweden", "latitude": 1, "longitude": 2},
            "se-got": {"city": "Gothenburg", "country": "Sweden", "latitude": 1, "longitude": 2},
            "ch-zrh": {"city": "Zurich", "country": "Switzerland", "latitude": 1, "longitude": 2},
        }
    )
    relays: list[Any] = field(default_factory=list)
    port_ranges: list[Any] = field(
        default_factory=lambda: [[53, 53], [4000, 33433], [51820, 51820]]
    )

    def __post_init__(self) -> None:
        self.relays = [
            mullvad_relay(number, place)
            for number, place in enumerate(("se-mma", "se-mma", "se-got", "ch-zrh"), 1)
        ]

    @property
    def etag(self) -> str:
        content = json.dumps([self.relays, self.locations, self.port_ranges])
        return f'"{hashlib.sha256(content.encode()).hexdigest()[:16]}"'


def mullvad_relay(number: int, place: str) -> Any:
    hostname = f"{place}-wg-{number:03}"
    return {
        "hostname": hostname,
        "active": True,
        "owned": False,
        "location": place,
        "provider": "somebody",
        "ipv4_addr_in": f"198.51.100.{number}",
        "ipv6_addr_in": f"2001:db8::{number}",
        "weight": 100,
        "include_in_country": True,
        "public_key": key(hostname),
        "daita": False,
        "shadowsocks_extra_addr_in": [],
        "features": {},
    }


class FakeProviders:
    """Both APIs, and what they were asked."""

    def __init__(self) -> None:
        self.nordvpn = FakeNordVpn()
        self.mullvad = FakeMullvad()
        self.trouble: Trouble = "none"
        self.retry_after = "7"
        self.asked: list[str] = []
        self.released = asyncio.Event()

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._troubled])
        application.add_routes(
            [
                web.get("/v1/users/services/credentials", self._credentials),
                web.get("/v1/servers/recommendations", self._recommendations),
                web.get("/v1/servers/countries", self._countries),
                web.get("/app/v1/relays", self._relays),
                web.post("/auth/v1/token", self._token),
                web.get("/accounts/v1/accounts/me", self._me),
                web.get("/accounts/v1/devices", self._devices),
                web.post("/accounts/v1/devices", self._add_device),
            ]
        )
        return application

    @web.middleware
    async def _troubled(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path_qs}")
        if self.trouble == "slow":
            await self.released.wait()
        if self.trouble == "hung up":
            assert request.transport is not None
            request.transport.abort()
        return self._instead() or await handler(request)

    def _instead(self) -> web.Response | None:
        """Return what is answered instead of what should be."""
        packed = gzip.compress(json.dumps(self.nordvpn.servers).encode())
        date = "Sun, 22 Nov 2026 20:00:00 GMT"
        answers: dict[str, dict[str, Any]] = {
            "304": {"status": 304},
            "404": {"status": 404, "text": "<h1>Not Found</h1>"},
            "401": {"status": 401, "text": '{"message": "Unauthorized"}'},
            "429": {"status": 429, "headers": {"Retry-After": self.retry_after, "Date": date}},
            "500": {"status": 500, "text": "<h1>Internal Server Error</h1>"},
            "html": {"text": "<!DOCTYPE html><title>Checking your browser</title>"},
            "half": {"text": '[{"id": 1, "name": "Pol'},
            "empty": {"body": b""},
            "wrong shape": {"text": '{"servers": 7}'},
            "deep": {"text": "[" * 100_000},
            "huge": {"body": b"[" + b" " * 9 * 2**20 + b"]"},
            "truncated gzip": {
                "body": packed[: len(packed) // 2],
                "headers": {"Content-Encoding": "gzip"},
            },
        }
        answer = answers.get(self.trouble)
        return None if answer is None else web.Response(**answer)

    # --- NordVPN ----------------------------------------------------------------------------------

    async def _credentials(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer token:{self.nordvpn.token}":
            return web.json_response({"errors": {"code": 100103}}, status=401)
        found = {"id": 1, "username": "u", "password": "p", "created_at": "", "updated_at": ""}
        if self.nordvpn.private_key is not None:
            found["nordlynx_private_key"] = self.nordvpn.private_key
        return web.json_response(found)

    async def _recommendations(self, request: web.Request) -> web.Response:
        query = request.query
        assert query["filters[servers_technologies][identifier]"] == "wireguard_udp"

        def wanted(server: Any) -> bool:
            if not isinstance(server, dict) or "locations" not in server:
                return True
            country = server["locations"][0]["country"]
            groups = {str(group["id"]) for group in server["groups"]}
            return (
                query.get("filters[country_id]", str(country["id"])) == str(country["id"])
                and query.get("filters[country_city_id]", str(country["city"]["id"]))
                == str(country["city"]["id"])
                and query.get("filters[servers_groups]", "11") in groups
            )

        found = [server for server in self.nordvpn.servers if wanted(server)]
        return web.json_response(
            found[: int(query["limit"])], headers={"X-Recommendation-Uuid": "made-up"}
        )

    async def _countries(self, _request: web.Request) -> web.Response:
        return web.json_response(self.nordvpn.countries)

    # --- Mullvad ----------------------------------------------------------------------------------

    async def _relays(self, request: web.Request) -> web.Response:
        etag = self.mullvad.etag
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.json_response(
            {
                "locations": self.mullvad.locations,
                "wireguard": {
                    "port_ranges": self.mullvad.port_ranges,
                    "ipv4_gateway": "10.64.0.1",
                    "ipv6_gateway": "fc00:bbbb:bbbb:bb01::1",
                    "shadowsocks_port_ranges": [],
                    "relays": self.mullvad.relays,
                },
                "bridge": {"relays": []},
            },
            headers={"ETag": etag},
        )

    async def _token(self, request: web.Request) -> web.Response:
        if (await request.json())["account_number"] != self.mullvad.account:
            return web.json_response({"code": "INVALID_ACCOUNT"}, status=400)
        return web.json_response(
            {"access_token": self.mullvad.access_token, "expiry": "2030-01-01T00:00:00Z"}
        )

    async def _me(self, request: web.Request) -> web.Response:
        self._authorised(request)
        return web.json_response(
            {
                "id": "x",
                "expiry": "2030-01-01T00:00:00Z",
                "max_devices": self.mullvad.max_devices,
                "can_add_devices": self.mullvad.claims_room
                or len(self.mullvad.devices) < self.mullvad.max_devices,
            }
        )

    async def _devices(self, request: web.Request) -> web.Response:
        self._authorised(request)
        return web.json_response(self.mullvad.devices)

    async def _add_device(self, request: web.Request) -> web.Response:
        self._authorised(request)
        if len(self.mullvad.devices) >= self.mullvad.max_devices:
            return web.json_response({"code": "MAX_DEVICES_REACHED"}, status=400)
        number = len(self.mullvad.devices) + 2
        device = {
            "id": str(number),
            "name": "quiet otter",
            "pubkey": (await request.json())["pubkey"],
            "hijack_dns": False,
            "created": "2026-11-22T00:00:00Z",
            "ipv4_address": f"10.64.0.{number}/32",
            "ipv6_address": f"fc00:bbbb:bbbb:bb01::{number}/128",
        }
        self.mullvad.devices.append(device)
        return web.json_response(device, status=201)

    def _authorised(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {self.mullvad.access_token}":
            raise web.HTTPUnauthorized


@asynccontextmanager
async def serving(fake: FakeProviders) -> AsyncIterator[str]:
    """Serve both APIs on the loopback for the length of the block; yield their base URL."""
    async with TestServer(fake.application()) as server:
        try:
            yield str(server.make_url("")).rstrip("/")
        finally:
            fake.released.set()
