"""Asking a provider's API as a good guest: not too fast, nothing twice, and never insisting."""

import asyncio
import random
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Hashable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, NoReturn, Self, TypeVar
from urllib.parse import urlencode

from miauflixd.catalogue.model import ProviderName
from miauflixd.catalogue.providers.answers import Answers, Kept
from miauflixd.catalogue.providers.flights import Flights
from miauflixd.catalogue.providers.health import Health
from miauflixd.catalogue.providers.pace import Pace, Ticket
from miauflixd.catalogue.providers.provider import ProviderOffError, ProviderUnavailableError
from miauflixd.catalogue.providers.replies import (
    NOT_MODIFIED,
    Failure,
    Outcome,
    Reply,
    decoded,
    failure,
)
from miauflixd.egress.errors import EgressError
from miauflixd.errors import MiauflixdError
from miauflixd.runtime.clock import Clock
from miauflixd.runtime.http import Http
from miauflixd.runtime.priority import Priority

T = TypeVar("T")

_WITHIN = 15.0
"""Seconds for one exchange."""

_PERSON_WITHIN = 6.0
"""Seconds that a person waits for an answer, with all that it takes to get one."""

DELAYS = (0.5, 2.0)
"""Seconds, on average, before it is tried again; so often and no more."""

_LIMIT = 8 * 2**20
"""Bytes of an answer. The largest that is known, a season of 450 episodes, has 140,000."""

_KEEP = 8 * 2**20
"""Bytes of answers that are kept in memory: some 800 pages of lists."""

_OK = range(200, 300)
_JSON = "application/json"

_FINAL = frozenset({"refused", "tls", "too_large"})
"""Reasons of an `EgressError` that would be the same a second later."""

_FAILED = frozenset({"broken", "unreachable", "nonsense"})
"""What says that the provider is not well; that something is gone does not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer(Generic[T]):
    """An answer that has been understood."""

    value: T
    """Shared with whoever asked the same, so not to be changed."""
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]
    json: object | None = None
    expects: Collection[int] = ()
    delays: Sequence[float] = ()

    @property
    def personal(self) -> bool:
        """Whether somebody's own token is sent, so that it is theirs when it is not accepted."""
        return any(name.lower() == "authorization" for name in self.headers)


