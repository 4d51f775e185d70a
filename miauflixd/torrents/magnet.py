"""Magnet links and bare info-hashes, read strictly (BEP 9, BEP 52).

A link comes from anywhere and is handed to the engine, so what is accepted is built anew from its
parts, and nothing else gets through. Left out on purpose:

- `ws` (web seeds) and `xs`, `as` (places to fetch the torrent from): whoever made the link would
  choose which addresses we fetch from.
- `x.pe` (peers): the same, and who is in the swarm is for trackers and the hash table to say.
- `so` (files to select): the viewer chooses.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote, unquote_plus, urlsplit

from miauflixd.torrents.model import BadTorrentError

_TEXT_LIMIT = 32 * 1024
"""Bytes; fifty trackers with long names fit, and nobody pastes more by hand."""

_TRACKER_COUNT = 50
_TRACKER_LIMIT = 2048
"""Characters; what browsers and servers agree to call a URL."""

_NAME_LIMIT = 255
"""Characters; no file system takes a longer name."""

_V1_SIZE = 20
_V2_SIZE = 32
"""Bytes of the info-hashes."""

_HEX_V1 = re.compile(r"[0-9A-Fa-f]{40}")
_BASE32_V1 = re.compile(r"[2-7A-Za-z]{32}")
_HEX_V2 = re.compile(r"[0-9A-Fa-f]{64}")

_SHA256_MULTIHASH = "1220"
"""What a multihash of SHA-256 starts with: the algorithm, 0x12, and its length, 0x20."""

_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
"""The characters of RFC 3986; `urlsplit` is lenient, and would drop others without a word."""

_JOINERS = "\u200c\u200d"
"""Invisible, but part of how names are written in Persian, in Hindi, and in emoji."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Magnet:
    """What a magnet link says, as far as it is believed."""

    v1: bytes | None
    """SHA-1 info-hash, 20 bytes."""
    v2: bytes | None
    """SHA-256 info-hash, 32 bytes; at least one of the two is there."""
    name: str | None
    trackers: tuple[str, ...]
    uri: str
    """The same as a link, with nothing in it that was not accepted."""

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The info-hashes that there are."""
        return tuple(hash_ for hash_ in (self.v1, self.v2) if hash_ is not None)


def parse_magnet(text: str) -> Magnet:
    """Read a magnet link.

    Raises:
        BadTorrentError: it is none, or none that can be used.
    """
    text = text.strip()
    if _size(text) > _TEXT_LIMIT:
        raise BadTorrentError("The magnet link is longer than 32 KiB")
    scheme, colon, rest = text.partition(":?")
    if not colon or scheme.lower() != "magnet":
        raise BadTorrentError("This is not a magnet link: one starts with `magnet:?`")
    v1: bytes | None = None
    v2: bytes | None = None
    name: str | None = None
    trackers: dict[str, None] = {}
    for key, value in _parameters(rest):
        match key:
            case "xt":
                topic = unquote(value)
                v1 = _agreed(v1, _v1_topic(topic))
                v2 = _agreed(v2, _v2_topic(topic))
            case "dn":
                # Spaces are written as plus signs here, as in a form.
                name = name or _clean(unquote_plus(value))
            case "tr" if len(trackers) < _TRACKER_COUNT:
                tracker = unquote(value).strip()
                if _is_usable(tracker):
                    trackers[tracker] = None
            case _:
                pass
    return _magnet(v1, v2, name=name, trackers=tuple(trackers))


def from_info_hash(text: str) -> Magnet:
    """Return the magnet link that says no more than an info-hash.

    Raises:
        BadTorrentError: it is not an info-hash.
    """
    text = text.strip()
    if _HEX_V2.fullmatch(text):
        return _magnet(None, bytes.fromhex(text), name=None, trackers=())
    if (v1 := _v1_hash(text)) is not None:
        return _magnet(v1, None, name=None, trackers=())
    raise BadTorrentError(
        "This is not an info-hash: one has 40 or 64 hexadecimal digits, or 32 characters of base32"
    )


def from_hash(info_hash: bytes, *, trackers: Iterable[str] = ()) -> Magnet:
    """Return the link of an info-hash, of either version, with the trackers that can be used.

    Raises:
        BadTorrentError: it is not an info-hash.
    """
    if len(info_hash) not in (_V1_SIZE, _V2_SIZE):
        raise BadTorrentError("An info-hash has 20 or 32 bytes")
    is_v1 = len(info_hash) == _V1_SIZE
    usable = dict.fromkeys(tracker for tracker in trackers if _is_usable(tracker))
    return _magnet(
        info_hash if is_v1 else None,
        None if is_v1 else info_hash,
        name=None,
        trackers=tuple(usable)[:_TRACKER_COUNT],
    )


def _magnet(
    v1: bytes | None, v2: bytes | None, *, name: str | None, trackers: tuple[str, ...]
) -> Magnet:
    if v1 is None and v2 is None:
        raise BadTorrentError(
            "The magnet link names no torrent: it has no `urn:btih` or `urn:btmh`"
        )
    for hash_ in (v1, v2):
        # libtorrent takes zeros for "no hash".
        if hash_ is not None and not any(hash_):
            raise BadTorrentError("The info-hash is all zeros, which no torrent has")
    parts = []
    if v1 is not None:
        parts.append(f"xt=urn:btih:{v1.hex()}")
    if v2 is not None:
        parts.append(f"xt=urn:btmh:{_SHA256_MULTIHASH}{v2.hex()}")
    if name is not None:
        parts.append(f"dn={quote(name, safe='')}")
    parts.extend(f"tr={quote(tracker, safe=':/')}" for tracker in trackers)
    uri = "magnet:?" + "&".join(parts)
    if _size(uri) > _TEXT_LIMIT:
        raise BadTorrentError("The magnet link is longer than 32 KiB when written out")
    return Magnet(v1=v1, v2=v2, name=name, trackers=trackers, uri=uri)


def _parameters(query: str) -> Iterator[tuple[str, str]]:
    """Yield names, lower-case and without the number that some add (`tr.1`), with raw values."""
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        stem, dot, number = key.lower().partition(".")
        yield (stem if dot and number.isdecimal() else key.lower()), value


def _v1_topic(topic: str) -> bytes | None:
    prefix, value = topic[:9].lower(), topic[9:]
    if prefix != "urn:btih:":
        return None  # of another network, which the link may name beside ours
    if (hash_ := _v1_hash(value)) is None:
        raise BadTorrentError(
            "The magnet link's `urn:btih` is not 40 hexadecimal digits or 32 characters of base32"
        )
    return hash_


def _v2_topic(topic: str) -> bytes | None:
    prefix, value = topic[:9].lower(), topic[9:]
    if prefix != "urn:btmh:":
        return None
    algorithm, digest = value[:4], value[4:]
    if algorithm != _SHA256_MULTIHASH or not _HEX_V2.fullmatch(digest):
        raise BadTorrentError(
            "The magnet link's `urn:btmh` is not `1220` and 64 hexadecimal digits"
        )
    return bytes.fromhex(digest)


def _v1_hash(value: str) -> bytes | None:
    if _HEX_V1.fullmatch(value):
        return bytes.fromhex(value)
    if _BASE32_V1.fullmatch(value):
        return base64.b32decode(value.upper())
    return None


def _agreed(known: bytes | None, found: bytes | None) -> bytes | None:
    if known is not None and found is not None and known != found:
        raise BadTorrentError("The magnet link names two different torrents")
    return found if known is None else known


def _is_usable(tracker: str) -> bool:
    """Whether this is a tracker that the engine can ask; a bad one among good ones is no harm."""
    if len(tracker) > _TRACKER_LIMIT or not _URL.fullmatch(tracker):
        return False
    try:
        url = urlsplit(tracker)
        host, port = url.hostname, url.port
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False
    if not host or port == 0:
        return False
    # UDP trackers have no usual port; `wss` is for browsers, and libtorrent does not speak it.
    return url.scheme in ("http", "https") or (url.scheme == "udp" and port is not None)


def _clean(name: str) -> str | None:
    """Return a name without what could confuse a terminal or a reader; nothing if none is left."""
    # Not printable are control characters, marks that turn the direction of writing, lone
    # surrogates.
    kept = "".join(
        char for char in name if char.isprintable() or char.isspace() or char in _JOINERS
    )
    return " ".join(kept.split())[:_NAME_LIMIT].rstrip() or None


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
