"""The composition root: the whole house, built by hand, in reading order.

Start order is the order of the lines, stop order its reverse. Before any of it, while there is one
thread and no event loop, `give_up_privileges` makes three rooms of one process.
"""

import os
import pwd
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from miauflixd import __version__
from miauflixd.auth.household import Household
from miauflixd.auth.model import UserId
from miauflixd.cache.stock import Stock
from miauflixd.catalogue.library import Library
from miauflixd.catalogue.service import Catalogue
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.config.preferences import Preferences
from miauflixd.config.preferences_store import PreferenceStore
from miauflixd.config.settings import Config, LogSettings
from miauflixd.database.database import Database
from miauflixd.egress.client import HttpClient
from miauflixd.egress.clients import host_client, open_client, tunnel_client
from miauflixd.errors import SettingsError
from miauflixd.jobs.catalogue import CatalogueWork, catalogue_work
from miauflixd.jobs.job import Job
from miauflixd.jobs.sources import sources_work
from miauflixd.jobs.timetable import Timetable
from miauflixd.jobs.upkeep import Backups, CleanUp, Part
from miauflixd.keeper.messages import Configure
from miauflixd.playback.cinema import Cinema
from miauflixd.playback.service import Playback
from miauflixd.runtime import logs, privileges
from miauflixd.runtime.disk import Disk
from miauflixd.runtime.http import Http
from miauflixd.runtime.occupancy import occupy
from miauflixd.runtime.services import running
from miauflixd.sources.preload_plan import Nearness, Onlooker
from miauflixd.sources.readiness import Readiness
from miauflixd.sources.service import Sources
from miauflixd.sources.settings import SourcesSettings
from miauflixd.torrents.downloads import Downloads
from miauflixd.torrents.engine_process import EngineProcess
from miauflixd.torrents.launching import EngineLauncher, PlainLauncher
from miauflixd.torrents.model import Activity, NoSourceError, SourceId
from miauflixd.torrents.passage import Passage
from miauflixd.torrents.service import engine_settings
from miauflixd.torrents.settings import TorrentsSettings
from miauflixd.tunnel.endpoints import Endpoints
from miauflixd.tunnel.keeper_handle import KeeperHandle
from miauflixd.tunnel.keeper_process import KeeperProcess
from miauflixd.tunnel.model import ProviderName
from miauflixd.tunnel.no_tunnel import NoTunnel
from miauflixd.tunnel.providers.mullvad import Mullvad
from miauflixd.tunnel.providers.nordvpn import NordVpn
from miauflixd.tunnel.providers.provider import Provider
from miauflixd.tunnel.resolution import HostLookup, Resolution
from miauflixd.tunnel.service import Tunnel
from miauflixd.tunnel.settings import TunnelSettings
from miauflixd.tunnel.store import TunnelStore
from miauflixd.vault import mounts
from miauflixd.vault.backend import Owner
from miauflixd.vault.keys import master_key
from miauflixd.vault.sealing import Sealer
from miauflixd.vault.vault import DOWNLOADS, Vault, choose
from miauflixd.web import application as web_application
from miauflixd.web import server as web_server
from miauflixd.web.settings import CONTROL_SOCKET, WebSettings
from miauflixd.web_files.everything import Everything

_DATABASE = "miauflixd.sqlite3"


@dataclass(frozen=True, kw_only=True, slots=True)
class Application:
    """What the daemon says about the running house."""

    url: str
    torrents: Everything
    tunnel: Tunnel | NoTunnel

    def status_line(self) -> str:
        """Return one line for `systemctl status`."""
        # Not by describing them all: of ten thousand, that would hold up everybody for 80 ms.
        sources, readers = len(self.torrents.newest_first()), self.torrents.readers
        state = self.tunnel.view().state
        return f"{self.url}: tunnel {state}, {sources} sources, {readers} streams"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What needed privileges that are given up by now."""

    keeper: KeeperHandle | None = None
    """The tunnel's; `None` when the settings want no tunnel. Nobody has talked to it yet."""
    vault: Vault | None = None
    """The downloads', not open yet; `None` when the settings want them in the open."""


def give_up_privileges(config: Config) -> Prepared:
    """Do what takes the privileges that the process may have, and become an ordinary user.

    Raises:
        SettingsError: there is no such user, or downloads cannot be encrypted as they are to be.
        MiauflixdError: something of it did not work.
    """
    keeper = KeeperHandle.start() if config.vpn.mode == "required" else None
    owner = None
    if os.geteuid() == 0 and config.service.user:
        owner = privileges.account(config.service.user)
    vault = _prepare_vault(config, owner)
    if owner is not None:
        privileges.drop(config.service.user)
    return Prepared(keeper=keeper, vault=vault)


