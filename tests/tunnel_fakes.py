"""A keeper, name servers and providers with behaviour, and files to import."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from miauflixd.database.database import Database
from miauflixd.errors import MiauflixdError
from miauflixd.keeper.messages import (
    Command,
    Endpoint,
    SetLadder,
    Standby,
    Switch,
    Test,
    Tested,
    TunnelState,
)
from miauflixd.runtime.secrets import Secret
from miauflixd.tunnel.endpoints import Endpoints
from miauflixd.tunnel.importing import File, Preview
from miauflixd.tunnel.model import (
    Credentials,
    EndpointSpec,
    NoEndpointError,
    ProviderName,
    RungId,
    RungView,
)
from miauflixd.tunnel.providers.provider import Country, Provider
from miauflixd.tunnel.resolution import UnresolvedError
from miauflixd.tunnel.settings import TunnelSettings
from miauflixd.tunnel.store import TunnelStore
from miauflixd.vault.sealing import Sealer

SEALING_KEY = bytes(range(32))

# What must never be seen anywhere, in texts that are easily found.
PRIVATE_KEY = base64.b64encode(b"a private key, hushed up for us!").decode()
PRESHARED_KEY = base64.b64encode(b"a preshared key, also hushed up!").decode()
TOKEN = "e9f2abfeedbead" * 4 + "deadbeef"
SECRETS = (PRIVATE_KEY, PRESHARED_KEY, TOKEN)


def public_key(number: int) -> str:
    return base64.b64encode(bytes([number]) * 32).decode()


def conf(number: int = 1, *, host: str | None = None, more: str = "") -> str:
    """Return a WireGuard file that leads to server `number`."""
    return (
        "[Interface]\n"
        f"PrivateKey = {PRIVATE_KEY}\n"
        "Address = 10.2.0.2/32\n"
        "DNS = 10.2.0.1\n"
        f"{more}"
        "[Peer]\n"
        f"PublicKey = {public_key(number)}\n"
        f"PresharedKey = {PRESHARED_KEY}\n"
        "AllowedIPs = 0.0.0.0/0\n"
        f"Endpoint = {host or f'198.51.100.{number}'}:51820\n"
    )


def file(number: int = 1, *, name: str | None = None, host: str | None = None) -> File:
    return File(name=name or f"server-{number}.conf", content=conf(number, host=host).encode())


def spec(number: int = 1, **fields: Any) -> EndpointSpec:
    """Return server `number` as a provider names it."""
    known: dict[str, Any] = {
        "name": f"Server {number}",
        "provider": "nordvpn",
        "country": "SE",
        "host": f"198.51.100.{number}",
        "port": 51820,
        "public_key": public_key(number),
        "private_key": Secret(PRIVATE_KEY),
        "addresses": ("10.5.0.2/32",),
    }
    return EndpointSpec(**{**known, **fields})


def tunnel_state(state: Any = "up", **fields: Any) -> TunnelState:
    known: dict[str, Any] = {
        "state": state,
        "reason": f"It is {state}.",
        "next": "Nothing.",
        "since": time.time(),
        "generation": 1,
        "endpoint_id": None,
        "handshake_age": 3.0,
        "rtt": 0.02,
        "rx": 1000,
        "tx": 500,
        "standby": None,
        "penalties": {},
    }
    return TunnelState(**{**known, **fields})


class FakeKeeper:
    """Connects to the first of the ladder, tests truthfully, and says what a test tells it to."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[TunnelState | Tested] = asyncio.Queue()
        self._last: TunnelState | None = None
        self.ladder: list[Endpoint] = []
        self.ladders = 0
        self.commands: list[Command] = []
        self.answers = True
        """Whether it does anything of what it is told."""
        self.dead: set[str] = set()
        """Ids of endpoints that do not answer."""

    def send(self, command: Command) -> None:
        self.commands.append(command)
        match command:
            case SetLadder(endpoints=endpoints):
                self.ladder = endpoints
                self.ladders += 1
            case _ if not self.answers:
                pass
            case Test(endpoint=endpoint):
                alive = endpoint.id not in self.dead
                self._events.put_nowait(
                    Tested(
                        endpoint_id=endpoint.id,
                        handshake=0.03 if alive else None,
                        egress=alive,
                        names=alive,
                        detail="It works." if alive else "The server does not answer.",
                    )
                )
            case Switch(endpoint_id=endpoint_id):
                self.connect(endpoint_id or self.ladder[-1].id)
            case _:
                pass

    async def events(self) -> AsyncIterator[TunnelState | Tested]:
        while True:
            yield await self._events.get()
            self._events.task_done()

    async def heard(self) -> None:
        """Wait until everything that was told has been taken in."""
        async with asyncio.timeout(10):
            await self._events.join()

    def connect(self, endpoint_id: str | None = None, **fields: Any) -> None:
        """Be connected, to another server if it was another before."""
        generation = 1 if self._last is None else self._last.generation + 1
        self.tell(endpoint_id=endpoint_id or self.ladder[0].id, generation=generation, **fields)

    def tell(self, state: Any = "up", **fields: Any) -> None:
        """Report a state; what is not named is as in the last report."""
        if self._last is not None:
            last = self._last
            fields = {
                "endpoint_id": last.endpoint_id,
                "generation": last.generation,
                "penalties": last.penalties,
                **fields,
            }
        self._last = tunnel_state(state, **fields)
        self._events.put_nowait(self._last)

    def standby(self, endpoint_id: str) -> Standby:
        return Standby(endpoint_id=endpoint_id, answers=True, handshake_age=1.0)


