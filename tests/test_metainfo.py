"""Honest torrents come in as they are, hostile ones are refused with a sentence."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miauflixd.engine import metainfo
from miauflixd.engine.messages import File
from miauflixd.engine.metainfo import RefusedError
from tests.torrent_files import (
    LEAF,
    MAKERS,
    Raw,
    bencode,
    canonical,
    hybrid,
    noise,
    v1,
    v2,
    write_by_index,
)

SERIES = {"extras/empty": b"", "extras/still.jpg": noise(300, 1), "pilot.mkv": noise(3 * LEAF, 2)}
ONE = {"film": noise(LEAF * 2 + 5)}
BASES = [bencode(make(contents)) for make in MAKERS.values() for contents in (SERIES, ONE)]


def refusal(source: bytes | Raw) -> str:
    with pytest.raises(RefusedError) as caught:
        metainfo.load(source if isinstance(source, bytes) else bencode(source))
    return str(caught.value)


def torrent_of(source: bytes | Raw) -> lt.torrent_info:
    torrent = metainfo.load(source if isinstance(source, bytes) else bencode(source)).ti
    assert torrent is not None
    return torrent


def changed(raw: Raw, **info: Any) -> Raw:
    """Change the info dictionary; None takes a key away."""
    raw = deepcopy(raw)
    for name, value in info.items():
        raw[b"info"][name.replace("_", " ").encode()] = value
    raw[b"info"] = canonical({k: v for k, v in raw[b"info"].items() if v is not None})
    return raw


def file(*path: object, size: object = 100, **more: Any) -> Raw:
    extra = {name.replace("_", " ").encode(): value for name, value in more.items()}
    return canonical({b"length": size, b"path": list(path), **extra})  # type: ignore[no-any-return] # sorts what it gets


def files(*entries: object, pieces: int = 1) -> Raw:
    """A v1 torrent with exactly this list of files."""
    return changed(v1(ONE), length=None, files=list(entries), pieces=bytes(20 * pieces))


def tree(**changes: Any) -> Raw:
    """A v2 torrent with something added to the top of its tree."""
    raw = v2(SERIES)
    added = {name.encode(): value for name, value in changes.items()}
    return changed(raw, file_tree={**raw[b"info"][b"file tree"], **added})


# --- what is honest -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKERS)
def test_an_honest_torrent_is_described_without_its_padding(kind):
    contents = metainfo.describe(torrent_of(MAKERS[kind](SERIES, name="show")))
    assert (contents.name, contents.piece_length) == ("show", LEAF)
    assert {(file.path, file.size) for file in contents.files} == {
        ("extras/empty", 0),
        ("extras/still.jpg", 300),
        ("pilot.mkv", 3 * LEAF),
    }


def test_indices_and_offsets_count_the_padding():
    contents = metainfo.describe(torrent_of(hybrid(SERIES)))
    assert contents.total_size == 4 * LEAF
    assert contents.files[-1] == File(index=3, path="pilot.mkv", size=3 * LEAF, offset=LEAF)


@pytest.mark.parametrize(
    ("kind", "lengths"), [("v1", (20, None)), ("v2", (None, 32)), ("hybrid", (20, 32))]
)
def test_a_torrent_has_the_info_hashes_of_its_versions(kind, lengths):
    hashes = metainfo.info_hashes(torrent_of(MAKERS[kind](ONE)))
    assert tuple(value and len(value) for value in hashes) == lengths


@pytest.mark.parametrize("kind", MAKERS)
def test_every_file_is_called_by_its_index_on_disk(kind):
    torrent = torrent_of(MAKERS[kind](SERIES))
    names = metainfo.opaque_names(torrent)
    assert names == {index: str(index) for index in range(torrent.num_files())}
    assert all(file.index in names for file in metainfo.describe(torrent).files)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("with_layers", [True, False])
def test_metadata_from_peers_becomes_the_same_torrent(kind, with_layers):
    raw = MAKERS[kind](SERIES)
    if not with_layers:
        raw.pop(b"piece layers", None)
    params = metainfo.load(bencode(raw))
    again = metainfo.load(metainfo.from_peers(params))
    assert again.info_hashes == params.info_hashes


@pytest.mark.parametrize("kind", ["v2", "hybrid"])
def test_metadata_with_some_piece_layers_only_becomes_the_same_torrent(kind):
    raw = MAKERS[kind]({"a": noise(3 * LEAF, 1), "b": noise(4 * LEAF, 2)})
    raw[b"piece layers"].popitem()
    params = metainfo.load(bencode(raw))
    again = metainfo.load(metainfo.from_peers(params))
    assert again.info_hashes == params.info_hashes


def test_a_tracker_that_is_no_text_is_left_out_of_metadata_from_peers():
    params = lt.load_torrent_buffer(bencode({b"announce": b"http://a.example/\xff", **v1(ONE)}))
    assert metainfo.load(metainfo.from_peers(params)).trackers == []


def test_a_magnet_without_metadata_is_refused():
    params = lt.parse_magnet_uri(f"magnet:?xt=urn:btih:{'a' * 40}")
    with pytest.raises(RefusedError, match="no info dictionary"):
        metainfo.from_peers(params)


def test_keys_in_the_wrong_order_are_taken_as_they_are():
    info = dict(reversed(v1(ONE)[b"info"].items()))
    assert metainfo.describe(torrent_of({b"info": info})).files[0].size == LEAF * 2 + 5


def test_ten_thousand_files_are_taken():
    many = {f"season {n // 100}/part {n // 10}/{n}.mkv": bytes(n % 50 + 1) for n in range(10_000)}
    assert len(metainfo.describe(torrent_of(hybrid(many))).files) == 10_000


# --- who would be asked ---------------------------------------------------------------------------


def test_web_seeds_are_dropped():
    seeds = {b"httpseeds": [b"http://inside.example/"], b"url-list": [b"http://inside.example/"]}
    params = metainfo.load(bencode(canonical({**v1(ONE), **seeds})))
    assert params.url_seeds == []
    assert params.http_seeds == []


def test_only_trackers_that_can_be_asked_are_kept_with_their_tier():
    tiers = [
        [b"udp://a.example:1/announce", b"wss://b.example/", b"http://b.example/\xff", b""],
        [b"file:///etc/passwd", b"https://c.example/announce", b"http://[::1/", 5, [b"x"]],
        b"http://no-tier.example/",
        [b"http://d.example/ \r\nHost: e.example", b"http:///nobody"],
    ]
    params = metainfo.load(bencode(canonical({**v1(ONE), b"announce-list": tiers})))
    assert params.trackers == ["udp://a.example:1/announce", "https://c.example/announce"]
    assert params.tracker_tiers == [0, 1]


@pytest.mark.parametrize(
    ("announce", "kept"), [(b"http://a.example/x", ["http://a.example/x"]), (b"\xff", []), (7, [])]
)
def test_a_lone_tracker_is_judged_like_others(announce, kept):
    assert metainfo.load(bencode({b"announce": announce, **v1(ONE)})).trackers == kept


def test_no_more_than_a_hundred_trackers_are_kept():
    tiers = [[f"udp://{tier}-{n}.example:1/".encode() for n in range(20)] for tier in range(200)]
    params = metainfo.load(bencode(canonical({**v1(ONE), b"announce-list": tiers})))
    assert len(params.trackers) == len(params.tracker_tiers) == 100


# --- names ----------------------------------------------------------------------------------------


def test_names_are_shown_without_what_cannot_be_seen():
    name = "a\u202egnp.\u2066b\x07\x1b[31m\u200fc.mkv"
    shown = metainfo.describe(torrent_of(v1({name: b"x"}, name=name)))
    assert shown.files[0].path.isprintable()
    assert shown.name.startswith("agnp.b")
    assert shown.name.endswith(".mkv")


def test_invalid_utf_8_is_shown_with_replacements():
    shown = metainfo.describe(torrent_of(changed(v1(ONE), name=b"caf\xe9.mkv")))
    assert shown.name == "caf\ufffd.mkv"


def test_a_name_of_nothing_that_can_be_seen_gets_one():
    shown = metainfo.describe(torrent_of(files(file(b"extras", "\u2066".encode()))))
    assert shown.files[0].path == "extras/unnamed"


@pytest.mark.parametrize("kind", MAKERS)
def test_the_preferred_spelling_of_a_name_is_shown_even_alone(kind):
    both = changed(MAKERS[kind](SERIES), **{"name.utf-8": "é".encode()})
    assert metainfo.describe(torrent_of(both)).name == "é"
    assert metainfo.describe(torrent_of(changed(both, name=None))).name == "é"


def test_a_long_name_keeps_its_suffix():
    parts = ["x" * 200, "y" * 200, "z.mkv"]
    shown = metainfo.describe(torrent_of(files(file(*[part.encode() for part in parts]))))
    assert len(shown.files[0].path) == 255
    assert shown.files[0].path.endswith("z.mkv")


# --- what is hostile ------------------------------------------------------------------------------

OUTSIDE = "It wants to write outside its own folder."
NAMELESS = "It has a file without a usable name."
SYMLINK = "It contains a symbolic link."
SIZES = "The size of its files makes no sense."
LENGTH = "Its piece length makes no sense."
HASHES = "Its piece hashes do not fit the size of its files."
DAMAGED = "It is damaged, cut short, or no .torrent file at all."
LIST = "Its list of files is damaged."
TWICE = "It says something twice, or something follows its end."
BOTH = "One of its files is also a directory."
INFO = "It has no info dictionary."
LINK: Raw = {b"": {b"attr": b"l", b"length": 0, b"symlink path": [b"..", b"etc"]}}
WHOLE = bencode(v1(ONE))

HOSTILE: dict[str, tuple[bytes | Raw, str]] = {
    "parents in a path": (files(file(b"..", b"..", b"etc", b"passwd")), OUTSIDE),
    "parents in the preferred path": (
        files(file(b"a", path__utf=0, **{"path.utf-8": [b".."]})),
        OUTSIDE,
    ),
    "parents in the other path": (files(file(b"..", **{"path.utf-8": [b"a"]})), OUTSIDE),
    "parents in the tree": (tree(**{"..": {b"x": {b"": {b"length": 0}}}}), OUTSIDE),
    "itself in a path": (files(file(b".", b"a")), OUTSIDE),
    "absolute": (files(file(b"/etc/passwd")), OUTSIDE),
    "absolute name": (changed(v1(ONE), name=b"/etc/passwd"), OUTSIDE),
    "absolute preferred name": (changed(v1(ONE), **{"name.utf-8": b"/etc/passwd"}), OUTSIDE),
    "absolute in the tree": (tree(**{"/etc": {b"": {b"length": 0}}}), OUTSIDE),
    "backslash": (files(file(b"..\\..\\x")), OUTSIDE),
    "nul": (files(file(b"film.mkv\0.exe")), OUTSIDE),
    "name is the parent": (changed(v1(ONE), name=b".."), NAMELESS),
    "symlink v1": (files(file(b"a"), file(b"b", size=0, attr=b"l", symlink_path=[b".."])), SYMLINK),
    "symlink without attribute": (files(file(b"a", symlink_path=[b".."])), SYMLINK),
    "symlink v2": (tree(link=LINK), SYMLINK),
    "symlink of one file": (changed(v1(ONE), attr=b"xl"), HASHES),
    "no name": (changed(v1(ONE), name=None), NAMELESS),
    "no path": (files({b"length": 100}), NAMELESS),
    "empty path": (files(file()), NAMELESS),
    "empty element": (files(file(b"", b"a")), NAMELESS),
    "number as element": (files(file(1)), NAMELESS),
    "path deeper than any": (
        files(file(*[b"d"] * 101)),
        "One of its files lies too deep in directories.",
    ),
    "name of 10,000 characters": (
        changed(v1(ONE), name=b"x" * 10_000),
        "It has a file with an endless name.",
    ),
    "path of 10,000 characters": (
        files(file(b"x" * 10_000)),
        "It has a file with an endless name.",
    ),
    "the same path twice": (files(file(b"a"), file(b"a")), "Two of its files have the same name."),
    "file and directory": (files(file(b"a"), file(b"a", b"b")), BOTH),
    "directory and file": (files(file(b"a", b"b", b"c"), file(b"a")), BOTH),
    "file and directory in the tree": (
        tree(pilot={b"": {b"length": 0}, b"b": {b"": {b"length": 0}}}),
        LIST,
    ),
    "no files": (files(), "It holds no files."),
    "no files in the tree": (changed(v2(ONE), file_tree={}), "It holds no files."),
    "empty file": (changed(v1(ONE), length=0, pieces=b""), "The size of its files makes no sense."),
    "only empty files": (files(file(b"a", size=0), pieces=0), SIZES),
    "only padding": (files(file(b"a", attr=b"p")), "Its files are all empty."),
    "negative size": (changed(v1(ONE), length=-5), SIZES),
    "negative size of one": (files(file(b"a", size=-5), file(b"b", size=105)), SIZES),
    "size beyond any disk": (changed(v1(ONE), length=2**62), SIZES),
    "sizes that overflow together": (
        files(*[file(b"%d" % n, size=2**61) for n in range(8)]),
        SIZES,
    ),
    "size beyond any disk in the tree": (tree(big={b"": {b"length": 2**50}}), SIZES),
    "size as text": (changed(v1(ONE), length=b"5"), SIZES),
    "one file and a list": (changed(v1(ONE), files=[file(b"a")]), HASHES),
    "piece length 0": (changed(v1(ONE), piece_length=0), LENGTH),
    "piece length 1": (changed(v1({"film": b"x"}), piece_length=1), LENGTH),
    "piece length negative": (changed(v1(ONE), piece_length=-LEAF), LENGTH),
    "piece length 128 MiB": (changed(v1({"film": b"x"}), piece_length=2**27), LENGTH),
    "piece length 1 GiB": (changed(v1({"film": b"x"}), piece_length=2**30), LENGTH),
    "piece length beyond 32 bits": (changed(v1({"film": b"x"}), piece_length=2**32 + LEAF), LENGTH),
    "attributes as a number": (files(file(b"a", attr=1)), LIST),
    "piece length as text": (changed(v1(ONE), piece_length=b"16384"), LENGTH),
    "piece length missing": (changed(v1(ONE), piece_length=None), LENGTH),
    "piece length no power of two in v2": (changed(v2(ONE), piece_length=LEAF * 3), LENGTH),
    "piece length too small for v2": (changed(v2(ONE), piece_length=LEAF // 2), LENGTH),
    "hashes not a multiple of 20": (changed(v1(ONE), pieces=bytes(59)), HASHES),
    "hashes too many": (changed(v1(ONE), pieces=bytes(80)), HASHES),
    "hashes missing": (changed(v1(ONE), pieces=None), "Its piece hashes are missing or damaged."),
    "hashes as a list": (
        changed(v1(ONE), pieces=[1, 2, 3]),
        "Its piece hashes are missing or damaged.",
    ),
    "v2 file without a hash": (
        tree(bare={b"": {b"length": 5}}),
        "One of its files has no hash.",
    ),
    "foreign piece layers": (
        {**v2(ONE), b"piece layers": {bytes(32): bytes(64)}},
        "Its piece layers do not belong to its files.",
    ),
    "v1 and v2 apart": (
        changed(hybrid(ONE), length=5, pieces=bytes(20)),
        "Its v1 and its v2 part describe different files.",
    ),
    "future version": (
        changed(v2(ONE), meta_version=3),
        "It is of a version that miauflixd does not know.",
    ),
    "tree as a list": (changed(v2(ONE), file_tree=[1]), "Its v2 part is damaged."),
    "piece layers as a list": (
        {**v2(ONE), b"piece layers": [1]},
        "The piece layers is missing or damaged.",
    ),
    "a piece layer as a dictionary": (
        {**v2(SERIES), b"piece layers": {key: {} for key in v2(SERIES)[b"piece layers"]}},
        "Its piece layers do not belong to its files.",
    ),
    "tree out of order": (
        {
            b"info": {
                **v2(ONE)[b"info"],
                b"file tree": dict(reversed(v2(SERIES)[b"info"][b"file tree"].items())),
            }
        },
        "Its keys are not in order, which v2 does not allow.",
    ),
    "links to other torrents": (
        changed(v1(ONE), similar=[bytes(20)]),
        "It wants to share files with other torrents.",
    ),
    "links to other torrents from outside": (
        {b"collections": [b"all"], **v1(ONE)},
        "It wants to share files with other torrents.",
    ),
    "certificate": (
        changed(v1(ONE), **{"ssl-cert": b"-----BEGIN"}),
        "It is for people with a certificate only.",
    ),
    "nothing at all": (b"", "It is no .torrent file."),
    "a web page": (b"<!doctype html>", "It is no .torrent file."),
    "a list": (b"le", "It is no .torrent file."),
    "no info": ({b"announce": b"http://a.example/"}, INFO),
    "info as a list": ({b"info": [1]}, INFO),
    "cut short": (WHOLE[:-1], DAMAGED),
    "cut in the middle": (WHOLE[: len(WHOLE) // 2], DAMAGED),
    "garbage at the end": (WHOLE + b"garbage", TWICE),
    "huge integer": (WHOLE.replace(b"i16384e", b"i" + b"9" * 5000 + b"e"), DAMAGED),
    "zeros before a number": (WHOLE.replace(b"i16384e", b"i0016384e"), TWICE),
    "string longer than everything": (b"d4:info99999999999:xe", DAMAGED),
    "negative string": (b"d4:info-1:xe", DAMAGED),
    "number as a key": (b"di1e4:infoe", DAMAGED),
    "info twice": (WHOLE[:-1] + bencode(v1({"film": b"y"}))[1:], TWICE),
    "name twice": (WHOLE.replace(b"4:name", b"4:name1:x4:name"), TWICE),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_input_is_refused_with_a_sentence(what):
    source, sentence = HOSTILE[what]
    assert refusal(source) == sentence


NOT_OURS = {
    # These libtorrent alone refuses: they need hashing or the order of keys.
    "v2 file without a hash",
    "foreign piece layers",
    "v1 and v2 apart",
    "future version",
    "tree out of order",
}


@pytest.mark.parametrize(
    "what",
    [what for what, (raw, _) in HOSTILE.items() if isinstance(raw, dict) and what not in NOT_OURS],
)
def test_our_own_look_refuses_it_without_libtorrent(what):
    raw = HOSTILE[what][0]
    assert isinstance(raw, dict)
    with pytest.raises(RefusedError, match=r"\.$"):
        metainfo.refuse_hostile(raw)


def test_a_key_given_twice_cannot_hide_a_path_from_our_checks():
    # libtorrent takes the first, the dictionary that we look at has only the last.
    innocent, evil = bencode([file(b"ok")]), bencode([file(b"..", b"x")])
    whole = bencode(files(file(b"ok"))).replace(
        b"5:files" + innocent, b"5:files" + evil + b"5:files" + innocent
    )
    assert lt.bdecode(whole)[b"info"][b"files"][0][b"path"] == [b"ok"]  # type: ignore[index, call-overload] # the stub cannot know its shape
    assert refusal(whole) == TWICE


def test_a_million_files_are_refused_by_size_alone():
    entry = bencode(file(b"a", size=1))
    whole = b"d4:infod5:filesl" + entry * 1_000_000 + b"eee"
    assert refusal(whole) == "It is larger than 10 MiB."


def test_as_many_files_as_fit_are_refused_before_they_are_looked_at():
    entry = bencode(file(b"a", size=1))
    fitting = (metainfo.MAX_METAINFO - 200) // len(entry)
    whole = bencode(files()).replace(b"5:filesle", b"5:filesl" + entry * fitting + b"e")
    assert refusal(whole) == "It holds too many values."


@pytest.mark.parametrize("padding", [{}, {"attr": b"p"}])
def test_a_little_too_many_files_are_refused(padding):
    count = metainfo.MAX_FILES * (2 if padding else 1) + 1
    entries = [file(b"%d" % n, size=1, **padding) for n in range(count)]
    raw = files(*entries, pieces=-(-count // LEAF))
    assert refusal(raw) == "It has more than 10000 files."


def test_claiming_more_pieces_than_we_hold_is_refused():
    big = {b"length": 2**34, b"pieces root": b"r" * 32}
    assert refusal(tree(big={b"": big})) == "It has too many pieces."


@pytest.mark.parametrize(
    "program",
    [
        "nest = b'l' * 100_000 + b'e' * 100_000; source = b'd4:info' + nest + b'e'",
        "source = b'd4:info' + b'l' * 5_000_000",
        "source = b'd4:info' + b'd1:a' * 100_000 + b'de' + b'e' * 100_000 + b'e'",
        "source = b'd4:infod9:file tree' + b'd1:a' * 2_000_000",
    ],
)
def test_deep_nesting_cannot_overflow_the_stack(program):
    # In a process of its own, with a stack as small as a thread's may be: a crash must not end us.
    script = f"""
