"""What the operating system says about a process, and small statistics."""

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Summary:
    """Several runs of one measurement."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def p95(self) -> float:
        """The nearest rank; of fewer than twenty runs that is the worst."""
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, -(-95 * len(ordered) // 100) - 1)]

    def to_json(self) -> dict[str, object]:
        rounded = [round(value, 4) for value in self.values]
        return {
            "n": len(self.values),
            "min": min(rounded),
            "median": round(self.median, 4),
            "p95": round(self.p95, 4),
            "max": max(rounded),
            "values": rounded,
        }


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in children.read_text().split()]
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return what processes have used, in user and system mode, proc(5)."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def peak_memory(pids: Sequence[int]) -> int:
    """Return the bytes that processes had in memory at most, together: the sum of their peaks."""
    return sum(_status(pid, "VmHWM") for pid in pids)


def memory(pids: Sequence[int]) -> int:
    """Return the bytes that processes have in memory now, together."""
    return sum(_status(pid, "VmRSS") for pid in pids)


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)
