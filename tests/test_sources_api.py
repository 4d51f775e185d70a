"""`/api/titles/{id}/sources`, `/api/sources` and `/api/directories`: what people see and may do."""

from datetime import date
from typing import Any

import aiohttp
import pytest

from miauflixd.auth.model import Actor, UserChanges
from miauflixd.config.settings import Config
from miauflixd.sources.directories.directory import DirectoryRefusedError
from miauflixd.sources.settings import SourcesSettings
from tests.catalogue_titles import movie, put, show
from tests.directory_fakes import HASH, MAGNET, TORRENT
from tests.sources_house import FakeDirectory, info_hash, offer, spec
from tests.web_house import open_web

pytestmark = pytest.mark.slow

FILM = "Big.Cat.2019.1080p.WEB-DL.H264.AAC-GRP"


@pytest.fixture
def a():
    return FakeDirectory(
        "a",
        [
            offer(
                FILM,
                1,
                seeders=20,
                leechers=3,
                size=4 * 2**30,
                magnet=f"magnet:?xt=urn:btih:{info_hash(1)}",
                torrent_url="https://x.example/dl?apikey=hunter2",
            ),
            offer("Big.Cat.1971.1080p-GRP", 2),
        ],
    )


@pytest.fixture
async def web(tmp_path, a):
    others: dict[str, FakeDirectory] = {}

    def build(described):
        described.check()
        if described.id == "a":
            return a
        return others.setdefault(described.id, FakeDirectory(described.id))

    config = Config(sources=SourcesSettings(archive=False))
    async with open_web(tmp_path, config=config, directories=build) as web:
        await web.sources.directories.add(spec("a", title="A directory"))
        yield web


@pytest.fixture
async def film(web):
    title = await put(web.library.titles, movie("Big Cat", released=date(2019, 5, 1)))
    return f"/api/titles/{title}/sources"


@pytest.fixture
async def admin(web):
    return await web.token_of(await web.admin())


@pytest.fixture
async def ben(web):
    return await web.token_of(await web.add("ben"))


# --- sources --------------------------------------------------------------------------------------


async def test_opening_a_title_says_where_it_can_be_had(web, film, ben):
    answer = await web.ask("GET", film, token=ben)
    assert answer.status == 200
    (item,) = answer.body["items"]
    assert {key: item[key] for key in ("name", "provider", "quality", "seeders", "state")} == {
        "name": FILM,
        "provider": "A directory",
        "quality": "1080p",
        "seeders": 20,
        "state": "magnet",
    }
    assert item["video_codec"] == "h264"
    assert item["audio_codecs"] == ["aac"]
    assert item["size"] == 4 * 2**30
    assert item["reasons"]
    assert not answer.body["searching"]
    assert "refused" not in answer.body


async def test_nobody_is_told_which_torrent_it_is(web, film, ben, admin):
    await web.ask("POST", film, {"magnet": MAGNET}, token=ben)
    for token in (ben, admin):
        said = str((await web.ask("GET", film, token=token)).body).lower()
        for word in (info_hash(1), HASH, "magnet:", "hunter2", "x.example", "btih", "tracker"):
            assert word not in said


async def test_an_administrator_hears_what_was_left_out(web, film, admin):
    body = (await web.ask("GET", film, token=admin)).body
    assert list(body["refused"].values()) == [1]
    assert body["directories"] == [
        {"directory": "a", "outcome": "answered", "found": 2, "reason": ""}
    ]


async def test_an_answer_comes_although_somebody_hangs(web, film, ben, a):
    hanging = FakeDirectory("b", [offer("Big.Cat.2019.720p.WEB-GRP", 7)], patient=False)
    web.sources.asking.use([a, hanging])
    body = (await web.ask("GET", film, token=ben)).body
    assert body["searching"]
    assert [item["name"] for item in body["items"]] == [FILM]
    hanging.released.set()
    body = (await web.ask("GET", f"{film}?refresh=true", token=ben)).body
    assert len(body["items"]) == 2


async def test_what_is_known_is_not_searched_for_again_at_every_look(web, film, ben, a):
    for _ in range(3):
        await web.ask("GET", film, token=ben)
    assert len(a.asked) == 1
    await web.ask("GET", f"{film}?refresh=true", token=ben)
    assert len(a.asked) == 2