import threading
from miauflixd.engine.metainfo import RefusedError, load
{program}
def refused():
    try:
        load(source)
    except RefusedError as error:
        print(error)
threading.stack_size(256 * 1024)
thread = threading.Thread(target=refused)
thread.start()
thread.join()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=15, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "It is nested too deeply.")


# --- what nobody thought of -----------------------------------------------------------------------


def load_sanely(source: bytes) -> bool:
    """Load anything; say whether it was taken, and if so make sure that it is fit for use."""
    try:
        params = metainfo.load(source)
    except RefusedError:
        return False
    torrent = params.ti
    assert torrent is not None
    contents = metainfo.describe(torrent)
    assert 2**10 <= contents.piece_length <= 2**26
    assert torrent.num_pieces() == -(-contents.total_size // contents.piece_length)
    end = 0
    for entry in contents.files:
        assert end <= entry.offset <= entry.offset + entry.size <= contents.total_size
        end = entry.offset + entry.size
        assert 0 < len(entry.path) <= 255
        assert "\x00" not in entry.path
    assert end > 0
    assert all(url.lower().startswith(("http://", "https://", "udp://")) for url in params.trackers)
    assert any(metainfo.info_hashes(torrent))
    assert metainfo.load(metainfo.from_peers(params)).info_hashes == params.info_hashes
    return True


def spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container and key within a decoded torrent."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from spots(value[key])


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(
    "wrong", [0, -1, 2**62, -(2**63), b"", b"x" * 32, [], [[]], {}, {b"": b""}, {b"a": {b"": 1}}]
)
def test_the_wrong_type_anywhere_is_refused_or_harmless(kind, wrong):
    raw = MAKERS[kind](SERIES)
    for container, key in list(spots(raw)):
        right = container[key]
        container[key] = wrong
        load_sanely(bencode(raw))
        container[key] = right
    assert load_sanely(bencode(raw))


@given(st.binary(max_size=500))
def test_arbitrary_bytes_are_refused(source):
    assert not load_sanely(b"d" + source)


Values = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([b"length", b"path", b"", b"attr", b"a"]), inner)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [b"length", b"files", b"name", b"piece length", b"pieces", b"file tree", b"attr"]
        ),
        Values,
    )
)
def test_an_info_dictionary_of_anything_is_refused_or_harmless(info):
    load_sanely(bencode({b"info": canonical(info)}))


