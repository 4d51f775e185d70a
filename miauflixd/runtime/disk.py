"""How full a disk is."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """What is left of a disk."""

    free: int
    """Bytes."""
    minimum: int
    """Bytes that are to stay free."""


class Disk:
    """Where a folder is."""

    def __init__(self, folder: Path, *, minimum: int) -> None:
        """Look at the disk that a folder is on.

        Args:
            folder: which has to be there.
            minimum: bytes that are to stay free.
        """
        self._folder = folder
        self.minimum = minimum

    async def room(self) -> Room:
        """Return what is left of it.

        Raises:
            OSError: it does not say.
        """
        # A thread's work: a network file system that hangs would hold up everybody.
        usage = await asyncio.to_thread(shutil.disk_usage, self._folder)
        return Room(free=usage.free, minimum=self.minimum)
