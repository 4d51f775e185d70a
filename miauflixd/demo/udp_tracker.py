"""The same tracker over UDP: BEP 15, for IPv4."""

import asyncio
import contextlib
import secrets
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from miauflixd.demo.announces import MOST_WANTED, Announce, Peer, Register

_MAGIC = 0x41727101980
"""What a connection begins with, by which it is told from noise."""

_CONNECT, _ANNOUNCE, _SCRAPE, _ERROR = range(4)

_COMPLETED, _STOPPED = 1, 3
"""Two of the events of an announce."""

_HASH = 20
"""Bytes of an info-hash."""

_REQUEST = struct.Struct(">QII")
"""Connection, action and transaction, with which every request begins."""

_REST_OF_ANNOUNCE = struct.Struct(f">{_HASH}s20sQQQIIIiH")
"""Info-hash, peer, downloaded, left, uploaded, event, address, key, wanted, port."""

_DATAGRAM = 2048
"""Bytes; the longest request, a scrape of 74 swarms, has 1496."""


@asynccontextmanager
async def udp_tracker(register: Register, host: str, *, interval: int) -> AsyncIterator[str]:
    """Answer for a register on a free port for the length of the block, and yield the URL."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((host, 0))
        own.setblocking(False)  # noqa: FBT003 - the standard library's signature
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(_serve(own, register, interval), name="UDP tracker")
            yield f"udp://{host}:{own.getsockname()[1]}/announce"
            serving.cancel()


async def _serve(own: socket.socket, register: Register, interval: int) -> None:
    loop = asyncio.get_running_loop()
    # One number for everybody: it proves that whoever sends it gets our answers.
    connection = secrets.randbits(64)
    while True:
        with contextlib.suppress(OSError):  # somebody is gone before the answer
            request, sender = await loop.sock_recvfrom(own, _DATAGRAM)
            answer = await _answer(request, sender[0], register, connection, interval)
            if answer is not None:
                await loop.sock_sendto(own, answer, sender)


async def _answer(
    request: bytes, host: str, register: Register, connection: int, interval: int
) -> bytes | None:
    """Return what to say to a request; nothing to one that makes no sense."""
    if len(request) < _REQUEST.size:
        return None
    claimed, action, transaction = _REQUEST.unpack_from(request)
    body = request[_REQUEST.size :]
    head = struct.pack(">II", action, transaction)
    if action == _CONNECT and claimed == _MAGIC:
        return head + connection.to_bytes(8)
    if claimed != connection:
        return struct.pack(">II", _ERROR, transaction) + b"unknown connection"
    if action == _SCRAPE:
        hashes = [body[at : at + _HASH] for at in range(0, len(body) - _HASH + 1, _HASH)]
        return head + b"".join(_counts(register, info_hash) for info_hash in hashes)
    if action == _ANNOUNCE and len(body) >= _REST_OF_ANNOUNCE.size:
        info_hash, _, _, left, _, event, _, _, wanted, port = _REST_OF_ANNOUNCE.unpack_from(body)
        others = await register.announce(
            # Its address is the one it comes from; what it may say of itself is not to be trusted.
            Peer(host=host, port=port),
            Announce(
                info_hash=info_hash,
                port=port,
                is_complete=event == _COMPLETED or left == 0,
                is_leaving=event == _STOPPED,
                wanted=min(wanted, MOST_WANTED) if wanted >= 0 else MOST_WANTED,
                compact=True,
            ),
        )
        complete, incomplete = register.count(info_hash)
        numbers = struct.pack(">III", interval, incomplete, complete)
        return head + numbers + b"".join(other.compact() for other in others)
    return struct.pack(">II", _ERROR, transaction) + b"unknown request"


def _counts(register: Register, info_hash: bytes) -> bytes:
    complete, incomplete = register.count(info_hash)
    return struct.pack(">III", complete, 0, incomplete)  # how often it was downloaded is not known
