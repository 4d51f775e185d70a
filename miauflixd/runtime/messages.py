"""Typed messages over a stream socket between two of our own processes.

A frame is a length (four bytes, big-endian), a number of descriptors (one byte), and that many
bytes of MessagePack. What a message may be is a union of tagged `msgspec` structs, so a frame that
fits none of them is refused on arrival.

Descriptors travel with the first byte of their frame (SCM_RIGHTS, unix(7)). The kernel ends a read
behind bytes that have some, so by the time a frame's head is here its descriptors are, and none of
a later frame.
"""

import array
import asyncio
import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Self, TypeVar

import msgspec

_HEAD = struct.Struct(">IB")

_FRAME_LIMIT = 64 * 2**20
"""Bytes of one frame at most: a 10 MiB .torrent file with its layout stays far below."""

_DESCRIPTOR_LIMIT = 8
"""Descriptors of one message at most; no message of ours has more than one."""

_WAITING_LIMIT = 2**20
"""Bytes that may wait to be received before reading from the socket stops."""

_WAITING_DESCRIPTORS = 64
"""Descriptors that may wait, likewise: a process has 1024 as a rule, and others need them too."""

_READ = 2**18
"""Bytes read from the socket at once."""

_FLUSH_WITHIN = 2.0
"""Seconds for the other end to take what was sent before a close; it may be stopped, or stuck."""

_ROOM_FOR_DESCRIPTORS = socket.CMSG_SPACE(253 * array.array("i").itemsize)
"""For as many as the kernel passes at once (SCM_MAX_FD): what does not fit would be lost."""

Incoming = TypeVar("Incoming")
Outgoing = TypeVar("Outgoing")


class ChannelClosedError(ConnectionError):
    """The process at the other end is gone, or has closed its end."""


class _Frame(NamedTuple):
    body: bytearray
    descriptors: list[int]


@dataclass(slots=True)
class _Unsent:
    """Bytes that the socket did not take yet; the descriptors, our own, belong to the first."""

    data: bytearray
    descriptors: list[int] = field(default_factory=list)


