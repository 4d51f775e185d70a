"""Netlink messages as bytes, for the few questions that are asked all the time.

pyroute2 would decode everything the kernel says, which takes a hundred times as long as asking.
"""

import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

_HEADER: Final = struct.Struct("=IHHII")
_REQUEST: Final = 0x001
_DUMP: Final = 0x300
_ERROR: Final = 2
_DONE: Final = 3
_CODE: Final = struct.Struct("=i")

_WAITING: Final = 1.0
"""Seconds; the kernel answers before `send` returns, so this only ends what cannot be."""


def opened(made: socket.socket) -> socket.socket:
    """Return a new `AF_NETLINK` socket ready for questions."""
    made.settimeout(_WAITING)
    return made


def ask(kernel: socket.socket, kind: int, question: bytes) -> bytes:
    """Ask for one thing, and return the answer without its header.

    Raises:
        OSError: the kernel says so.
    """
    kernel.send(_message(kind, question, flags=_REQUEST))
    return next(_messages(kernel.recv(65536)))


def ask_for_all(kernel: socket.socket, kind: int, question: bytes) -> Iterator[bytes]:
    """Ask for a list, and yield its entries without their headers.

    Raises:
        OSError: the kernel says so.
    """
    kernel.send(_message(kind, question, flags=_REQUEST | _DUMP))
    while True:
        for message in _messages(kernel.recv(65536)):
            if not message:
                return
            yield message


def _message(kind: int, body: bytes, *, flags: int) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body


def _messages(data: bytes) -> Iterator[bytes]:
    """Yield the bodies of messages; an empty one for the end of a list."""
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        body = data[_HEADER.size : length]
        if kind == _ERROR:
            code = -_CODE.unpack_from(body)[0]
            raise OSError(code, os.strerror(code))
        yield b"" if kind == _DONE else body
        data = data[max(length + 3 & ~3, _HEADER.size) :]
