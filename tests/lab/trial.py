"""One fault after another against the running product, with all witnesses looking on."""

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.lab.auditor import Auditor
from tests.lab.exits import FirstByte
from tests.lab.heartbeat import Heartbeat
from tests.lab.lab import Lab
from tests.lab.machine import LabError
from tests.lab.product import Player, Product, kill
from tests.lab.topology import ECHO

_SETTLES_WITHIN = 30.0
_CALM = 1.5
"""Seconds without an outage after which all is well."""


class NotWellError(LabError):
    """Something is broken before the next fault has even begun."""


@dataclass(kw_only=True)
class Outcome:
    """What became of one fault."""

    fault: str
    title: str
    figures: dict[str, float] = field(default_factory=dict)
    """Seconds, or counts, by name."""
    bounds: dict[str, float] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    """What should not have happened, as sentences; none: it passed."""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.complaints


class Trial:
    """What a fault acts on, and how it says what it saw."""

    def __init__(
        self, lab: Lab, product: Product, *, heartbeat: Heartbeat, player: Player, auditor: Auditor
    ) -> None:
        self.lab = lab
        self.product = product
        self.heartbeat = heartbeat
        self.player = player
        self.auditor = auditor
        self.random = random.Random(0)
        self.outcome = Outcome(fault="", title="")
        self.began = time.monotonic()
        self.active = ""
        """The server in use when the fault began."""
        self.patience = 1.0
        """What bounds are multiplied by; leaks and what never comes are not bounds."""
        self.allowed: Sequence[str] = ()
        """Beginnings of the auditor's complaints that the fault itself is the reason of."""

    # --- saying what was seen ---

    def measure(self, name: str, value: float | None, *, at_most: float | None = None) -> None:
        """Note a figure, and complain when it is missing or too large."""
        if value is None:
            self.complain(f"{name}: never")
            return
        self.outcome.figures[name] = round(value, 3)
        if at_most is not None:
            self.outcome.bounds[name] = at_most
            if value > at_most * self.patience:
                self.complain(f"{name}: {value:.3f}, at most {at_most:g}")

    def complain(self, sentence: str) -> None:
        self.outcome.complaints.append(sentence)

    def check(self, true: bool, sentence: str) -> None:  # noqa: FBT001 -- reads as an assertion
        """Complain unless something is so."""
        if not true:
            self.complain(sentence)

    # --- waiting and looking ---

    async def settle(self) -> None:
        """Wait until all is well: tunnel up, standby warm, echoes and film coming.

        Raises:
            LabError: it does not become well.
        """
        deadline = time.monotonic() + _SETTLES_WITHIN
        since = time.monotonic()
        while time.monotonic() < deadline:
            state = self.product.state
            well = state.name == "up" and state.standby_answers and self.heartbeat.is_alive()
            if not well:
                since = time.monotonic()
            elif time.monotonic() - since >= _CALM and await self.player.next_byte(
                since, within=_CALM
            ):
                return
            await asyncio.sleep(0.05)
        state = self.product.state
        raise NotWellError(
            f"The product did not become well: {state.name}, {state.reason!r}, "
            f"standby {'answers' if state.standby_answers else 'does not answer'}, "
            f"echoes {'come' if self.heartbeat.is_alive() else 'do not come'}, "
            f"the player says {self.player.errors[-1:]}"
        )

    def begin(self) -> None:
        """Say that what is done from now on is the fault."""
        self.began = time.monotonic()
        self.active = self.product.state.endpoint or ""

    def others(self) -> FirstByte:
        """Watch for film through another server than the one in use."""
        return FirstByte(
            space for name, space in self.lab.topology.servers.items() if name != self.active
        )

    async def back(self, *, within: float, after: float | None = None) -> float | None:
        """Wait for an echo after a moment (by default the beginning); return when it came."""
        return await self.heartbeat.returns(self.began if after is None else after, within=within)

    async def outage(self, *, within: float) -> float | None:
        """Wait until an outage has begun and ended; return its length; `None`: it did not end."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            ended = [
                outage
                for outage in self.heartbeat.outages(self.began)
                if not self.heartbeat.answers or outage.ended <= self.heartbeat.answers[-1]
            ]
            if ended and self.heartbeat.is_alive():
                return max(outage.length for outage in ended)
        return None

    def expect_no_switch(self) -> None:
        """Complain about every server that it went to since the beginning."""
        went = self.product.switches(self.began)
        self.check(not went, f"it went from {self.active} to {', '.join(went)}")

    async def expect_one_switch(self) -> None:
        await asyncio.sleep(0.5)  # the API is asked ten times a second
        went = self.product.switches(self.began)
        self.check(len(went) == 1, f"it went from {self.active} to {', '.join(went) or 'no other'}")

    def kill(self, part: str, number: int = signal.SIGKILL) -> list[int]:
        """Send a part of the product a signal; return whom that concerned."""
        pids = self.product.pids(part)
        self.check(bool(pids), f"there is no {part} to kill")
        kill(pids, number)
        return pids


class Fault:
    """Something that goes wrong, and what is to become of it."""

    id = ""
    title = ""
    smoke = False
    """Whether it is part of the quick set."""

    async def run(self, trial: Trial) -> None:
        """Inject it, and say what was expected and was not."""
        raise NotImplementedError

    async def undo(self, trial: Trial) -> None:
        """Put right what the lab's own reset does not."""


