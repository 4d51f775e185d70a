"""The film of a run, its torrents, and those who have it: a real swarm of real libtorrent."""

import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import libtorrent as lt

from miauflixd.demo import bencode
from miauflixd.demo.metainfo import make_torrent
from tests.lab.canaries import Canaries
from tests.lab.topology import DHT_NODE, SEEDS, SEEDS_V6

PORT = 6881
BLOCK = 2**14
_CHUNK = 2**20
_EMPTY_PIECE = 2**22


@dataclass(frozen=True, kw_only=True)
class Film:
    """What is streamed in the lab."""

    path: Path
    size: int
    metainfo: bytes
    """The `.torrent` file, with trackers and a web seed by name."""
    bare: bytes
    """The same without any of them, for those who have the film already."""
    magnet: str
    info_hash: bytes


def make_film(folder: Path, *, size: int, canaries: Canaries, urls: "Urls") -> Film:
    """Write a film that exists once in the world: every block of it begins with the run's mark."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "0"
    noise = random.Random(canaries.token)
    with path.open("wb") as file:
        for _ in range(size // _CHUNK):
            chunk = bytearray(noise.randbytes(_CHUNK))
            for start in range(0, _CHUNK, BLOCK):
                chunk[start : start + len(canaries.magic)] = canaries.magic
            file.write(chunk)
    name = f"film {canaries.token}.mp4"
    torrent = make_torrent(path, name=name, announce_url=urls.tracker, piece_length=2**18)
    # The info-dictionary ends the file, but for the `e` of what it stands in.
    info = torrent.metainfo[torrent.metainfo.index(b"4:infod") + len(b"4:info") : -1]
    return _film(path, name=name, info=info, canaries=canaries, urls=urls)


def make_empty_film(path: Path, *, size: int, canaries: Canaries, urls: "Urls") -> Film:
    """Return a film with nothing in it: its swarm tells what it holds, and gives none of it."""
    with path.open("wb") as file:
        file.truncate(size)
    name = f"empty film {canaries.token}.mp4"
    info: dict[str, bencode.Bencodable] = {
        "length": size,
        "name": name,
        "piece length": _EMPTY_PIECE,
        "pieces": os.urandom(20 * -(-size // _EMPTY_PIECE)),
    }
    return _film(path, name=name, info=bencode.encode(info), canaries=canaries, urls=urls)


def _film(path: Path, *, name: str, info: bytes, canaries: Canaries, urls: "Urls") -> Film:
    info_hash = hashlib.sha1(info, usedforsecurity=False).digest()
    canaries.hashes.append(info_hash)
    places: dict[str, bencode.Bencodable] = {
        "announce": urls.tracker,
        "announce-list": [[urls.tracker], [urls.udp_tracker]],
        "url-list": [urls.web_seed],
    }
    peers = [f"{address}:{PORT}" for address in SEEDS]
    peers += [f"[{address}]:{PORT}" for address in SEEDS_V6]
    magnet = "".join(
        (
            f"magnet:?xt=urn:btih:{info_hash.hex()}&dn={quote(name)}",
            *(f"&tr={quote(url, safe='')}" for url in (urls.tracker, urls.udp_tracker)),
            f"&ws={quote(urls.web_seed, safe='')}",
            *(f"&x.pe={peer}" for peer in peers),
        )
    )
    return Film(
        path=path,
        size=path.stat().st_size,
        metainfo=_with(places, info),
        bare=_with({}, info),
        magnet=magnet,
        info_hash=info_hash,
    )


def _with(places: Mapping[str, bencode.Bencodable], info: bytes) -> bytes:
    """Return a `.torrent` file; `info` comes before `url-list`, as the format wants it."""
    before = {key: value for key, value in places.items() if key < "info"}
    after = {key: value for key, value in places.items() if key > "info"}
    return bencode.encode(before)[:-1] + b"4:info" + info + bencode.encode(after)[1:]


@dataclass(frozen=True, kw_only=True)
class Urls:
    """Where a torrent says that it is to be had; by name, so that names are asked for."""

    tracker: str
    udp_tracker: str
    web_seed: str

    @classmethod
    def of(cls, canaries: Canaries) -> "Urls":
        return cls(
            tracker=f"http://{canaries.name('tracker')}/announce",
            udp_tracker=f"udp://{canaries.name('udp')}:6969/announce",
            web_seed=f"http://{canaries.name('seed')}/film",
        )


def seed(folder: Path, torrents: Sequence[Path], *, rate: int) -> None:
    """Be the swarms until killed: every address has all films, and one more is the DHT.

    Args:
        folder: where the films are, called by their numbers.
        torrents: their `.torrent` files.
        rate: bytes per second of each address at most.
    """
    sessions = []
    for v4, v6 in zip(SEEDS, SEEDS_V6, strict=True):
        session = lt.session(_settings(f"{v4}:{PORT},[{v6}]:{PORT}", rate=rate, dht=False))
        for number, file in enumerate(torrents):
            torrent = lt.add_torrent_params()
            torrent.ti = lt.torrent_info(file.read_bytes())
            torrent.ti.rename_file(0, str(number))
            torrent.save_path = str(folder)
            torrent.flags = lt.torrent_flags.seed_mode | lt.torrent_flags.upload_mode
            session.add_torrent(torrent)
        sessions.append(session)
    node = lt.session(_settings(f"{DHT_NODE}:{PORT}", rate=0, dht=True))
    print(json.dumps({"seeding": len(sessions)}), flush=True)
    while True:
        time.sleep(3600)
        node.post_dht_stats()


def _settings(listen: str, *, rate: int, dht: bool) -> "lt.settings_pack":
    return {
        "listen_interfaces": listen,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_dht": dht,
        "dht_bootstrap_nodes": "",
        "dht_restrict_routing_ips": False,
        "upload_rate_limit": rate,
        "allow_multiple_connections_per_ip": True,
        "unchoke_slots_limit": -1,
        "close_redundant_connections": False,
        # One that left without a word must not keep its place for a minute.
        "peer_timeout": 20,
    }


if __name__ == "__main__":
    seed(Path(sys.argv[1]), [Path(name) for name in sys.argv[3:]], rate=int(sys.argv[2]))