Mutation = Callable[[bytes], bytes]


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    source = draw(st.sampled_from(BASES))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(source)))
        stop = draw(st.integers(at, min(at + 40, len(source))))
        other = draw(st.sampled_from(BASES))
        start = draw(st.integers(0, len(other)))
        patch = draw(
            st.binary(max_size=4)
            | st.integers(-(2**64), 2**64).map(lambda n: b"i%de" % n)
            | st.just(other[start : start + stop - at])
        )
        source = source[:at] + patch + source[stop:]
    return source


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(mutations())
def test_a_mutated_torrent_is_refused_or_harmless(source):
    load_sanely(source)


# --- what peers send, and what is left if all checks fail -----------------------------------------

EVIL = {"0": noise(LEAF, 1), "1": noise(LEAF, 2), "2": noise(LEAF, 3)}
QUIET: Any = {
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_natpmp": False,
    "enable_upnp": False,
    "allow_multiple_connections_per_ip": True,
}


def evil_torrent(elsewhere: Path) -> bytes:
    entries = [
        file(b"..", b"..", b"climbed", size=LEAF),
        file(str(elsewhere).encode(), size=LEAF),
        file(b"link", b"through", size=LEAF),
        file(b"..", b"empty", size=0),
        file(b"link", size=0, attr=b"l", symlink_path=[b"..", b".."]),
    ]
    return bencode(changed(v1(EVIL), name=b"../../evil", files=entries, length=None))


