"""`scripts/bench catalogue`: how soon a home is full, how soon it answers, and how quiet it is.

The daemon, with its engine, has one core; whoever asks, TMDB and the Archive have another. TMDB
has its true limits and is 80 ms away. First a fresh install; then a house that has been up for
long, with 10,000 movies, 2,000 shows and 60,000 episodes, whose lists hold titles that are known in
full.
"""

import argparse
import asyncio
import compileall
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random

import miauflixd
from miauflixd.catalogue.model import Locale, Region
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.database.database import Database
from miauflixd.jobs.model import Wanted
from miauflixd.jobs.queue import WorkQueue
from miauflixd.runtime.priority import Priority
from tests.bench.api import Cores
from tests.bench.catalogue_data import WHOLE, fill
from tests.bench.house import (
    ARCHIVE_ROWS,
    TMDB_ROWS,
    House,
    LargeTmdb,
    Shelf,
    house,
    shelves,
)
from tests.bench.measuring import (
    Results,
    Summary,
    Target,
    cpu_seconds,
    family,
    memory,
    on_core,
    table,
    write_report,
)

_POPULAR = "/discover/movie"
"""The list whose requests are counted."""

_LENGTH = 120
"""Titles of it."""

_ROW = 20
_FIRST = 100
"""Titles of a list of which all is asked at once."""

_BEGUN = 50
_FOLLOWED = 100
_SEEN = 3
"""Episodes of each show that is followed."""

_KEYSTROKE = 0.1
"""Seconds between two letters of somebody who types fast. Without them, what TMDB has found for one
search would be written during the next, which nobody has typed yet."""

_ENOUGH = 6
"""Finds of our own with which nobody waits for TMDB, which takes longer than any bound."""

SETTLING = 65.0
"""Seconds after which it has been written down that somebody was there."""

_HOURLY = ("refresh_lists", "sync_movies", "sync_shows", "sync_trakt")
_QUEUE = 100_000

_WORDS = ("harbour", "lantern", "winter", "mirror", "kingdom", "salt", "horse", "silence")

TARGETS = {
    "ready_fresh": Target("start to READY, fresh", "s"),
    "ready_full": Target("start to READY, the whole house", "s"),
    "fresh_rows": Target("fresh: until all TMDB rows have 20 cards", "s", 60),
    "fresh_archive": Target("fresh: until all Archive rows are there", "s", 60),
    "fresh_details": Target("fresh: until the first 100 of each list are known in full", "s"),
    "asked_pages": Target("fresh: requests for pages of lists", ""),
    "asked_details": Target("fresh: requests for titles, by then", ""),
    "asked_seasons": Target("fresh: requests for seasons, by then", ""),
    "asked_other": Target("fresh: other requests", ""),
    "asked_too_often": Target("fresh: requests that TMDB refused", "", 0),
    "list_first": Target("a list of 120: requests the first time", "", 125),
    "list_next": Target("a list of 120: requests the next time", "", 10),
    "home": Target("home, rows remembered", "ms", 10),
    "home_progress": Target("home, right after an episode was watched", "ms", 10),
    "home_list": Target("home, right after a list has changed", "ms", 10),
    "home_both": Target("home, right after both", "ms", 10),
    "search_words": Target("search for words", "ms", 30, at_p95=True),
    "search_1": Target("search for 1 letter", "ms", 30, at_p95=True),
    "search_2": Target("search for 2 letters", "ms", 30, at_p95=True),
    "search_3": Target("search for 3 letters", "ms", 30, at_p95=True),
    "search_4": Target("search for 4 letters", "ms", 30, at_p95=True),
    "search_nonsense": Target("search for nonsense, asked for once more", "ms", 30, at_p95=True),
    "search_elsewhere": Target("search that finds next to nothing, TMDB waited for", "ms"),
    "browse": Target("browse, 50 of all", "ms", 30),
    "browse_genre": Target("browse, 50 of a genre by rating", "ms", 30),
    "title": Target("a title in full", "ms", 10),
    "season": Target("a season", "ms", 10),
    "round_cpu": Target("all hourly tasks, nothing new: CPU", "s"),
    "round_requests": Target("all hourly tasks, nothing new: requests", ""),
    "round_commits": Target("all hourly tasks, nothing new: writes", ""),
    "idle_cpu": Target("idle", "% of a core", 0.5),
    "hour_cpu": Target("idle, with an hour's tasks", "% of a core", 0.5),
    "idle_commits": Target("idle: writes of the database", "1/min", 1),
    "hour_commits": Target("idle: the same, with an hour's tasks", "1/min", 1),
    "idle_bytes": Target("idle: written to disk", "KiB/min"),
    "memory": Target("RSS of the daemon, after all of it", "MB"),
    "memory_engine": Target("RSS of the daemon and its engine", "MB"),
    "queue_next": Target("100,000 waiting: next work found", "ms", 5),
    "queue_due": Target("100,000 that come due at once: next work found", "ms", 5),
}


