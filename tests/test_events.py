"""What is told as it happens: to whom, in which order, and for how long to who does not read."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from miauflixd.auth.model import Actor, UserChanges, UserId
from miauflixd.web.happenings import library_events
from miauflixd.web.limits import Limits
from tests.doorstep import Doorstep, open_doorstep
from tests.fakes import FakeTorrents
from tests.running import until
from tests.status_fakes import FakeLibrary, FakeTasks

METAINFO = b"d4:infod6:lengthi5eee"


@pytest.fixture
def library():
    return FakeLibrary()


@pytest.fixture
def tasks():
    return FakeTasks("clean_up", "sync_movies")


@pytest.fixture
def torrents():
    return FakeTorrents()


@pytest.fixture
async def house(tmp_path):
    async with open_doorstep(tmp_path) as house:
        yield house


@pytest.fixture
def app(house, library, tasks, torrents):
    return house.app(
        library=library,
        timetable=tasks,
        torrents=torrents,
        limits=Limits(event=timedelta(seconds=0.3), heartbeat=timedelta(seconds=60)),
    )


@pytest.fixture
async def client(app):
    async with TestClient(TestServer(app)) as client:
        yield client


@asynccontextmanager
async def listening(client, headers) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
    async with client.get("/api/events", headers=headers) as response:
        assert response.status == 200
        yield heard(response)


async def heard(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    async for line in response.content:
        kind, _, value = line.decode().rstrip("\n").partition(": ")
        if kind == "event":
            name = value
        elif kind == "data":
            yield name, json.loads(value)


async def beginning(events) -> list[tuple[str, Any]]:
    """Return all that is told until `ready`."""
    found: list[tuple[str, Any]] = []
    async with asyncio.timeout(10):
        async for one in events:
            if one[0] == "ready":
                return found
            found.append(one)
    raise AssertionError("it ended")


def listeners(house_parts) -> int:
    return sum(len(one._listeners) for one in house_parts)


@pytest.fixture
def blackboards(library, tasks, torrents):
    return [library.blackboard, tasks._changes, torrents._changes]


# --- to whom --------------------------------------------------------------------------------------


async def test_an_administrator_hears_of_everything_first(client, house, torrents):
    await torrents.add_metainfo(METAINFO)
    async with listening(client, house.as_admin) as events:
        told = await beginning(events)
        assert [name for name, _ in told] == ["torrent", "task", "task", "tunnel"]
        assert told[1][1]["name"] == "clean_up"
        assert told[1][1]["last_run"] is None
        assert "next" in told[3][1]


async def test_a_user_hears_nothing_of_sources_and_tasks(client, house, library, tasks, torrents):
    async with listening(client, house.as_user) as events:
        assert [name for name, _ in await beginning(events)] == ["tunnel"]
        await torrents.add_metainfo(METAINFO)
        tasks.run("clean_up")
        library.blackboard.note("home")
        assert (await anext(events))[0] == "library"


async def test_a_task_is_told_whenever_it_has_changed(client, house, tasks):
    async with listening(client, house.as_admin) as events:
        await beginning(events)
        tasks.run("sync_movies")
        kind, told = await anext(events)
        assert (kind, told["name"], told["state"]) == ("task", "sync_movies", "idle")
        assert told["last_run"]["result"] == "Done"
        tasks.run("sync_movies", failure="The provider is away")
        kind, told = await anext(events)
        assert (kind, told["name"], told["state"]) == ("task", "sync_movies", "resting")
        assert told["reason"] == "The provider is away"


async def test_changes_of_the_library_are_told_together(client, house, library):
    async with listening(client, house.as_user) as events:
        await beginning(events)
        for one in ("title:movie:7", "list:tmdb-movies-popular", "home", "title:show:8"):
            library.blackboard.note(one)
        library.blackboard.note("title:movie:7")
        assert await anext(events) == (
            "library",
            {
                "lists": ["tmdb-movies-popular"],
                "titles": ["movie:7", "show:8"],
                "home": True,
            },
        )


async def test_what_somebody_watches_is_told_to_nobody_else(client, house, library):
    async with (
        listening(client, house.as_user) as own,
        listening(client, house.as_admin) as other,
    ):
        await beginning(own)
        await beginning(other)
        library.blackboard.note(f"progress:{house.user.id}:episode:9")
        library.blackboard.note(f"home:{house.user.id}")
        assert await anext(own) == ("progress", {"title_id": "episode:9"})
        assert await anext(own) == ("library", {"lists": [], "titles": [], "home": True})
        library.blackboard.note("list:a")
        assert await anext(other) == ("library", {"lists": ["a"], "titles": [], "home": False})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ([], []),
        (["home"], [("library", {"lists": [], "titles": [], "home": True})]),
        (["home:ben"], [("library", {"lists": [], "titles": [], "home": True})]),
        (["home:anna"], []),
        (
            ["sources:movie:7", "title:movie:7"],
            [
                (
                    "library",
                    {"lists": [], "titles": ["movie:7"], "home": False, "sources": ["movie:7"]},
                )
            ],
        ),
        (["progress:anna:movie:7"], []),
        (["progress:ben:movie:7"], [("progress", {"title_id": "movie:7"})]),
        (["progress", "progress:", "title", "something:else", "", ":"], []),
        (["list:own-a:ben"], [("library", {"lists": ["own-a"], "titles": [], "home": False})]),
        (["list:own-a:anna"], []),
    ],
)
def test_each_change_is_told_to_whom_it_concerns(changed, told):
    assert [parsed(one) for one in library_events(changed, UserId("ben"))] == told


def test_whoever_is_nobody_of_the_household_has_watched_nothing():
    assert [
        *library_events(["progress:None:movie:7", "progress::movie:7", "home:None"], None)
    ] == []


def test_thousands_of_titles_are_several_events():
    changed = ["home", *(f"title:movie:{number}" for number in range(1201))]
    told = [parsed(one)[1] for one in library_events(changed, None)]
    assert [len(one["titles"]) for one in told] == [500, 500, 201]
    assert [one["home"] for one in told] == [True, False, False]
    assert told[2]["titles"][-1] == "movie:1200"


def parsed(event: bytes) -> tuple[str, Any]:
    name, data = event.decode().removesuffix("\n\n").split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


# --- for how long ---------------------------------------------------------------------------------


async def test_who_leaves_is_forgotten_by_all_that_it_listened_to(client, house, blackboards):
    async with listening(client, house.as_admin) as events:
        await beginning(events)
        assert listeners(blackboards) == 3
    await until(lambda: not listeners(blackboards), "they are forgotten")


async def test_who_is_shut_out_hears_no_more(client, house, library, blackboards):
    async with listening(client, house.as_user) as events:
        await beginning(events)
        changes = UserChanges(disabled=True)
        await house.household.accounts.update(house.user.id, changes, actor=Actor())
        library.blackboard.note("home")
        assert [one async for one in events] == []
    assert not listeners(blackboards)


def deaf(server: TestServer, house: Doorstep) -> socket.socket:
    """Return a client that asks for events, and reads nothing of what it is told."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((str(server.host), server.port))
    head = ["GET /api/events HTTP/1.1", f"Host: {server.host}"]
    head += [f"{name}: {value}" for name, value in house.as_user.items()]
    connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
    return connection


