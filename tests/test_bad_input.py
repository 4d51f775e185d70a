"""Hostile input over HTTP: each gets a problem that helps, and the house stands as before."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.running import KIB, MIB, House, house, seeded
from tests.test_metainfo import HOSTILE
from tests.torrent_files import bencode, v1

pytestmark = [pytest.mark.daemon, pytest.mark.timeout(60)]

NOBODY = "0123456789abcdef"


def everything_below(folder: Path) -> set[str]:
    return {os.fspath(path.relative_to(folder)) for path in folder.rglob("*")}


async def problem_of(answer: Any) -> dict[str, Any]:
    """Return the problem that an answer is."""
    assert answer.content_type == "application/problem+json"
    problem: dict[str, Any] = await answer.json()
    assert problem["status"] == answer.status
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert len(problem["detail"]) > 10
    return problem


async def sources(home: House) -> list[Any]:
    async with home.session.get(f"{home.url}/api/torrents") as answer:
        items: list[Any] = (await answer.json())["items"]
        return items


async def test_hostile_torrent_files_are_refused_by_the_engine_with_a_sentence(tmp_path):
    place = tmp_path / "place"
    async with house(place) as home:
        before = everything_below(tmp_path)
        for what, (source, sentence) in HOSTILE.items():
            async with home.post(source if isinstance(source, bytes) else bencode(source)) as said:
                problem = await problem_of(said)
                assert (said.status, problem["code"]) == (422, "bad_torrent"), what
                assert problem["detail"] == sentence, what
        await home.still_answers()
        assert await sources(home) == []
        assert everything_below(tmp_path) == before


@pytest.mark.parametrize(
    ("metainfo", "status", "code"),
    [
        (b"l" * (3 * MIB), 422, "bad_torrent"),
        (b"d4:info" + b"d1:a" * MIB, 422, "bad_torrent"),
        (b"d4:infod5:files" + b"l" + b"d6:lengthi1e4:pathl1:aee" * 400_000, 422, "bad_torrent"),
        (b"d" + bytes(10 * MIB + 1), 413, "too_large"),
    ],
    ids=["deep lists", "deep dictionaries", "almost a million files", "more than 10 MiB"],
)
async def test_huge_torrent_files_are_refused_and_do_no_harm(tmp_path, metainfo, status, code):
    async with house(tmp_path) as home:
        async with home.post(metainfo) as said:
            assert said.status == status
            assert (await problem_of(said))["code"] == code
        engine = home.engine_pid
        await home.still_answers()
        assert home.engine_pid == engine


async def test_names_that_lead_elsewhere_never_reach_the_disk(tmp_path):
    """What is taken is on the disk under names of our own, in the data folder alone."""
    place = tmp_path / "place"
    contents = {"a/..b/~/$(x)": b"1" * 5000, "con.mp4": b"2" * 70_000, "\u202egpm.exe": b"3" * 10}
    async with house(place, no_data_timeout=0.3) as home:
        before = everything_below(tmp_path)
        source_id = await home.add_metainfo(bencode(v1(contents, name="..%2f..%2fetc")))
        async with home.get(source_id, range(10)) as said:
            assert said.status == 504
        told = await home.source(source_id)
        assert "gpm.exe" in [file["name"] for file in told["files"]]
        new = everything_below(tmp_path) - before
        below = f"place/data/downloads/{source_id}"
        assert all(path.startswith((below, "place/data/miauflixd.sqlite3")) for path in new)


BAD_MAGNETS: list[tuple[object, str]] = [
    ({"magnet": ""}, "not a magnet link"),
    ({"magnet": "http://example.org/a.torrent"}, "not a magnet link"),
    ({"magnet": "magnet:?"}, "names no torrent"),
    ({"magnet": "magnet:?dn=A+film"}, "names no torrent"),
    ({"magnet": "magnet:?xt=urn:btih:xyz"}, "40 hexadecimal digits"),
    ({"magnet": f"magnet:?xt=urn:btih:{'0' * 40}"}, "all zeros"),
    ({"magnet": f"magnet:?xt=urn:btmh:1221{'a' * 64}"}, "`1220`"),
    ({"magnet": "magnet:?xt=urn:btih:" + "a" * 40_000}, "longer than 32 KiB"),
    ({"magnet": 5}, "str"),
    ({"info_hash": "../../etc/passwd"}, "not an info-hash"),
    ({"info_hash": "a" * 39}, "not an info-hash"),
    ({}, "Exactly one"),
    ({"magnet": f"magnet:?xt=urn:btih:{'a' * 40}", "info_hash": "a" * 40}, "Exactly one"),
    ({"url": "file:///etc/passwd"}, "no such field"),
    ([], "object"),
]


async def test_bad_magnets_and_hashes_are_refused_with_what_is_wrong(tmp_path):
    async with house(tmp_path) as home:
        for body, says in BAD_MAGNETS:
            async with home.session.post(f"{home.url}/api/torrents", json=body) as said:
                assert said.status == 422, body
                assert says in (await problem_of(said))["detail"], body
        assert await sources(home) == []


async def test_what_is_not_there_is_404_however_it_is_asked_for(tmp_path):
    async with house(tmp_path) as home:
        for method, path, status in (
            ("GET", f"/api/stream/{NOBODY}", 404),
            ("HEAD", f"/api/stream/{NOBODY}", 404),
            ("GET", f"/api/torrents/{NOBODY}", 404),
            ("DELETE", f"/api/torrents/{NOBODY}", 404),
            ("GET", "/api/stream/..%2f..%2fmiauflixd.sqlite3", 404),
            ("GET", "/api/stream/%00", 404),
            ("GET", "/static/..%2f..%2f..%2fetc%2fpasswd", 404),
            ("GET", f"/api/stream/{'a' * 4000}", 404),
            ("GET", "/etc/passwd", 404),
            ("PUT", f"/api/stream/{NOBODY}", 405),
        ):
            async with home.session.request(method, f"{home.url}{path}") as said:
                assert said.status == status, (method, path)
                if method != "HEAD":
                    await problem_of(said)
        await home.still_answers()


@pytest.mark.swarm
async def test_broken_ranges_and_files_neither_crash_nor_hang(tmp_path):
    async with seeded(tmp_path, size=300 * KIB) as (content, torrent, _), house(tmp_path) as home:
        source_id = await home.add(torrent)
        for asked in (
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-1",
            "bytes=1.5-2",
            "bytes=--5",
            "bytes= 0-1 -",
            "bytes=\u0661-\u0662".encode().decode("latin-1"),
            "bytes=0-" + "9" * 5000,
            "bytes=" + "0-0," * 500,
            "chunks=0-1",
            "0-1",
        ):
            async with home.get(source_id, Range=asked) as said:
                assert (said.status, await said.read()) == (200, content), asked[:40]
        async with home.get(source_id, Range="bytes=0-" + "9" * 100) as said:
            assert (said.status, await said.read()) == (206, content)
        async with home.get(source_id, Range="bytes=" + "9" * 100 + "-") as said:
            assert said.status == 416
            await problem_of(said)
        for file, status in (("1", 404), ("-1", 422), ("x", 422), ("9" * 50, 422), ("", 422)):
            url = f"{home.stream_url(source_id)}?file={file}"
            async with home.session.get(url) as said:
                assert said.status == status, file
                await problem_of(said)


async def test_huge_headers_are_431_and_other_rubbish_is_400(tmp_path):
    async with house(tmp_path) as home:
        host, port = home.url.removeprefix("http://").split(":")
        for sent, status in (
            (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 100_000 + b"\r\n\r\n", 431),
            (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
            (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10_000 + b"\r\n", 400),
            (b"\x00" * 1000 + b"\r\n\r\n", 400),
            (b"GET / HTTP/9.9\r\n\r\n", 400),
        ):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            writer.close()
            assert head.split()[1] == str(status).encode(), sent[:30]
            assert json.loads(body)["status"] == status
        await home.still_answers()


@pytest.mark.swarm
async def test_the_log_never_says_what_is_watched(tmp_path, capfd):
    """At INFO: no title, no file's name, no info-hash, no magnet, no address of a tracker."""
    async with (
        seeded(tmp_path, size=MIB) as (content, torrent, _),
        house(tmp_path, log_level="info", no_data_timeout=0.3) as home,
    ):
        first = await home.add_magnet(torrent.magnet)
        await home.add(torrent)
        assert await home.read(first) == content
        other = "5a" * 20
        secret = "Something-private.2024"
        second = await home.add_magnet(f"magnet:?xt=urn:btih:{other}&dn={secret}")
        async with home.get(second) as said:
            assert said.status == 504
        async with home.post(bencode(v1({secret: b"x"}, name=".."))) as said:
            assert said.status == 422
        for source_id in (first, second):
            async with home.session.delete(f"{home.url}/api/torrents/{source_id}") as said:
                assert said.status == 204
    log = capfd.readouterr().err
    assert "Ready at" in log
    assert "Stopped" in log
    words = [torrent.name, torrent.info_hash.hex(), other, secret, "magnet:", torrent.announce_url]
    assert [word for word in words if word.lower() in log.lower()] == []
    assert "Traceback" not in log
