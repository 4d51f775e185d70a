"""Looks at the product from outside: who is where, with which powers, and who listens."""

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.product import NAMESPACE, Product
from tests.lab.resolvers import SOCKETS

_EVERY = 0.5
_STARTS_WITHIN = 2.0
"""Seconds that the house may take to give its privileges up, on a machine that is busy."""
_LISTEN = "0A"
_TWICE = 2
"""Looks in a row after which something is so: one may fall into the middle of a start."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that should not be so."""

    at: float
    what: str


class Auditor:
    """Audits every half second."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._seen: dict[str, int] = {}
        self.complaints: list[Complaint] = []
        self.audits = 0

    async def run(self) -> None:
        """Audit until cancelled."""
        while True:
            found = await asyncio.to_thread(self._audit)
            self._seen = {what: self._seen.get(what, 0) + 1 for what in found}
            for what, times in self._seen.items():
                if times == _TWICE:
                    self.complaints.append(Complaint(time.monotonic(), what))
            self.audits += 1
            await asyncio.sleep(_EVERY)

    def since(self, moment: float) -> Sequence[str]:
        return list(dict.fromkeys(c.what for c in self.complaints if c.at >= moment))

    def _audit(self) -> Sequence[str]:
        found: list[str] = []
        inside = self._product.namespace.inode
        outside = self._product.lab.topology.host.inode
        for pid in self._product.pids("engine"):
            with contextlib.suppress(OSError):
                found += _engine(pid, inside=inside, outside=outside)
        for pid in self._product.pids("house"):
            with contextlib.suppress(OSError):
                # It needs what it has until the keeper is started.
                if _age(pid) > _STARTS_WITHIN:
                    found += _powerless(pid, "house")
        found += self._links()
        found += _listeners(self._product.pids("house"))
        return found

    def _links(self) -> Sequence[str]:
        """Return links in the namespace that are neither its loopback nor the tunnel."""
        inside = self._product.pids("engine")
        if not inside:
            return []
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{inside[0]}/net/dev").read_text().splitlines()[2:]
            names = {line.partition(":")[0].strip() for line in lines}
            strangers = {n for n in names if n != "lo" and not n.startswith(NAMESPACE[:6])}
            return [f"link {name} in the namespace" for name in sorted(strangers)]
        return []


def _engine(pid: int, *, inside: int | None, outside: int | None) -> Sequence[str]:
    found = list(_powerless(pid, "engine"))
    for task in Path(f"/proc/{pid}/task").iterdir():
        inode = (task / "ns" / "net").stat().st_ino
        # Without its name the namespace is still there, for those who are in it.
        if inode == outside or inside not in {inode, None}:
            found.append("a thread of the engine is outside of the namespace")
    root = f"/proc/{pid}/root"
    found += [f"the engine sees {path}" for path in SOCKETS if Path(f"{root}{path}").exists()]
    resolv = Path(f"{root}/etc/resolv.conf").read_text()
    if "127.0.0.1" not in resolv:
        found.append("the engine's resolv.conf names somebody else")
    return found


def _age(pid: int) -> float:
    """Return the seconds since a process was started."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def _powerless(pid: int, part: str) -> Sequence[str]:
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    found = []
    if int(status["CapEff"], 16) or int(status["CapPrm"], 16):
        found.append(f"the {part} has capabilities")
    if "0" in status["Uid"].split():
        found.append(f"the {part} is root")
    if status["NoNewPrivs"].strip() != "1":
        found.append(f"the {part} may get new privileges")
    return found


def _listeners(pids: Sequence[int]) -> Sequence[str]:
    """Return TCP sockets that listen in the house's network on more than its loopback."""
    if not pids:
        return []
    found = []
    with contextlib.suppress(OSError):
        for name in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pids[0]}/net/{name}").read_text().splitlines()[1:]:
                words = line.split()
                address, port = words[1].split(":")
                if words[3] == _LISTEN and address not in {"0100007F", "0" * 24 + "01000000"}:
                    found.append(f"something listens on port {int(port, 16)} of the house")
    return found
