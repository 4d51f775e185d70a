"""Results, as JSON and as a table."""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import libtorrent as lt

from tests.lab.control import Control
from tests.lab.trial import Outcome


def summary(values: Sequence[float]) -> Mapping[str, float]:
    """Return n, min, p50, p95, p99 and max; percentiles by nearest rank."""
    ordered = sorted(values)

    def rank(percent: int) -> float:
        return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]

    return {
        "n": len(ordered),
        "min": ordered[0],
        "p50": round(statistics.median(ordered), 3),
        "p95": rank(95),
        "p99": rank(99),
        "max": ordered[-1],
    }


def figures(outcomes: Sequence[Outcome]) -> Mapping[str, Mapping[str, Mapping[str, float]]]:
    """Return each fault's figures over all of its runs."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for outcome in outcomes:
        for name, value in outcome.figures.items():
            values[outcome.fault][name].append(value)
    return {
        fault: {name: summary(found) for name, found in named.items()}
        for fault, named in values.items()
    }


def control_document(control: Control) -> Mapping[str, Any]:
    """Return everything about a control run, for a file."""
    return {
        "leaks": control.leaks,
        "kinds": dict(control.kinds),
        "names": control.names,
        "downloaded": control.downloaded,
    }


def document(
    outcomes: Sequence[Outcome], *, seed: int, control: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """Return everything about a run, for a file."""
    return {
        "seed": seed,
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "versions": {
            "python": platform.python_version(),
            "libtorrent": lt.version,
            "wireguard-go": _version("wireguard-go", "--version"),
            "nft": _version("nft", "--version"),
        },
        "control": control,
        "passed": all(outcome.passed for outcome in outcomes),
        "figures": figures(outcomes),
        "outcomes": [
            {
                "fault": outcome.fault,
                "title": outcome.title,
                "passed": outcome.passed,
                "seconds": outcome.seconds,
                "figures": outcome.figures,
                "bounds": outcome.bounds,
                "complaints": outcome.complaints,
            }
            for outcome in outcomes
        ],
    }


def _version(*command: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (ran.stdout or ran.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


def write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def print_outcome(outcome: Outcome) -> None:
    """Print one fault's line, and what was wrong."""
    shown = "  ".join(
        f"{name} {value:g}" + (f"/{outcome.bounds[name]:g}" if name in outcome.bounds else "")
        for name, value in outcome.figures.items()
    )
    mark = "ok    " if outcome.passed else "FAILED"
    print(f"{mark} {outcome.fault:5} {outcome.title:62} {outcome.seconds:5.1f} s  {shown}")
    for complaint in outcome.complaints:
        print(f"           {complaint}")
    sys.stdout.flush()


def print_figures(outcomes: Sequence[Outcome]) -> None:
    """Print a table of the figures of faults that ran more than once."""
    print(f"\n{'fault':6} {'figure':22} {'n':>4} {'min':>8} {'p50':>8} {'p95':>8} {'p99':>8} max")
    for fault, named in figures(outcomes).items():
        for name, found in named.items():
            numbers = " ".join(f"{found[key]:8.3f}" for key in ("min", "p50", "p95", "p99", "max"))
            print(f"{fault:6} {name:22} {found['n']:4.0f} {numbers}")


def print_control(control: Control) -> None:
    """Print what a client that is bound classically leaked."""
    print(
        f"control: {control.leaks} packets in the open, {control.downloaded / 1e6:.1f} MB of film"
    )
    for kind, count in control.kinds.most_common():
        print(f"    {count:5} {kind}")
    for line in control.heard:
        print(f"          {line}")
    sys.stdout.flush()
