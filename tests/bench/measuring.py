"""What the operating system says about a process, small statistics, and how both are told."""

import json
import os
import platform
import sqlite3
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

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
        return self._rank(95)

    @property
    def p99(self) -> float:
        """The nearest rank; of fewer than a hundred runs that is the worst."""
        return self._rank(99)

    def _rank(self, percent: int) -> float:
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, -(-percent * len(ordered) // 100) - 1)]

    def to_json(self) -> dict[str, object]:
        rounded = [round(value, 4) for value in self.values]
        return {
            "n": len(self.values),
            "min": min(rounded),
            "median": round(self.median, 4),
            "p95": round(self.p95, 4),
            "p99": round(self.p99, 4),
            "max": max(rounded),
            "values": rounded,
        }


@dataclass(frozen=True)
class Target:
    """What the table compares a figure with."""

    name: str
    unit: str
    bound: float | None = None
    at_least: bool = False
    at_p95: bool = False
    """Whether it is the p95 that must keep the bound, and not the median."""


class Results:
    """What was measured so far."""

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self._targets = targets
        self._values: defaultdict[str, list[float]] = defaultdict(list)

    def note(self, key: str, value: float) -> None:
        self._values[key].append(value)
        target = self._targets[key]
        print(f"  {target.name}: {value:.3f} {target.unit}", file=sys.stderr)

    def summaries(self) -> dict[str, Summary]:
        return {key: Summary(tuple(values)) for key, values in self._values.items()}


def table(
    targets: Mapping[str, Target], summaries: Mapping[str, Summary], *, bounds: bool = True
) -> str:
    """Return the figures as a Markdown table, with the bounds that they must keep."""
    lines = [
        "| | median | p95 | p99 | bound | |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for key, target in targets.items():
        if (summary := summaries.get(key)) is None:
            continue
        verdict, bound = "", ""
        if bounds and target.bound is not None:
            sign = ">=" if target.at_least else "<="
            bound = f"{sign} {target.bound:.3g}"
            figure = summary.p95 if target.at_p95 else summary.median
            kept = figure >= target.bound if target.at_least else figure <= target.bound
            bound += " (p95)" if target.at_p95 else ""
            verdict = "ok" if kept else "**missed**"
        lines.append(
            f"| {target.name} ({target.unit or 'ratio'}) | {summary.median:.3f} "
            f"| {summary.p95:.3f} | {summary.p99:.3f} | {bound} | {verdict} |"
        )
    return "\n".join(lines)


def write_report(
    summaries: Mapping[str, Summary], *, to: Path | None, conditions: Mapping[str, object]
) -> None:
    """Write every value as JSON, to a file or to standard output."""
    report = json.dumps(
        {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, "
            f"Python {platform.python_version()}",
            **conditions,
            "results": {key: summary.to_json() for key, summary in summaries.items()},
        },
        indent=2,
    )
    if to is not None:
        to.write_text(report + "\n")
    else:
        print(report)


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Keep what is started in the block, and its children, to one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def commits(database: Path) -> Iterator[list[int]]:
    """Count the transactions that change a database within the block; two in 5 ms are one.

    SQLite itself says so to every other connection, `PRAGMA data_version`.
    """
    found, over = [0], Event()

    def watch() -> None:
        with closing(sqlite3.connect(database)) as connection:
            before = None
            while not over.wait(0.005):
                (now,) = connection.execute("PRAGMA data_version").fetchone()
                found[0] += before is not None and now != before
                before = now

    thread = Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


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


def waited_seconds(pid: int) -> float:
    """Return how long a process's first thread could have run, had its core not been another's."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def peak_memory(pids: Sequence[int]) -> int:
    """Return the bytes that processes had in memory at most, together: the sum of their peaks."""
    return sum(_status(pid, "VmHWM") for pid in pids)


def forget_peak_memory(pids: Sequence[int]) -> None:
    """Let `peak_memory` begin anew with what processes have in memory now, proc(5)."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def memory(pids: Sequence[int]) -> int:
    """Return the bytes that processes have in memory now, together."""
    return sum(_status(pid, "VmRSS") for pid in pids)


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)
