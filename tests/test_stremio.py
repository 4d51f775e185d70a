"""The Stremio add-on, and playlists with addresses that stay."""

import asyncio
import io
import json
import shutil
import subprocess
import zipfile
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from miauflixd.catalogue.model import TitleId
from miauflixd.playback.playlists import Entry, m3u, xspf
from miauflixd.web.keys import PLAYBACKS
from tests.catalogue_titles import movie, put
from tests.fakes import FakeTorrents
from tests.ready_fakes import FakePlaying, ready
from tests.web_house import Web, open_web

pytestmark = pytest.mark.slow

NODE = Path(__file__).parent / "stremio_node"
FILM = "Big.Cat.2019.1080p.WEB-DL.H264.AAC-GRP.mp4"


@pytest.fixture
def playing():
    return FakePlaying()


@pytest.fixture
async def web(tmp_path, playing):
    async with open_web(tmp_path, torrents=FakeTorrents(), playing=playing) as web:
        yield web


@pytest.fixture
async def films(web) -> list[TitleId]:
    return [
        await put(web.library.titles, movie("Big Cat", tmdb=1, released=date(2019, 5, 1))),
        await put(
            web.library.titles,
            movie("Small & Fast / 100% Dog", tmdb=2, released=date(2020, 5, 1)),
        ),
    ]


async def key(web: Web, purpose: str = "stremio") -> str:
    ben = await web.token_of(await web.add("ben"))
    made = await web.ask("POST", "/api/keys", {"purpose": purpose, "name": "TV"}, token=ben)
    assert made.status == 201
    return str(made.body["key"])


async def get(web: Web, path: str) -> tuple[int, Any, Any]:
    async with web.session.get(f"{web.url}{path}", allow_redirects=False) as answer:
        text = await answer.text()
        is_json = answer.content_type == "application/json"
        return answer.status, json.loads(text) if is_json else text, answer.headers


async def test_the_manifest_is_small_and_may_be_read_from_anywhere(web, films):
    status, found, headers = await get(web, f"/stremio/{await key(web)}/manifest.json")
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert len(json.dumps(found)) < 8192
    assert found["idPrefixes"] == ["tt", "mfx:"]
    assert {one["type"] for one in found["catalogs"]} == {"movie", "series"}


async def test_without_the_key_there_is_nothing_and_one_may_read_so(web, films):
    playlist = await key(web, "playlist")
    for wrong in ("none", playlist):
        status, _, headers = await get(web, f"/stremio/{wrong}/manifest.json")
        assert status == 401
        assert headers["Access-Control-Allow-Origin"] == "*"
    async with web.session.options(f"{web.url}/stremio/none/manifest.json") as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_titles_are_listed_searched_and_described(web, films):
    base = f"/stremio/{await key(web)}"
    _, found, _ = await get(web, f"{base}/catalog/movie/miauflix-movie.json")
    assert {one["name"] for one in found["metas"]} == {"Big Cat", "Small & Fast / 100% Dog"}
    search = "search=Small%20%26%20Fast%20%2F%20100%25%20Dog"
    _, found, _ = await get(web, f"{base}/catalog/movie/miauflix-movie/{search}.json")
    assert found["metas"][0]["name"] == "Small & Fast / 100% Dog"
    _, found, _ = await get(web, f"{base}/catalog/movie/miauflix-movie/skip=100.json")
    assert found == {"metas": []}
    for far in ("skip=2100", "skip=2300", f"{search}&skip=100"):
        _, found, _ = await get(web, f"{base}/catalog/movie/miauflix-movie/{far}.json")
        assert found == {"metas": []}
    _, found, _ = await get(web, f"{base}/catalog/movie/miauflix-movie/skip={'9' * 5000}.json")
    assert len(found["metas"]) == 2
    _, found, _ = await get(web, f"{base}/catalog/channel/x.json")
    assert found == {"metas": []}
    _, found, _ = await get(web, f"{base}/meta/movie/mfx%3A{films[0]}.json")
    assert found["meta"]["name"] == "Big Cat"
    for unknown in ("tt9999999", "mfx:movie:99999", "tt1:1:1:1", "nonsense"):
        status, found, _ = await get(web, f"{base}/stream/movie/{unknown}.json")
        assert (status, found) in ((200, {"streams": []}), (404, found))


async def test_a_title_plays_at_an_address_that_stays(web, films, playing):
    playing.titles[films[0]] = ready(FILM)
    base = f"/play/{await key(web, 'playlist')}"
    for _ in range(2):
        status, _, headers = await get(web, f"{base}/{films[0]}")
        assert status == 302
        assert headers["Location"].startswith(f"{web.url}/api/stream/source-1?file=0&key=mfs_")
    playbacks = web.app[PLAYBACKS].of(None)
    assert [one.decision.method for one in playbacks] == ["direct", "direct"]
    assert (await get(web, f"/play/none/{films[0]}"))[0] == 401
    assert (await get(web, f"{base}/movie:99999"))[0] == 404