class PoliteApi:
    """One provider's API.

    Open it as a context manager: questions under way belong to the block, and end with it. One
    question (address, headers, and what is made of the answer) is under way once, whoever asks,
    and with the urgency of whoever is most in a hurry; it is given up when nobody waits any more.
    """

    def __init__(
        self,
        *,
        http: Http,
        company: str,
        base: str,
        official: str,
        pace: Pace,
        posts: Pace,
        health: Health,
        answers: Answers,
        flights: Flights,
        headers: Callable[[], Mapping[str, str]],
        within: float,
        person_within: float,
        delays: Sequence[float],
        sleep: Callable[[float], Awaitable[None]],
        jitter: Callable[[], float],
    ) -> None:
        self._http = http
        self._company = company
        self._base = base.rstrip("/")
        # Only somebody who chose another API can mean one on a private network.
        self._allow = (self._base,) if self._base != official else ()
        self._pace = pace
        self._posts = posts
        self.health = health
        """How it is doing; whoever knows better may say so."""
        self._answers = answers
        self._flights = flights
        self._headers = headers
        self._within = within
        self._person_within = person_within
        self._delays = delays
        self._sleep = sleep
        self._jitter = jitter
        self._counts: Counter[Outcome] = Counter()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        http: Http,
        name: ProviderName,
        company: str,
        base: str,
        official: str,
        pace: Pace,
        clock: Clock,
        refusal: str,
        headers: Callable[[], Mapping[str, str]] = dict,
        posts: Pace | None = None,
        within: float = _WITHIN,
        person_within: float = _PERSON_WITHIN,
        delays: Sequence[float] = DELAYS,
        keep: int = _KEEP,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> AsyncIterator[Self]:
        """Have an API for the length of the block.

        Args:
            http: the client of the host's network.
            name: which provider.
            company: what people call it.
            base: where it is; on a private network only if it is not the official address.
            official: where it really is.
            pace: how fast it may be asked.
            clock: the time of day.
            refusal: a sentence that says what to do when our key is not accepted.
            headers: what is sent with each request; asked each time.
            posts: how fast something may be sent to it, if that is another matter.
            within: seconds for one exchange.
            person_within: seconds that somebody waits who waits for just this, whatever it takes.
            delays: seconds, on average, before each further attempt.
            keep: bytes of answers that are kept in memory.
            monotonic: seconds, by which answers age; the running loop's by default.
            sleep: waits between attempts.
            jitter: a random number from 0 to 1.
        """
        async with Flights.open() as flights:
            yield cls(
                http=http,
                company=company,
                base=base,
                official=official,
                pace=pace,
                posts=posts or pace,
                health=Health(name=name, company=company, refusal=refusal, clock=clock),
                answers=Answers(limit=keep, monotonic=monotonic or asyncio.get_running_loop().time),
                flights=flights,
                headers=headers,
                within=within,
                person_within=person_within,
                delays=delays,
                sleep=sleep,
                jitter=jitter,
            )

    def counts(self) -> Mapping[Outcome, int]:
        """Return how many requests there were by what became of them, for the metrics."""
        return self._counts

    async def get(
        self,
        path: str,
        query: Mapping[str, str | int] | None = None,
        *,
        kind: type[T],
        priority: Priority,
        cached: bool = True,
    ) -> T:
        """Return what `ask` does, without the headers."""
        answer = await self.ask(path, query, kind=kind, priority=priority, cached=cached)
        return answer.value

    async def ask(
        self,
        path: str,
        query: Mapping[str, str | int] | None = None,
        *,
        kind: type[T],
        priority: Priority,
        headers: Mapping[str, str] | None = None,
        cached: bool = True,
    ) -> Answer[T]:
        """Ask for some JSON, at most twice more if it fails in a way that may pass.

        Args:
            path: behind the base URL, its parts quoted.
            query: what stands behind the question mark.
            kind: what the JSON is made into; frozen, for it is shared.
            priority: who waits. A person waits for a few seconds in all, and then learns so.
            headers: besides the usual ones; somebody's own `Authorization`, say, and then it is
                that which 401 and 403 mean: a `RequestRejectedError`. Answers are shared only among
                those who send the same.
            cached: whether an answer may be used that the server said still holds; and whether
                this one is worth keeping for others.

        Raises:
            GoneError: there is nothing there (404, 410).
            ProviderRefusedError: our key is not accepted (401, 403).
            RequestRejectedError: another 4xx.
            ProviderUnavailableError: no answer, or none that can be understood.
        """
        own = headers or {}
        url = self._url(path, query)
        key = (url, tuple(sorted(own.items())))
        kept = self._answers.get(key) if cached else None
        if kept is not None and self._answers.holds(kept):
            self._counts["kept"] += 1
            return self._understood(key, kept.body, kept.headers, kind)

        async def look(ticket: Ticket) -> Answer[T]:
            return await self._look(key, kept, ticket, url=url, own=own, kind=kind, keep=cached)

        return await self._wait(
            self._flights.join((key, kind), look, priority, pace=self._pace), priority
        )

    async def post(
        self,
        path: str,
        json: object,
        *,
        priority: Priority,
        headers: Mapping[str, str] | None = None,
        expects: Collection[int] = (),
        again: bool = False,
    ) -> Reply:
        """Send some JSON, and return the answer; `decode` says what it is.

        Args:
            path: behind the base URL, its parts quoted.
            json: what to send.
            priority: who waits.
            headers: besides the usual ones, as for `ask`.
            expects: statuses that are answers to this besides 2xx, so that nothing is raised over
                them, nor are they held against the provider: 409 for what was known already.
            again: whether it does no harm when it arrives twice, so that it may be tried again.

        Raises:
            MiauflixdError: as `ask` does.
        """
        request = _Request(
            method="POST",
            url=self._url(path, None),
            headers=headers or {},
            json=json,
            expects=expects,
            delays=self._delays if again else (),
        )

        async def send() -> Reply:
            reply = await self._exchange(request, Ticket(priority), self._posts)
            self.health.worked()
            return reply

        return await self._wait(send(), priority)

    def decode(self, body: bytes, kind: type[T]) -> T:
        """Return what an answer says.

        Raises:
            ProviderUnavailableError: it says something else.
        """
        return decoded(self._company, body, kind)

    async def _wait(self, answer: Awaitable[T], priority: Priority) -> T:
        seconds = self._person_within if priority is Priority.WAITED_FOR else None
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError as error:
            reason = f"{self._company} did not answer within {seconds:g} s"
            self.health.failed(reason)
            raise ProviderUnavailableError(reason) from error

    async def _look(
        self,
        key: Hashable,
        kept: Kept | None,
        ticket: Ticket,
        *,
        url: str,
        own: Mapping[str, str],
        kind: type[T],
        keep: bool,
    ) -> Answer[T]:
        known = {"If-None-Match": kept.etag} if kept is not None and kept.etag else {}
        request = _Request(method="GET", url=url, headers={**own, **known}, delays=self._delays)
        reply = await self._exchange(request, ticket, self._pace)
        if kept is not None and reply.status == NOT_MODIFIED:
            self._answers.renew(key, kept, reply.headers)
            answer = self._understood(key, kept.body, kept.headers, kind)
        else:
            answer = self._understood(key, reply.body, reply.headers, kind)
            if keep:
                self._answers.put(key, reply.body, reply.headers)
        self.health.worked()
        return answer

    def _understood(
        self, key: Hashable, body: bytes, headers: Mapping[str, str], kind: type[T]
    ) -> Answer[T]:
        try:
            return Answer(value=self.decode(body, kind), headers=headers)
        except ProviderUnavailableError as error:
            self._answers.forget(key)
            self._counts["nonsense"] += 1
            self.health.failed(str(error))
            raise

    async def _exchange(self, request: _Request, ticket: Ticket, pace: Pace) -> Reply:
        """Send a request, and again while that may help; count, and tell the health of failures."""
        # Whoever is known to be away is tried once: a day without internet is no time to insist.
        delays = iter(() if self.health.failing else request.delays)
        while True:
            async with pace.turn(ticket):
                if self.health.is_off:  # since it was asked for, perhaps with a key that is gone
                    raise ProviderOffError(f"{self._company} is not to be asked any more")
                result = await self._once(request)
            if isinstance(result, Reply):
                return result
            self._counts[result.outcome] += 1
            if result.rest is not None:
                pace.rest(result.rest)
                self.health.rests(result.rest)
            delay = next(delays, None) if result.passing else None
            if delay is None:
                self._give_up(result)
            # A server that says when is asked then: its turn waits for that, or says it will not.
            elif not pace.resting:
                await self._sleep(delay * (0.5 + self._jitter()))

    def _give_up(self, result: Failure) -> NoReturn:
        if result.outcome == "refused":
            self.health.refused(str(result.error))
        elif result.outcome in _FAILED:
            self.health.failed(str(result.error))
        raise result.error

    async def _once(self, request: _Request) -> Reply | Failure:
        try:
            response = await self._http.request(
                request.method,
                request.url,
                headers={"Accept": _JSON, **self._headers(), **request.headers},
                json=request.json,
                timeout=self._within,
                limit=_LIMIT,
                allow=self._allow,
            )
        except (MiauflixdError, OSError) as error:
            passing = not (isinstance(error, EgressError) and error.reason in _FINAL)
            unavailable = ProviderUnavailableError(f"{self._company} does not answer: {error}")
            unavailable.__cause__ = error
            return Failure(outcome="unreachable", error=unavailable, passing=passing)
        reply = Reply(status=response.status, headers=response.headers, body=response.body)
        outcome: Outcome
        if reply.status in _OK:
            outcome = "ok"
        elif reply.status in request.expects:
            outcome = "expected"
        elif reply.status == NOT_MODIFIED and "If-None-Match" in request.headers:
            outcome = "unchanged"
        else:
            return failure(self._company, reply, personal=request.personal)
        self._counts[outcome] += 1
        return reply

    def _url(self, path: str, query: Mapping[str, str | int] | None) -> str:
        # Halves of surrogate pairs, which JSON can smuggle in, are not to become an error here.
        return self._base + path + (f"?{urlencode(query, errors='replace')}" if query else "")
