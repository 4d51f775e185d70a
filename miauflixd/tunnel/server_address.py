"""Which addresses a VPN server may have."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

# Spelt out, because what `ipaddress` calls private changes from one Python to the next. Networks
# that are for documentation or benchmarks are not here: nobody of the house lives there.
_NEVER = tuple(
    map(ip_network, ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "ff00::/8", "100::/64"))
)
_HOUSE = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
            "fec0::/10",
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")

NOT_PUBLIC = tuple(network for network in (*_NEVER, *_HOUSE) if isinstance(network, IPv4Network))
"""Where nothing of the internet is: a tunnel that leaves these out leaves out nothing."""


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text is, without a zone; `None`: it is none."""
    if "%" in text:  # a zone would name one of our interfaces
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def why_not(address: IPv4Address | IPv6Address, *, lan_ok: bool) -> str | None:
    """Return why no VPN server can be at this address, as half a sentence; `None`: it can.

    `lan_ok`: addresses of this machine and of the local network are fine.
    """
    inner = _carried(address)
    if any(inner in network for network in _NEVER):
        return "no server can have"
    if not lan_ok and any(inner in network for network in _HOUSE):
        return "belongs to this machine or its local network, not to a VPN server"
    return None


def _carried(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
