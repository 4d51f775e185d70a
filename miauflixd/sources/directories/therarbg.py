"""Servers with TheRARBG's JSON: all releases of an IMDb id, or a list searched by words."""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote, urlsplit

from miauflixd.runtime.priority import Priority
from miauflixd.sources import said
from miauflixd.sources.directories import fetching
from miauflixd.sources.directories.directory import (
    EVERYTHING,
    Capabilities,
    DirectoryKind,
    NothingThereError,
    TorrentBytes,
)
from miauflixd.sources.directories.exchange import Exchange
from miauflixd.sources.directories.torznab_caps import is_adult_name, suffix
from miauflixd.sources.offers import (
    MAX_FILES,
    MAX_TRACKERS,
    DirectoryId,
    Hints,
    Offer,
    OfferedFile,
    Query,
    info_hash_of,
)
from miauflixd.torrents.magnet import Magnet

_MAX_POSTS = 1000
"""Of one answer; a popular show with ten seasons has several hundred."""


class TheRarbg:
    """One such server."""

    kind: DirectoryKind = "therarbg"

    def __init__(
        self,
        *,
        id: DirectoryId,  # noqa: A002 -- the Protocol's word
        title: str,
        exchange: Exchange,
    ) -> None:
        self.id = id
        self.title = title
        self._exchange = exchange
        self._base = exchange.base.rstrip("/")

    def capabilities(self) -> Capabilities:
        """See `Directory`."""
        return Capabilities(kinds=EVERYTHING, ids=frozenset({"imdb"}))

    async def search(self, query: Query, *, priority: Priority) -> Sequence[Offer]:
        """See `Directory`."""
        if query.imdb_id and (found := await self._of_id(query, query.imdb_id, priority)):
            return found
        return await self._by_words(query, priority)

    async def check(self) -> None:
        """See `Directory`."""
        answer = await self._ask("/get-posts/category:Movies:time:1H/", Priority.WAITED_FOR)
        if not isinstance(answer.get("results"), list):
            raise self._exchange.nonsense()

    async def resolve(self, offer: Offer, *, priority: Priority) -> Magnet | TorrentBytes:
        """See `Directory`."""
        return await fetching.fetch(offer, self._exchange, priority=priority)

    async def _of_id(self, query: Query, imdb_id: str, priority: Priority) -> Sequence[Offer]:
        try:
            answer = await self._ask(f"/imdb-detail/{imdb_id}/", priority)
        except NothingThereError:
            return ()
        film = said.fields(answer.get("imdb"))
        # In seconds, and as a text; only a movie's is that of its releases.
        runtime = said.number(film.get("runtime"), most=said.MAX_SECONDS, least=60)
        posts = (said.fields(post) for post in said.items(answer.get("trb_posts"))[:_MAX_POSTS])
        found = (
            self._of_post(post, runtime if query.kind == "movie" else None)
            for post in posts
            if said.imdb_id(post.get("imdb")) in (None, imdb_id)
        )
        return [offer for offer in found if offer is not None and _is_wanted(query, offer)]

    async def _by_words(self, query: Query, priority: Priority) -> Sequence[Offer]:
        if not query.titles or not (title := " ".join(said.words(query.titles[0]))):
            return ()
        words = quote(f"{title} {suffix(query)}".rstrip(), safe="")
        try:
            answer = await self._ask(f"/get-posts/keywords:{words}:ncategory:XXX/", priority)
        except NothingThereError:
            return ()
        found = (
            self._of_row(said.fields(row)) for row in said.items(answer.get("results"))[:_MAX_POSTS]
        )
        return [
            offer
            for offer in found
            if offer is not None and (not query.imdb_id or offer.imdb_id in (None, query.imdb_id))
        ]

    async def _ask(self, path: str, priority: Priority) -> Mapping[str, object]:
        response = await self._exchange.get(
            self._base + path, {"format": "json"}, priority=priority
        )
        if urlsplit(response.url).path in ("", "/"):
            # What it does not know it sends to its front page.
            raise NothingThereError(f"{self._exchange.host} has nothing at that address")
        answer = self._exchange.decoded(self._exchange.accepted(response))
        if not isinstance(answer, dict):
            raise self._exchange.nonsense()
        return answer

    def _of_post(self, post: Mapping[str, object], runtime: int | None) -> Offer | None:
        name = said.text(post.get("name"))
        info_hash = info_hash_of(post.get("info_hash"))
        if not name or info_hash is None or is_adult_name(said.text(post.get("category_str"))):
            return None
        season = said.number(post.get("season"), most=9999, least=1)
        return Offer(
            directory=self.id,
            name=name,
            info_hash=info_hash,
            size=said.size(post.get("size")),
            seeders=said.peers(post.get("seeders")),
            leechers=said.peers(post.get("leechers")),
            published=said.moment(post.get("timestamp")) or said.moment(post.get("added")),
            trackers=tuple(_trackers(post))[:MAX_TRACKERS],
            imdb_id=said.imdb_id(post.get("imdb")),
            # 0 is what films have.
            season=season,
            episode=said.number(post.get("episode"), most=99_999, least=1) if season else None,
            runtime=runtime,
            hints=Hints(languages=_languages(post)),
            files=tuple(_files(post))[:MAX_FILES],
        )

    def _of_row(self, row: Mapping[str, object]) -> Offer | None:
        name = said.text(row.get("n"))
        info_hash = info_hash_of(row.get("h"))
        if not name or info_hash is None or is_adult_name(said.text(row.get("c"))):
            return None
        return Offer(
            directory=self.id,
            name=name,
            info_hash=info_hash,
            size=said.size(row.get("s")),
            seeders=said.peers(row.get("se")),
            leechers=said.peers(row.get("le")),
            published=said.moment(row.get("a")),
            imdb_id=said.imdb_id(row.get("i")),
        )


def _is_wanted(query: Query, offer: Offer) -> bool:
    """Whether a post of a show may hold what is looked for; what says nothing may."""
    if query.kind == "movie" or query.season is None or offer.season is None:
        return True
    if offer.season != query.season:
        return False
    return query.kind == "season" or offer.episode in (None, query.episode)


def _trackers(post: Mapping[str, object]) -> Iterator[str]:
    for item in said.items(post.get("trackers")):
        tracker = said.fields(item)
        # With an error it has not answered the server either.
        if tracker.get("scrape_error") is None and (
            address := said.text(tracker.get("tracker"), limit=500)
        ).startswith(("udp://", "http://", "https://")):
            yield address


def _languages(post: Mapping[str, object]) -> tuple[str, ...]:
    language = said.text(post.get("language"), limit=40).lower()
    # Some are numbers of a table that is not public.
    return (language,) if language and not language.isdecimal() else ()


def _files(post: Mapping[str, object]) -> Iterator[OfferedFile]:
    """Yield the files: of none, of a list of files, or of lists of names and of sizes."""
    for item in said.items(post.get("files"))[:MAX_FILES]:
        entry = said.fields(item)
        names, sizes = said.items(entry.get("name")), said.items(entry.get("size"))
        for number, name in enumerate(names[:MAX_FILES]):
            if plain := said.text(name):
                size = sizes[number] if number < len(sizes) else None
                yield OfferedFile(name=plain, size=said.size(size))