def _prepare_vault(config: Config, owner: pwd.struct_passwd | None) -> Vault | None:
    data = config.storage.path
    folders = _own_folders(config) if owner is not None else [data / DOWNLOADS]
    for folder in folders:
        # What is mounted there is the owner's already, and may be dead.
        if mounts.kind_at(folder) is None:
            _hand_over(folder, owner)
    occupy(data)
    if (backend := choose(config.storage.encryption, data)) is None:
        return None
    return Vault.prepare(
        backend,
        data=data,
        owner=None if owner is None else Owner(owner.pw_uid, owner.pw_gid),
    )


@asynccontextmanager
async def application(
    config: Config, *, prepared: Prepared | None = None
) -> AsyncIterator[Application]:
    """Build miauflixd from its settings and run it for the length of the block.

    Args:
        config: the settings.
        prepared: what `give_up_privileges` returned.

    Raises:
        SettingsError: the settings ask for something that cannot be done here.
        ExceptionGroup: a service ended that should not.
    """
    keeper = None if prepared is None else prepared.keeper
    vault = None if prepared is None else prepared.vault
    if config.vpn.mode == "required" and keeper is None:
        raise SettingsError('vpn.mode: "required" needs a keeper, and nobody has started one')
    if config.storage.encryption != "off" and vault is None:
        raise SettingsError("storage.encryption needs a vault, and nobody has prepared one")
    async with AsyncExitStack() as stack:
        data = config.storage.path
        storage = await stack.enter_async_context(_storage(config, vault))
        database, sealer, downloads = storage.database, storage.sealer, storage.downloads
        # From here on with what was set at run time, over what the file says.
        preferences = await Preferences.open(
            file=config, store=PreferenceStore(database=database, sealer=sealer)
        )
        if preferences.config.log != config.log:
            _set_log_level(preferences.config.log)
        config = preferences.config
        household = await stack.enter_async_context(
            Household.open(
                settings=config.auth, database=database, sealer=sealer, master_key=storage.key
            )
        )
        http = await stack.enter_async_context(host_client())
        endpoints = await _endpoints(
            config.vpn, TunnelStore(database=database, sealer=sealer), http
        )

        tunnel: Tunnel | NoTunnel
        launcher: EngineLauncher
        if keeper is None:
            # The one place where an engine gets the host's own network: somebody has said so.
            tunnel, launcher = NoTunnel(), PlainLauncher()
        else:
            # Nothing of the swarm leaves but through the tunnel: only the keeper starts engines.
            process = await stack.enter_async_context(
                KeeperProcess.open(keeper, _keeper_settings(config, downloads))
            )
            tunnel, launcher = Tunnel(keeper=process, ladder=endpoints), process
        await stack.enter_async_context(running("endpoints", endpoints.run))
        await stack.enter_async_context(running("tunnel", tunnel.run))

        engine = await stack.enter_async_context(
            EngineProcess.open(engine_settings(config.torrents), launcher=launcher)
        )
        tunnel_http = await stack.enter_async_context(_tunnel_http(tunnel, engine))
        stock = await stack.enter_async_context(
            Stock.open(
                settings=config.torrents,
                engine=engine,
                http={"tunnel": tunnel_http, "host": http},
                downloads=downloads,
                database=database,
                sealer=sealer,
                boot_id=_boot_id(),
                clock=_now,
            )
        )
        everything = stock.everything
        passage = Passage(
            tunnel=tunnel,
            torrents=stock.torrents,
            engine=engine,
            settings=config.torrents,
            ask_for_port=config.vpn.port_forwarding,
            activity=lambda: everything.activity,
        )
        await stack.enter_async_context(running("passage", passage.run))

        library = await stack.enter_async_context(
            Library.open(
                settings=config.catalogue,
                database=database,
                sealer=sealer,
                http=http,
                artwork=data / "artwork",
                clock=_now,
            )
        )
        sources = await stack.enter_async_context(
            Sources.open(
                settings=config.sources,
                database=database,
                sealer=sealer,
                titles=library.titles,
                changed=library.changed,
                tunnel_http=tunnel_http,
                host_http=http,
                clock=_now,
                is_cached=partial(_is_cached, everything),
                archive_url=config.catalogue.archive_url,
            )
        )
        readiness = await stack.enter_async_context(
            Readiness.open(
                sources=sources,
                titles=library.titles,
                watched=library.watching,
                stock=everything,
                swarms=stock.torrents.questions,
                database=database,
                clock=_now,
            )
        )
        work = await catalogue_work(library=library, database=database, clock=_now)
        source_jobs = await sources_work(
            sources=sources,
            opening=readiness.opening,
            counting=readiness.counting,
            library=library,
            users=partial(_users, household),
            way_out=lambda: tunnel.view().state in ("up", "degraded", "off"),
            database=database,
            clock=_now,
            nightly=config.jobs.nightly,
        )
        catalogue = library.catalogue(work.errands)
        cinema = await stack.enter_async_context(
            Cinema.open(
                settings=config.playback,
                sources=everything,
                playing=readiness.playing,
                database=database,
                sealer=sealer,
                clock=_now,
                prepare=partial(_prepare_next, catalogue, readiness),
                watched=stock.cache.note_part,
            )
        )
        timetable = await stack.enter_async_context(
            Timetable.open(
                [
                    *work.jobs,
                    *source_jobs,
                    *_upkeep(config, work, database=database, household=household),
                ],
                database=database,
                settings=config.jobs,
                clock=_now,
            )
        )
        disk = Disk(data, minimum=config.torrents.minimum_free)
        _follow(
            preferences,
            household=household,
            passage=passage,
            stock=stock,
            disk=disk,
            endpoints=endpoints,
            library=library,
            timetable=timetable,
            sources=sources,
            archive_url=config.catalogue.archive_url,
        )

        app = web_application.build(
            household=household,
            preferences=preferences,
            torrents=everything,
            tunnel=tunnel,
            endpoints=endpoints,
            disk=disk,
            cache=stock.cache,
            encryption="off" if vault is None else vault.backend,
            timetable=timetable,
            catalogue=catalogue,
            library=catalogue,
            lists=library.lists,
            watching=library.watching,
            scrobbling=library.scrobbling,
            sources=sources,
            playing=readiness.playing,
            playbacks=cinema.playbacks,
            subtitles=cinema.subtitles,
            preloading=readiness.preloading,
            artwork=library.artwork,
            trakt_accounts=library.trakt,
            version=__version__,
            settings=config.web,
        )
        url = await stack.enter_async_context(web_server.serve(app, _with_control(config.web)))
        # Whoever opens the house is first: what was never done before is all due at once.
        await stack.enter_async_context(running("timetable", timetable.run))
        await household.setup_code.announce()
        yield Application(url=url, torrents=everything, tunnel=tunnel)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Storage:
    """What is on the disk, and what it is sealed with."""

    database: Database
    key: bytes
    sealer: Sealer
    downloads: Downloads


