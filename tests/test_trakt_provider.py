"""Trakt's public lists, with the key of the house alone."""

from contextlib import AsyncExitStack
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.catalogue.model import Kind, ListSlug, OutsideIds
from miauflixd.catalogue.providers.pace import Pace
from miauflixd.catalogue.providers.provider import (
    GoneError,
    Provider,
    ProviderOffError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from miauflixd.catalogue.providers.trakt import TraktProvider
from miauflixd.catalogue.providers.trakt_shapes import title
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.egress.clients import host_client
from miauflixd.runtime.priority import Priority
from miauflixd.runtime.secrets import Secret
from tests.auth_house import Clock
from tests.trakt_fake import CLIENT_ID, FakeTrakt, Trouble, movie, serving, show

pytestmark = pytest.mark.slow

TRENDING = ListSlug("trakt-movies-trending")


@pytest.fixture
def fake():
    fake = FakeTrakt()
    fake.items = {
        "/movies/trending": [{"watchers": 9, "movie": movie(n)["movie"]} for n in range(1, 150)],
        "/shows/trending": [{"watchers": 9, "show": show(7)["show"]}],
        "/movies/anticipated": [{"list_count": 9, "movie": movie(8)["movie"]}],
    }
    return fake


@pytest.fixture
async def opened(fake):
    async with AsyncExitStack() as stack:
        base = await stack.enter_async_context(serving(fake))
        http = await stack.enter_async_context(host_client())

        async def open_it(client_id: str | None = CLIENT_ID) -> TraktProvider:
            return await stack.enter_async_context(
                TraktProvider.open(
                    http=http,
                    settings=CatalogueSettings(
                        trakt_url=base,
                        trakt_client_id=None if client_id is None else Secret(client_id),
                    ),
                    clock=Clock(),
                    pace=Pace(company="Trakt", per_second=1e4, burst=9, at_once=5),
                    delays=(),
                )
            )

        yield open_it


@pytest.fixture
async def trakt(opened):
    trakt: Provider = await opened()
    return trakt


async def test_lists_hold_what_is_watched_and_waited_for(trakt):
    assert [one.slug for one in trakt.lists()] == [
        TRENDING,
        "trakt-shows-trending",
        "trakt-movies-anticipated",
    ]

    movies = await trakt.page(TRENDING, 1)
    (series,) = (await trakt.page(ListSlug("trakt-shows-trending"), 1)).items

    assert (movies.pages, len(movies.items)) == (1, 100)
    assert (series.kind, series.ids, series.text.title) == (
        Kind.SHOW,
        OutsideIds(trakt=7, tmdb=7, tvdb=7),
        "Series 7",
    )
    assert (await trakt.page(TRENDING, 2)).items == ()


async def test_there_is_no_list_that_nobody_named(trakt):
    with pytest.raises(GoneError):
        await trakt.page(ListSlug("trakt-../users"), 1)


async def test_details_are_found_by_trakts_id_or_imdbs(trakt, fake):
    full = movie(
        1,
        overview="<p>Long.</p>",
        runtime=136,
        genres=["science-fiction", "holiday", 7, "anime"],
        rating=8.1,
    )
    fake.titles = {"/movies/1": full["movie"], "/movies/tt0000001": full["movie"]}

    for ids in (OutsideIds(trakt=1), OutsideIds(imdb="tt0000001")):
        facts = await trakt.details(Kind.MOVIE, ids, priority=Priority.ROUTINE)

        assert facts.full
        assert (facts.text.overview, facts.runtime, facts.rating) == ("Long.", 8160, 8.1)
        assert facts.genres == ("science-fiction", "animation")

    for kind, ids in ((Kind.MOVIE, OutsideIds(trakt=2)), (Kind.SHOW, OutsideIds(tmdb=1))):
        with pytest.raises(GoneError):
            await trakt.details(kind, ids, priority=Priority.ROUTINE)


async def test_a_search_finds_movies_and_shows(trakt):
    assert len(await trakt.search(" film ")) > 20
    assert [one.ids.trakt for one in await trakt.search("series", kind=Kind.SHOW)] == [7]
    assert await trakt.search("   ") == ()
    assert await trakt.search("\ud800" * 5000) == ()


@pytest.mark.parametrize("trouble", [one for one in get_args(Trouble) if one != "none"])
async def test_every_trouble_is_one_kind_of_error(trakt, fake, trouble):
    fake.trouble = trouble

    with pytest.raises(ProviderUnavailableError):
        await trakt.page(TRENDING, 1)


async def test_a_key_that_is_not_accepted_is_said_so(opened):
    trakt = await opened("another")

    with pytest.raises(ProviderRefusedError):
        await trakt.page(TRENDING, 1)
    assert (await trakt.check()).condition == "refused"
    assert "trakt_client_id" in trakt.state().next


async def test_its_state_is_that_of_its_last_answer(trakt):
    assert trakt.state().condition == "unknown"
    assert (await trakt.check()).condition == "ok"


async def test_without_a_key_it_is_off(opened, fake):
    trakt = await opened(None)

    assert trakt.lists() == ()
    assert (await trakt.check()).condition == "off"
    for ask in (
        trakt.page(TRENDING, 1),
        trakt.search("x"),
        trakt.details(Kind.MOVIE, OutsideIds(trakt=1), priority=Priority.ROUTINE),
    ):
        with pytest.raises(ProviderOffError):
            await ask
    assert fake.asked == []


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                "title",
                "ids",
                "year",
                "overview",
                "tagline",
                "runtime",
                "released",
                "genres",
                "rating",
                "votes",
                "status",
                "language",
            ),
            ANYTHING,
        ),
    )
)
def test_whatever_a_title_holds_it_is_read(values):
    ids = {"trakt": 1}
    facts = title({**values, "ids": ids, "title": "A"}, Kind.MOVIE, full=True)

    assert facts is not None
    assert title(values, Kind.MOVIE) is None or isinstance(values["ids"], dict)
