"""The engine's process, from the house's side."""

import asyncio
import contextlib
import errno
import itertools
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal, Self

import msgspec

from miauflixd.engine.messages import (
    EVENTS,
    Command,
    Configure,
    Event,
    OpenSocket,
    SetNetwork,
    SocketOpened,
    Started,
)
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.messages import Channel, ChannelClosedError
from miauflixd.torrents.launching import EngineChild, EngineLauncher
from miauflixd.tunnel.errors import TunnelDownError

logger = logging.getLogger(__name__)

_START_WITHIN = 20.0
"""Seconds for the child to come up; a Raspberry Pi with a cold SD card takes three."""

_END_WITHIN = 5.0
"""Seconds for the child to say goodbye to its trackers and end; then it is killed."""

_WAITING_EVENTS = 10_000
"""Events that may wait for whoever follows; then nothing more is taken from the engine, and so
neither are sockets. A busy swarm makes some hundred a second."""

Family = Literal["inet", "inet6"]
Kind = Literal["stream", "datagram"]

_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
_KINDS = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM}


class EngineDiedError(MiauflixdError):
    """The engine's process has ended though nobody asked it to."""

    code = "engine_died"


class EngineProcess:
    """A running engine and the channel to it."""

    def __init__(self, child: EngineChild, channel: Channel[Event, Command]) -> None:
        self._child = child
        self._channel = channel
        self._events: asyncio.Queue[Event | EngineDiedError] = asyncio.Queue(_WAITING_EVENTS)
        self._requests = itertools.count(1)
        self._sockets: dict[int, asyncio.Future[socket.socket]] = {}
        self._dead = False

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Configure, *, launcher: EngineLauncher) -> AsyncIterator[Self]:
        """Start an engine and wait until its session is up; it ends with the block.

        The session sends nothing until `set_network` says that it may.

        Raises:
            EngineDiedError: it did not come up.
            MiauflixdError: the launcher could not start it.
            ExceptionGroup: what the block raised.
        """
        async with AsyncExitStack() as stack:
            ours, theirs = socket.socketpair()
            with theirs:
                channel: Channel[Event, Command] = await Channel.open(ours, decoder=EVENTS)
                # First of all: a child sees its end closed, also one that a cancellation in the
                # middle of its start has made nobody's.
                stack.push_async_callback(channel.aclose)
                child = await launcher.launch(theirs)
            engine = cls(child, channel)
            stack.push_async_callback(engine._wait_until_ended)
            stack.push_async_callback(channel.aclose)
            channel.send(settings)
            await engine._wait_until_started()
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(engine._listen(), name="engine")
                try:
                    yield engine
                finally:
                    listening.cancel()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._child.pid

    def send(self, command: Command) -> None:
        """Give a command; its outcome is an event."""
        self._channel.send(command)

    def set_network(self, *, up: bool, generation: int = 0) -> None:
        """Say whether there is a way out, and whether it is still the same one."""
        self.send(SetNetwork(up=up, generation=generation))

    async def open_socket(self, family: Family, kind: Kind) -> socket.socket:
        """Return a new socket that talks where the engine does; it does not block.

        Raises:
            OSError: the engine could not make one.
            TunnelDownError: there is no engine any more.
        """
        if self._dead:
            raise TunnelDownError("The engine is gone")
        request = next(self._requests)
        answer: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
        self._sockets[request] = answer
        self.send(OpenSocket(request=request, family=family, kind=kind))
        try:
            made = await answer
        except asyncio.CancelledError:
            # It may have come in the very moment in which nobody wanted it any more.
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                answer.result().close()
            raise
        finally:
            self._sockets.pop(request, None)
        if (made.family, made.type) != (_FAMILIES[family], _KINDS[kind]):
            # The engine faces strangers: what it hands over is looked at.
            made.close()
            raise TunnelDownError("The engine handed over something else than was asked for")
        made.setblocking(False)  # noqa: FBT003 - the standard library's signature
        return made

    async def events(self) -> AsyncIterator[Event]:
        """Yield what the engine tells, as long as it lives; for one listener.

        Raises:
            EngineDiedError: it ended by itself, or speaks another language.
        """
        while True:
            event = await self._events.get()
            if isinstance(event, EngineDiedError):
                self._events.put_nowait(event)  # nothing else will ever follow
                raise event
            yield event

    async def _listen(self) -> None:
        """Take what the engine tells, also while nobody follows the events."""
        try:
            while True:
                event, descriptors = await self._receive()
                if isinstance(event, SocketOpened):
                    self._on_socket(event, descriptors)
                    continue
                _close(descriptors)
                await self._events.put(event)
        except EngineDiedError as error:
            self._give_up()
            await self._events.put(error)
        finally:
            self._give_up()

    def _on_socket(self, event: SocketOpened, descriptors: list[int]) -> None:
        answer = self._sockets.pop(event.request, None)
        if answer is None or answer.done():
            _close(descriptors)  # nobody waits for it any more
        elif event.error or not descriptors:
            # Without an error it was on its way, and there was no room for it here.
            number = event.error or errno.EMFILE
            answer.set_exception(OSError(number, os.strerror(number)))
        else:
            try:
                answer.set_result(socket.socket(fileno=descriptors[0]))
                del descriptors[0]
            except OSError as error:  # it is no socket
                answer.set_exception(error)
            _close(descriptors)

    def _give_up(self) -> None:
        """Let nobody wait for sockets that will not come."""
        self._dead = True
        waiting, self._sockets = self._sockets, {}
        for answer in waiting.values():
            if not answer.done():
                answer.set_exception(TunnelDownError("The engine is gone"))

    async def _receive(self) -> tuple[Event, list[int]]:
        try:
            return await self._channel.receive_with_descriptors()
        except ChannelClosedError:
            raise EngineDiedError(f"The engine died: {await self._epitaph()}") from None
        except msgspec.DecodeError as error:
            raise EngineDiedError(f"The engine said what nobody understands: {error}") from error

    async def _wait_until_started(self) -> None:
        try:
            async with asyncio.timeout(_START_WITHIN):
                event, descriptors = await self._receive()
        except TimeoutError:
            raise EngineDiedError(
                f"The engine did not come up within {_START_WITHIN:.0f} s"
            ) from None
        _close(descriptors)
        if not isinstance(event, Started):
            raise EngineDiedError(f"The engine said {type(event).__name__} before Started")
        logger.debug("Engine up with libtorrent %s", event.libtorrent_version)

    async def _wait_until_ended(self) -> None:
        ended = False
        try:
            async with asyncio.timeout(_END_WITHIN):
                await self._child.wait()
            ended = True
        except TimeoutError:
            logger.warning("The engine does not end by itself; killing it")
        finally:
            # Also when a second cancellation cuts the waiting short: no engine is left behind.
            if not ended:
                self._child.kill()
                await self._child.wait()

    async def _epitaph(self) -> str:
        status = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_WITHIN):
                status = await self._child.wait()
        if status is None:
            return "it closed its channel"
        if status < 0:
            return f"signal {-status}"
        return f"exit status {status}"


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