class Channel(Generic[Incoming, Outgoing]):
    """One end of a conversation between two processes.

    Invariant: a descriptor that has arrived is in `_loose` or in a frame until it is handed to
    whoever receives, who owns it from then on; or else it is closed.
    """

    def __init__(self, end: socket.socket, *, decoder: msgspec.msgpack.Decoder[Incoming]) -> None:
        self._socket = end
        self._loop = asyncio.get_running_loop()
        self._decoder = decoder
        self._encoder = msgspec.msgpack.Encoder()
        self._closing = False
        # --- coming in ---
        self._landing = bytearray(_READ)
        self._partial = bytearray()
        """The beginning of a frame whose end is still to come."""
        self._loose: list[int] = []
        self._frames: deque[_Frame] = deque()
        self._waiting_bytes = 0
        self._waiting_descriptors = 0
        self._reading = False
        self._ended = False
        self._broken: str | None = None
        self._receiver: asyncio.Future[None] | None = None
        # --- going out ---
        self._unsent: deque[_Unsent] = deque()
        self._deaf = False
        """Nobody will ever read what is sent."""
        self._flushed: asyncio.Future[None] | None = None

    @classmethod
    async def open(cls, end: socket.socket, *, decoder: msgspec.msgpack.Decoder[Incoming]) -> Self:
        """Take over one end of a pair of stream sockets."""
        end.setblocking(False)  # noqa: FBT003 - the standard library's signature
        channel = cls(end, decoder=decoder)
        channel._read_on()
        return channel

    # --- sending ----------------------------------------------------------------------------------

    def send(self, message: Outgoing, descriptors: Sequence[int] = ()) -> None:
        """Queue a message; it leaves in order, and the other end gets copies of the descriptors.

        Theirs is the caller's to close, as soon as this returns. To a closed channel all of it is
        dropped: whoever receives is told there.

        Raises:
            OSError: the message has to wait, and a descriptor cannot be duplicated meanwhile.
        """
        if self._closing or self._deaf:
            return
        if len(descriptors) > _DESCRIPTOR_LIMIT:
            raise ValueError(f"{len(descriptors)} descriptors")
        body = self._encoder.encode(message)
        frame = _HEAD.pack(len(body), len(descriptors)) + body
        sent = 0
        if not self._unsent:
            sent = self._write(frame, descriptors)
            if sent == len(frame) or self._deaf:
                return
            self._loop.add_writer(self._socket, self._on_writable)
        self._keep(memoryview(frame)[sent:], () if sent else descriptors)

    def _keep(self, rest: memoryview, descriptors: Sequence[int]) -> None:
        if self._unsent and not descriptors:
            self._unsent[-1].data += rest
            return
        unsent = _Unsent(bytearray(rest))
        self._unsent.append(unsent)
        try:
            for descriptor in descriptors:
                unsent.descriptors.append(os.dup(descriptor))
        except OSError:
            _close(unsent.descriptors)
            self._unsent.pop()
            raise

    def _write(self, data: bytes | bytearray, descriptors: Sequence[int]) -> int:
        """Return how many bytes the socket took; the descriptors are gone with the first."""
        try:
            if descriptors:
                rights = array.array("i", descriptors)
                ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
                return self._socket.sendmsg([data], ancillary)
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            # It is gone. What it has said before can still be received.
            self._forget_unsent()
            return 0

    def _on_writable(self) -> None:
        while self._unsent:
            first = self._unsent[0]
            sent = self._write(first.data, first.descriptors)
            if self._deaf:
                return
            if sent:
                _close(first.descriptors)
                del first.data[:sent]
            if first.data:
                return
            self._unsent.popleft()
        self._loop.remove_writer(self._socket)
        self._tell_flushed()

    def _forget_unsent(self) -> None:
        self._deaf = True
        if self._unsent:
            self._loop.remove_writer(self._socket)
        while self._unsent:
            _close(self._unsent.popleft().descriptors)
        self._tell_flushed()

    def _tell_flushed(self) -> None:
        if self._flushed is not None and not self._flushed.done():
            self._flushed.set_result(None)

    # --- receiving --------------------------------------------------------------------------------

    async def receive(self) -> Incoming:
        """Return the next message; descriptors that it brings uninvited are closed.

        Raises:
            ChannelClosedError: there will be no further one.
            msgspec.DecodeError: the frame holds something else than was agreed.
        """
        frame = await self._next()
        if frame.descriptors:
            _close(frame.descriptors)
        return self._decoder.decode(frame.body)

    async def receive_with_descriptors(self) -> tuple[Incoming, list[int]]:
        """Return the next message and its descriptors, which are the caller's to close.

        There are none when this process had no room for all that were sent.

        Raises:
            ChannelClosedError: there will be no further one.
            msgspec.DecodeError: the frame holds something else than was agreed.
        """
        frame = await self._next()
        try:
            return self._decoder.decode(frame.body), frame.descriptors
        except msgspec.DecodeError:
            _close(frame.descriptors)
            raise

    async def _next(self) -> _Frame:
        while not self._frames:
            if self._broken is not None:
                raise msgspec.DecodeError(self._broken)
            if self._ended:
                raise ChannelClosedError("the other process is gone")
            if self._receiver is not None:
                raise RuntimeError("somebody else is receiving")
            self._receiver = self._loop.create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None
        # Nothing is awaited from here on: a frame that is taken is not lost by a cancellation.
        frame = self._frames.popleft()
        self._waiting_bytes -= len(frame.body)
        self._waiting_descriptors -= len(frame.descriptors)
        if not (self._reading or self._ended) and self._waiting_bytes <= _WAITING_LIMIT // 2:
            self._read_on()
        return frame

    def _read_on(self) -> None:
        self._reading = True
        self._loop.add_reader(self._socket, self._on_readable)

    def _stop_reading(self) -> None:
        self._reading = False
        self._loop.remove_reader(self._socket)

    def _on_readable(self) -> None:
        try:
            size, ancillary, _, _ = self._socket.recvmsg_into(
                [self._landing], _ROOM_FOR_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            size, ancillary = 0, []
        if ancillary:
            self._loose += _descriptors(ancillary)
        if size:
            self._take_in(size)
        else:
            self._end()
        if self._receiver is not None and not self._receiver.done() and self._has_news():
            self._receiver.set_result(None)

    def _has_news(self) -> bool:
        return bool(self._frames) or self._ended

    def _take_in(self, size: int) -> None:
        if self._partial:
            self._partial += memoryview(self._landing)[:size]
            left = self._cut(self._partial, len(self._partial))
            del self._partial[: len(self._partial) - left]
        elif left := self._cut(self._landing, size):
            self._partial += self._landing[size - left : size]
        if self._ended:
            return
        if self._loose and (not left or len(self._loose) > _DESCRIPTOR_LIMIT):
            self._break("descriptors that belong to no message")
        elif self._frames and (
            self._waiting_bytes + left > _WAITING_LIMIT
            or self._waiting_descriptors > _WAITING_DESCRIPTORS
        ):
            # Only while somebody has something to receive: it is what starts the reading again.
            self._stop_reading()

    def _cut(self, arrived: bytearray, end: int) -> int:
        """Cut whole frames off, and return how many bytes are left behind the last."""
        at = 0
        while end - at >= _HEAD.size:
            length, count = _HEAD.unpack_from(arrived, at)
            if length > _FRAME_LIMIT or count > _DESCRIPTOR_LIMIT:
                self._break(f"a frame of {length} bytes and {count} descriptors")
                break
            start = at + _HEAD.size
            if start + length > end:
                break
            at = start + length
            self._frames.append(_Frame(arrived[start:at], self._claim(count)))
            self._waiting_bytes += length
        return end - at

    def _claim(self, count: int) -> list[int]:
        if not count:
            return []
        claimed = self._loose[:count]
        del self._loose[:count]
        if len(claimed) < count:
            _close(claimed)  # the table of this process's open files was full
        self._waiting_descriptors += len(claimed)
        return claimed

    def _break(self, reason: str) -> None:
        """Read no further: where the next frame begins is not known any more."""
        self._broken = reason
        self._end()

    def _end(self) -> None:
        self._ended = True
        if self._reading:
            self._stop_reading()
        _close(self._loose)

    # --- the end ----------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Close this end once the other has taken what was sent; its next `receive` then raises."""
        if self._closing:
            return
        self._closing = True
        self._end()
        while self._frames:
            _close(self._frames.popleft().descriptors)
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
        try:
            if self._unsent:
                self._flushed = self._loop.create_future()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_FLUSH_WITHIN):
                        await self._flushed
        finally:
            self._forget_unsent()
            self._socket.close()


def _descriptors(ancillary: Sequence[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return found.tolist()


def _close(descriptors: list[int]) -> None:
    """Close descriptors that nobody wants, and forget them."""
    while descriptors:
        os.close(descriptors.pop())
