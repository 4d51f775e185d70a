"""Talking to a wireguard-go through its socket.

The socket is a path, so it can be reached from any namespace. An answer takes 60 µs, unless the
process is stopped or starved: then nothing waits for it for longer than it says here.
"""

import errno
import os
import select
import socket
import struct
from pathlib import Path
from typing import Final

SOCKETS: Final = Path("/var/run/wireguard")

PATIENCE: Final = 0.02
"""Seconds that a reading of the counters may hold up the loop: 300 times what it takes, and a
fifth of the beat at which it happens."""

ANSWER_END: Final = b"\n\n"


class Uapi:
    """One connection, for questions that come again and again."""

    def __init__(self, interface: str) -> None:
        self._path = path(interface)
        self._connection: socket.socket | None = None
        self._received = b""
        self._owed = 0

    def ask(self, question: str, *, within: float = PATIENCE) -> str | None:
        """Send a question and return its answer, or `None` if it does not come in time.

        An answer that comes too late is taken for that of the next question, if that is the same;
        so a process that was stopped does not cost the patience every time.

        Raises:
            OSError: nobody is there.
        """
        try:
            connection = self._connected()
            if not self._owed:
                connection.sendall(question.encode())
                self._owed = 1
                answer = self._receive(connection, within)
            else:
                answer = self._receive(connection, 0)
        except OSError:
            self.close()
            raise
        if answer is not None:
            self._owed = 0
        return answer

    @property
    def process(self) -> int:
        """Who is at the other end.

        Raises:
            OSError: nobody is there.
        """
        credentials = self._connected().getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid: int = struct.unpack("3i", credentials)[0]
        return pid

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._received = b""
        self._owed = 0

    def _connected(self) -> socket.socket:
        if self._connection is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(0)
                connection.connect(str(self._path))
            except OSError:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _receive(self, connection: socket.socket, within: float) -> str | None:
        readable = select.poll()
        readable.register(connection, select.POLLIN)
        while ANSWER_END not in self._received:
            if not readable.poll(within * 1000):
                return None
            chunk = connection.recv(65536)
            if not chunk:
                raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
            self._received += chunk
        answer, _, self._received = self._received.partition(ANSWER_END)
        return answer.decode()


def path(interface: str) -> Path:
    """Return where the socket of an interface is."""
    return SOCKETS / f"{interface}.sock"


def forget(interface: str) -> None:
    """Remove a socket that a killed process left."""
    path(interface).unlink(missing_ok=True)
