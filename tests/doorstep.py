"""A household behind an application: real accounts, sessions and keys; the rest has behaviour.

For tests of who may come in, and of handlers for somebody who has.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from miauflixd.auth.household import Household
from miauflixd.auth.model import Actor, NewUser, Role, User
from miauflixd.auth.passwords import Cost
from miauflixd.auth.settings import AuthSettings
from miauflixd.catalogue.list_store import ListStore
from miauflixd.catalogue.lists import Lists
from miauflixd.catalogue.model import Locale, Region
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.catalogue.watched import Watching
from miauflixd.catalogue.watching_store import WatchingStore
from miauflixd.database.database import Database
from miauflixd.playback.subtitles import Subtitles
from miauflixd.sources.service import Sources
from miauflixd.sources.settings import SourcesSettings
from miauflixd.tunnel.no_tunnel import NoTunnel
from miauflixd.vault.sealing import Sealer
from miauflixd.web.application import build
from miauflixd.web.keys import ROUTES
from miauflixd.web.ports import SettingProblem, SettingValue, SettingView
from miauflixd.web.routes import Policy, Route
from tests.artwork_fakes import FakeArtwork
from tests.auth_house import Clock
from tests.cache_house import cache_of
from tests.catalogue_fakes import FakeCatalogue, FakeScrobbling
from tests.fakes import FakeTimetable, FakeTorrents
from tests.library_house import Nowhere
from tests.playback_house import FakeMedia, playbacks
from tests.ready_fakes import FakePlaying, FakePreloading
from tests.status_fakes import FakeDisk, FakeLibrary
from tests.trakt_fake import NoTrakt
from tests.tunnel_fakes import NoEndpoints

MASTER_KEY = bytes(range(32))
PASSWORD = "kettle orbit walnut"
CHEAP = Cost(memory=8, passes=1)


class NoPreferences:
    """The settings of a house that has none."""

    def settings(self) -> Sequence[SettingView]:
        return ()

    def problems(self, values: Mapping[str, SettingValue]) -> Sequence[SettingProblem]:
        return [SettingProblem(name=name, message="There is no such setting") for name in values]

    async def change(self, values: Mapping[str, SettingValue], *, actor: Actor) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class Doorstep:
    """Who lives here, and what they show at the door."""

    database: Database
    household: Household
    lists: Lists
    watching: Watching
    catalogue: FakeCatalogue
    sources: Sources
    clock: Clock
    admin: User
    admin_token: str
    user: User
    user_token: str

    @property
    def as_admin(self) -> dict[str, str]:
        return bearer(self.admin_token)

    @property
    def as_user(self) -> dict[str, str]:
        return bearer(self.user_token)

    async def add_admin(self) -> User:
        """Add another administrator."""
        new = NewUser(
            email="carla@example.org", password=PASSWORD, display_name="Carla", role=Role.ADMIN
        )
        return await self.household.accounts.create(new, actor=Actor())

    async def sign_in(self, user: User, *, name: str = "A device") -> str:
        """Return an access token of a new session."""
        tokens = await self.household.sessions.open(user, name=name, address="192.0.2.7")
        return tokens.access

    async def noted(self, what: str) -> list[dict[str, Any]]:
        """Return what the audit knows of such events, the latest first."""
        page = await self.household.audit.page(limit=200)
        return [
            {"user_id": entry.event.user_id, "address": entry.event.address, **entry.event.details}
            for entry in page.entries
            if entry.event.type == what
        ]

    def app(self, **known: Any) -> web.Application:
        """Return an application in which whatever is not said is a fake."""
        torrents = known.get("torrents", FakeTorrents())
        playing = known.get("playing", FakePlaying())
        media = known.pop("media", FakeMedia())
        fakes: dict[str, Any] = {
            "playbacks": playbacks(
                self.database, torrents=torrents, playing=playing, files=media, clock=self.clock
            ),
            "subtitles": Subtitles(media=media, sources=torrents),
            "household": self.household,
            "preferences": NoPreferences(),
            "torrents": torrents,
            "tunnel": NoTunnel(),
            "endpoints": NoEndpoints(),
            "disk": FakeDisk(),
            "cache": cache_of(self.database, torrents=torrents, clock=self.clock),
            "encryption": "off",
            "timetable": FakeTimetable(),
            "catalogue": self.catalogue,
            "lists": self.lists,
            "watching": self.watching,
            "scrobbling": FakeScrobbling(self.watching),
            "sources": self.sources,
            "playing": playing,
            "preloading": FakePreloading(),
            "library": FakeLibrary(),
            "artwork": FakeArtwork(),
            "trakt_accounts": NoTrakt(),
            "version": "1.2.3",
            "own_names": ["nas"],
            "clock": self.clock.seconds,
        }
        return build(**{**fakes, **known})


def expose(app: web.Application, path: str, handler: Handler) -> None:
    """Let an application answer at another address, to everybody."""
    routes = app[ROUTES]
    assert isinstance(routes, dict)
    routes[app.router.add_get(path, handler)] = Route(
        method="GET", path=path, handler=handler, policy=Policy.OPEN, summary="For a test"
    )


def _nobody_listens(_changed: str) -> None:
    return None


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def open_doorstep(folder: Path) -> AsyncIterator[Doorstep]:
    """Open a house in which an administrator and a user are signed in."""
    clock = Clock()
    async with (
        Database.open(folder / "house.sqlite3") as database,
        Household.open(
            settings=AuthSettings(),
            database=database,
            sealer=Sealer(MASTER_KEY),
            master_key=MASTER_KEY,
            cost=CHEAP,
            clock=clock,
            seconds=clock.seconds,
        ) as household,
        Sources.open(
            settings=SourcesSettings(),
            database=database,
            sealer=Sealer(MASTER_KEY),
            titles=TitleStore(database=database, region=Region("US"), language=Locale("en")),
            changed=_nobody_listens,
            tunnel_http=Nowhere(),
            host_http=Nowhere(),
            clock=clock,
        ) as sources,
    ):
        people: list[User] = []
        tokens: list[str] = []
        for name, role in (("anna", Role.ADMIN), ("ben", Role.USER)):
            new = NewUser(
                email=f"{name}@example.org",
                password=PASSWORD,
                display_name=name.title(),
                role=role,
            )
            people.append(await household.accounts.create(new, actor=Actor()))
            opened = await household.sessions.open(people[-1], name="TV", address="192.0.2.7")
            tokens.append(opened.access)
        catalogue = FakeCatalogue()
        yield Doorstep(
            database=database,
            household=household,
            lists=Lists(store=ListStore(database=database), clock=clock, changed=_nobody_listens),
            watching=Watching(
                store=WatchingStore(database=database),
                outline=catalogue,
                clock=clock,
                changed=_nobody_listens,
            ),
            catalogue=catalogue,
            sources=sources,
            clock=clock,
            admin=people[0],
            admin_token=tokens[0],
            user=people[1],
            user_token=tokens[1],
        )
