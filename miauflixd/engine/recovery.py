"""Finding pieces that are on the disk although nobody remembers them.

Resume data is saved every few seconds. Pieces that were finished after the last time and before a
`kill -9` lie whole in their files, but are unknown. Hashing everything would take minutes, so only
pieces are looked at that are unknown *and* lie in allocated parts of the sparse files, and what is
found is believed only if its hash says so.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import libtorrent as lt

from miauflixd.engine import metainfo as metainfos

logger = logging.getLogger(__name__)

_LEAF = 2**14
"""Bytes under one leaf of a v2 hash tree (BEP 52)."""

_CHUNK = 2**20
"""Bytes read at a time, a multiple of a leaf: a piece of 64 MiB is never whole in memory."""


def read_resume_data(data: bytes) -> lt.add_torrent_params | None:
    """Return what was saved, if it can be read."""
    try:
        return lt.read_resume_data(data)
    except RuntimeError:
        logger.warning("Resume data cannot be read; what is on the disk is found by its hashes")
        return None


def missing_but_present(metainfo: bytes, have: Sequence[bool], save_path: Path) -> list[int]:
    """Return the pieces that are not in `have`, but are on the disk and match their hash.

    Blocks while it reads, so it belongs in a thread. Nothing is read but pieces that are not in
    `have` and have data on the disk. What cannot be read or is wrong is simply not returned.

    Args:
        metainfo: a `.torrent` file; pieces of a v2-only one whose piece layers are not in it
            cannot be told, and are not returned.
        have: whether each piece is known to be there; what is behind its end is not.
        save_path: where the files are, each called by its index.

    Raises:
        RefusedError: it is not a torrent that `metainfo.load` takes.
    """
    torrent = metainfos.load(metainfo).ti
    assert torrent is not None  # noqa: S101 - what `load` returns has it; this tells mypy
    layout = _Layout(torrent)
    right = _by_sha1(torrent) if torrent.info_hashes().has_v1() else _by_tree(torrent, metainfo)
    unknown = (piece for piece in range(torrent.num_pieces()) if not any(have[piece : piece + 1]))
    with _Files(save_path) as files:
        return [piece for piece in unknown if _is_right(piece, layout, files, right)]


class _Span(NamedTuple):
    """A part of a file; of padding when `file` is None."""

    file: int | None
    start: int
    stop: int


_Check = Callable[[int, list[_Span], "_Files"], bool]
"""Whether a piece, which is made of these parts, is on the disk as it should be."""


class _Layout:
    """Which parts of which files a piece is made of."""

    def __init__(self, torrent: lt.torrent_info) -> None:
        self._torrent = torrent
        self._files = torrent.layout()

    def spans(self, piece: int) -> list[_Span]:
        """Return the parts of a piece in order."""
        slices = self._torrent.map_block(piece, 0, self._torrent.piece_size(piece))
        return [
            _Span(
                None
                if self._files.file_flags(part.file_index) & lt.file_storage.flag_pad_file
                else part.file_index,
                part.offset,
                part.offset + part.size,
            )
            for part in slices
        ]


class _Files:
    """The files on the disk, one of them open at a time: pieces come in their order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index = -1
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def has(self, index: int, start: int, stop: int) -> bool:
        """Say whether a part of a file is allocated; a hole was never written."""
        self._open(index)
        if self._descriptor < 0:
            return False
        try:
            # Inside a hole this is `start`; the end of the file counts as a hole.
            return os.lseek(self._descriptor, start, os.SEEK_HOLE) >= stop
        except OSError:  # `start` is behind the end of the file
            return False

    def read(self, index: int, start: int, stop: int) -> Iterator[bytes]:
        """Yield a part of a file; ends early if the file does.

        Raises:
            OSError: the disk does not give it.
        """
        while start < stop:
            self._open(index)
            chunk = os.pread(self._descriptor, min(_CHUNK, stop - start), start)
            if not chunk:
                return
            yield chunk
            start += len(chunk)

    def _open(self, index: int) -> None:
        if index == self._index:
            return
        self._close()
        self._index = index
        try:
            # Nothing here ever makes a link; should there be one, it leads out of our folder.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self._folder / str(index), flags)
        except OSError:  # nothing of this file was ever written
            self._descriptor = -1

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _is_right(piece: int, layout: _Layout, files: _Files, right: _Check) -> bool:
    spans = layout.spans(piece)
    if not all(span.file is None or files.has(span.file, span.start, span.stop) for span in spans):
        return False
    try:
        return right(piece, spans, files)
    except OSError:  # a disk that fails here is reported when libtorrent meets it
        return False


def _by_sha1(torrent: lt.torrent_info) -> _Check:
    """Check against the v1 hashes, which hybrid torrents have too."""

    def check(piece: int, spans: list[_Span], files: _Files) -> bool:
        digest = hashlib.sha1(usedforsecurity=False)  # the format's choice, not ours
        for chunk in _content(spans, files):
            digest.update(chunk)
        return digest.digest() == torrent.hash_for_piece(piece)

    return check


def _content(spans: list[_Span], files: _Files) -> Iterator[bytes]:
    for span in spans:
        if span.file is not None:
            yield from files.read(span.file, span.start, span.stop)
            continue
        for start in range(span.start, span.stop, _CHUNK):
            yield bytes(min(_CHUNK, span.stop - start))


def _by_tree(torrent: lt.torrent_info, metainfo: bytes) -> _Check:
    """Check against the v2 hash trees.

    `torrent_info.hash_for_piece` must not be asked here: in a torrent without v1 hashes it returns
    whatever lies in memory where they would be.
    """
    raw: Any = lt.bdecode(metainfo)
    layers: dict[bytes, bytes] = raw.get(b"piece layers", {})
    layout = torrent.layout()
    piece_length = torrent.piece_length()

    def check(_piece: int, spans: list[_Span], files: _Files) -> bool:
        # Every file starts a piece of its own, so a piece is one part of a file, then padding.
        part = spans[0]
        if part.file is None:
            return False
        size = layout.file_size(part.file)
        expected = layout.root(part.file).to_bytes()
        if size > piece_length:
            at = part.start // piece_length * 32
            expected = layers.get(expected, b"")[at : at + 32]
            width = piece_length // _LEAF
        else:  # a file of one piece has no layer, and a tree no wider than itself
            width = 1 << (-(-size // _LEAF) - 1).bit_length()
        return _root(_leaves(files.read(part.file, part.start, part.stop)), width) == expected

    return check


def _leaves(content: Iterator[bytes]) -> list[bytes]:
    leaves = []
    rest = b""
    for chunk in content:
        rest += chunk  # a read may end anywhere
        whole = len(rest) // _LEAF * _LEAF
        leaves += [hashlib.sha256(rest[at : at + _LEAF]).digest() for at in range(0, whole, _LEAF)]
        rest = rest[whole:]
    return [*leaves, hashlib.sha256(rest).digest()] if rest else leaves


def _root(leaves: list[bytes], width: int) -> bytes:
    """Return the root over `width` leaves, a power of two; those that are missing are zeros."""
    layer = leaves + [bytes(32)] * (width - len(leaves))
    while len(layer) > 1:
        pairs = zip(layer[::2], layer[1::2], strict=True)
        layer = [hashlib.sha256(left + right).digest() for left, right in pairs]
    return layer[0]
