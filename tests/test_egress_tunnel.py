"""The client whose sockets and names come from inside the tunnel."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from miauflixd.egress.clients import tunnel_client
from miauflixd.egress.errors import EgressError
from miauflixd.egress.names import TunnelNames
from miauflixd.tunnel.errors import TunnelDownError
from tests.egress_fakes import FakeOpener, FakeResolver, FakeRoad, resolving


class Inside:
    """A site, a resolver that knows it as `site.example`, and a client for both."""

    def __init__(self, **resolver: Any) -> None:
        self.road = FakeRoad()
        self.opener = FakeOpener()
        self.resolver = FakeResolver(**{"names": {"site.example": ["127.0.0.1"]}, **resolver})
        self.requests = 0
        self.pause = 0.0

    async def answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        await asyncio.sleep(self.pause)
        return web.Response(text=request.path)

    @asynccontextmanager
    async def open(self):
        app = web.Application()
        app.router.add_get("/{path:.*}", self.answer)
        async with TestServer(app) as server, resolving(self.resolver) as stub:
            self.origin = f"http://site.example:{server.port}"
            self.stub = stub
            async with tunnel_client(opener=self.opener, road=self.road, stub=stub) as client:
                self.client = client
                yield self
        assert self.opener.open == 0, "sockets were left open"

    async def get(self, url: str | None = None, timeout: float = 5) -> bytes:
        answer = await self.client.request(
            "GET", url or self.origin, timeout=timeout, limit=2**16, allow=[self.origin]
        )
        assert answer.status == 200
        return answer.body

    async def refusal(self, url: str | None = None, timeout: float = 5) -> EgressError:
        with pytest.raises(EgressError) as raised:
            await self.get(url, timeout)
        return raised.value


async def test_sockets_and_names_come_from_inside_and_from_nowhere_else(monkeypatch):
    def outside(*_args, **_kwargs):
        pytest.fail("this machine's resolver was asked")

    monkeypatch.setattr("socket.getaddrinfo", outside)
    async with Inside().open() as inside:
        assert await inside.get(inside.origin + "/a") == b"/a"
        assert inside.opener.kinds["inet", "datagram"] == 1
        assert inside.opener.kinds["inet", "stream"] >= 1
        assert inside.opener.kinds["inet6", "stream"] == 0
        assert inside.resolver.asked == ["site.example A"]


async def test_fifty_requests_at_once_never_lack_a_socket():
    inside = Inside()
    inside.opener.pause = 0.001
    inside.pause = 0.02
    async with inside.open(), asyncio.timeout(15):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(inside.get(f"{inside.origin}/{n}")) for n in range(50)]
        assert [task.result() for task in tasks] == [f"/{n}".encode() for n in range(50)]
        assert inside.opener.open <= 32 + 8  # connections that can be used again, and spare ones


async def test_addresses_that_do_not_answer_cost_no_more_sockets_than_were_set_aside():
    dead = "http://dead.example:9"
    async with Inside(names={"dead.example": ["127.0.0.1", "127.0.0.2"]}).open() as inside:
        for _ in range(5):
            with pytest.raises(EgressError) as raised:
                await inside.client.request("GET", dead, timeout=5, limit=1, allow=[dead])
            assert raised.value.reason == "connect"
            assert "refused" in str(raised.value)  # by the host: it is not for want of a socket


async def test_without_a_tunnel_it_is_refused_at_once_and_nobody_is_asked():
    async with Inside().open() as inside:
        inside.road.up = False
        with pytest.raises(TunnelDownError, match="The server does not answer") as raised:
            await inside.get()
        assert raised.value.code == "tunnel_down"
        assert inside.opener.opened == []
        inside.road.up = True
        assert await inside.get() == b"/"


async def test_what_fails_because_the_tunnel_went_says_so():
    inside = Inside()
    inside.pause = 5

    async def goes_down() -> None:
        while not inside.requests:
            await asyncio.sleep(0.005)
        inside.road.up = False

    async with inside.open(), asyncio.TaskGroup() as group:
        group.create_task(goes_down())
        with pytest.raises(TunnelDownError):
            await inside.get(timeout=0.3)


async def test_without_an_engine_there_is_no_way_out():
    async with Inside().open() as inside:
        inside.opener.broken = True
        with pytest.raises(TunnelDownError):
            await inside.get()


async def test_without_sockets_nothing_falls_back():
    async with Inside().open() as inside:
        inside.opener.exhausted = True
        assert (await inside.refusal()).reason == "socket"
        assert inside.requests == 0
        inside.opener.exhausted = False
        assert await inside.get() == b"/"


async def test_a_name_that_points_inward_is_refused():
    inside = Inside(names={"rebound.example": ["127.0.0.1", "192.168.1.1"]})
    async with inside.open():
        error = await inside.refusal(inside.origin.replace("site", "rebound"))
        assert error.reason == "refused"
        assert inside.requests == 0


async def test_an_ipv6_address_is_of_no_use_in_a_tunnel_without():
    async with Inside().open() as inside:
        assert (await inside.refusal("http://[2606:4700::1111]/")).reason == "connect"
        assert inside.opener.kinds["inet6", "stream"] == 0


# --- names ----------------------------------------------------------------------------------------


async def test_a_name_is_asked_for_once_in_its_lifetime():
    now = 0.0
    resolver, opener = FakeResolver(names={"a.example": ["1.2.3.4"]}, ttl=60), FakeOpener()
    async with resolving(resolver) as stub:
        names = TunnelNames(opener=opener, road=FakeRoad(), stub=stub, clock=lambda: now)
        for _ in range(3):
            assert [r["host"] for r in await names.resolve("a.example", 80)] == ["1.2.3.4"]
        assert len(resolver.asked) == 1
        now = 61
        await names.resolve("a.example", 80)
        assert len(resolver.asked) == 2
    assert opener.open == 0


async def test_a_lifetime_of_a_year_is_forgotten_sooner_and_so_are_too_many_names():
    now = 0.0
    names_known = {f"n{n}.example": ["1.2.3.4"] for n in range(300)}
    resolver = FakeResolver(names=names_known, ttl=31_536_000)
    async with resolving(resolver) as stub:
        names = TunnelNames(opener=FakeOpener(), road=FakeRoad(), stub=stub, clock=lambda: now)
        for name in names_known:
            await names.resolve(name)
        assert len(names._known) <= 256
        asked = len(resolver.asked)
        now = 301
        await names.resolve("n299.example")
        assert len(resolver.asked) == asked + 1


async def test_both_families_are_asked_for_where_the_tunnel_has_both_and_two_of_each_are_taken():
    addresses = ["1.0.0.1", "1.0.0.2", "1.0.0.3", "2a00::1", "2a00::2", "2a00::3"]
    resolver = FakeResolver(names={"a.example": addresses, "four.example": ["1.0.0.1"]})
    async with resolving(resolver) as stub:
        names = TunnelNames(opener=FakeOpener(), road=FakeRoad(ipv6=True), stub=stub)
        found = [result["host"] for result in await names.resolve("a.example")]
        assert len(set(found[:2]) & set(addresses[:3])) == 2
        assert len(set(found[2:]) & set(addresses[3:])) == 2
        assert [r["host"] for r in await names.resolve("four.example")] == ["1.0.0.1"]


async def test_an_answer_too_long_for_a_datagram_comes_by_a_stream():
    async with Inside(truncating=True).open() as inside:
        assert await inside.get() == b"/"
        assert inside.resolver.by_stream == 1


@pytest.mark.parametrize("trouble", [{"failures": 2}, {"noisy": True}])
async def test_a_resolver_in_trouble_is_asked_again(trouble):
    async with Inside(**trouble).open() as inside:
        assert await inside.get() == b"/"


async def test_a_query_that_was_lost_is_repeated(monkeypatch):
    monkeypatch.setattr("miauflixd.egress.names._PATIENCE", (0.05, 0.05, 5.0))
    async with Inside(silences=2).open() as inside:
        assert await inside.get() == b"/"
        assert len(inside.resolver.asked) == 3


@pytest.mark.parametrize("trouble", [{"names": {}}, {"failures": 9}, {"silences": 9}])
async def test_a_name_that_is_not_to_be_found_is_an_error_of_its_own(trouble, monkeypatch):
    monkeypatch.setattr("miauflixd.egress.names._PATIENCE", (0.05, 0.05))
    async with Inside(**trouble).open() as inside:
        error = await inside.refusal()
        assert error.reason == "name"
        assert "site.example" in str(error)


async def test_a_name_that_is_none_is_not_asked_for():
    async with Inside().open() as inside:
        url = f"http://{'a' * 64}.example/"
        assert (await inside.refusal(url)).reason == "name"
        assert inside.resolver.asked == []


async def test_a_resolver_that_starts_anew_is_waited_for():
    inside = Inside()
    async with inside.open():
        pass
    resolver = FakeResolver(names={"site.example": ["1.2.3.4"]})
    names = TunnelNames(opener=FakeOpener(), road=FakeRoad(), stub=inside.stub)
    async with asyncio.TaskGroup() as group:
        found = group.create_task(names.resolve("site.example"))
        await asyncio.sleep(0.05)
        async with resolving(resolver, at=inside.stub):
            assert [result["host"] for result in await found] == ["1.2.3.4"]


async def test_without_a_resolver_names_are_not_found():
    async with Inside().open() as inside:
        stub = inside.stub
    names = TunnelNames(opener=FakeOpener(), road=FakeRoad(), stub=stub)
    with pytest.raises(OSError, match="refused"):
        await names.resolve("site.example")
