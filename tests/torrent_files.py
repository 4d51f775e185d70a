"""Torrents for tests: honest ones of v1, v2 and both, and what it takes to make hostile ones.

Everything is made here and not by libtorrent: it would refuse to make most of what tests need, and
its reading is better tested against another's writing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LEAF = 16384

Raw = dict[bytes, Any]
"""A `.torrent` file before it is encoded."""

Contents = Mapping[str, bytes]
"""What files hold, by path; a single path without `/` makes a torrent of one file."""


def bencode(value: object) -> bytes:
    """Encode anything, keys in the order given: a test may want them wrong."""
    match value:
        case bytes():
            return b"%d:%s" % (len(value), value)
        case int():
            return b"i%de" % value
        case list():
            return b"l%se" % b"".join(map(bencode, value))
        case dict():
            return b"d%se" % b"".join(bencode(k) + bencode(v) for k, v in value.items())
        case _:
            raise TypeError(value)


def canonical(value: Any) -> Any:
    """Sort all keys, as the format asks."""
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value)}
    return [canonical(item) for item in value] if isinstance(value, list) else value


def v1(contents: Contents, *, piece_length: int = LEAF, name: str = "film") -> Raw:
    """Make a v1 torrent."""
    if len(contents) == 1 and name in contents:
        layout: Raw = {b"length": len(contents[name])}
    else:
        layout = {b"files": [_v1_file(path, len(data)) for path, data in contents.items()]}
    info = {
        **layout,
        b"name": name.encode(),
        b"piece length": piece_length,
        b"pieces": _v1_hashes(b"".join(contents.values()), piece_length),
    }
    return {b"info": canonical(info)}


def v2(contents: Contents, *, piece_length: int = LEAF, name: str = "film") -> Raw:
    """Make a v2-only torrent."""
    info, layers = _v2_part(contents, piece_length)
    info = {**info, b"name": name.encode(), b"piece length": piece_length}
    return {b"info": canonical(info), b"piece layers": canonical(layers)}


def hybrid(contents: Contents, *, piece_length: int = LEAF, name: str = "film") -> Raw:
    """Make a torrent of both versions: its v1 part is padded, so that files start a piece."""
    info, layers = _v2_part(contents, piece_length)
    files: list[Raw] = []
    stream = bytearray()
    for path, data in _in_tree_order(contents):
        gap = -len(stream) % piece_length
        if gap:
            files.append({**_v1_file(f".pad/{gap}", gap), b"attr": b"p"})
        files.append(_v1_file(path, len(data)))
        stream += bytes(gap) + data
    whole = bytes(stream)
    single = len(contents) == 1 and name in contents
    info |= {b"length": len(whole)} if single else {b"files": files}
    info |= {
        b"name": name.encode(),
        b"piece length": piece_length,
        b"pieces": _v1_hashes(whole, piece_length),
    }
    return {b"info": canonical(info), b"piece layers": canonical(layers)}


MAKERS = {"v1": v1, "v2": v2, "hybrid": hybrid}


def noise(size: int, seed: int = 0) -> bytes:
    """Return bytes that do not repeat and are the same every time."""
    return hashlib.shake_128(seed.to_bytes(8, "big")).digest(size)


def write_by_index(folder: Path, contents: Contents, indices: Mapping[str, int]) -> None:
    """Write files as the engine does: called by their index."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, data in contents.items():
        (folder / str(indices[path])).write_bytes(data)


def _v1_file(path: str, size: int) -> Raw:
    return {b"length": size, b"path": [part.encode() for part in path.split("/")]}


def _v1_hashes(whole: bytes, piece_length: int) -> bytes:
    pieces = [whole[at : at + piece_length] for at in range(0, len(whole), piece_length)]
    return b"".join(hashlib.sha1(piece).digest() for piece in pieces)


def _in_tree_order(contents: Contents) -> list[tuple[str, bytes]]:
    return sorted(contents.items(), key=lambda item: item[0].encode().split(b"/"))


def _v2_part(contents: Contents, piece_length: int) -> tuple[Raw, Raw]:
    tree: Raw = {}
    layers: Raw = {}
    for path, data in contents.items():
        folder = tree
        for part in path.encode().split(b"/"):
            folder = folder.setdefault(part, {})
        folder[b""] = {b"length": len(data)}
        if not data:
            continue
        leaves = [hashlib.sha256(data[at : at + LEAF]).digest() for at in range(0, len(data), LEAF)]
        folder[b""][b"pieces root"] = _merkle_root(leaves, bytes(32))
        if len(data) > piece_length:
            width = piece_length // LEAF
            layer = [
                _padded_root(leaves[at : at + width], width) for at in range(0, len(leaves), width)
            ]
            layers[folder[b""][b"pieces root"]] = b"".join(layer)
    return {b"file tree": tree, b"meta version": 2}, layers


def _padded_root(leaves: Sequence[bytes], width: int) -> bytes:
    return _merkle_root([*leaves, *[bytes(32)] * (width - len(leaves))], bytes(32))


def _merkle_root(nodes: Sequence[bytes], filler: bytes) -> bytes:
    """Hash pairs until one is left; an odd one is paired with the root of as many zeros."""
    while len(nodes) > 1:
        even = [*nodes, filler] if len(nodes) % 2 else nodes
        nodes = [hashlib.sha256(a + b).digest() for a, b in zip(even[::2], even[1::2], strict=True)]
        filler = hashlib.sha256(filler + filler).digest()
    return nodes[0]
