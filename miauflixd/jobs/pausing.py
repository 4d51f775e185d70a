"""Waiting for something, but not for ever."""

import asyncio
import contextlib
from datetime import datetime, timedelta

from miauflixd.runtime.clock import Clock

RELOOK = timedelta(minutes=10)
"""How long nobody looks at the clock on the wall at most: whoever sets it, or wakes the machine up,
waits no longer for what has become due."""

_DRIFT = timedelta(minutes=1)
"""Set back by less than that, nothing is put off by more than that."""


async def pause(event: asyncio.Event, *, within: timedelta) -> None:
    """Wait until something happens, or for so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within.total_seconds()):
            await event.wait()


class SetBack:
    """Notices that the clock on the wall was set back, by one that is never set."""

    def __init__(self, clock: Clock) -> None:
        """Begin to compare."""
        self._clock = clock
        self._seen = self._look()

    def noticed(self) -> bool:
        """Return whether it was since the last question."""
        before, then = self._seen
        self._seen = now, at = self._look()
        return now < before + timedelta(seconds=at - then) - _DRIFT

    def _look(self) -> tuple[datetime, float]:
        return self._clock(), asyncio.get_running_loop().time()
