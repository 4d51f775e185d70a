"""The witness on the uplink: every frame between the house and its router."""

import asyncio
import ctypes
import socket
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.lab.namespaces import Namespace
from tests.lab.packets import Finding, Rules, filter_program, judge

_ETH_P_ALL = 0x0003
_SO_ATTACH_FILTER = 26
_PACKET_OUTGOING = 4
_ROOM = 8 * 2**20
_SOL_PACKET, _PACKET_STATISTICS = 263, 6


@dataclass(frozen=True, slots=True)
class Sighting:
    """A finding, and when it was made."""

    at: float
    finding: Finding


class Capture:
    """Looks at what passes some interfaces, and keeps what should not have."""

    def __init__(self, namespace: Namespace, interfaces: Iterable[str], *, rules: Rules) -> None:
        """Begin to look; the interfaces are the router's ends of cables to the house."""
        self._rules = rules
        self.sightings: list[Sighting] = []
        self.frames = 0
        """How many were looked at; WireGuard's to its servers are not among them."""
        self.lost = 0
        self._sockets = []
        for interface in interfaces:
            made = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            attach_filter(made, filter_program(rules))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
            made.bind((interface, _ETH_P_ALL))
            asyncio.get_running_loop().add_reader(made, self._look, made)
            self._sockets.append(made)

    def close(self) -> None:
        for made in self._sockets:
            asyncio.get_running_loop().remove_reader(made)
            made.close()

    def since(self, moment: float) -> Sequence[Finding]:
        """Return what was found since then, noise not included."""
        for made in self._sockets:
            self._look(made)
        return [s.finding for s in self.sightings if s.at >= moment and not s.finding.noise]

    def tally(self, moment: float = 0.0) -> Counter[str]:
        """Return how many of each kind were found since then, noise included."""
        return Counter(s.finding.kind for s in self.sightings if s.at >= moment)

    def _look(self, source: socket.socket) -> None:
        try:
            while True:
                frame, (_, _, direction, *_) = source.recvfrom(65536)
                self.frames += 1
                finding = judge(frame, outgoing=direction != _PACKET_OUTGOING, rules=self._rules)
                if finding is not None:
                    self.sightings.append(Sighting(time.monotonic(), finding))
        except BlockingIOError:
            pass
        except OSError:  # the interface is down, or gone: nothing passes it
            return
        statistics = source.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self.lost += int.from_bytes(statistics[4:8], "little")


def attach_filter(target: socket.socket, program: bytes) -> None:
    """Let the kernel keep from a packet socket what a BPF program drops."""
    buffer = ctypes.create_string_buffer(program)
    # struct sock_fprog: a length, padding, a pointer.
    fprog = (len(program) // 8).to_bytes(8, "little") + ctypes.addressof(buffer).to_bytes(
        8, "little"
    )
    target.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
