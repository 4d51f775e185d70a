"""A provider's NAT-PMP gateway behind its server."""

import time

from tests.lab.household import Datagrams, map_port
from tests.lab.namespaces import Namespace
from tests.lab.wireguard import INSIDE_ADDRESS


class PortGateway:
    """Gives one external port, the same for UDP and TCP, until told otherwise."""

    def __init__(self, *, external: int, exit_address: str) -> None:
        self.external = external
        self.result = 0
        """What it answers to requests: 0, or a failure of the standard."""
        self.silent = False
        self.requests: list[bytes] = []
        self._exit_address = exit_address
        self._started = time.monotonic()

    async def open(self, namespace: Namespace) -> None:
        """Serve until the run ends."""
        await Datagrams.open(namespace.datagrams(INSIDE_ADDRESS, 5351), self._reply)

    def restart(self, *, external: int) -> None:
        """Forget all mappings, begin to count seconds anew, and give another port from now on."""
        self._started = time.monotonic()
        self.external = external

    def _reply(self, data: bytes, source: str) -> bytes | None:
        self.requests.append(data)
        if self.silent:
            return None
        return map_port(
            data,
            external=self.external,
            address=self._exit_address,
            epoch=int(time.monotonic() - self._started) + 1,
            result=self.result,
        )
