"""What a frame on the uplink is, and whether it may be there. Pure."""

import ipaddress
import struct
from collections.abc import Collection
from dataclasses import dataclass

from tests.lab.canaries import Canaries

_ETH_IPV4, _ETH_ARP, _ETH_IPV6 = 0x0800, 0x0806, 0x86DD
_ICMP, _IGMP, _TCP, _UDP, _ICMPV6 = 1, 2, 6, 17, 58
_HOP_BY_HOP = 0
_ECHO_REQUEST, _UNREACHABLE = 8, 3
_V6_UNREACHABLE, _V6_ECHO, _V6_MLD, _V6_ND = 1, 128, {131, 132, 143}, range(133, 138)
_RST = 0x04
_DISCARD, _EMPTY = 9, 8
"""A port where nobody listens, and the size of a UDP header."""
_SOLICITED = ipaddress.ip_network("ff02::1:ff00:0/104")
_WIREGUARD = (b"\x01\0\0\0", b"\x02\0\0\0", b"\x03\0\0\0", b"\x04\0\0\0")
_TELLTALE = {53: "DNS", 853: "DNS over TLS", 1900: "SSDP", 5351: "NAT-PMP", 5353: "mDNS"} | {
    6771: "LSD",
    19302: "STUN",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A frame that should not have been there."""

    kind: str
    """A few words, the same for all of a sort: `DNS`, `IGMP`, `TCP`, `canary (info-hash)`."""
    detail: str
    noise: bool = False
    """It says nothing about what is inside the tunnel; counted, and not held against anybody."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What may be on the uplink."""

    servers: Collection[str]
    """Addresses of WireGuard servers."""
    port: int
    gateways: Collection[str]
    """Addresses of the router at home."""
    canaries: Canaries


def judge(frame: bytes, *, outgoing: bool, rules: Rules) -> Finding | None:
    """Return what is wrong with a frame, `None` for nothing.

    Args:
        frame: from the Ethernet header on.
        outgoing: it left the house; what comes in is only searched for canaries.
        rules: what is allowed.
    """
    packet = _dissect(frame)
    if packet is not None and packet.is_wireguard(rules):
        return None
    if (mark := rules.canaries.found_in(frame)) is not None:
        what = packet.describe() if packet else frame[:32].hex()
        return Finding(f"canary ({mark})", what)
    if not outgoing:
        return None
    if packet is None:
        return _judge_unknown(frame)
    return packet.judge(rules)


def _judge_unknown(frame: bytes) -> Finding | None:
    kind = int.from_bytes(frame[12:14])
    return None if kind == _ETH_ARP else Finding(f"ethertype {kind:04x}", frame[:32].hex())


def _dissect(frame: bytes) -> "_Packet | None":
    kind, data = int.from_bytes(frame[12:14]), frame[14:]
    if kind == _ETH_IPV4 and len(data) >= 20:
        header = (data[0] & 15) * 4
        source, target = (str(ipaddress.ip_address(data[a : a + 4])) for a in (12, 16))
        return _Packet(source, target, data[9], data[header : int.from_bytes(data[2:4])])
    if kind == _ETH_IPV6 and len(data) >= 40:
        protocol, payload = data[6], data[40:]
        if protocol == _HOP_BY_HOP and len(payload) >= 8:
            protocol, payload = payload[0], payload[8 * (payload[1] + 1) :]
        source, target = (str(ipaddress.ip_address(data[a : a + 16])) for a in (8, 24))
        return _Packet(source, target, protocol, payload)
    return None


@dataclass(frozen=True, slots=True)
class _Packet:
    source: str
    target: str
    protocol: int
    payload: bytes

    def ports(self) -> tuple[int, int]:
        return struct.unpack("!HH", self.payload[:4]) if len(self.payload) >= 4 else (0, 0)

    def is_wireguard(self, rules: Rules) -> bool:
        source, target = self.ports()
        server = (self.target, target) if self.target in rules.servers else (self.source, source)
        return (
            self.protocol == _UDP
            and server[0] in rules.servers
            and server[1] == rules.port
            and self.payload[8:12] in _WIREGUARD
        )

    def describe(self) -> str:
        source, target = self.ports()
        name = {_TCP: "tcp", _UDP: "udp"}.get(self.protocol)
        if name:
            return f"{name} {self.source}:{source} > {self.target}:{target}"
        return f"protocol {self.protocol} {self.source} > {self.target}"

    def judge(self, rules: Rules) -> Finding | None:
        if self.protocol == _ICMP:
            return self._judge_icmp(rules)
        if self.protocol == _ICMPV6:
            return self._judge_icmpv6()
        if self.protocol == _IGMP:
            return Finding("IGMP", self.describe())
        if self.protocol in {_TCP, _UDP}:
            return self._judge_ports(rules)
        return Finding(f"protocol {self.protocol}", self.describe())

    def _judge_icmp(self, rules: Rules) -> Finding | None:
        kind = self.payload[0]
        if kind == _ECHO_REQUEST and self.target in rules.gateways:
            return None  # how the uplink is watched
        return Finding(f"ICMP {kind}", self.describe(), noise=kind in {_UNREACHABLE, 0})

    def _judge_icmpv6(self) -> Finding | None:
        kind = self.payload[0]
        if kind in _V6_ND:
            return None
        if kind == _V6_ECHO and self.target.startswith("fe80:"):
            return None
        if kind in _V6_MLD:
            strangers = [group for group in self._groups() if group not in _SOLICITED]
            return Finding("MLD", f"joins {strangers}") if strangers else None
        return Finding(f"ICMPv6 {kind}", self.describe(), noise=kind == _V6_UNREACHABLE)

    def _name(self) -> str:
        """Return the name that a DNS query over UDP asks for."""
        labels, place = [], 8 + 12
        while place < len(self.payload) and (length := self.payload[place]):
            labels.append(self.payload[place + 1 : place + 1 + length].decode("latin-1").lower())
            place += 1 + length
        return ".".join(labels)

    def _groups(self) -> list[ipaddress.IPv6Address]:
        """Return the groups of an MLD report, RFC 3810; of version 1 the only one."""
        data = self.payload
        if data[0] != 143:
            return [ipaddress.IPv6Address(data[8:24])]
        groups, place = [], 8
        for _ in range(int.from_bytes(data[6:8])):
            groups.append(ipaddress.IPv6Address(data[place + 4 : place + 20]))
            place += 20 + 16 * int.from_bytes(data[place + 2 : place + 4]) + 4 * data[place + 1]
        return groups

    def _judge_ports(self, rules: Rules) -> Finding | None:
        _, target = self.ports()
        if self.protocol == _TCP and len(self.payload) >= 14 and self.payload[13] & _RST:
            return Finding("TCP reset", self.describe(), noise=True)
        if self.target in rules.gateways and target == _DISCARD and len(self.payload) == _EMPTY:
            return None  # how the kernel is made to look for the gateway
        if target == 53 and self._name() in rules.canaries.open_names:
            return None
        kind = _TELLTALE.get(target) or ("TCP" if self.protocol == _TCP else "UDP")
        return Finding(kind, self.describe())


# --- a filter for the kernel ----------------------------------------------------------------------


def filter_program(rules: Rules) -> bytes:
    """Return a BPF program that drops what `judge` would find to be WireGuard, and nothing else.

    Thousands of such packets a second are none of Python's business.
    """
    servers = [int(ipaddress.IPv4Address(server)) for server in rules.servers]
    lines: list[tuple[int, str | int, str | int, int]] = []

    def check(field: list[tuple[int, int]], values: Collection[int], otherwise: str) -> None:
        """Load a field; go on when it has one of the values."""
        lines.extend((code, 0, 0, place) for code, place in field)
        for number, value in enumerate(values):
            left = len(values) - number - 1
            lines.append((0x15, left, 0 if left else otherwise, value))  # jeq

    half, byte, word, half_x, word_x = 0x28, 0x30, 0x20, 0x48, 0x40
    check([(half, 12)], [_ETH_IPV4], "keep")
    check([(byte, 23)], [_UDP], "keep")
    lines.append((half, 0, 0, 20))
    lines.append((0x45, "keep", 0, 0x3FFF))  # jset: a fragment
    lines.append((0xB1, 0, 0, 14))  # x = length of the header
    check([(half_x, 16)], [rules.port], "from server")
    check([(word, 30)], servers, "from server")
    lines.append((0x05, 0, 0, -1))  # ja payload
    jump = len(lines) - 1
    from_server = len(lines)
    check([(half_x, 14)], [rules.port], "keep")
    check([(word, 26)], servers, "keep")
    lines[jump] = (0x05, 0, 0, len(lines) - jump - 1)
    check([(word_x, 22)], [int.from_bytes(kind) for kind in _WIREGUARD], "keep")
    lines.append((0x06, 0, 0, 0))  # ret: drop
    keep = len(lines)
    lines.append((0x06, 0, 0, 0x40000))  # ret: all of it
    places = {"keep": keep, "from server": from_server}

    def resolve(target: str | int, line: int) -> int:
        return places[target] - line - 1 if isinstance(target, str) else target

    return b"".join(
        struct.pack("=HBBI", code, resolve(yes, at), resolve(no, at), value)
        for at, (code, yes, no, value) in enumerate(lines)
    )
