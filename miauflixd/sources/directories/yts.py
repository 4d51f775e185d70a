"""Servers with version 2 of YTS's JSON API: films only, and few releases of each."""

from collections.abc import Iterator, Mapping, Sequence

from miauflixd.runtime.priority import Priority
from miauflixd.sources import said
from miauflixd.sources.directories import fetching
from miauflixd.sources.directories.directory import (
    Capabilities,
    DirectoryKind,
    DirectoryUnavailableError,
    TorrentBytes,
)
from miauflixd.sources.directories.exchange import Exchange
from miauflixd.sources.offers import DirectoryId, Hints, InfoHash, Offer, Query, info_hash_of
from miauflixd.torrents.magnet import Magnet

_PATH = "/api/v2/list_movies.json"

_LIMIT = 20
"""Films of an answer, which is what these servers give by themselves."""

_MAX_TORRENTS = 50
"""Of one film; they have at most a dozen."""

_QUALITIES = frozenset({"480p", "720p", "1080p", "1440p", "2160p"})

_SOURCE_TYPES = (
    (("blu", "bdrip", "brrip"), "bluray"),
    (("web",), "web"),
    (("dvdscr", "scr"), "scr"),
    (("dvd",), "dvd"),
    (("hdtv", "tv"), "hdtv"),
    (("hdts", "telesync", "ts"), "ts"),
    (("telecine", "tc"), "tc"),
    (("cam", "hdcam"), "cam"),
)
"""How their types begin, and what we call them; the first that fits."""

_CODECS = {
    "x264": "h264",
    "h264": "h264",
    "avc": "h264",
    "x265": "h265",
    "h265": "h265",
    "hevc": "h265",
    "av1": "av1",
    "vp9": "vp9",
    "xvid": "xvid",
    "mpeg2": "mpeg2",
}

_MINUTE = 60


class Yts:
    """One such server."""

    kind: DirectoryKind = "yts"

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
        self._url = exchange.base.rstrip("/") + _PATH

    def capabilities(self) -> Capabilities:
        """See `Directory`."""
        return Capabilities(kinds=frozenset({"movie"}), ids=frozenset({"imdb"}))

    async def search(self, query: Query, *, priority: Priority) -> Sequence[Offer]:
        """See `Directory`."""
        if query.kind != "movie" or not (term := _term(query)):
            return ()
        films = await self._ask({"query_term": term, "page": "1", "limit": str(_LIMIT)}, priority)
        return [
            offer
            for film in films[:_LIMIT]
            if _is_it(query, fields := said.fields(film))
            for offer in self._offers(fields)
        ]

    async def check(self) -> None:
        """See `Directory`."""
        await self._ask({"limit": "1"}, Priority.WAITED_FOR)

    async def resolve(self, offer: Offer, *, priority: Priority) -> Magnet | TorrentBytes:
        """See `Directory`."""
        return await fetching.fetch(offer, self._exchange, priority=priority)

    async def _ask(self, parameters: Mapping[str, str], priority: Priority) -> Sequence[object]:
        response = await self._exchange.get(self._url, parameters, priority=priority)
        answer = said.fields(self._exchange.decoded(self._exchange.accepted(response)))
        if answer.get("status") != "ok":
            raise DirectoryUnavailableError(f"{self._exchange.host} reports a problem")
        # Where nothing was found there is no list either.
        return said.items(said.fields(answer.get("data")).get("movies"))

    def _offers(self, film: Mapping[str, object]) -> Iterator[Offer]:
        for item in said.items(film.get("torrents"))[:_MAX_TORRENTS]:
            torrent = said.fields(item)
            if (info_hash := info_hash_of(torrent.get("hash"))) is not None:
                yield self._offer(film, torrent, info_hash)

    def _offer(
        self, film: Mapping[str, object], torrent: Mapping[str, object], info_hash: InfoHash
    ) -> Offer:
        hints = _hints(torrent)
        runtime = said.number(film.get("runtime"), most=said.MAX_SECONDS // _MINUTE, least=1)
        return Offer(
            directory=self.id,
            name=_name(film, torrent),
            info_hash=info_hash,
            torrent_url=said.url(torrent.get("url")),
            size=said.size(torrent.get("size_bytes")),
            seeders=said.peers(torrent.get("seeds")),
            leechers=said.peers(torrent.get("peers")),
            published=said.moment(torrent.get("date_uploaded_unix"))
            or said.moment(torrent.get("date_uploaded")),
            imdb_id=said.imdb_id(film.get("imdb_code")),
            runtime=runtime * _MINUTE if runtime else None,
            hints=hints,
        )


def _term(query: Query) -> str:
    if query.imdb_id:
        return query.imdb_id
    return " ".join(said.words(query.titles[0])) if query.titles else ""


def _is_it(query: Query, film: Mapping[str, object]) -> bool:
    """Whether this film is the one: servers look for the words, an id too, in everything."""
    if query.imdb_id:
        return said.imdb_id(film.get("imdb_code")) == query.imdb_id
    names = {said.words(said.text(film.get(key))) for key in ("title", "title_english")}
    return (
        any(said.words(title) in names for title in query.titles)
        and said.number(film.get("year"), most=9999) == query.year
    )


def _name(film: Mapping[str, object], torrent: Mapping[str, object]) -> str:
    """Return a release's name as they write it, since their answers have none."""
    title = said.text(film.get("title_english")) or said.text(film.get("title"))
    year = said.number(film.get("year"), most=9999, least=1)
    labels = [said.text(torrent.get(key), limit=20) for key in ("quality", "type", "video_codec")]
    depth, channels = (
        said.text(torrent.get(key), limit=5) for key in ("bit_depth", "audio_channels")
    )
    if depth == "10":
        labels.append("10bit")
    labels.append(channels)
    marked = "".join(f" [{label}]" for label in labels if label)
    return said.text(f"{title}{f' ({year})' if year else ''}{marked}") or "?"


def _hints(torrent: Mapping[str, object]) -> Hints:
    quality = said.text(torrent.get("quality"), limit=20).lower()
    kind = said.text(torrent.get("type"), limit=20).lower()
    codec = said.text(torrent.get("video_codec"), limit=20).lower().replace(".", "")
    channels = said.text(torrent.get("audio_channels"), limit=5)
    return Hints(
        quality=quality if quality in _QUALITIES else None,
        source_type=next((name for starts, name in _SOURCE_TYPES if kind.startswith(starts)), None),
        video_codec=next((name for key, name in _CODECS.items() if codec.startswith(key)), None),
        bit_depth=said.number(torrent.get("bit_depth"), most=16, least=8),
        channels=channels if channels[:1].isdigit() else None,
        three_d=quality == "3d",
        repack=said.text(torrent.get("is_repack"), limit=5) == "1",
    )
