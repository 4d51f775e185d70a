"""Room on a real disk, for what comes out of a real swarm."""

import asyncio
from pathlib import Path

import pytest

from tests.running import MIB, House, house, seeded, sha256

pytestmark = [pytest.mark.daemon, pytest.mark.swarm, pytest.mark.timeout(60)]


async def fetch(home: House, source_id: str) -> None:
    """Have all of a film without anybody watching it."""
    url = f"{home.url}/api/torrents/{source_id}"
    async with home.session.patch(url, json={"paused": False}) as answer:
        assert answer.status == 200, await answer.text()
    await home.until(source_id, lambda told: told["state"] == "complete")


async def kept(home: House) -> list[str]:
    """Return what there is anything of on the disk."""
    async with home.session.get(f"{home.url}/api/storage") as answer:
        assert answer.status == 200, await answer.text()
        return [item["source_id"] for item in (await answer.json())["items"]]


async def until_kept(home: House, *expected: str) -> None:
    async with asyncio.timeout(20):
        while sorted(await kept(home)) != sorted(expected):
            await asyncio.sleep(0.1)


async def test_what_came_first_makes_room_and_comes_again_when_somebody_plays_it(tmp_path):
    async with (
        seeded(tmp_path / "one", size=3 * MIB) as (first, one, _),
        seeded(tmp_path / "two", size=3 * MIB + 1) as (second, two, _),
        house(tmp_path, quota=4 * MIB) as home,
    ):
        old = await home.add(one)
        await fetch(home, old)
        assert await kept(home) == [old]
        new = await home.add(two)
        await fetch(home, new)
        await until_kept(home, new)
        assert (await home.source(old))["state"] == "dormant"
        # What is read now stays, whatever came before it.
        assert sha256(await home.read(old)) == sha256(first)
        assert sha256(await home.read(new)) == sha256(second)


async def test_a_pinned_one_stays_and_what_comes_goes(tmp_path):
    async with (
        seeded(tmp_path / "one", size=3 * MIB) as (_, one, _),
        seeded(tmp_path / "two", size=3 * MIB + 1) as (_, two, _),
        house(tmp_path, quota=4 * MIB) as home,
    ):
        old = await home.add(one)
        await fetch(home, old)
        url = f"{home.url}/api/torrents/{old}"
        async with home.session.patch(url, json={"pinned": True}) as answer:
            assert (await answer.json())["pinned"] is True
        new = await home.add(two)
        await fetch(home, new)
        await until_kept(home, old)


async def test_deleting_a_download_leaves_the_source_and_no_byte(tmp_path):
    async with (
        seeded(tmp_path, size=3 * MIB) as (content, torrent, _),
        house(tmp_path) as home,
    ):
        source_id = await home.add(torrent)
        assert sha256(await home.read(source_id)) == sha256(content)
        (folder,) = [one for one in Path(tmp_path).rglob(source_id) if one.is_dir()]
        async with home.session.delete(f"{home.url}/api/storage/{source_id}") as answer:
            assert answer.status == 204, await answer.text()
        assert not folder.exists()
        assert sha256(await home.read(source_id)) == sha256(content)


async def test_what_is_paused_leaves_the_swarm_and_plays_when_asked(tmp_path):
    async with (
        seeded(tmp_path, size=3 * MIB) as (content, torrent, _),
        house(tmp_path) as home,
    ):
        source_id = await home.add(torrent)
        url = f"{home.url}/api/torrents/{source_id}"
        async with home.session.patch(url, json={"paused": True}) as answer:
            assert (await answer.json())["state"] == "dormant"
        assert sha256(await home.read(source_id)) == sha256(content)
