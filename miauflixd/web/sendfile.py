"""From a file into a connection without passing through this process, sendfile(2)."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Self

from aiohttp import web

_TURN = 8 * 2**20
"""Bytes sent before the loop's other work has its turn: to a fast client about three ms."""


class Outlet:
    """A client's connection, for as long as one answer's body is sent to it.

    `loop.sendfile` does the same with two further system calls and a pause of reading for each
    turn. Here reading goes on, so a client that leaves is noticed while it is being served.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    @classmethod
    @contextmanager
    def open(cls, request: web.Request) -> Iterator[Self]:
        """Take the connection of a request whose headers have been sent.

        Raises:
            ConnectionError: the client is gone, or does not even take the headers.
        """
        transport = request.transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size():
            raise ConnectionResetError("the client is gone")
        # A second descriptor of the same socket: the loop watches the transport's own already.
        with transport.get_extra_info("socket").dup() as end:
            yield cls(end)

    async def send(self, file: BinaryIO, offset: int, length: int) -> None:
        """Send bytes of a file, as fast as the client takes them.

        Raises:
            ConnectionError: the client is gone, or the file is shorter than it should be: then the
                connection is to be closed, for what is missing cannot be made up.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        position, stop = offset, offset + length

        def push() -> None:
            nonlocal position
            if done.done():
                return  # cancelled in this very turn
            try:
                count = min(stop - position, _TURN)
                sent = os.sendfile(self._end.fileno(), file.fileno(), position, count)
            except (BlockingIOError, InterruptedError):
                return  # the client's turn
            except OSError as error:
                done.set_exception(error)
                return
            position += sent
            if not sent:
                done.set_exception(ConnectionAbortedError("the file is shorter than it was"))
            elif position == stop:
                done.set_result(None)

        self._cork(1)
        push()
        if not done.done():
            loop.add_writer(self._end, push)
        try:
            await done
        finally:
            loop.remove_writer(self._end)
            self._cork(0)

    def _cork(self, on: int) -> None:
        """Have only full segments sent, or send what was held back for that, tcp(7)."""
        if self._end.family != socket.AF_UNIX:
            self._end.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)
