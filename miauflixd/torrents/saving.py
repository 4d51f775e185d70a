"""Keeping what the engine knows: in the database as it comes, and all of it before the end."""

import asyncio
import logging
from collections.abc import Callable, Collection

from miauflixd.engine.messages import Command, ResumeData, SaveResumeData
from miauflixd.torrents.downloads import Downloads
from miauflixd.torrents.model import SourceId
from miauflixd.torrents.store import SourceStore

logger = logging.getLogger(__name__)

_SAVE_WITHIN = 5.0
"""Seconds in which the engine must hand over what is to be saved when the daemon stops."""


class Saving:
    """What is on its way from the engine into the database."""

    def __init__(
        self,
        *,
        send: Callable[[Command], None],
        store: SourceStore,
        downloads: Downloads,
        boot_id: str,
    ) -> None:
        self._send = send
        self._store = store
        self._downloads = downloads
        self._boot_id = boot_id
        self._saved = asyncio.Event()
        self._writes: asyncio.Queue[ResumeData] = asyncio.Queue()

    def note(self, event: ResumeData) -> None:
        """Have this written, in its turn."""
        self._writes.put_nowait(event)

    def on_saved(self) -> None:
        """Note that the engine has handed over all that there was."""
        self._saved.set()

    async def settled(self) -> None:
        """Wait until all that was noted is written."""
        await self._writes.join()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            event = await self._writes.get()
            await self._store.save_resume(
                SourceId(event.torrent_id), data=event.data, boot_id=self._boot_id
            )
            self._writes.task_done()

    async def save_everything(self, woken: Collection[SourceId]) -> None:
        """Have all that the engine knows in the database, and all bytes on the disk."""
        self._send(SaveResumeData())
        try:
            async with asyncio.timeout(_SAVE_WITHIN):
                await self._saved.wait()
                await self._writes.join()
        except TimeoutError:
            logger.warning("The engine does not hand over what is to be saved")
            return
        await asyncio.to_thread(self._downloads.flush, frozenset(woken))
        await self._store.settle_all(self._boot_id)
