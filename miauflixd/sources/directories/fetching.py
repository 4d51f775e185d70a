"""From an offer to a magnet link or a `.torrent` file."""

from miauflixd.runtime.priority import Priority
from miauflixd.sources.directories.directory import (
    DirectoryUnavailableError,
    NothingThereError,
    TorrentBytes,
)
from miauflixd.sources.directories.exchange import Exchange, is_page
from miauflixd.sources.offers import Offer
from miauflixd.torrents.magnet import Magnet, from_info_hash, parse_magnet
from miauflixd.torrents.model import BadTorrentError

TORRENT_LIMIT = 10 * 2**20
"""Bytes of a `.torrent` file, which is also what the engine takes at most."""

_SHORTEST = 60
"""Bytes; below that there is no room for a name, a length and a hash."""


async def fetch(offer: Offer, exchange: Exchange, *, priority: Priority) -> Magnet | TorrentBytes:
    """Return what an offer leads to, for directories whose links are on the web.

    The file is preferred to the hash: with it nothing has to be asked of the swarm.

    Raises:
        NothingThereError: it leads nowhere.
        DirectoryUnavailableError: there is no usable answer.
        TunnelDownError: there is no way out.
    """
    known = known_magnet(offer)
    if offer.torrent_url is None:
        if known is None:
            raise NothingThereError("There is no torrent behind this offer")
        return known
    try:
        return await _behind(offer.torrent_url, exchange, priority=priority)
    except DirectoryUnavailableError:
        # The swarm knows too, though it is slower.
        if known is None:
            raise
        return known


def known_magnet(offer: Offer) -> Magnet | None:
    """Return the magnet link of an offer, or the one that its hash makes; asks nobody."""
    try:
        if offer.magnet:
            return parse_magnet(offer.magnet)
        if offer.info_hash:
            return parse_magnet(
                from_info_hash(offer.info_hash).uri
                + "".join(f"&tr={tracker}" for tracker in offer.trackers)
            )
    except BadTorrentError:  # too many long trackers
        return from_info_hash(offer.info_hash) if offer.info_hash else None
    return None


async def _behind(url: str, exchange: Exchange, *, priority: Priority) -> Magnet | TorrentBytes:
    response = await exchange.get(url, priority=priority, limit=TORRENT_LIMIT)
    # Torznab's proxies redirect to magnet links, and some servers send one as the body.
    for text in (response.url, _line(response.body)):
        if text[:7].lower() == "magnet:":
            try:
                return parse_magnet(text)
            except BadTorrentError as error:
                raise NothingThereError(f"{exchange.host} sends a broken magnet link") from error
    exchange.accepted(response)
    if is_torrent(response.body):
        return TorrentBytes(response.body)
    if is_page(response):
        exchange.page()
    raise NothingThereError(f"{exchange.host} sends something that is no torrent")


def is_torrent(data: bytes) -> bool:
    """Whether these bytes could be a `.torrent` file: a bencoded dictionary with an `info`."""
    return (
        len(data) >= _SHORTEST
        and data[:1] == b"d"
        and data[1:2].isdigit()
        and data.rstrip(b"\r\n").endswith(b"e")
        and b"4:infod" in data
    )


def _line(body: bytes) -> str:
    if body[:16].lstrip()[:7].lower() != b"magnet:":
        return ""
    first, *_ = body[: 64 * 1024].split(maxsplit=1)
    return first.decode("utf-8", "replace")
