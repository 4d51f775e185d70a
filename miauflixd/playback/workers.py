"""The worker processes: so many at most, and one that is up before anybody needs it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from miauflixd.errors import UnavailableError
from miauflixd.playback.errors import WorkerDiedError
from miauflixd.playback.ports import Reader
from miauflixd.playback.worker import Worker

logger = logging.getLogger(__name__)

_REST = 0.5
"""Seconds before another process is tried where one did not even start."""

_WAIT = 10.0
"""Seconds for somebody else's film to end before one is told that there are too many."""


class TooManyFilmsError(UnavailableError):
    """As many films are taken apart as may be at the same time."""

    code = "too_many_films"


class Workers:
    """Hands out workers, each for one film and one use."""

    def __init__(self, *, most: int) -> None:
        """Have none yet.

        Args:
            most: that work at the same time.
        """
        self._turns = asyncio.Semaphore(most)
        self._spare: asyncio.Queue[tuple[Worker, AsyncExitStack]] = asyncio.Queue(1)

    async def run(self) -> None:
        """Keep a worker ready; one that has ended is found out about when it is wanted."""
        try:
            while True:
                stack = AsyncExitStack()
                try:
                    worker = await stack.enter_async_context(Worker.start())
                    await self._spare.put((worker, stack))
                except WorkerDiedError as error:
                    await stack.aclose()
                    logger.warning("A process for opening films ended at once (%s)", error)
                    await asyncio.sleep(_REST)
                except BaseException:
                    await stack.aclose()
                    raise
        finally:
            while not self._spare.empty():
                _, stack = self._spare.get_nowait()
                await stack.aclose()

    @asynccontextmanager
    async def worker(self, reader: Reader) -> AsyncIterator[Worker]:
        """Have a film open for the length of the block.

        Raises:
            TooManyFilmsError: nobody is done with theirs.
            WorkerDiedError: the process did not come up.
        """
        try:
            async with asyncio.timeout(_WAIT):
                await self._turns.acquire()
        except TimeoutError as error:
            raise TooManyFilmsError(
                "As many films are being played as this machine may take apart at once. "
                "Try again when somebody is done"
            ) from error
        try:
            worker, stack = await self._spare.get()
            async with stack:
                if worker.gone:
                    async with Worker.start() as another:
                        another.open(reader)
                        yield another
                else:
                    worker.open(reader)
                    yield worker
        finally:
            self._turns.release()
