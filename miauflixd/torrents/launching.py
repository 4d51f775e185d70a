"""How the engine's process comes about."""

import asyncio
import socket
import sys
from typing import Protocol

from miauflixd.runtime import children


class EngineChild(Protocol):
    """An engine's process, whoever its parent is."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...

    async def wait(self) -> int:
        """Wait for its end and return its exit status; negative: the signal that ended it.

        It may be awaited again and again, also after it was cut short.
        """
        ...

    def kill(self) -> None:
        """End it at once, unless it has ended."""
        ...


class EngineLauncher(Protocol):
    """Starts engines."""

    async def launch(self, end: socket.socket) -> EngineChild:
        """Start an engine on its end of a socket pair, which remains the caller's to close."""
        ...


class PlainLauncher:
    """Starts engines as children of this process, in its own network.

    For `vpn.mode = "off"` only, and for swarms on the loopback: what such an engine sends goes
    wherever this machine sends it.
    """

    async def launch(self, end: socket.socket) -> EngineChild:
        """Start an engine on its end of a socket pair."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "miauflixd.engine",
            str(end.fileno()),
            pass_fds=[end.fileno()],
            env=children.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            # Ctrl-C reaches the terminal's whole process group, and Python until it is told not to
            # mind; so an engine that only starts leaves no trace on the screen.
            process_group=0,
        )
        return _PlainChild(process)


class _PlainChild:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        return await self._process.wait()

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
