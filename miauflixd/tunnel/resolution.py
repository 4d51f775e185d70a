"""The addresses of VPN servers, found outside the tunnel, before there is one.

WireGuard is never given a name: `wg` would ask for up to 72 seconds, and nobody could call it back.
Nor is `getaddrinfo`: a resolver that hangs holds its thread for half a minute, so that some dozen
servers' names would fill any pool of threads and hold up the next, good, one. dnspython asks from
the event loop, and ends when it is told to.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Literal

import dns.asyncresolver
import dns.exception
import dns.resolver

from miauflixd.errors import UnavailableError
from miauflixd.tunnel.server_address import parse_address, why_not

logger = logging.getLogger(__name__)

Records = Literal["A", "AAAA"]

_WITHIN = 2.0
"""Seconds for a name."""

_TRY_WITHIN = 0.7
"""Seconds for one resolver of the host's, so that the second one gets a chance."""

_LAGGARD_WITHIN = 0.25
"""Seconds to wait for addresses of IPv6 when those of IPv4 are there."""

_AT_ONCE = 32
"""Names that are asked for at the same time."""

_ADDRESSES = 16
"""Addresses of one name that are looked at."""

_ROUTE_FIELDS = 10
_ROUTE_UP = 0x0001
_ROUTE_REJECTS = 0x0200

Lookup = Callable[[str, Records], Awaitable[Sequence[str]]]
"""Returns a name's addresses of one kind, none if there are none; raises `OSError` if that cannot
be found out. It may take as long as it likes, and ends when it is cancelled."""


class UnresolvedError(UnavailableError):
    """A VPN server's address is not known, or none that we can use."""

    code = "endpoint_unresolved"


class HostLookup:
    """Asks the resolvers that this host's `resolv.conf` names."""

    def __init__(self, *, resolv_conf: Path = Path("/etc/resolv.conf"), port: int = 53) -> None:
        self._resolv_conf = resolv_conf
        self._port = port

    async def __call__(self, name: str, records: Records) -> Sequence[str]:
        """Return the addresses.

        Raises:
            OSError: nobody said.
        """
        try:
            # Read each time: it is another file after the network has changed.
            resolver = dns.asyncresolver.Resolver(str(self._resolv_conf))
            resolver.port = self._port
            resolver.timeout = _TRY_WITHIN
            answer = await resolver.resolve(
                name, records, search=False, raise_on_no_answer=False, lifetime=_WITHIN
            )
        except dns.resolver.NXDOMAIN:
            return ()
        except (dns.exception.DNSException, ValueError) as error:
            raise OSError(f"no answer from {self._resolv_conf}'s resolvers") from error
        return [record.to_text() for record in answer.rrset or ()]


def has_ipv6_route(table: Path = Path("/proc/net/ipv6_route")) -> bool:
    """Return whether this host has a default route for IPv6."""
    try:
        routes = [line.split() for line in table.read_text().splitlines()]
    except OSError:  # a kernel without IPv6
        return False
    for route in routes:
        if len(route) == _ROUTE_FIELDS and int(route[1], 16) == 0 and int(route[0], 16) == 0:
            flags = int(route[8], 16)
            if flags & _ROUTE_UP and not flags & _ROUTE_REJECTS:
                return True
    return False


class Resolution:
    """Finds addresses, and remembers the last good ones for when nobody can be asked."""

    def __init__(
        self,
        *,
        lookup: Lookup,
        has_ipv6: Callable[[], bool] = has_ipv6_route,
        lan_ok: bool = False,
        within: float = _WITHIN,
        remembered: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._lookup = lookup
        self._has_ipv6 = has_ipv6
        self._lan_ok = lan_ok
        self._within = within
        self._remembered = {name: tuple(found) for name, found in (remembered or {}).items()}
        self._turn = asyncio.Semaphore(_AT_ONCE)

    @property
    def remembered(self) -> Mapping[str, tuple[str, ...]]:
        """The last good addresses of each name, to be kept for the next start."""
        return self._remembered

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Return where a server can be reached, IPv4 first; an address is its own answer.

        Raises:
            UnresolvedError: nowhere, as far as can be known.
        """
        found = self._checked(host, [host]) if parse_address(host) else await self._found(host)
        ipv6 = self._has_ipv6()
        usable = [str(one) for one in found if isinstance(one, IPv4Address)]
        if ipv6:
            usable += [str(one) for one in found if isinstance(one, IPv6Address)]
        if not usable:
            raise UnresolvedError(
                f"{host} is reached over IPv6 only, and this host has no route for IPv6"
            )
        return tuple(usable)

    async def _found(self, name: str) -> Sequence[IPv4Address | IPv6Address]:
        """Return the addresses that a name has, or else had."""
        try:
            async with self._turn:
                addresses = self._checked(name, await self._asked(name))
        except (OSError, UnresolvedError) as error:
            if not (earlier := self._remembered.get(name)):
                if isinstance(error, UnresolvedError):
                    raise
                raise UnresolvedError(
                    f"Nobody could say in time what the address of {name} is"
                ) from error
            logger.debug("Using the last known addresses of %s", name)
            return [found for one in earlier if (found := parse_address(one))]
        self._remembered[name] = tuple(map(str, addresses))
        return addresses

    async def _asked(self, name: str) -> list[str]:
        """Return all that can be found in time.

        Raises:
            OSError: nothing, and not even that there is nothing.
        """
        found: dict[Records, Sequence[str]] = {}
        failed: list[OSError] = []

        async def ask(records: Records) -> None:
            try:
                found[records] = await self._lookup(name, records)
            except OSError as error:
                failed.append(error)

        try:
            async with asyncio.timeout(self._within), asyncio.TaskGroup() as group:
                v4 = group.create_task(ask("A"), name="resolve A")
                if self._has_ipv6():
                    v6 = group.create_task(ask("AAAA"), name="resolve AAAA")
                    await v4
                    if found.get("A"):
                        await asyncio.wait([v6], timeout=_LAGGARD_WITHIN)
                        v6.cancel()
        except TimeoutError:
            failed.append(TimeoutError("not in time"))
        addresses = [address for records in ("A", "AAAA") for address in found.get(records, ())]
        if not addresses and failed:
            raise failed[0]
        return addresses

    def _checked(self, name: str, answers: Sequence[str]) -> list[IPv4Address | IPv6Address]:
        """Return those at which a VPN server can be: a name may lead into anybody's house.

        Raises:
            UnresolvedError: at none of them.
        """
        found: dict[IPv4Address | IPv6Address, None] = {}
        refused = ""
        for answer in answers[:_ADDRESSES]:
            if (address := parse_address(answer)) is None:
                continue
            if why := why_not(address, lan_ok=self._lan_ok):
                refused = f"{name} leads to {address}, which {why}"
            else:
                found[address] = None
        if not found:
            raise UnresolvedError(refused or f"{name} has no address")
        return list(found)
