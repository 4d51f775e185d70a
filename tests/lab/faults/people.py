"""What people do, or files that they were given."""

import asyncio
import time

from tests.lab.machine import LabError
from tests.lab.product import dictionaries
from tests.lab.trial import Fault, Trial


class Restless(Fault):
    id, title, smoke = "F41", "somebody picks another server again and again", True

    times, seconds = 30, 6.0

    async def run(self, trial: Trial) -> None:
        names = list(trial.lab.servers)
        last = trial.active
        for _ in range(self.times):
            last = trial.random.choice([name for name in names if name != last])
            await trial.product.switch(last)
            await asyncio.sleep(self.seconds / self.times)
        moment = time.monotonic()
        at = await trial.back(within=10.0, after=moment)
        trial.measure("back", None if at is None else at - moment, at_most=1.5)
        await asyncio.sleep(1.0)
        trial.check(
            trial.product.state.endpoint == last,
            f"it is at {trial.product.state.endpoint}, and {last} was wanted last",
        )


class VeryRestless(Restless):
    id, title, smoke = "F41b", "somebody picks another server 100 times in a minute", False

    times, seconds = 100, 60.0


class Planned(Fault):
    id, title = "F41c", "somebody picks another server"

    async def run(self, trial: Trial) -> None:
        other = next(name for name in trial.lab.servers if name != trial.active)
        await trial.product.switch(other)
        await asyncio.sleep(2.0)
        trial.measure("outage", trial.heartbeat.longest(trial.began), at_most=0.3)
        await trial.expect_one_switch()


class Flipping(Fault):
    id, title = "F42", "the preferred server comes and goes every 10 s"

    async def run(self, trial: Trial) -> None:
        for _ in range(3):
            await trial.lab.topology.drop(trial.active)
            await asyncio.sleep(10.0)
            await trial.lab.topology.restore(trial.active)
            await asyncio.sleep(10.0)
        trial.measure("switches", len(trial.product.switches(trial.began)), at_most=1)


class HostileFile(Fault):
    id, title = "F40", "a WireGuard file full of traps is imported"

    _TRAPS = (
        "[Interface]\nPrivateKey = $(reboot)\nPostUp = touch /run/pwned\n",
        "[Interface]\nAddress = 10.0.0.1\0\n[Peer]\nEndpoint = $(touch /run/pwned):1\n",
        "[Peer]\n" * 1000,
        "﻿[Interface]\r\nJc = 4\r\nH1 = 7\r\n",
    )

    async def run(self, trial: Trial) -> None:
        for number, text in enumerate(self._TRAPS):
            body = {"conf": [{"name": f"trap{number}.conf", "text": text}]}
            try:
                await trial.product.request("POST", "/api/vpn/endpoints", json=body)
            except LabError:
                continue  # refused, as it should be
            trial.complain(f"trap {number} was accepted")
        listing = await trial.lab.topology.host.run("ls", "/run")
        trial.check("pwned" not in listing, "a hook was run")
        trial.expect_no_switch()


class NamedEndpoints(Fault):
    id, title = "F39", "endpoints by name: one is the router at home, one does not exist"

    _NAMES = ("good.vpn.example", "lan.vpn.example", "none.vpn.example")

    async def run(self, trial: Trial) -> None:
        trial.lab.canaries.open_names.update(self._NAMES)
        server = trial.lab.servers["s1"]
        for name in self._NAMES:
            text = server.conf(trial.lab.client).replace(f"{server.address}:", f"{name}:")
            body = {"conf": [{"name": f"{name.partition('.')[0]}.conf", "text": text}]}
            await trial.product.request("POST", "/api/vpn/endpoints", json=body)
        await asyncio.sleep(4.0)
        await trial.lab.topology.drop(trial.active)
        trial.measure("outage", await trial.outage(within=12.0), at_most=3.1)

    async def undo(self, trial: Trial) -> None:
        listed = await trial.product.request("GET", "/api/vpn/endpoints")
        for item in dictionaries(listed):
            if "servers" in item and item["servers"][0]["host"] in self._NAMES:
                await trial.product.request("DELETE", f"/api/vpn/endpoints/{item['id']}")


FAULTS = (Restless, VeryRestless, Planned, Flipping, NamedEndpoints, HostileFile)
