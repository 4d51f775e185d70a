"""The whole web layer over a real household, as those outside see it: over sockets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import aiohttp.web

from miauflixd.auth.household import Household
from miauflixd.auth.model import Actor, NewUser, Role, User
from miauflixd.auth.passwords import Cost
from miauflixd.cache.service import Sources as OnTheDisk
from miauflixd.catalogue.library import Library as Shelves
from miauflixd.catalogue.lists import Lists
from miauflixd.catalogue.ports import Errands
from miauflixd.catalogue.watched import Watching
from miauflixd.catalogue.watching_store import WatchingStore
from miauflixd.config.preferences import Preferences
from miauflixd.config.preferences_store import PreferenceStore
from miauflixd.config.settings import Config
from miauflixd.database.database import Database
from miauflixd.playback.ports import MediaFiles
from miauflixd.playback.subtitles import Subtitles
from miauflixd.runtime.http import Http
from miauflixd.sources.directory_book import Build
from miauflixd.sources.service import Sources
from miauflixd.tunnel.no_tunnel import NoTunnel
from miauflixd.vault.sealing import Sealer
from miauflixd.web.application import STATIC, build
from miauflixd.web.ports import (
    Disk,
    Endpoints,
    Images,
    Playing,
    Preloading,
    Timetable,
    Torrents,
    Trakt,
    Tunnel,
)
from miauflixd.web.ports import (
    Library as LibraryPort,
)
from miauflixd.web.server import serve
from miauflixd.web.settings import WebSettings
from tests.auth_house import Clock
from tests.cache_house import cache_of
from tests.catalogue_fakes import FakeCatalogue, FakeScrobbling
from tests.contract import kept
from tests.fakes import FakeTimetable, FakeTorrents
from tests.library_house import NoErrands, Nowhere
from tests.playback_house import FakeMedia, playbacks
from tests.ready_fakes import FakePlaying, FakePreloading
from tests.status_fakes import FakeDisk
from tests.trakt_fake import NoTrakt
from tests.tunnel_fakes import NoEndpoints

MASTER_KEY = bytes(range(32))
PASSWORD = "kettle orbit walnut"
CHEAP = Cost(memory=8, passes=1)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: Any
    """Decoded JSON; `None` without a body."""

    @property
    def code(self) -> str:
        """The code of a problem."""
        return str(self.body["code"])

    @property
    def fields(self) -> list[str]:
        """The fields that a problem names."""
        return [one["field"] for one in self.body["errors"]]


@dataclass(frozen=True, kw_only=True)
class Web:
    """A house that listens, and who talks to it."""

    url: str
    app: aiohttp.web.Application
    household: Household
    preferences: Preferences
    library: Shelves
    lists: Lists
    watching: Watching
    sources: Sources
    clock: Clock
    session: aiohttp.ClientSession
    """Keeps no cookies: whoever sends some says so."""
    control: aiohttp.ClientSession

    async def admin(self) -> User:
        """Return the administrator, Anna, who is the first of every household."""
        everybody = await self.household.accounts.all()
        return everybody[0] if everybody else await self._add("anna", Role.ADMIN)

    async def add(self, name: str, *, role: Role = Role.USER) -> User:
        """Add somebody, and before them an administrator; their password is `PASSWORD`."""
        await self.admin()
        return await self._add(name, role)

    async def _add(self, name: str, role: Role) -> User:
        new = NewUser(
            email=f"{name}@example.org",
            password=PASSWORD,
            display_name=name.title(),
            role=role,
        )
        return await self.household.accounts.create(new, actor=Actor())

    async def token_of(self, user: User, *, device: str = "Laptop") -> str:
        """Return an access token of a new session."""
        tokens = await self.household.sessions.open(user, name=device, address="192.0.2.7")
        return tokens.access

    async def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> Answer:
        """Ask over TCP."""
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self.session.request(
            method, f"{self.url}{path}", json=body, headers=headers
        ) as response:
            return await _answer(response)

    async def ask_control(self, method: str, path: str, body: Any = None) -> Answer:
        """Ask at the control socket."""
        async with self.control.request(method, f"http://localhost{path}", json=body) as response:
            return await _answer(response)

    async def noted(self) -> list[str]:
        """Return the kinds of what is in the audit, the earliest first."""
        page = await self.household.audit.page(limit=200)
        return [entry.event.type.value for entry in reversed(page.entries)]


class _Sources(Torrents, OnTheDisk, Protocol):
    """What handlers and the cache want of them."""


@asynccontextmanager
async def open_web(
    folder: Path,
    *,
    config: Config | None = None,
    torrents: _Sources | None = None,
    tunnel: Tunnel | None = None,
    endpoints: Endpoints | None = None,
    disk: Disk | None = None,
    library: LibraryPort | None = None,
    artwork: Images | None = None,
    timetable: Timetable | None = None,
    catalogue: FakeCatalogue | None = None,
    http: Http | None = None,
    errands: Errands | None = None,
    trakt: Trakt | None = None,
    directories: Build | None = None,
    sources_http: Http | None = None,
    playing: Playing | None = None,
    preloading: Preloading | None = None,
    media: MediaFiles | None = None,
    static: Path = STATIC,
    **settings: Any,
) -> AsyncIterator[Web]:
    """Listen for the length of the block, with the database in a folder.

    Every answer is compared with the description of the API.

    Args:
        folder: what an earlier one may have left there is used.
        config: what the settings file says.
        torrents: the sources; a fake's when left out.
        tunnel: none when left out.
        endpoints: none when left out.
        disk: where downloads are; a fake's when left out.
        library: how much there is to watch; that of the catalogue when left out.
        artwork: the images; real ones when left out.
        timetable: a fake's when left out.
        catalogue: what there is to watch; a real one, empty at first, when left out.
        http: who answers for the providers of a real catalogue; nobody when left out.
        errands: who looks up titles for it; nobody when left out.
        trakt: off when left out.
        directories: makes directories out of their descriptions; real ones when left out.
        sources_http: who answers for directories and for people's own addresses; nobody when left
            out.
        playing: makes sources of titles; finds none when left out.
        preloading: takes what clients show; a fake's when left out.
        media: what files hold; a fake's when left out, for which each is a film for any browser.
        static: the page; the one that comes with the house when left out.
        settings: of the web server, by name.
    """
    config = config or Config()
    clock = Clock()
    sealer = Sealer(MASTER_KEY)
    control_socket = folder / "control.sock"
    usual: dict[str, Any] = {"port": 0, "control_socket": control_socket, "rate_limits": False}
    web = WebSettings(**(usual | settings))
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.open(folder / "house.sqlite3"))
        preferences = await Preferences.open(
            file=config, store=PreferenceStore(database=database, sealer=sealer)
        )
        household = await stack.enter_async_context(
            Household.open(
                settings=config.auth,
                database=database,
                sealer=sealer,
                master_key=MASTER_KEY,
                cost=CHEAP,
                clock=clock,
                seconds=clock.seconds,
            )
        )
        preferences.audited_by(household.audit)
        preferences.on_change("auth", household.configure)
        shelves = await stack.enter_async_context(
            Shelves.open(
                settings=config.catalogue,
                database=database,
                sealer=sealer,
                http=http or Nowhere(),
                artwork=folder / "artwork",
                clock=clock,
            )
        )
        lists, watching = shelves.lists, shelves.watching
        if catalogue is not None:
            watching = Watching(
                store=WatchingStore(database=database),
                outline=catalogue,
                clock=clock,
                changed=shelves.blackboard.note,
                seconds=clock.seconds,
            )
        sources = await stack.enter_async_context(
            Sources.open(
                settings=config.sources,
                database=database,
                sealer=sealer,
                titles=shelves.titles,
                changed=shelves.changed,
                tunnel_http=sources_http or Nowhere(),
                host_http=sources_http or Nowhere(),
                clock=clock,
                build=directories,
            )
        )
        preferences.on_change("sources", sources.configure)
        whole = shelves.catalogue(errands or NoErrands())
        torrents, media = torrents or FakeTorrents(), media or FakeMedia()
        playing = playing or FakePlaying()
        app = build(
            household=household,
            preferences=preferences,
            torrents=torrents,
            tunnel=tunnel or NoTunnel(),
            endpoints=endpoints or NoEndpoints(),
            disk=disk or FakeDisk(),
            cache=cache_of(database, torrents=torrents, clock=clock, settings=config.torrents),
            encryption="off",
            library=library or whole,
            artwork=artwork or shelves.artwork,
            timetable=timetable or FakeTimetable(),
            catalogue=catalogue or whole,
            lists=lists,
            watching=watching,
            scrobbling=shelves.scrobbling if catalogue is None else FakeScrobbling(watching),
            sources=sources,
            playing=playing,
            playbacks=playbacks(
                database, torrents=torrents, playing=playing, files=media, clock=clock
            ),
            subtitles=Subtitles(media=media, sources=torrents),
            preloading=preloading or FakePreloading(),
            trakt_accounts=trakt or NoTrakt(),
            version="1.2.3",
            settings=web,
            own_names=["nas"],
            static=static,
        )
        stack.enter_context(kept(app))
        url = await stack.enter_async_context(serve(app, web))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        )
        control = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(control_socket)))
        )
        yield Web(
            url=url,
            app=app,
            household=household,
            preferences=preferences,
            library=shelves,
            lists=lists,
            watching=watching,
            sources=sources,
            clock=clock,
            session=session,
            control=control,
        )


def _nobody_listens(_changed: str) -> None:
    return None


async def _answer(response: aiohttp.ClientResponse) -> Answer:
    content = await response.read()
    return Answer(
        status=response.status,
        headers=response.headers,
        body=await response.json(content_type=None) if content else None,
    )
