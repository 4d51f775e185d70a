"""Typed messages over a stream socket between two of our own processes.

A frame is a length (four bytes, big-endian) and that many bytes of MessagePack. What a message may
be is a union of tagged `msgspec` structs, so a frame that fits none of them is refused on arrival.
"""

import asyncio
import contextlib
import socket
import struct
from typing import Generic, Self, TypeVar

import msgspec

_LENGTH = struct.Struct(">I")

_FRAME_LIMIT = 64 * 2**20
"""Bytes of one frame at most: a 10 MiB .torrent file with its layout stays far below."""

_BUFFER_LIMIT = 2**20
"""Bytes that may wait in the stream before the transport stops reading from the socket."""

Incoming = TypeVar("Incoming")
Outgoing = TypeVar("Outgoing")


class ChannelClosedError(ConnectionError):
    """The process at the other end is gone, or has closed its end."""


class Channel(Generic[Incoming, Outgoing]):
    """One end of a conversation between two processes."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        decoder: msgspec.msgpack.Decoder[Incoming],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = decoder
        self._encoder = msgspec.msgpack.Encoder()

    @classmethod
    async def open(cls, end: socket.socket, *, decoder: msgspec.msgpack.Decoder[Incoming]) -> Self:
        """Take over one end of a socket pair."""
        reader, writer = await asyncio.open_unix_connection(sock=end, limit=_BUFFER_LIMIT)
        return cls(reader, writer, decoder=decoder)

    def send(self, message: Outgoing) -> None:
        """Queue a message; it leaves in order.

        To a closed channel it is dropped: whoever receives is told there.
        """
        if self._writer.is_closing():
            return
        body = self._encoder.encode(message)
        self._writer.write(_LENGTH.pack(len(body)) + body)

    async def receive(self) -> Incoming:
        """Return the next message.

        Raises:
            ChannelClosedError: there will be no further one.
            msgspec.DecodeError: the frame holds something else than was agreed.
        """
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if length > _FRAME_LIMIT:
                raise msgspec.DecodeError(f"a frame of {length} bytes")
            body = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise ChannelClosedError("the other process is gone") from error
        return self._decoder.decode(body)

    async def aclose(self) -> None:
        """Close this end; the other side's next `receive` raises."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):  # the other side was faster
            await self._writer.wait_closed()
