"""What media files hold, in the database."""

import msgspec

from miauflixd.database.database import Database
from miauflixd.remuxer.media import Media
from miauflixd.torrents.model import SourceId
from miauflixd.vault.sealing import Sealer

_VERSION = 1
"""Of the way in which it was found out. Raise it when more is found out, or something was wrong."""

_PURPOSE = "media.media"


class MediaStore:
    """Keeps what was found out about files, sealed: the names of tracks and chapters are there."""

    def __init__(self, *, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._decoder = msgspec.msgpack.Decoder(Media)

    async def get(self, source_id: SourceId, file_index: int) -> Media | None:
        """Return what a file holds; `None`: it was not found out yet."""
        rows = await self._database.run(
            self._rows,
            "SELECT media FROM media WHERE source_id = ? AND file_index = ? AND version = ?",
            (source_id, file_index, _VERSION),
        )
        if not rows:
            return None
        return self._decoder.decode(self._sealer.unseal(rows[0][0], purpose=_PURPOSE))

    async def put(self, source_id: SourceId, file_index: int, media: Media) -> None:
        """Keep what a file holds."""
        sealed = self._sealer.seal(msgspec.msgpack.encode(media), purpose=_PURPOSE)
        await self._database.run(
            self._database.execute,
            "INSERT OR REPLACE INTO media (source_id, file_index, media, version)"
            " VALUES (?, ?, ?, ?)",
            (source_id, file_index, sealed, _VERSION),
        )

    def _rows(self, sql: str, parameters: tuple[object, ...]) -> list[tuple[bytes]]:
        return list(self._database.execute(sql, parameters))
