"""Whatever providers say, in whatever order, the shelf stays sound."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from miauflixd.catalogue.model import Facts, Kind, OutsideIds
from miauflixd.catalogue.title_store import TitleStore
from tests.catalogue_titles import EN, NOON, movie, open_shelf, show, writes

# To say why an example fails takes longer than a test may.
_PHASES = (Phase.explicit, Phase.generate, Phase.shrink)

_FEW = st.one_of(st.none(), st.integers(1, 3))
_NAMES = st.sampled_from(["Dawn", "The Dawn", "Dusk", ""])


@st.composite
def tellings(draw: st.DrawFn) -> Facts:
    provider = draw(st.sampled_from(["tmdb", "archive", "trakt"]))
    make = draw(st.sampled_from([movie, show]))
    imdb, archive = draw(_FEW), draw(_FEW)
    ids = OutsideIds(
        tmdb=draw(_FEW),
        imdb=None if imdb is None else f"tt000000{imdb}",
        archive=None if archive is None else f"item_{archive}",
        trakt=draw(_FEW),
    )
    own: dict[str, Any] = {"tmdb": 1, "trakt": 1, "archive": "item_1"}
    if getattr(ids, provider) is None:
        ids = replace(ids, **{provider: own[provider]})
    facts: Facts = make(draw(_NAMES), provider=provider, full=draw(st.booleans()))
    return replace(facts, ids=ids)


async def check(shelf: TitleStore, said: list[Facts]) -> None:
    for facts in said:
        (title,) = await shelf.save([facts], at=NOON)
        assert title.kind is facts.kind
        # What a provider calls its own leads to what it has just told of.
        own = OutsideIds(**{facts.provider: getattr(facts.ids, facts.provider)})
        assert await shelf.find(own, facts.kind) == title
        assert (await shelf.title(title, EN, None)).card.id == title

    ids = await shelf.save(said, at=NOON)
    cards = await shelf.cards(ids, EN, None)
    assert cards.keys() == set(ids)
    counts = await shelf.counts()
    there = {card.id for card in cards.values()}
    assert counts.movies == sum(title.kind is Kind.MOVIE for title in there)
    assert counts.shows == sum(title.kind is Kind.SHOW for title in there)


@given(st.lists(tellings(), min_size=1, max_size=12))
@settings(derandomize=True, max_examples=20, deadline=None, phases=_PHASES)
def test_each_telling_leads_to_one_title_that_is_there(said):
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with open_shelf(Path(folder)) as shelf:
                await check(shelf, said)

    asyncio.run(run())


@given(st.lists(tellings(), min_size=1, max_size=6))
@settings(derandomize=True, max_examples=10, deadline=None, phases=_PHASES)
def test_what_was_understood_once_is_not_written_again(said):
    last = {
        (facts.provider, facts.kind, getattr(facts.ids, facts.provider)): facts for facts in said
    }

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with open_shelf(Path(folder)) as shelf:
                await shelf.save([*last.values()], at=NOON)
                ids = await shelf.save([*last.values()], at=NOON)
                brief = [facts for facts in last.values() if not facts.full]
                before = await writes(shelf)
                again = await shelf.save(brief, at=NOON)
                assert await writes(shelf) == before
                assert set(again) <= set(ids)

    asyncio.run(run())
