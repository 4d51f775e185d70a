"""Somebody's account with Trakt over a real database, and time that passes when it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miauflixd.auth.model import UserId
from miauflixd.catalogue.providers.pace import Pace
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.catalogue.trakt_accounts import TraktAccounts
from miauflixd.catalogue.trakt_store import TraktStore
from miauflixd.database.database import Database
from miauflixd.egress.clients import host_client
from miauflixd.runtime.http import Http, Response
from miauflixd.runtime.secrets import Secret
from miauflixd.runtime.services import running
from miauflixd.vault.sealing import Sealer
from tests.auth_house import Clock
from tests.trakt_fake import CLIENT_ID, CLIENT_SECRET, FakeTrakt, serving

ANNA = UserId("anna")
BEN = UserId("ben")
MASTER_KEY = bytes(range(32))


class Quiet:
    """The HTTP client, and a way to see whether everything that was begun has come to rest."""

    def __init__(self, http: Http, database: Database) -> None:
        self._http = http
        self._database = database
        self._under_way = 0

    async def request(self, *args: Any, **kwargs: Any) -> Response:
        self._under_way += 1
        try:
            return await self._http.request(*args, **kwargs)
        finally:
            self._under_way -= 1

    async def settled(self) -> None:
        """Wait until nothing goes on but pauses: no request, and nothing in the database."""
        calm = 0
        while calm < 2:
            for _ in range(5):
                await asyncio.sleep(0)
            calm = 0 if self._under_way else calm + 1
            # What was begun in the database's thread is through when this is.
            await self._database.run(lambda: None)
            if self._under_way:
                await asyncio.sleep(0.001)


class Pauses:
    """Pauses that end when a test lets the time pass."""

    def __init__(self, clock: Clock, quiet: Quiet) -> None:
        self._clock = clock
        self._quiet = quiet
        self._waiting: list[tuple[float, asyncio.Future[None]]] = []

    async def __call__(self, seconds: float) -> None:
        ended = asyncio.get_running_loop().create_future()
        self._waiting.append((self._clock.seconds() + seconds, ended))
        await ended

    async def pass_by(self, seconds: float) -> None:
        """Let so much time pass, with whatever happens meanwhile."""
        until = self._clock.seconds() + seconds
        await self._quiet.settled()
        while (due := min((at for at, _ in self._waiting), default=until + 1)) <= until:
            self._clock.pass_by(seconds=max(due - self._clock.seconds(), 0))
            ended = [one for at, one in self._waiting if at <= due]
            self._waiting = [(at, one) for at, one in self._waiting if at > due]
            for one in ended:
                if not one.done():
                    one.set_result(None)
            await self._quiet.settled()
        self._clock.pass_by(seconds=until - self._clock.seconds())


@dataclass(frozen=True, kw_only=True)
class House:
    """A house in which accounts are linked."""

    accounts: TraktAccounts
    store: TraktStore
    database: Database
    clock: Clock
    pauses: Pauses

    def take_back(self) -> None:
        """Have the rows again: of two databases they belong to the one that was opened last."""
        TraktStore(database=self.database, sealer=Sealer(MASTER_KEY))

    async def link(self, fake: FakeTrakt, user_id: UserId = ANNA) -> None:
        """Link an account, as somebody does who types the code at once."""
        fake.typed = "pending"
        await self.accounts.begin(user_id)
        fake.typed = "yes"
        await self.pauses.pass_by(5)
        assert self.accounts.state(user_id).state == "linked"


@asynccontextmanager
async def open_house(
    folder: Path,
    fake: FakeTrakt,
    *,
    clock: Clock | None = None,
    on: bool = True,
    key: bytes = MASTER_KEY,
) -> AsyncIterator[House]:
    """Have a house for the length of the block; another one in the same folder is a restart."""
    clock = clock or Clock()
    async with (
        serving(fake) as base,
        host_client() as http,
        Database.open(folder / "house.sqlite3") as database,
    ):
        quiet = Quiet(http, database)
        pauses = Pauses(clock, quiet)
        settings = CatalogueSettings(
            trakt_url=base,
            trakt_client_id=Secret(CLIENT_ID) if on else None,
            trakt_client_secret=Secret(CLIENT_SECRET) if on else None,
        )
        store = TraktStore(database=database, sealer=Sealer(key))
        accounts = await TraktAccounts.open(
            http=quiet,
            settings=settings,
            store=store,
            clock=clock,
            posts=Pace(company="Trakt", per_second=1e4, burst=1, at_once=1),
            pause=pauses,
        )
        async with running("trakt", accounts.run):
            await quiet.settled()
            yield House(
                accounts=accounts, store=store, database=database, clock=clock, pauses=pauses
            )
