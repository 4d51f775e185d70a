"""Network namespaces: programs and sockets in them."""

import asyncio
import ctypes
import os
import socket as sockets
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.machine import LabError

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


class CommandError(LabError):
    """A program that the lab needs has failed."""


async def command(*arguments: str, text: str | None = None) -> str:
    """Run a program to its end and return what it printed.

    Raises:
        CommandError: it failed.
    """
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.PIPE if text is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await process.communicate(text.encode() if text is not None else None)
    if process.returncode != 0:
        said = complaint.decode(errors="replace").strip()
        raise CommandError(f"{' '.join(arguments)}: {said or process.returncode}")
    return output.decode(errors="replace")


class Namespace:
    """A named network namespace."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = Path("/run/netns", name)

    @classmethod
    async def make(cls, name: str) -> "Namespace":
        """Make a new one with its loopback up."""
        await command("ip", "netns", "add", name)
        namespace = cls(name)
        await namespace.run("ip", "link", "set", "lo", "up")
        return namespace

    @property
    def inode(self) -> int | None:
        """What tells it from all others; `None`: it does not exist."""
        try:
            return self.path.stat().st_ino
        except OSError:
            return None

    def inside(self, *arguments: str) -> Sequence[str]:
        """Return the command that runs a program in it."""
        return ("nsenter", f"--net={self.path}", "--", *arguments)

    async def run(self, *arguments: str, text: str | None = None) -> str:
        """Run a program in it to its end and return what it printed.

        Raises:
            CommandError: it failed.
        """
        return await command(*self.inside(*arguments), text=text)

    async def script(self, *lines: str) -> None:
        """Run programs in it one after the other; words are separated by spaces."""
        for line in lines:
            await self.run(*line.split())

    def socket(self, family: int, kind: int, protocol: int = 0) -> sockets.socket:
        """Return a socket of this namespace, for use from anywhere.

        Raises:
            OSError: there is no such namespace.
        """
        result: list[Any] = []

        def make() -> None:
            # A thread that has gone into a namespace is not used again.
            try:
                number = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if _LIBC.setns(number, _CLONE_NEWNET):
                        error = ctypes.get_errno()
                        raise OSError(error, os.strerror(error))
                    result.append(sockets.socket(family, kind, protocol))
                finally:
                    os.close(number)
            except OSError as error:
                result.append(error)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if isinstance(result[0], OSError):
            raise result[0]
        made: sockets.socket = result[0]
        made.setblocking(False)  # noqa: FBT003 -- the library takes no keyword
        return made

    def listener(self, address: str, port: int) -> sockets.socket:
        """Return a socket that listens for TCP connections in it."""
        made = self.socket(_family(address), sockets.SOCK_STREAM)
        made.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.listen(128)
        return made

    def datagrams(self, address: str, port: int) -> sockets.socket:
        """Return a UDP socket bound in it."""
        made = self.socket(_family(address), sockets.SOCK_DGRAM)
        made.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        made.bind((address, port))
        return made


def _family(address: str) -> int:
    return sockets.AF_INET6 if ":" in address else sockets.AF_INET
