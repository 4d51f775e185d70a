"""The third line: looking whether the first two hold.

Nothing here repairs the tunnel (`restore` does), and nothing trusts what was set up once: links
and routes are read from the kernel, the engine's namespaces and sockets from /proc.
"""

import os
import re
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from miauflixd.keeper import raw_netlink
from miauflixd.keeper.namespace import Namespace, strangers

SOCKET: Final = re.compile(r"socket:\[(\d+)\]")

# From linux/sock_diag.h and linux/inet_diag.h.
NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
QUESTION: Final = struct.Struct("=BB2xI48x")
LISTENING: Final = 1 << 10
ANY_STATE: Final = 0xFFFFFFFF
INODE: Final = struct.Struct("=I")
INODE_AT: Final = 68


class NamespaceAuditor:
    """Implements `ports.Auditor` for one namespace and the engine in it."""

    def __init__(
        self, *, namespace: Namespace, engine: Callable[[], int | None] = lambda: None
    ) -> None:
        """Ask `engine` for the engine's process each time; `None`: there is none."""
        self._namespace = namespace
        self._engine = engine

    async def findings(self) -> Sequence[str]:
        """Return what should not be there, as sentences.

        Raises:
            OSError: the kernel does not answer, or this process may not look.
        """
        netlink = self._namespace.netlink
        found = strangers(await netlink.links(), await netlink.routes(), self._namespace.interface)
        if await self._namespace.firewall.restore():
            found.append("The namespace's rules had been changed; they were put back.")
        engine = self._engine()
        if engine is not None:
            with suppress(FileNotFoundError, ProcessLookupError):  # it ended: not our business
                found += _threads_outside(engine, self._namespace.inode)
                if not _open_sockets_here().isdisjoint(_sockets(engine)):
                    found.append("The engine has a socket outside the namespace.")
        found += [
            f"Process {process} ({_name(process)}) is in the namespace."
            for process in self._namespace.processes()
            if process != engine and not _is_ours(process)
        ]
        return found


def _threads_outside(engine: int, inode: int) -> Iterator[str]:
    with os.scandir(f"/proc/{engine}/task") as threads:
        for thread in threads:
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended
                if os.stat(f"{thread.path}/ns/net").st_ino != inode:  # noqa: PTH116 - for each of 20 threads every few seconds
                    yield f"Thread {thread.name} of the engine is outside the namespace."


def _open_sockets_here() -> set[int]:
    """Return the TCP sockets that listen and all UDP sockets of this process's own namespace.

    /proc/net/tcp would take 2 ms, for it goes through all that the kernel has room for.
    """
    found = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        raw_netlink.opened(kernel)
        for protocol, states in ((socket.IPPROTO_TCP, LISTENING), (socket.IPPROTO_UDP, ANY_STATE)):
            for family in (socket.AF_INET, socket.AF_INET6):
                question = QUESTION.pack(family, protocol, states)
                for answer in raw_netlink.ask_for_all(kernel, SOCK_DIAG_BY_FAMILY, question):
                    found.add(INODE.unpack_from(answer, INODE_AT)[0])
    return found


def _sockets(process: int) -> Iterator[int]:
    with os.scandir(f"/proc/{process}/fd") as descriptors:
        for descriptor in descriptors:
            with suppress(FileNotFoundError):  # closed meanwhile
                if is_socket := SOCKET.fullmatch(os.readlink(descriptor.path)):  # noqa: PTH115 - for each of 300 descriptors every few seconds
                    yield int(is_socket[1])


def _is_ours(process: int) -> bool:
    """Return whether a process descends from this one (programs we run in the namespace do)."""
    while process > 1:
        if process == os.getpid():
            return True
        try:
            status = Path(f"/proc/{process}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True  # it ended, so it is no finding
        # The name, in brackets, may hold anything; the state and the parent come after it.
        process = int(status.rpartition(")")[2].split()[1])
    return False


def _name(process: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{process}/comm").read_text().strip()
    return "gone"
