"""What people watch, told to Trakt; or not, when nobody wants to hear it any more."""

from datetime import timedelta

import pytest

from miauflixd.catalogue.model import Kind, OutsideIds
from miauflixd.catalogue.trakt_model import Watched
from tests.auth_house import EPOCH
from tests.trakt_fake import FakeTrakt
from tests.trakt_house import ANNA, BEN, open_house

FILM = Watched(kind=Kind.MOVIE, ids=OutsideIds(tmdb=603, imdb="tt0133093"))
EPISODE = Watched(kind=Kind.EPISODE, ids=OutsideIds(tmdb=1399), season=1, number=2)
UNKNOWN = Watched(kind=Kind.MOVIE, ids=OutsideIds(archive="a_film"))


@pytest.fixture
def fake():
    return FakeTrakt()


@pytest.fixture
async def house(tmp_path, fake):
    async with open_house(tmp_path, fake) as house:
        await house.link(fake)
        yield house


async def test_what_a_player_does_is_told_in_order(house, fake):
    for action, progress in (("start", 0), ("pause", 40.123456), ("start", 41), ("stop", 97)):
        house.accounts.scrobble(ANNA, action, FILM, progress=progress)
        await house.pauses.pass_by(1)

    ids = {"tmdb": 603, "imdb": "tt0133093"}
    assert fake.told == [
        ("/scrobble/start", {"movie": {"ids": ids}, "progress": 0}),
        ("/scrobble/pause", {"movie": {"ids": ids}, "progress": 40.12}),
        ("/scrobble/start", {"movie": {"ids": ids}, "progress": 41}),
        ("/scrobble/stop", {"movie": {"ids": ids}, "progress": 97}),
    ]


async def test_an_episode_is_told_by_its_show_season_and_number(house, fake):
    house.accounts.scrobble(ANNA, "start", EPISODE, progress=3)
    await house.pauses.pass_by(1)

    said = {"show": {"ids": {"tmdb": 1399}}, "episode": {"season": 1, "number": 2}, "progress": 3}
    assert fake.told == [("/scrobble/start", said)]


async def test_what_was_watched_elsewhere_is_told_as_history(house, fake):
    house.accounts.history_add(ANNA, FILM, at=EPOCH)
    house.accounts.history_add(ANNA, EPISODE, at=EPOCH)
    await house.pauses.pass_by(1)

    (_, film), (path, episode) = fake.told
    at = "2026-03-01T20:15:00.000Z"
    assert path == "/sync/history"
    assert film["movies"] == [{"ids": {"tmdb": 603, "imdb": "tt0133093"}, "watched_at": at}]
    assert episode["shows"][0]["seasons"] == [
        {"number": 1, "episodes": [{"number": 2, "watched_at": at}]}
    ]


async def test_nobody_who_is_not_linked_is_told_of_nor_a_film_without_an_id(house, fake):
    house.accounts.scrobble(BEN, "start", FILM, progress=1)
    house.accounts.scrobble(ANNA, "start", UNKNOWN, progress=1)
    house.accounts.scrobble(
        ANNA, "start", Watched(kind=Kind.EPISODE, ids=OutsideIds(tmdb=1)), progress=1
    )
    await house.pauses.pass_by(60)

    assert fake.told == []


async def test_progress_of_nonsense_is_made_sense_of(house, fake):
    for progress in (float("nan"), float("inf"), -5, 1e9):
        house.accounts.scrobble(ANNA, "start", FILM, progress=progress)
        await house.pauses.pass_by(1)

    assert [body["progress"] for _, body in fake.told] == [0, 0, 0, 100]


async def test_that_trakt_knows_already_is_a_success(house, fake):
    fake.answers["/scrobble/stop"] = [409]
    house.accounts.scrobble(ANNA, "stop", FILM, progress=90)
    house.accounts.scrobble(ANNA, "start", EPISODE, progress=0)
    await house.pauses.pass_by(1)

    assert [path for path, _ in fake.told] == ["/scrobble/start"]


async def test_what_trakt_will_never_take_holds_up_nothing(house, fake):
    refusals = (404, 422, 420, 423, 426, 403)
    for status in refusals:
        fake.answers["/scrobble/stop"] = [status]
        house.accounts.scrobble(ANNA, "stop", FILM, progress=90)
        house.accounts.scrobble(ANNA, "start", EPISODE, progress=0)
        await house.pauses.pass_by(1)

    assert [path for path, _ in fake.told] == ["/scrobble/start"] * len(refusals)
    assert house.accounts.state(ANNA).state == "linked"


