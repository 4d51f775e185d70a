"""WireGuard without the kernel's help: wireguard-go, one process per interface.

The process lives in a session of its own and outlives a keeper that crashes; the next one finds it
by its socket. It stays in the host's namespace, and so do its UDP socket and the cipher text; only
its interface is moved. When the process dies the kernel removes the interface at once, so that
inside there is no way out until it is made again.
"""

import asyncio
import errno
import logging
import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from miauflixd.keeper import programs, uapi
from miauflixd.keeper.peers import Configuration, Report, parse_uapi, uapi_lines
from miauflixd.keeper.ports import Counters
from miauflixd.keeper.uapi import Uapi

logger = logging.getLogger(__name__)

STARTING: Final = 5.0
"""Seconds until it must answer; it takes 15 to 40 ms."""

STARTS: Final = 3
"""How often it is tried."""

LOOKING: Final = 0.002
"""Seconds between two looks whether it answers; nothing tells when its socket appears."""

SETTING: Final = 0.5
"""Seconds that a change may take, usually 1 ms; after them the process counts as hanging, and
killing it is quicker than waiting."""


class WireGuardGo:
    """One interface, made by a wireguard-go process."""

    backend: Final = "wireguard-go"

    def __init__(self, interface: str, *, changed: Callable[[], object]) -> None:
        """Call `changed` whenever the process ends by itself."""
        self._interface = interface
        self._changed = changed
        self._uapi = Uapi(interface)
        self._process: _Process | None = None
        self._counters: Counters | None = None

    async def adopt(self) -> Configuration | None:
        """Take over a process that an earlier run left; `None`: there is none that answers."""
        with suppress(OSError):
            if report := self._report(within=SETTING):
                self._process = _Process(self._uapi.process, ended=self._ended)
                return report.configuration
        return None

    async def make(self, configuration: Configuration) -> None:
        """Make the interface, in the namespace of this process.

        Raises:
            OSError: wireguard-go does not start, or does not answer.
        """
        # Whoever looks with `wg show` in the instant between its making the socket and listening on
        # it takes it for one of a dead process and deletes it, whereupon this one ends.
        for attempt in range(1, STARTS + 1):
            self._process = _started(self._interface, ended=self._ended)
            try:
                await self._answering(self._process)
                await self._set(uapi_lines(configuration))
                break
            except OSError:
                await self.remove()
                if attempt == STARTS:
                    raise

    async def apply(self, configuration: Configuration, before: Configuration) -> None:
        """Change what differs, make the peer anew, and thereby begin a handshake.

        Raises:
            OSError: the process is gone, hangs or refuses.
        """
        await self._set(uapi_lines(configuration, before=before))

    async def remove(self) -> None:
        """End the process, which removes the interface; one that nobody adopted, too."""
        if self._process is not None:
            self._process.end()
            self._process = None
        self._uapi.close()
        with suppress(OSError):  # usually nobody is there any more
            programs.kill(self._uapi.process)
            self._uapi.close()
        self._counters = None
        uapi.forget(self._interface)

    def leave(self) -> None:
        """Let the process go on without us."""
        if self._process is not None:
            self._process.leave()
        self._uapi.close()

    def is_alive(self) -> bool:
        """Return whether the process exists, even if it is stopped."""
        return self._process is not None and self._process.is_alive

    def counters(self) -> Counters | None:
        """Return its counters; those of last time while it is alive and does not answer."""
        try:
            report = self._report()
        except OSError:
            self._counters = None
        else:
            # Not answering must look like silence, not like an interface that is gone.
            self._counters = report.counters if report else self._counters
        return self._counters

    def _report(self, *, within: float = uapi.PATIENCE) -> Report | None:
        answer = self._uapi.ask("get=1\n\n", within=within)
        return parse_uapi(answer) if answer is not None else None

    async def _answering(self, process: "_Process") -> None:
        deadline = time.monotonic() + STARTING
        while process.is_alive and time.monotonic() < deadline:
            with suppress(OSError):
                if self._report() is not None:
                    return
            await asyncio.sleep(LOOKING)
        raise OSError(errno.EIO, f"wireguard-go does not start: {process.last_words}")

    async def _set(self, text: str) -> None:
        # On a connection of its own, so that it never waits behind an unanswered question.
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(0)
            path = str(uapi.path(self._interface))
            async with asyncio.timeout(SETTING):
                await loop.sock_connect(connection, path)
                await loop.sock_sendall(connection, text.encode())
                answer = b""
                while not answer.endswith(uapi.ANSWER_END):
                    chunk = await loop.sock_recv(connection, 4096)
                    if not chunk:
                        raise ConnectionResetError(errno.ECONNRESET, "wireguard-go hung up")
                    answer += chunk
        if answer.strip() != b"errno=0":
            raise OSError(errno.EINVAL, f"wireguard-go refuses: {answer.decode().strip()}")

    def _ended(self) -> None:
        logger.warning("wireguard-go of %s ended", self._interface)
        self._uapi.close()
        self._changed()


class _Process:
    """A wireguard-go that may be our child or that of a run before."""

    def __init__(
        self, pid: int, *, ended: Callable[[], None], output: socket.socket | None = None
    ) -> None:
        self._pid = pid
        self._ended = ended
        self._output = output
        self._descriptor = os.pidfd_open(pid)
        self.is_alive = True
        self.last_words = "it said nothing"
        loop = asyncio.get_running_loop()
        loop.add_reader(self._descriptor, self._notice_end)
        if output is not None:
            loop.add_reader(output, self._log)

    def end(self) -> None:
        """Kill it, and see it gone."""
        if self.is_alive:
            self.is_alive = False
            programs.kill_by(self._descriptor)
        self.leave()

    def leave(self) -> None:
        """Do not look after it any more."""
        loop = asyncio.get_running_loop()
        if self._descriptor >= 0:
            loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        if self._output is not None:
            self._log()
            loop.remove_reader(self._output)
            self._output.close()
            self._output = None

    def _notice_end(self) -> None:
        self.is_alive = False
        programs.reap(self._descriptor)
        self.leave()
        self._ended()

    def _log(self) -> None:
        if self._output is None:
            return
        with suppress(OSError):  # no more for now
            while line := self._output.recv(4096):
                self.last_words = line.decode(errors="replace").strip()
                logger.debug("wireguard-go: %s", self.last_words)


def _started(interface: str, *, ended: Callable[[], None]) -> _Process:
    # Datagrams, because a write to a pipe or stream whose reader crashed would kill a Go program;
    # with a time limit, because one to a reader that is stopped would hold it up.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with theirs:
        ours.settimeout(0)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 10_000))
        try:
            program = programs.path("wireguard-go")
            pid = os.posix_spawn(
                program,
                [program, "-f", interface],
                {"PATH": programs.SEARCH_PATH, "LOG_LEVEL": "error"},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 1),
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 2),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE],
            )
        except BaseException:
            ours.close()
            raise
    return _Process(pid, ended=ended, output=ours)
