"""AllowedIPs: which networks a peer carries, and whether that is the internet."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses

from miauflixd.tunnel.server_address import NOT_PUBLIC, parse_address

_EVERYTHING = IPv4Network("0.0.0.0/0")
_PUBLIC_V6 = IPv6Network("2000::/3")
_LENGTH = re.compile(r"[0-9]{1,3}")
_SHOWN = 3
_V4 = 4


class BadNetworkError(ValueError):
    """An entry is no network."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a peer carries."""

    v4: tuple[IPv4Network, ...]
    """Without overlap: `0.0.0.0/1` and `128.0.0.0/1` are one."""
    v6: tuple[IPv6Network, ...]
    remarks: tuple[str, ...]
    """What was unusual about it, sentences for people."""

    @property
    def is_exit(self) -> bool:
        """Whether all of the internet of IPv4 is carried."""
        return self.v4 == (_EVERYTHING,) or _with_house(self.v4) == (_EVERYTHING,)

    @property
    def carries_v6(self) -> bool:
        """Whether all of the internet of IPv6 is carried."""
        return any(_PUBLIC_V6.subnet_of(network) for network in self.v6)

    @property
    def shown(self) -> str:
        """The networks for people, not all of many."""
        networks = [str(network) for network in (*self.v4, *self.v6)]
        more = len(networks) - _SHOWN
        return ", ".join(networks[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def coverage(entries: Iterable[str]) -> Coverage:
    """Return what the entries of one peer come to, without white space in them.

    `+` before an entry adds it, as does nothing; `-` takes away exactly that one.

    Raises:
        BadNetworkError: an entry is no network.
    """
    v4: dict[IPv4Network, None] = {}
    v6: dict[IPv6Network, None] = {}
    cut = removed = 0
    for entry in entries:
        sign, text = (entry[0], entry[1:]) if entry[:1] in {"+", "-"} else ("+", entry)
        network, exact = _network(text)
        cut += not exact
        if sign == "-":
            removed += 1
            if isinstance(network, IPv4Network):
                v4.pop(network, None)
            else:
                v6.pop(network, None)
        elif isinstance(network, IPv4Network):
            v4[network] = None
        else:
            v6[network] = None
    remarks = []
    if cut:
        remarks.append("addresses were taken for the networks that they are in")
    if removed:
        remarks.append("`-` takes away only the very same network, as in `wg`")
    found = Coverage(tuple(collapse_addresses(v4)), tuple(collapse_addresses(v6)), ())
    if found.is_exit and found.v4 != (_EVERYTHING,):
        remarks.append("local networks are left out, which do not exist inside")
    return Coverage(found.v4, found.v6, tuple(remarks))


def _network(text: str) -> tuple[IPv4Network | IPv6Network, bool]:
    """Return a network, and whether it was written as one: without bits behind its prefix."""
    host, slash, length = text.partition("/")
    address = parse_address(host)
    # A netmask (`/255.0.0.0`), which Python takes, is an error for `wg`.
    if address is None or (slash and not _LENGTH.fullmatch(length)):
        raise BadNetworkError
    bits = int(length) if slash else address.max_prefixlen
    if bits > address.max_prefixlen:
        raise BadNetworkError
    kind = IPv4Network if address.version == _V4 else IPv6Network
    network = kind((int(address), bits), strict=False)
    return network, network.network_address == address


def _with_house(networks: tuple[IPv4Network, ...]) -> tuple[IPv4Network, ...]:
    return tuple(collapse_addresses((*networks, *NOT_PUBLIC)))
