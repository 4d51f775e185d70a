"""The catalogue at work: a library, its timetable, and providers that do what a test tells them.

Time stands still until a test moves it, for the providers' limits too: an hour of asking at TMDB's
pace takes as long as the work in it. So there are no sockets, whose bytes know of no stopped time;
the client and what a network can do to it have tests of their own.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from miauflixd.auth.model import UserId
from miauflixd.catalogue.library import Library
from miauflixd.catalogue.list_model import TitleList
from miauflixd.catalogue.model import Audience, ListSlug, Locale, TitleId
from miauflixd.catalogue.service import Catalogue
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.database.database import Database
from miauflixd.egress.errors import EgressError
from miauflixd.jobs.catalogue import CatalogueWork, catalogue_work
from miauflixd.jobs.model import TaskView
from miauflixd.jobs.settings import JobsSettings
from miauflixd.jobs.timetable import Timetable
from miauflixd.runtime.secrets import Secret
from miauflixd.vault.sealing import Sealer
from tests.archive_fake import FakeArchive
from tests.provider_house import Said
from tests.time_machine import TimeMachine
from tests.tmdb_fake import TOKEN, FakeTmdb

MOVIES = ListSlug("tmdb-movies-popular")
SHOWS = ListSlug("tmdb-shows-popular")
SILENT = ListSlug("archive-silent")

EVERYBODY = Audience(user_id=None, locale=Locale("en"), limit=None)

_TMDB, _ARCHIVE = "http://tmdb.example/3", "http://archive.example"

FILMS = {
    "Levoyagedanslalune": {},
    "great_gabbo": {},
    "Gertie": {},
    "TripDown1905": {},
    "ElephantsDream": {"licenseurl": "http://creativecommons.org/licenses/by/2.5/"},
}
"""One of each row that comes with this version."""


class _Transport:
    """Of a connection that is none; remembers whether it was cut off."""

    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return default


class Internet:
    """An HTTP client that asks the fakes' own applications, or finds that there is no internet."""

    def __init__(self, *, tmdb: FakeTmdb, archive: FakeArchive) -> None:
        self._applications = {
            "tmdb.example": tmdb.application(),
            "archive.example": archive.application(),
        }
        self.down = False
        self.away: set[str] = set()
        """Hosts that nobody finds."""
        self.attempts = 0
        """Requests, answered or not."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object | None = None,
        timeout: float,
        limit: int,
        allow: Any = (),
    ) -> Said:
        self.attempts += 1
        parts = urlsplit(url)
        application = self._applications.get(parts.hostname or "")
        if self.down or application is None or parts.hostname in self.away:
            raise EgressError("There is no internet here", reason="name")
        try:
            async with asyncio.timeout(timeout):
                response = await _answer(application, method, url, headers or {})
        except TimeoutError as error:
            raise EgressError("It took too long", reason="timeout") from error
        body = response.body if isinstance(response.body, bytes) else b""
        if len(body) > limit:
            raise EgressError("It is too large", reason="too_large")
        return Said(status=response.status, headers=dict(response.headers), body=body, url=url)


async def _answer(
    application: web.Application, method: str, url: str, headers: Mapping[str, str]
) -> web.Response:
    parts = urlsplit(url)
    transport = _Transport()
    request = make_mocked_request(
        method,
        f"{parts.path}?{parts.query}" if parts.query else parts.path,
        headers={"Host": parts.netloc, **headers},
        app=application,
        transport=transport,
    )
    found = await application.router.resolve(request)
    request._match_info = found
    handler = found.handler
    for middleware in application.middlewares:
        handler = _through(middleware, handler)
    response = await handler(request)
    if transport.aborted:
        raise EgressError("It hung up", reason="protocol")
    assert isinstance(response, web.Response)
    return response


def _through(middleware: Any, handler: Any) -> Any:
    async def answer(request: web.Request) -> Any:
        return await middleware(request, handler)

    return answer


def _seconds() -> float:
    # Looked up each time, for it is another one as soon as time stands still.
    return asyncio.get_running_loop().time()


class House:
    """A database, its clock, the providers, and what a test wants to know of them."""

    def __init__(self, folder: Path, **tmdb: Any) -> None:
        self._folder = folder
        usual: dict[str, Any] = {"movies": 30, "shows": 4, "clock": _seconds}
        self.tmdb = FakeTmdb(**(usual | tmdb))
        self.archive = FakeArchive()
        for identifier, fields in FILMS.items():
            self.archive.add(identifier, **fields)
        self.internet = Internet(tmdb=self.tmdb, archive=self.archive)
        self.settings: dict[str, Any] = {"tmdb_token": Secret(TOKEN), "artwork_quota": 2**20}
        self.database: Database
        self.clock: TimeMachine
        self.library: Library
        self.work: CatalogueWork
        self.timetable: Timetable
        self.catalogue: Catalogue

    @asynccontextmanager
    async def stopped(self) -> AsyncIterator["House"]:
        """Have a database, and time that stands still, for the length of the block."""
        async with Database.open(self._folder / "house.sqlite3") as self.database:
            with TimeMachine.stopped(self.database) as self.clock:
                yield self

    @asynccontextmanager
    async def at_work(
        self, *, background: bool = True, zone: tzinfo | None = None
    ) -> AsyncIterator["House"]:
        """Do what there is to do, by itself, for the length of the block."""
        async with AsyncExitStack() as stack:
            self.library = await stack.enter_async_context(
                Library.open(
                    settings=CatalogueSettings(
                        tmdb_url=_TMDB, archive_url=_ARCHIVE, **self.settings
                    ),
                    database=self.database,
                    sealer=Sealer(bytes(32)),
                    http=self.internet,
                    artwork=self._folder / "artwork",
                    clock=self.clock,
                )
            )
            self.work = await catalogue_work(
                library=self.library, database=self.database, clock=self.clock
            )
            self.catalogue = self.library.catalogue(self.work.errands)
            self.timetable = await stack.enter_async_context(
                Timetable.open(
                    self.work.jobs,
                    database=self.database,
                    settings=JobsSettings(background=background),
                    clock=self.clock,
                    zone=zone,
                    jitter=lambda: 0.5,
                )
            )
            group = await stack.enter_async_context(asyncio.TaskGroup())
            task = group.create_task(self.timetable.run())
            try:
                yield self
            finally:
                task.cancel()

    async def later(self, **time: float) -> None:
        """Let it be later: all that was missed is done, within the ten minutes that this takes."""
        self.clock.set(timedelta(**time))
        await self.clock.pass_by(minutes=11)

    # --- what there is ----------------------------------------------------------------------------

    async def rows(self) -> dict[str, int]:
        """Return the rows of the home page, and how many titles stand in each."""
        rows = await self.catalogue.home(EVERYBODY)
        return {row.id: len(row.items) for row in rows}

    async def list_of(self, slug: ListSlug) -> TitleList:
        """Return a list with all that is in it."""
        return await self.library.lists.get(slug, UserId(""))

    async def ids(self, slug: ListSlug) -> tuple[TitleId, ...]:
        """Return what is in a list."""
        return (await self.list_of(slug)).ids

    async def brief(self) -> int:
        """Return how many titles there are of which TMDB has told little."""
        return len(await self.library.titles.briefs("tmdb", 10_000))

    def task(self, name: str) -> TaskView:
        """Return a task as it is now."""
        return self.timetable.task(name)

    def waiting(self) -> int:
        """Return how much is still to be done, of all kinds."""
        return sum(task.queue or 0 for task in self.timetable.tasks())
