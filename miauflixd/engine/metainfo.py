"""Reading `.torrent` files that anybody may have written.

A `.torrent` file comes from a stranger, and so does metadata that peers send. `load` is the only
way in: what it returns can be added to a session, everything else is a `RefusedError` with a
sentence for a person. It goes from cheap to dear, each step protecting the next:

1. size and first byte, before anything is parsed;
2. libtorrent's parser, with limits on nesting, tokens and pieces (it does not recurse, so depth
   cannot overflow the stack);
3. a second look at the raw dictionary. For this to mean anything both parsers must have read the
   same, and of a key that is given twice libtorrent takes the first and `bdecode` the last:
   therefore what is not the one canonical encoding (but for the order of keys) is refused.

None of this is what keeps names out of the file system. `opaque_names` is: on disk a file is called
by its index, and no name out of a torrent is ever part of a path.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import libtorrent as lt

from miauflixd.engine.messages import File

MAX_METAINFO = 10 * 2**20
"""Bytes. Torrents of some 100 GB have half a megabyte; libtorrent's own default is as large."""

MAX_FILES = 10_000
"""Films and series have dozens; each file costs us a name and a line in `Metadata`."""

MAX_DEPTH = 100
"""Levels of nesting, libtorrent's default. A directory is one; people do not make ninety."""

MAX_TOKENS = 400_000
"""Values in the file, ends of lists included. A hybrid torrent of 10,000 files, each with padding
and two directories deep, has 313,000. So many empty values cost us 60 MiB for a moment."""

MAX_PIECES = MAX_METAINFO // 20
"""As many SHA-1 hashes as fit in; a v2 file needs no hashes and could claim any number."""

MIN_PIECE_LENGTH = 2**10
"""Bytes. What tools make starts at 16 KiB; hand-made v1 torrents are sometimes below. With less, a
film would have more pieces than `MAX_PIECES` anyway."""

MIN_PIECE_LENGTH_V2 = 2**14
"""Bytes; the format's own minimum, the size of a leaf of its hash tree."""

MAX_PIECE_LENGTH = 2**26
"""Bytes. Nothing plays before a whole piece is here, and the engine holds several in memory."""

MAX_TOTAL_SIZE = 2**44
"""Bytes; the largest file that ext4 can hold."""

MAX_NAME = 4096
"""Bytes of one name. File systems end at 255, but here names are for reading only."""

MAX_SHOWN = 255
"""Characters of a name that people get to see."""

MAX_TRACKERS = 100
"""More do not find more peers, and every one is asked."""

_LIMITS: Any = {  # the stub gives this parameter a type of another function's
    "max_buffer_size": MAX_METAINFO,
    "max_pieces": MAX_PIECES,
    "max_decode_depth": MAX_DEPTH,
    "max_decode_tokens": MAX_TOKENS,
}