async def test_who_does_not_read_is_hung_up_on_and_nothing_piles_up_for_it(
    app, house, library, blackboards
):
    transports: list[asyncio.Transport] = []
    waiting = []

    async def remember(request: web.Request, _response: web.StreamResponse) -> None:
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        # The kernel would take megabytes before anybody notices.
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        transports.append(transport)

    app.on_response_prepare.append(remember)
    tasks_before = len(asyncio.all_tasks())
    server = TestServer(app)
    async with TestClient(server) as client:
        with deaf(server, house):
            await until(lambda: listeners(blackboards) == 1, "it listens")
            # Somebody else who does read is not held up by it.
            async with listening(client, house.as_user) as events:
                await beginning(events)
                for number in range(100_000):
                    library.blackboard.note(f"title:movie:{number}")
                titles = 0
                while titles < 100_000:
                    titles += len((await anext(events))[1]["titles"])
                    waiting.append(transports[0].get_write_buffer_size())
                await until(lambda: listeners(blackboards) == 1, "the deaf one is forgotten")
                assert transports[0].is_closing()
                library.blackboard.note("home")
                assert (await anext(events))[1]["home"]
    assert max(waiting) < 2**18
    await until(lambda: len(asyncio.all_tasks()) <= tasks_before, "no task is left")


async def test_who_reads_slowly_gets_each_change_once(client, house, library):
    async with listening(client, house.as_user) as events:
        await beginning(events)
        for _ in range(1000):
            library.blackboard.note("list:a")
        assert (await anext(events))[1]["lists"] == ["a"]
        library.blackboard.note("list:b")
        assert (await anext(events))[1]["lists"] == ["b"]
