"""What a `.torrent` file says of itself, read just far enough to find it again. No I/O.

The engine reads torrents, in a process of its own, and believes nothing. Here it is only about
which title a file might be of: its hash, its name and its files' names.
"""

import hashlib
from dataclasses import dataclass, field

from miauflixd.sources import said
from miauflixd.sources.offers import MAX_FILES, MAX_TRACKERS, InfoHash, OfferedFile
from miauflixd.torrents.magnet import from_info_hash

_MAX_DEPTH = 20
"""Levels; an honest file has five, and directories of files are no levels here."""

_MAX_VALUES = 100_000
"""Beyond it somebody wants to keep us busy; a torrent of 10,000 files has 60,000."""

_MAX_DIGITS = 20
"""Of a number, or of a text's length."""


class NotTorrentError(Exception):
    """These bytes are no `.torrent` file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """What a `.torrent` file says."""

    info_hash: InfoHash | None
    """`None` for one of v2 only."""
    magnet: str = field(repr=False)
    """A link that says no more than its hash."""
    name: str
    size: int | None
    """Bytes."""
    files: tuple[OfferedFile, ...]
    trackers: tuple[str, ...] = field(repr=False)


def outline(data: bytes) -> Outline:
    """Read a `.torrent` file.

    Raises:
        NotTorrentError: it is none.
    """
    reader = _Reader(data)
    torrent = reader.whole()
    info = torrent.get(b"info") if isinstance(torrent, dict) else None
    if not isinstance(torrent, dict) or not isinstance(info, dict) or reader.info is None:
        raise NotTorrentError("no info")
    raw = data[slice(*reader.info)]
    v1 = hashlib.sha1(raw, usedforsecurity=False).hexdigest() if b"pieces" in info else None
    files = tuple(_files(info))
    sizes = [file.size or 0 for file in files]
    return Outline(
        info_hash=InfoHash(v1) if v1 else None,
        magnet=from_info_hash(v1 or hashlib.sha256(raw).hexdigest()).uri,
        name=_text(info.get(b"name.utf-8") or info.get(b"name")),
        size=said.size(sum(sizes)) if files else said.size(info.get(b"length")),
        files=files[:MAX_FILES],
        trackers=tuple(_trackers(torrent))[:MAX_TRACKERS],
    )


def _files(info: dict[bytes, object]) -> list[OfferedFile]:
    files = info.get(b"files")
    found = []
    for file in files if isinstance(files, list) else []:
        if not isinstance(file, dict):
            continue
        path = file.get(b"path.utf-8") or file.get(b"path")
        name = "/".join(map(_text, path)) if isinstance(path, list) else ""
        attributes = file.get(b"attr")
        if name and not (isinstance(attributes, bytes) and b"p" in attributes):  # padding
            found.append(OfferedFile(name=said.text(name), size=said.size(file.get(b"length"))))
    return found


def _trackers(torrent: dict[bytes, object]) -> dict[str, None]:
    tiers = torrent.get(b"announce-list")
    flat = [torrent.get(b"announce")]
    for tier in tiers if isinstance(tiers, list) else []:
        flat += tier if isinstance(tier, list) else []
    return dict.fromkeys(text for each in flat if (text := _text(each)))


def _text(value: object) -> str:
    return said.text(value.decode("utf-8", "replace")) if isinstance(value, bytes) else ""


class _Reader:
    """A bencode reader that does not call itself, and notes where `info` is."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._began = 0
        # What is open, and of a dictionary the key that waits for its value.
        self._stack: list[tuple[list[object] | dict[bytes, object], bytes | None]] = []
        self.info: tuple[int, int] | None = None

    def whole(self) -> object:
        """Return the one value that there is."""
        for _ in range(_MAX_VALUES):
            kind = self._peek()
            if kind in (b"d", b"l"):
                self._open(kind)
                continue
            value = self._value(kind)
            if not self._stack:
                if self._data[self._at : self._at + 3].strip():  # some end with a new line
                    raise NotTorrentError("more than one value")
                return value
            self._put(value)
        raise NotTorrentError("too many values")

    def _open(self, kind: bytes) -> None:
        if len(self._stack) >= _MAX_DEPTH:
            raise NotTorrentError("too deep")
        if self._at_info():
            self._began = self._at
        self._at += 1
        self._stack.append(({} if kind == b"d" else [], None))

    def _value(self, kind: bytes) -> object:
        if kind == b"i":
            return self._integer()
        if kind != b"e":
            return self._text()
        if not self._stack or self._stack[-1][1] is not None:
            raise NotTorrentError("an end without a beginning")
        self._at += 1
        value, _ = self._stack.pop()
        if self._at_info():
            self.info = (self._began, self._at)
        return value

    def _put(self, value: object) -> None:
        """Place a value where it belongs: in a list, behind its key, or as the next key."""
        holder, key = self._stack[-1]
        if isinstance(holder, list):
            holder.append(value)
        elif key is not None:
            holder[key] = value
            self._stack[-1] = (holder, None)
        elif isinstance(value, bytes) and value not in holder:
            self._stack[-1] = (holder, value)
        else:
            raise NotTorrentError("a key that is none, or twice")

    def _at_info(self) -> bool:
        return len(self._stack) == 1 and self._stack[0][1] == b"info"

    def _peek(self) -> bytes:
        return self._data[self._at : self._at + 1]

    def _integer(self) -> int:
        end = self._data.find(b"e", self._at, self._at + _MAX_DIGITS + 2)
        digits = self._data[self._at + 1 : end]
        if end < 0 or not digits.removeprefix(b"-").isdigit():
            raise NotTorrentError("not a number")
        self._at = end + 1
        return int(digits)

    def _text(self) -> bytes:
        colon = self._data.find(b":", self._at, self._at + _MAX_DIGITS)
        digits = self._data[self._at : colon]
        if colon < 0 or not digits.isdigit():
            raise NotTorrentError("not a value")
        self._at = colon + 1 + int(digits)
        if self._at > len(self._data):
            raise NotTorrentError("cut off")
        return self._data[colon + 1 : self._at]
