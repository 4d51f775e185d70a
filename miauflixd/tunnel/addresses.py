"""Where the servers of the ladder are now: asked again from time to time, and when one fails."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from miauflixd.errors import UnavailableError

_EVERY = 1800.0
"""Seconds between two looks. A server that moves is lost until then or until something fails,
whichever is sooner."""

_RETRY = 5.0
"""Seconds until a name that did not resolve is tried again: at boot the network is late."""

_GAP = 30.0
"""Seconds between two looks, however often somebody wants one: trouble may last for hours."""


class Names(Protocol):
    """Finds out where servers are."""

    async def addresses(self, host: str) -> Sequence[str]:
        """Return a host's addresses, the best first; at least one.

        Raises:
            UnavailableError: nobody knows.
        """
        ...

    @property
    def remembered(self) -> Mapping[str, Sequence[str]]:
        """The last good addresses of each name, to be kept for the next start."""
        ...


class Addresses:
    """The addresses of hosts, as of the last look."""

    def __init__(
        self,
        *,
        names: Names,
        remember: Callable[[Mapping[str, Sequence[str]]], Awaitable[None]],
        on_change: Callable[[], None],
    ) -> None:
        """Know none yet.

        Args:
            names: who is asked.
            remember: keeps for the next start what has changed.
            on_change: told whenever `of` returns something else for any host.
        """
        self._names = names
        self._remember = remember
        self._on_change = on_change
        self._hosts: Sequence[str] = ()
        self._found: dict[str, tuple[str, ...]] = {}
        self._problems: dict[str, str] = {}
        self._stale = asyncio.Event()

    def of(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a host; none: they are not known."""
        return self._found.get(host, ())

    def problem(self, host: str) -> str | None:
        """Return why a host's addresses are not known, a sentence."""
        return self._problems.get(host)

    async def require(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a host, which is looked for now if need be.

        Raises:
            UnavailableError: nobody knows them.
        """
        if host not in self._found:
            self._found[host] = tuple(await self._names.addresses(host))
            self._problems.pop(host, None)
            self._on_change()
        return self._found[host]

    def follow(self, hosts: Iterable[str]) -> None:
        """Look for these from now on; others are forgotten."""
        self._hosts = tuple(dict.fromkeys(hosts))

    def look_soon(self) -> None:
        """Look again, though perhaps not at once."""
        self._stale.set()

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            self._stale.clear()
            await self.look()
            if self._problems:
                await asyncio.sleep(_RETRY)
                continue
            await asyncio.sleep(_GAP)
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY):
                    await self._stale.wait()

    async def look(self) -> None:
        """Find out where the hosts are now."""
        hosts = self._hosts
        found: dict[str, tuple[str, ...]] = {}
        problems: dict[str, str] = {}

        async def find(host: str) -> None:
            try:
                addresses = await self._names.addresses(host)
            except UnavailableError as error:
                problems[host] = str(error)
            else:
                found[host] = _steady(self._found.get(host, ()), addresses)

        before = {**self._names.remembered}
        async with asyncio.TaskGroup() as group:
            for host in hosts:
                group.create_task(find(host), name="resolve an endpoint")
        if hosts is not self._hosts:
            return  # somebody has looked for others meanwhile, and knows better
        self._problems = problems
        if found != self._found:
            self._found = found
            self._on_change()
        if before != self._names.remembered:
            await self._remember(self._names.remembered)


def _steady(before: Sequence[str], now: Sequence[str]) -> tuple[str, ...]:
    """Return the present addresses, those that were there before first.

    Name servers shuffle their answers, and a shuffled ladder would be another ladder.
    """
    return (*(one for one in before if one in now), *(one for one in now if one not in before))
