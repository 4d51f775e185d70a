"""Sources in the database. Whatever tells which torrent it is, is sealed; rows never leave here."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import msgspec
import peewee

from miauflixd.database import meta
from miauflixd.database.database import Database
from miauflixd.torrents.model import Layout, NoSourceError, SourceId
from miauflixd.vault.keys import WrongKeyError
from miauflixd.vault.sealing import Sealer, UnsealError

_KEY_PROOF = "sealing_key_proof"
"""Name of the value that only the database's own key can unseal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSource:
    """What there is to say about a source without waking it."""

    id: SourceId
    name: str | None
    layout: Layout | None
    """Unknown, as the name may be, until somebody has told what the torrent holds."""
    added_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredContent:
    """What the engine needs to wake a source; up to megabytes, so it is fetched one by one."""

    magnet: str | None
    metainfo: bytes | None
    """The `.torrent` file."""
    resume_data: bytes | None
    resume_boot_id: str | None
    """During which run of the machine the resume data was saved."""
    resume_settled: bool
    """The bytes that it speaks of have reached the disk, and would survive a power failure."""


class _SourceRow(peewee.Model):
    id = peewee.TextField(primary_key=True)
    magnet = peewee.BlobField(null=True)
    metainfo = peewee.BlobField(null=True)
    name = peewee.BlobField(null=True)
    layout = peewee.BlobField(null=True)
    resume_data = peewee.BlobField(null=True)
    resume_boot_id = peewee.TextField(null=True)
    resume_settled = peewee.BooleanField(default=False)
    added_at = peewee.TextField()

    class Meta:
        table_name = "sources"


class _HashRow(peewee.Model):
    fingerprint = peewee.BlobField(primary_key=True)
    source = peewee.ForeignKeyField(_SourceRow, column_name="source_id", on_delete="CASCADE")

    class Meta:
        table_name = "source_hashes"


