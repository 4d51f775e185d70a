"""Who is linked with Trakt, and tokens that are good when they are wanted.

    linked -- half of its life is over, or Trakt says no --> renewing -- a new pair --> linked
                                                             renewing -- Trakt says no --> broken
                                                             renewing -- no answer --> linked

A refresh token works once: whoever loses the pair that it was used for is signed out for good. So
there is one renewal at a time for each person, whoever waits for it; it goes on when nobody waits
any more; and the new pair is on the disk before it is used.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from miauflixd.auth.model import UserId
from miauflixd.catalogue.providers.provider import ProviderUnavailableError
from miauflixd.catalogue.providers.trakt_api import AccountRefusedError, TraktApi
from miauflixd.catalogue.providers.trakt_shapes import TokenAnswer
from miauflixd.catalogue.trakt_model import NotLinkedError, StoredLink, Tokens
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.secrets import Secret

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SHORTEST = 300.0
_LONGEST = 90 * 24 * 3600.0
"""Seconds that a pair may live. Trakt says a day since 2025, and three months before; what is not
between these is nonsense, and would have us ask all the time or never."""

_GRACE = 10.0
"""Seconds for which stopping waits for a renewal: what one exchange takes at most, and a write."""

_ATTEMPTS = 3
_BETWEEN = 30.0
"""Attempts to have Trakt forget a token, and seconds between them: it asks for 30 after a failure
of its own. A token that it keeps for all that ends by itself within a day."""


class Store(Protocol):
    """Where links are kept."""

    async def save(self, link: StoredLink) -> None:
        """Keep a link, in place of the user's last one."""
        ...

    async def remove(self, user_id: UserId) -> None:
        """Forget a user's link, if there is one."""
        ...


