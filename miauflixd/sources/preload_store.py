"""Which sources have been fetched ahead of anybody's wish, in the database.

There are few of them, for what they may have together is bounded.
"""

from collections.abc import Mapping
from datetime import datetime

from miauflixd.database.database import Database
from miauflixd.torrents.model import SourceId


class PreloadStore:
    """Outlives the process, so that what was fetched for nothing is found and removed after all."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def add(self, source_id: SourceId, size: int, *, at: datetime) -> None:
        """Remember a source of which so many bytes are fetched."""
        await self._database.run(
            self._database.execute,
            "INSERT OR REPLACE INTO preloads (source_id, size, at) VALUES (?, ?, ?)",
            (source_id, size, int(at.timestamp())),
        )

    async def remove(self, source_id: SourceId) -> None:
        """Forget a source; nothing happens when it is not known."""
        await self._database.run(
            self._database.execute, "DELETE FROM preloads WHERE source_id = ?", (source_id,)
        )

    async def all(self) -> Mapping[SourceId, int]:
        """Return the bytes of each, the oldest first."""

        def read() -> dict[SourceId, int]:
            rows = self._database.execute("SELECT source_id, size FROM preloads ORDER BY at, rowid")
            return {SourceId(source_id): size for source_id, size in rows}

        return await self._database.run(read)
