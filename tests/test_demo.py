"""The demo as a whole: its film, its swarm, and the command with everything that it starts."""

import asyncio
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import libtorrent as lt
import pytest

from miauflixd.demo.film import NAME
from miauflixd.demo.swarm import Swarm
from tests.demo_running import Demo, demo, film_in_cache, wait_until_gone

pytestmark = pytest.mark.timeout(120)

ADDRESS = r"http://127\.0\.0\.1:\d+/$"
LOGIN = r"^ +(\S+@\S+) +password +(\S+)$"
LAST_WORDS = r"^Ctrl-C ends it"


@pytest.fixture(scope="module")
def cache_and_film(tmp_path_factory):
    return film_in_cache(tmp_path_factory)


@pytest.fixture
def cache(cache_and_film):
    return cache_and_film[0]


@pytest.fixture
def film(cache_and_film):
    return cache_and_film[1]


@pytest.fixture
def temporary(tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def get(url: str, **headers: str) -> bytes:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: bytes = answer.read()
        return content


def post(url: str, content: str | bytes, kind: str, **headers: str) -> dict[str, str]:
    body = content.encode() if isinstance(content, str) else content
    request = urllib.request.Request(url, data=body, headers={"Content-Type": kind} | headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        decoded: dict[str, str] = json.load(answer)
        return decoded


def signed_in(url: str, running: Demo) -> dict[str, str]:
    """Sign in with what the demo says, and return the header of who did."""
    email, password = running.wait_for(LOGIN).groups()
    body = json.dumps({"email": email, "password": password})
    token = post(f"{url}api/auth/login", body, "application/json")["access_token"]
    return {"Authorization": f"Bearer {token}"}


# --- the film -------------------------------------------------------------------------------------


@pytest.mark.foreign
def test_the_film_is_a_minute_of_picture_and_sound(film):
    output = subprocess.run(
        [
            *("ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams"),
            os.fspath(film),
        ],
        check=True,
        capture_output=True,
    ).stdout
    found = json.loads(output)
    picture, sound = found["streams"]
    assert (picture["codec_name"], picture["width"], picture["height"]) == ("h264", 1280, 720)
    assert picture["r_frame_rate"] == "25/1"
    assert sound["codec_name"] == "aac"
    assert float(found["format"]["duration"]) == pytest.approx(60, abs=0.1)
    assert 15_000_000 < film.stat().st_size < 25_000_000


@pytest.mark.foreign
def test_the_films_index_is_in_front(film):
    assert 0 < film.read_bytes().find(b"moov") < 100


# --- the swarm ------------------------------------------------------------------------------------


@pytest.fixture
def leecher():
    """A foreign peer, with the settings of libtorrent's own choice."""
    return lt.session(
        {
            "listen_interfaces": "127.0.0.1:0",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "alert_mask": lt.alert.category_t.status_notification,
        }
    )


@pytest.fixture
def content(tmp_path):
    path = tmp_path / "content"
    path.write_bytes(os.urandom(3_000_000))
    return path


def download(session: lt.session, magnet: str, folder: Path) -> None:
    """Fetch all that a magnet link leads to."""
    parameters = lt.parse_magnet_uri(magnet)
    parameters.save_path = os.fspath(folder)
    parameters.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    session.add_torrent(parameters)
    while True:
        session.wait_for_alert(1000)
        if any(isinstance(alert, lt.torrent_finished_alert) for alert in session.pop_alerts()):
            return


@pytest.mark.swarm
async def test_a_foreign_peer_gets_the_film_from_the_seeders(content, leecher, tmp_path):
    async with Swarm.open(content, directory=tmp_path / "swarm", name="film") as swarm:
        await asyncio.to_thread(download, leecher, swarm.torrent.magnet, tmp_path)
    assert (tmp_path / "film").read_bytes() == content.read_bytes()


@pytest.mark.swarm
async def test_the_film_still_comes_when_seeders_stop(content, leecher, tmp_path):
    async with Swarm.open(content, directory=tmp_path / "swarm", name="film") as swarm:
        for seeder in swarm.seeders[:2]:
            await seeder.stop()
            await seeder.stop()
        await asyncio.to_thread(download, leecher, swarm.torrent.magnet, tmp_path)
    assert (tmp_path / "film").read_bytes() == content.read_bytes()


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.daemon
@pytest.mark.swarm
def test_the_demo_shows_its_film_and_ctrl_c_leaves_nothing_behind(cache, film, temporary):
    with demo(cache=cache, temporary=temporary) as running:
        url = running.wait_for(ADDRESS)[0]
        login = signed_in(url, running)
        running.wait_for(LAST_WORDS)
        assert "<video" in get(url).decode()
        (source,) = json.loads(get(f"{url}api/torrents", **login))["items"]
        assert source["name"] == NAME
        content = get(f"{url}api/stream/{source['id']}", **login)
        assert sha256(content) == sha256(film.read_bytes())
        running.interrupt()
        status, said = running.end()
        assert (status, said) == (0, "\nOver. Nothing is left running.\n")
        assert running.left_behind() == []


@pytest.mark.daemon
@pytest.mark.swarm
def test_the_magnet_link_and_the_file_that_it_offers_are_the_same_and_play(cache, film, temporary):
    with demo(cache=cache, temporary=temporary) as running:
        url = running.wait_for(ADDRESS)[0]
        login = signed_in(url, running)
        magnet = running.wait_for(r"magnet:\S+")[0]
        file = running.wait_for(r"\S+\.torrent$")[0]
        running.wait_for(LAST_WORDS)
        by_link = post(
            f"{url}api/torrents", json.dumps({"magnet": magnet}), "application/json", **login
        )
        metainfo = Path(file).read_bytes()
        by_file = post(f"{url}api/torrents", metainfo, "application/x-bittorrent", **login)
        assert by_file["source_id"] == by_link["source_id"]
        # Not all of it: one seeder takes its time.
        beginning = get(f"{url}api/stream/{by_link['source_id']}", Range="bytes=0-999999", **login)
        assert beginning == film.read_bytes()[:1_000_000]


@pytest.mark.daemon
@pytest.mark.swarm
@pytest.mark.parametrize("line", [r"^Looking", r"^Starting a tracker", r"^Starting the daemon"])
def test_a_signal_while_it_starts_leaves_nothing_behind(cache, temporary, line):
    with demo(cache=cache, temporary=temporary) as running:
        running.wait_for(line)
        running.process.terminate()
        status, _ = running.end()
        assert status == 0
        assert running.left_behind() == []


@pytest.mark.daemon
@pytest.mark.foreign
def test_ctrl_c_while_the_film_is_made_leaves_no_half_film(tmp_path, temporary):
    cache = tmp_path / "cache"
    with demo(cache=cache, temporary=temporary) as running:
        running.wait_for(r"^Looking")
        running.interrupt()
        status, _ = running.end()
        assert status == 0
        assert running.left_behind() == []
        assert list(cache.glob("*")) == []


@pytest.mark.daemon
@pytest.mark.swarm
def test_a_daemon_that_dies_ends_the_demo_with_the_reason(cache, temporary):
    with demo(cache=cache, temporary=temporary) as running:
        running.wait_for(LAST_WORDS)
        (daemon,) = running.children("--config")
        orphans = running.children("miauflixd.engine")
        os.kill(daemon, signal.SIGKILL)
        status, said = running.end()
        assert status == 1
        assert re.search(r"^miauflixd: The daemon ended by signal 9", said, re.MULTILINE)
        # The daemon's own engine was nobody's any more; it goes by itself.
        wait_until_gone(orphans)
        assert running.left_behind() == []


@pytest.mark.daemon
def test_a_port_in_use_is_said_at_once(tmp_path, temporary):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with demo("--port", port, cache=tmp_path, temporary=temporary) as running:
            status, said = running.end()
    assert status == 1
    assert said.startswith(f"miauflixd: Port {port} is in use by another program")


@pytest.mark.daemon
@pytest.mark.swarm
def test_the_settings_of_the_machine_do_not_reach_the_demo(cache, temporary):
    with demo(cache=cache, temporary=temporary, MIAUFLIX_VPN_MODE="required") as running:
        running.wait_for(LAST_WORDS)
