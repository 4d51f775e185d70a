"""Making a `.torrent` file (v1, BEP 3) of one film."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from miauflixd.demo import bencode

_SMALLEST_PIECE = 2**14
"""Bytes: one block, less makes no sense to any client."""

_LARGEST_PIECE = 2**22

_PIECES_AT_MOST = 100
"""Few enough for a small `.torrent`, enough that the page shows the film growing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Torrent:
    """What somebody needs to know to join the swarm."""

    name: str
    size: int
    """Bytes of the film."""
    piece_length: int
    announce_url: str
    info_hash: bytes
    metainfo: bytes
    """The `.torrent` file."""

    @property
    def magnet(self) -> str:
        """The same as a link, with which the rest comes from peers."""
        name, tracker = quote(self.name, safe=""), quote(self.announce_url, safe="")
        return f"magnet:?xt=urn:btih:{self.info_hash.hex()}&dn={name}&tr={tracker}"


def make_torrent(
    film: Path, *, name: str, announce_url: str, piece_length: int | None = None
) -> Torrent:
    """Read a film and return its torrent; blocks for as long as hashing takes.

    Args:
        film: one file.
        name: what the file is called in the swarm.
        announce_url: the tracker's.
        piece_length: bytes; chosen by the film's size when left out.

    Raises:
        OSError: the film cannot be read.
    """
    size = film.stat().st_size
    length = piece_length or _piece_length_for(size)
    pieces = b"".join(
        hashlib.sha1(piece, usedforsecurity=False).digest() for piece in _pieces_of(film, length)
    )
    info: bencode.Bencodable = {
        "length": size,
        "name": name,
        "piece length": length,
        "pieces": pieces,
    }
    return Torrent(
        name=name,
        size=size,
        piece_length=length,
        announce_url=announce_url,
        info_hash=hashlib.sha1(bencode.encode(info), usedforsecurity=False).digest(),
        metainfo=bencode.encode({"announce": announce_url, "info": info}),
    )


def _piece_length_for(size: int) -> int:
    """Return the smallest usual length that makes few enough pieces."""
    length = _SMALLEST_PIECE
    while length < _LARGEST_PIECE and length * _PIECES_AT_MOST < size:
        length *= 2
    return length


def _pieces_of(film: Path, length: int) -> Iterator[bytes]:
    with film.open("rb") as file:
        while piece := file.read(length):
            yield piece