class Swarm:
    """A seeder and a leecher on the loopback, neither of which checks anything."""

    def __init__(self, folder: Path) -> None:
        self.saved = folder / "saved"
        self._seeding = folder / "seeding"
        self._seeder = lt.session(QUIET)
        self._leecher = lt.session(QUIET)

    def seed(self, source: bytes, contents: dict[str, bytes], indices: dict[str, int]) -> None:
        write_by_index(self._seeding, contents, indices)
        params = lt.load_torrent_buffer(source)
        assert params.ti is not None
        params.renamed_files = metainfo.opaque_names(params.ti)
        params.save_path = str(self._seeding)
        offered = self._seeder.add_torrent(params)
        wait_until(lambda: offered.status().is_seeding)
        self.magnet = lt.make_magnet_uri(offered)

    def join(self, params: lt.add_torrent_params) -> lt.torrent_handle:
        params.save_path = str(self.saved)
        joined = self._leecher.add_torrent(params)
        joined.connect_peer(("127.0.0.1", self._seeder.listen_port()))
        return joined

    def state_of(self, joined: lt.torrent_handle) -> lt.add_torrent_params:
        joined.save_resume_data(lt.save_resume_flags_t.save_info_dict)
        while True:
            self._leecher.wait_for_alert(1000)
            for alert in self._leecher.pop_alerts():
                if isinstance(alert, lt.save_resume_data_alert):
                    return alert.params

    def names(self) -> list[str]:
        return [path.relative_to(self.saved).as_posix() for path in self.saved.rglob("*")]


