"""Web sources in the database. Whatever tells what they are is sealed; rows never leave here."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import peewee

from miauflixd.database.database import Database
from miauflixd.runtime.clock import Clock
from miauflixd.torrents.model import SourceId
from miauflixd.vault.sealing import Sealer
from miauflixd.web_files.model import Facts, WebContent


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """What is on the disk of one file."""

    facts: Facts
    have: bytes
    """A bit for each block; their bytes have reached the disk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredWebSource:
    """A web source, and what is here of it."""

    id: SourceId
    content: WebContent
    added_at: datetime
    files: Mapping[int, StoredFile] = field(default_factory=dict)
    """By index; those that somebody has begun to read."""


class _SourceRow(peewee.Model):
    id = peewee.TextField(primary_key=True)
    fingerprint = peewee.BlobField(unique=True)
    content = peewee.BlobField()
    added_at = peewee.TextField()

    class Meta:
        table_name = "web_sources"


class _FileRow(peewee.Model):
    source_id = peewee.TextField()
    number = peewee.IntegerField()
    facts = peewee.BlobField()
    have = peewee.BlobField()

    class Meta:
        table_name = "web_files"
        primary_key = peewee.CompositeKey("source_id", "number")


class WebSourceStore:
    """The web sources that this machine knows."""

    def __init__(self, *, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._contents = msgspec.json.Decoder(WebContent)
        self._facts = msgspec.json.Decoder(Facts)
        database.bind(_SourceRow, _FileRow)

    async def add(self, content: WebContent) -> StoredWebSource:
        """Add a source, or let the one that has these addresses be what is said of it now."""

        def add() -> StoredWebSource:
            addresses = "\n".join(file.url for file in content.files).encode()
            fingerprint = self._sealer.fingerprint(addresses, purpose="web source")
            row = _SourceRow.get_or_none(_SourceRow.fingerprint == fingerprint)
            if row is None:
                source_id = secrets.token_hex(8)
                row = _SourceRow.create(
                    id=source_id,
                    fingerprint=fingerprint,
                    content=self._sealed(source_id, content),
                    added_at=self._clock().isoformat(),
                )
            elif self._source(row, {}).content != content:
                row.content = self._sealed(row.id, content)
                row.save()
            return self._source(row, self._files(row.id))

        return await self._database.run(add)

    async def all(self) -> list[StoredWebSource]:
        """Return all sources in the order in which they were added."""

        def read() -> list[StoredWebSource]:
            files: dict[str, dict[int, StoredFile]] = {}
            for row in _FileRow.select():
                files.setdefault(row.source_id, {})[row.number] = self._file(row)
            # By row, not by time: the clock of a Raspberry Pi starts wrong and is set later.
            rows = _SourceRow.select().order_by(peewee.SQL("rowid"))
            return [self._source(row, files.get(row.id, {})) for row in rows]

        return await self._database.run(read)

    async def save(self, source_id: SourceId, index: int, file: StoredFile) -> None:
        """Keep what is here of a file; nothing happens when the source is gone."""

        def save() -> None:
            if _SourceRow.get_or_none(_SourceRow.id == source_id) is None:
                return
            _FileRow.delete().where(self._at(source_id, index)).execute()
            _FileRow.create(
                source_id=source_id,
                number=index,
                facts=self._sealer.seal(
                    msgspec.json.encode(file.facts), purpose=_place(source_id, f"facts {index}")
                ),
                have=file.have,
            )

        await self._database.run(save)

    async def forget_file(self, source_id: SourceId, index: int) -> None:
        """Forget that anything of a file is here."""

        def forget() -> None:
            _FileRow.delete().where(self._at(source_id, index)).execute()

        await self._database.run(forget)

    async def remove(self, source_id: SourceId) -> None:
        """Forget a source, if it is there."""

        def remove() -> None:
            _SourceRow.delete().where(_SourceRow.id == source_id).execute()

        await self._database.run(remove)

    # --- inside a transaction ---------------------------------------------------------------------

    def _sealed(self, source_id: str, content: WebContent) -> bytes:
        encoded = msgspec.json.encode(content)
        return self._sealer.seal(encoded, purpose=_place(source_id, "content"))

    def _at(self, source_id: SourceId, index: int) -> peewee.Expression:
        return (_FileRow.source_id == source_id) & (_FileRow.number == index)

    def _files(self, source_id: str) -> dict[int, StoredFile]:
        rows = _FileRow.select().where(_FileRow.source_id == source_id)
        return {row.number: self._file(row) for row in rows}

    def _file(self, row: _FileRow) -> StoredFile:
        place = _place(row.source_id, f"facts {row.number}")
        facts = self._sealer.unseal(bytes(row.facts), purpose=place)
        return StoredFile(facts=self._facts.decode(facts), have=bytes(row.have))

    def _source(self, row: _SourceRow, files: Mapping[int, StoredFile]) -> StoredWebSource:
        content = self._sealer.unseal(bytes(row.content), purpose=_place(row.id, "content"))
        return StoredWebSource(
            id=SourceId(row.id),
            content=self._contents.decode(content),
            added_at=datetime.fromisoformat(row.added_at),
            files=files,
        )


def _place(source_id: str, column: str) -> str:
    """Return the purpose of a sealed value: it opens in its own row and column only."""
    return f"web_sources.{column}:{source_id}"