class TraktLinks:
    """The accounts that are linked."""

    def __init__(
        self,
        *,
        api: TraktApi,
        store: Store,
        links: Mapping[UserId, StoredLink],
        clock: Clock,
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._api = api
        self._store = store
        self._links = dict(links)
        self._clock = clock
        self._pause = pause
        self._unsaved: set[UserId] = set()
        self._renewals: dict[UserId, asyncio.Task[Tokens | MiauflixdError]] = {}
        self._group: asyncio.TaskGroup | None = None

    def find(self, user_id: UserId) -> StoredLink | None:
        """Return somebody's link, also a broken one."""
        return self._links.get(user_id)

    def users(self) -> list[UserId]:
        """Return all who have an account there that works."""
        return [user_id for user_id in self._links if self.is_linked(user_id)]

    def is_linked(self, user_id: UserId) -> bool:
        """Whether somebody has a link that works, as far as is known."""
        link = self._links.get(user_id)
        return link is not None and link.tokens is not None

    @asynccontextmanager
    async def in_background(self) -> AsyncIterator[asyncio.TaskGroup]:
        """Own what goes on when nobody waits for it, for the length of the block."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                yield group
            finally:
                self._group = None
                # The old pair is used up already: what is on its way is worth waiting for.
                if self._renewals:
                    await asyncio.wait(self._renewals.values(), timeout=_GRACE)

    def spawn(self, work: Coroutine[None, None, None], *, name: str) -> None:
        """Have something done in the background; it must not raise.

        Raises:
            ProviderUnavailableError: there is no background yet, or not any more.
        """
        _ = self._task(work, name=name)

    async def add(self, user_id: UserId, answer: TokenAnswer) -> None:
        """Link somebody."""
        now = self._clock()
        link = StoredLink(user_id=user_id, tokens=_tokens(answer, now), since=now)
        await self._store.save(link)
        self._links[user_id] = link

    async def remove(self, user_id: UserId) -> None:
        """Forget somebody's link, here at once and at Trakt when it can be reached."""
        link = self._links.pop(user_id, None)
        self._unsaved.discard(user_id)
        await self._store.remove(user_id)
        if link is not None and link.tokens is not None:
            self.revoke(link.tokens.access)

    def revoke(self, access: Secret) -> None:
        """Have Trakt forget a token, if it can be reached."""
        with suppress(ProviderUnavailableError):  # When this house is just stopping.
            self.spawn(self._revoke(access), name="trakt-revoke")

    async def call(self, user_id: UserId, ask: Callable[[Secret], Awaitable[T]]) -> T:
        """Return what Trakt answers to somebody's token, a new one if it does not take this one.

        Raises:
            NotLinkedError: they are not linked, or the link is broken.
            ProviderUnavailableError: there is no usable answer, or the link has just broken.
        """
        tokens = await self.fresh(user_id)
        try:
            return await ask(tokens.access)
        except AccountRefusedError:
            return await ask((await self.fresh(user_id, refused=tokens)).access)

    async def fresh(self, user_id: UserId, *, refused: Tokens | None = None) -> Tokens:
        """Return tokens that are good, as far as is known.

        Args:
            user_id: whose.
            refused: those that Trakt does not take, so that others are wanted.

        Raises:
            NotLinkedError: they are not linked, or the link is broken.
            ProviderUnavailableError: there are none to be had now.
        """
        link = self._links.get(user_id)
        if link is None or link.tokens is None:
            raise NotLinkedError("There is no account with Trakt. Link one first")
        now = self._clock()
        if link.tokens != refused and now < link.tokens.renew_at:
            return link.tokens
        renewal = self._renewals.get(user_id)
        if renewal is None:
            renewal = self._task(self._renewed(link, link.tokens), name="trakt-renewal")
            self._renewals[user_id] = renewal
            renewal.add_done_callback(lambda _: self._renewals.pop(user_id, None))
        result = await asyncio.shield(renewal)
        if isinstance(result, Tokens):
            return result
        if isinstance(result, AccountRefusedError | NotLinkedError) or link.tokens == refused:
            raise result
        if now < link.tokens.expires_at:
            return link.tokens
        raise result

    async def look_after(self) -> None:
        """Renew whatever it is time for, and save what could not be saved."""
        for user_id in self._unsaved & self._links.keys():
            await self._save(self._links[user_id])
        for link in list(self._links.values()):
            if link.tokens is not None and self._clock() >= link.tokens.renew_at:
                try:
                    await self.fresh(link.user_id)
                except MiauflixdError as error:
                    logger.debug("An account with Trakt could not be renewed (%s)", error.code)

    def _task(self, work: Coroutine[None, None, T], *, name: str) -> asyncio.Task[T]:
        if self._group is None:
            work.close()
            raise ProviderUnavailableError("This house is starting or stopping")
        return self._group.create_task(work, name=name)

    async def _renewed(self, link: StoredLink, tokens: Tokens) -> Tokens | MiauflixdError:
        try:
            answer = await self._api.renewed(tokens.refresh)
        except AccountRefusedError as error:
            await self._break(link, str(error))
            return error
        except MiauflixdError as error:
            return error
        renewed = replace(link, tokens=(new := _tokens(answer, self._clock())))
        if self._links.get(link.user_id) is link:
            await self._save(renewed)
            # Whoever unlinked it while it was saved has their removal behind it in the queue.
            if self._links.get(link.user_id) is link:
                self._links[link.user_id] = renewed
                return new
        self.revoke(new.access)
        return NotLinkedError("It was unlinked in the meantime")

    async def _break(self, link: StoredLink, reason: str) -> None:
        if self._links.get(link.user_id) is link:
            broken = replace(link, tokens=None, since=self._clock(), reason=reason)
            self._links[link.user_id] = broken
            logger.warning("Somebody's account with Trakt is not accepted any more")
            await self._save(broken)

    async def _save(self, link: StoredLink) -> None:
        try:
            await self._store.save(link)
            self._unsaved.discard(link.user_id)
        except MiauflixdError as error:
            # The last pair is used up: better one that a power cut can take than none.
            self._unsaved.add(link.user_id)
            logger.warning("An account with Trakt could not be saved (%s)", error.code)

    async def _revoke(self, access: Secret) -> None:
        for attempt in range(_ATTEMPTS):
            if attempt:
                await self._pause(_BETWEEN)
            try:
                await self._api.revoke(access)
            except ProviderUnavailableError as error:
                logger.debug("Trakt did not forget a token (%s)", error.code)
            else:
                return


def _tokens(answer: TokenAnswer, now: datetime) -> Tokens:
    seconds = min(max(answer.expires_in, _SHORTEST), _LONGEST)
    return Tokens(
        access=Secret(answer.access_token),
        refresh=Secret(answer.refresh_token),
        got_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )
