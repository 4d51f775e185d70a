"""How the machine is, over HTTP and from the command line."""

import asyncio
import json
import os
from typing import Any

import pytest

from miauflixd import cli
from miauflixd.catalogue.artwork import ArtworkFigures
from miauflixd.config import loading
from miauflixd.remote.doctor import in_words
from miauflixd.runtime.disk import Disk, Room
from tests.artwork_fakes import FakeArtwork
from tests.fakes import FakeTorrents
from tests.status_fakes import FakeDisk, FakeLibrary, FakeTasks
from tests.web_house import open_web

GIB = 2**30


@pytest.fixture
def disk():
    return FakeDisk()


@pytest.fixture
def library():
    return FakeLibrary()


@pytest.fixture
def tasks():
    return FakeTasks("clean_up")


@pytest.fixture
def artwork():
    return FakeArtwork()


@pytest.fixture
async def web(tmp_path, disk, library, tasks, artwork):
    async with open_web(
        tmp_path,
        disk=disk,
        library=library,
        timetable=tasks,
        artwork=artwork,
        torrents=FakeTorrents(),
    ) as web:
        yield web


async def checks(web) -> dict[str, dict[str, str]]:
    answer = await web.ask_control("GET", "/api/doctor")
    assert answer.status == 200
    return {check["id"]: check for check in answer.body["checks"]}


# --- at a glance ----------------------------------------------------------------------------------


async def test_the_status_is_flat_and_says_nothing_secret(web, artwork):
    artwork.counted = ArtworkFigures(used=4096)
    token = await web.token_of(await web.add("ben"))
    answer = await web.ask("GET", "/api/status", token=token)
    assert answer.body.pop("uptime") >= 0
    assert answer.body == {
        "version": "1.2.3",
        "health": "ok",
        "streams": 0,
        "downloads": 0,
        "vpn": "off",
        "movies": 12,
        "shows": 3,
        "disk_free": 100 * GIB,
        "cache_used": 4096,
        "tmdb": "off",
        "archive": "ok",
        "trakt": "off",
    }


async def test_the_health_is_the_worst_that_the_doctor_finds(web, library, tasks):
    async def health() -> Any:
        return (await web.ask_control("GET", "/api/status")).body["health"]

    assert await health() == "ok"
    tasks.run("clean_up", failure="The disk is gone.")
    assert await health() == "warning"
    library.become("tmdb", "refused")
    assert await health() == "error"


async def test_a_disk_that_does_not_say_is_no_reason_to_say_nothing(web, disk):
    disk.trouble = OSError(5, "Input/output error")
    answer = await web.ask_control("GET", "/api/status")
    assert (answer.status, answer.body["disk_free"], answer.body["health"]) == (200, None, "error")


# --- providers ------------------------------------------------------------------------------------


async def test_every_provider_says_how_it_is_since_when_why_and_what_next(web):
    items = (await web.ask_control("GET", "/api/providers")).body["items"]
    assert [one["name"] for one in items] == ["tmdb", "archive", "trakt"]
    assert items[0] == {
        "name": "tmdb",
        "condition": "off",
        "since": "2026-11-22T00:00:00Z",
        "reason": "The settings do not want it.",
        "next": "Nothing.",
    }


async def test_a_provider_can_be_asked_now(web, library):
    library.become("archive", "failing")
    answer = await web.ask_control("POST", "/api/providers/archive/check")
    assert (answer.status, answer.body["condition"]) == (200, "ok")
    answer = await web.ask_control("POST", "/api/providers/none/check")
    assert (answer.status, answer.code) == (404, "no_provider")


# --- the doctor -----------------------------------------------------------------------------------


async def test_the_doctor_looks_at_everything(web):
    found = await checks(web)
    assert [*found] == [
        "tunnel",
        "disk",
        "downloads",
        "encryption",
        "provider_tmdb",
        "provider_archive",
        "provider_trakt",
        "directory_archive",
        "tasks",
    ]
    assert {check["state"] for check in found.values()} == {"ok"}
    assert all(check["message"] for check in found.values())


