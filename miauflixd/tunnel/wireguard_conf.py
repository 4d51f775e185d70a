"""WireGuard `.conf` files: what each key means to us.

Hooks (`PostUp` and its like) are shell commands that `wg-quick` runs as root. Here they are neither
run nor kept: whoever imports a file is told that they were there. No message quotes a value that
could be a key which lost its place.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from miauflixd.runtime.secrets import Secret
from miauflixd.tunnel.allowed_ips import BadNetworkError, Coverage, coverage
from miauflixd.tunnel.conf_lines import Conf, ConfRefusedError, Entry, Section, read
from miauflixd.tunnel.model import EndpointSpec
from miauflixd.tunnel.provider_hints import guess
from miauflixd.tunnel.server_address import parse_address, why_not

__all__ = ["ConfRefusedError", "Ignored", "Parsed", "is_key", "parse"]

_PEER_COUNT = 64
_LIST_COUNT = 16
"""Addresses or resolvers in one file."""

_MTU_MIN = 1280
"""Bytes; below it there is no IPv6."""
_MTU_MAX = 1420
"""Bytes; 80 less than Ethernet's, for WireGuard over IPv6."""
_KEEPALIVE = 25
"""Seconds; nearly every router remembers a UDP flow for 30."""
_PORT_MAX = 65535

_KEY_SIZE = 32
_KEY_LENGTH = 44
_TOKEN_SIZE = 48
"""Bytes of 64 characters; a token's are hexadecimal, which is base64 too."""
_V6 = 6

_DIGITS = re.compile(r"[0-9]{1,9}")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_HOST_LIMIT = 253
_LAST_LABEL = re.compile(r"[A-Za-z].*")
"""No top-level domain begins with a digit; `127.1` and `0x7f.1` are addresses to some resolvers."""
_HOUSE_DOMAINS = ("localhost", "local", "lan", "internal", "home.arpa", "fritz.box")

_HOOKS = {"preup", "postup", "predown", "postdown"}
_NOT_OURS = {
    "table": "routes are not needed where the tunnel is the only way",
    "saveconfig": "files are not written back",
    "fwmark": "packets need no mark where the tunnel is the only way",
    "listenport": "the port belongs to the interface, not to the file",
}
_JUNK = {"jc", "jmin", "jmax", *(f"i{n}" for n in range(1, 6))}
"""AmneziaWG's noise before a handshake, to which a plain WireGuard server is deaf."""
_ALTERED = {
    **{f"s{n}": {"0"} for n in range(1, 5)},
    **{f"h{n}": {f"{n}", f"{n}-{n}"} for n in range(1, 5)},
}
"""AmneziaWG's changes to WireGuard's messages, and the values that change nothing."""

