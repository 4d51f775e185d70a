"""Magnet links and info-hashes."""

import base64
from collections.abc import Callable
from urllib.parse import parse_qs, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.torrents.magnet import Magnet, from_info_hash, parse_magnet
from miauflixd.torrents.model import BadTorrentError

V1 = bytes(range(1, 21))
V2 = bytes(range(1, 33))
BTIH = f"xt=urn:btih:{V1.hex()}"
BTMH = f"xt=urn:btmh:1220{V2.hex()}"


@pytest.mark.parametrize(
    ("text", "v1", "v2"),
    [
        (f"magnet:?{BTIH}", V1, None),
        (f"magnet:?xt=urn:btih:{V1.hex().upper()}", V1, None),
        (f"magnet:?xt=urn:btih:{base64.b32encode(V1).decode()}", V1, None),
        (f"magnet:?xt=urn:btih:{base64.b32encode(V1).decode().lower()}", V1, None),
        (f"magnet:?{BTMH}", None, V2),
        (f"magnet:?xt=urn:btmh:1220{V2.hex().upper()}", None, V2),
        (f"magnet:?{BTIH}&{BTMH}", V1, V2),
        (f"magnet:?{BTMH}&{BTIH}", V1, V2),
        (f"MAGNET:?XT=URN:BTIH:{V1.hex()}", V1, None),
        (f"magnet:?xt=urn%3Abtih%3A{V1.hex()}", V1, None),
        (f"magnet:?xt.1=urn:btih:{V1.hex()}&xt.2=urn:btmh:1220{V2.hex()}", V1, V2),
        (f"magnet:?{BTIH}&{BTIH}", V1, None),
        (f"magnet:?{BTIH}&xt=urn:btih:{base64.b32encode(V1).decode()}", V1, None),
        (f"magnet:?xt=urn:sha1:ABC&xt=urn:ed2k:DEF&{BTIH}", V1, None),
        (f"magnet:?&&=&dn&{BTIH}&", V1, None),
        (f" \n magnet:?{BTIH}\t\n", V1, None),
    ],
)
def test_a_link_names_its_torrent(text, v1, v2):
    magnet = parse_magnet(text)

    assert (magnet.v1, magnet.v2) == (v1, v2)
    assert magnet.hashes == tuple(value for value in (v1, v2) if value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a magnet link"),
        ("hello", "not a magnet link"),
        (f"http://example.org/?{BTIH}", "not a magnet link"),
        (f"magnet:{BTIH}", "not a magnet link"),
        (f"magnet://?{BTIH}", "not a magnet link"),
        ("magnet:?", "names no torrent"),
        ("magnet:?dn=name&tr=http://tracker.example/", "names no torrent"),
        ("magnet:?xt=urn:sha1:ABCDEF", "names no torrent"),
        ("magnet:?xt=urn:btih:", "urn:btih"),
        (f"magnet:?{BTIH[:-1]}", "urn:btih"),
        (f"magnet:?{BTIH}0", "urn:btih"),
        (f"magnet:?{BTIH[:-1]}g", "urn:btih"),
        (f"magnet:?xt=urn:btih:{'1' * 32}", "urn:btih"),  # no such digit in base32
        (f"magnet:?xt=urn:btih:{V2.hex()}", "urn:btih"),
        (f"magnet:?{BTIH}%0A", "urn:btih"),
        (f"magnet:?{BTIH}&xt=urn:btih:{'٣' * 40}", "urn:btih"),
        (f"magnet:?{BTMH[:-2]}", "urn:btmh"),
        (f"magnet:?xt=urn:btmh:1114{V1.hex()}", "urn:btmh"),
        (f"magnet:?xt=urn:btmh:{V2.hex()}", "urn:btmh"),
        (f"magnet:?{BTIH}&xt=urn:btih:{'a' * 40}", "two different"),
        (f"magnet:?{BTMH}&xt=urn:btmh:1220{'a' * 64}", "two different"),
        (f"magnet:?xt=urn:btih:{'0' * 40}", "all zeros"),
        (f"magnet:?{BTIH}&xt=urn:btmh:1220{'0' * 64}", "all zeros"),
        (f"magnet:?{BTIH}&dn={'x' * 32768}", "longer than 32 KiB"),
        (f"magnet:?{BTIH}&dn={'é' * 16384}", "longer than 32 KiB"),
        # Each of these grows threefold when it is written out in full.
        (
            f"magnet:?{BTIH}" + "".join(f"&tr=http://h/{n}{'(' * 1900}" for n in range(15)),
            "written out",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(text, says):
    with pytest.raises(BadTorrentError, match=says):
        parse_magnet(text)


def test_a_refusal_does_not_repeat_the_hash():
    text = f"magnet:?{BTIH}&xt=urn:btih:{'a' * 40}"

    with pytest.raises(BadTorrentError) as refusal:
        parse_magnet(text)

    assert V1.hex() not in str(refusal.value)


@pytest.mark.parametrize(
    "tracker",
    [
        "http://tracker.example/announce",
        "https://tracker.example:8443/announce?passkey=abc&x=1",
        "udp://tracker.example:6969",
        "udp://tracker.example:6969/announce",
        "UDP://tracker.example:6969/announce",
        "http://[2001:db8::1]:80/announce",
        "http://192.0.2.1/a%20b",
    ],
)
@pytest.mark.parametrize("name", ["tr", "TR", "tr.1", "tr.12"])
def test_a_tracker_is_kept_as_it_is(tracker, name):
    quoted = tracker.replace("%", "%25").replace("&", "%26")

    assert parse_magnet(f"magnet:?{BTIH}&{name}={quoted}").trackers == (tracker,)


@pytest.mark.parametrize(
    "tracker",
    [
        "",
        "tracker.example",
        "wss://tracker.example/",
        "file:///etc/passwd",
        "ftp://tracker.example/",
        "javascript:alert(1)",
        "http://",
        "http:///announce",
        "http://:80/announce",
        "udp://tracker.example/announce",
        "udp://tracker.example:0",
        "http://tracker.example:0/",
        "http://tracker.example:99999/",
        "http://tracker.example:port/",
        "http://[2001:db8::1/announce",
        "http://tracker.example/%0d%0aHost:%20other",
        "http://tracker.example/a%00b",
        "http://tracker%2eexample\\@other/",
        "http://trackér.example/",
        "http://tracker.example/" + "a" * 2048,
    ],
)
def test_what_is_no_usable_tracker_is_left_out(tracker):
    magnet = parse_magnet(f"magnet:?{BTIH}&tr={tracker}&tr=http://good.example/")

    assert magnet.trackers == ("http://good.example/",)


def test_the_first_fifty_trackers_count_and_each_once():
    urls = [f"http://tracker.example/{number}" for number in range(60)]
    text = f"magnet:?{BTIH}" + "".join(f"&tr={url}&tr={url}" for url in urls)

    assert parse_magnet(text).trackers == tuple(urls[:50])


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("A+film%20of+ours", "A film of ours"),
        ("%E5%BD%B1+%F0%9F%8E%AC", "影 🎬"),
        ("two%0D%0Alines%09and%00more", "two lines andmore"),
        ("%1B[31mred", "[31mred"),
        ("harmless%E2%80%AEgpj.exe", "harmlessgpj.exe"),
        ("%D9%85%DB%8C%E2%80%8C%D8%AE%D9%88", "می\u200cخو"),
        ("%ff%fe", "��"),
        ("%00%01", None),
        ("+++", None),
        ("", None),
        ("x" * 300, "x" * 255),
        ("x" * 254 + "+y", "x" * 254),
    ],
)
def test_a_name_is_cleaned(written, name):
    assert parse_magnet(f"magnet:?{BTIH}&dn={written}").name == name


