"""Torrents and web sources behind one door: whoever plays one need not know which it is."""

from contextlib import AsyncExitStack
from typing import cast

import pytest

from miauflixd.runtime.changes import Changes
from miauflixd.torrents.model import NoSourceError, SourceId
from miauflixd.torrents.service import Torrents
from miauflixd.web_files.everything import Everything
from tests.fakes import FakeTorrents
from tests.range_fake import RangeServer, serving
from tests.test_web_sources import FILM, House, _database, _no_long_pauses  # noqa: F401 -- fixtures
from tests.web_house import open_web


@pytest.fixture
async def place(tmp_path):
    """A web server over both, and one source of each kind."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(RangeServer(FILM)))
        house = await stack.enter_async_context(House(tmp_path / "sources", server).open())
        torrents = FakeTorrents()
        both = Everything(
            torrents=cast("Torrents", torrents),
            web_sources=house.sources,
            changes=Changes[SourceId](),
        )
        folder = tmp_path / "web"
        folder.mkdir()
        web = await stack.enter_async_context(open_web(folder, torrents=both))
        yield both, web, house, torrents


async def test_a_web_source_streams_by_range_as_a_torrent_does(place):
    both, web, house, _ = place
    source_id = await both.add_web_content(house.content())
    token = await web.token_of(await web.admin())
    made = await web.ask("POST", "/api/playback", {"source_id": source_id}, token=token)
    assert made.status == 201
    async with web.session.get(web.url + made.body["stream_url"]) as whole:
        assert (whole.status, await whole.read()) == (200, FILM)
        assert whole.content_type == "video/mp4"
        etag = whole.headers["ETag"]
    headers = {"Range": "bytes=100-199", "If-Range": etag}
    async with web.session.get(web.url + made.body["stream_url"], headers=headers) as part:
        assert (part.status, await part.read()) == (206, FILM[100:200])
        assert part.headers["Content-Range"] == f"bytes 100-199/{len(FILM)}"


async def test_what_goes_wrong_has_its_status_before_the_first_byte(place):
    both, web, house, _ = place
    house.server.status = 404
    source_id = await both.add_web_content(house.content())
    token = await web.token_of(await web.admin())
    answer = await web.ask("GET", f"/api/stream/{source_id}", token=token)
    assert (answer.status, answer.code) == (503, "source_failed")


async def test_both_kinds_are_listed_the_newest_first_and_can_be_removed(place):
    both, web, house, torrents = place
    torrent = await both.add_magnet("magnet:?xt=urn:btih:" + "a" * 40)
    web_source = await both.add_web_content(house.content())
    token = await web.token_of(await web.admin())
    listed = await web.ask("GET", "/api/torrents", token=token)
    assert [one["id"] for one in listed.body["items"]] == [web_source, torrent]
    assert {one["state"] for one in listed.body["items"]} == {"dormant", "metadata"}
    for source_id in (web_source, torrent):
        gone = await web.ask("DELETE", f"/api/torrents/{source_id}", token=token)
        assert gone.status == 204
    assert both.sources() == [] == torrents.sources()
    assert list(both.newest_first()) == []
    with pytest.raises(NoSourceError):
        both.source(web_source)


async def test_a_change_of_a_web_source_is_told(tmp_path):
    async with (
        serving(RangeServer(FILM)) as server,
        House(tmp_path / "a", server).open() as house,
        house.sources._changes.listen() as changes,
    ):
        source_id = await house.add()
        assert await anext(changes) == source_id
        await house.read(source_id)
        assert await anext(changes) == source_id
