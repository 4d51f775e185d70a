"""All indexers of a Prowlarr at once, by its own JSON search: it has no Torznab for that."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from miauflixd.runtime.priority import Priority
from miauflixd.runtime.secrets import Secret
from miauflixd.sources import said
from miauflixd.sources.directories import fetching
from miauflixd.sources.directories.directory import (
    EVERYTHING,
    Capabilities,
    DirectoryKind,
    TorrentBytes,
)
from miauflixd.sources.directories.exchange import Exchange
from miauflixd.sources.directories.feed_xml import MAX_ENTRIES
from miauflixd.sources.directories.torznab_caps import PAGE, is_adult, is_adult_name, suffix
from miauflixd.sources.offers import (
    DirectoryId,
    Offer,
    Query,
    info_hash_of,
    magnet_of,
    trackers_of,
)
from miauflixd.torrents.magnet import Magnet

_ALL_TORRENT_INDEXERS = "-2"

_MOVIES, _TV = "2000", "5000"

Parameters = Mapping[str, str | Sequence[str]]


class Prowlarr:
    """A Prowlarr."""

    kind: DirectoryKind = "prowlarr"

    def __init__(
        self,
        *,
        id: DirectoryId,  # noqa: A002 -- the Protocol's word
        title: str,
        exchange: Exchange,
        api_key: Secret | None,
        categories: Sequence[int] = (),
    ) -> None:
        """Say whom to ask.

        Args:
            id: the directory's name here.
            title: what its operator calls it.
            exchange: leads to where its own page is.
            api_key: of its settings, under "General".
            categories: where to look, instead of all movies or all shows.
        """
        self.id = id
        self.title = title
        self._exchange = exchange
        self._base = exchange.base.rstrip("/")
        self._api_key = api_key
        self._categories = tuple(map(str, categories))

    def capabilities(self) -> Capabilities:
        """See `Directory`."""
        return Capabilities(kinds=EVERYTHING, ids=frozenset({"imdb", "tmdb", "tvdb"}))

    async def search(self, query: Query, *, priority: Priority) -> Sequence[Offer]:
        """See `Directory`."""
        for parameters in self._requests(query):
            body = await self._ask("search", parameters, priority)
            # In a thread, since all indexers together may have a thousand.
            if offers := await asyncio.to_thread(self._offers, body):
                return offers
        return ()

    async def check(self) -> None:
        """See `Directory`."""
        await self._ask("indexer", {}, Priority.WAITED_FOR)

    async def resolve(self, offer: Offer, *, priority: Priority) -> Magnet | TorrentBytes:
        """See `Directory`."""
        return await fetching.fetch(offer, self._exchange, priority=priority)

    def _requests(self, query: Query) -> Iterator[Parameters]:
        """Yield what to ask: by ids, for indexers that know them, then by words for the others."""
        movie = query.kind == "movie"
        common: Parameters = {
            "indexerIds": _ALL_TORRENT_INDEXERS,
            # Once for each, and not a list in one.
            "categories": self._categories or (_MOVIES if movie else _TV,),
            "limit": str(PAGE),
            "offset": "0",
        }
        if ids := _tokens(query):
            kind = "movie" if movie else "tvsearch"
            yield {"query": ids, "type": kind, **common}
        for title in query.titles[:1]:
            if words := " ".join(said.words(title)):
                asked = f"{words} {suffix(query)}".rstrip()
                yield {"query": asked, "type": "search", **common}

    async def _ask(self, path: str, parameters: Parameters, priority: Priority) -> object:
        # In the header, since servers write the addresses that they are asked for into their logs.
        headers = {"X-Api-Key": self._api_key.reveal()} if self._api_key else {}
        response = await self._exchange.get(
            f"{self._base}/api/v1/{path}",
            parameters,
            headers={"Accept": "application/json", **headers},
            priority=priority,
        )
        body = self._exchange.decoded(self._exchange.accepted(response))
        if not isinstance(body, list):
            raise self._exchange.nonsense()
        return body

    def _offers(self, body: object) -> Sequence[Offer]:
        found = (self._offer(said.fields(item)) for item in said.items(body)[:MAX_ENTRIES])
        return [offer for offer in found if offer is not None]

    def _offer(self, item: Mapping[str, object]) -> Offer | None:
        name = said.text(item.get("title"))
        if not name or item.get("protocol") == "usenet" or _for_adults(item):
            return None
        links = [item.get(key) for key in ("magnetUrl", "downloadUrl", "guid")]
        magnet = next((found for link in links if (found := magnet_of(link))), None)
        info_hash = info_hash_of(magnet) if magnet else info_hash_of(item.get("infoHash"))
        # Its magnet links are proxied too, and so look like any address.
        torrent_url = said.url(item.get("downloadUrl")) or said.url(item.get("magnetUrl"))
        if not (magnet or info_hash or torrent_url):
            return None
        return Offer(
            directory=self.id,
            name=name,
            info_hash=info_hash,
            magnet=magnet,
            torrent_url=torrent_url,
            size=said.size(item.get("size")),
            seeders=said.peers(item.get("seeders")),
            leechers=said.peers(item.get("leechers")),
            published=said.moment(item.get("publishDate")),
            trackers=trackers_of(magnet),
            imdb_id=said.imdb_id(item.get("imdbId")),
            tmdb_id=said.outside_id(item.get("tmdbId")),
            tvdb_id=said.outside_id(item.get("tvdbId")),
        )


def _tokens(query: Query) -> str:
    """Return the ids as Prowlarr wants them within a query: `{ImdbId:tt...}{Season:1}`."""
    if query.kind == "movie":
        ids = {"ImdbId": query.imdb_id, "TmdbId": query.tmdb_id}
    else:
        ids = {"TvdbId": query.tvdb_id, "ImdbId": query.imdb_id, "TmdbId": query.tmdb_id}
    known = {name: value for name, value in ids.items() if value}
    if not known:
        return ""
    place: dict[str, object] = {}
    if query.kind == "episode" and query.daily and query.aired:
        place = {"Season": query.aired.year, "Episode": f"{query.aired:%m/%d}"}
    elif query.kind != "movie" and query.season is not None:
        place = {"Season": query.season}
        if query.kind == "episode" and query.episode is not None:
            place["Episode"] = query.episode
    return "".join(f"{{{name}:{value}}}" for name, value in {**known, **place}.items())


def _for_adults(item: Mapping[str, object]) -> bool:
    for category in said.items(item.get("categories")):
        fields = said.fields(category)
        number = said.number(fields.get("id"), most=10**7)
        if (number is not None and is_adult(number)) or is_adult_name(
            said.text(fields.get("name"))
        ):
            return True
    return False
