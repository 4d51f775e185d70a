"""The Internet Archive: what of it is shown, and what comes of its habits."""

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.catalogue.model import ImageKey, Kind, ListSlug, OutsideIds, Text
from miauflixd.catalogue.providers import archive_reviewed
from miauflixd.catalogue.providers.archive import WIDER, Archive
from miauflixd.catalogue.providers.archive_images import image_key, image_url
from miauflixd.catalogue.providers.archive_reviewed import Row
from miauflixd.catalogue.providers.archive_rule import IDENTIFIER, Reviewed, titled
from miauflixd.catalogue.providers.archive_shapes import FIELDS, item_of, seconds
from miauflixd.catalogue.providers.pace import Pace
from miauflixd.catalogue.providers.polite import PoliteApi
from miauflixd.catalogue.providers.provider import (
    GoneError,
    Provider,
    ProviderOffError,
    ProviderUnavailableError,
)
from miauflixd.catalogue.settings import CatalogueSettings
from miauflixd.egress.clients import host_client
from miauflixd.runtime.priority import Priority
from tests.archive_fake import FakeArchive, Trouble, serving
from tests.auth_house import Clock

CC = "http://creativecommons.org/licenses/publicdomain/"
SILENT = ListSlug("archive-silent")
OPEN = ListSlug("archive-open")
ROUTINE = Priority.ROUTINE

REVIEWED = (
    Row(
        slug=SILENT,
        title="Silent films",
        items=(
            Reviewed(identifier="vampire_1922", title="The Vampire", year=1922, why="term"),
            Reviewed(
                identifier="tramp-1915.", title="The Tramp", year=1915, why="term", imdb="tt0000001"
            ),
            Reviewed(identifier="zombies", title="Zömbies at Night", year=1968, why="no_notice"),
            Reviewed(identifier="laughing", title="Laughing", year=1910, why="term"),
        ),
    ),
    Row(
        slug=OPEN,
        title="Open movies",
        items=(Reviewed(identifier="Rabbit", title="Rabbit", year=2008, why="licence"),),
    ),
)


@pytest.fixture
def fake():
    fake = FakeArchive()
    fake.add("vampire_1922", downloads=50)
    fake.add("tramp-1915.", year="1915", downloads="900")
    fake.add("zombies", year=1968, licenseurl=CC, collection="feature_films")
    fake.add("laughing", downloads=None)
    fake.add("Rabbit", year="2008", licenseurl=CC, collection=["opensource_movies"])
    fake.add("stranger", title="The Stranger")
    return fake


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def opened(fake, clock):
    """Open the Archive as the daemon does, with what a test changes about it."""
    async with AsyncExitStack() as stack:
        base = await stack.enter_async_context(serving(fake))
        http = await stack.enter_async_context(host_client())

        async def open_it(*, wanted: bool = True, wider: bool = False) -> Archive:
            api = await stack.enter_async_context(
                PoliteApi.open(
                    http=http,
                    name="archive",
                    company="The Internet Archive",
                    base=base,
                    official="https://archive.org",
                    pace=Pace(company="The Internet Archive", per_second=1e4, burst=9, at_once=5),
                    clock=clock,
                    refusal="",
                    delays=(),
                )
            )
            return Archive(
                api=api,
                wanted=wanted,
                wider=wider,
                clock=clock,
                monotonic=clock.seconds,
                rows=REVIEWED,
            )

        yield open_it


@pytest.fixture
async def archive(opened):
    archive: Provider = await opened()
    return archive


async def shown(archive, slug: ListSlug = SILENT) -> list[str]:
    return [facts.ids.archive for facts in (await archive.page(slug, 1)).items]


async def details(archive, identifier: str, kind: Kind = Kind.MOVIE) -> Any:
    return await archive.details(kind, OutsideIds(archive=identifier), priority=ROUTINE)


# --- what is shown --------------------------------------------------------------------------------


async def test_a_row_shows_what_was_looked_at_the_most_watched_first(archive):
    assert [one.slug for one in archive.lists()] == [SILENT, OPEN]
    assert await shown(archive) == ["zombies", "tramp-1915.", "vampire_1922", "laughing"]


async def test_who_looked_at_it_knows_its_title_year_and_imdb_id_best(archive, fake):
    fake.add("tramp-1915.", title="CHAPLIN full movie HD!!!", year="2011")

    (tramp,) = [
        one for one in (await archive.page(SILENT, 1)).items if one.ids.archive == "tramp-1915."
    ]

    assert tramp.text.title == "The Tramp"
    assert (tramp.year, tramp.ids.imdb) == (1915, "tt0000001")
    assert not tramp.full


