"""The household's accounts with Trakt: linking one, reading its lists, telling what was watched.

unlinked -- begin --> waiting -- the code is typed --> linked -- Trakt says no --> broken
                      waiting -- denied, or too late --> unlinked
any of them -- unlink --> unlinked           broken -- begin --> waiting
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Self

import msgspec

from miauflixd.auth.model import UserId
from miauflixd.catalogue import text
from miauflixd.catalogue.providers.pace import Pace
from miauflixd.catalogue.providers.provider import GoneError
from miauflixd.catalogue.providers.trakt_api import (
    COMPANY,
    POSTS_PER_SECOND,
    App,
    Poll,
    TraktApi,
)
from miauflixd.catalogue.providers.trakt_history_shapes import (
    ActivitiesAnswer,
    paused,
    seen_movies,
    seen_shows,
)
from miauflixd.catalogue.providers.trakt_shapes import (
    DeviceCodeAnswer,
    LikedAnswer,
    ListAnswer,
    TokenAnswer,
    entries,
)
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.catalogue.trakt_links import TraktLinks
from miauflixd.catalogue.trakt_model import (
    Action,
    AlreadyLinkedError,
    DeviceCode,
    NotLinkedError,
    Paused,
    SeenMovie,
    SeenShow,
    TraktLink,
    TraktList,
    TraktOffError,
    Watched,
)
from miauflixd.catalogue.trakt_scrobbles import Scrobbles
from miauflixd.catalogue.trakt_store import TraktStore
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.http import Http
from miauflixd.runtime.secrets import Secret

logger = logging.getLogger(__name__)

_EVERY = 900.0
"""Seconds between two looks at whose tokens are half-way through their day."""

_PAGES = 5
"""Pages of one list that are read: nobody looks through more than 500 titles of a row."""

_HISTORY = 100
"""Likewise of what somebody has seen: three films a day for nine years."""

_LISTS = 20
"""Lists of one person, own and liked, that are read."""

_SLOWER = 5.0
"""Seconds that are added to the interval when Trakt says that it is asked too often (RFC 8628)."""

_INTERVALS = (1.0, 60.0)
_LIFETIMES = (60.0, 3600.0)
"""What an interval and the life of a code can be; seconds. Trakt says 5 and 600."""

_OVER: Final[dict[Poll, str]] = {
    "denied": "It was refused at Trakt",
    "expired": "Nobody has typed the code in time",
    "used": "The code was used by somebody else",
    "unknown": "Trakt does not know the code any more",
}

_BEGIN = "Link an account to have its lists here, and what is watched there"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Waiting:
    """A code that somebody is to type."""

    code: DeviceCode
    device_code: Secret
    since: datetime
    until: datetime


class TraktAccounts:
    """The accounts, and what goes on with them in the background.

    Each person's is their own affair: nothing of it is shared with the household, and a link that
    breaks disturbs nobody else's.
    """

    def __init__(
        self,
        *,
        api: TraktApi,
        links: TraktLinks,
        scrobbles: Scrobbles,
        clock: Clock,
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._api = api
        self._links = links
        self._scrobbles = scrobbles
        self._clock = clock
        self._pause = pause
        self._started = clock()
        self._waiting: dict[UserId, _Waiting] = {}
        self._ended: dict[UserId, tuple[datetime, str]] = {}
        self._beginning = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        *,
        http: Http,
        settings: CatalogueSettings,
        store: TraktStore,
        clock: Clock,
        posts: Pace | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> Self:
        """Return the accounts as they were left; `run` has to run for them to go on.

        Args:
            http: the client of the host's network.
            settings: of the catalogue; without an application at Trakt everything is off.
            store: where they are kept.
            clock: the time of day.
            posts: how fast Trakt is told something; as it wants it unless said otherwise.
            pause: waits so many seconds.

        Raises:
            UnsealError: they were sealed with another key.
        """
        app = None
        if settings.trakt_client_id is not None and settings.trakt_client_secret is not None:
            app = App(
                client_id=settings.trakt_client_id, client_secret=settings.trakt_client_secret
            )
        usual = Pace(company=COMPANY, per_second=POSTS_PER_SECOND, burst=1, at_once=1)
        api = TraktApi(http=http, app=app, posts=posts or usual, base=settings.trakt_url)
        links = TraktLinks(
            api=api, store=store, links=await store.links(), clock=clock, pause=pause
        )
        scrobbles = Scrobbles(api=api, links=links, clock=clock, pause=pause)
        return cls(api=api, links=links, scrobbles=scrobbles, clock=clock, pause=pause)

    async def run(self) -> None:
        """Wait for codes to be typed, keep tokens fresh and tell what is watched, until cancelled.

        Without an application at Trakt there is nothing of this to do.
        """
        async with self._links.in_background() as group:
            group.create_task(self._scrobbles.run(), name="trakt-scrobbles")
            while True:
                if self._api.is_on:
                    await self._links.look_after()
                await self._pause(_EVERY)

    def is_linked(self, user_id: UserId) -> bool:
        """Return whether somebody has an account there that works."""
        return self._api.is_on and self._links.is_linked(user_id)

    def linked(self) -> Sequence[UserId]:
        """Return all who have."""
        return self._links.users() if self._api.is_on else ()

    def state(self, user_id: UserId) -> TraktLink:
        """Return how somebody's link is."""
        if not self._api.is_on:
            return TraktLink(
                state="off",
                since=self._started,
                reason="The settings have no application at Trakt",
                next="Whoever administers this house can make one at trakt.tv/oauth/applications",
            )
        waiting = self._waiting.get(user_id)
        if waiting is not None and (code := self._left(waiting)) is not None:
            return TraktLink(
                state="waiting",
                since=waiting.since,
                reason="Nobody has typed the code at Trakt yet",
                next="Open the address, sign in there and type the code",
                code=code,
            )
        link = self._links.find(user_id)
        if link is None:
            since, reason = self._ended.get(user_id, (self._started, "No account is linked"))
            return TraktLink(state="unlinked", since=since, reason=reason, next=_BEGIN)
        if link.tokens is None:
            return TraktLink(
                state="broken",
                since=link.since,
                reason=link.reason,
                next="Link it again, or unlink it for good",
            )
        return TraktLink(
            state="linked",
            since=link.since,
            reason="Trakt accepts the account",
            next="What is watched is told, and the lists are read",
        )

    async def begin(self, user_id: UserId) -> DeviceCode:
        """Return a code for somebody to type at Trakt; the same one while it waits already.

        Raises:
            TraktOffError: the settings have no application at Trakt.
            AlreadyLinkedError: they are linked.
            ProviderUnavailableError: Trakt does not answer.
        """
        # One at a time: of two that come at once, the second is to see the first one's code.
        async with self._beginning:
            if not self._api.is_on:
                raise TraktOffError("The settings have no application at Trakt")
            if self._links.is_linked(user_id):
                raise AlreadyLinkedError("An account is linked already. Unlink it first")
            waiting = self._waiting.get(user_id)
            if waiting is not None and (code := self._left(waiting)) is not None:
                return code
            now = self._clock()
            waiting = _waiting(await self._api.device_code(), now)
            self._links.spawn(self._wait(user_id, waiting), name="trakt-device-code")
            self._waiting[user_id] = waiting
            self._ended.pop(user_id, None)
            return waiting.code

    async def unlink(self, user_id: UserId) -> None:
        """Forget somebody's account, also one that is just being linked; Trakt is told later."""
        self._waiting.pop(user_id, None)
        self._scrobbles.forget(user_id)
        if self._links.find(user_id) is not None:
            self._ended[user_id] = (self._clock(), "It was unlinked")
        await self._links.remove(user_id)

    async def lists(self, user_id: UserId) -> Sequence[TraktList]:
        """Return what somebody wants to watch, their own lists, and those that they like.

        Raises:
            NotLinkedError: they are not linked.
            ProviderUnavailableError: Trakt does not answer.
        """
        if not self._api.is_on:
            raise NotLinkedError("There is no account with Trakt")
        found = [
            TraktList(
                id="watchlist",
                title="Watchlist",
                whose="own",
                items=entries(await self._read(user_id, "/users/me/watchlist")),
            )
        ]
        own = _each(await self._read(user_id, "/users/me/lists"), ListAnswer)
        liked = _each(await self._read(user_id, "/users/likes/lists"), LikedAnswer)
        lists: list[tuple[Literal["own", "liked"], ListAnswer]] = [
            *(("own", one) for one in own),
            *(("liked", one.list) for one in liked),
        ]
        seen: set[int] = set()
        for whose, one in lists[:_LISTS]:
            title = text.clean(one.name, text.TITLE)
            if one.number is None or one.number in seen or not title:
                continue
            seen.add(one.number)
            path = f"/users/me/lists/{one.number}" if whose == "own" else f"/lists/{one.number}"
            with suppress(GoneError):  # It was deleted, or hidden, since they liked it.
                items = entries(await self._read(user_id, f"{path}/items"))
                found.append(TraktList(id=str(one.number), title=title, whose=whose, items=items))
        return found

    def scrobble(
        self, user_id: UserId, action: Action, watched: Watched, *, progress: float
    ) -> None:
        """Tell Trakt what somebody's player does, if they are linked; raises nothing.

        Args:
            user_id: who watches.
            action: what the player did.
            watched: what they watch.
            progress: per cent.
        """
        if self._api.is_on:
            self._scrobbles.put(user_id, action, watched, progress=progress)

    def history_add(self, user_id: UserId, watched: Watched, *, at: datetime) -> None:
        """Tell Trakt that somebody has watched something, if they are linked; raises nothing."""
        if self._api.is_on:
            self._scrobbles.put_at(user_id, None, watched, progress=100.0, at=at)

    async def activities(self, user_id: UserId) -> ActivitiesAnswer:
        """Return when what somebody watches last changed there, which is one small question.

        Raises:
            NotLinkedError: they are not linked.
            ProviderUnavailableError: Trakt does not answer.
        """
        return await self._links.call(user_id, self._api.activities)

    async def seen_movies(self, user_id: UserId, *, since: datetime | None) -> Sequence[SeenMovie]:
        """Return the movies that somebody has seen; of those before `since` rather none.

        Raises:
            NotLinkedError: they are not linked.
            ProviderUnavailableError: Trakt does not answer.
        """
        raws = await self._read(user_id, "/sync/watched/movies", pages=_HISTORY)
        return seen_movies(raws, since=since, now=self._clock())

    async def seen_shows(self, user_id: UserId, *, since: datetime | None) -> Sequence[SeenShow]:
        """Return the shows of which somebody has seen something, likewise.

        Raises:
            NotLinkedError: they are not linked.
            ProviderUnavailableError: Trakt does not answer.
        """
        # Without that word it has said nothing of episodes since July of 2026.
        raws = await self._read(
            user_id, "/sync/watched/shows", query={"extended": "progress"}, pages=_HISTORY
        )
        return seen_shows(raws, since=since, now=self._clock())

    async def paused(self, user_id: UserId) -> Sequence[Paused]:
        """Return what somebody is in the middle of.

        Raises:
            NotLinkedError: they are not linked.
            ProviderUnavailableError: Trakt does not answer.
        """
        raws = await self._read(user_id, "/sync/playback", query={"extended": "full"}, pages=1)
        return paused(raws, now=self._clock())

    async def _read(
        self,
        user_id: UserId,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        pages: int = _PAGES,
    ) -> list[msgspec.Raw]:
        async def read(access: Secret) -> list[msgspec.Raw]:
            return await self._api.everything(path, access, query=query, pages=pages)

        return await self._links.call(user_id, read)

    async def _wait(self, user_id: UserId, waiting: _Waiting) -> None:
        """Ask whether the code was typed, until it is known; whoever unlinks ends it."""
        interval = waiting.code.interval
        reason = _OVER["expired"]
        while self._clock() < waiting.until:
            await self._pause(interval)
            if self._waiting.get(user_id) is not waiting:
                return
            try:
                answer = await self._api.device_token(waiting.device_code)
            except MiauflixdError as error:
                # It is asked again, for as long as the code holds.
                logger.debug("Trakt did not say whether a code was typed (%s)", error.code)
                continue
            if isinstance(answer, TokenAnswer):
                await self._linked(user_id, waiting, answer)
                return
            if answer == "slower":
                interval += _SLOWER
            elif answer != "pending":
                reason = _OVER[answer]
                break
        if self._waiting.get(user_id) is waiting:
            del self._waiting[user_id]
            self._ended[user_id] = (self._clock(), reason)

    async def _linked(self, user_id: UserId, waiting: _Waiting, answer: TokenAnswer) -> None:
        if self._waiting.get(user_id) is not waiting:
            # They have changed their mind while Trakt was asked.
            self._links.revoke(Secret(answer.access_token))
            return
        del self._waiting[user_id]
        try:
            await self._links.add(user_id, answer)
        except MiauflixdError as error:
            self._ended[user_id] = (self._clock(), "It could not be saved")
            self._links.revoke(Secret(answer.access_token))
            logger.warning("An account with Trakt could not be saved (%s)", error.code)
            return
        logger.info("An account with Trakt was linked")

    def _left(self, waiting: _Waiting) -> DeviceCode | None:
        """Return a code with what is left of its life, if anything is."""
        left = (waiting.until - self._clock()).total_seconds()
        return replace(waiting.code, expires_in=left) if left > 0 else None


def _waiting(answer: DeviceCodeAnswer, now: datetime) -> _Waiting:
    lifetime = _within(answer.expires_in, _LIFETIMES)
    return _Waiting(
        code=DeviceCode(
            user_code=answer.user_code,
            verification_url=answer.verification_url,
            expires_in=lifetime,
            interval=_within(answer.interval, _INTERVALS),
        ),
        device_code=Secret(answer.device_code),
        since=now,
        until=now + timedelta(seconds=lifetime),
    )


def _within(number: float, bounds: tuple[float, float]) -> float:
    least, most = bounds
    return min(max(number, least), most)


def _each(raws: Sequence[msgspec.Raw], kind: type[Any]) -> list[Any]:
    """Return those of a list that are of this kind."""
    found = []
    for raw in raws:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            found.append(msgspec.json.decode(raw, type=kind))
    return found
