"""The ladder: whatever there is to connect to, kept in order and up to date."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from miauflixd.errors import SettingsError
from miauflixd.keeper import messages
from miauflixd.tunnel.accounts import Accounts
from miauflixd.tunnel.addresses import Addresses, Names
from miauflixd.tunnel.description import for_keeper
from miauflixd.tunnel.importing import File, Preview, preview, read_folder, specs
from miauflixd.tunnel.model import (
    Credentials,
    EndpointBrief,
    EndpointId,
    EndpointSpec,
    FolderEndpointError,
    NoEndpointError,
    NoLadderError,
    ProviderName,
    Rung,
    RungId,
    RungView,
    Server,
    ServerView,
    StoredAccount,
    StoredEndpoint,
)
from miauflixd.tunnel.providers.provider import Provider
from miauflixd.tunnel.settings import TunnelSettings
from miauflixd.tunnel.store import TunnelStore

logger = logging.getLogger(__name__)

_FILE = "file"
"""Begins the ids of what stands in the folder that the settings name."""

_COMPANIES: Mapping[ProviderName, str] = {"nordvpn": "NordVPN", "mullvad": "Mullvad"}


class Endpoints:
    """Endpoints and accounts as one ladder, the most preferred first."""

    def __init__(
        self,
        *,
        settings: TunnelSettings,
        store: TunnelStore,
        names: Names,
        providers: Mapping[ProviderName, Provider],
    ) -> None:
        self._settings = settings
        self._store = store
        self._addresses = Addresses(
            names=names, remember=store.remember_addresses, on_change=self._note_change
        )
        self._accounts = Accounts(
            providers=providers,
            country=settings.country,
            city=settings.city,
            save=self._save_account,
        )
        self._rungs: Sequence[Rung] = ()
        self._folder: Sequence[Server] = ()
        self._refused: Sequence[RungView] = ()
        self._ladder: dict[EndpointId, EndpointSpec] = {}
        self._changed = asyncio.Event()

    @classmethod
    async def open(
        cls,
        *,
        settings: TunnelSettings,
        store: TunnelStore,
        names: Names,
        providers: Mapping[ProviderName, Provider],
    ) -> Self:
        """Return the ladder as it was left, with what the settings add to it; nobody is asked yet.

        Raises:
            SettingsError: the folder that they name cannot be read.
        """
        endpoints = cls(settings=settings, store=store, names=names, providers=providers)
        if settings.nordvpn_token is not None:
            await store.add_account("nordvpn", Credentials(token=settings.nordvpn_token))
        if settings.conf_folder is not None:
            await endpoints._read_folder(settings.conf_folder)
        await endpoints._build()
        return endpoints

    def configure(self, settings: TunnelSettings) -> None:
        """Look for accounts' servers where the settings want them now; the rest needs a restart."""
        self._accounts.look_in(country=settings.country, city=settings.city)

    async def run(self) -> None:
        """Keep addresses and accounts up to date until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._addresses.run(), name="endpoint addresses")
            group.create_task(self._accounts.run(), name="vpn accounts")

    # --- for the tunnel ---------------------------------------------------------------------------

    def ready(self) -> Sequence[messages.Endpoint]:
        """Return those that can be connected to, the most preferred first; with their keys."""
        return [
            self._for_keeper(endpoint_id, spec, addresses)
            for endpoint_id, spec in self._ladder.items()
            if (addresses := self._addresses.of(spec.host))
        ]

    async def changed(self) -> None:
        """Wait until `ready` may return something else than at the last call of this."""
        await self._changed.wait()
        self._changed.clear()

    async def prepared(self, endpoint_id: EndpointId | None) -> messages.Endpoint:
        """Return one that can be connected to; `None`: the most preferred.

        An account's id stands for its first server.

        Raises:
            NoEndpointError: there is none of this id.
            NoLadderError: there is none at all.
            UnavailableError: its name does not resolve.
        """
        if not self._ladder:
            raise NoLadderError(
                "There is no endpoint yet. Import a WireGuard file, or add an account"
            )
        if endpoint_id is None:
            ready = self.ready()
            if ready:
                return ready[0]
            endpoint_id = next(iter(self._ladder))
        chosen = self._server_of(endpoint_id)
        spec = self._ladder[chosen]
        return self._for_keeper(chosen, spec, await self._addresses.require(spec.host))

    def brief(self, endpoint_id: EndpointId) -> EndpointBrief:
        """Return what to call an endpoint, also one that has been removed and is still in use."""
        spec = self._ladder.get(endpoint_id)
        if spec is None:
            return EndpointBrief(id=endpoint_id, name="an endpoint that was removed", country=None)
        return EndpointBrief(id=endpoint_id, name=spec.name, country=spec.country)

    def carries_ipv6(self, endpoint_id: EndpointId) -> bool:
        """Return whether we have an IPv6 address inside its tunnel."""
        spec = self._ladder.get(endpoint_id)
        return spec is not None and any(":" in address for address in spec.addresses)

    def gateway(self, endpoint_id: EndpointId) -> str | None:
        """Return whom to ask for a port inside its tunnel; `None`: nobody."""
        spec = self._ladder.get(endpoint_id)
        if spec is None or not (self._settings.port_forwarding and spec.port_forwarding):
            return None
        return spec.gateway

    def resolve_again(self) -> None:
        """Look soon whether servers have other addresses now."""
        self._addresses.look_soon()

    # --- for people -------------------------------------------------------------------------------

    def rungs(self) -> list[RungView]:
        """Return the whole ladder, the most preferred first, without keys."""
        return [*map(self._rung_view, self._rungs), *self._folder_views()]

    async def preview(self, files: Sequence[File]) -> tuple[Preview, ...]:
        """Say what would come of importing these files, and import nothing."""
        # Decoding megabytes of archives takes longer than a film may wait.
        return await asyncio.to_thread(preview, files, lan_ok=self._settings.lan_endpoints)

    async def add_files(self, files: Sequence[File]) -> tuple[Preview, ...]:
        """Import what can be used of these files, and say what came of each.

        A server that is there already keeps its place, and takes on what the file says.
        """
        previews = await self.preview(files)
        added = specs(previews)
        if added:
            await self._store.add_endpoints(added)
            logger.info("Endpoints imported: %d", len(added))
            await self._build_and_look()
        return previews

    async def add_account(self, provider: ProviderName, credentials: Credentials) -> RungView:
        """Add an account and the servers that its provider names for it.

        One that is there already keeps its place, and has its credentials replaced.

        Raises:
            InvalidInputError: these are no credentials, or the provider does not accept them.
            NotFoundError: it has no servers where the settings want them.
            UnavailableError: it does not answer; nothing was added.
        """
        credentials, servers = await self._accounts.ask(provider, credentials)
        account = await self._store.add_account(provider, credentials, servers)
        logger.info("Account with %s added: %d servers", provider, len(servers))
        self._accounts.note_success(account.id)
        await self._build_and_look()
        return self._rung_view(account)

    async def remove(self, rung: RungId) -> None:
        """Forget an endpoint, or an account and its servers.

        Raises:
            NoEndpointError: there is none of this id.
            FolderEndpointError: it is in the folder that the settings name.
        """
        self._refuse_folder(rung)
        await self._store.remove(rung)
        await self._build_and_look()

    async def reorder(self, rungs: Sequence[RungId]) -> None:
        """Let these be the most preferred, in this order; the others follow as they did.

        Raises:
            NoEndpointError: one of them is not there.
            FolderEndpointError: one of them is in the folder that the settings name.
        """
        for rung in rungs:
            self._refuse_folder(rung)
        await self._store.reorder(rungs)
        await self._build_and_look()

    async def reload(self) -> None:
        """Read the folder that the settings name again; if that fails, what was there stays."""
        if self._settings.conf_folder is not None:
            try:
                await self._read_folder(self._settings.conf_folder)
            except SettingsError as error:
                logger.warning("%s; what was read before stays", error)
            await self._build_and_look()

    async def refresh(self) -> None:
        """Ask the providers of all accounts for their servers now; if that fails, these stay."""
        for rung in self._rungs:
            if isinstance(rung, StoredAccount):
                await self._accounts.refresh(rung)

    # --- keeping up -------------------------------------------------------------------------------

    async def _save_account(
        self, rung: RungId, credentials: Credentials, servers: Sequence[EndpointSpec]
    ) -> None:
        await self._store.save_account(rung, credentials, servers)
        await self._build_and_look()

    async def _build_and_look(self) -> None:
        await self._build()
        await self._addresses.look()

    def _note_change(self) -> None:
        self._changed.set()

    async def _read_folder(self, folder: Path) -> None:
        try:
            files = await asyncio.to_thread(read_folder, folder)
        except OSError as error:
            raise SettingsError(
                f"vpn.conf_folder: {folder} cannot be read ({error.strerror})"
            ) from error
        servers: list[Server] = []
        refused: list[RungView] = []
        for one in await self.preview(files):
            if one.spec is not None:
                server_id = self._store.server_id(_FILE, one.spec)
                servers.append(Server(id=server_id, spec=one.spec))
            else:
                refused.append(_refusal(one))
                logger.warning("vpn.conf_folder: %s", refused[-1].problem)
        self._folder, self._refused = servers, refused

    async def _build(self) -> None:
        """Build the ladder anew from what is stored and what the folder held."""
        self._rungs = await self._store.rungs()
        ladder: dict[EndpointId, EndpointSpec] = {}
        seen: set[tuple[str, int, str]] = set()
        for server in self._servers():
            spec = server.spec
            # The same server twice would be its own standby.
            if (place := (spec.host, spec.port, spec.public_key)) not in seen:
                seen.add(place)
                ladder[server.id] = spec
        if list(ladder.items()) != list(self._ladder.items()):  # the order counts, too
            self._ladder = ladder
            self._changed.set()
        self._addresses.follow(spec.host for spec in ladder.values())
        self._accounts.follow([one for one in self._rungs if isinstance(one, StoredAccount)])

    def _servers(self) -> Iterator[Server]:
        for rung in self._rungs:
            match rung:
                case StoredEndpoint():
                    yield Server(id=rung.id, spec=rung.spec)
                case StoredAccount():
                    yield from rung.servers
        yield from self._folder

    def _server_of(self, wanted: EndpointId) -> EndpointId:
        if wanted in self._ladder:
            return wanted
        for rung in self._rungs:
            if isinstance(rung, StoredAccount) and str(rung.id) == wanted:
                for server in rung.servers:
                    if server.id in self._ladder:
                        return server.id
        raise NoEndpointError("There is no such endpoint")

    def _refuse_folder(self, rung: RungId) -> None:
        if rung.startswith(_FILE):
            raise FolderEndpointError(
                "This endpoint is a file in the folder that vpn.conf_folder names; change it there"
            )

    def _for_keeper(
        self, endpoint_id: EndpointId, spec: EndpointSpec, addresses: Sequence[str]
    ) -> messages.Endpoint:
        return for_keeper(
            endpoint_id,
            spec,
            addresses=addresses,
            port_forwarding=self._settings.port_forwarding,
        )

    # --- views ------------------------------------------------------------------------------------

    def _rung_view(self, rung: Rung) -> RungView:
        match rung:
            case StoredEndpoint(spec=spec):
                return RungView(
                    id=rung.rung,
                    kind="endpoint",
                    name=spec.name,
                    provider=spec.provider,
                    servers=(self._server_view(rung.id, spec),),
                )
            case StoredAccount():
                return RungView(
                    id=rung.id,
                    kind="account",
                    name=_COMPANIES[rung.provider],
                    provider=rung.provider,
                    servers=tuple(self._server_view(one.id, one.spec) for one in rung.servers),
                    problem=self._accounts.problem(rung.id),
                    refreshed_at=rung.refreshed_at,
                )

    def _folder_views(self) -> Iterator[RungView]:
        for server in self._folder:
            yield RungView(
                id=RungId(server.id),
                kind="file",
                name=server.spec.name,
                provider=server.spec.provider,
                servers=(self._server_view(server.id, server.spec),),
            )
        yield from self._refused

    def _server_view(self, endpoint_id: EndpointId, spec: EndpointSpec) -> ServerView:
        problem = self._addresses.problem(spec.host)
        if endpoint_id not in self._ladder:
            problem = "The same server stands higher on the ladder"
        return ServerView(
            id=endpoint_id,
            name=spec.name,
            country=spec.country,
            city=spec.city,
            host=spec.host,
            port=spec.port,
            port_forwarding=spec.port_forwarding,
            hints=spec.hints,
            problem=problem,
        )


def _refusal(one: Preview) -> RungView:
    line = "" if one.line is None else f", line {one.line}"
    return RungView(
        id=RungId(f"{_FILE}:{one.file}"),
        kind="file",
        name=one.file,
        provider="",
        servers=(),
        problem=f"{one.file}{line}: {one.refused}",
    )
