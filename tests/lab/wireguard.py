"""WireGuard servers, and the client's side of them."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.machine import LabError
from tests.lab.namespaces import CommandError, Namespace, command
from tests.lab.processes import Child
from tests.lab.topology import SERVER_PORT, SERVERS

CLIENT_ADDRESS, INSIDE_ADDRESS = "10.2.0.2", "10.2.0.1"
"""The client's address in the tunnel, the same at all servers, and that of every server.

They are Proton's: whoever gives ports by NAT-PMP gives these."""

_STARTS_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class Keys:
    """One side's pair."""

    private: str
    public: str

    @classmethod
    async def make(cls) -> "Keys":
        private = (await command("wg", "genkey")).strip()
        public = (await command("wg", "pubkey", text=private)).strip()
        return cls(private, public)


class Server:
    """A WireGuard server that can be ended, begun anew, and given another key."""

    def __init__(
        self, name: str, namespace: Namespace, *, keys: Keys, client: str, folder: Path
    ) -> None:
        self.name = name
        self.address = SERVERS[name]
        self.keys = keys
        self._namespace = namespace
        self._client = client
        self._interface = f"wg{name}"
        self._log = folder / f"wireguard-{name}.log"
        self._process: Child | None = None

    async def prepare(self) -> None:
        """Give it its address inside; that outlives the interface, as do the fakes bound to it."""
        await self._namespace.script(f"ip addr add {INSIDE_ADDRESS}/32 dev lo")

    async def start(self) -> None:
        """Start it, knowing nothing of any session."""
        await self.kill()
        self._process = await start_wireguard(self._namespace, self._interface, log=self._log)
        await self.use(self.keys)
        await self._namespace.script(
            f"ip link set {self._interface} mtu 1420 up",
            f"ip route add {CLIENT_ADDRESS}/32 dev {self._interface}",
        )

    async def use(self, keys: Keys) -> None:
        """Answer by this key; clients that expect another one get no answer."""
        await self._namespace.run(
            *("wg", "set", self._interface, "listen-port", str(SERVER_PORT)),
            *("private-key", "/dev/stdin"),
            *("peer", self._client, "allowed-ips", f"{CLIENT_ADDRESS}/32"),
            text=keys.private,
        )

    async def kill(self) -> None:
        """End it where it stands; its interface goes with it."""
        if self._process is not None:
            await self._process.kill()
            self._process = None

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def conf(self, client: Keys, *, port_forwarding: bool = False) -> str:
        """Return the file that its provider gives to customers."""
        hint = "# NAT-PMP (Port Forwarding) = on\n" if port_forwarding else ""
        return (
            f"[Interface]\n{hint}PrivateKey = {client.private}\n"
            f"Address = {CLIENT_ADDRESS}/32\nDNS = {INSIDE_ADDRESS}\n\n"
            f"[Peer]\nPublicKey = {self.keys.public}\nAllowedIPs = 0.0.0.0/0\n"
            f"Endpoint = {self.address}:{SERVER_PORT}\n"
        )


async def start_wireguard(namespace: Namespace, interface: str, *, log: Path) -> Child:
    """Start wireguard-go in a namespace, and return when its interface can be configured.

    Raises:
        LabError: it does not come up.
    """
    socket = Path("/run/wireguard", f"{interface}.sock")
    socket.unlink(missing_ok=True)
    process = await Child.start(namespace.inside("wireguard-go", "-f", interface), log=log)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STARTS_WITHIN):
            while process.status is None:
                with contextlib.suppress(CommandError):
                    await command("wg", "show", interface)
                    return process
                await asyncio.sleep(0.01)
    await process.kill()
    raise LabError(f"wireguard-go did not make {interface}; see {log}")


async def open_servers(
    namespaces: dict[str, Namespace], *, client: Keys, folder: Path
) -> Sequence[Server]:
    """Start one server in each namespace."""
    servers = []
    for name, namespace in namespaces.items():
        keys = await Keys.make()
        server = Server(name, namespace, keys=keys, client=client.public, folder=folder)
        await server.prepare()
        await server.start()
        servers.append(server)
    return servers
