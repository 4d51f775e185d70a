"""What stands in for the tunnel in a house that goes without one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from miauflixd.keeper.messages import Activity
from miauflixd.tunnel import description
from miauflixd.tunnel.model import (
    EndpointId,
    Network,
    Statistics,
    TestResult,
    TunnelOffError,
    TunnelView,
)


class NoTunnel:
    """The same as `Tunnel`, where the settings say that there is none."""

    def __init__(self) -> None:
        self._view = description.off_view(datetime.now(UTC))

    async def run(self) -> None:
        """Wait to be cancelled: there is nothing to do."""
        await asyncio.Event().wait()

    def view(self) -> TunnelView:
        """Return that there is none, and why."""
        return self._view

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[TunnelView]]:
        """Yield nothing, for the length of the block."""
        yield self._nothing()

    @property
    def up(self) -> bool:
        """True: this machine's own network is the way out, and nobody watches it."""
        return True

    @property
    def reason(self) -> str:
        """Why it is so, a sentence for people."""
        return self._view.reason

    @property
    def ipv6(self) -> bool:
        """True: as much as this machine's network does."""
        return True

    @property
    def endpoint_id(self) -> EndpointId | None:
        """None."""
        return None

    async def network_changes(self) -> AsyncIterator[Network]:
        """Yield once that there is a way out."""
        yield Network(up=True, generation=0, reason=self._view.reason)
        await asyncio.Event().wait()

    def statistics(self) -> Statistics:
        """Return that nothing was counted."""
        return Statistics(switches={}, penalties={}, generation=0)

    def set_activity(self, activity: Activity) -> None:
        """Nobody watches."""

    def set_exit_ip(self, address: str | None) -> None:
        """It is that of the house, and stays in the house."""

    def set_port(self, port: int | None) -> None:
        """Nobody forwards one."""

    async def switch(self, endpoint_id: EndpointId | None = None) -> None:
        """Refuse.

        Raises:
            TunnelOffError: always.
        """
        raise TunnelOffError(self._view.reason)

    async def test(self, endpoint_id: EndpointId | None = None) -> TestResult:
        """Refuse.

        Raises:
            TunnelOffError: always.
        """
        raise TunnelOffError(self._view.reason)

    async def _nothing(self) -> AsyncIterator[TunnelView]:
        await asyncio.Event().wait()
        yield self._view  # never
