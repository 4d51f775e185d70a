"""Somebody's account with Trakt over a real database, and time that passes when it is told to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from miauflixd.auth.model import UserId
from miauflixd.catalogue.providers.pace import Pace
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.catalogue.trakt_accounts import TraktAccounts
from miauflixd.catalogue.trakt_store import TraktStore
from miauflixd.database.database import Database
from miauflixd.egress.clients import host_client
from miauflixd.runtime.secrets import Secret
from miauflixd.runtime.services import running
from miauflixd.vault.sealing import Sealer
from tests.auth_house import Clock
from tests.trakt_fake import CLIENT_ID, CLIENT_SECRET, FakeTrakt, serving

ANNA = UserId("anna")
BEN = UserId("ben")
MASTER_KEY = bytes(range(32))


class Pauses:
    """Pauses that end when a test lets the time pass."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[tuple[float, asyncio.Future[None]]] = []

    async def __call__(self, seconds: float) -> None:
        ended = asyncio.get_running_loop().create_future()
        self._waiting.append((self._clock.seconds() + seconds, ended))
        await ended

    async def pass_by(self, seconds: float) -> None:
        """Let so much time pass, with whatever happens meanwhile."""
        until = self._clock.seconds() + seconds
        await settled()
        while (due := min((at for at, _ in self._waiting), default=until + 1)) <= until:
            self._clock.pass_by(seconds=max(due - self._clock.seconds(), 0))
            ended = [one for at, one in self._waiting if at <= due]
            self._waiting = [(at, one) for at, one in self._waiting if at > due]
            for one in ended:
                if not one.done():
                    one.set_result(None)
            await settled()
        self._clock.pass_by(seconds=until - self._clock.seconds())


async def settled() -> None:
    """Let what is under way come to its next pause.

    What goes over a socket, or through the database's thread, takes real time, if little; so that
    tests wait for what they want to see with `until`.
    """
    for _ in range(20):
        await asyncio.sleep(0.0005)


async def until(true: Callable[[], bool]) -> None:
    """Wait for something; the test's own timeout is its end."""
    while not true():
        await asyncio.sleep(0.001)


@dataclass(frozen=True, kw_only=True)
class House:
    """A house in which accounts are linked."""

    accounts: TraktAccounts
    store: TraktStore
    clock: Clock
    pauses: Pauses

    async def link(self, fake: FakeTrakt, user_id: UserId = ANNA) -> None:
        """Link an account, as somebody does who types the code at once."""
        fake.typed = "pending"
        await self.accounts.begin(user_id)
        fake.typed = "yes"
        while self.accounts.state(user_id).state == "waiting":
            await self.pauses.pass_by(5)


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
    pauses = Pauses(clock)
    async with (
        serving(fake) as base,
        host_client() as http,
        Database.open(folder / "house.sqlite3") as database,
    ):
        settings = CatalogueSettings(
            trakt_url=base,
            trakt_client_id=Secret(CLIENT_ID) if on else None,
            trakt_client_secret=Secret(CLIENT_SECRET) if on else None,
        )
        store = TraktStore(database=database, sealer=Sealer(key))
        accounts = await TraktAccounts.open(
            http=http,
            settings=settings,
            store=store,
            clock=clock,
            posts=Pace(company="Trakt", per_second=1e4, burst=1, at_once=1),
            pause=pauses,
        )
        async with running("trakt", accounts.run):
            await settled()
            yield House(accounts=accounts, store=store, clock=clock, pauses=pauses)