async def test_a_source_that_is_gone_leaves_the_choice_to_the_house(web, films, playing):
    playing.titles[films[0]] = ready(FILM)
    status, _, headers = await get(web, f"/stremio/{await key(web)}/play/{films[0]}/{'9' * 16}")
    assert status == 302
    assert "/api/stream/source-1?" in headers["Location"]


def test_no_title_breaks_out_of_a_playlist():
    odd = Entry(url="http://nas/x", title='A\n#EXT, \x00"é" <b> & \ufffe\ud800', resume_at=5)
    lines = m3u([odd]).splitlines()
    assert lines[1:] == ['#EXTINF:-1,A #EXT, "é" <b> &', "#EXTVLCOPT:start-time=5", "http://nas/x"]
    track = ET.fromstring(xspf([odd], title="T")).find(".//{http://xspf.org/ns/0/}track")
    assert track is not None
    title = track.findtext("{http://xspf.org/ns/0/}title") or ""
    assert title.split() == ["A", "#EXT,", '"é"', "<b>", "&"]


async def test_what_one_goes_on_with_is_a_playlist(web, films):
    playlist = await key(web, "playlist")
    ben = (await web.household.accounts.all())[1]
    report = {"position": 600.0, "duration": 5400.0, "state": "paused"}
    token = await web.token_of(ben)
    await web.ask("PUT", f"/api/progress/{films[1]}", report, token=token)
    _, found, _ = await get(web, f"/playlist/{playlist}.m3u8")
    assert found == (
        "#EXTM3U\n"
        "#EXTINF:-1,Small & Fast / 100% Dog (2020)\n"
        "#EXTVLCOPT:start-time=600\n"
        f"{web.url}/play/{playlist}/{films[1]}\n"
    )
    _, found, _ = await get(web, f"/playlist/{playlist}.xspf")
    names = {"x": "http://xspf.org/ns/0/"}
    titles = [one.text for one in ET.fromstring(found).iterfind(".//x:track/x:title", names)]
    assert titles == ["Small & Fast / 100% Dog (2020)"]


async def test_a_revoked_key_opens_nothing(web, films):
    playlist = await key(web, "playlist")
    ben = await web.token_of((await web.household.accounts.all())[1])
    (made,) = (await web.ask("GET", "/api/keys", token=ben)).body["items"]
    assert (await web.ask("DELETE", f"/api/keys/{made['id']}", token=ben)).status == 204
    assert (await get(web, f"/playlist/{playlist}.m3u8"))[0] == 401


@pytest.mark.foreign
@pytest.mark.timeout(120)
async def test_stremios_own_packages_find_nothing_wrong(web, films, tmp_path):
    modules = tmp_path / "node"
    shutil.copytree(NODE, modules)
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=modules,
        check=True,
        capture_output=True,
        timeout=100,
    )
    address = f"{web.url}/stremio/{await key(web)}/manifest.json"
    found = await _run(["node", "check.js", address], cwd=modules)
    assert found["lint"] == {"valid": True, "errors": [], "warnings": []}
    assert found["searched"] == ["Small & Fast / 100% Dog"]
    assert found["streams"] == 0


async def _run(command: list[str], *, cwd: Path) -> Any:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return json.loads(output)


async def test_ones_own_titles_are_a_library_for_kodi_and_jellyfin(web, films):
    playlist = await key(web, "playlist")
    ben = (await web.household.accounts.all())[1]
    token = await web.token_of(ben)
    report = {"position": 600.0, "duration": 5400.0, "state": "paused"}
    await web.ask("PUT", f"/api/progress/{films[1]}", report, token=token)
    async with web.session.get(f"{web.url}/playlist/{playlist}.zip") as answer:
        assert answer.status == 200
        packed = zipfile.ZipFile(io.BytesIO(await answer.read()))
    place = "Movies/Small & Fast 100% Dog (2020) [tmdbid-2]/Small & Fast 100% Dog (2020) [tmdbid-2]"
    assert sorted(packed.namelist()) == [f"{place}.nfo", f"{place}.strm"]
    link = packed.read(f"{place}.strm").decode()
    assert link == f"{web.url}/play/{playlist}/{films[1]}\n"
    nfo = ET.fromstring(packed.read(f"{place}.nfo"))
    assert (nfo.tag, nfo.findtext("title")) == ("movie", "Small & Fast / 100% Dog")
    assert nfo.findtext("uniqueid[@type='tmdb']") == "2"
