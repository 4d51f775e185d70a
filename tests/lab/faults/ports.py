"""A port through the provider, by NAT-PMP: given, refused, changed, silent."""

import asyncio

from tests.lab.trial import Fault, Trial


async def port_is(trial: Trial, wanted: int | None, *, within: float) -> bool:
    """Wait until the product says that this port is its."""
    deadline = asyncio.get_running_loop().time() + within
    while asyncio.get_running_loop().time() < deadline:
        if trial.product.state.port == wanted:
            return True
        await asyncio.sleep(0.05)
    return False


class PortGiven(Fault):
    id, title, smoke = "F36", "the provider gives a port, another one at each server", True

    async def run(self, trial: Trial) -> None:
        ports = trial.lab.ports
        given = ports[trial.active].external
        trial.check(await port_is(trial, given, within=5.0), "the port is not the server's")
        other = next(name for name in trial.lab.servers if name != trial.active)
        await trial.product.switch(other)
        trial.began = asyncio.get_running_loop().time()
        fits = await port_is(trial, ports[other].external, within=5.0)
        trial.check(fits, "after a switch the port is not the new server's")
        trial.measure("applied", asyncio.get_running_loop().time() - trial.began, at_most=1.5)


class PortRefused(Fault):
    id, title = "F36b", "the new server refuses to give a port"

    async def run(self, trial: Trial) -> None:
        other = next(name for name in trial.lab.servers if name != trial.active)
        for result in range(1, 6):
            trial.lab.ports[other].result = result
        await trial.product.switch(other)
        none = await port_is(trial, None, within=5.0)
        trial.check(none, "it says that the earlier server's port is its")

    async def undo(self, trial: Trial) -> None:
        for gateway in trial.lab.ports.values():
            gateway.result = 0


class GatewayRestarted(Fault):
    id, title = "F36c", "the gateway restarts, and gives another port"

    async def run(self, trial: Trial) -> None:
        gateway = trial.lab.ports[trial.active]
        gateway.restart(external=gateway.external + 1000)
        # It is only heard of at the next renewal, half of the lease away.
        given = await port_is(trial, gateway.external, within=40.0)
        trial.check(given, "the new port was not taken")


class GatewaySilent(Fault):
    id, title = "F36d", "the gateway falls silent while another server takes over"

    async def run(self, trial: Trial) -> None:
        other = next(name for name in trial.lab.servers if name != trial.active)
        trial.lab.ports[other].silent = True
        await trial.product.switch(other)
        none = await port_is(trial, None, within=5.0)
        trial.check(none, "it keeps the earlier server's port")

    async def undo(self, trial: Trial) -> None:
        for gateway in trial.lab.ports.values():
            gateway.silent = False


class PortAfterFailover(Fault):
    id, title = "F37", "the server dies with its port"

    async def run(self, trial: Trial) -> None:
        before = trial.lab.ports[trial.active].external
        await trial.lab.topology.drop(trial.active)
        trial.measure("outage", await trial.outage(within=12.0), at_most=3.1)
        await asyncio.sleep(1.5)
        state = trial.product.state
        given = trial.lab.ports[state.endpoint].external if state.endpoint else None
        trial.check(state.port == given, f"the port is {state.port}, and {given} was given")
        wrong = [s for s in trial.product.since(trial.began) if s.port == before]
        late = [s for s in wrong if s.endpoint != trial.active]
        trial.check(not late, "the dead server's port was kept after the switch")


FAULTS = (PortGiven, PortRefused, PortAfterFailover, GatewayRestarted, GatewaySilent)
