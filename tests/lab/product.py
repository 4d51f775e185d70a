"""The product under test: the real daemon, started and used as systemd and people do."""

import asyncio
import contextlib
import itertools
import json
import os
import pwd
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.lab.catalogue import SETTINGS
from tests.lab.lab import Lab
from tests.lab.machine import LabError
from tests.lab.namespaces import Namespace
from tests.lab.processes import Child, processes

NAMESPACE = "miaulab"
USER = "nobody"

_RESTART_AFTER = 0.1
"""Seconds, systemd's `RestartSec=` by default."""
_UP_WITHIN = 15.0
_ANSWERS_WITHIN = 2.0
_POLL = 0.1

_NOT_INHERITED = ("MIAUFLIX_", "NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY")


@dataclass(frozen=True, slots=True)
class State:
    """What the product said of its tunnel at a moment."""

    at: float
    name: str
    """`unreachable` when it said nothing."""
    endpoint: str | None
    standby_answers: bool = False
    reason: str = ""
    port: int | None = None


@dataclass(kw_only=True)
class Product:
    """The daemon, its supervisor, and its API."""

    lab: Lab
    folder: Path
    environment: Mapping[str, str]
    states: deque[State] = field(default_factory=lambda: deque(maxlen=50_000))
    endpoints: dict[str, str] = field(default_factory=dict)
    """Names of servers by the ids of their endpoints."""
    restarts: int = 0
    daemon: Child | None = None
    may_start: asyncio.Event = field(default_factory=asyncio.Event)
    source: str = ""
    """The film, once it was added."""

    @property
    def namespace(self) -> Namespace:
        """Where the engine is to be."""
        return Namespace(NAMESPACE)

    @property
    def state(self) -> State:
        return self.states[-1] if self.states else State(time.monotonic(), "unreachable", None)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        lab: Lab,
        *,
        environment: Mapping[str, str] | None = None,
        port_forwarding: bool = False,
        servers: Sequence[str] | None = None,
    ) -> AsyncIterator["Product"]:
        """Start the daemon, give it endpoints and the film, for the length of the block.

        Args:
            lab: where.
            environment: to add to the daemon's, for mutations.
            port_forwarding: whether the servers' files promise NAT-PMP.
            servers: of which servers it gets the files; by default of all.

        Raises:
            ExceptionGroup: what the block raised; `LabError` when the product does not come up.
        """
        folder = lab.folder / "product"
        folder.mkdir()
        own = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_INHERITED)}
        product = cls(lab=lab, folder=folder, environment=own | dict(environment or {}))
        product._write_settings()
        product.may_start.set()
        async with asyncio.TaskGroup() as group:
            supervising = group.create_task(product._supervise(), name="supervisor")
            polling = group.create_task(product._poll(), name="states")
            try:
                await product._answers()
                await product._import(servers or list(lab.servers), port_forwarding=port_forwarding)
                product.source = await product.add(lab.film.metainfo)
                yield product
            finally:
                polling.cancel()
                supervising.cancel()

    # --- the process ---

    def _write_settings(self) -> None:
        data = self.folder / "data"
        user = pwd.getpwnam(USER)
        for folder in (data, self.folder / "run"):
            folder.mkdir()
            os.chown(folder, user.pw_uid, user.pw_gid)
        resolvers = json.dumps(["1.1.1.1", "9.9.9.9", "8.8.8.8"])
        (self.folder / "miauflixd.toml").write_text(
            f"""\
[web]
port = 0
control_socket = {json.dumps(str(self.socket))}

[service]
user = "{USER}"

[vpn]
mode = "required"
namespace = "{NAMESPACE}"
resolvers = {resolvers}

[storage]
path = {json.dumps(str(data))}

{SETTINGS}
[log]
level = "{os.environ.get("MIAUFLIX_LAB_LOG", "info")}"
"""
        )

    @property
    def socket(self) -> Path:
        return self.folder / "run" / "control.sock"

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    async def _supervise(self) -> None:
        """Run the daemon as systemd would, until cancelled."""
        try:
            while True:
                await self.may_start.wait()
                self.daemon = await Child.start(
                    self.lab.topology.host.inside(
                        *(sys.executable, "-m", "miauflixd"),
                        *("--config", str(self.folder / "miauflixd.toml"), "run"),
                    ),
                    log=self.log,
                    environment=self.environment,
                )
                status = await self.daemon.wait()
                if status == 78:
                    raise LabError(f"The daemon refuses to start:\n{self._last_words()}")
                self.restarts += 1
                await asyncio.sleep(_RESTART_AFTER)
        finally:
            if self.daemon is not None:
                await self.daemon.stop()

    @asynccontextmanager
    async def dead(self) -> AsyncIterator[None]:
        """Kill all of it, and start it again only after the block."""
        self.may_start.clear()
        try:
            everybody = [*self.pids("house"), *self.pids("keeper"), *self.pids("engine")]
            kill(everybody, signal.SIGKILL)
            await ended(everybody, within=5.0)
            yield
        finally:
            self.may_start.set()

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def pids(self, part: str) -> list[int]:
        """Return the processes of a part: `house`, `keeper`, `engine`, `wireguard`, `resolver`."""
        found = []
        for pid, words in processes().items():
            line = " ".join(words)
            match part:
                case "house":
                    chosen = words[-1] == "run" and "-m miauflixd " in line
                case "keeper" | "engine":
                    chosen = f"-m miauflixd.{part}" in line and "python" in words[0]
                case "wireguard":
                    chosen = "wireguard-go" in words[0] and words[-1].startswith(NAMESPACE)
                case _:
                    chosen = "dnsmasq" in words[0]
            if chosen:
                found.append(pid)
        return sorted(found)

    # --- the API ---

    async def request(
        self, method: str, path: str, *, within: float = _ANSWERS_WITHIN, **arguments: Any
    ) -> Any:
        """Ask the API and return the decoded answer.

        Raises:
            LabError: it refuses.
            OSError, aiohttp.ClientError, TimeoutError: it does not answer.
        """
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self.socket)),
                timeout=aiohttp.ClientTimeout(total=within),
            ) as client,
            client.request(method, f"http://localhost{path}", **arguments) as response,
        ):
            body = await response.read()
            if response.status >= 400:
                raise LabError(f"{method} {path}: {response.status} {body[:500].decode()}")
            return json.loads(body) if body else None

    async def _answers(self) -> None:
        deadline = time.monotonic() + _UP_WITHIN
        while self.state.name == "unreachable":
            if time.monotonic() > deadline:
                raise LabError(f"The daemon's API does not answer:\n{self._last_words()}")
            await asyncio.sleep(_POLL)

    async def _import(self, servers: Sequence[str], *, port_forwarding: bool) -> None:
        files = [
            {
                "name": f"{name}.conf",
                "text": self.lab.servers[name].conf(
                    self.lab.client, port_forwarding=port_forwarding
                ),
            }
            for name in servers
        ]
        await self.request("POST", "/api/vpn/endpoints", json={"conf": files}, within=10.0)
        hosts = {server.address: server.name for server in self.lab.servers.values()}
        listed = await self.request("GET", "/api/vpn/endpoints")
        for item in dictionaries(listed):
            if item.get("host") in hosts and "id" in item:
                self.endpoints[item["id"]] = hosts[item["host"]]

    async def add(self, torrent: bytes | str) -> str:
        """Add a `.torrent` file or a magnet; return the source's id."""
        if isinstance(torrent, str):
            added = await self.request("POST", "/api/torrents", json={"magnet": torrent})
        else:
            added = await self.request(
                "POST",
                "/api/torrents",
                data=torrent,
                headers={"Content-Type": "application/x-bittorrent"},
            )
        source: str = added["source_id"]
        return source

    async def switch(self, server: str | None = None) -> None:
        """Ask for a server, or for the next best."""
        ids = {name: endpoint for endpoint, name in self.endpoints.items()}
        body = {} if server is None else {"endpoint_id": ids[server]}
        await self.request("POST", "/api/vpn/switch", json=body)

    async def _poll(self) -> None:
        while True:
            self.states.append(await self._look())
            await asyncio.sleep(_POLL)

    async def _look(self) -> State:
        try:
            said = await self.request("GET", "/api/vpn")
        except (OSError, aiohttp.ClientError, TimeoutError, LabError) as error:
            return State(time.monotonic(), "unreachable", None, reason=str(error))
        endpoint, standby = said.get("endpoint") or {}, said.get("standby") or {}
        return State(
            time.monotonic(),
            said["state"],
            self.endpoints.get(endpoint.get("id", "")),
            bool(standby.get("answers")),
            said.get("reason", ""),
            said.get("port"),
        )

    def since(self, moment: float) -> Sequence[State]:
        """Return what it said after a moment."""
        return [state for state in self.states if state.at >= moment]

    def switches(self, since: float) -> Sequence[str]:
        """Return the servers that it went to after a moment, in order."""
        before = [s.endpoint for s in self.states if s.at < since and s.endpoint]
        names = before[-1:] + [s.endpoint for s in self.since(since) if s.endpoint]
        return [b for a, b in itertools.pairwise(names) if a != b]

    async def reaches(self, *names: str, within: float) -> float | None:
        """Wait for one of some states; return when; `None`: not in time."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if self.state.name in names:
                return self.state.at
            await asyncio.sleep(_POLL / 4)
        return None


def dictionaries(value: Any) -> list[dict[str, Any]]:
    """Return every object in some JSON, however deep."""
    if isinstance(value, dict):
        return [value, *(found for inner in value.values() for found in dictionaries(inner))]
    if isinstance(value, list):
        return [found for inner in value for found in dictionaries(inner)]
    return []


class Player:
    """Somebody who watches: reads the film at its rate, some seconds ahead, and counts stalls."""

    RATE = 200_000
    """Bytes per second."""
    AHEAD = 4.0
    """Seconds that it reads ahead at most."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._position = 0
        self.arrivals: deque[tuple[float, int]] = deque(maxlen=200_000)
        """When bytes came, and how many."""
        self.errors: list[str] = []

    async def run(self) -> None:
        """Watch until cancelled, from the start again at the end."""
        while True:
            try:
                await self._watch()
            except (OSError, aiohttp.ClientError, TimeoutError, LabError) as error:
                self.errors.append(str(error) or type(error).__name__)
                await asyncio.sleep(0.1)

    async def _watch(self) -> None:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self._product.socket)),
                timeout=aiohttp.ClientTimeout(total=None, sock_read=30.0),
                read_bufsize=2**16,
            ) as client,
            client.get(
                f"http://localhost/api/stream/{self._product.source}",
                headers={"Range": f"bytes={self._position}-"},
            ) as response,
        ):
            if response.status != 206:
                raise LabError(f"{response.status} {(await response.read())[:200]!r}")
            played, begun = 0.0, None
            async for chunk in response.content.iter_any():
                now = time.monotonic()
                begun = begun if begun is not None else now
                self._position += len(chunk)
                self.arrivals.append((now, len(chunk)))
                played += len(chunk)
                early = begun + played / self.RATE - self.AHEAD - now
                if early < -self.AHEAD:  # it stalled: what was lost is not caught up
                    begun = now - played / self.RATE
                await asyncio.sleep(max(0.0, early))
        if self._position >= self._product.lab.film.size:
            self._position = 0

    def stall(self, since: float, until: float | None = None) -> float:
        """Return the seconds for which a picture stood still, with what was read ahead."""
        end = time.monotonic() if until is None else until
        played_until, stalled = since, 0.0
        # Whoever watches has read ahead already when it begins.
        buffered = sum(size for at, size in self.arrivals if since - self.AHEAD < at < since)
        played_until = since + min(self.AHEAD, buffered / self.RATE)
        for at, size in self.arrivals:
            if since <= at <= end:
                stalled += max(0.0, at - played_until)
                played_until = max(played_until, at) + size / self.RATE
        return stalled + max(0.0, end - played_until)

    async def opens(self, *, within: float) -> float | None:
        """Ask anew for what is to be played next until a byte comes; return when.

        What comes to the request before may have been on its way for a second.
        """
        deadline = time.monotonic() + within
        wanted = {"Range": f"bytes={self._position}-"}
        path = f"http://localhost/api/stream/{self._product.source}"
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, aiohttp.ClientError, TimeoutError):
                async with (
                    aiohttp.ClientSession(
                        connector=aiohttp.UnixConnector(str(self._product.socket)),
                        timeout=aiohttp.ClientTimeout(total=within),
                    ) as client,
                    client.get(path, headers=wanted) as response,
                ):
                    if response.status == 206 and await response.content.read(1):
                        return time.monotonic()
            await asyncio.sleep(0.02)
        return None

    async def next_byte(self, after: float, *, within: float) -> float | None:
        """Wait for a byte that came after a moment; return when; `None`: not in time."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if self.arrivals and self.arrivals[-1][0] > after:
                return next(at for at, _ in self.arrivals if at > after)
            await asyncio.sleep(0.02)
        return None


async def ended(pids: Sequence[int], *, within: float) -> bool:
    """Wait until processes are gone."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        await asyncio.sleep(0.01)
    return False


def kill(pids: Sequence[int], number: int) -> None:
    """Send processes of the product a signal."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
