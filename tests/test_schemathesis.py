"""The whole description, put to the proof by a program that nobody here wrote."""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from miauflixd.catalogue.model import EpisodeFacts, SeasonFacts, TitleId
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.web.application import EVERY_ROUTE
from tests.artwork_fakes import FakeArtwork
from tests.catalogue_titles import EN, NOON, movie, put, show
from tests.doorstep import bearer
from tests.fakes import FakeTorrents
from tests.web_house import open_web

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(120)]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 8
"""Of each operation, in each of the ways in which they are made."""

UNDRIVABLE = {
    ("GET", "/api/events"),  # has no end, and schemathesis waits for one
}

CONFIG = SchemathesisConfig.from_dict(
    # Whom a request is from is what the test decides.
    {"generation": {"with-security-parameters": False}}
)


def operations(url: str) -> Iterator[Any]:
    # Not `from_url`, which would leave out the address that the description is at.
    document = requests.get(f"{url}/api/openapi.json", timeout=20).json()
    schema = schemathesis.openapi.from_dict(document, config=CONFIG)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if (operation.method.upper(), operation.path) not in UNDRIVABLE:
            yield operation


def strategies(operation: Any, known: Mapping[str, str]) -> Iterator[SearchStrategy[Any]]:
    """Yield what makes requests: as described, other than that, and for what there is."""
    yield operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    yield operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    if "/seasons/" in operation.path:
        known = {**known, "title_id": known["show_id"]}
    names = re.findall(r"\{(\w+)\}", operation.path)
    if names and all(name in known for name in names):
        yield operation.as_strategy(path_parameters={name: known[name] for name in names})


def drive(
    url: str, headers: Callable[[], Mapping[str, str]], known: Mapping[str, str]
) -> list[tuple[str, int]]:
    """Ask for all there is, and return what was answered with which status.

    Args:
        url: where.
        headers: makes what whoever asks shows at the door; afresh, since they may sign out.
        known: what there is, by the name of the parameter.
    """
    answered: list[tuple[str, int]] = []
    # What removes something comes last: afterwards there would be nothing to ask about.
    for operation in sorted(operations(url), key=lambda one: one.method.upper() == "DELETE"):
        for number, strategy in enumerate(strategies(operation, known)):

            @settings(
                max_examples=EXAMPLES,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=strategy)
            def ask(case: Any) -> None:
                answer = case.call_and_validate(
                    base_url=url, headers=headers(), checks=CHECKS, timeout=20
                )
                answered.append((case.operation.label, answer.status_code))

            try:
                ask()
            except Unsatisfiable:
                # Where any request is one as described, none can be other than that.
                assert number == 1, operation.label
    return answered


async def filled(shelf: TitleStore) -> tuple[TitleId, TitleId]:
    """Put a movie, and a show with an episode, on the shelf among others."""
    await shelf.save([movie(f"Film {n}", tmdb=n, genres=("drama",)) for n in range(1, 60)], at=NOON)
    outline = (SeasonFacts(number=1, episode_count=1),)
    film = await put(shelf, movie(tmdb=100, imdb="tt0000100", full=True, runtime=5400))
    series = await put(shelf, show(tmdb=100, full=True, seasons=outline))
    season = SeasonFacts(number=1, episodes=(EpisodeFacts(number=1, title="Part 1"),))
    await shelf.save_season(series, season, locale=EN, at=NOON)
    return film, series


@pytest.mark.parametrize("name", ["nobody", "user", "admin"])
async def test_all_that_is_described_is_answered_as_described(tmp_path, name):
    torrents, artwork = FakeTorrents(), FakeArtwork()
    artwork.add("tmdb-poster-abc.jpg")
    async with open_web(tmp_path, torrents=torrents, artwork=artwork) as web:
        film, series = await filled(web.library.titles)
        shared = await web.lists.create((await web.admin()).id, title="A list", shared=True)
        known = {
            "slug": shared.slug,
            "title_id": str(film),
            "show_id": str(series),
            "number": "1",
            "size": "small",
            "key": "tmdb-poster-abc.jpg",
            "source_id": await torrents.add_metainfo(b"d4:filme"),
            "user_id": (await web.add("cleo")).id,
            "name": "app.js",
        }
        who = {"nobody": None, "user": await web.add("ben"), "admin": await web.admin()}[name]
        loop = asyncio.get_running_loop()

        def headers() -> Mapping[str, str]:
            if who is None:
                return {}
            return bearer(asyncio.run_coroutine_threadsafe(web.token_of(who), loop).result())

        answered = await asyncio.to_thread(drive, web.url, headers, known)
    routes = {f"{one.method} {one.path}" for one in EVERY_ROUTE}
    undriven = {f"{method} {path}" for method, path in UNDRIVABLE}
    assert {label for label, _ in answered} == routes - undriven
    if name == "admin":
        found = {label for label, status in answered if status < HTTPStatus.BAD_REQUEST}
        assert found >= {
            "GET /static/{name}",
            "GET /api/stream/{source_id}",
            "DELETE /api/torrents/{source_id}",
            "PATCH /api/users/{user_id}",
            "DELETE /api/users/{user_id}",
            "PATCH /api/lists/{slug}",
            "PUT /api/lists/{slug}/items/{title_id}",
            "PUT /api/progress/{title_id}",
            "GET /api/titles/{title_id}",
            "GET /api/titles/{title_id}/seasons/{number}",
            "GET /api/images/{size}/{key}",
        }
