"""How sources were used, in the database."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import peewee

from miauflixd.cache.model import Use
from miauflixd.database.database import Database
from miauflixd.torrents.model import SourceId


class _UseRow(peewee.Model):
    source_id = peewee.TextField(primary_key=True)
    used_at = peewee.BigIntegerField(null=True)
    part = peewee.FloatField()
    pinned = peewee.BooleanField()

    class Meta:
        table_name = "source_uses"


class UseStore:
    """Keeps them by source; nothing in it tells which torrent that is."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        database.bind(_UseRow)

    async def all(self) -> Mapping[SourceId, Use]:
        """Return all uses."""

        def read() -> dict[SourceId, Use]:
            return {
                SourceId(row.source_id): Use(
                    used_at=None
                    if row.used_at is None
                    else datetime.fromtimestamp(row.used_at, UTC),
                    part=row.part,
                    pinned=row.pinned,
                )
                for row in _UseRow.select()
            }

        return await self._database.run(read)

    async def save(self, uses: Mapping[SourceId, Use], *, gone: Collection[SourceId]) -> None:
        """Keep these uses, and forget those of sources that are gone."""

        def save() -> None:
            for source_id, use in uses.items():
                _UseRow.insert(
                    source_id=source_id,
                    used_at=None if use.used_at is None else int(use.used_at.timestamp()),
                    part=use.part,
                    pinned=use.pinned,
                ).on_conflict_replace().execute()
            for source_id in gone:
                _UseRow.delete().where(_UseRow.source_id == source_id).execute()

        await self._database.run(save)
