"""Who is asked for what there is to watch, changed while the daemon runs."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests import archive_fake, tmdb_fake
from tests.archive_fake import FakeArchive
from tests.running import House, house
from tests.tmdb_fake import FakeTmdb

pytestmark = pytest.mark.daemon


@pytest.fixture
def tmdb():
    return FakeTmdb(movies=25, shows=5, rate=None)


@pytest.fixture
def archive():
    fake = FakeArchive()
    for name in ("the_general", "nosferatu", "metropolis"):
        fake.add(name, collection=["silent_films", "moviesandfilms"])
    return fake


@pytest.fixture
async def home(tmp_path, tmdb, archive):
    async with (
        tmdb_fake.serving(tmdb) as tmdb_url,
        archive_fake.serving(archive) as archive_url,
    ):
        more = tmp_path / "conf.d"
        more.mkdir()
        (more / "catalogue.toml").write_text(
            f"[catalogue]\ntmdb_url = {json.dumps(tmdb_url)}\n"
            f"archive_url = {json.dumps(archive_url)}\narchive_wider = true\n"
        )
        async with house(tmp_path) as home:
            yield home


async def put(home: House, **values: Any) -> Any:
    named = {f"catalogue.{name}": value for name, value in values.items()}
    async with home.session.put(f"{home.url}/api/settings", json={"values": named}) as answer:
        body = await answer.text()
        assert answer.status == 200, body
        assert tmdb_fake.TOKEN not in body
        return json.loads(body)


async def rows(home: House) -> list[str]:
    async with home.session.get(f"{home.url}/api/home") as answer:
        return [row["id"] for row in (await answer.json())["rows"]]


async def rows_until(home: House, holds: Callable[[list[str]], bool]) -> list[str]:
    """Look again whenever the events say that something has changed; return what holds."""
    async with asyncio.timeout(15), home.session.get(f"{home.url}/api/events") as events:
        while not holds(found := await rows(home)):
            await events.content.readline()
        return found


async def conditions(home: House) -> tuple[str, str]:
    async with home.session.get(f"{home.url}/api/status") as answer:
        status = await answer.json()
    return status["tmdb"], status["archive"]


async def test_a_token_has_tmdb_asked_at_once_and_without_one_it_is_left_alone(home, tmdb):
    assert await conditions(home) == ("off", "off")
    answer = await put(home, tmdb_token=tmdb_fake.TOKEN)
    assert answer["restart_needed"] is False
    await rows_until(home, lambda rows: any(one.startswith("tmdb-") for one in rows))
    async with home.session.get(f"{home.url}/api/settings") as told:
        assert tmdb_fake.TOKEN not in await told.text()
    assert (await conditions(home))[0] == "ok"

    await put(home, tmdb_token=None)

    await rows_until(home, lambda rows: not rows)
    assert (await conditions(home))[0] == "off"
    asked = tmdb.count()
    async with home.session.get(f"{home.url}/api/search?q=lantern") as answer:
        assert answer.status == 200
    assert tmdb.count() == asked


async def test_without_the_archive_its_rows_go(home, archive):
    await put(home, archive=True)
    found = await rows_until(home, lambda rows: len(rows) > 0)
    assert all(one.startswith("archive-") for one in found)
    await put(home, archive=False)
    await rows_until(home, lambda rows: not rows)
    assert (await conditions(home))[1] == "off"


async def test_both_in_one_moment_are_both_asked(home):
    await put(home, archive=True)
    await put(home, tmdb_token=tmdb_fake.TOKEN)
    await rows_until(
        home,
        lambda rows: {one.partition("-")[0] for one in rows} == {"tmdb", "archive"},
    )


async def test_less_artwork_is_kept_without_a_restart(home):
    answer = await put(home, artwork_quota=16 * 2**20)
    assert answer["restart_needed"] is False
