"""What is being played, in the database."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from miauflixd.database.database import Database
from miauflixd.playback.model import Method, PlaybackId, Reason, Recipe
from miauflixd.vault.sealing import Sealer

_PURPOSE = "playbacks.record"


class Record(Struct, frozen=True, kw_only=True):
    """What has to be known of a playback to go on with it."""

    user_id: str
    title_id: str | None
    source_id: str
    file_index: int
    listing_id: str | None
    method: Method
    reasons: tuple[Reason, ...]
    recipe: Recipe | None
    began_at: datetime
    wish: Any = None
    """What was wanted, so that another source can be found for it."""


class PlaybackStore:
    """Keeps playbacks, sealed: who watches what is nobody's business."""

    def __init__(self, *, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._decoder = msgspec.msgpack.Decoder(Record)

    async def put(self, playback_id: PlaybackId, record: Record, *, at: datetime) -> None:
        """Keep a playback, or what has changed of it."""
        sealed = self._sealer.seal(msgspec.msgpack.encode(record), purpose=_PURPOSE)
        await self._database.run(
            self._database.execute,
            "INSERT OR REPLACE INTO playbacks (id, record, used_at) VALUES (?, ?, ?)",
            (playback_id, sealed, int(at.timestamp())),
        )

    async def get(self, playback_id: PlaybackId) -> Record | None:
        """Return a playback, or `None` when there is none."""

        def read() -> bytes | None:
            rows = list(
                self._database.execute("SELECT record FROM playbacks WHERE id = ?", (playback_id,))
            )
            return rows[0][0] if rows else None

        sealed = await self._database.run(read)
        if sealed is None:
            return None
        return self._decoder.decode(self._sealer.unseal(sealed, purpose=_PURPOSE))

    async def remove(self, playback_id: PlaybackId) -> None:
        """Forget a playback; nothing happens when there is none."""
        await self._database.run(
            self._database.execute, "DELETE FROM playbacks WHERE id = ?", (playback_id,)
        )

    async def forget(self, *, before: datetime) -> None:
        """Forget all that were last used before a moment."""
        await self._database.run(
            self._database.execute,
            "DELETE FROM playbacks WHERE used_at < ?",
            (int(before.timestamp()),),
        )
