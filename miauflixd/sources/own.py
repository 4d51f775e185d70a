"""What people of the house add themselves: a magnet link, an address, a `.torrent` file."""

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from miauflixd.catalogue.providers.pace import Pace
from miauflixd.runtime.http import Http
from miauflixd.runtime.priority import Priority
from miauflixd.sources import said
from miauflixd.sources.directories import fetching
from miauflixd.sources.directories.directory import DirectoryUnavailableError, TorrentBytes
from miauflixd.sources.directories.exchange import Exchange
from miauflixd.sources.listing_model import OWN, BadSourceError
from miauflixd.sources.offers import Offer, info_hash_of
from miauflixd.sources.torrent_outline import NotTorrentError, outline
from miauflixd.torrents.magnet import Magnet, parse_magnet
from miauflixd.web_files.model import WebFile

_FILMS = frozenset({".mp4", ".m4v", ".mkv", ".webm", ".ogv", ".avi", ".mov"})
"""Endings of what is a film itself and not the way to one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Own:
    """What somebody adds: one of the three."""

    magnet: str | None = field(default=None, repr=False)
    url: str | None = field(default=None, repr=False)
    """Of a `.torrent` file, of what leads to a magnet link, or of a film."""
    metainfo: bytes | None = field(default=None, repr=False)
    """A `.torrent` file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnOffer:
    """The same as an offer."""

    offer: Offer
    metainfo: bytes | None = field(default=None, repr=False)


async def offer_of(own: Own, *, http: Http) -> OwnOffer:
    """Return what somebody adds as an offer; where it is an address, having looked there.

    Args:
        own: what they add.
        http: the client that goes through the tunnel, and to no private network.

    Raises:
        BadTorrentError: it is no usable magnet link.
        BadSourceError: it leads to nothing that can be used, or nobody answers there.
        TunnelDownError: there is no way out.
    """
    if own.metainfo is not None:
        return await _of_file(own.metainfo)
    if own.magnet is not None:
        return OwnOffer(offer=_of_magnet(parse_magnet(own.magnet)))
    url = said.url(own.url)
    if url is None:
        raise BadSourceError("This is no address of the web: one begins with https://")
    if urlsplit(url).username is not None or urlsplit(url).password is not None:
        raise BadSourceError("An address with a user or a password in it is not kept")
    if (film := _film_at(url)) is not None:
        return OwnOffer(offer=film)
    return await _behind(url, http)


async def _of_file(metainfo: bytes) -> OwnOffer:
    if not fetching.is_torrent(metainfo):
        raise BadSourceError("This is no .torrent file")
    try:
        # In a thread: ten megabytes take half a second.
        found = await asyncio.to_thread(outline, metainfo)
    except NotTorrentError as error:
        raise BadSourceError("This is no .torrent file") from error
    return OwnOffer(
        offer=Offer(
            directory=OWN,
            name=found.name,
            info_hash=found.info_hash,
            magnet=None if found.info_hash else found.magnet,
            size=found.size,
            trackers=found.trackers,
            files=found.files,
        ),
        metainfo=metainfo,
    )


def _of_magnet(magnet: Magnet) -> Offer:
    return Offer(
        directory=OWN,
        name=said.text(magnet.name),
        info_hash=info_hash_of(magnet.uri),
        magnet=magnet.uri,
        trackers=magnet.trackers,
    )


def _film_at(url: str) -> Offer | None:
    path = PurePosixPath(unquote(urlsplit(url).path))
    if path.suffix.lower() not in _FILMS:
        return None
    if urlsplit(url).scheme != "https":
        raise BadSourceError("A film is fetched over https:// only, so that nobody exchanges it")
    name = said.text(path.name)
    return Offer(directory=OWN, name=name, web_files=(WebFile(name=name, size=None, url=url),))


async def _behind(url: str, http: Http) -> OwnOffer:
    exchange = Exchange(
        http=http,
        base=url,
        # Somebody's own address, once: there is nothing to hold back for.
        turns=Pace(company="somebody's own", per_second=1, burst=2, at_once=2),
    )
    offer = Offer(directory=OWN, name="", torrent_url=url)
    try:
        found = await fetching.fetch(offer, exchange, priority=Priority.WAITED_FOR)
    except DirectoryUnavailableError as error:
        # Whatever is the matter there: it is the address that somebody has to look at again.
        raise BadSourceError(f"There is no torrent to be had at this address: {error}") from error
    if isinstance(found, TorrentBytes):
        return await _of_file(found.data)
    return OwnOffer(offer=_of_magnet(found))


def named(offer: Offer, title: str) -> Offer:
    """Return an offer that has a name, if need be that of its title."""
    return offer if offer.name else replace(offer, name=said.text(title) or "?")
