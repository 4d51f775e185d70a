"""Torrents that libtorrent has for a moment, to ask somebody something.

A guest downloads nothing and writes nothing, and it gives way: libtorrent takes each info-hash only
once, and a source that is to stay never waits for one that only asks.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from pathlib import Path

import libtorrent as lt

NOWHERE = Path("/dev/null")
"""Where guests have their files. Below it nothing can be made, whatever a torrent would like: that
they want no file is one guard against it, and this is the other."""

_CONNECTIONS = 30
"""Peers of one guest. Of thirty one has the metadata, and eight guests leave streams theirs."""

InfoHashes = frozenset[bytes]
"""One of each version that is known."""


@dataclass(kw_only=True, eq=False)
class Occupant:
    """A torrent that libtorrent has, or will have in a moment."""

    torrent_id: str
    hashes: InfoHashes
    trackers: set[str]
    handle: lt.torrent_handle | None = None
    """Absent until libtorrent has taken the torrent."""
    removing: bool = False


def info_hashes(parameters: lt.add_torrent_params) -> InfoHashes:
    """Return the info-hashes of what is to be added."""
    hashes = parameters.info_hashes if parameters.ti is None else parameters.ti.info_hashes()
    found = set()
    if hashes.has_v1():
        found.add(hashes.v1.to_bytes())
    if hashes.has_v2():
        found.add(hashes.v2.to_bytes())
    return frozenset(found)


class Lost(Enum):
    """Why a guest is gone though nobody let it go."""

    GAVE_WAY = auto()
    REFUSED = auto()
    """libtorrent does not take it: most likely it has one of the same hash after all."""


@dataclass(kw_only=True, eq=False)
class Guest(Occupant):
    """One of them."""

    sent: bool = False
    """libtorrent was told to take it."""
    more_trackers: list[str] = field(default_factory=list)
    """Those that came before the handle."""


class Guests:
    """All of them."""

    def __init__(self, session: lt.session, *, on_lost: Callable[[Guest, Lost], None]) -> None:
        """Begin with none.

        Args:
            session: libtorrent's.
            on_lost: called when one is gone though nobody let it go.
        """
        self._session = session
        self._on_lost = on_lost
        self._numbers = itertools.count()
        self._guests: dict[str, Guest] = {}
        self._by_handle: dict[lt.torrent_handle, Guest] = {}
        self._postponed: list[Callable[[], None]] = []

    def add(self, parameters: lt.add_torrent_params, *, paused: bool) -> Guest:
        """Have libtorrent take a torrent, paused or in its swarm; what has its hash gives way."""
        guest = Guest(
            torrent_id=f"guest-{next(self._numbers)}",
            hashes=info_hashes(parameters),
            trackers=set(parameters.trackers),
        )
        parameters.flags = (
            lt.torrent_flags.duplicate_is_error
            | lt.torrent_flags.apply_ip_filter  # how `network` disconnects
            | lt.torrent_flags.default_dont_download  # or empty files would be made
        )
        if paused:
            parameters.flags |= lt.torrent_flags.paused
        parameters.max_connections = _CONNECTIONS
        # The last component is our id: it is how the answering alert is recognised.
        parameters.save_path = str(NOWHERE / guest.torrent_id)
        # First of all, so that whoever gives way finds it.
        self._guests[guest.torrent_id] = guest
        self._make_way(guest, guest.hashes, partial(self._send, guest, parameters))
        return guest

    def add_trackers(self, guest: Guest, urls: Iterable[str]) -> None:
        """Ask these trackers, too."""
        for url in urls:
            if url in guest.trackers:
                continue
            guest.trackers.add(url)
            if guest.handle is None:
                guest.more_trackers.append(url)
            else:
                guest.handle.add_tracker({"url": url})

    def of(self, handle: lt.torrent_handle) -> Guest | None:
        """Return the one with this handle, if it is one of them."""
        return self._by_handle.get(handle)

    def find(self, hashes: InfoHashes) -> Guest | None:
        """Return the one that has one of these info-hashes."""
        return next(
            (one for one in self._guests.values() if one.hashes & hashes and not one.removing), None
        )

    def has(self, alert: lt.add_torrent_alert) -> bool:
        """Whether what libtorrent has taken, or not taken, is one of them."""
        return Path(alert.params.save_path).parent == NOWHERE

    def on_added(self, alert: lt.add_torrent_alert) -> Guest | None:
        """Take over the handle of one, and return it if it is still wanted."""
        guest = self._guests.get(Path(alert.params.save_path).name)
        if guest is None:
            return None
        if alert.error.value():
            del self._guests[guest.torrent_id]
            self._on_lost(guest, Lost.REFUSED)
        else:
            guest.handle = alert.handle
            self._by_handle[alert.handle] = guest
            for url in guest.more_trackers:
                alert.handle.add_tracker({"url": url})
            if guest.removing:
                self._remove(guest, alert.handle)
        postponed, self._postponed = self._postponed, []
        for again in postponed:
            again()
        return guest if guest.torrent_id in self._guests else None

    def let_go(self, guest: Guest) -> None:
        """Have libtorrent forget one that is not needed any more."""
        guest.removing = True
        if guest.handle is not None:
            self._remove(guest, guest.handle)
        elif not guest.sent:
            del self._guests[guest.torrent_id]  # it never comes

    def make_way(self, hashes: InfoHashes, then: Callable[[], None]) -> None:
        """Let go of those with one of these info-hashes; `then` add what takes their place.

        That is at once, but for the milliseconds in which libtorrent is still taking one of them.
        """
        self._make_way(None, hashes, then)

    def _make_way(
        self, newcomer: Guest | None, hashes: InfoHashes, then: Callable[[], None]
    ) -> None:
        if newcomer is not None and newcomer.removing:
            return
        # Whoever came later waits for the newcomer, not the other way round.
        before = itertools.takewhile(lambda one: one is not newcomer, self._guests.values())
        in_the_way = [guest for guest in before if guest.hashes & hashes]
        if any(guest.handle is None for guest in in_the_way):
            self._postponed.append(partial(self._make_way, newcomer, hashes, then))
            return
        for guest in in_the_way:
            self.let_go(guest)
        # libtorrent does one thing after the other.
        then()
        for guest in in_the_way:
            self._on_lost(guest, Lost.GAVE_WAY)

    def _send(self, guest: Guest, parameters: lt.add_torrent_params) -> None:
        guest.sent = True
        self._session.async_add_torrent(parameters)

    def _remove(self, guest: Guest, handle: lt.torrent_handle) -> None:
        del self._guests[guest.torrent_id]
        # Before it is removed: a handle of what is gone is no key any more.
        del self._by_handle[handle]
        self._session.remove_torrent(handle)
