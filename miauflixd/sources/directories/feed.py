"""RSS or Atom with torrents in it: what is new is gathered, and searched here."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from miauflixd.runtime.clock import Clock
from miauflixd.runtime.http import Response
from miauflixd.runtime.priority import Priority
from miauflixd.sources import said
from miauflixd.sources.directories import fetching
from miauflixd.sources.directories.directory import Capabilities, DirectoryKind, TorrentBytes
from miauflixd.sources.directories.exchange import Exchange, header
from miauflixd.sources.directories.feed_xml import Entry, NotXmlError, read
from miauflixd.sources.directories.torznab_xml import offer_of_links, offers_of
from miauflixd.sources.offers import DirectoryId, Offer, Query, info_hash_of, sieve
from miauflixd.torrents.magnet import Magnet

_FRESH = timedelta(minutes=15)
"""What those who publish feeds ask of readers, as a rule."""

_KEPT = 5000
"""Offers that are remembered: a busy feed shows two days, and here are some months of it."""

_NOT_MODIFIED = 304

_TORRENT = "application/x-bittorrent"


class Feed:
    """One feed."""

    kind: DirectoryKind = "feed"

    def __init__(
        self,
        *,
        id: DirectoryId,  # noqa: A002 -- the Protocol's word
        title: str,
        exchange: Exchange,
        clock: Clock,
    ) -> None:
        self.id = id
        self.title = title
        self._exchange = exchange
        self._clock = clock
        self._asked_at: datetime | None = None
        self._validators: dict[str, str] = {}
        # By what leads to it; the newest last, as dictionaries keep their order.
        self._known: dict[str, Offer] = {}
        self._one_at_a_time = asyncio.Lock()

    def capabilities(self) -> Capabilities:
        """See `Directory`."""
        return Capabilities()

    async def search(self, query: Query, *, priority: Priority) -> Sequence[Offer]:
        """See `Directory`."""
        async with self._one_at_a_time:
            if self._asked_at is None or abs(self._clock() - self._asked_at) >= _FRESH:
                await self._refresh(priority)
        # In a thread too: comparing some thousand names takes a moment.
        return await asyncio.to_thread(_fitting, query, tuple(self._known.values()))

    async def check(self) -> None:
        """See `Directory`."""
        async with self._one_at_a_time:
            await self._refresh(Priority.WAITED_FOR)

    async def resolve(self, offer: Offer, *, priority: Priority) -> Magnet | TorrentBytes:
        """See `Directory`."""
        return await fetching.fetch(offer, self._exchange, priority=priority)

    async def _refresh(self, priority: Priority) -> None:
        response = await self._exchange.get(
            self._exchange.base, headers=dict(self._validators), priority=priority
        )
        if response.status != _NOT_MODIFIED:
            self._exchange.accepted(response)
            # In a thread, for ten megabytes take a second.
            self._remember(await asyncio.to_thread(self._offers, response))
            # Only now: what could not be read must not be called unchanged next time.
            self._validators = {
                wanted: value
                for wanted, given in (
                    ("If-None-Match", "ETag"),
                    ("If-Modified-Since", "Last-Modified"),
                )
                if (value := header(response, given))
            }
        self._asked_at = self._clock()

    def _offers(self, response: Response) -> Sequence[Offer]:
        try:
            document = read(response.body, content_type=header(response, "Content-Type"))
        except NotXmlError as error:
            raise self._exchange.nonsense() from error
        if document.root in ("rss", "rdf"):
            return offers_of(document, directory=self.id, anything=True)
        if document.root != "feed":
            raise self._exchange.nonsense()
        found = (_of_atom(entry, self.id) for entry in document.entries)
        return [offer for offer in found if offer is not None]

    def _remember(self, found: Sequence[Offer]) -> None:
        # Feeds begin with the newest.
        for offer in reversed(found):
            key = offer.info_hash or offer.magnet or offer.torrent_url or ""
            self._known.pop(key, None)
            self._known[key] = offer
        for key in list(self._known)[: len(self._known) - _KEPT]:
            del self._known[key]


def _fitting(query: Query, offers: Sequence[Offer]) -> Sequence[Offer]:
    could_be = sieve(query)
    return [
        offer
        for offer in offers
        if could_be(offer.name) or (query.imdb_id and offer.imdb_id == query.imdb_id)
    ]


def _of_atom(entry: Entry, directory: DirectoryId) -> Offer | None:
    links = list(entry.all("link"))
    enclosed = [
        link.attributes.get("href", "")
        for link in links
        if link.attributes.get("rel", "").lower() == "enclosure"
        or link.attributes.get("type", "").lower() == _TORRENT
    ]
    others = [link.attributes.get("href", "") for link in links]
    return offer_of_links(
        entry,
        (*enclosed, *others, entry.text("id")),
        directory=directory,
        info_hash=info_hash_of(entry.text("infohash")),
        torrent_url=next((found for link in enclosed if (found := said.url(link))), None),
    )
