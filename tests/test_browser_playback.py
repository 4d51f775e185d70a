"""Every kind of film in real browsers: what they are given plays, with pictures and with sound."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from miauflixd.torrents.model import SourceId
from tests import media_corpus
from tests.browsers import Browser, browser, packages
from tests.fakes import FakeTorrents
from tests.remux_house import media_files
from tests.web_house import Web, open_web

pytestmark = [pytest.mark.browser, pytest.mark.foreign, pytest.mark.timeout(600)]

NEVER = {"hevc_aac.mp4", "hevc10_ac3.mkv", "xvid_mp3.avi", "mpeg2_mp2.mpg"}
"""What Chromium without hardware for it does not show."""

NOT_SOUGHT = {"open_gop.mkv"}
"""Chromium enters segments only at an IDR picture, and of these only the first is one."""

SILENT = {"no_sound.mkv"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packages(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("films")


async def ask(web: Web, token: str, source_id: SourceId, **wish: Any) -> Any:
    answer = await web.ask("POST", "/api/playback", {"source_id": source_id, **wish}, token=token)
    assert answer.status == 201, answer.body
    return answer.body


async def test_every_kind_of_film_plays_or_is_not_handed_out(tmp_path, page, films):
    torrents = FakeTorrents()
    async with AsyncExitStack() as stack:
        files = await stack.enter_async_context(media_files(tmp_path, torrents))
        web = await stack.enter_async_context(
            open_web(tmp_path, torrents=torrents, media=files, static=page)
        )
        token = await web.token_of(await web.add("ben"))
        opened = await stack.enter_async_context(browser("chrome", web.url, page=page))
        report = await opened.does("capabilities")
        for kind in media_corpus.KINDS:
            source_id = await _put(torrents, media_corpus.make(kind, films))
            told = await ask(web, token, source_id, client=report)
            if kind in NEVER:
                assert told["method"] == "external", kind
                assert told["obstacles"], kind
                continue
            assert told["method"] in ("direct", "remux"), (kind, told["obstacles"])
            await opened.does("fresh")
            found = await opened.does("play", told)
            _plays(kind, found)
            if kind in NOT_SOUGHT:
                continue
            sought = await opened.does("seek", 20)
            assert sought["at"] >= 21, (kind, sought)
            assert sought["frames"] > found["frames"], (kind, sought)


def _plays(kind: str, found: Any) -> None:
    assert found["errors"] == [], (kind, found)
    assert found["after"] is not None, (kind, found)
    assert found["at"] >= 1.5, (kind, found)
    assert found["frames"] > 20, (kind, found)
    assert (found["sound"] > 0) is (kind not in SILENT), (kind, found)


async def _put(torrents: FakeTorrents, path: Path) -> SourceId:
    source_id = await torrents.add_metainfo(b"d" + path.name.encode() + b"e")
    torrents.learn(source_id, name=path.stem, files={path.name: path.read_bytes()})
    return source_id


async def test_native_hls_plays_too(tmp_path, page, films):
    torrents = FakeTorrents()
    async with (
        media_files(tmp_path, torrents) as files,
        open_web(tmp_path, torrents=torrents, media=files, static=page) as web,
        browser("chrome", web.url, page=page) as opened,
    ):
        token = await web.token_of(await web.add("ben"))
        source_id = await _put(torrents, media_corpus.make("h264_ac3.mkv", films))
        told = await ask(web, token, source_id)
        _plays("native", await opened.does("play", told, {"native": True}))


async def test_one_chooses_what_to_hear_and_begins_in_the_middle(tmp_path, page, films):
    torrents = FakeTorrents()
    async with (
        media_files(tmp_path, torrents) as files,
        open_web(tmp_path, torrents=torrents, media=files, static=page) as web,
        browser("chrome", web.url, page=page) as opened,
    ):
        token = await web.token_of(await web.add("ben"))
        source_id = await _put(torrents, media_corpus.many_tracks(films))
        told = await ask(web, token, source_id)
        assert " ".join(one["language"] for one in told["audio"]) == "en de fr es it ja ru"
        assert len(told["subtitles"]) == 30
        assert [one["title"] for one in told["chapters"]] == ["Opening", "The rest"]
        third = told["audio"][2]["index"]
        found = await _from_the_middle(opened, told | {"resume_at": 15.0}, third)
        _plays("many_tracks.mkv", found)
        assert found["at"] >= 16.5
        async with web.session.get(
            f"{web.url}{told['subtitles'][4]['url']}&start=10&stop=14"
        ) as vtt:
            text = await vtt.text()
        assert "Line 12" in text
        assert "Line 20" not in text


async def _from_the_middle(opened: Browser, told: Any, audio: int) -> Any:
    return await opened.does("play", told, {"audio": audio})
