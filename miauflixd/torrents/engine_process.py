"""The engine's process, from the house's side."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

from miauflixd.engine.messages import EVENTS, Command, Configure, Event, Started
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.messages import Channel, ChannelClosedError

logger = logging.getLogger(__name__)

_START_WITHIN = 20.0
"""Seconds for the child to come up; a Raspberry Pi with a cold SD card takes three."""

_END_WITHIN = 5.0
"""Seconds for the child to say goodbye to its trackers and end; then it is killed."""


_INHERITED = (
    "COVERAGE_PROCESS_CONFIG",  # set only by a run of the tests that measures its children too
    "JOURNAL_STREAM",
    "LANG",
    "LC_ALL",
    "PATH",
    "PYTHONDEVMODE",
    "PYTHONPATH",
    "TMPDIR",
)


class EngineDiedError(MiauflixdError):
    """The engine's process has ended though nobody asked it to."""

    code = "engine_died"


class EngineProcess:
    """A running engine and the channel to it."""

    def __init__(
        self, process: asyncio.subprocess.Process, channel: Channel[Event, Command]
    ) -> None:
        self._process = process
        self._channel = channel

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Configure) -> AsyncIterator[Self]:
        """Start an engine and wait until its session is up; it ends with the block.

        Raises:
            EngineDiedError: it did not come up.
        """
        async with AsyncExitStack() as stack:
            ours, theirs = socket.socketpair()
            with theirs:
                channel: Channel[Event, Command] = await Channel.open(ours, decoder=EVENTS)
                # First of all: a child sees its end closed, also one that a cancellation in the
                # middle of its start has made nobody's.
                stack.push_async_callback(channel.aclose)
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "miauflixd.engine",
                    str(theirs.fileno()),
                    pass_fds=[theirs.fileno()],
                    env=_environment(),
                    stdin=asyncio.subprocess.DEVNULL,
                    # Ctrl-C reaches the terminal's whole process group, and Python until it is told
                    # not to mind; so an engine that only starts leaves no trace on the screen.
                    process_group=0,
                )
            engine = cls(process, channel)
            stack.push_async_callback(engine._wait_until_ended)
            stack.push_async_callback(channel.aclose)
            channel.send(settings)
            await engine._wait_until_started()
            yield engine

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def send(self, command: Command) -> None:
        """Give a command; its outcome is an event."""
        self._channel.send(command)

    async def events(self) -> AsyncIterator[Event]:
        """Yield what the engine tells, as long as it lives.

        Raises:
            EngineDiedError: it ended by itself, or speaks another language.
        """
        while True:
            yield await self._receive()

    async def _receive(self) -> Event:
        try:
            return await self._channel.receive()
        except ChannelClosedError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_WITHIN):
                    await self._process.wait()
            raise EngineDiedError(f"The engine died: {self._epitaph()}") from None

    async def _wait_until_started(self) -> None:
        try:
            async with asyncio.timeout(_START_WITHIN):
                event = await self._receive()
        except TimeoutError:
            raise EngineDiedError(
                f"The engine did not come up within {_START_WITHIN:.0f} s"
            ) from None
        if not isinstance(event, Started):
            raise EngineDiedError(f"The engine said {type(event).__name__} before Started")
        logger.debug("Engine up with libtorrent %s", event.libtorrent_version)

    async def _wait_until_ended(self) -> None:
        try:
            async with asyncio.timeout(_END_WITHIN):
                await self._process.wait()
        except TimeoutError:
            logger.warning("The engine does not end by itself; killing it")
        finally:
            # Also when a second cancellation cuts the waiting short: no engine is left behind.
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()

    def _epitaph(self) -> str:
        status = self._process.returncode
        if status is None:
            return "it closed its channel"
        if status < 0:
            return f"signal {-status}"
        return f"exit status {status}"


def _environment() -> dict[str, str]:
    """Return what the child needs of our environment: nothing of settings, credentials, systemd."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}
