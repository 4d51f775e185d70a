"""What people watch, on its way to Trakt.

Nobody who watches a film waits for Trakt: what there is to tell stands in a queue, and goes when it
can. It lives in memory only, for what was lost with a power cut can be marked by hand.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from miauflixd.auth.model import UserId
from miauflixd.catalogue.providers import trakt_shapes
from miauflixd.catalogue.providers.provider import (
    GoneError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from miauflixd.catalogue.providers.trakt_api import (
    AccountRefusedError,
    RequestRejectedError,
    TraktApi,
)
from miauflixd.catalogue.trakt_links import TraktLinks
from miauflixd.catalogue.trakt_model import Action, NotLinkedError, Watched
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.secrets import Secret

logger = logging.getLogger(__name__)

_MOST = 200
"""What may wait; a household of ten that watches all day says less in a day."""

_STALE = timedelta(minutes=5)
"""After this a start or a pause tells nothing true any more, and a stop is told as history."""

_LATE = timedelta(hours=24)
"""After this nothing is told."""

_WATCHED = 80.0
"""Per cent from which a stop is, to Trakt, that it was watched."""

_FIRST_PAUSE = 30.0
_LAST_PAUSE = 900.0
"""Seconds until it is told again when Trakt is away: 30, as it asks for, doubling up to this."""

_FINAL: Final = (
    AccountRefusedError,
    GoneError,
    NotLinkedError,
    ProviderRefusedError,
    RequestRejectedError,
)
"""What telling it once more would not change."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Message:
    user_id: UserId
    action: Action | None
    """`None`: only that it was watched."""
    watched: Watched
    progress: float
    at: datetime


class Scrobbles:
    """The queue, and who works it off."""

    def __init__(
        self,
        *,
        api: TraktApi,
        links: TraktLinks,
        clock: Clock,
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._api = api
        self._links = links
        self._clock = clock
        self._pause = pause
        self._queue: deque[_Message] = deque()
        self._some = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How much there is to tell."""
        return len(self._queue)

    def put(
        self, user_id: UserId, action: Action | None, watched: Watched, *, progress: float
    ) -> None:
        """Tell this when it can be; never raises, and never waits.

        Args:
            user_id: who watches; nothing happens when they are not linked.
            action: what the player did; `None`: it was watched, however.
            watched: what.
            progress: per cent.
        """
        self.put_at(user_id, action, watched, progress=progress, at=self._clock())

    def put_at(
        self,
        user_id: UserId,
        action: Action | None,
        watched: Watched,
        *,
        progress: float,
        at: datetime,
    ) -> None:
        """Tell what was the case at a time; see `put`."""
        if not self._links.is_linked(user_id) or not watched.can_be_found:
            return
        # What is newer says it all, but for what was watched: that stays.
        stay = [
            one for one in self._queue if one.user_id != user_id or one.action in ("stop", None)
        ]
        self._queue = deque(stay, maxlen=_MOST)
        self._queue.append(
            _Message(
                user_id=user_id,
                action=action,
                watched=watched,
                progress=round(min(max(progress, 0.0), 100.0), 2) if math.isfinite(progress) else 0,
                at=at,
            )
        )
        self._some.set()

    def forget(self, user_id: UserId) -> None:
        """Tell nothing more of what somebody watched."""
        self._queue = deque((one for one in self._queue if one.user_id != user_id), maxlen=_MOST)

    async def run(self) -> None:
        """Tell Trakt, until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            self._some.clear()
            if not self._queue:
                pause = _FIRST_PAUSE
                await self._some.wait()
                continue
            message = self._queue[0]
            try:
                await self._tell(message)
            except _FINAL as error:
                logger.debug("Trakt did not take what somebody watched (%s)", error.code)
            except MiauflixdError as error:
                asked = error.retry_after if isinstance(error, ProviderUnavailableError) else None
                await self._pause(max(pause, asked or 0.0))
                pause = min(pause * 2, _LAST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            # It may have been taken out while it was told.
            if self._queue and self._queue[0] is message:
                self._queue.popleft()

    async def _tell(self, message: _Message) -> None:
        said = _said(message, age=self._clock() - message.at)
        if said is None:
            return
        path, body = said

        async def tell(access: Secret) -> None:
            await self._api.tell(path, body, access)

        await self._links.call(message.user_id, tell)


def _said(message: _Message, *, age: timedelta) -> tuple[str, dict[str, Any]] | None:
    """Return where Trakt is told this and in which words; nothing when it is too late for it."""
    finished = message.action is None or (message.action == "stop" and message.progress >= _WATCHED)
    if age > _LATE or (age > _STALE and not finished):
        return None
    if message.action is None or age > _STALE:
        at = message.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return "/sync/history", trakt_shapes.history(message.watched, at)
    body = trakt_shapes.about(message.watched) | {"progress": message.progress}
    return f"/scrobble/{message.action}", body
