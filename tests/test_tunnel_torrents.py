"""A swarm behind a tunnel that comes, goes and changes: real engines on the loopback."""

import asyncio
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from miauflixd.demo.daemon import free_port
from miauflixd.engine.messages import (
    Configure,
    Metadata,
    Pieces,
    PiecesFinished,
    ProgressReport,
    SaveResumeData,
)
from miauflixd.tunnel.errors import TunnelDownError
from tests.running import until
from tests.test_engine import Engine, Shared, add, engine, open_files, to
from tests.torrent_files import LEAF, noise

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(60)]

FILM = {"film": noise(600 * LEAF, 1)}


class Announce(NamedTuple):
    query: Mapping[str, str]
    headers: Mapping[str, str]


class Notebook:
    """A tracker that knows nobody, and writes down who asks."""

    def __init__(self) -> None:
        self.announces: list[Announce] = []
        self.url = ""

    def of(self, port: int) -> list[Announce]:
        return [one for one in self.announces if one.query["port"] == str(port)]

    def events_of(self, port: int) -> list[str]:
        return [one.query.get("event", "") for one in self.of(port)]

    async def answer(self, request: web.Request) -> web.Response:
        self.announces.append(Announce(request.query, request.headers))
        return web.Response(body=b"d8:intervali1800e5:peers0:e")


@asynccontextmanager
async def notebook() -> AsyncIterator[Notebook]:
    book = Notebook()
    app = web.Application()
    app.router.add_get("/announce", book.answer)
    async with TestServer(app) as server:
        book.url = str(server.make_url("/announce"))
        yield book


class Socket(NamedTuple):
    protocol: str
    local: str
    remote: str

    @property
    def is_connection(self) -> bool:
        return self.protocol == "tcp" and not self.remote.endswith(":0000")


def network_sockets(pid: int) -> set[Socket]:
    """Return the sockets of a process that could reach anybody."""
    found = set()
    descriptors = {str(path) for path in open_files(pid)}
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{protocol}").read_text().splitlines()[1:]:
            fields = line.split()
            if f"socket:[{fields[9]}]" in descriptors:
                found.add(Socket(protocol, fields[1], fields[2]))
    return found


def connections(pid: int) -> set[Socket]:
    return {one for one in network_sockets(pid) if one.is_connection}


@asynccontextmanager
async def seeders(shared: Shared, *, count: int, rate: int) -> AsyncIterator[list[Engine]]:
    async with AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(engine(f"127.0.0.{41 + number}", upload_rate=rate))
            for number in range(count)
        ]
        for seeder in running:
            shared.seed(seeder)
        yield running


async def more(leecher: Engine) -> None:
    """Wait for a piece that is finished from now on."""
    count = len(leecher.finished())
    while len(leecher.finished()) == count:
        await leecher.says(PiecesFinished)


# --- the road -------------------------------------------------------------------------------------


async def test_nothing_is_sent_before_there_is_a_road(tmp_path):
    async with notebook() as tracker, engine(dht=True, up=False) as leecher:
        shared = Shared(tmp_path, FILM, kind="v1", tracker=tracker.url)
        async with seeders(shared, count=1, rate=0) as (seeder,):
            leecher.send(add(shared, tmp_path), to(seeder))
            await leecher.says(Pieces)  # what is on the disk is read all the same
            leecher.send(shared.wanting(shared.every_piece), SaveResumeData())
            for _ in range(20):
                assert network_sockets(leecher.pid) == set()
                await asyncio.sleep(0.05)
            assert tracker.of(leecher.port) == []
            leecher.process.set_network(up=True)
            await leecher.has_finished(shared.every_piece)
            shared.assert_saved(tmp_path / "show")
            assert "started" in tracker.events_of(leecher.port)