async def measure_fresh(folder: Path, core: int, results: Results) -> None:
    """Measure how a home fills by itself."""
    tmdb = LargeTmdb(shelves(count(1000), count(1000)), max_age=3600)
    async with house(folder, core, tmdb) as daemon:
        results.note("ready_fresh", daemon.ready)
        wanted = {
            f"/{kind}/{number}"
            for shelf in tmdb.shelves.values()
            for kind, number in shelf[:_FIRST]
        }
        left = {"fresh_rows", "fresh_archive", "fresh_details"}
        async with asyncio.timeout(180):
            while left:
                rows = {
                    row["id"]: len(row["items"]) for row in (await daemon.get("/api/home"))["rows"]
                }
                known = {path for path, outcome in tmdb.outcomes if outcome == "200"}
                reached = {
                    "fresh_rows": all(rows.get(row, 0) >= _ROW for row in TMDB_ROWS),
                    "fresh_archive": rows.keys() >= ARCHIVE_ROWS,
                    "fresh_details": wanted <= known,
                }
                for key in [key for key in left if reached[key]]:
                    results.note(key, time.monotonic() - daemon.began)
                    left.discard(key)
                await asyncio.sleep(0.1)
        for kind, times in tmdb.kinds().items():
            results.note(f"asked_{kind}", times)
        results.note("asked_too_often", tmdb.count("", "429"))
        results.note("list_first", _asked_for(tmdb, tmdb.shelves[_POPULAR]))


def _asked_for(tmdb: LargeTmdb, shelf: Shelf) -> int:
    """Return how often it was asked for a list, and for what is in it."""
    paths = {_POPULAR, *(f"/{kind}/{number}" for kind, number in shelf)}
    return sum(path.partition("?")[0] in paths for path in tmdb.asked)


