"""What the composition root refuses to build, and what it lets nobody do."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from miauflixd.bootstrap import Prepared, application
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.config.settings import Config
from miauflixd.database.settings import StorageSettings
from miauflixd.errors import SettingsError
from miauflixd.jobs.settings import JobsSettings
from miauflixd.sources.settings import SourcesSettings
from miauflixd.tunnel.keeper_handle import KeeperHandle
from miauflixd.web.settings import WebSettings


async def test_without_a_keeper_nothing_starts_unless_somebody_has_said_so(tmp_path):
    data = tmp_path / "data"
    config = Config(storage=StorageSettings(path=data, encryption="off"))
    assert config.vpn.mode == "required"
    with pytest.raises(SettingsError, match=r'vpn\.mode: "required" needs a keeper'):
        async with application(config):
            pass
    assert not data.exists()


# --- directories, in a house whose tunnel never comes up ------------------------------------------


class House:
    """A whole house, asked at its control socket."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client

    async def ask(self, method: str, path: str, **arguments: Any) -> tuple[int, Any]:
        async with self._client.request(method, f"http://localhost{path}", **arguments) as response:
            return response.status, await response.json()


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    """Have one with a real engine; of its keeper nothing is ever heard about a tunnel."""
    config = Config(
        web=WebSettings(port=0, control_socket=folder / "control"),
        catalogue=CatalogueSettings(archive=False),
        sources=SourcesSettings(archive=False),
        jobs=JobsSettings(background=False),
        storage=StorageSettings(path=folder / "data", encryption="off"),
    )
    program = [sys.executable, "-m", "tests.keeper_program", "has an engine", str(folder / "diary")]
    async with (
        application(config, prepared=Prepared(keeper=KeeperHandle.start(program))),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(folder / "control"))) as client,
    ):
        yield House(client)


@asynccontextmanager
async def directory(asked: list[str]) -> AsyncIterator[str]:
    """Have somebody at home who writes down what a directory would be asked."""

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        return web.Response()

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/torznab"))


@pytest.mark.swarm
@pytest.mark.timeout(60)
async def test_without_the_tunnel_directories_are_neither_asked_nor_blamed(tmp_path):
    asked: list[str] = []
    async with directory(asked) as url, house(tmp_path) as home:
        wanted = {"kind": "torznab", "title": "Lab", "url": url, "via": "tunnel"}
        await home.ask("POST", "/api/directories", json=wanted)

        status, problem = await home.ask("POST", "/api/directories/lab/check")

        assert (status, problem["code"]) == (503, "tunnel_down")
        _, shown = await home.ask("GET", "/api/directories/lab")
        assert (shown["state"], shown["reason"], shown["until"]) == ("unknown", "", None)
        assert asked == []


@pytest.mark.swarm
@pytest.mark.timeout(60)
async def test_a_directory_that_is_to_be_asked_by_the_host_needs_no_tunnel(tmp_path):
    asked: list[str] = []
    async with directory(asked) as url, house(tmp_path) as home:
        wanted = {"kind": "torznab", "title": "Lab", "url": url, "via": "host"}
        await home.ask("POST", "/api/directories", json=wanted)
        await home.ask("POST", "/api/directories/lab/check")
        assert "/torznab/api?t=caps" in asked
