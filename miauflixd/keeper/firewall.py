"""The second line: rules in a namespace that has no way out but the tunnel anyway.

They keep what is inside from reaching private addresses through the tunnel (the provider's own
network, other customers), and close every other interface before somebody could add one. All of it
is one transaction, so that there is no moment between two sets of rules, and is read back.

What goes into the tunnel is never answered by us while the server is silent: a name query that
fails at once is remembered as a failure by libtorrent for 150 s, one that waits is repeated by the
stub resolver and outlives a failover of three seconds. Only destinations that will never be
allowed are rejected, so that nobody waits for them.
"""

import re
import socket
import struct
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from miauflixd.keeper import programs, raw_netlink

PRIVATE_V4: Final = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",  # carriers' NAT
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",  # benchmarks
    "224.0.0.0/3",  # multicast, reserved, broadcast
)
PRIVATE_V6: Final = (
    "::/96",  # unspecified, loopback, IPv4-compatible
    "::ffff:0:0/96",  # IPv4-mapped
    "64:ff9b:1::/48",  # local-use translation
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)

HOOKS: Final = ("input", "forward", "output")


def ruleset(interface: str, *, reachable: Iterable[str] = (), era: int | None = None) -> str:
    """Return the rules of a namespace, as one transaction for `nft -f`.

    Args:
        interface: the tunnel's; it need not exist.
        reachable: private addresses that may be reached nevertheless: the endpoint's gateway and
            its resolvers.
        era: when given, TCP connections that began in another one are reset as they send.
    """
    addresses = [ip_address(address) for address in reachable]
    v4 = sorted({str(address) for address in addresses if address.version == 4})  # noqa: PLR2004 - IP's own number
    v6 = sorted({str(address) for address in addresses if address.version == 6})  # noqa: PLR2004 - IP's own number
    began = f"ct state new ct mark set {era}" if era is not None else ""
    reset = f"meta l4proto tcp ct mark != {era} reject with tcp reset" if era is not None else ""
    return f"""\
flush ruleset
table inet miauflix {{
  set private4 {{ type ipv4_addr; flags interval; {_elements(PRIVATE_V4)} }}
  set private6 {{ type ipv6_addr; flags interval; {_elements(PRIVATE_V6)} }}
  set reachable4 {{ type ipv4_addr; {_elements(v4)} }}
  set reachable6 {{ type ipv6_addr; {_elements(v6)} }}
  chain input {{
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state invalid drop
    ct state established,related accept
    iifname != "{interface}" drop
    ip saddr @private4 drop
    ip6 saddr @private6 drop
    meta l4proto {{ tcp, udp }} th dport 53 drop
    {began}
    meta l4proto {{ tcp, udp }} ct state new accept
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
  }}
  chain output {{
    type filter hook output priority filter; policy drop;
    oifname "lo" accept
    oifname != "{interface}" drop
    {began}
    {reset}
    tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
    ip daddr @reachable4 accept
    ip6 daddr @reachable6 accept
    ip daddr @private4 goto refused
    ip6 daddr @private6 goto refused
    accept
  }}
  chain refused {{
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }}
}}
"""


def is_closed(listing: str) -> bool:
    """Return whether listed rules drop, at each hook, whatever no rule of theirs accepts."""
    hooks = re.findall(r"type filter hook (\w+) priority \w+; policy drop;", listing)
    return sorted(hooks) == sorted(HOOKS) and listing.count("table ") == 1


class Firewall:
    """The rules of one namespace.

    Whether they are still ours is asked by the number of their generation, which the kernel counts
    up with every change: 20 µs instead of the 5 ms of listing them.
    """

    def __init__(self, *, namespace: str, interface: str, kernel: socket.socket) -> None:
        """Take the namespace's path, and a netfilter socket from inside it."""
        self._namespace = namespace
        self._interface = interface
        self._kernel = kernel
        self._reachable: frozenset[str] = frozenset()
        self._era: int | None = None
        self._listing = ""
        self._generation = -1

    async def apply(self, reachable: Iterable[str] = (), *, era: int | None = None) -> None:
        """Put the rules in place, and read them back.

        Raises:
            OSError: they could not be loaded, or are not what was asked for.
        """
        self._reachable = frozenset(reachable)
        self._era = era
        await self._nft("-f", "-", text=ruleset(self._interface, reachable=reachable, era=era))
        # The generation first: a change between the two is then seen next time.
        generation = self._current_generation()
        listing = await self._nft("-s", "list", "ruleset")
        if not is_closed(listing):
            raise OSError("the namespace's rules are not what was asked for")
        self._listing = listing
        self._generation = generation

    async def allow(self, reachable: Iterable[str]) -> None:
        """Let these private addresses be reached, and no others."""
        if frozenset(reachable) != self._reachable or not self._listing:
            await self.apply(reachable, era=self._era)

    async def reset_connections(self) -> None:
        """Reset all present TCP connections as they send next."""
        await self.apply(self._reachable, era=(self._era or 0) + 1)

    async def is_intact(self) -> bool:
        """Return whether the rules are those that were put in place, and no others."""
        generation = self._current_generation()
        if generation == self._generation:
            return True
        if await self._nft("-s", "list", "ruleset") != self._listing:
            return False
        self._generation = generation
        return True

    async def restore(self) -> bool:
        """Put the rules back if they were changed, and return whether they were."""
        if await self.is_intact():
            return False
        await self.apply(self._reachable, era=self._era)
        return True

    async def _nft(self, *arguments: str, text: str = "") -> str:
        return await programs.run("nft", *arguments, namespace=self._namespace, text=text)

    def _current_generation(self) -> int:
        return rules_generation(self._kernel)


_GETGEN: Final = (10 << 8) | 16
"""Subsystem nftables, message NFT_MSG_GETGEN (linux/netfilter/nf_tables.h)."""
_GENERATION: Final = struct.Struct("!I")


def rules_generation(kernel: socket.socket) -> int:
    """Ask, through a netfilter socket, how often the rules of its namespace were changed.

    Raises:
        OSError: there is no nftables in this kernel.
    """
    answer = raw_netlink.ask(kernel, _GETGEN, bytes(4))
    # 4 bytes of nfgenmsg, 4 of the attribute's header, its value.
    generation: int = _GENERATION.unpack_from(answer, 8)[0]
    return generation


def _elements(addresses: Iterable[str]) -> str:
    listed = ", ".join(addresses)
    return f"elements = {{ {listed} }}" if listed else ""
