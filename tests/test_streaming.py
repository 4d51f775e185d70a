"""Bytes out of a swarm through the real daemon: always the right ones, whatever happens."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.peers import liar
from tests.running import (
    KIB,
    MIB,
    House,
    house,
    random_ranges,
    seeded,
    seeding,
    sha256,
    tracked,
    write_film,
)

pytestmark = [pytest.mark.daemon, pytest.mark.swarm, pytest.mark.timeout(60)]


async def assert_right(home: House, source_id: str, content: bytes, spans: Iterable[range]) -> None:
    for span in spans:
        got = await home.read(source_id, span)
        assert sha256(got) == sha256(content[span.start : span.stop]), span


# --- what HTTP promises ---------------------------------------------------------------------------


async def test_ranges_are_answered_as_the_rfc_says(tmp_path):
    async with (
        seeded(tmp_path, size=3 * MIB + 77) as (content, torrent, _),
        house(tmp_path) as home,
    ):
        source_id = await home.add(torrent)
        size = len(content)
        async with home.get(source_id) as whole:
            etag = whole.headers["ETag"]
            assert (whole.status, await whole.read()) == (200, content)
            assert whole.headers["Accept-Ranges"] == "bytes"
            assert whole.headers["Content-Length"] == str(size)
        for asked, status, start, stop in (
            ({"Range": "bytes=0-0"}, 206, 0, 1),
            ({"Range": "bytes=1000-1999"}, 206, 1000, 2000),
            ({"Range": f"bytes={size - 1}-"}, 206, size - 1, size),
            ({"Range": "bytes=-5000"}, 206, size - 5000, size),
            ({"Range": f"bytes=-{size * 2}"}, 206, 0, size),
            ({"Range": f"bytes=5-{size * 2}"}, 206, 5, size),
            ({"Range": "bytes=0-99", "If-Range": etag}, 206, 0, 100),
            ({"Range": "bytes=0-99", "If-Range": '"another"'}, 200, 0, size),
            ({"Range": "bytes=9-1"}, 200, 0, size),
            ({"Range": "lines=1-2"}, 200, 0, size),
        ):
            async with home.get(source_id, **asked) as answer:
                assert (answer.status, sha256(await answer.read())) == (
                    status,
                    sha256(content[start:stop]),
                ), asked
                assert answer.headers["Content-Length"] == str(stop - start)
                if status == 206:
                    told = f"bytes {start}-{stop - 1}/{size}"
                    assert answer.headers["Content-Range"] == told


async def test_a_range_behind_the_end_is_416_with_the_size(tmp_path):
    async with seeded(tmp_path, size=MIB) as (_, torrent, _), house(tmp_path) as home:
        source_id = await home.add(torrent)
        for asked in (f"bytes={MIB}-", "bytes=9999999-9999999", "bytes=-0"):
            async with home.get(source_id, Range=asked) as answer:
                assert answer.status == 416
                assert answer.headers["Content-Range"] == f"bytes */{MIB}"
                assert (await answer.json())["code"] == "range_not_satisfiable"


async def test_head_says_what_get_would_and_needs_no_data(tmp_path):
    write_film(tmp_path, size=MIB)
    async with tracked(tmp_path / "film.bin", tmp_path) as swarm, house(tmp_path) as home:
        source_id = await home.add(swarm.torrent)
        url = home.stream_url(source_id)
        for headers, status, length in (({}, 200, MIB), ({"Range": "bytes=5-14"}, 206, 10)):
            async with home.session.head(url, headers=headers) as answer:
                assert answer.status == status
                assert answer.headers["Content-Length"] == str(length)
                assert await answer.read() == b""
        assert (await home.source(source_id))["readers"] == 0


async def test_one_connection_serves_one_range_after_another(tmp_path):
    async with seeded(tmp_path, size=2 * MIB) as (content, torrent, _), house(tmp_path) as home:
        source_id = await home.add(torrent)
        host, port = home.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            for span in [*random_ranges(len(content), count=20, longest=200 * KIB), range(2)]:
                writer.write(
                    f"GET /api/stream/{source_id} HTTP/1.1\r\nHost: {host}\r\n"
                    f"Authorization: Bearer {home.token}\r\n"
                    f"Range: bytes={span.start}-{span.stop - 1}\r\n\r\n".encode()
                )
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 206 ")
                got = await reader.readexactly(len(span))
                assert sha256(got) == sha256(content[span.start : span.stop])
        finally:
            writer.close()
            await writer.wait_closed()


# --- out of a swarm -------------------------------------------------------------------------------


async def test_ten_readers_get_the_right_bytes_and_cost_one_download(tmp_path):
    size = 24 * MIB
    async with AsyncExitStack() as stack:
        content = write_film(tmp_path, size=size)
        swarm = await stack.enter_async_context(tracked(tmp_path / "film.bin", tmp_path))
        seeders = [
            await stack.enter_async_context(
                seeding(swarm, tmp_path, number=number, upload_rate=6_000_000)
            )
            for number in (1, 2)
        ]
        home = await stack.enter_async_context(house(tmp_path))
        source_id = await home.add(swarm.torrent)
        async with asyncio.TaskGroup() as readers:
            readers.create_task(assert_right(home, source_id, content, [range(size)]))
            for number in range(9):
                spans = list(random_ranges(size, count=5, longest=2 * MIB, seed=number))
                readers.create_task(assert_right(home, source_id, content, spans))
        await home.until(source_id, lambda told: told["state"] == "complete")
        given = sum([await seeder.has_given(1) for seeder in seeders])
        assert size <= given <= 1.25 * size


async def test_a_magnet_link_plays_too(tmp_path):
    async with seeded(tmp_path, size=4 * MIB) as (content, torrent, _), house(tmp_path) as home:
        source_id = await home.add_magnet(torrent.magnet)
        await assert_right(home, source_id, content, random_ranges(4 * MIB, count=4, longest=MIB))
        assert (await home.source(source_id))["name"] == "film.bin"
        assert await home.add(torrent) == source_id


async def test_a_seeder_that_dies_takes_nothing_with_it(tmp_path):
    size = 12 * MIB
    content = write_film(tmp_path, size=size)
    async with (
        tracked(tmp_path / "film.bin", tmp_path) as swarm,
        seeding(swarm, tmp_path, number=1, upload_rate=3_000_000),
        seeding(swarm, tmp_path, number=2, upload_rate=3_000_000) as dying,
        house(tmp_path) as home,
    ):
        source_id = await home.add(swarm.torrent)
        async with home.get(source_id) as answer:
            start = await answer.content.readexactly(MIB)
            await home.until(source_id, lambda told: told["peers"] == 2)
            dying.kill()
            got = start + await answer.content.read()
        assert sha256(got) == sha256(content)
        await assert_right(home, source_id, content, random_ranges(size, count=8, longest=MIB))


async def test_a_seeder_that_sends_garbage_is_never_heard(tmp_path):
    size = 8 * MIB
    content = write_film(tmp_path, size=size)
    async with (
        tracked(tmp_path / "film.bin", tmp_path) as swarm,
        seeding(swarm, tmp_path, upload_rate=3_000_000),
        liar(swarm.torrent, host="127.0.0.66") as lying,
        house(tmp_path) as home,
    ):
        source_id = await home.add(swarm.torrent)
        spans = random_ranges(size, count=12, longest=MIB)
        await assert_right(home, source_id, content, spans)
        await assert_right(home, source_id, content, [range(size)])
        assert lying.blocks > 0


async def test_without_any_data_it_says_so_before_it_gives_up(tmp_path):
    write_film(tmp_path, size=MIB)
    async with (
        tracked(tmp_path / "film.bin", tmp_path) as swarm,
        house(tmp_path, no_data_timeout=0.5) as home,
    ):
        for source_id in (
            await home.add(swarm.torrent),
            await home.add_magnet(f"magnet:?xt=urn:btih:{'5a' * 20}"),
        ):
            async with home.get(source_id) as answer:
                assert answer.status == 504
                assert answer.content_type == "application/problem+json"
                assert (await answer.json())["code"] == "no_data"


async def test_a_swarm_that_falls_silent_ends_the_answer_and_never_pads_it(tmp_path):
    size = 12 * MIB
    async with (
        seeded(tmp_path, size=size, upload_rate=2_000_000) as (content, torrent, seeder),
        # More than a busy machine holds back a swarm that has not fallen silent.
        house(tmp_path, no_data_timeout=4) as home,
    ):
        source_id = await home.add(torrent)
        got = bytearray()
        async with home.get(source_id) as answer:
            got += await answer.content.readexactly(MIB)
            seeder.kill()
            with pytest.raises(aiohttp.ClientPayloadError):
                while chunk := await answer.content.readany():
                    got += chunk
        assert len(got) < size
        assert sha256(bytes(got)) == sha256(content[: len(got)])


# --- clients --------------------------------------------------------------------------------------


async def test_a_client_that_goes_away_before_the_first_byte_is_forgotten(tmp_path):
    write_film(tmp_path, size=MIB)
    async with tracked(tmp_path / "film.bin", tmp_path) as swarm, house(tmp_path) as home:
        source_id = await home.add(swarm.torrent)
        client = await home.ask(source_id)
        await home.until(source_id, lambda told: told["readers"] == 1)
        client.transport.abort()
        await home.until(source_id, lambda told: told["readers"] == 0)


async def test_a_client_that_goes_away_is_forgotten(tmp_path):
    async with (
        seeded(tmp_path, size=12 * MIB, upload_rate=500_000) as (content, torrent, _),
        house(tmp_path) as home,
    ):
        source_id = await home.add(torrent)
        # Both while it waits for the swarm, and while it gets bytes.
        waiting = await home.get(source_id, range(11 * MIB, 12 * MIB))
        async with home.get(source_id) as getting:
            assert await getting.content.readexactly(KIB) == content[:KIB]
            waiting.close()
            await home.until(source_id, lambda told: told["readers"] == 1)
        await home.until(source_id, lambda told: told["readers"] == 0)


async def test_a_client_that_takes_nothing_holds_up_nobody(tmp_path):
    size = 16 * MIB
    async with seeded(tmp_path, size=size) as (content, torrent, _), house(tmp_path) as home:
        source_id = await home.add(torrent)
        idle = await home.ask(source_id)
        await home.until(source_id, lambda told: told["readers"] == 1)
        await assert_right(home, source_id, content, [range(size)])
        assert (await home.source(source_id))["readers"] == 1
        idle.transport.abort()
        await home.until(source_id, lambda told: told["readers"] == 0)


async def test_a_source_that_is_removed_ends_what_is_read_of_it(tmp_path):
    async with (
        seeded(tmp_path, size=12 * MIB, upload_rate=500_000) as (_, torrent, _),
        house(tmp_path) as home,
    ):
        source_id = await home.add(torrent)
        async with home.get(source_id) as answer:
            await answer.content.readexactly(KIB)
            async with home.session.delete(f"{home.url}/api/torrents/{source_id}") as removed:
                assert removed.status == 204
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
        async with home.get(source_id) as answer:
            assert (answer.status, (await answer.json())["code"]) == (404, "no_source")
        assert list((tmp_path / "data" / "downloads").iterdir()) == []
