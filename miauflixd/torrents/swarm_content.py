"""What a reader of a torrent reads from: pieces that come out of the swarm."""

import asyncio

from miauflixd.errors import StorageFullError
from miauflixd.torrents.active import ActiveTorrent, Position
from miauflixd.torrents.model import Layout
from miauflixd.torrents.pieces import Pieces
from miauflixd.torrents.reader import NoDataError, SourceFailedError
from miauflixd.torrents.road import Road

_SUSPICIOUS_AFTER = 5.0
"""Seconds of waiting for one piece after which something must be wrong.

One of 17 starts in a test never reported a piece that was there.
"""


class SwarmContent:
    """A torrent in the swarm, as its readers see it.

    Invariant: a piece may be sent when the engine has reported it as on the disk and right.
    """

    def __init__(
        self, *, torrent: ActiveTorrent, layout: Layout, road: Road, no_data_timeout: float
    ) -> None:
        self._torrent = torrent
        self._layout = layout
        self._road = road
        self._no_data_timeout = no_data_timeout

    @property
    def pieces(self) -> Pieces:
        """Those on the disk."""
        return self._torrent.pieces

    def enter(self, position: Position) -> None:
        """Serve a reader from now on."""
        self._torrent.enter(position)

    def leave(self, position: Position) -> None:
        """Forget a reader and, with it, its window."""
        self._torrent.leave(position)

    def moved(self) -> None:
        """Note that some reader went on."""
        self._torrent.moved()

    async def wait_for_data(self, at: Position, *, begun: bool) -> None:
        """Wait for the piece at a reader's position as long as the swarm gives anything at all.

        Raises:
            NoDataError: it gave nothing for too long.
            TunnelDownError: nor could it, for there is no way to it.
            StorageFullError: there is no room for more.
            SourceFailedError: the torrent was removed, or cannot be used.
        """
        torrent = self._torrent
        piece = self._layout.piece_at(at.file, at.position)
        if piece in torrent.pieces:
            return
        torrent.replan()
        loop = asyncio.get_running_loop()
        downloaded, silent_since = torrent.downloaded, loop.time()
        while piece not in torrent.pieces:
            if torrent.removed.is_set():
                raise SourceFailedError("This source was removed while it was being read")
            if torrent.failure is not None:
                raise SourceFailedError(torrent.failure)
            if torrent.no_room:
                raise StorageFullError("There is too little room on the disk to go on downloading")
            if torrent.downloaded > downloaded:
                downloaded, silent_since = torrent.downloaded, loop.time()
            patience = self._no_data_timeout
            # What is on the disk is not known at first, and may be all that is wanted.
            deadline = self._road.deadline(
                silent_since, patience=patience, begun=begun or not torrent.checked
            )
            if loop.time() >= deadline:
                self._road.require()
                raise NoDataError(f"Nothing came from the swarm for {patience:.0f} seconds")
            try:
                async with asyncio.timeout(min(_SUSPICIOUS_AFTER, deadline - loop.time())):
                    await torrent.pieces.wait_for(piece)
            except TimeoutError:
                if self._road.up:
                    torrent.on_stall()