async def test_one_request_asks_for_a_whole_row(archive, fake):
    await archive.page(SILENT, 1)

    assert len(fake.asked) == 1


async def test_a_page_is_not_asked_for_again_within_a_day(archive, fake, clock):
    first = await archive.page(SILENT, 1)
    clock.pass_by(hours=23)
    assert await archive.page(SILENT, 1) == first
    assert len(fake.asked) == 1

    clock.pass_by(hours=2)
    await archive.page(SILENT, 1)
    assert len(fake.asked) == 2


async def test_an_open_movie_needs_its_makers_licence_and_no_collection(archive, fake):
    assert await shown(archive, OPEN) == ["Rabbit"]

    fake.add("Rabbit", year="1908", collection=["feature_films"])
    with pytest.raises(GoneError):
        await details(archive, "Rabbit")


@pytest.mark.parametrize(
    "fields",
    [
        {"licenseurl": "", "collection": "feature_films"},
        {"licenseurl": CC, "collection": ["opensource_movies", "moviesandfilms"]},
        {"licenseurl": "https://creativecommons.org.example/licenses/by/4.0/"},
        {"licenseurl": "https://example.org/?https://creativecommons.org/licenses/by/4.0/"},
        {"licenseurl": CC, "collection": ["feature_films", "InLibrary"]},
        {"licenseurl": CC, "collection": ["feature_films", "stream_only"]},
        {"licenseurl": CC, "access-restricted-item": "true"},
        {"licenseurl": CC, "mediatype": "texts"},
    ],
    ids=str,
)
async def test_what_was_looked_at_is_not_shown_when_one_of_the_conditions_fails(
    archive, fake, fields
):
    fake.add("zombies", **({"year": 1968, "collection": "feature_films"} | fields))

    assert "zombies" not in await shown(archive)
    with pytest.raises(GoneError):
        await details(archive, "zombies")


async def test_what_nobody_has_looked_at_is_shown_only_when_the_settings_want_it(opened, fake):
    narrow, wide = await opened(), await opened(wider=True)

    with pytest.raises(GoneError):
        await details(narrow, "stranger")
    with pytest.raises(GoneError):
        await narrow.page(WIDER, 1)
    assert (await details(wide, "stranger")).text == Text(title="The Stranger")
    assert "stranger" in await shown(wide, WIDER)


async def test_even_then_licence_or_year_and_a_collection_are_needed(opened, fake):
    archive = await opened(wider=True)
    fake.add("young", year="1990")
    fake.add("young_and_free", year="1990", licenseurl=CC)
    fake.add("upload", collection=["opensource_movies"])
    fake.add("lent", collection=["feature_films", "inlibrary"])

    assert {"young", "upload", "lent"}.isdisjoint(await shown(archive, WIDER))
    assert "young_and_free" in await shown(archive, WIDER)


async def test_a_film_becomes_free_with_the_year(opened, fake, clock):
    archive = await opened(wider=True)
    fake.add("young", year="1931")  # The clock stands in 2026: free until 1930.
    with pytest.raises(GoneError):
        await details(archive, "young")

    clock.pass_by(days=365)

    assert (await details(archive, "young")).year == 1931


async def test_what_is_wider_comes_in_pages(opened, fake):
    archive = await opened(wider=True)
    for number in range(120):
        fake.add(f"film_{number:03}", downloads=10_000 - number)

    first, second, third = [await archive.page(WIDER, number) for number in (1, 2, 3)]

    assert (first.pages, len(first.items), len(second.items)) == (3, 50, 50)
    everything = [one.ids.archive for page in (first, second, third) for one in page.items]
    assert len(everything) == len(set(everything)) >= 124
    assert (await archive.page(WIDER, 5)).items == ()


# --- details --------------------------------------------------------------------------------------


async def test_details_say_all_that_makes_sense(archive, fake):
    fake.add(
        "zombies",
        year="1968",
        licenseurl=CC,
        collection="feature_films",
        description=["<p>They <b>come</b>.</p>", "And\x00 stay.<script>"],
        creator=["Somebody", "<i>Else</i>"],
        subject="horror; Zombies; sci-fi",
        language="eng",
        runtime="1:35:20",
        avg_rating="4.5",
        num_reviews="12",
        **{"external-identifier": ["urn:upc:1", "urn:imdb:tt0063350"]},
    )

    facts = await details(archive, "zombies")

    assert facts.full
    assert facts.text == Text(title="Zömbies at Night", overview="They come.\nAnd stay.")
    assert (facts.year, facts.runtime, facts.locale) == (1968, 5720, "en")
    assert (facts.rating, facts.votes) == (9.0, 12)
    assert facts.genres == ("horror", "science-fiction")
    assert facts.ids == OutsideIds(archive="zombies", imdb="tt0063350")
    assert [one.name for one in facts.credits] == ["Somebody", "Else"]
    assert facts.poster == "archive-zombies"


