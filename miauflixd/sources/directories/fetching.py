"""From an offer to a magnet link or a `.torrent` file."""

from urllib.parse import quote

from miauflixd.runtime.priority import Priority
from miauflixd.sources.directories.directory import (
    DirectoryUnavailableError,
    NothingThereError,
    TorrentBytes,
)
from miauflixd.sources.directories.exchange import Complaint, Exchange, is_page
from miauflixd.sources.offers import Offer
from miauflixd.torrents.magnet import Magnet, from_info_hash, parse_magnet
from miauflixd.torrents.model import BadTorrentError

TORRENT_LIMIT = 10 * 2**20
"""Bytes of a `.torrent` file, which is also what the engine takes at most."""

_SHORTEST = 60
"""Bytes; below that there is no room for a name, a length and a hash."""


async def fetch(
    offer: Offer,
    exchange: Exchange,
    *,
    priority: Priority,
    complaint: Complaint = lambda _: None,
) -> Magnet | TorrentBytes:
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
        return await _behind(offer.torrent_url, exchange, priority=priority, complaint=complaint)
    except DirectoryUnavailableError as error:
        # The swarm knows too, though it is slower.
        if known is not None:
            return known
        if exchange.is_own(offer.torrent_url):
            raise
        # The directory is not to be blamed for servers that it links to.
        raise NothingThereError(str(error)) from error


def known_magnet(offer: Offer) -> Magnet | None:
    """Return the magnet link that an offer's own or its hash makes, with all trackers known."""
    if offer.magnet:
        bare = parse_magnet(offer.magnet)
    elif offer.info_hash:
        bare = from_info_hash(offer.info_hash)
    else:
        return None
    try:
        return parse_magnet(
            bare.uri + "".join(f"&tr={quote(tracker, safe='')}" for tracker in offer.trackers)
        )
    except BadTorrentError:  # too many long ones
        return bare


async def _behind(
    url: str, exchange: Exchange, *, priority: Priority, complaint: Complaint
) -> Magnet | TorrentBytes:
    response = await exchange.get(url, priority=priority, limit=TORRENT_LIMIT, complaint=complaint)
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