@pytest.mark.parametrize(
    ("free", "state"),
    [
        (100 * GIB, "ok"),
        (6 * GIB, "ok"),
        (6 * GIB - 1, "warning"),
        (GIB, "warning"),
        (GIB - 1, "error"),
        (0, "error"),
    ],
)
async def test_the_disk_is_looked_at_before_downloads_stop(web, disk, free, state):
    disk.left = Room(free=free, minimum=GIB)
    check = (await checks(web))["disk"]
    assert check["state"] == state
    assert bool(check["suggestion"]) is (state != "ok")


@pytest.mark.parametrize(
    ("condition", "state"),
    [
        ("ok", "ok"),
        ("off", "ok"),
        ("unknown", "ok"),
        ("resting", "ok"),
        ("failing", "warning"),
        ("refused", "error"),
    ],
)
async def test_a_provider_is_as_well_as_it_says(web, library, condition, state):
    library.become("tmdb", condition)
    check = (await checks(web))["provider_tmdb"]
    assert (check["state"], check["message"]) == (state, f"It is {condition}.")


async def test_tasks_that_fail_are_named(web, tasks):
    tasks.run("clean_up", failure="The database is busy.")
    check = (await checks(web))["tasks"]
    assert check["state"] == "warning"
    assert check["message"] == "clean_up: The database is busy."


async def test_a_disk_knows_its_room(tmp_path):
    room = await Disk(tmp_path, minimum=7).room()
    assert room.free > 0
    assert room.minimum == 7
    with pytest.raises(OSError, match="No such file"):
        await Disk(tmp_path / "none", minimum=7).room()


# --- figures --------------------------------------------------------------------------------------


async def test_conditions_and_artwork_are_counted(web, artwork, library):
    artwork.counted = ArtworkFigures(
        hits=5, fetched=4, failed=3, received=2000, images=4, used=16384
    )
    library.become("tmdb", "resting")
    async with web.control.get("http://localhost/metrics") as response:
        lines = (await response.text()).splitlines()
    for line in (
        'miauflixd_provider_condition{miauflixd_provider_condition="resting",provider="tmdb"} 1.0',
        'miauflixd_provider_condition{miauflixd_provider_condition="ok",provider="tmdb"} 0.0',
        'miauflixd_provider_condition{miauflixd_provider_condition="ok",provider="archive"} 1.0',
        "miauflixd_artwork_hits_total 5.0",
        "miauflixd_artwork_fetches_total 4.0",
        "miauflixd_artwork_failures_total 3.0",
        "miauflixd_artwork_received_bytes_total 2000.0",
        "miauflixd_artwork_images 4.0",
        "miauflixd_artwork_bytes 16384.0",
    ):
        assert line in lines


# --- the command line -----------------------------------------------------------------------------


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    for name in [*os.environ]:
        if name.startswith("MIAUFLIX_") or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)
    monkeypatch.setattr(loading, "DEFAULT_FILE", tmp_path / "etc" / "miauflixd.toml")
    monkeypatch.setenv("MIAUFLIX_WEB_CONTROL_SOCKET", str(tmp_path / "control.sock"))

    async def run(*arguments: str) -> tuple[int, str]:
        status = await asyncio.to_thread(cli.main, arguments)
        return status, capsys.readouterr().out

    return run


async def test_the_exit_status_is_the_worst_that_was_found(run, web, library):
    status, out = await run("doctor")
    assert status == 0
    assert [line.split()[:2] for line in out.splitlines()][:2] == [["ok", "tunnel"], ["ok", "disk"]]
    library.become("archive", "failing")
    assert (await run("doctor"))[0] == 1
    library.become("tmdb", "refused")
    status, out = await run("doctor", "--json")
    assert status == 2
    states = {check["id"]: check["state"] for check in json.loads(out)["checks"]}
    assert states["provider_tmdb"] == "error"


async def test_a_daemon_that_does_not_answer_is_what_is_wrong(run):
    status, out = await run("doctor", "--json")
    assert status == 2
    (check,) = json.loads(out)["checks"]
    assert (check["id"], check["state"]) == ("daemon", "error")
    assert "Is it running?" in check["message"]


def test_what_to_do_stands_below_what_is_wrong():
    check = {"id": "disk", "state": "warning", "message": "Full.", "suggestion": "Make room."}
    lines = in_words({"checks": [check, {**check, "state": "ok"}]}).splitlines()
    assert [line.split() for line in lines] == [
        ["warning", "disk", "Full."],
        ["Make", "room."],
        ["ok", "disk", "Full."],
    ]