async def measure_house(
    folder: Path, core: int, filled: Path, results: Results, *, runs: int, idle: float
) -> None:
    """Measure how a full house answers, and what it does when nobody asks."""
    # Every sixth title is known in full, and TMDB's ids are ours.
    movies, shows = range(1003, WHOLE.movies, 6), range(10_003, WHOLE.movies + WHOLE.shows, 6)
    tmdb = LargeTmdb(shelves(movies, shows), max_age=0)
    async with house(folder, core, tmdb, filled=filled) as daemon:
        results.note("ready_full", daemon.ready)
        await daemon.rests()
        shown = await live_there(daemon)
        await measure_home(daemon, shown, results, runs=runs)
        await measure_rest(daemon, shown, results, runs=runs)
        await measure_search(daemon, results, runs=runs // 2)
        await daemon.rests()
        await daemon.quiet(SETTLING)
        await measure_quiet(daemon, results, idle=idle)
        results.note("memory", memory([daemon.pid]) / 1e6)
        results.note("memory_engine", memory(family(daemon.pid)) / 1e6)


async def live_there(daemon: House) -> dict[str, list[str]]:
    """Have somebody in the middle of fifty movies, who follows a hundred shows.

    Returns:
        The movies that they have begun, and for each show the episodes that they have not seen.
    """
    movies = await _listed(daemon, "tmdb-movies-popular")
    shows = (await _listed(daemon, "tmdb-shows-popular"))[:_FOLLOWED]
    for movie in movies[:_BEGUN]:
        await _watch(daemon, movie, to=0.3, state="paused")
    following = {}
    for show in shows:
        season = await daemon.get(f"/api/titles/{show}/seasons/1")
        episodes = [episode["id"] for episode in season["episodes"]]
        for episode in episodes[:_SEEN]:
            await _watch(daemon, episode, to=1, state="ended")
        following[show] = episodes[_SEEN:]
    rows = {row["id"]: row for row in (await daemon.get("/api/home"))["rows"]}
    assert len(rows["continue-watching"]["items"]) == len(rows["next-up"]["items"]) == _ROW
    return {"movies": movies, **following}


async def measure_home(
    daemon: House, shown: dict[str, list[str]], results: Results, *, runs: int
) -> None:
    """Measure the home page, as it was and right after something has changed."""
    _, made = await asyncio.to_thread(daemon.ask, "POST", "/api/lists", {"title": "Mine"})
    places = [f"/api/lists/{made['slug']}/items/{movie}" for movie in shown["movies"]]
    episodes = iter([one for key, ids in shown.items() if key != "movies" for one in ids])
    for run in range(runs):
        method, place = ("PUT", "DELETE")[run // _LENGTH % 2], places[run % _LENGTH]
        await _watch(daemon, next(episodes), to=1, state="ended")
        results.note("home_progress", await daemon.took("/api/home"))
        results.note("home", await daemon.took("/api/home"))
        await asyncio.to_thread(daemon.ask, method, place)
        results.note("home_list", await daemon.took("/api/home"))
        await _watch(daemon, next(episodes), to=1, state="ended")
        await asyncio.to_thread(daemon.ask, "DELETE" if method == "PUT" else "PUT", place)
        results.note("home_both", await daemon.took("/api/home"))
        await asyncio.to_thread(daemon.ask, method, place)


async def measure_rest(
    daemon: House, shown: dict[str, list[str]], results: Results, *, runs: int
) -> None:
    """Measure the other pages."""
    shows = [show for show in shown if show != "movies"]
    genres = [one["slug"] for one in (await daemon.get("/api/genres"))["items"]]
    for run in range(runs):
        results.note("title", await daemon.took(f"/api/titles/{shown['movies'][run % _LENGTH]}"))
        show = shows[run % _FOLLOWED]
        results.note("season", await daemon.took(f"/api/titles/{show}/seasons/{1 + run % 3}"))
        genre = genres[run % len(genres)]
        results.note(
            "browse_genre", await daemon.took(f"/api/titles?genre={genre}&sort=rating&limit=50")
        )
        results.note("browse", await daemon.took("/api/titles?limit=50"))


async def measure_search(daemon: House, results: Results, *, runs: int) -> None:
    """Measure searches, as somebody types them: hardly any twice."""
    random = Random("search")
    words = [
        f"{'the ' * random.randrange(2)}{random.choice(_WORDS)}"
        f"{random.choice(('', ' ', ' a', ' s', ' w'))}{random.choice(('', 'in', 'o', 'the'))}"
        for _ in range(runs)
    ]
    for text in words:
        await _search(daemon, text, results, "search_words")
        for letters in range(1, 5):
            start = random.choice(_WORDS)[:letters]
            await _search(daemon, start, results, f"search_{letters}")
        nonsense = "".join(random.choices("qxzjkvw", k=8))
        await _search(daemon, nonsense, results, "search_nonsense")


async def _search(daemon: House, text: str, results: Results, key: str) -> None:
    """Search, and once more where there is so little that TMDB is waited for."""
    await asyncio.sleep(_KEYSTROKE)
    path = f"/api/search?q={text.strip().replace(' ', '+')}"
    took, said = await asyncio.to_thread(daemon.ask, "GET", path)
    if len(said["items"]) < _ENOUGH:
        results.note("search_elsewhere", took)
        took = await daemon.took(path)
    results.note(key, took)


async def measure_quiet(daemon: House, results: Results, *, idle: float) -> None:
    """Measure what it costs to do nothing, and an hour's tasks when nothing is new."""
    pids = family(daemon.pid)
    cpu, written = cpu_seconds(pids), _written(pids)
    with daemon.commits() as commits:
        await daemon.quiet(idle)
    share, writes = (cpu_seconds(pids) - cpu) / idle * 100, commits[0] * 60 / idle
    results.note("idle_cpu", share)
    results.note("idle_commits", writes)
    results.note("idle_bytes", (_written(pids) - written) / 1024 * 60 / idle)
    # A first round may still find something; what it finds is then known.
    await daemon.run(_HOURLY)
    before, cpu = len(daemon.tmdb.asked), cpu_seconds(pids)
    list_before = _asked_for(daemon.tmdb, daemon.tmdb.shelves[_POPULAR])
    with daemon.commits() as commits:
        await daemon.run(_HOURLY)
    hourly = cpu_seconds(pids) - cpu
    results.note("round_cpu", hourly)
    results.note("round_requests", len(daemon.tmdb.asked) - before)
    results.note("round_commits", commits[0])
    results.note("list_next", _asked_for(daemon.tmdb, daemon.tmdb.shelves[_POPULAR]) - list_before)
    results.note("hour_cpu", share + hourly / 3600 * 100)
    # One more: when they ran is written down within a minute.
    results.note("hour_commits", writes + (commits[0] + 1) / 60)


def _written(pids: Sequence[int]) -> int:
    """Return the bytes that processes have caused to be written to disk, proc(5)."""
    return sum(
        int(line.split()[1])
        for pid in pids
        for line in Path(f"/proc/{pid}/io").read_text().splitlines()
        if line.startswith("write_bytes:")
    )


async def measure_queue(folder: Path, results: Results, *, runs: int) -> None:
    """Measure how soon the next work is found among a hundred thousand."""
    now = datetime.now(UTC)
    async with Database.open(folder / "queue.sqlite3") as database:
        for name, not_before in (("queue_next", None), ("queue_due", now)):
            queue = await WorkQueue.open(name, database=database, clock=lambda: now)
            await queue.put(
                Wanted(item=f"movie:{number}", weight=number, not_before=not_before)
                for number in range(_QUEUE)
            )
            for _ in range(runs):
                began = time.perf_counter()
                turn = await queue.turn([], claim=1, least=Priority.ROUTINE)
                results.note(name, 1000 * (time.perf_counter() - began))
                assert turn.claimed


async def _listed(daemon: House, slug: str) -> list[str]:
    found = await daemon.get(f"/api/lists/{slug}?limit=200")
    return [one["id"] for one in found["items"]]


async def _watch(daemon: House, title_id: str, *, to: float, state: str) -> None:
    body = {"position": to * 3000, "duration": 3000, "state": state}
    await daemon.put(f"/api/progress/{title_id}", body)


async def _fill(path: Path) -> None:
    async with Database.open(path) as database:
        store = await TitleStore.open(database=database, region=Region("US"), language=Locale("en"))
        await fill(store, WHOLE)


async def run(arguments: argparse.Namespace) -> dict[str, Summary]:
    """Take all measurements."""
    results = Results(TARGETS)
    cores = Cores()
    with tempfile.TemporaryDirectory(prefix="miauflixd-bench-") as name, on_core(cores.ours):
        folder = Path(name)
        filled = folder / "filled.sqlite3"
        await _fill(filled)
        if not arguments.house:
            await measure_fresh(folder, cores.daemons, results)
            await measure_queue(folder, results, runs=arguments.runs)
        await measure_house(
            folder, cores.daemons, filled, results, runs=arguments.runs, idle=arguments.idle
        )
    return results.summaries()


def main(words: list[str]) -> None:
    """Measure, print JSON to standard output (or a file) and a table to standard error."""
    parser = argparse.ArgumentParser(prog="scripts/bench catalogue", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="of each question")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds to watch it idle")
    parser.add_argument("--house", action="store_true", help="only the house that is full")
    parser.add_argument("--json", type=Path, default=None, help="write the JSON there")
    arguments = parser.parse_args(words)
    load = os.getloadavg()[0]
    # As when it is installed; to compile all of it takes longer than to start it.
    compileall.compile_dir(Path(miauflixd.__file__).parent, quiet=1)
    summaries = asyncio.run(run(arguments))
    write_report(
        summaries,
        to=arguments.json,
        conditions={
            "runs": arguments.runs,
            "load": [round(load, 2), round(os.getloadavg()[0], 2)],
        },
    )
    print(table(TARGETS, summaries), file=sys.stderr)
