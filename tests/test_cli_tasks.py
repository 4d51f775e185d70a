"""`miauflixd tasks` against a running web server: what a person reads, and the exit status."""

import asyncio
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from miauflixd import cli
from miauflixd.config import loading
from miauflixd.remote import tasks_text
from tests.fakes import FakeTimetable
from tests.test_tasks_api import BACKUP, SEARCH
from tests.web_house import open_web


@pytest.fixture
def timetable():
    return FakeTimetable(BACKUP, replace(SEARCH, summary="\x1b]0;title\x07Looks"))


@pytest.fixture
async def run(tmp_path, monkeypatch, capsys, timetable):
    for name in [*os.environ]:
        if name.startswith("MIAUFLIX_") or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)
    monkeypatch.setattr(loading, "DEFAULT_FILE", tmp_path / "none.toml")
    socket = tmp_path / "control.sock"
    monkeypatch.setenv("MIAUFLIX_WEB_CONTROL_SOCKET", str(socket))

    async def run(*arguments: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(cli.main, ["tasks", *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    async with open_web(tmp_path, timetable=timetable, control_socket=socket):
        yield run


@pytest.mark.parametrize("arguments", [[], ["list"]])
async def test_the_list_is_what_one_gets_without_a_word(run, arguments):
    status, out, _ = await run(*arguments)
    assert status == 0
    assert out.startswith("backup  resting for ")
    assert "search_sources  idle, 12 waiting" in out


async def test_nothing_writes_to_the_terminal_what_it_likes(run):
    _, out, _ = await run()
    assert "\x1b" not in out
    assert "\x07" not in out


@pytest.mark.parametrize("arguments", [["--json"], ["list", "--json"], ["--json", "list"]])
async def test_programs_get_what_the_api_answers(run, arguments):
    _, out, _ = await run(*arguments)
    assert [one["name"] for one in json.loads(out)] == ["backup", "search_sources"]


async def test_a_task_is_run_once_at_a_time(run):
    status, out, _ = await run("run", "backup")
    assert (status, out) == (0, "Asked for. `miauflixd tasks` tells how backup goes on\n")
    status, _, err = await run("run", "backup")
    assert (status, err) == (1, "miauflixd: The task backup is running already\n")


@pytest.mark.parametrize("name", ["nothing", "../users", "a b?c#d", "\N{CAT}"])
async def test_a_task_that_is_not_there_is_said_not_to_be(run, name):
    status, _, err = await run("run", name)
    assert (status, err) == (1, "miauflixd: There is no such task\n")


def test_each_task_is_told_in_a_few_lines():
    now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    task = {
        "name": "refresh_lists",
        "summary": "Refreshes lists",
        "every": 3600.0,
        "at": None,
        "state": "idle",
        "since": now.isoformat(),
        "reason": "The last run went well",
        "next": (now + timedelta(minutes=61)).isoformat(),
        "last_run": {"started": now.isoformat(), "took": 95.0, "result": None, "error": None},
        "queue": 0,
    }
    local = now.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    later = (now + timedelta(minutes=61)).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    assert tasks_text.timetable([task], now=now).splitlines() == [
        "refresh_lists  idle",
        "    Refreshes lists, every 1 h",
        f"    last  {local}, took 1 min: nothing new",
        f"    next  {later}, in 1 h 1 min",
    ]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"state": "running"}, "x  running for 2 h"),
        ({"state": "resting"}, "x  resting for 2 h: It is down"),
        ({"at": "03:30"}, "    X, nightly at 03:30"),
        ({"every": None}, "    X, when there is something to do"),
        ({"state": "off"}, "    next  when somebody asks"),
        ({}, "    next  when there is something to do"),
    ],
)
def test_each_state_has_its_words(changed, expected):
    now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    task = {
        "name": "x",
        "summary": "X",
        "every": 60.0,
        "at": None,
        "state": "idle",
        "since": (now - timedelta(hours=2)).isoformat(),
        "reason": "It is down",
        "next": None,
        "last_run": None,
        "queue": None,
    }
    assert expected in tasks_text.timetable([{**task, **changed}], now=now).splitlines()


def test_without_tasks_it_says_so():
    assert tasks_text.timetable([]) == "There is nothing that is done by itself"
