"""Anything that speaks Torznab: Jackett, one indexer of Prowlarr, and many others."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from miauflixd.runtime.clock import Clock
from miauflixd.runtime.http import Response
from miauflixd.runtime.priority import Priority
from miauflixd.runtime.secrets import Secret
from miauflixd.sources.directories import fetching
from miauflixd.sources.directories.directory import (
    EVERYTHING,
    Capabilities,
    DirectoryKind,
    DirectoryUnavailableError,
    FunctionMissingError,
    NothingThereError,
    TorrentBytes,
)
from miauflixd.sources.directories.exchange import LIMIT, Exchange, header
from miauflixd.sources.directories.feed_xml import NotXmlError, read
from miauflixd.sources.directories.torznab_caps import (
    CAPS_LIMIT,
    Caps,
    Parameters,
    read_caps,
    requests,
)
from miauflixd.sources.directories.torznab_errors import complaint
from miauflixd.sources.directories.torznab_xml import offers_of
from miauflixd.sources.offers import DirectoryId, Offer, Query
from miauflixd.torrents.magnet import Magnet

_CAPS_LAST = timedelta(days=7)
"""As Prowlarr keeps them; they change when the server is updated."""


class Torznab:
    """One Torznab endpoint."""

    kind: DirectoryKind = "torznab"

    def __init__(
        self,
        *,
        id: DirectoryId,  # noqa: A002 -- the Protocol's word
        title: str,
        exchange: Exchange,
        api_key: Secret | None,
        categories: Sequence[int] = (),
        clock: Clock,
    ) -> None:
        """Say whom to ask.

        Args:
            id: the directory's name here.
            title: what its operator calls it.
            exchange: leads to its address, with or without `/api` at the end.
            api_key: what it wants to be told, if anything.
            categories: where to look, instead of what the server's caps suggest.
            clock: the time of day.
        """
        self.id = id
        self.title = title
        self._exchange = exchange
        base = exchange.base.rstrip("/")
        self._url = base if base.endswith("/api") else f"{base}/api"
        self._api_key = api_key
        self._categories = tuple(categories)
        self._clock = clock
        self._caps: Caps | None = None
        self._caps_from: datetime | None = None

    def capabilities(self) -> Capabilities:
        """See `Directory`."""
        if self._caps is None:
            return Capabilities(kinds=EVERYTHING)
        return self._caps.to_capabilities()

    async def search(self, query: Query, *, priority: Priority) -> Sequence[Offer]:
        """See `Directory`."""
        caps = await self._known_caps(priority)
        missing: FunctionMissingError | None = None
        answered = False
        for parameters in requests(query, caps, categories=self._categories):
            try:
                found = await self._ask(parameters, priority, adult=caps.adult)
            except FunctionMissingError as error:
                missing = error  # its caps promise what it does not do
                continue
            answered = True
            if found:
                return found
        if missing is not None and not answered:
            raise missing
        return ()

    async def check(self) -> None:
        """See `Directory`."""
        self._caps = None
        caps = await self._known_caps(Priority.WAITED_FOR)
        # Caps are given to anybody, so only a search shows whether the key is right.
        function = "search" if "search" in caps.functions else next(iter(caps.functions))
        await self._ask({"t": function, "limit": "1"}, Priority.WAITED_FOR)

    async def resolve(self, offer: Offer, *, priority: Priority) -> Magnet | TorrentBytes:
        """See `Directory`."""
        return await fetching.fetch(
            offer, self._exchange, priority=priority, complaint=self._complaint
        )

    async def _known_caps(self, priority: Priority) -> Caps:
        now = self._clock()
        fresh = self._caps_from is not None and abs(now - self._caps_from) < _CAPS_LAST
        if self._caps is not None and fresh:
            return self._caps
        response = await self._get({"t": "caps"}, priority, limit=CAPS_LIMIT)
        try:
            caps = await asyncio.to_thread(read_caps, response.body)
        except NotXmlError as error:
            raise self._exchange.nonsense() from error
        self._caps, self._caps_from = caps, now
        return caps

    async def _ask(
        self, parameters: Parameters, priority: Priority, *, adult: frozenset[int] = frozenset()
    ) -> Sequence[Offer]:
        try:
            response = await self._get(parameters, priority)
        except NothingThereError:
            return ()
        # In a thread, for ten megabytes take a second.
        return await asyncio.to_thread(self._offers, response, adult)

    def _offers(self, response: Response, adult: frozenset[int]) -> Sequence[Offer]:
        try:
            document = read(response.body, content_type=header(response, "Content-Type"))
        except NotXmlError as error:
            raise self._exchange.nonsense() from error
        if document.root not in ("rss", "rdf", "feed"):
            raise self._exchange.nonsense()
        return offers_of(document, directory=self.id, adult=adult)

    async def _get(
        self, parameters: Parameters, priority: Priority, *, limit: int = LIMIT
    ) -> Response:
        response = await self._exchange.get(
            self._url,
            {**parameters, **self._key()},
            priority=priority,
            complaint=self._complaint,
            limit=limit,
        )
        return self._exchange.accepted(response)

    def _complaint(self, response: Response) -> DirectoryUnavailableError | None:
        return complaint(response, self._exchange.host)

    def _key(self) -> Mapping[str, str]:
        return {"apikey": self._api_key.reveal()} if self._api_key else {}
