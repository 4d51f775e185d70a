"""The parts of the demo's swarm, each by itself."""

import asyncio
import hashlib
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import libtorrent as lt
import pytest
from aiohttp import ClientSession
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from miauflixd.demo import bencode
from miauflixd.demo.announces import Announce, BadAnnounceError, Peer, Register, parse
from miauflixd.demo.daemon import PortInUseError, free_port
from miauflixd.demo.film import FfmpegError, film
from miauflixd.demo.metainfo import make_torrent
from miauflixd.demo.tracker import Tracker

ANNOUNCE_URL = "http://127.0.0.1:6969/announce"
HASH = bytes(range(200, 220))

# --- bencode --------------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8"))
values = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.binary() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
)


def in_bytes(value: Any) -> Any:
    """Return a value as libtorrent wants it: without text."""
    match value:
        case str():
            return value.encode()
        case list():
            return [in_bytes(item) for item in value]
        case dict():
            return {key.encode(): in_bytes(item) for key, item in value.items()}
        case _:
            return value


@given(values)
def test_bencode_writes_what_libtorrent_writes(value):
    assert bencode.encode(value) == lt.bencode(in_bytes(value))


def test_keys_are_in_the_order_of_their_bytes():
    assert bencode.encode({"pieces": b"", "é": 1, "piece length": 2}) == (
        b"d12:piece lengthi2e6:pieces0:2:\xc3\xa9i1ee"
    )


# --- .torrent files -------------------------------------------------------------------------------


@pytest.fixture
def content(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(bytes(range(256)) * 4000)
    return path


def test_libtorrent_reads_the_torrent_as_it_was_meant(content):
    torrent = make_torrent(
        content, name="A film, é.mp4", announce_url=ANNOUNCE_URL, piece_length=2**15
    )
    read = lt.load_torrent_buffer(torrent.metainfo)
    assert read.trackers == [ANNOUNCE_URL]
    assert read.ti is not None
    assert read.ti.name() == "A film, é.mp4"
    assert read.ti.total_size() == torrent.size == content.stat().st_size
    assert read.ti.piece_length() == torrent.piece_length == 2**15
    assert read.ti.info_hashes().v1.to_bytes() == torrent.info_hash
    assert not read.ti.info_hashes().has_v2()
    last = read.ti.num_pieces() - 1
    rest = content.read_bytes()[last * 2**15 :]
    assert read.ti.hash_for_piece(last) == hashlib.sha1(rest).digest()


def test_the_magnet_link_leads_to_the_same_torrent(content):
    torrent = make_torrent(content, name="A & b = c.mp4", announce_url=ANNOUNCE_URL)
    read = lt.parse_magnet_uri(torrent.magnet)
    assert read.info_hashes.v1.to_bytes() == torrent.info_hash
    assert (read.name, read.trackers) == ("A & b = c.mp4", [ANNOUNCE_URL])


@pytest.mark.parametrize(
    ("size", "piece_length"),
    [(0, 2**14), (1, 2**14), (100 * 2**14, 2**14), (100 * 2**14 + 1, 2**15), (20_000_000, 2**18)],
)
def test_a_film_has_up_to_a_hundred_pieces(tmp_path, size, piece_length):
    path = tmp_path / "film.mp4"
    with path.open("wb") as file:
        file.truncate(size)
    assert make_torrent(path, name="film", announce_url=ANNOUNCE_URL).piece_length == piece_length


# --- the tracker ----------------------------------------------------------------------------------


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def register(clock):
    return Register(interval=60, clock=clock)


def says(**changes: Any) -> Announce:
    said: dict[str, Any] = {
        "info_hash": HASH,
        "port": 6881,
        "is_complete": False,
        "is_leaving": False,
        "wanted": 50,
        "compact": True,
    }
    return Announce(**(said | changes))


def seeder(number: int) -> Peer:
    return Peer(f"127.0.0.{number}", 5000)


async def test_whoever_wants_something_is_told_of_everybody_else(register):
    for number in (11, 12):
        await register.announce(seeder(number), says(is_complete=True))
    await register.announce(seeder(13), says())
    told = await register.announce(seeder(1), says())
    assert set(told) == {seeder(11), seeder(12), seeder(13)}
    assert register.count(HASH) == (2, 2)


async def test_seeders_are_told_only_of_those_who_want_something(register):
    await register.announce(seeder(11), says(is_complete=True))
    await register.announce(seeder(1), says())
    assert await register.announce(seeder(12), says(is_complete=True)) == [seeder(1)]


async def test_no_more_peers_are_told_than_are_wanted(register):
    for number in range(10, 20):
        await register.announce(seeder(number), says())
    assert len(await register.announce(seeder(1), says(wanted=3))) == 3
    assert await register.announce(seeder(1), says(wanted=0)) == []


async def test_a_peer_that_stops_is_forgotten_and_told_nothing(register):
    await register.announce(seeder(11), says(is_complete=True))
    await register.announce(seeder(1), says())
    assert await register.announce(seeder(11), says(is_leaving=True)) == []
    assert await register.announce(seeder(1), says()) == []
    assert register.count(HASH) == (0, 1)


async def test_a_download_that_completes_makes_a_seeder(register):
    await register.announce(seeder(1), says())
    await register.announce(seeder(1), says(is_complete=True))
    assert register.count(HASH) == (1, 0)


async def test_a_peer_that_says_nothing_for_two_intervals_is_forgotten(register, clock):
    await register.announce(seeder(11), says(is_complete=True))
    clock.now += 120
    assert await register.announce(seeder(1), says()) == [seeder(11)]
    clock.now += 1
    assert await register.announce(seeder(1), says()) == []


async def test_swarms_know_nothing_of_each_other(register):
    await register.announce(seeder(11), says(is_complete=True))
    assert await register.announce(seeder(1), says(info_hash=bytes(20))) == []
    assert register.count(bytes(20)) == (0, 1)


def test_what_is_not_said_is_guessed_as_the_others_do():
    announce = parse({"info_hash": "x" * 20, "port": "6881"})
    assert announce == says(info_hash=b"x" * 20)
    assert parse({"info_hash": "x" * 20, "port": "1", "numwant": "-1"}).wanted == 50
    assert parse({"info_hash": "x" * 20, "port": "1", "numwant": "9999"}).wanted == 200


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"info_hash": "x" * 19}, "info_hash must have 20 bytes"),
        ({"info_hash": ""}, "info_hash must have 20 bytes"),
        ({"port": "0"}, "port must be from 1 to 65535"),
        ({"port": "65536"}, "port must be from 1 to 65535"),
        ({"port": "many"}, "port must be a number"),
        ({"left": "all"}, "left must be a number"),
        ({"numwant": "9" * 5000}, "numwant must be a number"),
    ],
)
def test_an_announce_that_makes_no_sense_is_refused_with_a_sentence(wrong, sentence):
    with pytest.raises(BadAnnounceError, match=sentence):
        parse({"info_hash": "x" * 20, "port": "6881"} | wrong)


async def ask(tracker: Tracker, **parameters: Any) -> Any:
    """Announce over HTTP, and return the answer decoded."""
    # Not a string: aiohttp would tidy up its escapes.
    url = URL(f"{tracker.announce_url}?{urlencode(parameters)}", encoded=True)
    async with ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        return lt.bdecode(await answer.read())


async def test_the_tracker_answers_in_six_bytes_for_each_peer():
    async with Tracker.open() as tracker:
        await ask(tracker, info_hash=HASH, port=0x1234, left=0)
        answer = await ask(tracker, info_hash=HASH, port=2, left=10)
        assert answer == {
            b"complete": 1,
            b"incomplete": 1,
            b"interval": 60,
            b"peers": bytes([127, 0, 0, 1, 0x12, 0x34]),
        }


async def test_the_tracker_answers_in_full_when_asked_to():
    async with Tracker.open() as tracker:
        await ask(tracker, info_hash=HASH, port=1, left=0)
        answer = await ask(tracker, info_hash=HASH, port=2, left=10, compact=0)
        assert answer[b"peers"] == [{b"ip": b"127.0.0.1", b"port": 1}]


async def test_the_tracker_says_what_is_wrong():
    async with Tracker.open() as tracker:
        assert await ask(tracker, port=1) == {b"failure reason": b"info_hash must have 20 bytes"}


async def test_the_tracker_counts_without_being_joined():
    async with Tracker.open() as tracker, ClientSession() as session:
        await ask(tracker, info_hash=HASH, port=1, left=0)
        url = (
            f"{tracker.announce_url.replace('announce', 'scrape')}?{urlencode({'info_hash': HASH})}"
        )
        async with session.get(URL(url, encoded=True)) as answer:
            assert lt.bdecode(await answer.read()) == {
                b"files": {HASH: {b"complete": 1, b"downloaded": 0, b"incomplete": 0}}
            }


class Datagrams(asyncio.DatagramProtocol):
    """Talks to a tracker over UDP."""

    def __init__(self) -> None:
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._answers.put_nowait(data)

    async def ask(self, request: bytes) -> bytes:
        self._transport.sendto(request)
        async with asyncio.timeout(5):
            return await self._answers.get()


