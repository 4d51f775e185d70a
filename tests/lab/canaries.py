"""Marks that nobody else's packets carry, so that one of them in the open proves a leak."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Canaries:
    """The marks of one run."""

    token: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    """Begins every name of the run below `leak.example`."""
    magic: bytes = field(default_factory=lambda: b"miau" + uuid.uuid4().bytes)
    """Is in every heartbeat and in every block of the film."""
    open_names: set[str] = field(default_factory=set)
    """Names that the house may ask for in the open: of WireGuard servers."""
    hashes: list[bytes] = field(default_factory=list)
    """Info-hashes of all torrents of the run."""

    def name(self, kind: str) -> str:
        """Return a name of the run: `tracker-3f….leak.example`."""
        return f"{kind}-{self.token}.leak.example"

    def patterns(self) -> Sequence[tuple[str, bytes]]:
        """Return what to look for in a packet, and what each is called."""
        found = [
            ("name", self.token.encode()),
            ("magic", self.magic),
            ("domain", b"\x04leak\x07ex"),
        ]
        for info_hash in self.hashes:
            found.append(("info-hash", info_hash))
            # LSD writes it in capitals; the packet is compared in small letters.
            found.append(("info-hash in hex", info_hash.hex().encode()))
        return found

    def found_in(self, data: bytes) -> str | None:
        """Return what kind of mark is in there, if any."""
        small = data.lower()
        for kind, pattern in self.patterns():
            if pattern in data or pattern.lower() in small:
                return kind
        return None