@asynccontextmanager
async def _storage(config: Config, vault: Vault | None) -> AsyncIterator[_Storage]:
    """Open the data directory for the length of the block; the vault is the last to be locked."""
    data = config.storage.path
    async with Database.open(data / _DATABASE) as database, AsyncExitStack() as stack:
        key = master_key(config.storage.sealing_key, folder=data)
        if vault is not None:
            await stack.enter_async_context(vault.open(key))
        yield _Storage(
            database=database, key=key, sealer=Sealer(key), downloads=Downloads(data / DOWNLOADS)
        )


def _follow(
    preferences: Preferences,
    *,
    household: Household,
    passage: Passage,
    stock: Stock,
    disk: Disk,
    endpoints: Endpoints,
    library: Library,
    timetable: Timetable,
    sources: Sources,
    archive_url: str,
) -> None:
    """Let everybody know what is set while they run."""
    preferences.audited_by(household.audit)
    preferences.on_change("torrents", partial(_configure_torrents, passage, stock, disk))
    preferences.on_change("vpn", endpoints.configure)
    preferences.on_change("auth", household.configure)
    preferences.on_change("catalogue", partial(_configure_catalogue, library, timetable))
    preferences.on_change("sources", partial(_configure_sources, sources, archive_url))
    preferences.on_change("log", _set_log_level)


def _configure_torrents(
    passage: Passage, stock: Stock, disk: Disk, settings: TorrentsSettings
) -> None:
    passage.configure(settings)
    stock.configure(settings)
    disk.minimum = settings.minimum_free


async def _users(household: Household) -> list[UserId]:
    return [user.id for user in await household.accounts.all()]


def _configure_sources(sources: Sources, archive_url: str, settings: SourcesSettings) -> None:
    sources.configure(settings, archive_url=archive_url)