async def test_it_is_told_again_when_trakt_was_away_for_a_minute(house, fake):
    fake.answers["/scrobble/stop"] = [503, 502]
    house.accounts.scrobble(ANNA, "stop", FILM, progress=95)
    await house.pauses.pass_by(29)
    assert fake.told == []

    await house.pauses.pass_by(70)

    assert [path for path, _ in fake.told] == ["/scrobble/stop"]


async def test_trakt_is_left_alone_for_as_long_as_it_says(house, fake):
    fake.trouble = "429"  # Retry-After: 40
    house.accounts.scrobble(ANNA, "stop", FILM, progress=95)
    await house.pauses.pass_by(0)
    asked = len(fake.asked)
    await house.pauses.pass_by(39)
    assert len(fake.asked) == asked

    fake.trouble = "none"
    await house.pauses.pass_by(1)
    assert len(fake.told) == 1


async def test_what_was_watched_hours_ago_is_told_as_history_with_its_time(house, fake):
    fake.trouble = "503"
    house.accounts.scrobble(ANNA, "stop", FILM, progress=95)
    await house.pauses.pass_by(3 * 3600)
    fake.trouble = "none"
    await house.pauses.pass_by(900)

    ((path, body),) = fake.told
    assert path == "/sync/history"
    assert body["movies"][0]["watched_at"] == "2026-03-01T20:15:05.000Z"


async def test_what_is_not_true_any_more_is_not_told(house, fake):
    fake.trouble = "503"
    house.accounts.scrobble(ANNA, "start", FILM, progress=5)
    house.accounts.scrobble(ANNA, "stop", EPISODE, progress=20)
    await house.pauses.pass_by(3600)
    fake.trouble = "none"
    await house.pauses.pass_by(900)

    assert fake.told == []


async def test_after_a_day_nothing_is_told(house, fake):
    fake.answers["/scrobble/stop"] = [503] * 9
    fake.answers["/sync/history"] = [503] * 200
    house.accounts.scrobble(ANNA, "stop", FILM, progress=95)
    await house.pauses.pass_by(25 * 3600)
    fake.answers.clear()
    await house.pauses.pass_by(3600)

    assert fake.told == []


async def test_while_trakt_is_away_only_the_last_of_a_start_and_a_pause_waits(house, fake):
    fake.answers["/scrobble/start"] = [503]
    house.accounts.scrobble(ANNA, "start", FILM, progress=1)
    await house.pauses.pass_by(0)
    for progress in range(2, 30):
        house.accounts.scrobble(ANNA, "pause", FILM, progress=progress)
    await house.pauses.pass_by(30)

    assert [(path, body["progress"]) for path, body in fake.told] == [("/scrobble/pause", 29)]


async def test_the_queue_has_an_end(house, fake):
    fake.trouble = "503"
    for number in range(1, 1000):
        film = Watched(kind=Kind.MOVIE, ids=OutsideIds(tmdb=number))
        house.accounts.history_add(ANNA, film, at=EPOCH)
    await house.pauses.pass_by(0)
    fake.trouble = "none"
    await house.pauses.pass_by(60)

    assert len(fake.told) <= 201
    assert fake.told[-1][1]["movies"][0]["ids"] == {"tmdb": 999}


async def test_after_unlinking_nothing_more_is_told(house, fake):
    fake.trouble = "503"
    house.accounts.scrobble(ANNA, "stop", FILM, progress=95)
    await house.pauses.pass_by(0)
    await house.accounts.unlink(ANNA)
    fake.trouble = "none"
    await house.pauses.pass_by(3600)

    assert fake.told == []


async def test_a_broken_link_holds_up_nobody_elses(house, fake):
    await house.link(fake, BEN)  # One account at Trakt: who was linked first is refused now.
    house.accounts.scrobble(ANNA, "stop", FILM, progress=95)
    house.accounts.scrobble(BEN, "stop", EPISODE, progress=95)
    await house.pauses.pass_by(1)

    assert [set(body) & {"movie", "show"} for _, body in fake.told] == [{"show"}]
    assert house.accounts.state(ANNA).state == "broken"
    assert house.accounts.state(BEN).state == "linked"


async def test_a_restart_forgets_what_waited_and_breaks_nothing(tmp_path, fake):
    async with open_house(tmp_path, fake) as house:
        await house.link(fake)
        fake.trouble = "503"
        house.accounts.scrobble(ANNA, "stop", FILM, progress=95)
    fake.trouble = "none"

    async with open_house(tmp_path, fake) as house:
        house.clock.now = EPOCH + timedelta(minutes=1)
        house.accounts.scrobble(ANNA, "start", EPISODE, progress=1)
        await house.pauses.pass_by(1)

    assert [path for path, _ in fake.told] == ["/scrobble/start"]
