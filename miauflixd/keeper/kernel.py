"""WireGuard in the kernel, where it is a module.

Its configuration goes through `wg`, keys by a descriptor. The counters are read ten times a second,
so they come straight from generic netlink: 30 µs instead of the 5 ms of a program.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from miauflixd.keeper import programs, raw_netlink
from miauflixd.keeper.namespace import Namespace
from miauflixd.keeper.netlink import Netlink
from miauflixd.keeper.peers import Configuration, Peer, decoded, setconf
from miauflixd.keeper.ports import Counters


class KernelWireGuard:
    """One interface, made by the kernel."""

    backend: Final = "kernel"

    def __init__(self, interface: str, *, host: Netlink, namespace: Namespace) -> None:
        """Make the interface in `host`; later it is in the namespace."""
        self._interface = interface
        self._host = host
        self._namespace = namespace
        self._socket: socket.socket | None = None
        self._family = 0

    async def adopt(self) -> Configuration | None:
        """Take over an interface that an earlier run left in the namespace."""
        link = await self._namespace.netlink.link(self._interface)
        if link is None or link.kind != "wireguard":
            return None
        return parse_dump(
            await programs.run(
                "wg", "show", self._interface, "dump", namespace=self._namespace.path
            )
        )

    async def make(self, configuration: Configuration) -> None:
        """Make the interface, in the namespace of this process."""
        await self._host.add_link(self._interface, "wireguard")
        await apply_by_wg(self._interface, configuration)

    async def apply(self, configuration: Configuration, before: Configuration) -> None:
        """Replace everything, and thereby begin a handshake; the kernel keeps the same port open.

        Raises:
            OSError: the interface is gone.
        """
        await apply_by_wg(self._interface, configuration, namespace=self._namespace.path)

    async def remove(self) -> None:
        """Delete the interface, in whichever namespace it is."""
        for netlink in (self._namespace.netlink, self._host):
            link = await netlink.link(self._interface)
            if link is not None and link.kind == "wireguard":
                await netlink.delete_link(link.index)
        self.leave()

    def leave(self) -> None:
        """Let the interface go on without us."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def is_alive(self) -> bool:
        """Return that nothing has to run for it."""
        return True

    def counters(self) -> Counters | None:
        """Return what the kernel counted."""
        try:
            if self._socket is None:
                self._socket = raw_netlink.opened(
                    self._namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
                )
                self._family = _family(self._socket)
            name = _attribute(_DEVICE_NAME, self._interface.encode() + b"\0")
            question = _COMMAND.pack(_GET_DEVICE, 1, 0) + name
            return parse_device(raw_netlink.ask_for_all(self._socket, self._family, question))
        except OSError:
            self.leave()
            return None


async def apply_by_wg(
    interface: str, configuration: Configuration, *, namespace: str | None = None
) -> None:
    """Hand a configuration to `wg setconf` by a descriptor: keys stay out of arguments and files.

    Raises:
        OSError: `wg` refuses it.
    """
    with _in_memory(setconf(configuration)) as descriptor:
        await programs.run(
            "wg",
            "setconf",
            interface,
            f"/dev/fd/{descriptor}",
            namespace=namespace,
            descriptors=[descriptor],
        )


def parse_dump(dump: str) -> Configuration:
    """Read what `wg show INTERFACE dump` says.

    Raises:
        OSError: it is something else.
    """
    try:
        (private_key, _, port, _), *peers = (line.split("\t") for line in dump.splitlines())
        configuration = Configuration(
            private_key=decoded(private_key) if private_key != _NOTHING else None,
            listen_port=int(port),
        )
        for public_key, preshared, endpoint, allowed, _, _, _, keepalive in peers:
            host, _, server_port = endpoint.rpartition(":")
            peer = Peer(
                public_key=decoded(public_key),
                preshared_key=decoded(preshared) if preshared != _NOTHING else None,
                host=host.strip("[]"),
                port=int(server_port) if host else 0,
                keepalive=int(keepalive) if keepalive != "off" else 0,
                ipv6="::/0" in allowed,
            )
            configuration = replace(configuration, peer=peer)
    except ValueError as error:
        raise OSError(errno.EPROTO, "wg says something else") from error
    return configuration


# --- generic netlink, as in linux/netlink.h, genetlink.h and wireguard.h --------------------------

_NOTHING: Final = "(none)"

_ATTRIBUTE: Final = struct.Struct("=HH")
_COMMAND: Final = struct.Struct("=BBH")
_TYPE_BITS: Final = 0x3FFF
"""Of an attribute's type; the others say that it is nested, or its byte order."""

_CONTROL: Final = 0x10
_GET_FAMILY: Final = 3
_FAMILY_ID: Final = 1
_FAMILY_NAME: Final = 2

_GET_DEVICE: Final = 0
_DEVICE_NAME: Final = 2
_DEVICE_PEERS: Final = 8
_PEER_HANDSHAKE: Final = 6
_PEER_RX: Final = 7
_PEER_TX: Final = 8

NETLINK_GENERIC: Final = 16


def parse_device(messages: Iterable[bytes]) -> Counters | None:
    """Read the counters of the first peer out of what `WG_CMD_GET_DEVICE` answers."""
    for message in messages:
        for peers in _attributes(message[_COMMAND.size :]).get(_DEVICE_PEERS, ()):
            for peer, *_ in _attributes(peers).values():
                said = _attributes(peer)
                seconds, nanoseconds = struct.unpack("=qq", said[_PEER_HANDSHAKE][0])
                return Counters(
                    rx=struct.unpack("=Q", said[_PEER_RX][0])[0],
                    tx=struct.unpack("=Q", said[_PEER_TX][0])[0],
                    handshake=seconds + nanoseconds / 1e9 if seconds else None,
                )
    return None


def _family(kernel: socket.socket) -> int:
    question = _COMMAND.pack(_GET_FAMILY, 1, 0) + _attribute(_FAMILY_NAME, b"wireguard\0")
    said = _attributes(raw_netlink.ask(kernel, _CONTROL, question)[_COMMAND.size :])
    family: int = struct.unpack("=H", said[_FAMILY_ID][0])[0]
    return family


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _attributes(data: bytes) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        found.setdefault(kind & _TYPE_BITS, []).append(data[_ATTRIBUTE.size : length])
        data = data[max(length + 3 & ~3, _ATTRIBUTE.size) :]
    return found


@contextmanager
def _in_memory(text: str) -> Iterator[int]:
    descriptor = os.memfd_create("wireguard", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