async def test_an_item_that_is_not_there_is_gone(archive, fake):
    for identifier in ("no_such", "no_suchs", "../search", "..", "", "a" * 101):
        with pytest.raises(GoneError):
            await details(archive, identifier)
    assert list(fake.asked) == ["no_such", "no_suchs"]


async def test_what_the_archive_has_taken_down_or_does_not_hand_out_is_gone(archive, fake):
    fake.dark.add("zombies")
    fake.nodownload.add("laughing")

    for identifier in ("zombies", "laughing"):
        with pytest.raises(GoneError):
            await details(archive, identifier)


async def test_it_knows_no_shows(archive, fake):
    with pytest.raises(GoneError):
        await details(archive, "zombies", kind=Kind.SHOW)
    assert await archive.search("zombies", kind=Kind.SHOW) == ()
    assert fake.asked == []


async def test_another_item_than_was_asked_for_is_not_shown_in_its_place(archive, fake):
    fake.items["zombies"]["identifier"] = "tramp-1915."

    with pytest.raises(GoneError):
        await details(archive, "zombies")


# --- searching ------------------------------------------------------------------------------------


async def test_a_film_is_found_by_the_beginnings_of_its_words(archive, fake):
    for typed in ("Zombie", "ZÖMB", "night zom", "Zömbies at Night"):
        assert [one.ids.archive for one in await archive.search(typed)] == ["zombies"]
        # What somebody has typed stays here.
        assert typed not in fake.asked[-1]


async def test_words_that_fit_nothing_ask_nobody(archive, fake):
    for typed in ("", "   ", '") OR *:*', "\x00", "\ud800", "no such film", "a" * 10_000):
        assert await archive.search(typed) == ()
    assert fake.asked == []


async def test_the_wider_archive_is_searched_by_title(opened, fake):
    archive = await opened(wider=True)

    assert [one.ids.archive for one in await archive.search("The stranger?")] == ["stranger"]
    assert fake.asked[-1].endswith(" AND title:(the AND stranger)")


@given(st.text(max_size=60))
def test_nothing_that_is_typed_is_an_operator(typed):
    question = titled(typed)

    if question is not None:
        words = question.removeprefix("title:(").removesuffix(")").split(" AND ")
        assert all(word.isalnum() and word not in {"OR", "NOT", "TO", "AND"} for word in words)


def test_ten_thousand_letters_make_a_short_question():
    assert len(titled("word " * 2000) or "") < 200


# --- its habits, and what goes wrong --------------------------------------------------------------


async def test_results_that_are_cut_off_do_not_empty_a_row(archive, fake, clock):
    await archive.page(SILENT, 1)
    clock.pass_by(days=2)
    fake.trouble = "cut off"

    with pytest.raises(ProviderUnavailableError, match="left out most"):
        await archive.page(SILENT, 1)


async def test_nor_does_an_empty_answer_the_first_time(archive, fake):
    fake.trouble = "empty"

    for _ in range(5):
        with pytest.raises(ProviderUnavailableError):
            await archive.page(SILENT, 1)


async def test_a_row_that_stays_short_is_believed_in_the_end(archive, fake, clock):
    await archive.page(SILENT, 1)
    clock.pass_by(days=2)
    for identifier in ("zombies", "laughing"):
        del fake.items[identifier]

    for _ in range(2):
        with pytest.raises(ProviderUnavailableError):
            await archive.page(SILENT, 1)

    assert await shown(archive) == ["tramp-1915.", "vampire_1922"]


async def test_a_short_answer_that_comes_first_is_asked_for_again_soon(archive, fake):
    fake.trouble = "cut off"
    assert len(await shown(archive)) == 1
    fake.trouble = "none"

    assert len(await shown(archive)) == 4


TROUBLES: list[Trouble] = [
    one for one in get_args(Trouble) if one not in ("none", "cut off", "empty")
]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_every_trouble_is_one_kind_of_error_and_ends(archive, fake, trouble):
    fake.trouble = trouble

    for ask in (archive.page(SILENT, 1), archive.search("zombies")):
        with pytest.raises(ProviderUnavailableError):
            await ask
    fake.trouble = "none"
    if trouble != "429":  # It is left alone for as long as it has asked for.
        assert len(await shown(archive)) == 4
        assert archive.state().condition == "ok"