@pytest.fixture
def swarm(tmp_path):
    return Swarm(tmp_path / "below" / "swarm")


def wait_until(is_true: Callable[[], bool]) -> None:
    while not is_true():  # the test's own time limit ends this
        time.sleep(0.02)


@pytest.mark.swarm
def test_no_name_of_a_torrent_ever_becomes_a_path(swarm, tmp_path):
    source = evil_torrent(tmp_path / "elsewhere")
    swarm.seed(source, EVIL, {"0": 0, "1": 1, "2": 2})
    # Straight into libtorrent, past every check of ours.
    params = lt.load_torrent_buffer(source)
    assert params.ti is not None
    params.renamed_files = metainfo.opaque_names(params.ti)
    joined = swarm.join(params)
    wait_until(lambda: joined.status().is_seeding)
    assert {name: (swarm.saved / name).read_bytes() for name in "012"} == EVIL
    assert set(swarm.names()) <= set("01234")
    assert [path.name for path in tmp_path.iterdir()] == ["below"]
    assert {path.name for path in (tmp_path / "below").iterdir()} == {"swarm"}
    assert {path.name for path in (tmp_path / "below" / "swarm").iterdir()} == {"saved", "seeding"}


@pytest.mark.swarm
def test_no_name_that_peers_send_becomes_a_path_before_it_is_refused(swarm, tmp_path):
    swarm.seed(evil_torrent(tmp_path / "elsewhere"), EVIL, {"0": 0, "1": 1, "2": 2})
    params = lt.parse_magnet_uri(swarm.magnet)
    params.renamed_files = metainfo.opaque_names_ahead()
    joined = swarm.join(params)
    wait_until(lambda: joined.status().is_seeding)
    assert set(swarm.names()) <= set("01234")
    with pytest.raises(RefusedError, match="outside its own folder"):
        metainfo.load(metainfo.from_peers(swarm.state_of(joined)))


@pytest.mark.swarm
@pytest.mark.parametrize("kind", MAKERS)
def test_metadata_out_of_a_swarm_becomes_the_same_torrent(swarm, kind):
    contents = {"a": noise(LEAF * 30, 1), "b": noise(LEAF * 40, 2), "c": noise(5, 3)}
    source = bencode(MAKERS[kind](contents))
    described = metainfo.describe(torrent_of(source))
    swarm.seed(source, contents, {file.path: file.index for file in described.files})
    joined = swarm.join(lt.parse_magnet_uri(f"{swarm.magnet}&tr=http%3A%2F%2F127.0.0.1%3A1%2Fx"))
    for is_there in (lambda: joined.status().has_metadata, lambda: joined.status().is_seeding):
        wait_until(is_there)
        params = metainfo.load(metainfo.from_peers(swarm.state_of(joined)))
        assert params.info_hashes == metainfo.load(source).info_hashes
        assert params.trackers == ["http://127.0.0.1:1/x"]
        assert params.ti is not None
        assert metainfo.describe(params.ti) == described
