"""Where a request comes from, when proxies may stand in between. No I/O.

Invariant: a client never chooses what it is taken for. Headers that say where a request comes from
are believed of a proxy alone, which is one that connects to our unix socket, or from an address
that the settings trust and with the secret that they name. Of what it forwards, each proxy has
added what it saw to the right; so the way is followed from the right for as long as those who saw
are trusted, and whatever is left of that is the client's own words.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from multidict import MultiMapping

from miauflixd.errors import SettingsError
from miauflixd.runtime.secrets import Secret
from miauflixd.web.settings import WebSettings

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

SECRET_HEADER = "X-Miauflix-Proxy-Secret"  # noqa: S105 - the name of a header
FORWARDED_FOR = "X-Forwarded-For"
FORWARDED_PROTO = "X-Forwarded-Proto"
FORWARDED_HOST = "X-Forwarded-Host"

_BY_PROXIES = (FORWARDED_FOR, "Forwarded", "X-Real-IP", "Via")
"""Headers that no program on this machine sends for itself."""

_THIS_MACHINE = ipaddress.IPv4Address("127.0.0.1")
"""What stands for a unix socket, which has no address."""

_LONGEST_ADDRESS = 45
"""Characters: an IPv6 address that ends in an IPv4 one."""

_REMEMBERED = 1024
"""Addresses that are not taken apart again: it would be a tenth of what an answer costs."""

_SUBNET = 64
"""Bits of an IPv6 address that tell households apart; the others anybody may change at will."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forwarded:
    """What a proxy said of a request; kept for `GET /api/ip` to explain."""

    addresses: str | None = None
    proto: str | None = None
    host: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientAddress:
    """Where a request comes from."""

    address: str
    """The client's address, without scope; never one that it could have made up."""
    network: str
    """What requests are counted by: an IPv4 address, or the /64 of an IPv6 one."""
    peer: str | None
    """Who is at the other end of the connection; `None`: somebody at a unix socket."""
    host: str | None
    """The name by which the client asked for this machine, in its own words."""
    secure: bool = False
    """Whether the client speaks TLS with the proxy."""
    trusted_proxy: bool = False
    """Whether what the peer says of the client is believed."""
    forwarded: Forwarded = Forwarded()
    """What the peer said, believed or not."""
    is_local: bool = False
    """Whether it is a program on this machine that asks for itself."""
    is_control: bool = False
    """Whether it came by the control socket, which is for this machine's administrator."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """Whom to believe."""

    proxies: Sequence[IpNetwork] = ()
    secret: Secret | None = None
    """What a proxy that connects over TCP has to bring; without one none is believed."""


def trust_of(settings: WebSettings) -> Trust:
    """Return whom the settings want to be believed.

    Raises:
        SettingsError: a network is none, or there are proxies and no secret.
    """
    networks: list[IpNetwork] = []
    for text in settings.trusted_proxies:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise SettingsError(f"web.trusted_proxies: {error}") from error
    secret = settings.proxy_secret
    if networks and (secret is None or not secret.reveal().isascii() or not secret.reveal()):
        raise SettingsError(
            "web.proxy_secret: is needed for web.trusted_proxies, in plain letters and digits. "
            "`openssl rand -hex 32` makes one"
        )
    return Trust(proxies=tuple(networks), secret=secret)


def client_address(
    peer: str | None, headers: MultiMapping[str], trust: Trust, *, is_control: bool = False
) -> ClientAddress:
    """Return where a request comes from.

    Args:
        peer: the address at the other end of the connection; `None` for a unix socket.
        headers: the request's.
        trust: whom to believe.
        is_control: whether it came by the control socket, where there are no proxies.
    """
    address = _THIS_MACHINE if peer is None else parsed(peer)
    if address is None:
        raise ValueError(f"{peer!r} is no address of a peer")
    forwarded = Forwarded(
        addresses=_all(headers, FORWARDED_FOR),
        proto=_all(headers, FORWARDED_PROTO),
        host=_all(headers, FORWARDED_HOST),
    )
    trusted = not is_control and (peer is None or _is_proxy(address, headers, trust))
    host = headers.get("Host")
    client = address
    if trusted:
        client = _behind(address, forwarded.addresses, trust.proxies)
        host = forwarded.host if forwarded.host is not None else host
    return ClientAddress(
        address=str(client),
        network=network_of(client),
        peer=None if peer is None else str(address),
        host=host,
        secure=trusted and forwarded.proto == "https",
        trusted_proxy=trusted,
        forwarded=forwarded,
        is_local=address.is_loopback and not any(name in headers for name in _BY_PROXIES),
        is_control=is_control,
    )


def parsed(text: str) -> IpAddress | None:
    """Return an address without what does not belong to it, or `None` if it is none.

    A scope (`fe80::1%eth0`) is this machine's business, and `::ffff:192.0.2.1` is how a socket for
    both kinds writes 192.0.2.1.
    """
    plain = text.partition("%")[0]
    return _parsed(plain) if len(plain) <= _LONGEST_ADDRESS else None


@lru_cache(maxsize=_REMEMBERED)
def _parsed(text: str) -> IpAddress | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=_REMEMBERED)
def network_of(address: IpAddress) -> str:
    """Return what one household has of an address."""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.IPv6Network((int(address), _SUBNET), strict=False))


def _all(headers: MultiMapping[str], name: str) -> str | None:
    """Return a header as if it had been sent in one line (RFC 9110, 5.3)."""
    return ", ".join(headers.getall(name, [])) or None


def _is_proxy(peer: IpAddress, headers: MultiMapping[str], trust: Trust) -> bool:
    if trust.secret is None or not _is_in(peer, trust.proxies):
        return False
    said = headers.getall(SECRET_HEADER, [])
    # Compares in constant time. Twice is once too often: one of them is the client's.
    return len(said) == 1 and said[0].isascii() and Secret(said[0]) == trust.secret


def _behind(proxy: IpAddress, chain: str | None, proxies: Sequence[IpNetwork]) -> IpAddress:
    """Return the right-most hop that is no proxy of ours."""
    seen_by = proxy
    for hop in reversed([] if chain is None else chain.split(",")):
        address = parsed(hop.strip(" \t"))
        if address is None:
            break  # further left is nothing that could be believed
        seen_by = address
        if not _is_in(address, proxies):
            break
    return seen_by


def _is_in(address: IpAddress, networks: Sequence[IpNetwork]) -> bool:
    return any(address in network for network in networks)