async def test_an_item_of_nonsense_spoils_no_other(archive, fake):
    fake.add("laughing", title=[], year={"a": 1}, description=[[["x"]]], subject=7)
    fake.add("vampire_1922", year=["1922", 3], runtime=["x"], collection=["silent_films", 4, None])
    fake.add("zombies", year=True, avg_rating="NaN", licenseurl=[CC], collection="feature_films")

    assert set(await shown(archive)) == {"tramp-1915.", "vampire_1922", "zombies"}


async def test_an_endless_description_becomes_one_that_can_be_shown(archive, fake):
    fake.add("vampire_1922", description="<p>" + "gore " * 200_000, title="\u202ex" * 5000)

    facts = await details(archive, "vampire_1922")

    assert len(facts.text.overview) <= 10_000
    assert "<" not in facts.text.overview


async def test_its_state_says_whether_it_answers(archive, fake, caplog):
    caplog.set_level(logging.INFO)
    assert archive.state().condition == "unknown"
    assert (await archive.check()).condition == "ok"

    fake.trouble = "html"
    for _ in range(4):
        await archive.check()

    state = archive.state()
    assert state.condition == "failing"
    assert state.reason
    assert "zombies" not in caplog.text


async def test_it_is_not_asked_when_the_settings_do_not_want_it(opened, fake):
    archive = await opened(wanted=False)

    assert archive.lists() == ()
    assert (await archive.check()).condition == "off"
    for ask in (archive.page(SILENT, 1), archive.search("x"), details(archive, "zombies")):
        with pytest.raises(ProviderOffError):
            await ask
    assert fake.asked == []


async def test_two_who_want_the_same_row_ask_once(archive, fake):
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(archive.page(SILENT, 1))

    assert len(fake.asked) == 1


# --- small things ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("1:35:20", 5720),
        ("95:20", 5720),
        ("0:07:30", 450),
        ("01:35:20.5", 5720),
        ("95 min", 5700),
        ("95 minutes", 5700),
        ("1 hr 35 min", 5700),
        ("1h35m", 5700),
        ("90 sec.", 90),
        ("5720", 5720),
        (5720, 5720),
        ("5720.4", 5720),
        ("0", None),
        ("99:99:99:99", None),
        ("999:00:00", None),
        ("about an hour", None),
        (-5, None),
        (1e300, None),
        (True, None),
        ([], None),
        ("", None),
    ],
)
def test_a_runtime_is_read_however_it_is_written(said, meant):
    assert seconds(said) == meant


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {"identifier": st.just("a"), "title": st.just("A")},
        optional=dict.fromkeys({*FIELDS} - {"identifier", "title"}, ANYTHING),
    )
)
def test_whatever_an_item_holds_it_is_read(values):
    item = item_of(values)

    assert item is not None
    assert item.rating is None or 0 <= item.rating <= 10
    assert item.downloads >= 0


def test_an_image_has_an_address_at_the_archive_and_nowhere_else():
    key = image_key("night_of_the_living_dead")

    assert key == "archive-night_of_the_living_dead"
    assert image_url("https://archive.org/", key) == (
        "https://archive.org/services/img/night_of_the_living_dead"
    )
    for other in ("tmdb-poster-a.jpg", "archive-", "archive-..", "archive-a/b", "archive-a?b"):
        assert image_url("https://archive.org", ImageKey(other)) is None
    assert image_key("a/../b") is None


def test_what_comes_with_this_version_is_sound():
    rows = archive_reviewed.rows()
    items = [item for row in rows for item in row.items]

    assert len(archive_reviewed.by_identifier(rows)) == len(items) >= 60
    assert all(IDENTIFIER.match(item.identifier) for item in items)
    assert all(1890 <= item.year <= 2025 and item.title for item in items)
    # So that what is free by its age was so when it was looked at.
    assert all(item.year <= 1930 for item in items if item.why == "term")
    imdb = [item.imdb for item in items if item.imdb]
    assert len(imdb) == len(set(imdb))


async def test_a_fresh_install_shows_silent_films_without_any_key(fake):
    for row in archive_reviewed.rows():
        for item in row.items:
            fake.add(item.identifier, year=str(item.year))

    async with serving(fake) as base, host_client() as http:
        settings = CatalogueSettings(archive_url=base)
        async with Archive.open(http=http, settings=settings, clock=Clock()) as archive:
            assert len(await shown(archive)) > 50


def test_a_reason_that_nobody_knows_is_a_mistake_in_the_list(tmp_path):
    path = tmp_path / "items.json"
    path.write_text(
        '[{"slug":"a","title":"A","items":[{"identifier":"a","title":"A","year":1,"why":"x"}]}]'
    )

    with pytest.raises(msgspec.ValidationError):
        archive_reviewed.rows(path)
