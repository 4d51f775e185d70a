"""Nothing happens at all: what the watching costs, and that nobody imagines anything."""

import asyncio
import os
from pathlib import Path

from tests.lab.trial import Fault, Trial

_WATCHED = 20.0
"""Seconds."""


class Calm(Fault):
    id, title = "F0", "nothing happens, and a film is playing"

    async def run(self, trial: Trial) -> None:
        pids = trial.product.pids("keeper")
        before = sum(map(cpu_seconds, pids))
        await asyncio.sleep(_WATCHED)
        spent = sum(map(cpu_seconds, pids)) - before
        trial.measure("keeper's share of a core", spent / _WATCHED, at_most=0.003)
        trial.check(not trial.product.switches(trial.began), "it switched for no reason")


def cpu_seconds(pid: int) -> float:
    """Return how much processor time a process and its threads have had, proc_pid_stat(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


FAULTS = (Calm,)
