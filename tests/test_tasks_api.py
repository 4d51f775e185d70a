"""`/api/tasks`, what Prometheus gets of it, and the real timetable behind both."""

import re
from datetime import UTC, datetime, time, timedelta

import aiohttp
import pytest

from miauflixd.jobs.model import LastRun, TaskView
from tests.fakes import FakeTimetable
from tests.web_house import open_web

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

BACKUP = TaskView(
    name="backup",
    summary="Copies the database",
    every=timedelta(days=1),
    at=time(3, 30),
    state="resting",
    since=NOW,
    reason="There is no room",
    next=NOW + timedelta(minutes=5),
    last=LastRun(
        started=NOW, took=timedelta(seconds=1.5), result="There is no room", error="storage_full"
    ),
    runs=7,
    failed=2,
    queue=None,
)
SEARCH = TaskView(
    name="search_sources",
    summary="Looks for sources",
    every=None,
    at=None,
    state="idle",
    since=NOW,
    reason="It has not run yet",
    next=None,
    last=None,
    runs=0,
    failed=0,
    queue=12,
)


@pytest.fixture
def timetable():
    return FakeTimetable(BACKUP, SEARCH)


@pytest.fixture
async def web(tmp_path, timetable):
    async with open_web(tmp_path, timetable=timetable) as web:
        yield web


@pytest.fixture
async def admin(web):
    return await web.token_of(await web.admin())


async def test_the_list_says_what_since_when_why_and_what_next(web, admin):
    answer = await web.ask("GET", "/api/tasks", token=admin)
    assert answer.status == 200
    assert answer.body["items"] == [
        {
            "name": "backup",
            "summary": "Copies the database",
            "every": 86400.0,
            "at": "03:30",
            "state": "resting",
            "since": "2026-03-01T12:00:00Z",
            "reason": "There is no room",
            "next": "2026-03-01T12:05:00Z",
            "last_run": {
                "started": "2026-03-01T12:00:00Z",
                "took": 1.5,
                "result": "There is no room",
                "error": "storage_full",
            },
            "queue": None,
        },
        {
            "name": "search_sources",
            "summary": "Looks for sources",
            "every": None,
            "at": None,
            "state": "idle",
            "since": "2026-03-01T12:00:00Z",
            "reason": "It has not run yet",
            "next": None,
            "last_run": None,
            "queue": 12,
        },
    ]
    assert (answer.body["total"], answer.body["next_cursor"]) == (2, None)


async def test_the_list_comes_in_pages_in_the_order_of_the_tasks(web, admin):
    first = await web.ask("GET", "/api/tasks?limit=1", token=admin)
    cursor = first.body["next_cursor"]
    second = await web.ask("GET", f"/api/tasks?limit=1&cursor={cursor}", token=admin)
    assert [one["name"] for one in first.body["items"] + second.body["items"]] == [
        "backup",
        "search_sources",
    ]


async def test_whoever_asks_for_a_run_is_told_that_it_has_begun(web, admin, timetable):
    answer = await web.ask("POST", "/api/tasks/backup/run", token=admin)
    assert (answer.status, answer.body["state"]) == (202, "running")
    again = await web.ask("POST", "/api/tasks/backup/run", token=admin)
    assert (again.status, again.code) == (409, "already_running")
    timetable.finish("backup", took=timedelta(seconds=1), result="Done")
    assert (await web.ask("POST", "/api/tasks/backup/run", token=admin)).status == 202


@pytest.mark.parametrize("name", ["nothing", "..%2F..%2Fetc", "%00", "%F0%9F%90%88", "x" * 500])
async def test_what_is_no_task_is_not_found(web, admin, name):
    answer = await web.ask("POST", f"/api/tasks/{name}/run", token=admin)
    assert (answer.status, answer.code) == (404, "no_task")


async def test_it_is_for_administrators(web, admin):
    ben = await web.token_of(await web.add("ben"))
    assert (await web.ask("GET", "/api/tasks", token=ben)).status == 403
    assert (await web.ask("POST", "/api/tasks/backup/run", token=ben)).status == 403


async def test_whoever_is_at_the_control_socket_may_as_well(web):
    assert (await web.ask_control("POST", "/api/tasks/backup/run")).status == 202


async def test_prometheus_gets_figures_of_each_task(web):
    async with web.session.get(f"{web.url}/metrics") as response:
        told = await response.text()
    assert isinstance(response, aiohttp.ClientResponse)
    assert re.findall(r'^miauflixd_task_\w+\{task="\w+"\} \S+$', told, re.MULTILINE) == [
        'miauflixd_task_runs_total{task="backup"} 7.0',
        'miauflixd_task_runs_total{task="search_sources"} 0.0',
        'miauflixd_task_failures_total{task="backup"} 2.0',
        'miauflixd_task_failures_total{task="search_sources"} 0.0',
        'miauflixd_task_running{task="backup"} 0.0',
        'miauflixd_task_running{task="search_sources"} 0.0',
        'miauflixd_task_last_duration_seconds{task="backup"} 1.5',
        'miauflixd_task_queue_length{task="search_sources"} 12.0',
    ]
