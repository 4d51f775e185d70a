"""The engine's process, as the keeper has it: at most one, and none when the keeper ends."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Self

from miauflixd.keeper.messages import EngineEnded, EngineStarted
from miauflixd.keeper.ports import EngineChild, EngineLauncher
from miauflixd.runtime.services import running

logger = logging.getLogger(__name__)

_NOT_STARTED = 127
"""The exit status of what could not be started, as a shell has it."""


class EngineRoom:
    """Starts the engine when told, and tells when it has ended."""

    def __init__(
        self, *, launcher: EngineLauncher, send: Callable[[EngineStarted | EngineEnded], None]
    ) -> None:
        """Use `open`."""
        self._launcher = launcher
        self._send = send
        self._engine: EngineChild | None = None
        self._descriptors: asyncio.Queue[Sequence[int]] = asyncio.Queue()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, *, launcher: EngineLauncher, send: Callable[[EngineStarted | EngineEnded], None]
    ) -> AsyncIterator[Self]:
        """Let engines be started for the length of the block; at its end none is left."""
        room = cls(launcher=launcher, send=send)
        async with running("engine", room._run):
            yield room

    @property
    def pid(self) -> int | None:
        """The engine's process; `None`: there is none."""
        return self._engine.pid if self._engine else None

    def start(self, descriptors: Sequence[int]) -> None:
        """Start an engine on its end of a socket pair, which is closed here; after the last one."""
        self._descriptors.put_nowait(descriptors)

    def kill(self) -> None:
        """End the engine, if there is one."""
        if self._engine:
            self._engine.kill()

    async def _run(self) -> None:
        try:
            while True:
                await self._live(await self._descriptors.get())
        finally:
            while not self._descriptors.empty():
                _close(self._descriptors.get_nowait())

    async def _live(self, descriptors: Sequence[int]) -> None:
        try:
            (end,) = descriptors
            engine = await self._launcher.launch(end)
        except (OSError, ValueError):
            logger.exception("The engine cannot be started")
            self._send(EngineEnded(status=_NOT_STARTED))
            return
        finally:
            _close(descriptors)
        self._engine = engine
        self._send(EngineStarted(pid=engine.pid))
        try:
            status = await engine.wait()
        finally:
            # Nobody inside outlives whoever watches over the inside.
            engine.kill()
            await engine.wait()
            self._engine = None
        self._send(EngineEnded(status=status))


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        with suppress(OSError):  # closed twice is closed
            os.close(descriptor)