@asynccontextmanager
async def over_udp(tracker: Tracker) -> AsyncIterator[Datagrams]:
    url = URL(tracker.udp_url)
    transport, datagrams = await asyncio.get_running_loop().create_datagram_endpoint(
        Datagrams, remote_addr=(url.host or "", url.port or 0)
    )
    try:
        yield datagrams
    finally:
        transport.close()


def announce(connection: bytes, *, port: int, left: int, event: int = 2) -> bytes:
    """Return an announce as BEP 15 has it."""
    return (
        connection
        + struct.pack(">II20s20s", 1, 7, HASH, b"-XX-12345678901234567")
        + struct.pack(">QQQIIIiH", 0, left, 0, event, 0, 0, -1, port)
    )


async def test_the_tracker_answers_over_udp():
    async with Tracker.open() as tracker, over_udp(tracker) as datagrams:
        answer = await datagrams.ask(struct.pack(">QII", 0x41727101980, 0, 7))
        assert answer[:8] == struct.pack(">II", 0, 7)
        connection = answer[8:]
        await datagrams.ask(announce(connection, port=0x1234, left=0))
        answer = await datagrams.ask(announce(connection, port=2, left=10))
        assert answer == struct.pack(">IIIII", 1, 7, 60, 1, 1) + bytes([127, 0, 0, 1, 0x12, 0x34])
        answer = await datagrams.ask(connection + struct.pack(">II", 2, 8) + bytes(20) + HASH)
        assert answer == struct.pack(">IIIIIIII", 2, 8, 0, 0, 0, 1, 0, 1)
        await datagrams.ask(announce(connection, port=2, left=10, event=3))
        # Over HTTP it is the same register.
        assert (await ask(tracker, info_hash=HASH, port=3, left=0))[b"incomplete"] == 0


async def test_over_udp_what_makes_no_sense_is_refused_or_ignored():
    async with Tracker.open() as tracker, over_udp(tracker) as datagrams:
        connect = struct.pack(">QII", 0x41727101980, 0, 7)
        for nothing in (b"", b"x", bytes(15)):
            datagrams._transport.sendto(nothing)
        stranger = await datagrams.ask(bytes(8) + struct.pack(">II", 2, 9) + HASH)
        assert stranger == struct.pack(">II", 3, 9) + b"unknown connection"
        connection = (await datagrams.ask(connect))[8:]
        short = await datagrams.ask(connection + struct.pack(">II", 1, 9) + HASH)
        assert short == struct.pack(">II", 3, 9) + b"unknown request"


async def test_waiting_for_seeders_ends_when_they_are_there():
    async with Tracker.open() as tracker:
        for port in (1, 2):
            await ask(tracker, info_hash=HASH, port=port, left=0)
        await tracker.seeded(HASH, seeders=2)


# --- the film, made by a stand-in for ffmpeg ------------------------------------------------------


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    """Let `ffmpeg` be a shell script, which finds the file to write in $output."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", os.fspath(programs))

    def write(script):
        program = programs / "ffmpeg"
        program.write_text(f"#!/bin/sh\nfor output; do :; done\n{script}\n", encoding="utf-8")
        program.chmod(0o755)

    return write


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_the_film_is_made_once(ffmpeg, tmp_path):
    ffmpeg('echo film > "$output"')
    made = await film(tmp_path / "cache")
    ffmpeg("exit 1")
    assert await film(tmp_path / "cache") == made
    assert made.read_text() == "film\n"
    assert names(tmp_path / "cache") == [made.name]


async def test_a_film_of_another_length_is_another_file(ffmpeg, tmp_path):
    ffmpeg('echo film > "$output"')
    assert await film(tmp_path) != await film(tmp_path, seconds=5)


async def test_a_film_that_failed_leaves_nothing_and_says_why(ffmpeg, tmp_path):
    ffmpeg('echo half > "$output"; echo "first"; echo "No space left" >&2; exit 1')
    with pytest.raises(FfmpegError, match="ffmpeg could not make the film: No space left"):
        await film(tmp_path / "cache")
    assert names(tmp_path / "cache") == []


async def test_without_ffmpeg_its_debian_package_is_named(ffmpeg, tmp_path):
    with pytest.raises(FfmpegError, match="apt-get install ffmpeg"):
        await film(tmp_path / "cache")


# --- the port -------------------------------------------------------------------------------------


def test_a_port_in_use_is_refused_by_its_number():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"Port {port} is in use by another program"):
            free_port(port)


def test_a_free_port_is_found():
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert port > 1023
