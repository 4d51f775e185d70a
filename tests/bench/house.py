"""A daemon with a catalogue, those whom it asks, and somebody who lives there."""

import asyncio
import http.client
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from miauflixd.catalogue.providers.archive_reviewed import rows as reviewed_rows
from miauflixd.catalogue.providers.tmdb_lists import LISTS
from miauflixd.demo.daemon import DaemonProcess, free_port
from miauflixd.demo.household import sign_in
from tests import archive_fake, tmdb_fake
from tests.bench.client import BenchError
from tests.bench.measuring import commits, on_core
from tests.bench.stream import LOGIN
from tests.tmdb_fake import Answer, FakeTmdb
from tests.tmdb_titles import PAGE

AWAY = 0.08
"""Seconds that TMDB takes for an answer, as measured from a household."""

_WITHIN = 180.0
"""Seconds for whatever is waited for; longer is a failure of the bench."""

Shelf = Sequence[tuple[str, int]]
"""Titles in order: `movie` or `tv`, and TMDB's id."""


class LargeTmdb(FakeTmdb):
    """TMDB with other titles in each of its lists, as far away as it is."""

    def __init__(self, shelves: Mapping[str, Shelf], *, max_age: int) -> None:
        """Take what is in the lists, by their paths, and for how many seconds answers hold."""
        super().__init__(movies=11_000, shows=12_000, max_age=max_age)
        self.delay = AWAY
        self.shelves = shelves

    def _made_up(self, path: str, request: web.Request) -> Answer:
        if (shelf := self.shelves.get(path)) is not None:
            return 200, self._page(list(shelf), request.query, named=path.startswith("/trending/"))
        return super()._made_up(path, request)

    def kinds(self) -> Counter[str]:
        """Return how often it was asked for pages of lists, titles, seasons and the rest."""
        asked: Counter[str] = Counter()
        for path in self.asked:
            asked[self._kind(path.partition("?")[0])] += 1
        return asked

    def _kind(self, path: str) -> str:
        if path in self.shelves:
            return "pages"
        words = path.strip("/").split("/")
        if "season" in words:
            return "seasons"
        return "details" if words[-1].isdecimal() else "other"


def shelves(movies: Iterable[int], shows: Iterable[int]) -> Mapping[str, Shelf]:
    """Return what is in TMDB's lists, as much as is asked of each, and no title in two of them."""
    left = {"movie": iter(movies), "tv": iter(shows)}
    found = {}
    for one in LISTS.values():
        mixed = one.shown.kind == "mixed"
        kinds = ("movie", "tv") if mixed else ("movie" if one.shown.kind == "movie" else "tv",)
        length = one.shown.pages * PAGE
        found[one.path] = [
            (kind, next(left[kind])) for _ in range(length // len(kinds)) for kind in kinds
        ]
    return found


def archive() -> archive_fake.FakeArchive:
    """Return the Archive with all that the reviewed lists name."""
    fake = archive_fake.FakeArchive()
    for row in reviewed_rows():
        for item in row.items:
            licence = "https://creativecommons.org/publicdomain/mark/1.0/"
            fake.add(item.identifier, title=item.title, year=str(item.year), licenseurl=licence)
    return fake


ARCHIVE_ROWS = frozenset(row.slug for row in reviewed_rows())
TMDB_ROWS = frozenset(LISTS)


@dataclass(kw_only=True)
class House:
    """A daemon, and a connection to it that is kept."""

    url: str
    pid: int
    began: float
    """When it was started."""
    ready: float
    """Seconds after which it said so."""
    database: Path
    tmdb: LargeTmdb
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)

    def ask(self, method: str, path: str, body: object = None) -> tuple[float, Any]:
        """Return the milliseconds that an answer took, and what it says; blocks."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body)
        began = time.perf_counter()
        self._connection.request(method, path, body=data, headers=headers)
        answer = self._connection.getresponse()
        said = answer.read()
        took = 1000 * (time.perf_counter() - began)
        if answer.status >= 400:
            raise BenchError(f"{method} {path}: {answer.status} {said.decode(errors='replace')}")
        return took, json.loads(said) if said else None

    async def quiet(self, seconds: float) -> None:
        """Ask nothing for so long, nor keep the connection: the next question opens another."""
        self._connection.close()
        await asyncio.sleep(seconds)

    async def get(self, path: str) -> Any:
        """Return what is said to be there."""
        _, said = await asyncio.to_thread(self.ask, "GET", path)
        return said

    async def took(self, path: str) -> float:
        """Return the milliseconds until it was said."""
        took, _ = await asyncio.to_thread(self.ask, "GET", path)
        return took

    async def put(self, path: str, body: object = None) -> None:
        """Have something so."""
        await asyncio.to_thread(self.ask, "PUT", path, body)

    async def rests(self, *, quiet: float = 0.5) -> None:
        """Wait until no task has run for so many seconds."""
        since = time.monotonic()
        async with asyncio.timeout(_WITHIN):
            while time.monotonic() - since < quiet:
                tasks = (await self.get("/api/tasks"))["items"]
                if any(task["state"] == "running" for task in tasks):
                    since = time.monotonic()
                await asyncio.sleep(0.1)

    async def run(self, names: Sequence[str]) -> None:
        """Have tasks run, and wait until they have."""
        for name in names:
            await asyncio.to_thread(self.ask, "POST", f"/api/tasks/{name}/run")
        await self.rests()

    def commits(self) -> AbstractContextManager[list[int]]:
        """Count the transactions that change the database within the block."""
        return commits(self.database)


@asynccontextmanager
async def house(
    folder: Path, core: int, tmdb: LargeTmdb, *, filled: Path | None = None
) -> AsyncIterator[House]:
    """Run a daemon on its core that asks this TMDB and an Archive.

    Args:
        folder: where it is put.
        core: the daemon's.
        tmdb: whom it asks.
        filled: a database of which it gets a copy; it begins with none otherwise.
    """
    place = Path(tempfile.mkdtemp(dir=folder))
    database = place / "data" / "miauflixd.sqlite3"
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, place)
        if filled is not None:
            database.parent.mkdir()
            shutil.copy(filled, database)
        tmdb_url = await stack.enter_async_context(tmdb_fake.serving(tmdb))
        archive_url = await stack.enter_async_context(archive_fake.serving(archive()))
        (place / "conf.d").mkdir()
        (place / "conf.d" / "bench.toml").write_text(
            "[web]\nrate_limits = false\n"
            f'[catalogue]\narchive = true\narchive_url = "{archive_url}"\n'
            f'tmdb_url = "{tmdb_url}"\ntmdb_token = "{tmdb_fake.TOKEN}"\n'
        )
        began = time.monotonic()
        with on_core(core):
            process = await stack.enter_async_context(
                DaemonProcess.open(directory=place, port=free_port(), log_level="warning")
            )
        ready = time.monotonic() - began
        yield House(
            url=process.url,
            pid=process.pid,
            began=began,
            ready=ready,
            database=database,
            tmdb=tmdb,
            token=await sign_in(process, LOGIN),
        )
