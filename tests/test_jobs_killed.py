"""A timetable in a process that is killed in the middle, again and again: nothing lost or twice."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ROOT = Path(__file__).parent.parent

PAGES = 20
PER_PAGE = 10
WORKERS = 3

PROGRAM = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from miauflixd.database.database import Database
from miauflixd.jobs.job import Job, QueueJob
from miauflixd.jobs.model import Every, Wanted
from miauflixd.jobs.queue import WorkQueue
from miauflixd.jobs.settings import JobsSettings
from miauflixd.jobs.timetable import Timetable

path, hours, pages, per_page, workers = Path(sys.argv[1]), *map(int, sys.argv[2:])


def clock():
    # Hours later with each start: what was killed climbs its ladder.
    return datetime.now(UTC) + timedelta(hours=hours)


async def main():
    async with Database.open(path) as database:
        queue = await WorkQueue.open("titles", database=database, clock=clock)

        async def feed(run):
            page = int(run.cursor or b"0")
            while page < pages:
                print("page", page, flush=True)
                names = [f"{page}-{number}" for number in range(per_page)]
                page += 1
                await run.checkpoint(b"%d" % page, {queue: [Wanted(item=one) for one in names]})
                await asyncio.sleep(0.005)
            return "all pages"

        async def handle(item, _priority):
            print("begun", item, flush=True)
            await asyncio.sleep(0.005)
            print("done", item, flush=True)

        jobs = [
            Job(name="feed", summary="", rule=Every(timedelta(hours=1)), run=feed),
            QueueJob(name="work", summary="", queue=queue, handler=handle, workers=workers,
                     within=timedelta(minutes=1)),
        ]
        async with Timetable.open(
            jobs, database=database, settings=JobsSettings(), clock=clock, jitter=lambda: 0.0
        ) as timetable:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(timetable.run())
                async with timetable.changes() as changes:
                    async for _ in changes:
                        feeding, working = timetable.tasks()
                        if feeding.last and feeding.state == "idle" and not working.queue:
                            print("complete", flush=True)
                            task.cancel()
                            break


asyncio.run(main())
"""


@contextmanager
def process(path: Path, *, start: int) -> Iterator["subprocess.Popen[str]"]:
    arguments = [path, start * 30, PAGES, PER_PAGE, WORKERS]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def test_killed_again_and_again_a_feed_and_its_queue_lose_nothing(tmp_path):
    path = tmp_path / "house.sqlite3"
    said: list[str] = []
    kills = 0
    while "complete" not in said:
        with process(path, start=kills) as running:
            assert running.stdout is not None
            # At another place each time, and further on: in the middle of pages and of items.
            for lines, line in enumerate(running.stdout):
                said.append(line.strip())
                if lines == 7 + 13 * kills:
                    running.send_signal(signal.SIGKILL)
            assert running.wait() in {0, -signal.SIGKILL}
        kills += 1
        assert kills < 50
    assert kills > 3

    words = Counter(tuple(line.split()) for line in said)
    expected = {f"{page}-{number}" for page in range(PAGES) for number in range(PER_PAGE)}
    assert {rest[0] for word, *rest in words if word == "done"} == expected
    # A page or an item is seen twice only when a kill came in the middle of it.
    pages = [count for (word, *_), count in words.items() if word == "page"]
    begun = [count for (word, *_), count in words.items() if word == "begun"]
    assert len(pages) == PAGES
    assert sum(pages) - PAGES <= kills
    assert sum(begun) - len(expected) <= kills * (WORKERS + 1)