async def test_what_nobody_may_see_has_no_sources(web, film, a):
    child = await web.add("carl")
    await web.household.accounts.update(child.id, UserChanges(max_rating="PG"), actor=Actor())
    token = await web.token_of(child)
    assert (await web.ask("GET", film, token=token)).code == "no_title"
    assert (await web.ask("POST", film, {"magnet": MAGNET}, token=token)).code == "no_title"
    assert a.asked == []


async def test_a_show_has_no_sources_but_its_episodes(web, ben):
    title = await put(web.library.titles, show("Lantern Street"))
    answer = await web.ask("GET", f"/api/titles/{title}/sources", token=ben)
    assert (answer.status, answer.code) == (422, "not_playable")
    answer = await web.ask("GET", "/api/titles/movie:99/sources", token=ben)
    assert (answer.status, answer.code) == (404, "no_title")


async def test_ones_own_is_added_in_every_way(web, film, ben):
    made = await web.ask("POST", film, {"magnet": MAGNET}, token=ben)
    assert made.status == 201
    assert made.body["provider"] == "Added here"
    form = aiohttp.FormData()
    form.add_field("file", TORRENT, filename="film.torrent")
    headers = {"Authorization": f"Bearer {ben}"}
    async with web.session.post(f"{web.url}{film}", data=form, headers=headers) as response:
        assert response.status == 201
        assert (await response.json())["state"] == "ready"
    headers["Content-Type"] = "application/x-bittorrent"
    async with web.session.post(f"{web.url}{film}", data=TORRENT, headers=headers) as response:
        assert response.status == 201


NO_SOURCES = [
    {},
    {"magnet": MAGNET, "url": "https://x.example/a.torrent"},
    {"magnet": "magnet:?xt=urn:btih:nonsense"},
    {"url": "file:///etc/passwd"},
    {"url": "http://127.0.0.1/x.mp4"},
    {"magnet": 7},
    {"source": MAGNET},
]


async def test_what_is_no_source_is_refused(web, film, ben):
    for body in NO_SOURCES:
        assert (await web.ask("POST", film, body, token=ben)).status == 422


async def test_a_broken_one_is_passed_over_until_somebody_takes_it_back(web, film, ben):
    (item,) = (await web.ask("GET", film, token=ben)).body["items"]
    path = f"/api/sources/{item['id']}/broken"
    said = await web.ask("POST", path, {"reason": "No\nsound"}, token=ben)
    assert said.status == 204
    (item,) = (await web.ask("GET", film, token=ben)).body["items"]
    assert not item["usable"]
    assert item["reasons"][:2] == ["found to be broken", "No sound"]
    assert (await web.ask("POST", path, {"broken": False}, token=ben)).status == 204
    (item,) = (await web.ask("GET", film, token=ben)).body["items"]
    assert item["usable"]
    assert (await web.ask("POST", path, token=ben)).status == 204
    assert (await web.ask("POST", "/api/sources/nothing/broken", token=ben)).code == "no_source"


async def test_only_an_administrator_removes(web, film, ben, admin):
    (item,) = (await web.ask("GET", film, token=ben)).body["items"]
    path = f"/api/sources/{item['id']}"
    assert (await web.ask("DELETE", path, token=ben)).status == 403
    assert (await web.ask("DELETE", path, token=admin)).status == 204
    assert (await web.ask("DELETE", path, token=admin)).code == "no_source"
    assert (await web.ask("GET", film, token=ben)).body["items"] == []


# --- directories ----------------------------------------------------------------------------------

NEW: dict[str, Any] = {
    "kind": "torznab",
    "title": "My Prowlarr",
    "url": "http://192.168.1.5:9696/1/api",
    "api_key": "hunter2",
    "via": "host",
}


async def test_a_directory_is_added_changed_and_taken_away(web, admin, tmp_path):
    made = await web.ask("POST", "/api/directories", NEW, token=admin)
    assert made.status == 201
    assert made.body["id"] == "my-prowlarr"
    assert made.body["has_api_key"]
    assert made.body["state"] == "unknown"
    path = made.headers["Location"]

    changed = await web.ask("PATCH", path, {"title": "Hers", "trust": 0.9}, token=admin)
    assert (changed.body["title"], changed.body["has_api_key"]) == ("Hers", True)
    changed = await web.ask("PATCH", path, {"api_key": None, "enabled": False}, token=admin)
    assert (changed.body["has_api_key"], changed.body["state"]) == (False, "off")
    assert (await web.ask("POST", f"{path}/check", token=admin)).code == "directory_off"

    assert (await web.ask("DELETE", path, token=admin)).status == 204
    assert (await web.ask("GET", path, token=admin)).code == "no_directory"