async def test_when_the_road_is_gone_nothing_is_sent_and_nobody_is_told_goodbye(tmp_path):
    async with notebook() as tracker, engine(dht=True) as leecher:
        shared = Shared(tmp_path, FILM, kind="v1", tracker=tracker.url)
        async with seeders(shared, count=2, rate=200_000) as swarm:
            leecher.send(add(shared, tmp_path), *map(to, swarm))
            await leecher.says(Pieces)
            leecher.send(shared.wanting(shared.every_piece))
            await more(leecher)
            leecher.process.set_network(up=False)
            await until(lambda: not network_sockets(leecher.pid), "all sockets are closed")
            told = len(tracker.of(leecher.port))
            for _ in range(20):
                assert network_sockets(leecher.pid) == set()
                await asyncio.sleep(0.05)
            assert len(tracker.of(leecher.port)) == told
            assert "stopped" not in tracker.events_of(leecher.port)
            leecher.process.set_network(up=True)
            await more(leecher)
            assert len(connections(leecher.pid)) == 2
            await until(lambda: len(tracker.of(leecher.port)) > told, "the tracker hears of it")


async def test_what_was_counted_before_a_pause_still_counts(tmp_path):
    async with engine() as leecher:
        shared = Shared(tmp_path, FILM, kind="v1")
        async with seeders(shared, count=1, rate=0) as (seeder,):
            leecher.send(add(shared, tmp_path), to(seeder))
            await leecher.says(Pieces)
            half = set(range(shared.count // 2))
            leecher.send(shared.wanting(half))
            await leecher.has_finished(half)
            size = len(FILM["film"])
            await leecher.says(ProgressReport, lambda told: told.torrents[0].downloaded >= size / 2)
            leecher.process.set_network(up=False)
            await leecher.says(ProgressReport, lambda told: told.torrents[0].peers == 0)
            leecher.process.set_network(up=True)
            leecher.send(shared.wanting(shared.every_piece))
            await leecher.says(ProgressReport, lambda told: told.torrents[0].downloaded >= size)


async def test_behind_another_server_all_peers_are_called_again_at_once(tmp_path):
    async with notebook() as tracker, engine() as leecher:
        shared = Shared(tmp_path, FILM, kind="v1", tracker=tracker.url)
        async with seeders(shared, count=3, rate=200_000) as swarm:
            leecher.send(add(shared, tmp_path), *map(to, swarm))
            await leecher.says(Pieces)
            leecher.send(shared.wanting(shared.every_piece))
            await more(leecher)
            await until(lambda: len(connections(leecher.pid)) == 3, "all are connected")
            for generation in range(1, 4):
                await another_server(leecher, tracker, generation)
            # It never said that it went, which a tracker might hear after it said that it came.
            assert "stopped" not in tracker.events_of(leecher.port)


async def another_server(leecher: Engine, tracker: Notebook, generation: int) -> None:
    before, told = connections(leecher.pid), len(tracker.of(leecher.port))
    leecher.process.set_network(up=True, generation=generation)
    began = asyncio.get_running_loop().time()
    await until(lambda: not before & connections(leecher.pid), "the old connections are closed")
    await more(leecher)
    print(f"next piece after {asyncio.get_running_loop().time() - began:.3f} s")
    await until(lambda: len(connections(leecher.pid) - before) == 3, "all are connected anew")
    await until(lambda: len(tracker.of(leecher.port)) > told, "the tracker hears of it")


async def test_the_same_news_of_the_road_disturb_nobody(tmp_path):
    async with engine() as leecher:
        shared = Shared(tmp_path, FILM, kind="v1")
        async with seeders(shared, count=1, rate=200_000) as (seeder,):
            leecher.send(add(shared, tmp_path), to(seeder))
            await leecher.says(Pieces)
            leecher.send(shared.wanting(shared.every_piece))
            await more(leecher)
            before = network_sockets(leecher.pid)
            for _ in range(3):
                leecher.process.set_network(up=True)
            await more(leecher)
            await more(leecher)
            assert network_sockets(leecher.pid) == before


async def test_another_port_is_listened_on_and_announced_without_a_connection_lost(tmp_path):
    async with notebook() as tracker, engine() as leecher:
        shared = Shared(tmp_path, FILM, kind="v1", tracker=tracker.url)
        async with seeders(shared, count=2, rate=200_000) as swarm:
            leecher.send(add(shared, tmp_path), *map(to, swarm))
            await leecher.says(Pieces)
            leecher.send(shared.wanting(shared.every_piece))
            await more(leecher)
            await until(lambda: len(connections(leecher.pid)) == 2, "both are connected")
            before = connections(leecher.pid)
            forwarded = free_port()
            leecher.send(configuration(f"127.0.0.1:{forwarded}"))
            began = asyncio.get_running_loop().time()
            await until(lambda: bool(tracker.of(forwarded)), "the new port is announced")
            print(f"announced after {asyncio.get_running_loop().time() - began:.3f} s")
            assert before <= connections(leecher.pid)
            with socket.create_connection(("127.0.0.1", forwarded)):
                pass


async def test_an_interface_may_be_named_instead_of_an_address(tmp_path):
    async with engine() as leecher:
        leecher.send(configuration("lo:0"))
        shared = Shared(tmp_path, FILM, kind="v1")
        async with seeders(shared, count=1, rate=0) as (seeder,):
            leecher.send(add(shared, tmp_path), to(seeder))
            await leecher.says(Pieces)
            leecher.send(shared.wanting(shared.every_piece))
            await leecher.has_finished(shared.every_piece)


def configuration(listen: str) -> Configure:
    return Configure(listen=[listen], connections=20, download_rate=0, upload_rate=0, dht=False)


async def test_trackers_are_not_told_who_we_are(tmp_path):
    async with notebook() as tracker, engine() as one:
        shared = Shared(tmp_path, FILM, kind="v1", tracker=tracker.url)
        one.send(add(shared, tmp_path))
        await until(lambda: bool(tracker.announces), "it announces")
    for announce in tracker.announces:
        assert not {"ip", "ipv4", "ipv6"} & announce.query.keys()
        assert "miauflix" not in str(announce).lower()


# --- sockets --------------------------------------------------------------------------------------


async def test_the_engine_hands_over_sockets_that_work():
    async with engine(up=False) as one, notebook() as tracker:
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(one.process.open_socket(family, kind))
                for family in ("inet", "inet6")
                for kind in ("stream", "datagram")
                for _ in range(5)
            ]
        made = [task.result() for task in asked]
        kinds = [(each.family, each.type) for each in made]
        assert kinds == [
            (family, kind)
            for family in (socket.AF_INET, socket.AF_INET6)
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
            for _ in range(5)
        ]
        assert not any(each.getblocking() or each.get_inheritable() for each in made)
        port = int(tracker.url.split(":")[2].split("/")[0])
        await asyncio.get_running_loop().sock_connect(made[0], ("127.0.0.1", port))
        for each in made:
            each.close()


async def test_an_engine_that_can_open_nothing_more_says_so():
    async with engine(up=False) as one:
        held = len(list(Path(f"/proc/{one.pid}/fd").iterdir()))
        limits = resource.prlimit(one.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (held // 2, limits[1]))
        with pytest.raises(OSError, match="Too many open files"):
            await one.process.open_socket("inet", "stream")
        resource.prlimit(one.pid, resource.RLIMIT_NOFILE, limits)
        (await one.process.open_socket("inet", "stream")).close()


async def test_a_socket_that_comes_when_nobody_wants_it_any_more_is_closed():
    async with engine() as one:
        (await one.process.open_socket("inet", "stream")).close()
        before = set(open_files(os.getpid()))
        os.kill(one.pid, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await one.process.open_socket("inet", "stream")
        os.kill(one.pid, signal.SIGCONT)
        # In order: when this one is here the other one was.
        (await one.process.open_socket("inet", "stream")).close()
        assert set(open_files(os.getpid())) == before


async def test_whoever_waits_for_a_socket_is_told_when_the_engine_dies():
    async with engine() as one:
        os.kill(one.pid, signal.SIGSTOP)
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(refused(one)) for _ in range(3)]
            await asyncio.sleep(0)
            os.kill(one.pid, signal.SIGKILL)
        assert all(task.result() for task in waiting)
        assert await refused(one)


async def refused(one: Engine) -> bool:
    try:
        (await one.process.open_socket("inet", "stream")).close()
    except TunnelDownError:
        return True
    return False


async def test_sockets_come_while_nobody_follows_the_events(tmp_path):
    async with engine() as one:
        shared = Shared(tmp_path, FILM, kind="v1")
        one.send(add(shared, tmp_path))
        for _ in range(50):
            (await one.process.open_socket("inet", "stream")).close()
        await one.says(Pieces)
        assert not any(isinstance(event, Metadata) for event in one.said)
