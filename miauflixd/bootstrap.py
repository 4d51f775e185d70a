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
from miauflixd.runtime.changes import Changes
from miauflixd.runtime.disk import Disk
from miauflixd.runtime.http import Http
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
from miauflixd.torrents.service import Torrents, engine_settings
from miauflixd.torrents.settings import TorrentsSettings
from miauflixd.torrents.store import SourceStore
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
from miauflixd.vault.keys import master_key
from miauflixd.vault.sealing import Sealer
from miauflixd.web import application as web_application
from miauflixd.web import server as web_server
from miauflixd.web.settings import CONTROL_SOCKET, WebSettings
from miauflixd.web_files.everything import Everything
from miauflixd.web_files.service import WebSources
from miauflixd.web_files.store import WebSourceStore

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


def give_up_privileges(config: Config) -> KeeperHandle | None:
    """Start the keeper with what the process may do, and become an ordinary user.

    Returns:
        The keeper, or `None` when the settings want no tunnel.

    Raises:
        SettingsError: the user that the settings name does not exist.
        MiauflixdError: something of it did not work.
    """
    keeper = KeeperHandle.start() if config.vpn.mode == "required" else None
    if os.geteuid() == 0 and config.service.user:
        owner = privileges.account(config.service.user)
        for folder in _own_folders(config):
            _hand_over(folder, owner)
        privileges.drop(config.service.user)
    return keeper


@asynccontextmanager
async def application(
    config: Config, *, keeper: KeeperHandle | None = None
) -> AsyncIterator[Application]:
    """Build miauflixd from its settings and run it for the length of the block.

    Args:
        config: the settings.
        keeper: what `give_up_privileges` returned; nobody has talked to it yet.

    Raises:
        SettingsError: the settings ask for something that cannot be done here.
        ExceptionGroup: a service ended that should not.
    """
    if config.vpn.mode == "required" and keeper is None:
        raise SettingsError('vpn.mode: "required" needs a keeper, and nobody has started one')
    async with AsyncExitStack() as stack:
        data = config.storage.path
        downloads = Downloads(data / "downloads")
        database = await stack.enter_async_context(Database.open(data / _DATABASE))
        key = master_key(config.storage.sealing_key, folder=data)
        sealer = Sealer(key)
        # From here on with what was set at run time, over what the file says.
        preferences = await Preferences.open(
            file=config, store=PreferenceStore(database=database, sealer=sealer)
        )
        if preferences.config.log != config.log:
            _set_log_level(preferences.config.log)
        config = preferences.config
        household = await stack.enter_async_context(
            Household.open(settings=config.auth, database=database, sealer=sealer, master_key=key)
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
        changes = Changes[SourceId]()
        web_sources = await stack.enter_async_context(
            WebSources.open(
                settings=config.torrents,
                store=WebSourceStore(database=database, sealer=sealer, clock=_now),
                downloads=downloads,
                http={"tunnel": tunnel_http, "host": http},
                changes=changes,
                clock=_now,
            )
        )
        torrents = await stack.enter_async_context(
            Torrents.open(
                settings=config.torrents,
                engine=engine,
                store=await SourceStore.open(database=database, sealer=sealer),
                downloads=downloads,
                boot_id=_boot_id(),
                changes=changes,
                elsewhere=web_sources.ids,
            )
        )
        everything = Everything(torrents=torrents, web_sources=web_sources, changes=changes)
        await stack.enter_async_context(running("torrents", torrents.run))
        await stack.enter_async_context(running("web sources", web_sources.run))
        passage = Passage(
            tunnel=tunnel,
            torrents=torrents,
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
                swarms=torrents.questions,
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
            web_sources=web_sources,
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


def _follow(
    preferences: Preferences,
    *,
    household: Household,
    passage: Passage,
    web_sources: WebSources,
    disk: Disk,
    endpoints: Endpoints,
    library: Library,
    timetable: Timetable,
    sources: Sources,
    archive_url: str,
) -> None:
    """Let everybody know what is set while they run."""
    preferences.audited_by(household.audit)
    preferences.on_change("torrents", partial(_configure_torrents, passage, web_sources, disk))
    preferences.on_change("vpn", endpoints.configure)
    preferences.on_change("auth", household.configure)
    preferences.on_change("catalogue", partial(_configure_catalogue, library, timetable))
    preferences.on_change("sources", partial(_configure_sources, sources, archive_url))
    preferences.on_change("log", _set_log_level)


def _configure_torrents(
    passage: Passage, web_sources: WebSources, disk: Disk, settings: TorrentsSettings
) -> None:
    passage.configure(settings)
    web_sources.configure(settings)
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
    folders = [config.storage.path, config.storage.path / "downloads"]
    sockets = [config.web.unix_socket, config.web.control_socket]
    if config.web.control_socket is None and CONTROL_SOCKET.parent.is_dir():
        sockets.append(CONTROL_SOCKET)  # in the folder that the unit makes
    folders += [path.parent for path in sockets if path is not None]
    return list(dict.fromkeys(folders))


def _hand_over(folder: Path, owner: pwd.struct_passwd) -> None:
    """Make a folder, or take one that is root's; what others use as well is left alone."""
    try:
        new = not folder.exists()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
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