async def test_a_key_never_comes_out_again(web, admin):
    await web.ask("POST", "/api/directories", NEW, token=admin)
    feed = {"kind": "feed", "title": "Feed", "url": "https://f.example/rss/hunter3?k=hunter4"}
    await web.ask("POST", "/api/directories", feed, token=admin)
    said = str((await web.ask("GET", "/api/directories", token=admin)).body)
    assert "hunter" not in said
    assert "https://f.example" in said


async def test_directories_are_no_business_of_users(web, ben):
    for method, path in (
        ("GET", "/api/directories"),
        ("POST", "/api/directories"),
        ("PATCH", "/api/directories/a"),
        ("DELETE", "/api/directories/a"),
        ("POST", "/api/directories/a/check"),
        ("POST", "/api/directories/order"),
    ):
        assert (await web.ask(method, path, {}, token=ben)).status == 403


CANNOT_BE_MEANT: list[tuple[dict[str, Any], int]] = [
    ({"url": "ftp://x.example"}, 422),
    ({"url": "http://anna:secret@x.example/"}, 422),
    ({"url": "https://x.example/api?apikey=1"}, 422),
    ({"kind": "usenet"}, 422),
    ({"id": "../etc"}, 422),
    ({"id": ""}, 422),
    ({"id": "archive"}, 409),
    ({"id": "own"}, 409),
    ({"id": "a"}, 409),
    ({"trust": 2}, 422),
    ({"title": ""}, 422),
    ({"kind": "folder", "url": "relative/path"}, 422),
    ({"more": 1}, 422),
]


async def test_what_cannot_be_meant_is_refused(web, admin):
    for changes, status in CANNOT_BE_MEANT:
        answer = await web.ask("POST", "/api/directories", NEW | changes, token=admin)
        assert answer.status == status
    listed = (await web.ask("GET", "/api/directories", token=admin)).body
    assert [one["id"] for one in listed["items"]] == ["a"]


async def test_directories_have_an_order(web, admin):
    for name in ("b", "c"):
        await web.ask("POST", "/api/directories", NEW | {"id": name}, token=admin)
    order = {"ids": ["c", "a"]}
    assert (await web.ask("POST", "/api/directories/order", order, token=admin)).status == 204
    listed = (await web.ask("GET", "/api/directories", token=admin)).body["items"]
    assert [one["id"] for one in listed] == ["c", "a", "b"]
    wrong = await web.ask("POST", "/api/directories/order", {"ids": ["z"]}, token=admin)
    assert wrong.code == "no_directory"


async def test_a_check_says_what_is_the_matter_and_the_doctor_too(web, admin, a):
    checked = await web.ask("POST", "/api/directories/a/check", token=admin)
    assert checked.body["state"] == "ok"
    a.error = DirectoryRefusedError("It does not accept the key")
    checked = await web.ask("POST", "/api/directories/a/check", token=admin)
    assert (checked.body["state"], checked.body["reason"]) == (
        "refused",
        "It does not accept the key",
    )
    assert checked.body["until"]
    checks = (await web.ask("GET", "/api/doctor", token=admin)).body["checks"]
    (found,) = [check for check in checks if check["id"] == "directory_a"]
    assert found["state"] == "warning"
    assert found["message"] == "A directory: It does not accept the key."
    assert found["suggestion"]


async def test_the_archive_is_switched_by_the_settings(web, admin):
    await web.ask("PUT", "/api/settings", {"values": {"sources.archive": True}}, token=admin)
    listed = (await web.ask("GET", "/api/directories", token=admin)).body["items"]
    assert [(one["id"], one["built_in"]) for one in listed] == [("archive", True), ("a", False)]
    for method in ("PATCH", "DELETE"):
        answer = await web.ask(method, "/api/directories/archive", {}, token=admin)
        assert answer.code == "built_in_directory"
