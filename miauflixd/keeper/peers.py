"""How WireGuard is told what to do: the values, and the two languages that carry them.

`wg setconf` reads a file like those of providers, wireguard-go's socket (UAPI) lines with keys in
hexadecimal. Everything is parsed on its way in, so that no value can bring a line of its own.
"""

import base64
import binascii
import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from typing import Final

from miauflixd.keeper.messages import Endpoint, Server
from miauflixd.keeper.ports import Counters

KEEPALIVE: Final = 25
"""Seconds, where the endpoint says none: without it nothing would say that it is there, and no
handshake would begin before somebody sends."""

Key = bytes
KEY_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class Peer:
    """The server at the other end."""

    public_key: Key
    preshared_key: Key | None = field(repr=False)
    host: str
    port: int
    keepalive: int
    ipv6: bool
    """Whether IPv6 goes through it, too."""

    @classmethod
    def of(cls, endpoint: Endpoint, server: Server) -> "Peer":
        """Take what concerns the peer.

        Raises:
            OSError: a key or an address is none.
        """
        return cls(
            public_key=decoded(endpoint.public_key),
            preshared_key=decoded(endpoint.preshared_key) if endpoint.preshared_key else None,
            host=str(_parsed(server.host)),
            port=server.port,
            keepalive=min(endpoint.keepalive or KEEPALIVE, 65535),
            ipv6=has_ipv6(inner_addresses(endpoint)),
        )

    @property
    def server(self) -> str:
        """`host:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def allowed(self) -> tuple[str, ...]:
        """What may go to it and come from it: everything."""
        return ("0.0.0.0/0", "::/0") if self.ipv6 else ("0.0.0.0/0",)


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that a WireGuard interface knows, but for its addresses."""

    private_key: Key | None = field(default=None, repr=False)
    listen_port: int = 0
    peer: Peer | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a WireGuard interface says about itself."""

    configuration: Configuration
    counters: Counters | None


def setconf(configuration: Configuration) -> str:
    """Return the file for `wg setconf`, which replaces everything."""
    return "\n".join(_setconf(configuration)) + "\n"


def uapi_lines(configuration: Configuration, *, before: Configuration | None = None) -> str:
    """Return the lines for wireguard-go's socket; the peer is always made anew.

    What did not change since `before` is left out: naming the same port again would close the
    socket and open another.
    """
    return "\n".join(_lines(configuration, before or Configuration())) + "\n\n"


def parse_uapi(answer: str) -> Report:
    """Read what wireguard-go says to `get=1`.

    Raises:
        OSError: it is something else.
    """
    # The private key comes before any peer, and there is at most one peer.
    said = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
    try:
        if int(said.get("errno", "1")):
            raise OSError(errno.EPROTO, f"wireguard-go answers with error {said.get('errno')}")
        private_key = bytes.fromhex(said["private_key"]) if "private_key" in said else None
        port = int(said.get("listen_port", "0"))
        if "public_key" not in said:
            return Report(Configuration(private_key, port), None)
        host, _, server_port = said.get("endpoint", ":0").rpartition(":")
        preshared = bytes.fromhex(said.get("preshared_key", ""))
        peer = Peer(
            public_key=bytes.fromhex(said["public_key"]),
            preshared_key=preshared if any(preshared) else None,
            host=host.strip("[]"),
            port=int(server_port),
            keepalive=int(said.get("persistent_keepalive_interval", "0")),
            ipv6="allowed_ip=::/0" in answer,
        )
        seconds = int(said.get("last_handshake_time_sec", "0"))
        nanoseconds = int(said.get("last_handshake_time_nsec", "0"))
        counters = Counters(
            rx=int(said.get("rx_bytes", "0")),
            tx=int(said.get("tx_bytes", "0")),
            handshake=seconds + nanoseconds / 1e9 if seconds else None,
        )
    except ValueError as error:
        raise OSError(errno.EPROTO, "wireguard-go answers something else") from error
    return Report(Configuration(private_key, port, peer), counters)


def inner_addresses(endpoint: Endpoint) -> tuple[IPv4Interface | IPv6Interface, ...]:
    """Return our addresses inside the tunnel.

    Raises:
        OSError: one is none.
    """
    try:
        return tuple(ip_interface(address) for address in endpoint.addresses)
    except ValueError:
        raise OSError(errno.EINVAL, "The endpoint's address for us is none") from None


def has_ipv6(addresses: Iterable[IPv4Interface | IPv6Interface]) -> bool:
    """Return whether one of them is IPv6."""
    return any(isinstance(address, IPv6Interface) for address in addresses)


def decoded(key: str) -> Key:
    """Read a key in base64.

    Raises:
        OSError: it is none.
    """
    try:
        value = base64.b64decode(key, validate=True)
    except binascii.Error:
        value = b""
    if len(value) != KEY_LENGTH:
        raise OSError(errno.EINVAL, "The endpoint has a key that is not 32 bytes in base64")
    return value


def encoded(key: Key) -> str:
    """Write a key in base64."""
    return base64.b64encode(key).decode()


def _setconf(configuration: Configuration) -> Iterator[str]:
    yield "[Interface]"
    if configuration.private_key is not None:
        yield f"PrivateKey = {encoded(configuration.private_key)}"
    yield f"ListenPort = {configuration.listen_port}"
    if peer := configuration.peer:
        yield "[Peer]"
        yield f"PublicKey = {encoded(peer.public_key)}"
        if peer.preshared_key is not None:
            yield f"PresharedKey = {encoded(peer.preshared_key)}"
        yield f"Endpoint = {peer.server}"
        yield f"AllowedIPs = {', '.join(peer.allowed)}"
        yield f"PersistentKeepalive = {peer.keepalive}"


def _lines(configuration: Configuration, before: Configuration) -> Iterator[str]:
    yield "set=1"
    if configuration.private_key != before.private_key:
        yield f"private_key={(configuration.private_key or bytes(KEY_LENGTH)).hex()}"
    if configuration.listen_port != before.listen_port:
        yield f"listen_port={configuration.listen_port}"
    yield "replace_peers=true"
    if peer := configuration.peer:
        yield f"public_key={peer.public_key.hex()}"
        if peer.preshared_key is not None:
            yield f"preshared_key={peer.preshared_key.hex()}"
        yield f"endpoint={peer.server}"
        for allowed in peer.allowed:
            yield f"allowed_ip={allowed}"
        # Last: turning it on is what begins the handshake at once.
        yield f"persistent_keepalive_interval={peer.keepalive}"


def _parsed(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        raise OSError(errno.EINVAL, "The endpoint's server is not an address") from None
