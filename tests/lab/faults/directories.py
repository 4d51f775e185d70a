"""Directories: whom the house asks where titles can be had is nobody's business outside."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.lab import directory, topology
from tests.lab.catalogue import MOVIES, imdb_id
from tests.lab.machine import LabError
from tests.lab.topology import SERVERS
from tests.lab.trial import Fault, Trial

_ASKED = 12.0
"""Seconds for a directory to be asked something: it is left in peace for four between questions."""
_OPENED = 15.0
"""Seconds until it is known what is behind all that a search has found."""
_SWITCHES = 2.0
_LOOK = 0.1

_NO_ANSWER = (OSError, aiohttp.ClientError, TimeoutError, LabError)


class Asked(Fault):
    id, title, smoke = (
        "F50",
        "directories are asked while the tunnel is up, switches, is down, and loses its keeper",
        True,
    )

    def __init__(self) -> None:
        self._added: list[str] = []

    async def run(self, trial: Trial) -> None:
        for space in trial.lab.topology.servers.values():
            await space.run("nft", "-f", "-", text=_COUNT)
        # The key is a mark, too: so one is in every question.
        key = f"{trial.lab.canaries.token}-key"
        for url in directory.urls(trial.lab.canaries):
            wanted = {"kind": "torznab", "title": "Lab", "url": url, "api_key": key}
            made = await trial.product.request(
                "POST", "/api/directories", json=wanted | {"via": "tunnel"}
            )
            self._added.append(made["id"])
        await self._while_up(trial)
        await self._while_it_switches(trial)
        await self._while_down(trial)
        await self._without_keeper(trial)
        came = trial.lab.journal.at(directory.PLACE, since=trial.began)
        trial.measure("questions", len(came))
        await self._expect_to_have_come_through(trial)

    async def undo(self, trial: Trial) -> None:
        for space in trial.lab.topology.servers.values():
            await space.script("nft delete table inet directories")
        for name in self._added:
            await trial.product.request("DELETE", f"/api/directories/{name}")
        for movie in MOVIES:
            path = f"/api/titles/{await _title(trial, movie)}/sources"
            for found in (await trial.product.request("GET", path))["items"]:
                await trial.product.request("DELETE", f"/api/sources/{found['id']}")

    # --- what is done meanwhile -------------------------------------------------------------------

    async def _while_up(self, trial: Trial) -> None:
        await self._expect_all_well(trial)
        titles = [await _title(trial, movie) for movie in MOVIES]
        for title in titles:
            await _search(trial, title)
        began = time.monotonic()
        # It looks into whatever nobody has looked into yet.
        await trial.product.request("POST", "/api/tasks/resync_sources/run")
        for title in titles:
            await _wait_until_opened(trial, title)
        trial.measure("opened", time.monotonic() - began)
        paths = {r.what for r in trial.lab.journal.at(directory.PLACE, since=trial.began)}
        trial.check(directory.FILE in paths, "nobody has fetched the .torrent file")

    async def _while_it_switches(self, trial: Trial) -> None:
        other = next(name for name in SERVERS if name != trial.product.state.endpoint)
        # What becomes of a question that is under way is up to chance.
        async with _asked_meanwhile(trial, *self._added):
            await trial.product.switch(other)
            await asyncio.sleep(_SWITCHES)
        await self._expect_all_well(trial)

    async def _while_down(self, trial: Trial) -> None:
        named, by_address = self._added
        for server in SERVERS:
            await trial.lab.topology.drop(server)
        # One is asked all along: before it is known that there is no way out, and after.
        async with _asked_meanwhile(trial, by_address):
            down = await trial.product.reaches("down", "connecting", within=15.0)
            trial.check(down is not None, "it does not say that the tunnel is down")
            said = await _ask(trial, named)
            trial.check("tunnel_down" in said, f"without a tunnel it says {said!r}")
            standing = await trial.product.request("GET", f"/api/directories/{named}")
            trial.check(standing["state"] == "ok", f"the directory is blamed: {standing['reason']}")
            title = await _title(trial, MOVIES[0])
            found = await _search(trial, title)
            outcomes = {one["directory"]: one["outcome"] for one in found["directories"]}
            trial.check(
                outcomes.get(named) == "no_way_out", f"a search without a tunnel: {outcomes}"
            )
        for server in SERVERS:
            await trial.lab.topology.restore(server)
        trial.check(
            await trial.product.reaches("up", within=20.0) is not None, "it does not come back"
        )
        await _expect_well(trial, named)

    async def _without_keeper(self, trial: Trial) -> None:
        async with _asked_meanwhile(trial, *self._added):
            trial.kill("keeper")
            at = await trial.back(within=15.0, after=time.monotonic() + 0.5)
            trial.check(at is not None, "no echo comes any more")
        await trial.product.reaches("up", within=10.0)
        await _expect_well(trial, self._added[0])

    async def _expect_to_have_come_through(self, trial: Trial) -> None:
        """Complain unless the servers have seen what the uplink was not to see."""
        host = trial.lab.canaries.name(directory.PLACE)
        names = {r.what for name in SERVERS for r in trial.lab.journal.at(f"{name} DNS")}
        trial.check(host in names, "no server's resolver was asked for the directory's name")
        for counter in ("by_name", "by_address"):
            counted = 0
            for space in trial.lab.topology.servers.values():
                listing = await space.run("nft", "list", "counter", "inet", "directories", counter)
                counted += int(listing.split("packets ")[1].split()[0])
            trial.check(counted > 0, f"nothing has gone {counter} through the servers")

    async def _expect_all_well(self, trial: Trial) -> None:
        async with asyncio.TaskGroup() as group:
            for name in self._added:
                group.create_task(_expect_well(trial, name))


_COUNT = f"""
table inet directories {{
    counter by_name {{ }}
    counter by_address {{ }}
    chain forward {{
        type filter hook forward priority -20; policy accept;
        ip daddr {topology.DIRECTORY} counter name by_name
        ip daddr {topology.DIRECTORY_BY_ADDRESS} counter name by_address
    }}
}}
"""


async def _expect_well(trial: Trial, name: str) -> None:
    said = await _ask(trial, name)
    trial.check(said == "ok", f"a directory that is there: {said!r}")


async def _ask(trial: Trial, name: str) -> str:
    """Have a directory asked; return how it is doing, or what was answered instead."""
    try:
        checked = await trial.product.request(
            "POST", f"/api/directories/{name}/check", within=_ASKED
        )
    except _NO_ANSWER as error:
        return str(error) or type(error).__name__
    state: str = checked["state"]
    return state if state == "ok" else f"{state}: {checked['reason']}"


@asynccontextmanager
async def _asked_meanwhile(trial: Trial, *names: str) -> AsyncIterator[None]:
    """Have directories asked again and again for the length of the block."""
    failed: Exception | None = None
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(_go_on_asking(trial, name)) for name in names]
        try:
            yield
        except _NO_ANSWER as error:
            failed = error  # as it is: the group would wrap it
        finally:
            for task in asking:
                task.cancel()
    if failed is not None:
        raise failed


async def _go_on_asking(trial: Trial, name: str) -> None:
    while True:
        await _ask(trial, name)
        await asyncio.sleep(_LOOK)


async def _title(trial: Trial, movie: int) -> str:
    found = await trial.product.request("GET", f"/api/titles?imdb_id={imdb_id(movie)}", within=5.0)
    if not found["items"]:
        raise LabError("The catalogue does not know its own movie")
    title: str = found["items"][0]["id"]
    return title


async def _search(trial: Trial, title: str) -> Any:
    """Search for a title anew; return what was found when nobody is asked any more."""
    path = f"/api/titles/{title}/sources"
    found = await trial.product.request("GET", f"{path}?refresh=true", within=5.0)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ASKED):
            while found["searching"]:
                await asyncio.sleep(_LOOK)
                found = await trial.product.request("GET", path)
    return found


async def _wait_until_opened(trial: Trial, title: str) -> None:
    found: Any = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_OPENED):
            while True:
                found = await trial.product.request("GET", f"/api/titles/{title}/sources")
                if found["items"] and all(one["state"] == "ready" for one in found["items"]):
                    return
                await asyncio.sleep(_LOOK)
    states = [(one["state"], one["reasons"]) for one in found["items"]]
    trial.complain(f"nobody knows what {title} holds: {states}, refused {found.get('refused')}")


FAULTS = (Asked,)