async def _prepare_next(catalogue: Catalogue, readiness: Readiness, playback: Playback) -> None:
    """Have the next episode ready, as if it were on somebody's screen."""
    wish = playback.wish
    if playback.title_id is None or wish is None:
        return
    following = await catalogue.next_episode(playback.title_id)
    if following is not None:
        readiness.preloading.see(
            f"playback {playback.id}",
            Onlooker(user_id=playback.user_id, preference=wish.preference),
            {following: Nearness.FOCUSED},
        )


def _tunnel_http(
    tunnel: Tunnel | NoTunnel, engine: EngineProcess
) -> AbstractAsyncContextManager[HttpClient]:
    """Return the client for whatever concerns the swarm."""
    if isinstance(tunnel, NoTunnel):
        return open_client()  # as the swarm itself goes: somebody has said so
    return tunnel_client(opener=engine, road=tunnel)


def _is_cached(everything: Everything, source_id: SourceId) -> bool:
    try:
        return everything.source(source_id).condition.activity is Activity.COMPLETE
    except NoSourceError:
        return False


def _configure_catalogue(
    library: Library, timetable: Timetable, settings: CatalogueSettings
) -> None:
    library.configure(settings)
    # What rests because of the former key, too.
    for task in ("refresh_lists", "sync_movies", "sync_shows", "sync_incomplete_seasons"):
        timetable.stir(task)


def _upkeep(
    config: Config, work: CatalogueWork, *, database: Database, household: Household
) -> list[Job]:
    backups = Backups(
        database=database,
        folder=config.storage.path / "backups",
        kept=config.jobs.backups_kept,
        clock=_now,
    )
    clean_up = CleanUp(
        database=database,
        # Sessions, keys and codes that are over go within a minute, and need no night.
        parts=[Part(name="old entries of the audit", run=household.forget), *work.parts],
        clock=_now,
    )
    return [
        Job(
            name="clean_up",
            summary="Forget what nobody wants any more, and check the database",
            rule=config.jobs.nightly,
            run=clean_up.run,
        ),
        Job(
            name="backup",
            summary="Copy the database",
            rule=config.jobs.nightly,
            run=backups.run,
        ),
    ]


def _now() -> datetime:
    return datetime.now(UTC)


def _set_log_level(settings: LogSettings) -> None:
    logs.set_level(settings.level)


def _with_control(settings: WebSettings) -> WebSettings:
    """Return the settings with the usual control socket, where there is a place for it."""
    if settings.control_socket is None and os.access(CONTROL_SOCKET.parent, os.W_OK):
        return msgspec.structs.replace(settings, control_socket=CONTROL_SOCKET)
    return settings


def _keeper_settings(config: Config, downloads: Downloads) -> Configure:
    return Configure(
        namespace=config.vpn.namespace,
        user=config.service.user,
        resolvers=config.vpn.resolvers,
        hidden=str(config.storage.path.absolute()),
        shown=str(downloads.folder.absolute()),
    )


async def _endpoints(settings: TunnelSettings, store: TunnelStore, http: Http) -> Endpoints:
    names = Resolution(
        lookup=HostLookup(),
        lan_ok=settings.lan_endpoints,
        remembered=await store.remembered_addresses(),
    )
    providers: dict[ProviderName, Provider] = {
        "nordvpn": NordVpn(http=http),
        "mullvad": Mullvad(http=http),
    }
    return await Endpoints.open(settings=settings, store=store, names=names, providers=providers)


def _own_folders(config: Config) -> list[Path]:
    """Return the folders that the house writes to."""
    folders = [config.storage.path, config.storage.path / DOWNLOADS]
    sockets = [config.web.unix_socket, config.web.control_socket]
    if config.web.control_socket is None and CONTROL_SOCKET.parent.is_dir():
        sockets.append(CONTROL_SOCKET)  # in the folder that the unit makes
    folders += [path.parent for path in sockets if path is not None]
    return list(dict.fromkeys(folders))


def _hand_over(folder: Path, owner: pwd.struct_passwd | None) -> None:
    """Make a folder, or take one that is root's; what others use as well is left alone."""
    try:
        new = not folder.exists()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if owner is None:
            return
        ours = new or (folder / _DATABASE).exists() or not any(folder.iterdir())
        if ours and folder.stat().st_uid == 0:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
    except OSError as error:
        raise SettingsError(f"{folder}: cannot be made the user's ({error.strerror})") from error


def _boot_id() -> str:
    """Return what changes with every start of the machine, random(4).

    It tells a crash of ours, which loses nothing that was written, from a loss of power.
    """
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