_REASONS = (
    # What libtorrent says, and what we say; the first that is part of its message counts.
    ("nesting depth", "It is nested too deeply."),
    ("limit exceeded", "It holds too many values."),
    ("bdecode", "It is damaged, cut short, or no .torrent file at all."),
    ("not a dictionary", "It is no .torrent file."),
    ("'info' section", "It has no info dictionary."),
    ("'piece length'", "Its piece length makes no sense."),
    ("too many pieces", "It has too many pieces."),
    ("number of piece hashes", "Its piece hashes do not fit the size of its files."),
    ("'pieces'", "Its piece hashes are missing or damaged."),
    ("piece layer", "Its piece layers do not belong to its files."),
    ("root hash", "One of its files has no hash."),
    ("invalid length", "The size of its files makes no sense."),
    ("no files", "It holds no files."),
    ("invalid bencoding", "Its keys are not in order, which v2 does not allow."),
    ("depth limit", "One of its files lies too deep in directories."),
    ("does not match", "Its v1 and its v2 part describe different files."),
    ("name", "It has a file without a usable name."),
    ("parse files", "Its list of files is damaged."),
    ("meta version", "It is of a version that miauflixd does not know."),
    ("v2", "Its v2 part is damaged."),
)

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Characters that show nothing, but change lines or the direction of reading."""

_SYNTAX = re.compile(rb"[/\\\0]")


class RefusedError(Exception):
    """A torrent that is not taken; says in a sentence why."""


class Contents(NamedTuple):
    """What a torrent holds, fit to be shown."""

    name: str
    piece_length: int
    """Bytes."""
    total_size: int
    """Bytes, padding included: the end of the last piece."""
    files: list[File]


def load(metainfo: bytes) -> lt.add_torrent_params:
    """Return what can be added to a session: no web seeds, and only trackers we would ask.

    Raises:
        RefusedError: it is damaged, hostile or beyond what we take.
    """
    if len(metainfo) > MAX_METAINFO:
        raise RefusedError(f"It is larger than {MAX_METAINFO // 2**20} MiB.")
    if not metainfo.startswith(b"d"):
        raise RefusedError("It is no .torrent file.")
    try:
        params = lt.load_torrent_buffer(metainfo, _LIMITS)
    except (RuntimeError, ValueError, OverflowError) as error:
        raise RefusedError(_in_our_words(str(error))) from error
    raw: Any = lt.bdecode(metainfo)  # within the limits, as just proven
    if len(lt.bencode(raw)) != len(metainfo):
        raise RefusedError("It says something twice, or something follows its end.")
    refuse_hostile(raw)
    trackers = list(_trackers(raw))[:MAX_TRACKERS]
    params.trackers = [url for url, _ in trackers]
    params.tracker_tiers = [tier for _, tier in trackers]
    ask_only_trackers(params)
    return params


def ask_only_trackers(params: lt.add_torrent_params) -> None:
    """Take out all addresses that are to be fetched from, but for trackers that we would ask."""
    # A web seed makes us fetch whatever address its author likes.
    params.url_seeds = []
    params.http_seeds = []
    tiers = chain(params.tracker_tiers, repeat(0))
    trackers = [
        (url, tier)
        for url, tier in zip(params.trackers, tiers, strict=False)
        if _may_be_asked(url.encode())
    ][:MAX_TRACKERS]
    params.trackers = [url for url, _ in trackers]
    params.tracker_tiers = [tier for _, tier in trackers]


def refuse_hostile(raw: dict[bytes, Any]) -> None:
    """Look at a decoded `.torrent` file for what libtorrent would take or quietly mend.

    Raises:
        RefusedError: there is something.
    """
    info = _dictionary(raw.get(b"info"), "info dictionary")
    for name in _names(info):
        _refuse_name(name)
    _refuse_ties(raw, info)
    piece_length = _integer(info.get(b"piece length"), "piece length")
    if not MIN_PIECE_LENGTH <= piece_length <= MAX_PIECE_LENGTH:
        raise RefusedError("Its piece length makes no sense.")
    layers = raw.get(b"piece layers", {})
    if not all(isinstance(layer, bytes) for layer in _dictionary(layers, "piece layers").values()):
        raise RefusedError("Its piece layers do not belong to its files.")
    if b"file tree" in info:
        if piece_length < MIN_PIECE_LENGTH_V2 or piece_length.bit_count() != 1:
            raise RefusedError("Its piece length makes no sense.")
        _refuse_files(_entries(info))
    if b"pieces" in info or b"file tree" not in info:
        total = _refuse_files(_flat(info))
        pieces = info.get(b"pieces")
        if not isinstance(pieces, bytes) or len(pieces) != -(-total // piece_length) * 20:
            raise RefusedError("Its piece hashes do not fit the size of its files.")


def from_peers(params: lt.add_torrent_params) -> bytes:
    """Return the `.torrent` file of metadata that peers sent, for `load` to judge.

    Piece layers of v2 are in it if all are known; peers send them after the metadata, as needed.

    Raises:
        RefusedError: the metadata is not there.
    """
    if params.ti is None:
        raise RefusedError("It has no info dictionary.")
    # A tuple is written as it is, so that the info-hash stays what it was.
    bare: Any = {b"announce-list": _tiers(params), b"info": tuple(params.ti.info_section())}
    layers = _known_layers(params)
    if layers:
        whole = lt.bencode({**bare, b"piece layers": layers})
        try:
            lt.load_torrent_buffer(whole, _LIMITS)
        except RuntimeError:  # with hybrids, what is not yet known is written as zeros
            return lt.bencode(bare)
        return whole
    return lt.bencode(bare)


def describe(torrent: lt.torrent_info) -> Contents:
    """Return what a torrent that `load` took holds.

    Padding is left out, names are cleaned for people, and paths begin below the torrent's name; the
    only file of a torrent that is no folder has the torrent's name.
    """
    layout = torrent.layout()
    # Names are read anew: libtorrent has made its own fit for a file system, and where one is not
    # UTF-8 it takes characters behind the mistake away too, which may be the suffix. They come in
    # the order of the indices, since libtorrent insists on sorted keys in a v2 torrent.
    info: Any = lt.bdecode(torrent.info_section())
    name = (_own_name(info),)
    paths = [entry.path for entry in _entries(info) if not entry.is_padding]
    indices = [
        index
        for index in range(layout.num_files())
        if not layout.file_flags(index) & lt.file_storage.flag_pad_file
    ]
    return Contents(
        name=_shown(name),
        piece_length=torrent.piece_length(),
        total_size=layout.total_size(),
        files=[
            File(
                index=index,
                path=_shown(path or name),
                size=layout.file_size(index),
                offset=layout.file_offset(index),
            )
            for index, path in zip(indices, paths, strict=True)
        ],
    )


def info_hashes(torrent: lt.torrent_info) -> tuple[bytes | None, bytes | None]:
    """Return the v1 and the v2 info-hash; a torrent has at least one of them."""
    hashes = torrent.info_hashes()
    return (
        hashes.v1.to_bytes() if hashes.has_v1() else None,
        hashes.v2.to_bytes() if hashes.has_v2() else None,
    )


def opaque_names(torrent: lt.torrent_info) -> dict[int, str]:
    """Return how every file is called on disk: its index, without any directory.

    For `add_torrent_params.renamed_files`. This, and no check, is what keeps names that strangers
    chose out of the file system: whatever they contain, they are never part of a path.
    """
    return {index: str(index) for index in range(torrent.num_files())}


def opaque_names_ahead() -> dict[int, str]:
    """Return the same for a magnet link, whose files are not known yet.

    Renaming when the metadata is here is too late: libtorrent makes empty files and symbolic links
    the moment it comes. A torrent with more files than these is refused, and has left at most
    empty files in its own folder.
    """
    return {index: str(index) for index in range(2 * MAX_FILES)}


def _known_layers(params: lt.add_torrent_params) -> Any:
    try:
        # Not `write_torrent_file_buf`: the binding takes its bytes for UTF-8 and fails on most.
        written: Any = lt.write_torrent_file(params, lt.write_flags.allow_missing_piece_layer)
    except RuntimeError:  # some are known and some are not
        return {}
    return written.get(b"piece layers", {})


def _tiers(params: lt.add_torrent_params) -> list[list[bytes]]:
    """Return the trackers, which here come from our own magnet link, as the file has them."""
    tiers: dict[int, list[bytes]] = {}
    try:
        for url, tier in zip(params.trackers, chain(params.tracker_tiers, repeat(0)), strict=False):
            tiers.setdefault(tier, []).append(url.encode())
    except UnicodeDecodeError:  # the binding hands out nothing else than UTF-8
        return []
    return [tiers[tier] for tier in sorted(tiers)]


def _in_our_words(message: str) -> str:
    """Translate what libtorrent says; its own words never reach a person."""
    return next((ours for theirs, ours in _REASONS if theirs in message), "It cannot be read.")


def _shown(path: tuple[bytes, ...]) -> str:
    """Return a path fit to be shown: both its ends, since the suffix says what it is."""
    names = (_UNSEEN.sub("", name.decode("utf-8", errors="replace")) for name in path)
    shown = "/".join(name or "unnamed" for name in names)
    if len(shown) > MAX_SHOWN:
        shown = f"{shown[: MAX_SHOWN - 64]}…{shown[-63:]}"
    return shown


def _trackers(raw: dict[bytes, Any]) -> Iterator[tuple[str, int]]:
    """Yield address and tier of each tracker that we would ask.

    Read from the raw dictionary, because the binding cannot hand out addresses that are not UTF-8.
    """
    tiers = raw.get(b"announce-list")
    if not isinstance(tiers, list) or not tiers:
        tiers = [[raw.get(b"announce")]]
    for tier, urls in enumerate(tiers[:MAX_TRACKERS]):
        for url in urls if isinstance(urls, list) else ():
            if isinstance(url, bytes) and _may_be_asked(url):
                yield url.decode("ascii"), tier


def _may_be_asked(url: bytes) -> bool:
    if re.fullmatch(rb"[\x21-\x7e]{1,2000}", url) is None:
        return False
    try:
        parts = urlsplit(url.decode("ascii"))
        return parts.scheme in {"http", "https", "udp"} and bool(parts.hostname)
    except ValueError:  # a broken IPv6 address
        return False


class _Entry(NamedTuple):
    """One file, as the raw dictionary has it."""

    path: tuple[bytes, ...]
    size: int
    is_padding: bool


def _refuse_ties(raw: dict[bytes, Any], info: dict[bytes, Any]) -> None:
    """Refuse what would bind a torrent to something beside itself."""
    if any(key in where for key in (b"similar", b"collections") for where in (raw, info)):
        # libtorrent would hard-link files of other torrents into this one (BEP 38), so that what is
        # written to one, before its hash is known, changes the other behind its hashes.
        raise RefusedError("It wants to share files with other torrents.")
    if b"ssl-cert" in info:  # a certificate by a stranger, to be parsed, for a swarm we cannot join
        raise RefusedError("It is for people with a certificate only.")


def _refuse_files(entries: Iterable[_Entry]) -> int:
    """Check files as they come, so that a long list is refused at its limit; return their size."""
    paths: set[tuple[bytes, ...]] = set()
    total = content = 0
    for number, entry in enumerate(entries):
        if number >= 2 * MAX_FILES:  # each may come with padding
            raise RefusedError(f"It has more than {MAX_FILES} files.")
        total += entry.size
        if total > MAX_TOTAL_SIZE:
            raise RefusedError("It claims to be larger than any disk.")
        if entry.is_padding:  # has no name of its own: all of one size are called the same
            continue
        content += entry.size
        if entry.path in paths:
            raise RefusedError("Two of its files have the same name.")
        paths.add(entry.path)
        if len(paths) > MAX_FILES:
            raise RefusedError(f"It has more than {MAX_FILES} files.")
    if any(path[:end] in paths for path in paths for end in range(1, len(path))):
        raise RefusedError("One of its files is also a directory.")
    if content == 0:
        raise RefusedError("Its files are all empty.")
    return total


def _entries(info: dict[bytes, Any]) -> Iterator[_Entry]:
    """Yield the files in the order of their indices."""
    return _tree(info[b"file tree"], ()) if b"file tree" in info else _flat(info)


def _flat(info: dict[bytes, Any]) -> Iterator[_Entry]:
    """Yield the files of the v1 part."""
    if (b"length" in info) == (b"files" in info):
        raise RefusedError("It has to be either one file or a list of files.")
    if b"length" in info:
        yield _entry(info, (_own_name(info),))
        return
    files = info[b"files"]
    if not isinstance(files, list):
        raise RefusedError("Its list of files is damaged.")
    for file in files:
        entry = _dictionary(file, "list of files")
        # Both are checked, since libtorrent prefers the second.
        spellings = [_path(entry[key]) for key in (b"path", b"path.utf-8") if key in entry]
        if not spellings:
            raise RefusedError("It has a file without a usable name.")
        yield _entry(entry, spellings[-1])


def _tree(tree: Any, above: tuple[bytes, ...]) -> Iterator[_Entry]:
    """Yield the files of the v2 part; recursion ends at `MAX_DEPTH`, which was checked before."""
    for name, below in _dictionary(tree, "list of files").items():
        path = (*above, name)
        _refuse_name(name)
        children = _dictionary(below, "list of files")
        if b"" not in children:
            yield from _tree(children, path)
        elif len(children) == 1:
            yield _entry(_dictionary(children[b""], "list of files"), path)
        else:
            raise RefusedError("One of its files is also a directory.")


def _entry(entry: dict[bytes, Any], path: tuple[bytes, ...]) -> _Entry:
    attributes = entry.get(b"attr", b"")
    if not isinstance(attributes, bytes):
        raise RefusedError("Its list of files is damaged.")
    if b"l" in attributes or b"symlink path" in entry:
        raise RefusedError("It contains a symbolic link.")
    size = _integer(entry.get(b"length"), "size of a file")
    if size < 0:
        raise RefusedError("The size of its files makes no sense.")
    return _Entry(path, size, is_padding=b"p" in attributes)


def _names(info: dict[bytes, Any]) -> list[Any]:
    """Return the spellings of a torrent's name; libtorrent prefers the last."""
    names = [info[key] for key in (b"name", b"name.utf-8") if key in info]
    if not names:
        raise RefusedError("It has a file without a usable name.")
    return names


def _own_name(info: dict[bytes, Any]) -> bytes:
    name: bytes = _names(info)[-1]  # checked by `refuse_hostile`
    return name


def _path(elements: Any) -> tuple[bytes, ...]:
    if not isinstance(elements, list) or not 0 < len(elements) <= MAX_DEPTH:
        raise RefusedError("It has a file without a usable name.")
    for element in elements:
        _refuse_name(element)
    return tuple(elements)


def _refuse_name(name: Any) -> None:
    if not isinstance(name, bytes) or not name:
        raise RefusedError("It has a file without a usable name.")
    if len(name) > MAX_NAME:
        raise RefusedError("It has a file with an endless name.")
    if name in {b".", b".."} or _SYNTAX.search(name):
        raise RefusedError("It wants to write outside its own folder.")


def _dictionary(value: Any, what: str) -> dict[bytes, Any]:
    if not isinstance(value, dict):
        raise RefusedError(f"The {what} is missing or damaged.")
    return value


def _integer(value: Any, what: str) -> int:
    if not isinstance(value, int):
        raise RefusedError(f"The {what} is missing or damaged.")
    return value
