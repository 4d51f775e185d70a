"""From the items of a Torznab answer to offers, in all dialects that there are. No I/O."""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from miauflixd.sources import said
from miauflixd.sources.directories.feed_xml import Document, Entry, Part
from miauflixd.sources.directories.torznab_caps import is_adult, is_adult_name
from miauflixd.sources.offers import (
    DirectoryId,
    Hints,
    InfoHash,
    Offer,
    info_hash_of,
    magnet_of,
    trackers_of,
)

_ELEMENTS: Mapping[str, Sequence[str]] = {
    "infohash": ("infohash",),
    "leechers": ("leechers",),
    "magneturl": ("magneturi",),
    "peers": ("peers",),
    "seeders": ("seeders", "seeds"),
    "size": ("size", "contentlength"),
}
"""Elements that say what an attribute of Torznab says."""

_TORRENT = "application/x-bittorrent"
_USENET = "application/x-nzb"


def offers_of(
    document: Document,
    *,
    directory: DirectoryId,
    adult: frozenset[int] = frozenset(),
    anything: bool = False,
) -> Sequence[Offer]:
    """Return what a document offers.

    Args:
        document: the answer.
        directory: whose it is.
        adult: categories, besides the standard's, that nobody asked for.
        anything: whether it may be about anything, so that a link leads to a torrent only if it
            looks so.
    """
    found = (_offer(entry, directory, adult=adult, anything=anything) for entry in document.entries)
    return [offer for offer in found if offer is not None]


def offer_of_links(
    entry: Entry,
    links: Sequence[str],
    *,
    directory: DirectoryId,
    info_hash: InfoHash | None = None,
    torrent_url: str | None = None,
) -> Offer | None:
    """Return the offer of an entry by what leads to its torrent; `None`: nothing does."""
    magnet = next((found for link in links if (found := magnet_of(link))), None)
    # The link is what will be followed, so its hash is the one that counts.
    info_hash = info_hash_of(magnet) if magnet else info_hash
    name = said.text(entry.text("title"))
    if not name or not (magnet or info_hash or torrent_url):
        return None
    return Offer(
        directory=directory,
        name=name,
        info_hash=info_hash,
        magnet=magnet,
        torrent_url=torrent_url,
        trackers=trackers_of(magnet),
        published=said.moment(entry.text("pubdate", "published", "updated", "date")),
    )


def _offer(
    entry: Entry, directory: DirectoryId, *, adult: frozenset[int], anything: bool
) -> Offer | None:
    attributes = _Attributes(entry)
    enclosure = next(entry.all("enclosure"), Part("enclosure", {}))
    if enclosure.attributes.get("type", "").lower() == _USENET or _for_adults(
        entry, attributes, adult
    ):
        return None
    enclosed, link = enclosure.attributes.get("url", ""), entry.text("link")
    base = offer_of_links(
        entry,
        (attributes.one("magneturl"), enclosed, link, entry.text("guid"), entry.text("comments")),
        directory=directory,
        info_hash=info_hash_of(attributes.one("infohash")),
        torrent_url=_torrent_url(enclosure, link, anything=anything),
    )
    if base is None:
        return None
    seeders, leechers = _swarm(attributes)
    season = said.number(attributes.one("season").lstrip("Ss"), most=9999)
    episode = said.number(attributes.one("episode").lstrip("Ee"), most=99_999, least=1)
    return Offer(
        directory=directory,
        name=base.name,
        info_hash=base.info_hash,
        magnet=base.magnet,
        torrent_url=base.torrent_url,
        size=said.size(attributes.one("size")) or said.size(enclosure.attributes.get("length")),
        seeders=seeders,
        leechers=leechers,
        published=base.published,
        trackers=base.trackers,
        imdb_id=said.imdb_id(attributes.one("imdbid")) or said.imdb_id(attributes.one("imdb")),
        tmdb_id=said.outside_id(attributes.one("tmdbid")),
        tvdb_id=said.outside_id(attributes.one("tvdbid")),
        # Many write 0 and 0 for what has neither.
        season=season or (season if episode else None),
        episode=episode,
        hints=Hints(languages=tuple(_languages(attributes))),
    )


def _torrent_url(enclosure: Part, link: str, *, anything: bool) -> str | None:
    enclosed = said.url(enclosure.attributes.get("url"))
    followed = said.url(link)
    if not anything:
        return enclosed or followed
    # In a feed about anything a link is a page, and what is enclosed a picture, or a voice.
    kind = enclosure.attributes.get("type", "").lower()
    if enclosed and (kind == _TORRENT or _is_named_torrent(enclosed)):
        return enclosed
    return followed if followed and _is_named_torrent(followed) else None


def _is_named_torrent(url: str) -> bool:
    return urlsplit(url).path.lower().endswith(".torrent")


class _Attributes:
    """`<torznab:attr name="..." value="..."/>`, or `newznab:attr`, which some send instead.

    Feeds that are no Torznab say the same in elements of their own: `nyaa:seeders`,
    `torrent:infoHash`.
    """

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._values: dict[str, list[str]] = {}
        for part in entry.all("attr"):
            name = part.attributes.get("name", "").lower()
            self._values.setdefault(name, []).append(part.attributes.get("value", "").strip())

    def all(self, name: str) -> Sequence[str]:
        return self._values.get(name, [])

    def one(self, name: str) -> str:
        return next(iter(self.all(name)), "") or self._entry.text(*_ELEMENTS.get(name, ()))


def _swarm(attributes: _Attributes) -> tuple[int | None, int | None]:
    seeders = said.peers(attributes.one("seeders"))
    leechers = said.peers(attributes.one("leechers"))
    together = said.peers(attributes.one("peers"))
    if leechers is None and together is not None and seeders is not None:
        # "Peers" are both; those who count otherwise show by saying fewer.
        leechers = together - seeders if together >= seeders else together
    return seeders, leechers


def _for_adults(entry: Entry, attributes: _Attributes, adult: frozenset[int]) -> bool:
    for category in (*attributes.all("category"), *(part.text for part in entry.all("category"))):
        number = said.number(category, most=10**7)
        if number is None:
            if is_adult_name(category):
                return True
        elif is_adult(number) or number in adult:
            return True
    return False


def _languages(attributes: _Attributes) -> Iterator[str]:
    for language in attributes.all("language")[:20]:
        for each in said.text(language, limit=100).lower().split(","):
            if each.strip():
                yield each.strip()
