"""Room on the disk: downloads stop before there is none, and go on when there is some."""

import logging
from collections.abc import Callable, Iterable

from miauflixd.engine.messages import Command, RetryStorage, StorageFailed
from miauflixd.torrents.active import ActiveTorrent
from miauflixd.torrents.downloads import Downloads

logger = logging.getLogger(__name__)

_ROOM_AGAIN = 16 * 2**20
"""Bytes above the minimum that must be free before downloads go on, lest they stop every second."""


class Room:
    """Watches it."""

    def __init__(
        self, *, send: Callable[[Command], None], downloads: Downloads, minimum: int
    ) -> None:
        """Begin without having looked.

        Args:
            send: gives the engine a command.
            downloads: where they lie.
            minimum: bytes to be left free.
        """
        self._send = send
        self._downloads = downloads
        self.minimum = minimum

    def look(self, torrents: Iterable[ActiveTorrent]) -> None:
        """Stop those that want something and have no room for it, and let others go on."""
        free: int | None = None
        for active in torrents:
            if free is None:
                free = self._downloads.free()
            if active.no_room and free >= self.minimum + _ROOM_AGAIN:
                logger.info("There is room on the disk again; downloads go on")
                active.no_room = False
                self._send(RetryStorage(torrent_id=active.source_id))
            elif not active.no_room and free < self.minimum and active.wanting:
                logger.warning("The disk is almost full; downloads wait until there is room")
                active.no_room = True
            else:
                continue
            active.replan()
            active.announce_news()


def on_storage_failed(active: ActiveTorrent, event: StorageFailed) -> None:
    """Have a torrent wait for room, or give it up when it is not room that is wanting."""
    if active.no_room:
        # Every block under way fails, and then the hash of a piece whose blocks were not written
        # ("file too short"): all for want of room. What else is wrong will show again.
        return
    if event.full:
        logger.warning("The disk is full; downloads wait until there is room")
        active.no_room = True
    else:
        logger.error("The disk cannot be used: %s", event.detail)
        active.failure = f"The disk cannot be used: {event.detail}"
    active.replan()
    active.announce_news()
