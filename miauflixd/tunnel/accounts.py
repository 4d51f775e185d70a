"""The providers' lists of servers, renewed from time to time; a failure leaves the last one."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from random import SystemRandom

from miauflixd.errors import MiauflixdError, UnavailableError
from miauflixd.tunnel.model import Credentials, EndpointSpec, ProviderName, RungId, StoredAccount
from miauflixd.tunnel.providers.provider import Provider, ProviderUnavailableError

logger = logging.getLogger(__name__)

_SERVERS = 20
"""Servers of one account: more than ever die at once, few enough to try all of them."""

_EVERY = 6 * 3600.0
"""Seconds between two lists; loads change by the hour, servers by the week."""

_FIRST_RETRY = 60.0
_LAST_RETRY = 3600.0
"""Seconds until a provider that did not answer is asked again: doubling, up to this."""

_SPREAD = 0.2
"""By how much a pause may be shorter or longer, so that not all houses ask in the same second."""

Save = Callable[[RungId, Credentials, Sequence[EndpointSpec]], Awaitable[None]]
"""Keeps what a provider said of an account."""


class Accounts:
    """Asks providers on behalf of the accounts there are."""

    def __init__(
        self,
        *,
        providers: Mapping[ProviderName, Provider],
        country: str | None,
        city: str | None,
        save: Save,
    ) -> None:
        self._providers = providers
        self._country = country
        self._city = city
        self._save = save
        self._accounts: Sequence[StoredAccount] = ()
        self._problems: dict[RungId, str] = {}
        self._failures: Counter[RungId] = Counter()
        self._due: dict[RungId, float] = {}
        self._changed = asyncio.Event()
        self._random = SystemRandom()

    def look_in(self, *, country: str | None, city: str | None) -> None:
        """Want servers there from now on, and ask for them at once."""
        self._country = country
        self._city = city
        self._due.clear()
        self._changed.set()

    def problem(self, account: RungId) -> str | None:
        """Return why an account's servers could not be renewed, a sentence."""
        return self._problems.get(account)

    def follow(self, accounts: Sequence[StoredAccount]) -> None:
        """Ask on behalf of these from now on, of new ones at once."""
        self._accounts = accounts
        self._changed.set()

    async def ask(
        self, name: ProviderName, credentials: Credentials
    ) -> tuple[Credentials, Sequence[EndpointSpec]]:
        """Return what a provider says: complete credentials, and servers, the best first.

        Raises:
            InvalidInputError: these are no credentials, or the provider does not accept them.
            NotFoundError: it has no servers where they are wanted.
            UnavailableError: it does not answer.
        """
        provider = self._providers[name]
        credentials = await provider.identify(credentials)
        servers = await provider.servers(
            credentials, country=self._country, city=self._city, limit=_SERVERS
        )
        return credentials, servers

    async def refresh(self, account: StoredAccount) -> None:
        """Renew an account's servers; if that fails, the last ones stay."""
        try:
            credentials, servers = await self.ask(account.provider, account.credentials)
        except MiauflixdError as error:
            self._note_failure(account.id, error)
            # Not what was said: a provider's words may name the account.
            logger.warning(
                "The servers of an account with %s could not be renewed (%s); the last ones stay",
                account.provider,
                error.code,
            )
            return
        self.note_success(account.id)
        await self._save(account.id, credentials, servers)

    def note_success(self, account: RungId) -> None:
        """Note that its provider has just answered."""
        self._failures.pop(account, None)
        self._problems.pop(account, None)
        self._plan(account)

    async def run(self) -> None:
        """Renew each account's servers when it is time, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            for account in self._accounts:
                if self._due.setdefault(account.id, 0.0) <= loop.time():
                    await self.refresh(account)
            wake_at = min((self._due.get(one.id, 0.0) for one in self._accounts), default=math.inf)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if wake_at == math.inf else wake_at):
                    await self._changed.wait()

    def _note_failure(self, account: RungId, error: MiauflixdError) -> None:
        self._problems[account] = str(error)
        self._failures[account] += 1
        if isinstance(error, UnavailableError):
            self._plan(account, error)
        else:
            # It was understood and refused: only a person can change that.
            self._due[account] = math.inf

    def _plan(self, account: RungId, error: UnavailableError | None = None) -> None:
        pause = _EVERY
        if error is not None:
            # No more doublings than it takes: 2**1000 is no float.
            pause = min(_FIRST_RETRY * 2 ** min(self._failures[account] - 1, 10), _LAST_RETRY)
        pause *= self._random.uniform(1 - _SPREAD, 1 + _SPREAD)
        if isinstance(error, ProviderUnavailableError):
            pause = max(pause, error.retry_after or 0.0)
        self._due[account] = asyncio.get_running_loop().time() + pause
        self._changed.set()
