"""Shows, season by season: whose numbers stay, and what has to be asked for again."""

from datetime import date
from typing import Any

import pytest

from miauflixd.catalogue.model import (
    EpisodeFacts,
    Facts,
    Kind,
    Locale,
    NoTitleError,
    SeasonFacts,
    TitleId,
)
from miauflixd.catalogue.title_store import Counts, TitleStore
from tests.catalogue_titles import EN, NOON, movie, open_shelf, put, show, writes

DE = Locale("de")


@pytest.fixture
async def shelf(tmp_path):
    async with open_shelf(tmp_path) as shelf:
        yield shelf


def season(number: int = 1, *episodes: int, **said: Any) -> SeasonFacts:
    said.setdefault("title", f"Season {number}")
    told = tuple(
        EpisodeFacts(
            number=episode,
            title=f"Part {episode}",
            overview=f"What happens in part {episode}.",
            aired=date(2020 + number, 1, episode),
            runtime=2700,
        )
        for episode in episodes
    )
    return SeasonFacts(number=number, episodes=told, **said)


def outlined(*counts: int, **said: Any) -> Facts:
    """Return a show in full, whose seasons have so many episodes; the first are its specials."""
    return show(
        tmdb=5,
        full=True,
        seasons=tuple(
            SeasonFacts(number=number, title=f"Season {number}", episode_count=count)
            for number, count in enumerate(counts)
        ),
        **said,
    )


async def numbers(shelf: TitleStore, title: TitleId, of: int = 1) -> dict[int, TitleId]:
    return {episode.number: episode.id for episode in await shelf.episodes(title, of, EN, None)}


async def test_seasons_stand_in_their_show_with_the_specials_last(shelf):
    title = await put(shelf, outlined(3, 10, 8))
    await shelf.save_season(title, season(1, *range(1, 11)), locale=EN, at=NOON)

    found = (await shelf.title(title, EN, None)).seasons

    assert [(each.number, each.title, each.episode_count, each.synced) for each in found] == [
        (1, "Season 1", 10, True),
        (2, "Season 2", 8, False),
        (0, "Season 0", 3, False),
    ]


async def test_episodes_come_in_order_with_all_that_is_known(shelf):
    title = await put(shelf, outlined(0, 2))
    await shelf.save_season(title, season(1, 2, 1), locale=EN, at=NOON)

    first, second = await shelf.episodes(title, 1, EN, None)

    assert (first.number, first.title, first.aired, first.runtime) == (
        1,
        "Part 1",
        date(2021, 1, 1),
        2700,
    )
    assert first.overview == "What happens in part 1."
    assert second.number == 2
    assert await shelf.episodes(title, 2, EN, None) == []
    assert await shelf.counts() == Counts(movies=0, shows=1, episodes=2)


async def test_an_episode_keeps_its_number_of_ours(shelf):
    title = await put(shelf, outlined(0, 3))
    await shelf.save_season(title, season(1, 1, 2, 3), locale=EN, at=NOON)
    before = await numbers(shelf, title)

    await shelf.save_season(title, season(1, 1, 3), locale=EN, at=NOON)
    assert await numbers(shelf, title) == {1: before[1], 3: before[3]}
    with pytest.raises(NoTitleError):
        await shelf.episode(before[2], EN, None)

    await shelf.save_season(title, season(1, 1, 2, 3, 4), locale=EN, at=NOON)
    after = await numbers(shelf, title)
    assert {number: after[number] for number in before} == before
    assert after[4] not in before.values()


async def test_an_empty_answer_takes_no_episodes_away(shelf):
    title = await put(shelf, outlined(0, 2))
    await shelf.save_season(title, season(1, 1, 2), locale=EN, at=NOON)

    await shelf.save_season(title, season(1), locale=EN, at=NOON)

    assert list(await numbers(shelf, title)) == [1, 2]


async def test_a_season_told_again_is_not_written_again(shelf):
    title = await put(shelf, outlined(0, 2))
    told = season(1, 1, 2)
    twice = SeasonFacts(number=1, title="Season 1", episodes=(told.episodes or ()) * 2)
    await shelf.save_season(title, told, locale=EN, at=NOON)
    before = await writes(shelf)

    await shelf.save_season(title, told, locale=EN, at=NOON)
    await shelf.save_season(title, twice, locale=EN, at=NOON)

    assert await writes(shelf) == before


async def test_episodes_are_read_in_the_nearest_language(shelf):
    title = await put(shelf, outlined(0, 2))
    await shelf.save_season(title, season(1, 1, 2), locale=EN, at=NOON)
    german = SeasonFacts(
        number=1,
        title="Staffel 1",
        episodes=(EpisodeFacts(number=1, title="Teil 1"), EpisodeFacts(number=2)),
    )
    await shelf.save_season(title, german, locale=DE, at=NOON)

    first, second = await shelf.episodes(title, 1, Locale("de-AT"), None)

    assert (first.title, first.overview) == ("Teil 1", "What happens in part 1.")
    assert second.title == "Part 2"
    assert (await shelf.title(title, DE, None)).seasons[0].title == "Staffel 1"
    assert (await shelf.episodes(title, 1, EN, None))[0].title == "Part 1"


async def test_a_season_that_grew_is_to_be_asked_for_again(shelf):
    title = await put(shelf, outlined(0, 2, 5))
    assert await shelf.seasons_to_sync(9) == [(title, 1), (title, 2), (title, 0)]
    for number in (0, 1, 2):
        await shelf.save_season(title, season(number, 1), locale=EN, at=NOON)
    assert await shelf.seasons_to_sync(9) == []

    await put(shelf, outlined(0, 2, 6))
    assert await shelf.seasons_to_sync(9) == [(title, 2)]

    await shelf.unsync(title)
    assert await shelf.seasons_to_sync(2) == [(title, 1), (title, 2)]


