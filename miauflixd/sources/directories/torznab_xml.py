"""From the items of a Torznab answer to offers, in all dialects that there are. No I/O."""

from collections.abc import Iterator, Mapping, Sequence

from miauflixd.sources import said
from miauflixd.sources.directories.directory import (
    DirectoryRefusedError,
    DirectoryUnavailableError,
    FunctionMissingError,
    NothingThereError,
)
from miauflixd.sources.directories.exchange import TOO_MANY_REST, retry_after
from miauflixd.sources.directories.feed_xml import Document, Entry, NotXmlError, Part, read
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
from miauflixd.sources.ports import Response

_USENET = "application/x-nzb"

_ACCOUNT = range(100, 200)
_PARAMETER = 200
_UNKNOWN = 900
_TOO_MANY = frozenset({429, 500, 501})
"""Of requests, and of downloads; the first is Prowlarr's."""
_SWITCHED_OFF = frozenset({410, 910})
_KINDS: Mapping[int, type[DirectoryUnavailableError]] = {
    _PARAMETER: FunctionMissingError,
    201: FunctionMissingError,  # a parameter that it does not like
    202: FunctionMissingError,  # no such function
    203: FunctionMissingError,  # not for us
    300: NothingThereError,
}

_PEEK = 2000
"""Bytes in which an error shows that it is one; it is the whole answer, and short."""


def offers_of(
    document: Document, *, directory: DirectoryId, adult: frozenset[int] = frozenset()
) -> Sequence[Offer]:
    """Return what a document offers.

    Args:
        document: the answer.
        directory: whose it is.
        adult: categories, besides the standard's, that nobody asked for.
    """
    found = (_offer(entry, directory, adult) for entry in document.entries)
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


def _offer(entry: Entry, directory: DirectoryId, adult: frozenset[int]) -> Offer | None:
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
        torrent_url=said.url(enclosed) or said.url(link),
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
        size=said.size(attributes.one("size"))
        or said.size(entry.text("size"))
        or said.size(enclosure.attributes.get("length")),
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


class _Attributes:
    """`<torznab:attr name="..." value="..."/>`, or `newznab:attr`, which some send instead."""

    def __init__(self, entry: Entry) -> None:
        self._values: dict[str, list[str]] = {}
        for part in entry.all("attr"):
            name = part.attributes.get("name", "").lower()
            self._values.setdefault(name, []).append(part.attributes.get("value", "").strip())

    def all(self, name: str) -> Sequence[str]:
        return self._values.get(name, [])

    def one(self, name: str) -> str:
        return next(iter(self.all(name)), "")


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


def complaint(response: Response, host: str) -> DirectoryUnavailableError | None:
    """Return what the server complains of, if it does; which it may under any status.

    The description is not repeated: it may quote the request, and the key with it.
    """
    if (document := _error(response.body)) is None:
        return None
    code = said.number(document.attributes.get("code"), most=9999) or _UNKNOWN
    description = document.attributes.get("description", "").lower()
    if code in _TOO_MANY or "limit reached" in description:
        wanted = retry_after(response)
        return DirectoryUnavailableError(
            f"{host} says that it was asked too often",
            retry_after=TOO_MANY_REST if wanted is None else wanted,
        )
    if code in _ACCOUNT or (code == _PARAMETER and "missing" in description):
        # All that is ever missing of what we send is the key; Prowlarr says so in this way.
        return DirectoryRefusedError(f"{host} does not accept the API key, or wants one")
    if code in _SWITCHED_OFF:
        return DirectoryRefusedError(f"{host} says that this indexer is switched off")
    kind = _KINDS.get(code, DirectoryUnavailableError)
    return kind(f"{host} reports a problem (code {code})")


def _error(body: bytes) -> Document | None:
    if b"<error" not in body[:_PEEK]:
        return None
    try:
        document = read(body)
    except NotXmlError:
        return None
    return document if document.root == "error" else None
