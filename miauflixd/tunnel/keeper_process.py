"""The keeper's process, from the house's side.

Whoever started it (`keeper_handle`) hands it over to the event loop, which talks to it until the
end.
"""

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

from miauflixd.errors import SettingsError, UnavailableError
from miauflixd.keeper.messages import (
    EVENTS,
    Command,
    Configure,
    EngineEnded,
    EngineStarted,
    Event,
    KillEngine,
    Ready,
    Refused,
    StartEngine,
    Stop,
    Tested,
    TunnelState,
)
from miauflixd.runtime.messages import Channel, ChannelClosedError
from miauflixd.runtime.services import running
from miauflixd.tunnel.keeper_handle import END_WITHIN, KeeperDiedError, KeeperHandle, kill

logger = logging.getLogger(__name__)

_READY_WITHIN = 30.0
"""Seconds for the keeper to build its namespace; with leftovers of a crash to remove it takes two
on a Raspberry Pi."""

_ENGINE_WITHIN = 20.0
"""Seconds for the engine's process to be there; it takes 70 ms, or seconds from a cold SD card."""

_EPITAPH_WITHIN = 2.0
"""Seconds from the closing of its channel until the keeper has left a status."""


_UNKNOWN = 255
"""The exit status of an engine whose end nobody saw."""


class EngineNotStartedError(UnavailableError):
    """The keeper could not start the engine inside the tunnel's namespace."""

    code = "engine_not_started"


class EngineChild:
    """The engine's process, which is the keeper's child and lives in its namespace."""

    def __init__(self, *, pid: int, kill_it: Callable[[], None]) -> None:
        self._pid = pid
        self._kill = kill_it
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; `None` as long as it lives."""
        return self._status.result() if self._status.done() else None

    async def wait(self) -> int:
        """Wait for its end and return its exit status; negative: the signal that ended it."""
        return await asyncio.shield(self._status)

    def kill(self) -> None:
        """End it at once."""
        if not self._status.done():
            self._kill()

    def ended(self, status: int) -> None:
        """Note its end."""
        if not self._status.done():
            self._status.set_result(status)


class KeeperProcess:
    """A running keeper and the conversation with it."""

    def __init__(self, process: subprocess.Popen[bytes], channel: Channel[Event, Command]) -> None:
        self._process = process
        self._channel = channel
        self._events: asyncio.Queue[TunnelState | Tested] = asyncio.Queue()
        self._starting: asyncio.Future[EngineChild] | None = None
        self._engine: EngineChild | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, handle: KeeperHandle, configure: Configure) -> AsyncIterator[Self]:
        """Talk to a keeper for the length of the block, which its death ends; stop it afterwards.

        On entry the namespace stands, closed.

        Raises:
            SettingsError: something that is needed is missing on this machine; a line for each.
            KeeperDiedError: it did not come up. While the block runs, in a group: it has ended.
        """
        async with AsyncExitStack() as stack:
            channel: Channel[Event, Command] = await Channel.open(handle.end, decoder=EVENTS)
            stack.push_async_callback(channel.aclose)
            keeper = cls(handle.process, channel)
            stack.push_async_callback(keeper._wait_until_ended)
            stack.callback(keeper.send, Stop())
            keeper.send(configure)
            await keeper._wait_until_ready()
            await stack.enter_async_context(running("keeper", keeper._listen))
            yield keeper

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def send(self, command: Command) -> None:
        """Give a command; its outcome is an event."""
        self._channel.send(command)

    async def events(self) -> AsyncIterator[TunnelState | Tested]:
        """Yield what the keeper tells of the tunnel; for one listener."""
        while True:
            yield await self._events.get()

    async def launch(self, end: socket.socket) -> EngineChild:
        """Start the engine inside the namespace, on this end of a socket pair.

        Raises:
            EngineNotStartedError: it is not there in time, or ended at once.
        """
        self._starting = asyncio.get_running_loop().create_future()
        self._channel.send(StartEngine(), descriptors=[end.fileno()])
        try:
            async with asyncio.timeout(_ENGINE_WITHIN):
                return await self._starting
        except TimeoutError:
            self.send(KillEngine())
            raise EngineNotStartedError(
                f"The keeper did not start the engine within {_ENGINE_WITHIN:.0f} s"
            ) from None
        except asyncio.CancelledError:
            self.send(KillEngine())  # nobody is left who would do it
            raise
        finally:
            self._starting = None

    async def _listen(self) -> None:
        try:
            await self._follow()
        finally:
            if self._engine is not None:
                self._engine.ended(_UNKNOWN)  # nobody is left who could tell

    async def _follow(self) -> None:
        while True:
            match await self._receive():
                case EngineStarted(pid=pid):
                    self._engine_started(pid)
                case EngineEnded(status=status):
                    self._engine_ended(status)
                case TunnelState() | Tested() as event:
                    self._events.put_nowait(event)
                case Ready() | Refused():
                    logger.warning("The keeper said twice how its start went")

    def _engine_started(self, pid: int) -> None:
        self._engine = EngineChild(pid=pid, kill_it=lambda: self.send(KillEngine()))
        if self._starting is not None and not self._starting.done():
            self._starting.set_result(self._engine)

    def _engine_ended(self, status: int) -> None:
        if self._engine is not None:
            self._engine.ended(status)
            self._engine = None
        elif self._starting is not None and not self._starting.done():
            self._starting.set_exception(
                EngineNotStartedError(f"The engine ended at its start: {epitaph(status)}")
            )

    async def _wait_until_ready(self) -> None:
        try:
            async with asyncio.timeout(_READY_WITHIN):
                event = await self._receive()
        except TimeoutError:
            raise KeeperDiedError(
                f"The keeper did not come up within {_READY_WITHIN:.0f} s"
            ) from None
        match event:
            case Ready(backend=backend, adopted=adopted):
                logger.info(
                    "The tunnel's namespace stands, with WireGuard by %s%s",
                    "the kernel" if backend == "kernel" else backend,
                    "; the tunnel of the last run goes on" if adopted else "",
                )
            case Refused(problems=problems):
                raise SettingsError(
                    "\n".join(f'vpn.mode: "required" is not possible here: {p}' for p in problems)
                )
            case _:
                raise KeeperDiedError(f"The keeper said {type(event).__name__} before Ready")

    async def _receive(self) -> Event:
        try:
            return await self._channel.receive()
        except ChannelClosedError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EPITAPH_WITHIN):
                    await self._wait()
            raise KeeperDiedError(f"The keeper died: {epitaph(self._process.poll())}") from None

    async def _wait_until_ended(self) -> None:
        try:
            async with asyncio.timeout(END_WITHIN):
                await self._wait()
        except TimeoutError:
            logger.warning("The keeper does not end by itself; killing it")
        finally:
            # Also when a second cancellation cuts the waiting short.
            if self._process.poll() is None:
                kill(self._process)

    async def _wait(self) -> None:
        """Wait for its end without a thread, which could not be called back."""
        if self._process.poll() is not None:
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        descriptor = os.pidfd_open(self._process.pid)
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self._process.poll()


def epitaph(status: int | None) -> str:
    """Return how a process ended, to be read after "died"."""
    if status is None:
        return "it closed its channel"
    if status < 0:
        return f"signal {-status}"
    return f"exit status {status}"
