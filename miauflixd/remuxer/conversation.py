"""The worker's end of the socket pair: it says something, and waits for what is said to it."""

import os
import socket
import struct

import msgspec

from miauflixd.remuxer.messages import QUESTIONS, Answer, Have, Question, Stop, Want

_HEAD = struct.Struct(">IB")
"""As in `runtime.messages`, whose frames these are."""


class HouseGoneError(Exception):
    """There is nobody at the other end any more."""


class StoppedError(Exception):
    """The house wants nothing more of this errand."""


class Conversation:
    """Talks to the house, one thing at a time."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._encoder = msgspec.msgpack.Encoder()
        self.file = -1
        """The descriptor of the file, as soon as the house has opened it."""

    def say(self, answer: Answer) -> None:
        """Send something.

        Raises:
            HouseGoneError: nobody listens.
        """
        body = self._encoder.encode(answer)
        try:
            self._end.sendall(_HEAD.pack(len(body), 0) + body)
        except OSError as error:
            raise HouseGoneError from error

    def hear(self) -> Question:
        """Return what the house says next, keeping a descriptor that comes with it.

        Raises:
            HouseGoneError: it has nothing to say any more.
        """
        try:
            head, descriptors, _, _ = socket.recv_fds(self._end, _HEAD.size, 1)
            if len(head) < _HEAD.size:
                head += self._receive(_HEAD.size - len(head))
            size, _ = _HEAD.unpack(head)
            message: Question = QUESTIONS.decode(self._receive(size))
        except OSError as error:
            raise HouseGoneError from error
        for descriptor in descriptors:
            if self.file != -1:
                os.close(self.file)
            self.file = descriptor
        return message

    def ask(self, answer: Answer) -> Question:
        """Say something that has an answer, and return that.

        Raises:
            StoppedError: the errand is over.
        """
        self.say(answer)
        heard = self.hear()
        if isinstance(heard, Stop):
            raise StoppedError
        return heard

    def want(self, offset: int, length: int) -> int:
        """Return up to where the file may be read from `offset` on, which is further than that.

        Raises:
            StoppedError: nobody waits for it any more, or it does not come.
        """
        heard = self.ask(Want(offset=offset, length=length))
        if not isinstance(heard, Have):
            raise StoppedError
        return heard.stop

    def _receive(self, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            part = self._end.recv(size - len(received))
            if not part:
                raise HouseGoneError
            received += part
        return bytes(received)