def test_the_first_name_that_says_anything_counts():
    assert parse_magnet(f"magnet:?{BTIH}&dn=%00&dn=first&dn=second").name == "first"


def test_only_what_was_accepted_is_in_the_canonical_link():
    magnet = parse_magnet(
        f"magnet:?ws=http://127.0.0.1/admin&{BTIH}&xs=http://10.0.0.1/&as=http://10.0.0.2/"
        "&x.pe=192.168.1.1:22&so=0-4&xl=10&kt=words&mt=http://10.0.0.3/&foo=bar&xt=urn:sha1:AAAA"
        f"&dn=a+name&tr=wss://socket.example/&tr=udp://tracker.example:1/a&{BTMH}"
    )

    assert magnet.uri == (
        f"magnet:?xt=urn:btih:{V1.hex()}&xt=urn:btmh:1220{V2.hex()}"
        "&dn=a%20name&tr=udp://tracker.example:1/a"
    )


@pytest.mark.parametrize(
    ("text", "v1", "v2"),
    [
        (V1.hex(), V1, None),
        (V1.hex().upper(), V1, None),
        (f" {V1.hex()}\n", V1, None),
        (base64.b32encode(V1).decode(), V1, None),
        (base64.b32encode(V1).decode().lower(), V1, None),
        (V2.hex(), None, V2),
    ],
)
def test_a_bare_info_hash_becomes_a_link(text, v1, v2):
    magnet = from_info_hash(text)

    assert (magnet.v1, magnet.v2, magnet.name, magnet.trackers) == (v1, v2, None, ())
    assert parse_magnet(magnet.uri) == magnet


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "0" * 40,
        "0" * 64,
        "A" * 32,
        "g" * 40,
        "a" * 39,
        "a" * 41,
        f"magnet:?{BTIH}",
        "é" * 40,
    ],
)
def test_what_is_no_info_hash_is_refused(text):
    with pytest.raises(BadTorrentError):
        from_info_hash(text)


values = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            f"urn:btih:{V1.hex()}",
            f"urn:btmh:1220{V2.hex()}",
            "urn:btih:",
            "urn:btmh:1220",
            "http://tracker.example/a(b)?c=d%26e",
            "udp://tracker.example:1",
            "http://[::1",
            "http://a:b@c:d/",
            "%zz%ff%00",
        ]
    ),
)
keys = st.one_of(st.sampled_from(["xt", "tr", "dn", "xt.1", "tr.2", "ws"]), st.text(max_size=5))
links = st.lists(st.tuples(keys, values), max_size=12).map(
    lambda pairs: "magnet:?" + "&".join(f"{key}={value}" for key, value in pairs)
)


def read_or_refuse(read: Callable[[str], Magnet], text: str) -> Magnet | None:
    try:
        return read(text)
    except BadTorrentError:
        return None


@given(st.one_of(st.text(), links, links.map(lambda link: f"{link}&{BTIH}")))
def test_any_text_is_read_or_refused_and_reading_the_canonical_link_changes_nothing(text):
    magnet = read_or_refuse(parse_magnet, text)

    if magnet is not None:
        assert parse_magnet(magnet.uri) == magnet
        assert magnet.uri.isascii()
        assert set(parse_qs(magnet.uri.removeprefix("magnet:?"))) <= {"xt", "dn", "tr"}


@given(st.one_of(st.text(), st.text(alphabet="0123456789abcdefABCDEF", min_size=30, max_size=66)))
def test_any_text_is_an_info_hash_or_refused(text):
    magnet = read_or_refuse(from_info_hash, text)

    if magnet is not None:
        assert parse_magnet(magnet.uri) == magnet


@given(
    name=st.text(max_size=400),
    trackers=st.lists(
        st.text(max_size=40).map(lambda path: f"http://tracker.example/{path}"), max_size=5
    ),
)
def test_names_and_trackers_of_any_kind_survive_a_round_trip(name, trackers):
    text = f"magnet:?{BTIH}&dn={quote(name, errors='surrogatepass')}" + "".join(
        f"&tr={quote(tracker, errors='surrogatepass')}" for tracker in trackers
    )

    magnet = parse_magnet(text)

    assert parse_magnet(magnet.uri) == magnet
    assert magnet.name is None or len(magnet.name) <= 255
