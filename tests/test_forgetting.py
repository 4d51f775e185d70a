"""What was only ever named is forgotten; what anybody wants is not."""

import pytest

from miauflixd.auth.model import UserId
from miauflixd.catalogue.forgetting import Forgetting
from miauflixd.catalogue.list_model import ListSpec
from miauflixd.catalogue.list_store import ListStore
from miauflixd.catalogue.lists import Lists
from miauflixd.catalogue.model import EpisodeFacts, ListSlug, NoTitleError, SeasonFacts, TitleId
from miauflixd.catalogue.watched import Watching
from miauflixd.catalogue.watching import State
from miauflixd.catalogue.watching_store import WatchingStore
from tests.auth_house import Clock
from tests.catalogue_titles import EN, movie, open_shelf, put, show

ANNA = UserId("anna")


class House:
    def __init__(self, shelf) -> None:
        self.clock = Clock()
        self.shelf = shelf
        database = shelf._database
        self.lists = Lists(
            store=ListStore(database=database), clock=self.clock, changed=lambda _: None
        )
        self.watching = Watching(
            store=WatchingStore(database=database),
            outline=shelf,
            clock=self.clock,
            changed=lambda _: None,
        )
        self.forgetting = Forgetting(
            titles=shelf, lists=self.lists, watching=self.watching, clock=self.clock
        )

    async def named(self, title, **said):
        return await put(self.shelf, movie(title, full=False, **said), at=self.clock())


@pytest.fixture
async def house(tmp_path):
    async with open_shelf(tmp_path) as shelf:
        yield House(shelf)


async def test_what_nobody_has_named_for_a_month_is_forgotten_with_all_that_belongs_to_it(house):
    title = await house.named("The Quiet Harbour", tmdb=7)
    house.clock.pass_by(days=29)
    assert await house.forgetting.run() == []
    house.clock.pass_by(days=2)

    assert await house.forgetting.run() == [title]

    with pytest.raises(NoTitleError):
        await house.shelf.title(title, EN, None)
    assert await house.shelf.search("quiet", locale=EN, limit=None) == []
    again = await house.named("The Quiet Harbour", tmdb=7)
    assert again.number > title.number
    (found,) = await house.shelf.search("quiet", locale=EN, limit=None)
    assert found.id == again


async def test_what_is_named_again_and_again_stays(house):
    for _ in range(10):
        await house.named("The Quiet Harbour", tmdb=7)
        house.clock.pass_by(days=10)
        assert await house.forgetting.run() == []


async def test_what_somebody_has_opened_stays(house):
    await put(house.shelf, movie("Opened", full=True), at=house.clock())
    house.clock.pass_by(days=400)
    assert await house.forgetting.run() == []


async def test_what_can_be_played_stays(house):
    title = await house.named("Here")
    await house.shelf.set_available([title], available=True)
    house.clock.pass_by(days=400)
    assert await house.forgetting.run() == []


async def test_what_is_in_a_list_stays_until_it_is_not(house):
    title = await house.named("Listed")
    spec = ListSpec(slug=ListSlug("some"), title="Some", kind="movie", provider="tmdb")
    await house.lists.replace(spec, [title], at=house.clock())
    house.clock.pass_by(days=400)
    assert await house.forgetting.run() == []
    await house.lists.replace(spec, [], at=house.clock())
    assert await house.forgetting.run() == [title]


async def test_what_is_being_watched_stays_before_and_after_it_is_written(house):
    title = await house.named("Watched")
    house.clock.pass_by(days=400)
    await house.watching.note(ANNA, title, position=600, duration=3600, state=State.PLAYING)
    assert await house.forgetting.run() == []
    await house.watching.flush()
    assert await house.forgetting.run() == []
    await house.watching.forget(ANNA, title)
    assert await house.forgetting.run() == [title]


async def test_the_show_of_an_episode_that_somebody_has_seen_stays(house):
    series = await put(house.shelf, show(full=False), at=house.clock())
    episode = await _episode_of(house, series)
    await house.watching.mark_watched(ANNA, [episode])
    house.clock.pass_by(days=400)
    assert await house.forgetting.run() == []
    await house.watching.forget_user(ANNA)
    assert await house.forgetting.run() == [series]


async def _episode_of(house: House, series: TitleId) -> TitleId:
    facts = SeasonFacts(number=1, episodes=(EpisodeFacts(number=1, title="One"),))
    await house.shelf.save_season(series, facts, locale=EN, at=house.clock())
    (step,) = await house.shelf.outline(series)
    episode: TitleId = step.id
    return episode


async def test_a_title_that_turned_out_to_be_another_goes_with_it_and_stays_with_it(house):
    first = await house.named("One", tmdb=7, provider="tmdb")
    second = await house.named("Two", archive="two", provider="archive")
    both = movie("One", full=False, provider="tmdb", tmdb=7, archive="two")
    await put(house.shelf, both, at=house.clock())
    spec = ListSpec(slug=ListSlug("some"), title="Some", kind="movie", provider="tmdb")
    assert (await house.shelf.title(second, EN, None)).card.id == first
    await house.lists.replace(spec, [second], at=house.clock())
    house.clock.pass_by(days=400)
    assert await house.forgetting.run() == []
    await house.lists.replace(spec, [], at=house.clock())
    assert await house.forgetting.run() == [first]
    assert (await house.shelf.counts()).movies == 0


async def test_of_many_all_are_forgotten(house):
    for number in range(250):
        await house.named(f"Film {number}", tmdb=number + 1)
    house.clock.pass_by(days=31)
    assert len(await house.forgetting.run()) == 250
    assert (await house.shelf.counts()).movies == 0
