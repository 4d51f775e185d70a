"""Sockets for the house, made here: where a socket is made is where it talks, for ever."""

import errno
import socket
from collections.abc import Sequence
from typing import Protocol

from miauflixd.engine.messages import Event, OpenSocket, SocketOpened

_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
_KINDS = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM}


class Emit(Protocol):
    """Tells the house something, and passes it copies of descriptors."""

    def __call__(self, message: Event, descriptors: Sequence[int] = (), /) -> None:
        """Tell; never waits."""
        ...


def hand_over(command: OpenSocket, emit: Emit) -> None:
    """Make a socket and pass it to the house, or say why there is none."""
    try:
        with socket.socket(_FAMILIES[command.family], _KINDS[command.kind]) as made:
            emit(SocketOpened(request=command.request), [made.fileno()])
    except OSError as error:
        emit(SocketOpened(request=command.request, error=error.errno or errno.EIO))
