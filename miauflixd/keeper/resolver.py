"""The stub resolver on the namespace's loopback, from the keeper's side.

The keeper reads nothing that comes from the network, answers to name queries least of all: a
process of its own does (`keeper.stub`), as confined as the engine. Its listening socket is made
here and outlives it, so questions asked while it starts, or starts again, wait in the socket; to a
closed port the answer would be a failure, which libtorrent remembers.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Self

import msgspec

from miauflixd.keeper.confinement import Confinement
from miauflixd.keeper.probes import SocketInside
from miauflixd.keeper.stub import Use
from miauflixd.runtime.messages import Channel
from miauflixd.runtime.services import running

logger = logging.getLogger(__name__)

_ADDRESS = ("127.0.0.1", 53)

_PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Seconds before it is started again, if it keeps dying."""

_HEALTHY_AFTER = 60.0
"""Seconds after which its death has nothing to do with the one before."""


class StubResolver:
    """A `Resolver`: races all upstreams, so that a dead one costs nothing."""

    def __init__(self, *, listener: socket.socket, confinement: Confinement) -> None:
        """Use `open`."""
        self._listener = listener
        self._confinement = confinement
        self._upstreams: list[str] = []
        self._channel: Channel[Use, Use] | None = None
        self.pid: int | None = None
        """Of its process; `None` while there is none."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, *, socket_inside: SocketInside, confinement: Confinement
    ) -> AsyncIterator[Self]:
        """Answer name queries inside for the length of the block; at first, with silence.

        Raises:
            OSError: the port cannot be had.
        """
        with socket_inside(socket.AF_INET, socket.SOCK_DGRAM, 0) as listener:
            listener.bind(_ADDRESS)
            resolver = cls(listener=listener, confinement=confinement)
            async with running("resolver", resolver._run):
                yield resolver

    async def use(self, upstreams: Sequence[str]) -> None:
        """Race these from now on, and forget what earlier ones said.

        Questions under way are put to the new ones at once.

        Raises:
            ValueError: one of them is no address.
        """
        self._upstreams = [str(ip_address(upstream)) for upstream in dict.fromkeys(upstreams)]
        if self._channel is not None:
            self._channel.send(Use(upstreams=self._upstreams))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        deaths = 0
        while True:
            started = loop.time()
            status = await self._serve()
            if loop.time() - started > _HEALTHY_AFTER:
                deaths = 0
            pause = _PAUSES[min(deaths, len(_PAUSES) - 1)]
            deaths += 1
            logger.warning(
                "The stub resolver ended with status %d; starting it again in %.1f s", status, pause
            )
            await asyncio.sleep(pause)

    async def _serve(self) -> int:
        """Run the process to its end; return its exit status."""
        ours, theirs = socket.socketpair()
        channel: Channel[Use, Use] = await Channel.open(ours, decoder=msgspec.msgpack.Decoder(Use))
        try:
            with theirs:
                descriptors = [theirs.fileno(), self._listener.fileno()]
                process = await self._confinement.start(
                    [sys.executable, "-m", "miauflixd.keeper.stub", *map(str, descriptors)],
                    descriptors=descriptors,
                )
            try:
                self.pid = process.pid
                channel.send(Use(upstreams=self._upstreams))
                self._channel = channel
                return await process.wait()
            finally:
                self.pid = self._channel = None
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        finally:
            await channel.aclose()