class FakeNames:
    """Name servers that know some names; an address is its own answer."""

    def __init__(self, **known: Sequence[str]) -> None:
        self.known: dict[str, Sequence[str]] = {
            name.replace("_", "."): found for name, found in known.items()
        }
        self.remembered: dict[str, Sequence[str]] = {}
        self.asked = 0

    async def addresses(self, host: str) -> Sequence[str]:
        if host[0].isdigit():
            return (host,)
        self.asked += 1
        if host not in self.known:
            raise UnresolvedError(f"{host} has no address")
        self.remembered = {**self.remembered, host: self.known[host]}
        return self.known[host]


class FakeProvider:
    """A company with some servers, or with trouble."""

    def __init__(self, *servers: EndpointSpec) -> None:
        self.servers_now = servers
        self.trouble: MiauflixdError | None = None
        self.asked = 0
        self.wanted: tuple[str | None, str | None] = (None, None)

    async def identify(self, credentials: Credentials) -> Credentials:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return Credentials(
            token=credentials.token,
            private_key=credentials.private_key or Secret(PRIVATE_KEY),
            addresses=("10.5.0.2/32",),
        )

    async def servers(
        self,
        credentials: Credentials,
        *,
        country: str | None = None,
        city: str | None = None,
        limit: int = 20,
    ) -> tuple[EndpointSpec, ...]:
        self.wanted = (country, city)
        return self.servers_now[:limit]

    async def countries(self) -> tuple[Country, ...]:
        return ()


async def open_endpoints(
    database: Database,
    *,
    settings: TunnelSettings | None = None,
    names: FakeNames | None = None,
    providers: Mapping[ProviderName, Provider] | None = None,
) -> Endpoints:
    """Open the ladder of a database as the daemon does."""
    return await Endpoints.open(
        settings=settings or TunnelSettings(),
        store=TunnelStore(database=database, sealer=Sealer(SEALING_KEY)),
        names=names or FakeNames(),
        providers=providers or {},
    )


class NoEndpoints:
    """The ladder of a house that has none and gets none."""

    def rungs(self) -> Sequence[RungView]:
        return ()

    async def preview(self, files: Sequence[File]) -> Sequence[Preview]:
        return ()

    async def add_files(self, files: Sequence[File]) -> Sequence[Preview]:
        return ()

    async def add_account(self, provider: ProviderName, credentials: Credentials) -> RungView:
        raise NoEndpointError("Nothing can be added here")

    async def remove(self, rung: RungId) -> None:
        raise NoEndpointError("There is no such endpoint")

    async def reorder(self, rungs: Sequence[RungId]) -> None:
        raise NoEndpointError("There is no such endpoint")


def write_files(folder: Path, *numbers: int) -> Path:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        (folder / f"server-{number}.conf").write_text(conf(number))
    return folder