@asynccontextmanager
async def trial(lab: Lab, product: Product, *, seed: int) -> AsyncIterator[Trial]:
    """Watch a product for the length of the block."""
    heartbeat = Heartbeat(product.namespace, target=ECHO, magic=lab.canaries.magic)
    player, auditor = Player(product), Auditor(product)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(heartbeat.run(), name="heartbeat"),
            group.create_task(player.run(), name="player"),
            group.create_task(auditor.run(), name="auditor"),
        ]
        try:
            made = Trial(lab, product, heartbeat=heartbeat, player=player, auditor=auditor)
            made.random.seed(seed)
            yield made
        finally:
            for task in tasks:
                task.cancel()


async def attempt(trial: Trial, fault: Fault) -> Outcome:
    """Let one fault happen to a product that is well, and judge."""
    started = time.monotonic()
    trial.outcome = Outcome(fault=fault.id, title=fault.title)
    trial.allowed = ()
    trial.began = started
    try:
        await trial.settle()
        trial.begin()
        await fault.run(trial)
        trial.measure("stall", trial.player.stall(trial.began))
    except NotWellError as error:
        trial.complain(str(error))
        trial.complain(daemon_log(trial.product, 12))
        # What is wrong came of the fault before. This one is not run; the next finds a new start.
        async with trial.product.dead():
            pass
    except (LabError, OSError, aiohttp.ClientError) as error:
        trial.complain(str(error) or type(error).__name__)
    finally:
        with contextlib.suppress(OSError, LabError, aiohttp.ClientError):
            await fault.undo(trial)
        await trial.lab.reset()
    await asyncio.sleep(0.3)  # what is still under way arrives
    _judge(trial, started)
    trial.outcome.seconds = round(time.monotonic() - started, 1)
    return trial.outcome


def _judge(trial: Trial, since: float) -> None:
    """Hear all witnesses."""
    leaks = trial.lab.capture.since(since)
    for finding in leaks[:5]:
        trial.complain(f"LEAK {finding.kind}: {finding.detail}")
    trial.outcome.figures["leaks"] = len(leaks)
    for line in trial.lab.heard_at_home(since)[:5]:
        trial.complain(f"LEAK {line}")
    for what in trial.auditor.since(since):
        if not what.startswith(tuple(trial.allowed)):
            trial.complain(f"AUDIT {what}")
    if trial.lab.capture.lost:
        trial.complain(f"the witness missed {trial.lab.capture.lost} frames")


def daemon_log(product: Product, lines: int = 40) -> str:
    """Return the end of what the daemon wrote."""
    text = Path(product.log).read_text(errors="replace")
    return "\n".join(text.splitlines()[-lines:])
