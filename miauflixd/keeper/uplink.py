"""The host's own way to the internet, as far as one can see without leaving the house.

A server that is silent is dead only if the way to it is not. So the gateway is asked: the kernel is
made to probe it as a neighbour (ARP or ND), which every router answers within a millisecond or two,
whatever it thinks of echoes.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from miauflixd.keeper.netlink import (
    MAIN_TABLE,
    NUD_NOARP,
    NUD_PERMANENT,
    NUD_REACHABLE,
    Link,
    Netlink,
    Route,
)

PATIENCE: Final = 0.3
"""Seconds for the gateway's answer; the lifecycle waits for this while it decides."""

LOOKING: Final = 0.01
"""Seconds between two looks at the neighbour."""

DISCARD: Final = 9
"""The UDP port for datagrams that are to be thrown away."""

UNICAST: Final = 1


class HostUplink:
    """Implements `ports.Uplink` for the namespace that the netlink connection belongs to."""

    def __init__(
        self, *, host: Netlink, make_socket: Callable[[int, int], socket.socket] = socket.socket
    ) -> None:
        """Ask `host`, and send out of the same namespace, this process's own by default."""
        self._host = host
        self._make_socket = make_socket

    async def answers(self) -> bool:
        """Return whether there is a default route, and one of the gateways answers in 0.3 s.

        Raises:
            OSError: the kernel does not answer.
        """
        deadline = time.monotonic() + PATIENCE
        asked: list[tuple[int, str]] = []
        for route, link in await self._ways():
            if route.gateway is None or not link.resolves:
                return True  # a point-to-point line: its being up is all it says
            if await self._ask(link.index, route.gateway):
                return True
            asked.append((link.index, route.gateway))
        while asked and time.monotonic() < deadline:
            await asyncio.sleep(LOOKING)
            for index, gateway in asked:
                neighbour = await self._host.neighbour(index, gateway)
                if neighbour is not None and neighbour.state == NUD_REACHABLE:
                    return True
        return False

    async def _ways(self) -> list[tuple[Route, Link]]:
        """Return the default routes whose interface works."""
        links = {link.index: link for link in await self._host.links()}
        return [
            (route, link)
            for route in await self._host.routes()
            if route.destination == "default"
            and route.table == MAIN_TABLE
            and route.type == UNICAST
            and (link := links.get(route.index or 0))
            and link.is_up
            and link.has_carrier
        ]

    async def _ask(self, index: int, gateway: str) -> bool:
        """Make the kernel ask a gateway; return whether there is nothing to ask (static ARP)."""
        neighbour = await self._host.neighbour(index, gateway)
        if neighbour is not None and neighbour.state & (NUD_PERMANENT | NUD_NOARP):
            return True
        if neighbour is not None and neighbour.hardware is not None:
            with suppress(OSError):  # forgotten meanwhile: then it is silent
                await self._host.probe_neighbour(index, gateway, neighbour.hardware)
        else:
            self._nudge(index, gateway)
        return False

    def _nudge(self, index: int, gateway: str) -> None:
        """Send to a gateway whose hardware address is not known, so that it is asked for."""
        family = socket.AF_INET6 if ":" in gateway else socket.AF_INET
        address = (gateway, DISCARD, 0, index) if family == socket.AF_INET6 else (gateway, DISCARD)
        with suppress(OSError), self._make_socket(family, socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(0)
            datagrams.sendto(b"", address)
