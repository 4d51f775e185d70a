"""An echo through the tunnel every 20 ms: its silences are the outages that people would see."""

import asyncio
import contextlib
import itertools
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.lab.household import Datagrams
from tests.lab.namespaces import Namespace

INTERVAL = 0.02
PORT = 7007

_SILENCE = 0.08
"""Seconds without an answer that count as an outage: four beats."""


@dataclass(frozen=True, slots=True)
class Outage:
    """From the last answer before to the first one after."""

    began: float
    ended: float

    @property
    def length(self) -> float:
        return self.ended - self.began


async def open_echo(namespace: Namespace, address: str) -> None:
    """Send back every datagram until the run ends."""
    await Datagrams.open(namespace.datagrams(address, PORT), lambda data, _: data)


class Heartbeat:
    """Beats in a namespace that may come and go."""

    def __init__(self, namespace: Namespace, *, target: str, magic: bytes) -> None:
        self._namespace = namespace
        self._target = (target, PORT)
        self._magic = magic
        self._inode: int | None = None
        self._socket: socket.socket | None = None
        self.answers: list[float] = []
        """When each answer came."""
        self.sent = 0
        """How many beats there were, answered or not."""

    async def run(self) -> None:
        """Beat until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while True:
                self._follow()
                if self._socket is not None:
                    with contextlib.suppress(OSError):  # no way out: that is silence
                        self._socket.sendto(self._magic + self.sent.to_bytes(8), self._target)
                self.sent += 1
                due = max(due + INTERVAL, loop.time())
                await asyncio.sleep(due - loop.time())
        finally:
            self._let_go()

    def _follow(self) -> None:
        """Beat in the namespace that has the name now."""
        inode = self._namespace.inode
        if inode == self._inode and self._socket is not None:
            return
        self._let_go()
        self._inode = inode
        if inode is None:
            return
        try:
            self._socket = self._namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        except OSError:  # it is just being made or removed
            return
        asyncio.get_running_loop().add_reader(self._socket, self._listen, self._socket)

    def _let_go(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _listen(self, source: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                source.recv(64)
                self.answers.append(time.monotonic())

    def is_alive(self) -> bool:
        """Return whether an answer came lately."""
        return bool(self.answers) and time.monotonic() - self.answers[-1] < _SILENCE

    def outages(self, since: float, until: float | None = None) -> Sequence[Outage]:
        """Return the silences that ended, or still last, after a moment."""
        end = time.monotonic() if until is None else until
        moments = [at for at in self.answers if at <= end]
        earlier = [at for at in moments if at < since]
        times = [earlier[-1] if earlier else since, *(at for at in moments if at >= since), end]
        return [
            Outage(before, after)
            for before, after in itertools.pairwise(times)
            if after - before > _SILENCE
        ]

    def longest(self, since: float, until: float | None = None) -> float:
        """Return the seconds of the longest silence."""
        return max((outage.length for outage in self.outages(since, until)), default=0.0)

    async def returns(self, after: float, *, within: float) -> float | None:
        """Wait for an answer that came after a moment; return when; `None`: there was none."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if self.answers and self.answers[-1] > after:
                return next(at for at in self.answers if at > after)
            await asyncio.sleep(INTERVAL / 2)
        return None
