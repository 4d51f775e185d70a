"""Watching where the film comes through: what leaves the seeds for each server."""

import asyncio
import contextlib
import ipaddress
import socket
import struct
import time
from collections.abc import Iterable
from typing import Self

from tests.lab.capture import attach_filter
from tests.lab.namespaces import Namespace
from tests.lab.topology import SEEDS

_ETH_P_IP = 0x0800
_SYN = 0x02
_SIZE = 400
"""Bytes that only pieces of the film have: handshakes and messages are smaller."""


def _program() -> bytes:
    """Return a BPF program that keeps TCP packets of the seeds."""
    network = int(ipaddress.IPv4Address(SEEDS[0])) & 0xFFFFFF00
    lines = [
        (0x30, 0, 0, 23),  # the protocol
        (0x15, 0, 4, 6),  # is TCP
        (0x20, 0, 0, 26),  # the source
        (0x54, 0, 0, 0xFFFFFF00),
        (0x15, 0, 1, network),
        (0x06, 0, 0, 96),
        (0x06, 0, 0, 0),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


class FirstByte:
    """When the first byte of the film came through one of some servers, on a new connection.

    Old ones are not counted: seeds go on repeating themselves to the server of the failover before,
    which nobody could tell that it was left.
    """

    def __init__(self, servers: Iterable[Namespace]) -> None:
        self.at: float | None = None
        self._arrived = asyncio.Event()
        self._connections: set[bytes] = set()
        self._sockets = []
        for namespace in servers:
            made = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            attach_filter(made, _program())
            made.bind(("up0", _ETH_P_IP))
            self._sockets.append(made)
            asyncio.get_running_loop().add_reader(made, self._look, made)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    async def wait(self, within: float) -> float | None:
        """Return when it came; `None`: not in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._arrived.wait()
        return self.at

    def _look(self, source: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while self.at is None:
                frame = source.recv(96)
                # Addresses and ports of both sides; the header has no options here.
                connection = frame[26:38]
                if frame[47] & _SYN:
                    self._connections.add(connection)
                elif int.from_bytes(frame[16:18]) > _SIZE and connection in self._connections:
                    self.at = time.monotonic()
                    self._arrived.set()
                    self._close()

    def _close(self) -> None:
        for made in self._sockets:
            asyncio.get_running_loop().remove_reader(made)
            made.close()
        self._sockets = []
