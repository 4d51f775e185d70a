"""Which titles an offer is of, and by what they are looked for."""

from dataclasses import replace
from datetime import date

import pytest

from miauflixd.auth.model import Profile
from miauflixd.catalogue.model import Kind, OutsideIds, Particulars, TitleId
from miauflixd.sources.choosing import for_title, preference
from miauflixd.sources.fitting import Sought, match, promising_first
from miauflixd.sources.listing_model import Found
from miauflixd.sources.matching import Refusal
from miauflixd.sources.offered_release import release_of
from miauflixd.sources.offers import Hints
from miauflixd.sources.release_model import Quality, SourceType, VideoCodec
from miauflixd.web_files.model import WebFile
from tests.sources_house import offer, open_house

FILM = Particulars(
    id=TitleId(Kind.MOVIE, 7),
    show=None,
    titles=("Big Cat", "Gro\u00dfe Katze"),
    year=2019,
    ids=OutsideIds(imdb="tt5550001", tmdb=77, archive="big-cat"),
    original_language="de",
    runtime=5400,
)
EPISODES = tuple(
    Particulars(
        id=TitleId(Kind.EPISODE, number),
        show=TitleId(Kind.SHOW, 3),
        titles=("Lantern Street",),
        year=2018,
        ids=OutsideIds(tvdb=5),
        original_language="en",
        runtime=2400,
        season=2,
        episode=number,
        absolute=10 + number,
        aired=date(2019, 1, number),
    )
    for number in (1, 2, 3)
)
SECOND = Sought(title=EPISODES[1], mates=EPISODES)


def parts(verdict: Found | Refusal) -> dict[int, tuple[bool, bool]]:
    assert isinstance(verdict, Found)
    return {part.title_id.number: (part.certain, part.pack) for part in verdict.parts}


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ({}, True),
        ({"imdb_id": "tt5550001"}, True),
        ({"imdb_id": "tt5559999"}, False),
        ({"imdb_id": "tt5559999", "tmdb_id": 77}, True),
        ({"tmdb_id": 78}, False),
        ({"archive_id": "another-item"}, True),
    ],
)
def test_what_a_directory_says_of_ids_can_only_speak_against_it(said, fits):
    verdict = match(offer("Big.Cat.2019.1080p-GRP", 1, **said), Sought(title=FILM))
    assert isinstance(verdict, Found) is fits


def test_an_id_does_not_make_another_film_of_it():
    verdict = match(offer("Small.Dog.2019-GRP", 1, imdb_id="tt5550001"), Sought(title=FILM))
    assert isinstance(verdict, Refusal)


def test_the_name_that_fits_is_the_name():
    verdict = match(offer("abc123", 1, other_names=("x", "Big.Cat.2019-GRP")), Sought(title=FILM))
    assert isinstance(verdict, Found)
    assert verdict.offer.name == "Big.Cat.2019-GRP"
    assert verdict.offer.other_names == ("abc123", "x")


def test_a_pack_is_of_all_episodes_in_it():
    assert parts(match(offer("Lantern.Street.S02.1080p-GRP", 1), SECOND)) == {
        1: (True, True),
        2: (True, True),
        3: (True, True),
    }
    assert parts(match(offer("Lantern.Street.S02E02E03.1080p-GRP", 1), SECOND)) == {
        2: (True, True),
        3: (True, True),
    }
    assert parts(match(offer("Lantern.Street.S02E02.1080p-GRP", 1), SECOND)) == {2: (True, False)}
    assert parts(match(offer("Lantern Street - 12 [1080p]", 1), SECOND)) == {2: (True, False)}


def test_an_episodes_own_id_is_not_held_against_it():
    verdict = match(offer("Lantern.Street.S02E02-GRP", 1, imdb_id="tt123"), SECOND)
    assert isinstance(verdict, Found)


def test_a_show_that_is_on_daily_is_asked_for_by_its_day_only():
    daily = replace(EPISODES[1], daily=True)
    (query,) = Sought(title=daily, mates=EPISODES).queries()
    assert (query.daily, query.aired) == (True, date(2019, 1, 2))


def test_what_is_sure_to_be_there_is_looked_at_first():
    server = offer("c", web_files=(WebFile(name="c", size=1, url="https://x.example"),))
    offers = [offer("a", 1, seeders=1), offer("n", 2), server, offer("b", 3, seeders=9)]
    assert [each.name for each in promising_first(offers)] == ["c", "b", "a", "n"]


def test_what_the_name_does_not_say_the_directory_may():
    hints = Hints(
        quality="720p",
        source_type="bluray",
        video_codec="h265",
        languages=("german", "en", "en-US"),
        channels="5.1",
        three_d=True,
    )
    found = release_of(offer("Big Cat (2019)", 1, hints=hints))
    assert (found.quality, found.source_type) == (Quality.P720, SourceType.BLURAY)
    assert (found.video_codec, found.languages) == (VideoCodec.H265, ("de", "en"))
    assert found.three_d
    named = release_of(offer("Big.Cat.2019.1080p.WEB-DL.French-GRP", 1, hints=hints))
    assert (named.quality, named.source_type) == (Quality.P1080, SourceType.WEB_DL)
    assert named.languages == ("fr",)
    mad = Hints(quality="900p", source_type="\x00", video_codec="", languages=("\u202e", "", "q"))
    assert release_of(offer("Big Cat (2019)", 1, hints=mad)).quality is None


def test_whoever_likes_no_language_hears_the_original():
    assert for_title(preference(Profile()), FILM).languages == ("de",)
    liked = preference(Profile(audio_languages=("fr", "en"), quality="2160p"))
    assert for_title(liked, FILM).languages == ("fr", "en")
    assert liked.quality is Quality.P2160
    assert preference(Profile(quality="2160p"), quality=Quality.P720).quality is Quality.P720
    assert for_title(liked, FILM).runtime == 5400


# --- what the catalogue says ----------------------------------------------------------------------


async def test_a_title_is_known_by_its_names_in_all_languages(tmp_path):
    async with open_house(tmp_path) as house:
        film = await house.movie(
            "Big Cat", original_title="Gro\u00dfe Katze", original_language="de", tmdb=7, imdb="tt1"
        )
        found = await house.titles.particulars(film)
        assert found.titles == ("Big Cat", "Gro\u00dfe Katze")
        assert (found.year, found.original_language) == (2019, "de")
        assert (found.ids.tmdb, found.ids.imdb) == (7, "tt1")


async def test_an_episode_is_counted_from_the_first_where_all_before_are_known(tmp_path):
    async with open_house(tmp_path) as house:
        episodes = await house.season(number=3, episodes=4)
        found = await house.titles.particulars(episodes[1])
        assert (found.season, found.episode, found.absolute) == (3, 2, 10)
        assert found.aired == date(2019, 3, 2)
        assert found.show is not None
        mates = await house.titles.season_mates(episodes[1])
        assert [mate.id for mate in mates] == episodes
        await house.titles.unsync(found.show)
        assert (await house.titles.particulars(episodes[1])).absolute is None


async def test_a_show_can_be_played_while_one_of_its_episodes_can(tmp_path):
    async with open_house(tmp_path) as house:
        first, second, _ = await house.season()
        show = (await house.titles.particulars(first)).show
        assert show is not None
        set_available = house.titles.set_available
        assert set(await set_available([first, second], available=True)) == {first, second, show}
        assert await house.available(show)
        assert await set_available([first], available=True) == []
        assert await set_available([first], available=False) == [first]
        assert await house.available(show)
        assert set(await set_available([second], available=False)) == {second, show}
        assert not await house.available(show)
