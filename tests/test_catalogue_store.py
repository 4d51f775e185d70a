"""What is known of titles: whose facts are believed, and what of them comes back."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from miauflixd.catalogue.browsing import Query
from miauflixd.catalogue.model import (
    Card,
    Credit,
    Facts,
    Image,
    ImageKey,
    Kind,
    Locale,
    NoTitleError,
    OutsideIds,
    Text,
    TitleId,
    Trailer,
)
from miauflixd.catalogue.title_store import Counts, GenreCount
from tests.catalogue_titles import EN, NOON, also, movie, open_shelf, put, show, writes


@pytest.fixture
async def shelf(tmp_path):
    async with open_shelf(tmp_path) as shelf:
        yield shelf


FULL: dict[str, Any] = {
    "full": True,
    "imdb": "tt0000007",
    "overview": "A harbour, and no wind.",
    "tagline": "Hush.",
    "runtime": 5400,
    "status": "Released",
    "rating": 7.5,
    "votes": 900,
    "genres": ("drama", "science-fiction"),
    "certifications": {"US": "PG", "DE": "12"},
    "texts": {
        "pt-BR": Text(title="O Porto", overview="Um porto."),
        "pt-PT": Text(title="O Cais"),
        "de": Text(title="Der Hafen", tagline="Pst."),
    },
    "credits": (Credit(name="Ada Moor", part="director"), Credit(name="Bo Reed", character="Sam")),
    "images": (Image(role="logo", key=ImageKey("tmdb-logo-a.png"), language="en"),),
    "poster": "tmdb-poster-a.jpg",
    "trailer": Trailer(site="youtube", key="abc"),
}


async def test_what_was_told_in_full_comes_back_in_full(shelf):
    await shelf.save_genre_names({"drama": {"en": "Drama", "de": "Schauspiel"}})
    title = await put(shelf, movie(tmdb=7, **FULL))

    found = await shelf.title(title, EN, None)

    assert found.card == Card(
        id=title,
        title="The Quiet Harbour",
        year=1968,
        poster=ImageKey("tmdb-poster-a.jpg"),
        backdrop=None,
        rating=7.5,
        available=False,
    )
    assert found.ids == OutsideIds(tmdb=7, imdb="tt0000007")
    assert (found.overview, found.tagline, found.locale) == (
        "A harbour, and no wind.",
        "Hush.",
        "en",
    )
    assert [genre.name for genre in found.genres] == ["Drama", "Science fiction"]
    assert (found.certification, found.certification_region) == ("PG", "US")
    assert found.released == date(1968, 10, 1)
    assert found.runtime == 5400
    assert [credit.name for credit in found.credits] == ["Ada Moor", "Bo Reed"]
    assert found.images == FULL["images"]
    assert found.trailer == FULL["trailer"]
    assert (found.full, found.checked_at) == (True, NOON)


@pytest.mark.parametrize(
    ("locale", "texts"),
    [
        ("pt-BR", ("O Porto", "Um porto.", "pt-BR", "Hush.")),
        ("pt-PT", ("O Cais", "Um porto.", "pt-BR", "Hush.")),
        ("pt", ("O Cais", "Um porto.", "pt-BR", "Hush.")),
        ("de-AT", ("Der Hafen", "A harbour, and no wind.", "en", "Pst.")),
        ("fr", ("The Quiet Harbour", "A harbour, and no wind.", "en", "Hush.")),
    ],
)
async def test_each_text_comes_in_the_nearest_language_that_has_one(shelf, locale, texts):
    id_ = await put(shelf, movie(tmdb=7, **FULL))

    found = await shelf.title(id_, locale, None)

    assert (found.card.title, found.overview, found.locale, found.tagline) == texts
    assert (await shelf.cards([id_], locale, None))[id_] == found.card


async def test_a_title_without_any_translation_shows_its_original_name(shelf):
    title = await put(shelf, movie("", tmdb=7, original_title="七つの港", original_language="ja"))

    assert (await shelf.title(title, "fr", None)).card.title == "七つの港"


async def test_lists_neither_overwrite_nor_clear_what_was_told_in_full(shelf):
    title = await put(shelf, movie(tmdb=7, **FULL))
    before = await shelf.title(title, EN, None)

    assert await put(shelf, movie("Other", tmdb=7, rating=1.0, votes=3)) == title

    assert await shelf.title(title, EN, None) == before


async def test_a_list_that_says_less_clears_nothing_that_another_said(shelf):
    await put(shelf, movie(tmdb=7, overview="A harbour.", poster="tmdb-poster-a.jpg"))
    title = await put(shelf, movie(tmdb=7, rating=6.0, votes=10))

    found = await shelf.title(title, EN, None)

    assert (found.overview, found.card.poster, found.card.rating) == (
        "A harbour.",
        "tmdb-poster-a.jpg",
        6.0,
    )
    assert (found.full, found.checked_at) == (False, None)


async def test_what_is_told_in_full_replaces_all_that_was(shelf):
    title = await put(shelf, movie(tmdb=7, **FULL))
    anew = FULL | {
        "genres": ("drama", "war"),
        "certifications": {"DE": "16"},
        "texts": {"de": Text(title="Stille")},
        "credits": (),
        "images": (),
    }
    await put(shelf, movie(tmdb=7, **anew))

    found = await shelf.title(title, "pt-BR", None)

    assert found.card.title == "The Quiet Harbour"
    assert [genre.slug for genre in found.genres] == ["drama", "war"]
    assert (found.certification, found.certification_region) == ("16", "DE")
    assert (found.credits, found.images) == ((), ())
    assert [card.id for card in await shelf.search("porto", locale=EN, limit=None)] == []
    assert [card.id for card in await shelf.search("stille", locale=EN, limit=None)] == [title]


async def test_what_is_told_again_is_not_written_again(shelf):
    facts = [movie(tmdb=7, **FULL), movie("Ash", tmdb=8), show(tmdb=7)]
    ids = await shelf.save(facts, at=NOON)
    before = await writes(shelf)

    assert await shelf.save(facts[1:], at=NOON + timedelta(hours=1)) == ids[1:]
    assert await writes(shelf) == before

    await shelf.save(facts, at=NOON + timedelta(hours=1))
    assert await writes(shelf) - before == 1
    assert (await shelf.title(ids[0], EN, None)).checked_at == NOON + timedelta(hours=1)


async def test_a_film_and_a_show_of_one_number_are_two(shelf):
    ids = await shelf.save([movie(tmdb=7), show(tmdb=7)], at=NOON)

    assert [title.kind for title in ids] == [Kind.MOVIE, Kind.SHOW]
    assert ids[0].number != ids[1].number
    assert await shelf.find(OutsideIds(tmdb=7), Kind.SHOW) == ids[1]
    with pytest.raises(NoTitleError):
        await shelf.title(TitleId(Kind.SHOW, ids[0].number), EN, None)
    assert await shelf.cards([TitleId(Kind.SHOW, ids[0].number)], EN, None) == {}


def archived(title: str = "Quiet Harbour, The", **said: Any) -> Facts:
    return movie(title, provider="archive", archive="quiet_harbour", original_language="", **said)


@pytest.mark.parametrize("archive_first", [True, False])
async def test_two_providers_make_one_title_and_tmdb_is_believed(shelf, archive_first):
    there = [
        movie(tmdb=7, overview="TMDB's.", poster="tmdb-poster-a.jpg"),
        archived(
            overview="The Archive's.", poster="archive-quiet_harbour", runtime=5000, full=True
        ),
    ]
    ids = await shelf.save(there[::-1] if archive_first else there, at=NOON)

    assert ids[0] == ids[1]
    found = await shelf.title(ids[0], EN, None)
    assert found.card.title == "The Quiet Harbour"
    assert found.card.poster == "tmdb-poster-a.jpg"
    assert found.overview == "TMDB's."
    assert found.runtime == 5000
    assert found.ids == OutsideIds(tmdb=7, archive="quiet_harbour")
    assert await shelf.briefs("tmdb", 10) == [ids[0]]
    assert await shelf.briefs("archive", 10) == []


async def test_an_imdb_id_makes_one_title_of_two_names(shelf):
    title = await put(shelf, movie(tmdb=7, imdb="tt0000007"))

    assert await put(shelf, archived("Silent Port 1080p", imdb="tt0000007")) == title
    assert await put(shelf, archived("Silent Port 1080p", imdb="tt0000007")) == title
    assert (await shelf.title(title, EN, None)).card.title == "The Quiet Harbour"


async def test_two_titles_that_turn_out_to_be_one_are_one_from_then_on(shelf):
    old = await put(shelf, archived("Silent Port 1080p", imdb="tt0000007", runtime=99, full=True))
    await shelf.set_available([old], available=True)
    other = await put(shelf, movie(tmdb=7))
    assert old != other

    assert await put(shelf, movie(tmdb=7, imdb="tt0000007", full=True)) == other

    assert (await shelf.counts()).movies == 1
    found = await shelf.title(old, EN, None)
    assert found == await shelf.title(other, EN, None)
    assert found.ids == OutsideIds(tmdb=7, imdb="tt0000007", archive="quiet_harbour")
    assert (found.card.id, found.runtime, found.card.available) == (other, 99, True)
    assert await shelf.cards([old, other], EN, None) == {old: found.card, other: found.card}
    assert (await shelf.outside([old]))[old] == found.ids
    assert await shelf.find(OutsideIds(archive="quiet_harbour"), Kind.MOVIE) == other
    assert await shelf.search("silent port", locale=EN, limit=None) == []
    assert len((await shelf.browse(Query(), EN)).cards) == 1
    assert await put(shelf, archived("Silent Port 1080p", imdb="tt0000007")) == other


async def test_whoever_knows_of_one_that_moved_on_twice_still_finds_it(shelf):
    first = await put(shelf, archived("Port", imdb="tt0000007"))
    second = await put(shelf, movie("Trakt's", provider="trakt", trakt=3))
    await put(shelf, movie("Trakt's", provider="trakt", trakt=3, imdb="tt0000007"))
    third = await put(shelf, movie(tmdb=7))
    assert await put(shelf, movie(tmdb=7, trakt=3)) == third

    assert (await shelf.counts()).movies == 1
    for title in (first, second, third):
        assert (await shelf.title(title, EN, None)).card.id == third


async def test_of_two_namesakes_in_a_year_none_is_guessed(shelf):
    ids = await shelf.save([movie(tmdb=7), movie(tmdb=8), archived()], at=NOON)

    assert len(set(ids)) == 3


async def test_an_id_that_another_title_has_stays_there(shelf):
    first = await put(shelf, movie(tmdb=7, imdb="tt0000007"))
    second = await put(shelf, movie("Ash", tmdb=8, imdb="tt0000007"))

    assert first != second
    assert (await shelf.outside([first, second]))[second] == OutsideIds(tmdb=8)
    assert await shelf.find(OutsideIds(imdb="tt0000007"), Kind.MOVIE) == first


async def test_what_a_provider_does_not_know_any_more_stays_without_its_id(shelf):
    title = await put(shelf, movie(tmdb=7, **FULL))
    await shelf.mark_gone(title, provider="tmdb", at=NOON)

    found = await shelf.title(title, EN, None)
    assert found.card.title == "The Quiet Harbour"
    assert found.ids == OutsideIds(imdb="tt0000007")
    assert await shelf.find(OutsideIds(tmdb=7), Kind.MOVIE) is None
    assert await shelf.known(Kind.MOVIE, [7]) == {}
    later = NOON + timedelta(days=1)
    assert await shelf.stale("tmdb", Kind.MOVIE, before=later, limit=9) == []
    assert await shelf.briefs("tmdb", 9) == []


async def test_what_returns_is_the_title_that_it_was(shelf):
    title = await put(shelf, movie(tmdb=7, **FULL))
    await shelf.mark_gone(title, provider="tmdb", at=NOON)
    await put(shelf, archived(), at=NOON)
    assert (await shelf.outside([title]))[title].tmdb is None

    assert await put(shelf, movie(tmdb=7, **FULL)) == title

    assert await shelf.known(Kind.MOVIE, [7, 8]) == {7: title}
    later = NOON + timedelta(days=1)
    assert await shelf.stale("tmdb", Kind.MOVIE, before=later, limit=9) == [title]


async def test_what_was_checked_longest_ago_is_stale_first(shelf):
    for number in (1, 2, 3):
        await put(
            shelf,
            movie(f"Film {number}", tmdb=number, full=True),
            at=NOON - timedelta(days=number),
        )
    await put(shelf, movie("Brief", tmdb=4))

    stale = await shelf.stale("tmdb", Kind.MOVIE, before=NOON - timedelta(hours=30), limit=9)

    assert [(await shelf.outside([title]))[title].tmdb for title in stale] == [3, 2]
    assert await shelf.stale("tmdb", Kind.SHOW, before=NOON, limit=9) == []


async def test_the_best_known_of_the_brief_are_asked_for_first(shelf):
    ids = await shelf.save(
        [movie(f"Film {number}", tmdb=number, popularity=number) for number in (1, 3, 2)], at=NOON
    )

    assert await shelf.briefs("tmdb", 2) == [ids[1], ids[2]]


async def test_whoever_has_a_limit_does_not_see_what_is_above_or_unknown(shelf):
    mild, strong, unknown = await shelf.save(
        [
            movie("Mild", tmdb=1, full=True, certifications={"US": "PG"}),
            movie("Strong", tmdb=2, full=True, certifications={"US": "R"}),
            movie("Unknown", tmdb=3),
        ],
        at=NOON,
    )

    assert list(await shelf.cards([mild, strong, unknown], EN, 13)) == [mild]
    assert len(await shelf.cards([mild, strong, unknown], EN, None)) == 3
    assert (await shelf.title(mild, EN, 13)).card.title == "Mild"
    for hidden in (strong, unknown):
        with pytest.raises(NoTitleError):
            await shelf.title(hidden, EN, 13)
    assert (await shelf.title(unknown, EN, None)).card.title == "Unknown"


async def test_a_house_that_moves_has_the_certifications_of_its_new_country(tmp_path):
    facts = movie(tmdb=1, full=True, certifications={"US": "R", "DE": "12"})
    async with open_shelf(tmp_path) as shelf:
        title = await put(shelf, facts)
        assert await shelf.cards([title], EN, 12) == {}
    async with open_shelf(tmp_path, region="DE") as shelf:
        assert list(await shelf.cards([title], EN, 12)) == [title]
        assert (await shelf.title(title, EN, 12)).certification == "12"
    async with open_shelf(tmp_path) as shelf:
        assert await shelf.cards([title], EN, 12) == {}


async def test_what_can_be_played_is_said_on_its_card(shelf):
    title = await put(shelf, movie(tmdb=7))
    await shelf.set_available([title], available=True)
    assert (await shelf.cards([title], EN, None))[title].available

    await put(shelf, movie(tmdb=7, **FULL))
    assert (await shelf.cards([title], EN, None))[title].available

    await shelf.set_available([title, TitleId(Kind.MOVIE, 999)], available=False)
    assert not (await shelf.cards([title], EN, None))[title].available


async def test_genres_are_counted_and_named(shelf):
    await shelf.save_genre_names(
        {"drama": {"en": "Drama", "pt-BR": "Novela"}, "war": {"en": "War", "de": "Krieg"}}
    )
    await shelf.save_genre_names({"drama": {"en": "Plays"}})
    await shelf.save(
        [
            movie("A", tmdb=1, genres=("drama", "war"), certifications={"US": "G"}, full=True),
            movie("B", tmdb=2, genres=("drama",)),
            show("C", tmdb=3, genres=("drama", "film-noir")),
        ],
        at=NOON,
    )

    def told(counts: Sequence[GenreCount]) -> list[tuple[str, int, int]]:
        return [(each.genre.name, each.movies, each.shows) for each in counts]

    assert told(await shelf.genres(EN, None)) == [
        ("Film noir", 0, 1),
        ("Plays", 2, 1),
        ("War", 1, 0),
    ]
    assert told(await shelf.genres(Locale("pt-PT"), 12)) == [("Novela", 1, 0), ("War", 1, 0)]


async def test_an_empty_shelf_has_nothing_and_says_so(shelf):
    assert await shelf.counts() == Counts(movies=0, shows=0, episodes=0)
    assert await shelf.cards([TitleId(Kind.MOVIE, 1)], EN, None) == {}
    assert await shelf.cards([], EN, None) == {}
    assert await shelf.genres(EN, None) == []
    assert await shelf.find(OutsideIds(), Kind.MOVIE) is None
    assert await shelf.save([], at=NOON) == ()
    with pytest.raises(NoTitleError):
        await shelf.title(TitleId(Kind.MOVIE, 999_999_999_999_999), EN, None)


async def test_ids_that_no_database_can_hold_are_nobodys(shelf):
    for ids in (OutsideIds(tmdb=10**30), OutsideIds(imdb="\ud800"), OutsideIds(archive="x\0'--")):
        assert await shelf.find(ids, Kind.MOVIE) is None
    assert await shelf.known(Kind.MOVIE, [10**30, -1]) == {}


async def test_one_that_cannot_be_written_leaves_nothing_of_the_others(shelf):
    with pytest.raises(Exception, match="surrogates"):
        await shelf.save([movie(tmdb=7), also(movie(tmdb=8), status="\ud800")], at=NOON)

    assert (await shelf.counts()).movies == 0
