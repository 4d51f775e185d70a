"""Servers that die, lose their memory, answer and lead nowhere, or are far behind a bad line."""

import asyncio
import time

from tests.lab.topology import Direction
from tests.lab.trial import Fault, Trial
from tests.lab.wireguard import Keys

SWITCHED = 3.1
"""Seconds from a black hole to the first byte through another endpoint, at most."""
PLAYS_ON = 6.0
"""Seconds that the picture may stand still during a failover."""


class _BlackHole(Fault):
    direction: Direction = "both"

    async def run(self, trial: Trial) -> None:
        with trial.others() as film:
            await self.inject(trial)
            trial.measure("outage", await trial.outage(within=12.0), at_most=SWITCHED)
            at = await film.wait(6.0)
            trial.measure("first byte", None if at is None else at - trial.began, at_most=SWITCHED)
        await trial.expect_one_switch()
        await asyncio.sleep(1.0)
        trial.measure("stall", trial.player.stall(trial.began), at_most=PLAYS_ON)

    async def inject(self, trial: Trial) -> None:
        await trial.lab.topology.drop(trial.active, self.direction)


class BlackHole(_BlackHole):
    id, title, smoke = "F1", "the way to the server swallows everything", True


class NothingComesBack(_BlackHole):
    id, title, smoke = "F2", "nothing comes back from the server", True
    direction = "from"


class NothingArrives(_BlackHole):
    id, title, smoke = "F3", "nothing arrives at the server", True
    direction = "to"


class _Loss(Fault):
    percent = 10
    seconds = 30.0
    switches = 0

    async def run(self, trial: Trial) -> None:
        for server in trial.lab.servers:
            await trial.lab.topology.drop(server, percent=self.percent)
        await asyncio.sleep(self.seconds)
        went = trial.product.switches(trial.began)
        trial.measure("switches", len(went), at_most=self.switches)


class Loss10(_Loss):
    id, title = "F4a", "10 % are lost each way"


class Loss20(_Loss):
    id, title = "F4b", "20 % are lost each way"
    percent, switches = 20, 1


class Loss40(_Loss):
    id, title = "F4c", "40 % are lost each way"
    percent, switches = 40, 1


class Killed(_BlackHole):
    id, title = "F7", "the server dies and stays dead"

    async def inject(self, trial: Trial) -> None:
        await trial.lab.servers[trial.active].kill()


class LostState(Fault):
    id, title, smoke = "F8", "the server restarts and knows nobody", True

    async def run(self, trial: Trial) -> None:
        await trial.lab.servers[trial.active].start()
        trial.measure("outage", await trial.outage(within=20.0), at_most=2.1)
        await asyncio.sleep(1.0)
        trial.expect_no_switch()


class NoExit(Fault):
    id, title, smoke = "F9", "the server answers and leads nowhere", True

    async def run(self, trial: Trial) -> None:
        await trial.lab.topology.close_exit(trial.active)
        trial.measure("outage", await trial.outage(within=15.0), at_most=11.5)
        await trial.expect_one_switch()


class WrongKey(Fault):
    id, title = "F11", "the key is not the server's any more"

    async def run(self, trial: Trial) -> None:
        strange = await Keys.make()
        server = trial.lab.servers[trial.active]
        await server.kill()
        await server.start()
        await server.use(strange)
        trial.measure("outage", await trial.outage(within=15.0), at_most=4.0)
        await trial.expect_one_switch()


class AllDead(Fault):
    id, title, smoke = "F12", "no server answers", True

    seconds = 8.0

    async def run(self, trial: Trial) -> None:
        for server in trial.lab.servers:
            await trial.lab.topology.drop(server)
        await asyncio.sleep(self.seconds)
        trial.check(trial.product.state.name != "up", "it says that the tunnel is up")
        trial.check(trial.product.state.name != "unreachable", "the API does not answer")
        moment = time.monotonic()
        for server in trial.lab.servers:
            await trial.lab.topology.restore(server)
        at = await trial.back(within=30.0, after=moment)
        trial.measure("back", None if at is None else at - moment, at_most=1.0)


class Saturated(Fault):
    id, title, smoke = "F5", "a line of 2 Mbit/s with 800 ms of queue, full", True

    seconds = 10.0

    async def run(self, trial: Trial) -> None:
        await trial.lab.topology.narrow("2mbit", queue="800ms")
        await asyncio.sleep(self.seconds)
        trial.expect_no_switch()
        names = {state.name for state in trial.product.since(trial.began)}
        trial.check(names <= {"up"}, f"it says {', '.join(sorted(names))}")


class Narrow(Fault):
    id, title = "F6", "a line of 64 kbit/s"

    async def run(self, trial: Trial) -> None:
        await trial.lab.topology.narrow("64kbit", queue="2s")
        await asyncio.sleep(20.0)
        trial.expect_no_switch()


class Stopped(Fault):
    id, title = "F24a", "every server is stopped for a minute, and goes on"

    async def run(self, trial: Trial) -> None:
        for server in trial.lab.servers:
            await trial.lab.topology.drop(server)
        await asyncio.sleep(60.0)
        moment = time.monotonic()
        for server in trial.lab.servers:
            await trial.lab.topology.restore(server)
        at = await trial.back(within=40.0, after=moment)
        trial.measure("back", None if at is None else at - moment, at_most=1.0)


FAULTS = (
    BlackHole,
    NothingComesBack,
    NothingArrives,
    Loss10,
    Loss20,
    Loss40,
    Saturated,
    Narrow,
    Killed,
    LostState,
    NoExit,
    WrongKey,
    AllDead,
    Stopped,
)