_NAMES = {
    name.lower(): name
    for name in (
        *("PrivateKey", "Address", "DNS", "MTU", "Table", "SaveConfig", "FwMark", "ListenPort"),
        *("PreUp", "PostUp", "PreDown", "PostDown"),
        *("PublicKey", "PresharedKey", "AllowedIPs", "Endpoint", "PersistentKeepalive"),
    )
}
_OF_INTERFACE = {"privatekey", "address", "dns", "mtu"}
_OF_PEER = {"publickey", "presharedkey", "allowedips", "endpoint", "persistentkeepalive"}
_REPEATABLE = {"address", "dns", "allowedips"}


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something in a file that is not followed, or not to the letter."""

    key: str
    why: str
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """What a file says."""

    spec: EndpointSpec
    used: tuple[str, ...]
    """What is followed, a line each, without keys: `Address = 10.2.0.2/32`."""
    ignored: tuple[Ignored, ...]
    """In the order of the file."""


def parse(content: str | bytes, *, name: str, lan_ok: bool = False) -> Parsed:
    """Read a WireGuard file.

    Args:
        content: The file.
        name: Its name, for messages and for people.
        lan_ok: The server may be on the local network or on this machine.

    Raises:
        ConfRefusedError: it is not one, or does not lead to the internet.
    """
    return _Reading(read(content, name=name), lan_ok=lan_ok).parsed()


def is_key(text: str) -> bool:
    """Return whether this is base64 of 32 bytes, not all of them zero."""
    decoded = _base64(text)
    return decoded is not None and len(decoded) == _KEY_SIZE and any(decoded)


class _Reading:
    """One file, and what of it is not followed so far."""

    def __init__(self, conf: Conf, *, lan_ok: bool) -> None:
        self._conf = conf
        self._lan_ok = lan_ok
        self._ignored: list[Ignored] = []

    def parsed(self) -> Parsed:
        interface = self._interface()
        peer, carried = self._peer()
        private_key = self._private_key(interface)
        public_key = self._public_key(peer, private_key)
        preshared_key = self._preshared_key(peer)
        addresses = self._addresses(interface, v6=carried.carries_v6)
        v6 = any(":" in address for address in addresses)
        dns = self._dns(interface, v6=v6)
        host, port = self._endpoint(peer)
        mtu = self._mtu(interface)
        keepalive = self._keepalive(peer)
        hints = guess(file=self._conf.file, host=host, dns=dns, comments=self._conf.comments)
        used = (
            "PrivateKey",
            f"Address = {', '.join(addresses)}",
            *([f"DNS = {', '.join(dns)}"] if dns else []),
            f"MTU = {mtu}",
            "PublicKey",
            *(["PresharedKey"] if preshared_key else []),
            f"AllowedIPs = 0.0.0.0/0{', ::/0' if v6 else ''}",
            f"Endpoint = {f'[{host}]' if ':' in host else host}:{port}",
            f"PersistentKeepalive = {keepalive}",
        )
        spec = EndpointSpec(
            name=hints.name,
            provider=hints.provider,
            country=hints.country,
            host=host,
            port=port,
            public_key=public_key,
            private_key=Secret(private_key),
            preshared_key=preshared_key,
            addresses=addresses,
            dns=dns,
            gateway=hints.gateway,
            mtu=mtu,
            keepalive=keepalive,
            port_forwarding=hints.port_forwarding,
            hints=hints.remarks,
        )
        in_order = sorted(self._ignored, key=lambda ignored: ignored.line)
        return Parsed(spec=spec, used=used, ignored=tuple(in_order))

    # --- sections ---------------------------------------------------------------------------------

    def _interface(self) -> Section:
        """Return all of `[Interface]`, which may be said in several pieces."""
        pieces = [section for section in self._conf.sections if section.name == "interface"]
        if not pieces:
            self._conf.refuse(
                "There is no [Interface] section: this is not a WireGuard file, or the first lines "
                "of one are missing"
            )
        for section in self._conf.sections:
            if section.name not in {"interface", "peer"}:
                self._ignore(f"[{section.shown}]", "WireGuard has no such section", section.line)
        entries = [entry for section in pieces for entry in section.entries]
        for entry in entries:
            self._refuse_altered(entry)
        whole = Section("interface", "Interface", pieces[0].line, entries)
        self._sort_out(whole, _OF_INTERFACE)
        return whole

    def _peer(self) -> tuple[Section, Coverage]:
        """Return the peer that leads to the internet, and what it carries."""
        peers = [section for section in self._conf.sections if section.name == "peer"]
        if not peers:
            self._conf.refuse("There is no [Peer] section, which would name the server")
        if len(peers) > _PEER_COUNT:
            self._refuse(f"There are more than {_PEER_COUNT} peers", peers[_PEER_COUNT])
        carried = [self._coverage(peer) for peer in peers]
        exits = [index for index, found in enumerate(carried) if found.is_exit]
        if not exits:
            self._refuse_exit(peers, carried)
        # Of several, WireGuard sends everything to the last.
        chosen = exits[-1]
        for index, peer in enumerate(peers):
            if index != chosen:
                self._ignore("[Peer]", "another peer leads to the internet", peer.line)
        allowed = _last(peers[chosen], "allowedips")
        for remark in carried[chosen].remarks:
            self._ignore("AllowedIPs", remark, allowed.line if allowed else peers[chosen].line)
        self._sort_out(peers[chosen], _OF_PEER)
        return peers[chosen], carried[chosen]

    def _coverage(self, peer: Section) -> Coverage:
        networks = []
        for entry in peer.entries:
            if entry.key == "allowedips":
                items = [item for item in entry.compact.split(",") if item]
                try:
                    coverage(items)
                except BadNetworkError:
                    self._refuse(
                        "AllowedIPs has an entry that is no network, which looks like 0.0.0.0/0",
                        entry,
                    )
                networks += items
        return coverage(networks)

    def _refuse_exit(self, peers: Sequence[Section], carried: Sequence[Coverage]) -> NoReturn:
        need = "AllowedIPs = 0.0.0.0/0 is needed"
        if len(peers) > 1:
            self._refuse(f"None of the {len(peers)} peers leads to the internet; {need}", peers[0])
        if (allowed := _last(peers[0], "allowedips")) is None:
            self._refuse(f"This peer has no AllowedIPs; {need}", peers[0])
        if not (shown := carried[0].shown):
            self._refuse(f"AllowedIPs is empty; {need}", allowed)
        self._refuse(
            f"AllowedIPs covers only {shown}: this leads into some networks, and not out to the "
            f"internet; {need}",
            allowed,
        )

    def _refuse_altered(self, entry: Entry) -> None:
        if entry.compact not in _ALTERED.get(entry.key, {entry.compact}):
            self._refuse(
                f"{entry.key.upper()} makes this an AmneziaWG file, whose server does not "
                "understand plain WireGuard; the provider may have a file without it",
                entry,
            )

    def _sort_out(self, section: Section, known: set[str]) -> None:
        """Report what is not followed."""
        latest: dict[str, Entry] = {}
        for entry in section.entries:
            name = _NAMES.get(entry.key, entry.shown)
            if entry.key in known:
                if entry.key not in _REPEATABLE and (earlier := latest.get(entry.key)):
                    self._ignore(name, f"line {entry.line} says it again", earlier.line)
                latest[entry.key] = entry
            elif entry.key in _HOOKS:
                self._ignore(name, "commands in files are never run, nor kept", entry.line)
            elif entry.key in _NOT_OURS:
                self._ignore(name, _NOT_OURS[entry.key], entry.line)
            elif entry.key in _JUNK or entry.key in _ALTERED:
                why = "this belongs to AmneziaWG, and changes nothing for the server"
                self._ignore(entry.key.capitalize(), why, entry.line)
            elif entry.key in _NAMES:
                self._ignore(name, f"it does not belong into [{section.shown}]", entry.line)
            else:
                self._ignore(name, "WireGuard has no such key", entry.line)

    # --- keys -------------------------------------------------------------------------------------

    def _private_key(self, interface: Section) -> str:
        entry = self._required(interface, "privatekey")
        decoded = _base64(entry.compact)
        if decoded is not None and len(decoded) == _TOKEN_SIZE:
            self._refuse(
                "PrivateKey looks like a NordVPN access token: add a NordVPN account with it, and "
                "no file is needed",
                entry,
            )
        return self._key(entry)

    def _public_key(self, peer: Section, private_key: str) -> str:
        entry = self._required(peer, "publickey")
        if entry.compact == private_key:
            self._refuse("PublicKey is our PrivateKey; the server's is needed", entry)
        return self._key(entry)

    def _preshared_key(self, peer: Section) -> Secret | None:
        entry = _last(peer, "presharedkey")
        if entry is None or not entry.compact:
            return None
        decoded = _base64(entry.compact)
        if decoded is not None and len(decoded) == _KEY_SIZE and not any(decoded):
            return None  # what `wg` shows for "none"
        return Secret(self._key(entry))

    def _key(self, entry: Entry) -> str:
        name, text = _NAMES[entry.key], entry.compact
        if is_key(text):
            return text
        if _base64(text) == bytes(_KEY_SIZE):
            problem = "it is all zeros"
        elif len(text) != _KEY_LENGTH:
            problem = f"these are {len(text)}"
        else:
            problem = "these are not"
        wanted = f"one is {_KEY_LENGTH} characters of base64 for {_KEY_SIZE} bytes"
        return self._refuse(f"{name} is no key: {wanted}, and {problem}", entry)

    # --- what is ours -----------------------------------------------------------------------------

    def _addresses(self, interface: Section, *, v6: bool) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for entry in interface.entries:
            if entry.key != "address":
                continue
            for text in entry.words:
                address = self._address(text, entry)
                if ":" in address and not v6:
                    self._ignore("Address", "AllowedIPs has no ::/0, so IPv6 is off", entry.line)
                else:
                    found[address] = None
        first = self._required(interface, "address")
        if not any(":" not in address for address in found):
            self._refuse("Address has none of IPv4, which is needed: `10.2.0.2/32`", first)
        if len(found) > _LIST_COUNT:
            self._refuse(f"There are more than {_LIST_COUNT} addresses", first)
        return tuple(found)

    def _address(self, text: str, entry: Entry) -> str:
        host, slash, length = text.partition("/")
        address = parse_address(host)
        if address is None or (slash and not _DIGITS.fullmatch(length)):
            self._refuse("Address has an entry that is no address such as 10.2.0.2/32", entry)
        bits = int(length) if slash else address.max_prefixlen
        if not 0 < bits <= address.max_prefixlen:
            self._refuse(
                f"Address has a length behind its slash that is not 1 to {address.max_prefixlen}",
                entry,
            )
        # Ours may be private or public; of those that nobody can have, link-local ones are the
        # only kind for which `why_not` has another opinion.
        if address.is_loopback or address.is_link_local or why_not(address, lan_ok=True):
            self._refuse(f"Address {address} cannot be an address in a tunnel", entry)
        return f"{address}/{bits}"

    def _dns(self, interface: Section, *, v6: bool) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for entry in interface.entries:
            if entry.key != "dns":
                continue
            for text in entry.words:
                address = parse_address(text)
                if address is None:
                    why = "search domains are not used"
                elif address.is_loopback or why_not(address, lan_ok=True):
                    why = "no resolver inside the tunnel can have this address"
                elif address.version == _V6 and not v6:
                    why = "the tunnel carries no IPv6"
                elif len(found) >= _LIST_COUNT:
                    why = f"the first {_LIST_COUNT} are enough"
                else:
                    found[str(address)] = None
                    continue
                self._ignore("DNS", why, entry.line)
        return tuple(found)

    def _mtu(self, interface: Section) -> int:
        entry = _last(interface, "mtu")
        if entry is None or not entry.compact:
            return _MTU_MAX
        if not _DIGITS.fullmatch(entry.compact):
            self._refuse("MTU is not a number of bytes, such as 1420", entry)
        wanted = int(entry.compact)
        if wanted == 0:  # some programs write it for "find out"
            return _MTU_MAX
        mtu = min(max(wanted, _MTU_MIN), _MTU_MAX)
        if mtu != wanted:
            self._ignore("MTU", f"{wanted} is outside of {_MTU_MIN} to {_MTU_MAX}", entry.line)
        return mtu

    # --- the server -------------------------------------------------------------------------------

    def _endpoint(self, peer: Section) -> tuple[str, int]:
        entry = self._required(peer, "endpoint")
        host, colon, port = entry.compact.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if not colon or entry.compact.endswith("]") or (":" in host and not bracketed):
            self._refuse(
                "Endpoint is to be `host:port`, or `[address]:port` for an address of IPv6", entry
            )
        if not _DIGITS.fullmatch(port) or not 0 < int(port) <= _PORT_MAX:
            self._refuse(f"Endpoint has a port that is not 1 to {_PORT_MAX}", entry)
        return self._host(host[1:-1] if bracketed else host, entry, bracketed=bracketed), int(port)

    def _host(self, host: str, entry: Entry, *, bracketed: bool) -> str:
        address = parse_address(host)
        if address is not None and bracketed == (address.version == _V6):
            if why := why_not(address, lan_ok=self._lan_ok):
                self._refuse(f"Endpoint is an address that {why}", entry)
            return str(address)
        name = host.removesuffix(".").lower()
        labels = name.split(".")
        if (
            bracketed
            or len(name) > _HOST_LIMIT
            or not _HOST.fullmatch(name)
            or not _LAST_LABEL.fullmatch(labels[-1])
        ):
            self._refuse("Endpoint has a host that is neither a DNS name nor an address", entry)
        in_house = len(labels) == 1 or any(name.endswith(f".{d}") for d in _HOUSE_DOMAINS)
        if in_house and not self._lan_ok:
            self._refuse("Endpoint has a name of the local network, not of a VPN server", entry)
        return name

    def _keepalive(self, peer: Section) -> int:
        entry = _last(peer, "persistentkeepalive")
        if entry is None or entry.compact.lower() in {"", "off"}:
            return _KEEPALIVE
        if not _DIGITS.fullmatch(entry.compact) or int(entry.compact) > _PORT_MAX:
            self._refuse("PersistentKeepalive is not `off` or 1 to 65535 seconds", entry)
        # Ours finds out in time that a router forgot us; a smaller one has its reason.
        return min(int(entry.compact) or _KEEPALIVE, _KEEPALIVE)

    # --- saying so --------------------------------------------------------------------------------

    def _required(self, section: Section, key: str) -> Entry:
        entry = _last(section, key)
        name = _NAMES[key]
        if entry is None:
            self._refuse(f"[{section.shown}] has no {name}", section)
        if not entry.compact:
            self._refuse(f"{name} is empty", entry)
        return entry

    def _ignore(self, key: str, why: str, line: int) -> None:
        ignored = Ignored(key, why, line)
        if ignored not in self._ignored[-_LIST_COUNT:]:
            self._ignored.append(ignored)

    def _refuse(self, reason: str, at: Entry | Section) -> NoReturn:
        self._conf.refuse(reason, at.line)


def _last(section: Section, key: str) -> Entry | None:
    """Return the entry that counts: said again, the latest."""
    return next((entry for entry in reversed(section.entries) if entry.key == key), None)


def _base64(text: str) -> bytes | None:
    """Return what this is the base64 of, in the one way to write it."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if base64.b64encode(decoded).decode() == text else None
