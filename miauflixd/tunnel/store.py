"""The ladder in the database: endpoints and accounts, sealed; rows never leave here."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import peewee

from miauflixd.database import meta
from miauflixd.database.database import Database
from miauflixd.runtime.secrets import hidden, revealed
from miauflixd.tunnel.model import (
    Credentials,
    EndpointId,
    EndpointSpec,
    NoEndpointError,
    ProviderName,
    Rung,
    RungId,
    Server,
    StoredAccount,
    StoredEndpoint,
)
from miauflixd.vault.sealing import Sealer

_T = TypeVar("_T")

_ADDRESSES = "vpn_addresses"
"""Name of the sealed addresses among the facts of the database."""


class _RungRow(peewee.Model):
    id = peewee.TextField(primary_key=True)
    fingerprint = peewee.BlobField(unique=True)
    endpoint = peewee.BlobField(null=True)
    account = peewee.BlobField(null=True)
    servers = peewee.BlobField(null=True)
    position = peewee.IntegerField()
    added_at = peewee.TextField()
    refreshed_at = peewee.TextField(null=True)

    class Meta:
        table_name = "vpn_rungs"


class _Account(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed of an account."""

    provider: ProviderName
    credentials: Credentials


class TunnelStore:
    """The servers and accounts that this machine knows, in the order of preference."""

    def __init__(self, *, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        database.bind(_RungRow)

    async def rungs(self) -> list[Rung]:
        """Return the whole ladder, the most preferred first."""

        def read() -> list[Rung]:
            rows = _RungRow.select().order_by(_RungRow.position, peewee.SQL("rowid"))
            return [self._rung(row) for row in rows]

        return await self._database.run(read)

    async def add_endpoints(self, specs: Sequence[EndpointSpec]) -> None:
        """Put servers at the foot of the ladder, in this order.

        One that is there already keeps its place and its id, and takes on the rest: importing a
        renewed file is how an expired key is replaced.
        """

        def add() -> None:
            for spec in specs:
                row = self._row_for(
                    self._fingerprint("endpoint", spec.host, str(spec.port), spec.public_key)
                )
                row.endpoint = self._seal(row.id, "endpoint", spec)
                self._write(row)

        await self._database.run(add)

    async def add_account(
        self,
        provider: ProviderName,
        credentials: Credentials,
        servers: Sequence[EndpointSpec] = (),
    ) -> StoredAccount:
        """Put an account at the foot of the ladder, with the servers that its provider names.

        One that is there already keeps its place. It takes on what is new of its credentials, and
        its servers if there are any.
        """

        def add() -> StoredAccount:
            known = self._same_account(provider, credentials)
            row = self._row_for(self._account_fingerprint(provider, credentials), known)
            self._keep_credentials(row, provider, credentials)
            if servers:
                self._keep_servers(row, servers)
            self._write(row)
            return self._account(row)

        return await self._database.run(add)

    async def save_account(
        self, rung: RungId, credentials: Credentials, servers: Sequence[EndpointSpec]
    ) -> None:
        """Keep what a provider said of an account; nothing happens when it is gone."""

        def save() -> None:
            row = _RungRow.get_or_none(_RungRow.id == rung)
            if row is not None:
                self._keep_credentials(row, self._account(row).provider, credentials)
                self._keep_servers(row, servers)
                self._write(row)

        await self._database.run(save)

    async def reorder(self, rungs: Sequence[RungId]) -> None:
        """Let these stand in this order; those that are not named follow as they did.

        Raises:
            NoEndpointError: one of them is not there; nothing is changed.
        """

        def reorder() -> None:
            rows = _RungRow.select(_RungRow.id).order_by(_RungRow.position, peewee.SQL("rowid"))
            known = [RungId(row.id) for row in rows]
            if not {*rungs} <= {*known}:
                raise NoEndpointError("One of these endpoints is not there (any more)")
            wanted = dict.fromkeys([*rungs, *known])  # each once, at its first place
            for position, rung in enumerate(wanted):
                _RungRow.update(position=position).where(_RungRow.id == rung).execute()

        await self._database.run(reorder)

    async def remove(self, rung: RungId) -> None:
        """Forget an endpoint, or an account with all of its servers.

        Raises:
            NoEndpointError: it is not there.
        """

        def remove() -> None:
            if not _RungRow.delete().where(_RungRow.id == rung).execute():
                raise NoEndpointError("There is no such endpoint")

        await self._database.run(remove)

    async def remember_addresses(self, addresses: Mapping[str, Sequence[str]]) -> None:
        """Keep where servers were last found, for a start at which no name can be resolved."""
        sealed = self._sealer.seal(msgspec.json.encode(addresses), purpose=_ADDRESSES)
        await self._database.run(meta.write, _ADDRESSES, sealed)

    async def remembered_addresses(self) -> dict[str, tuple[str, ...]]:
        """Return where servers were last found, by name."""
        sealed = await self._database.run(meta.read, _ADDRESSES)
        if sealed is None:
            return {}
        content = self._sealer.unseal(sealed, purpose=_ADDRESSES)
        return msgspec.json.decode(content, type=dict[str, tuple[str, ...]])

    def server_id(self, within: str, spec: EndpointSpec) -> EndpointId:
        """Return the same id for the same server each time: penalties are held by it."""
        mark = self._fingerprint("server", spec.host, str(spec.port), spec.public_key)
        return EndpointId(f"{within}-{mark[:6].hex()}")

    # --- inside a transaction ---------------------------------------------------------------------

    def _row_for(self, fingerprint: bytes, known: _RungRow | None = None) -> _RungRow:
        """Return the row that is known, or that has this fingerprint, or a new one."""
        row = known or _RungRow.get_or_none(_RungRow.fingerprint == fingerprint)
        if isinstance(row, _RungRow):
            row.fingerprint = fingerprint
            return row
        last = _RungRow.select(peewee.fn.MAX(_RungRow.position)).scalar()
        return _RungRow(
            id=secrets.token_hex(8),
            fingerprint=fingerprint,
            position=0 if last is None else last + 1,
            added_at=datetime.now(UTC).isoformat(),
        )

    def _write(self, row: _RungRow) -> None:
        _RungRow.insert(**row.__data__).on_conflict_replace().execute()

    def _same_account(self, provider: ProviderName, credentials: Credentials) -> _RungRow | None:
        """Return the account with the same key, which a new token of it leads to as well."""
        for row in _RungRow.select().where(_RungRow.account.is_null(False)):  # noqa: FBT003 - SQL's
            account = self._account(row)
            same = account.credentials.private_key == credentials.private_key is not None
            if same and account.provider == provider:
                return row
        return None

    def _keep_credentials(
        self, row: _RungRow, provider: ProviderName, credentials: Credentials
    ) -> None:
        if row.account is not None:
            old = self._account(row).credentials
            credentials = Credentials(
                token=credentials.token or old.token,
                private_key=credentials.private_key or old.private_key,
                addresses=credentials.addresses or old.addresses,
            )
        account = _Account(provider=provider, credentials=credentials)
        row.account = self._seal(row.id, "account", account)

    def _keep_servers(self, row: _RungRow, servers: Sequence[EndpointSpec]) -> None:
        row.servers = self._seal(row.id, "servers", servers)
        row.refreshed_at = datetime.now(UTC).isoformat()

    def _rung(self, row: _RungRow) -> Rung:
        return self._endpoint(row) if row.account is None else self._account(row)

    def _endpoint(self, row: _RungRow) -> StoredEndpoint:
        return StoredEndpoint(
            id=EndpointId(row.id),
            position=row.position,
            added_at=datetime.fromisoformat(row.added_at),
            spec=self._unseal(row.id, "endpoint", row.endpoint, EndpointSpec),
        )

    def _account(self, row: _RungRow) -> StoredAccount:
        account = self._unseal(row.id, "account", row.account, _Account)
        servers: tuple[EndpointSpec, ...] = ()
        if row.servers is not None:
            servers = self._unseal(row.id, "servers", row.servers, tuple[EndpointSpec, ...])
        return StoredAccount(
            id=RungId(row.id),
            position=row.position,
            added_at=datetime.fromisoformat(row.added_at),
            provider=account.provider,
            credentials=account.credentials,
            servers=tuple(Server(id=self.server_id(row.id, spec), spec=spec) for spec in servers),
            refreshed_at=(
                None if row.refreshed_at is None else datetime.fromisoformat(row.refreshed_at)
            ),
        )

    # --- sealing ----------------------------------------------------------------------------------

    def _account_fingerprint(self, provider: str, credentials: Credentials) -> bytes:
        secret = credentials.token or credentials.private_key
        return self._fingerprint("account", provider, "" if secret is None else secret.reveal())

    def _fingerprint(self, *parts: str) -> bytes:
        return self._sealer.fingerprint("\0".join(parts).encode(), purpose="vpn")

    def _seal(self, rung: str, column: str, value: object) -> bytes:
        content = msgspec.json.encode(value, enc_hook=revealed)
        return self._sealer.seal(content, purpose=_place(rung, column))

    def _unseal(self, rung: str, column: str, sealed: bytes | None, kind: type[_T]) -> _T:
        # A row without it is cut short, as a sealed value of no bytes would be.
        content = self._sealer.unseal(bytes(sealed or b""), purpose=_place(rung, column))
        return msgspec.json.decode(content, type=kind, dec_hook=hidden)


def _place(rung: str, column: str) -> str:
    """Return the purpose of a sealed value: it opens in its own row and column only."""
    return f"vpn_rungs.{column}:{rung}"
