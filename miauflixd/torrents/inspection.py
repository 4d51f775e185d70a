"""Having `.torrent` files read by the engine, which is there to face what strangers wrote."""

import asyncio
import os
from collections.abc import Callable

from miauflixd.engine.messages import Command, Event, Inspect, Metadata, Rejected
from miauflixd.torrents.model import BadTorrentError

_INSPECT_WITHIN = 15.0
"""Seconds in which the engine must have read a `.torrent` file; it takes milliseconds."""


class Inspections:
    """Files that the engine is reading."""

    def __init__(self, *, send: Callable[[Command], None]) -> None:
        self._send = send
        self._answers: dict[str, asyncio.Future[Metadata]] = {}

    async def inspect(self, metainfo: bytes) -> Metadata:
        """Return what a file says.

        Raises:
            BadTorrentError: the file cannot be used.
        """
        ticket = os.urandom(8).hex()
        answer: asyncio.Future[Metadata] = asyncio.get_running_loop().create_future()
        self._answers[ticket] = answer
        try:
            self._send(Inspect(torrent_id=ticket, metainfo=metainfo))
            async with asyncio.timeout(_INSPECT_WITHIN):
                return await answer
        except TimeoutError:
            raise BadTorrentError("Reading this .torrent file takes too long") from None
        finally:
            del self._answers[ticket]

    def take(self, event: Event) -> bool:
        """Return whether an event was an answer, after passing it on to whoever waits for it."""
        if not isinstance(event, Metadata | Rejected):
            return False
        answer = self._answers.get(event.torrent_id)
        if answer is None:
            return False
        if answer.done():
            pass
        elif isinstance(event, Metadata):
            answer.set_result(event)
        else:
            answer.set_exception(BadTorrentError(event.detail))
        return True
