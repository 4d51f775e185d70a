"""Name services that live behind unix sockets, which cross network namespaces.

Whoever connects from the tunnel's side would have his names looked up over the house's own uplink.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Container, Iterable
from pathlib import Path

from tests.lab.names import Journal
from tests.lab.namespaces import Namespace

SOCKETS = (
    "/run/systemd/resolve/io.systemd.Resolve",
    "/run/nscd/socket",
    "/run/avahi-daemon/socket",
    "/run/dbus/system_bus_socket",
)

_QUERY_AT_MOST = 4096
_PATIENCE = 1.0


async def open_resolvers(journal: Journal, *, places: Iterable[Namespace]) -> None:
    """Listen on every socket until the run ends; note what is said, and hang up.

    Who is at a place of the lab's may ask for what is no secret: `wg` asks for the table of hosts
    whenever it reads an address. That is noted as "outside", and whoever is elsewhere as "inside".
    """
    outside = {place.inode for place in places} | {Path("/proc/self/ns/net").stat().st_ino}
    for path in SOCKETS:
        await _open(Path(path), journal, outside=outside)


async def _open(path: Path, journal: Journal, *, outside: Container[int | None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer: socket.socket = writer.get_extra_info("socket")
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid, uid, _ = struct.unpack("iII", credentials)
        said = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_PATIENCE):
                said = await reader.read(_QUERY_AT_MOST)
        # Tools of the keeper, who is root, ask for tables of services or hosts, never for a name.
        where = "inside" if uid and _is_inside(pid, outside) else "outside"
        journal.note(f"socket {where} {path}", f"{pid} {_program(pid)}", repr(said))
        writer.close()

    await asyncio.start_unix_server(talk, path)
    path.chmod(0o666)


def _is_inside(pid: int, outside: Container[int | None]) -> bool:
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino not in outside
    except OSError:  # it is gone already, and may have been anybody
        return False


def _program(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "(gone)"
    return b" ".join(words[:4]).decode(errors="replace")