class SourceStore:
    """The sources that this machine knows."""

    def __init__(self, *, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._layouts = msgspec.json.Decoder(Layout)
        database.bind(_SourceRow, _HashRow)

    @classmethod
    async def open(cls, *, database: Database, sealer: Sealer) -> Self:
        """Return the store, once it is certain that the key is that of this database.

        Raises:
            WrongKeyError: the database was sealed with another one.
        """
        await database.run(_prove_key, sealer)
        return cls(database=database, sealer=sealer)

    async def add(
        self,
        *,
        hashes: Sequence[bytes],
        name: str | None = None,
        magnet: str | None = None,
        metainfo: bytes | None = None,
        layout: Layout | None = None,
    ) -> StoredSource:
        """Add a source, or return the one that has one of these info-hashes, as it is.

        What is known stays untouched: a link that pairs the hash of one torrent with that of
        another must not be able to join them.
        """

        def add() -> StoredSource:
            if (row := self._row_of(hashes)) is None:
                source_id = SourceId(secrets.token_hex(8))
                row = _SourceRow.create(
                    id=source_id,
                    magnet=self._seal(source_id, "magnet", magnet),
                    added_at=datetime.now(UTC).isoformat(),
                    **self._metainfo_columns(source_id, name, metainfo, layout),
                )
                self._note_hashes(source_id, hashes)
            return self._source(row)

        return await self._database.run(add)

    async def find_by_hash(self, info_hash: bytes) -> StoredSource | None:
        """Return the source with this info-hash, of either version."""

        def find() -> StoredSource | None:
            row = self._row_of([info_hash])
            return None if row is None else self._source(row)

        return await self._database.run(find)

    async def all(self) -> list[StoredSource]:
        """Return all sources in the order in which they were added."""

        def read() -> list[StoredSource]:
            # By row, not by time: the clock of a Raspberry Pi starts wrong and is set later.
            rows = _SourceRow.select(
                _SourceRow.id, _SourceRow.name, _SourceRow.layout, _SourceRow.added_at
            ).order_by(peewee.SQL("rowid"))
            return [self._source(row) for row in rows]

        return await self._database.run(read)

    async def content(self, source_id: SourceId) -> StoredContent:
        """Return what is needed to wake a source.

        Raises:
            NoSourceError: there is none of this id.
        """

        def read() -> StoredContent:
            row = _SourceRow.get_or_none(_SourceRow.id == source_id)
            if row is None:
                raise NoSourceError("There is no such source")
            magnet = self._unseal(source_id, "magnet", row.magnet)
            return StoredContent(
                magnet=None if magnet is None else magnet.decode(),
                metainfo=self._unseal(source_id, "metainfo", row.metainfo),
                resume_data=self._unseal(source_id, "resume_data", row.resume_data),
                resume_boot_id=row.resume_boot_id,
                resume_settled=row.resume_settled,
            )

        return await self._database.run(read)

    async def save_metainfo(
        self,
        source_id: SourceId,
        *,
        hashes: Sequence[bytes],
        name: str,
        metainfo: bytes,
        layout: Layout | None = None,
    ) -> None:
        """Keep what a torrent turned out to hold; nothing happens when the source is gone.

        A hash that belongs to another source stays with it: the same hybrid torrent, added once by
        each of its hashes.
        """

        def save() -> None:
            columns = self._metainfo_columns(source_id, name, metainfo, layout)
            changed = _SourceRow.update(**columns).where(_SourceRow.id == source_id).execute()
            if changed:
                self._note_hashes(source_id, hashes)

        await self._database.run(save)

    async def save_resume(
        self, source_id: SourceId, *, data: bytes, boot_id: str, settled: bool = False
    ) -> None:
        """Keep where a download was; nothing happens when the source is gone.

        `boot_id` says during which run of the machine, and `settled` that all it speaks of is on
        the disk.
        """

        def save() -> None:
            _SourceRow.update(
                resume_data=self._seal(source_id, "resume_data", data),
                resume_boot_id=boot_id,
                resume_settled=settled,
            ).where(_SourceRow.id == source_id).execute()

        await self._database.run(save)

    async def forget_resume(self, source_id: SourceId) -> None:
        """Forget where a download was, as nothing of it is on the disk any more."""

        def forget() -> None:
            _SourceRow.update(resume_data=None, resume_boot_id=None, resume_settled=False).where(
                _SourceRow.id == source_id
            ).execute()

        await self._database.run(forget)

    async def settle_all(self, boot_id: str) -> None:
        """Note that all bytes written during this run of the machine have reached the disk.

        What an earlier run left unsettled stays so: it may have been lost with the power then, and
        only a recheck can tell.
        """

        def settle() -> None:
            _SourceRow.update(resume_settled=True).where(
                _SourceRow.resume_boot_id == boot_id
            ).execute()

        await self._database.run(settle)

    async def remove(self, source_id: SourceId) -> None:
        """Forget a source and its hashes, if it is there."""

        def remove() -> None:
            _SourceRow.delete().where(_SourceRow.id == source_id).execute()

        await self._database.run(remove)

    # --- inside a transaction ---------------------------------------------------------------------

    def _row_of(self, hashes: Sequence[bytes]) -> _SourceRow | None:
        for info_hash in hashes:
            row = (
                _SourceRow.select()
                .join(_HashRow)
                .where(_HashRow.fingerprint == self._fingerprint(info_hash))
                .first()
            )
            if isinstance(row, _SourceRow):
                return row
        return None

    def _note_hashes(self, source_id: SourceId, hashes: Sequence[bytes]) -> None:
        for info_hash in hashes:
            _HashRow.insert(
                fingerprint=self._fingerprint(info_hash), source=source_id
            ).on_conflict_ignore().execute()

    def _source(self, row: _SourceRow) -> StoredSource:
        source_id = SourceId(row.id)
        name = self._unseal(source_id, "name", row.name)
        layout = self._unseal(source_id, "layout", row.layout)
        return StoredSource(
            id=source_id,
            name=None if name is None else name.decode(),
            layout=None if layout is None else self._layouts.decode(layout),
            added_at=datetime.fromisoformat(row.added_at),
        )

    def _metainfo_columns(
        self,
        source_id: SourceId,
        name: str | None,
        metainfo: bytes | None,
        layout: Layout | None,
    ) -> dict[str, bytes | None]:
        encoded = None if layout is None else msgspec.json.encode(layout)
        return {
            "name": self._seal(source_id, "name", name),
            "metainfo": self._seal(source_id, "metainfo", metainfo),
            "layout": self._seal(source_id, "layout", encoded),
        }

    def _fingerprint(self, info_hash: bytes) -> bytes:
        return self._sealer.fingerprint(info_hash, purpose="info-hash")

    def _seal(self, source_id: SourceId, column: str, value: str | bytes | None) -> bytes | None:
        if value is None:
            return None
        if isinstance(value, str):
            value = value.encode()
        return self._sealer.seal(value, purpose=_place(source_id, column))

    def _unseal(self, source_id: SourceId, column: str, sealed: bytes | None) -> bytes | None:
        if sealed is None:
            return None
        return self._sealer.unseal(bytes(sealed), purpose=_place(source_id, column))


def _place(source_id: SourceId, column: str) -> str:
    """Return the purpose of a sealed value: it opens in its own row and column only."""
    return f"sources.{column}:{source_id}"


def _prove_key(sealer: Sealer) -> None:
    proof = meta.read(_KEY_PROOF)
    if proof is None:
        meta.write(_KEY_PROOF, sealer.seal(b"", purpose=_KEY_PROOF))
        return
    try:
        sealer.unseal(proof, purpose=_KEY_PROOF)
    except UnsealError as error:
        raise WrongKeyError(
            "The database was sealed with another key than the one in storage.sealing_key or "
            "sealing.key. Put that key back: without it no source in the database can be read"
        ) from error
