"""What players report: noted here, and told to Trakt for those who are linked."""

from typing import Any

import pytest

from miauflixd.auth.model import UserId
from miauflixd.catalogue.model import EpisodeFacts, SeasonFacts, TitleId
from miauflixd.catalogue.scrobbling import Scrobbling
from miauflixd.catalogue.title_store import TitleStore
from miauflixd.catalogue.watched import Watching
from miauflixd.catalogue.watching import State
from miauflixd.catalogue.watching_store import WatchingStore
from tests.catalogue_titles import EN, NOON, US, movie, put, show
from tests.trakt_fake import FakeTrakt
from tests.trakt_house import ANNA, BEN, House, open_house


class Player:
    """Reports what it plays, and lets the time pass in which Trakt is told."""

    def __init__(self, house: House, titles: TitleStore) -> None:
        self._house = house
        self.titles = titles
        self.watching = Watching(
            store=WatchingStore(database=house.database),
            outline=titles,
            clock=house.clock,
            changed=lambda _: None,
            seconds=house.clock.seconds,
        )
        self._scrobbling = Scrobbling(titles=titles, watching=self.watching, trakt=house.accounts)

    async def says(
        self, title_id: TitleId, state: State, position: float, *, who: UserId = ANNA
    ) -> None:
        await self._scrobbling.note(who, title_id, position=position, duration=1000.0, state=state)
        await self._house.pauses.pass_by(2)


@pytest.fixture
def fake():
    return FakeTrakt()


@pytest.fixture
async def player(tmp_path, fake):
    async with open_house(tmp_path, fake) as house:
        await house.link(fake)
        titles = await TitleStore.open(database=house.database, region=US, language=EN)
        yield Player(house, titles)


def told(fake: FakeTrakt) -> list[tuple[str, Any]]:
    return [(path.rpartition("/")[2], said["progress"]) for path, said in fake.told]


async def test_trakt_hears_of_each_turn_and_not_of_each_report(player, fake):
    film = await put(player.titles, movie(tmdb=603, imdb="tt0133093"))
    for state, position in (
        ("playing", 0.0),
        ("playing", 100.0),
        ("paused", 110.0),
        ("playing", 120.0),
        ("ended", 990.0),
    ):
        await player.says(film, state, position)

    assert told(fake) == [("start", 0), ("pause", 11), ("start", 12), ("stop", 99)]
    assert fake.told[0][1]["movie"] == {"ids": {"tmdb": 603, "imdb": "tt0133093"}}
    assert (await player.watching.progress(ANNA, [film]))[film].watched


async def test_an_episode_is_told_by_its_show_and_numbers(player, fake):
    series = await put(player.titles, show(tmdb=1399, full=True, seasons=(SeasonFacts(number=2),)))
    await player.titles.save_season(
        series,
        SeasonFacts(number=2, episodes=(EpisodeFacts(number=1), EpisodeFacts(number=2))),
        locale=EN,
        at=NOON,
    )
    second = (await player.titles.outline(series))[1].id

    await player.says(second, "playing", 30.0)

    ((_, said),) = fake.told
    assert said["show"] == {"ids": {"tmdb": 1399}}
    assert said["episode"] == {"season": 2, "number": 2}


async def test_who_is_not_linked_is_noted_here_alone(player, fake):
    film = await put(player.titles, movie(tmdb=603))

    await player.says(film, "playing", 200.0, who=BEN)

    assert fake.told == []
    assert (await player.watching.progress(BEN, [film]))[film].position == 200.0


async def test_a_trakt_that_is_away_is_no_trouble_of_a_player(player, fake):
    film = await put(player.titles, movie(tmdb=603))
    fake.trouble = "503"

    await player.says(film, "playing", 300.0)

    assert (await player.watching.progress(ANNA, [film]))[film].position == 300.0
