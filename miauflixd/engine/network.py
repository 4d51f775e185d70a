"""When the session may talk, and whom it calls back after the road has changed.

```
            up                      another generation
   closed ------> open ---+  disconnects, dials again, announces
          <------         |
            down    ^-----+
```

Closed: no socket listens, no torrent runs, no hash table: nothing is sent. The session is born so.
"""

import asyncio
from collections.abc import Sequence

import libtorrent as lt

from miauflixd.engine import tuning
from miauflixd.engine.messages import Configure, ExternalAddress, SetNetwork
from miauflixd.engine.sockets import Emit

_PATIENCE = ((0.3, 1), (10.0, 5))
"""From how many seconds after a change of the road on a peer is called again after how many.

What fails soon after it has failed because of the road. Later it is the peer's own fault, and to
insist would be rude.
"""

_AT_ONCE = 0
"""For the first moment: connections that the keeper has just ended count as failures of the peers.
Any longer, and a peer that still holds the old connection would refuse three times in a row, after
which libtorrent calls it no more."""

Handles = Sequence[lt.torrent_handle]


class Network:
    """The session's way out."""

    def __init__(self, *, session: lt.session, configure: Configure, emit: Emit) -> None:
        self._session = session
        self._configure = configure
        self._emit = emit
        self._up = False
        self._generation = 0
        self._address: str | None = None
        self._listening: set[tuple[str, int]] = set()
        self._calmings: list[asyncio.TimerHandle] = []
        # Nothing listens yet, and there is no torrent: there was nothing to be said up to here.
        session.pause()

    def configure(self, configure: Configure, handles: Handles) -> None:
        """Take over limits, and listen elsewhere if that has changed: at once, and say so."""
        moved = configure.listen != self._configure.listen
        self._configure = configure
        if moved:
            self._listening.clear()
        self._session.apply_settings(tuning.limits(configure, up=self._up))
        if moved and self._up:
            self._announce(handles)

    def set(self, command: SetNetwork, handles: Handles) -> None:
        """Open or close the way out, or start anew on another one."""
        was_up, self._up = self._up, command.up
        replaced = command.generation != self._generation
        self._generation = command.generation
        if not command.up:
            if was_up:
                self._close()
        elif not was_up:
            self._open(handles)
        elif replaced:
            self._start_over(handles)

    def close(self) -> None:
        """Do nothing any more."""
        for timer in self._calmings:
            timer.cancel()

    @property
    def sockets(self) -> int:
        """On how many addresses we listen, as far as libtorrent has told."""
        return len(self._listening)

    def on_listening(self, alert: lt.listen_succeeded_alert) -> None:
        """Note an address that libtorrent listens on."""
        if alert.socket_type == lt.socket_type_t.tcp:
            self._listening.add((alert.address, alert.port))

    def on_external_address(self, address: str | None) -> None:
        """Note what others say our address is, and pass it on if that is new."""
        if address != self._address:
            self._address = address
            self._emit(ExternalAddress(address=address))

    def _close(self) -> None:
        self._listening.clear()
        # The sockets first: a torrent that is paused says goodbye to its trackers, through them.
        self._session.apply_settings(tuning.limits(self._configure, up=False))
        self._session.pause()
        self.on_external_address(None)

    def _open(self, handles: Handles) -> None:
        self._session.apply_settings(tuning.limits(self._configure, up=True))
        self._hurry_up()
        self._session.resume()
        self._announce(handles)

    def _start_over(self, handles: Handles) -> None:
        """Make every connection anew: behind the interface is another server, with our old peers.

        Pausing would disconnect, too, but tell the trackers that we stopped, and they believe it.
        """
        connected = [(handle, _peers(handle)) for handle in handles]
        self._listening.clear()
        # Without sockets, for a torrent that is paused says goodbye to its trackers.
        self._session.apply_settings(tuning.limits(self._configure, up=False))
        self._session.pause()
        everybody = lt.ip_filter()
        for _, peers in connected:
            for host, _ in peers:
                everybody.add_rule(host, host, 1)
        # Whom a filter hits is forgotten, with all failures: as good as new.
        self._session.set_ip_filter(everybody)
        self._session.set_ip_filter(lt.ip_filter())
        for handle, peers in connected:
            for peer, dialled in peers.items():
                if dialled:
                    handle.connect_peer(peer)
        self._hurry_up()
        self._session.apply_settings(tuning.limits(self._configure, up=True))
        # A torrent that goes on dials at once, and else once a second.
        self._session.resume()
        self._announce(handles)
        self.on_external_address(None)

    def _announce(self, handles: Handles) -> None:
        for handle in handles:
            # A second ago, for libtorrent adds one; of all trackers.
            handle.force_reannounce(-1, -1, lt.torrent_handle.ignore_min_interval)
            if self._configure.dht:
                handle.force_dht_announce()

    def _hurry_up(self) -> None:
        self.close()
        self._session.apply_settings(tuning.reconnecting(after=_AT_ONCE))
        loop = asyncio.get_running_loop()
        self._calmings = [
            loop.call_later(since, self._session.apply_settings, tuning.reconnecting(after=after))
            for since, after in _PATIENCE
        ]


def _peers(handle: lt.torrent_handle) -> dict[tuple[str, int], bool]:
    """Return the peers that a torrent is connected to, and whether it was us who called.

    The others called from a port that nobody listens on.
    """
    # This waits for libtorrent's thread, as nothing else here does; its `post_` form delivers
    # nothing that Python could read. It takes 0.3 ms, and only when the road changes.
    return {
        peer.ip: bool(peer.flags & lt.peer_info.local_connection) for peer in handle.get_peer_info()
    }
