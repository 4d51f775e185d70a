"""What takes room on the disk, as an administrator sees it and changes it."""

from typing import Any

import pytest

from miauflixd.torrents.model import SourceId
from miauflixd.web.keys import CACHE
from tests.fakes import FakeTorrents
from tests.web_house import Web, open_web

MIB = 2**20


@pytest.fixture
def torrents():
    return FakeTorrents()


@pytest.fixture
async def web(tmp_path, torrents):
    async with open_web(tmp_path, torrents=torrents) as web:
        web.preferences.on_change("torrents", web.app[CACHE].configure)
        yield web


@pytest.fixture
def keep(tmp_path, torrents):
    """Put so many bytes of a film on the disk."""

    async def keep(name: str, size: int) -> SourceId:
        source_id: SourceId = await torrents.add_metainfo(b"d" + name.encode() + b"e")
        folder = tmp_path / "downloads" / source_id
        folder.mkdir(parents=True)
        (folder / "0").write_bytes(b"x" * size)
        return source_id

    return keep


async def shown(web: Web) -> dict[str, Any]:
    answer = await web.ask_control("GET", "/api/storage")
    assert answer.status == 200, answer.body
    told: dict[str, Any] = answer.body
    return told


async def test_what_takes_room_is_told_in_the_order_in_which_it_would_go(web, keep):
    cache = web.app[CACHE]
    first, second = await keep("first", 3 * MIB), await keep("second", MIB)
    cache.note_use(first)
    web.clock.pass_by(hours=1)
    cache.note_part(second, 0.4)
    told = await shown(web)
    assert [item["source_id"] for item in told["items"]] == [first, second]
    assert [item["safety"] for item in told["items"]] == ["none", "running"]
    assert [item["part"] for item in told["items"]] == [0.0, 0.4]
    assert told["used"] == sum(item["size"] for item in told["items"])
    assert 4 * MIB <= told["used"] < 5 * MIB
    assert (told["encryption"], told["quota"], told["evicted"]) == ("off", 0, 0)
    assert 0 < told["free"] < told["total"]


async def test_with_a_smaller_quota_what_is_oldest_goes_and_its_source_stays(
    web, torrents, keep, tmp_path
):
    old, new = await keep("old", 3 * MIB), await keep("new", MIB)
    cache = web.app[CACHE]
    cache.note_use(old)
    web.clock.pass_by(hours=1)
    cache.note_use(new)
    web.clock.pass_by(hours=1)
    answer = await web.ask_control("PUT", "/api/storage", {"quota": 2 * MIB})
    assert (answer.status, answer.body["quota"]) == (200, 2 * MIB)
    discarded = []

    async def discard(source_id):
        discarded.append(source_id)

    torrents.discard = discard
    await cache.make_room()
    assert discarded == [old]
    assert (await shown(web))["evicted"] == 1
    assert torrents.knows(old)


async def test_what_is_pinned_stays(web, keep):
    only = await keep("only", 3 * MIB)
    answer = await web.ask_control("PATCH", f"/api/torrents/{only}", {"pinned": True})
    assert (answer.status, answer.body["pinned"]) == (200, True)
    await web.ask_control("PUT", "/api/storage", {"quota": 1})
    await web.app[CACHE].make_room()
    (item,) = (await shown(web))["items"]
    assert (item["safety"], item["pinned"]) == ("pinned", True)
    doctor = await web.ask_control("GET", "/api/doctor")
    (check,) = [one for one in doctor.body["checks"] if one["id"] == "downloads"]
    assert check["state"] == "warning"
    assert "unpin" in check["suggestion"]


async def test_a_source_is_paused_and_resumed(web, torrents, keep):
    only = await keep("only", MIB)
    for paused, state in ((False, "downloading"), (True, "dormant")):
        answer = await web.ask_control("PATCH", f"/api/torrents/{only}", {"paused": paused})
        assert (answer.status, answer.body["state"]) == (200, state)


async def test_what_is_watched_is_not_deleted_and_the_rest_is(web, torrents, keep):
    only = await keep("only", MIB)
    torrents.update(only, readers=1)
    answer = await web.ask_control("DELETE", f"/api/storage/{only}")
    assert (answer.status, answer.code) == (409, "source_in_use")
    torrents.update(only, readers=0)
    assert (await web.ask_control("DELETE", f"/api/storage/{only}")).status == 204
    assert torrents.knows(only)


@pytest.mark.parametrize(
    ("body", "field"),
    [({"quota": -1}, "quota"), ({"minimum_free": "much"}, "minimum_free"), ({"kota": 1}, "")],
)
async def test_bounds_that_make_no_sense_are_refused(web, body, field):
    answer = await web.ask_control("PUT", "/api/storage", body)
    assert answer.status == 422
    assert (await shown(web))["quota"] == 0


async def test_what_was_used_and_pinned_is_known_after_a_restart(tmp_path, torrents, keep):
    async with open_web(tmp_path, torrents=torrents) as web:
        only = await keep("only", MIB)
        web.app[CACHE].note_part(only, 0.5)
        await web.app[CACHE].pin(only, pinned=True)
        store = web.app[CACHE]._store
        use = (await store.all())[only]
        assert (use.pinned, use.part) == (True, 0.5)
        assert use.used_at is not None
        assert abs((use.used_at - web.clock()).total_seconds()) <= 1


async def test_prometheus_is_told(web, keep):
    await keep("only", 3 * MIB)
    used = (await shown(web))["used"]
    async with web.control.get("http://localhost/metrics") as response:
        told = await response.text()
    (line,) = [one for one in told.splitlines() if one.startswith("miauflixd_downloads_bytes ")]
    assert float(line.split()[1]) == used
    assert "miauflixd_evictions_total 0.0" in told