async def test_the_seasons_of_some_shows_can_be_asked_for_first(shelf):
    known, unknown = await shelf.save(
        [
            show("Known", tmdb=1, full=True, popularity=90, seasons=(SeasonFacts(number=1),)),
            show("Unknown", tmdb=2, full=True, popularity=1, seasons=(SeasonFacts(number=1),)),
        ],
        at=NOON,
    )

    assert await shelf.seasons_to_sync(9) == [(known, 1), (unknown, 1)]
    assert await shelf.seasons_to_sync(9, shows=[unknown]) == [(unknown, 1)]
    assert await shelf.seasons_to_sync(9, shows=[]) == []


async def test_a_season_that_is_told_of_no_more_is_hidden_with_its_episodes(shelf):
    title = await put(shelf, outlined(0, 1, 1))
    await shelf.save_season(title, season(1, 1), locale=EN, at=NOON)
    await shelf.save_season(title, season(2, 1), locale=EN, at=NOON)
    before = await numbers(shelf, title, 2)

    await put(shelf, outlined(0, 1))
    assert [each.number for each in (await shelf.title(title, EN, None)).seasons] == [1, 0]
    assert await numbers(shelf, title, 2) == {}
    assert [step.season for step in await shelf.outline(title)] == [1]

    await put(shelf, outlined(0, 1, 1))
    await shelf.save_season(title, season(2, 1), locale=EN, at=NOON)
    assert await numbers(shelf, title, 2) == before


async def test_the_outline_has_every_episode_with_the_specials_last(shelf):
    title = await put(shelf, outlined(1, 2, 1))
    for told in (season(0, 1), season(2, 1), season(1, 1, 2)):
        await shelf.save_season(title, told, locale=EN, at=NOON)

    outline = await shelf.outline(title)

    assert [(step.season, step.number) for step in outline] == [(1, 1), (1, 2), (2, 1), (0, 1)]
    assert outline[0].aired == date(2021, 1, 1)
    assert outline[0].id == (await numbers(shelf, title))[1]
    assert await shelf.outline(TitleId(Kind.SHOW, 999)) == []


async def test_an_episode_stands_in_a_row_with_its_show(shelf):
    title = await put(shelf, outlined(0, 2, certifications={"US": "TV-PG"}))
    hidden = await put(shelf, show("Other", tmdb=6))
    for shown in (title, hidden):
        await shelf.save_season(shown, season(1, 1, 2), locale=EN, at=NOON)
    second = (await numbers(shelf, title))[2]
    other = (await numbers(shelf, hidden))[1]
    await shelf.set_available([second], available=True)

    cards = await shelf.episode_cards([other, second, title], EN, 12)

    assert list(cards) == [second]
    card = cards[second]
    assert (card.show.title, card.season, card.episode, card.title) == (
        "Lantern Street",
        1,
        2,
        "Part 2",
    )
    assert card.available
    assert set(await shelf.episode_cards([other, second], EN, None)) == {other, second}
    assert await shelf.shows_of([second, other, TitleId(Kind.EPISODE, 999)]) == {
        second: title,
        other: hidden,
    }


async def test_an_episode_is_shown_within_the_limit_of_its_show(shelf):
    title = await put(shelf, outlined(0, 1, certifications={"US": "TV-MA"}))
    await shelf.save_season(title, season(1, 1), locale=EN, at=NOON)
    only = (await numbers(shelf, title))[1]

    card, episode = await shelf.episode(only, EN, None)
    assert (card.id, episode.title) == (title, "Part 1")
    for ask in (shelf.episode(only, EN, 13), shelf.episodes(title, 1, EN, 13)):
        with pytest.raises(NoTitleError):
            await ask


async def test_only_shows_have_seasons(shelf):
    film = await put(shelf, movie(tmdb=5))

    for nothing in (film, TitleId(Kind.SHOW, film.number), TitleId(Kind.SHOW, 999)):
        with pytest.raises(NoTitleError):
            await shelf.save_season(nothing, season(1, 1), locale=EN, at=NOON)
    with pytest.raises(NoTitleError):
        await shelf.episode(film, EN, None)


async def test_lists_leave_the_seasons_of_a_show_alone(shelf):
    title = await put(shelf, outlined(0, 2))
    await put(shelf, show(tmdb=5, rating=5.0))
    await put(shelf, show(provider="trakt", trakt=3, tmdb=5, full=True))

    assert [each.number for each in (await shelf.title(title, EN, None)).seasons] == [1, 0]


async def test_two_shows_that_turn_out_to_be_one_keep_their_episodes(shelf):
    old = await put(shelf, show("Street", provider="trakt", trakt=3))
    await shelf.save_season(old, season(1, 1, 2), locale=EN, at=NOON)
    title = await put(shelf, outlined(0, 3))
    await shelf.save_season(title, season(1, 2, 3), locale=EN, at=NOON)
    before = await numbers(shelf, title)
    first = (await numbers(shelf, old))[1]

    assert await put(shelf, outlined(0, 3, trakt=3)) == title

    assert await numbers(shelf, title) == before | {1: first}
    assert await numbers(shelf, old) == before | {1: first}
    assert await shelf.outline(old) == await shelf.outline(title)
    assert (await shelf.counts()).shows == 1
