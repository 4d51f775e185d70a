"""Accounts with Trakt: linking them, keeping them, reading their lists."""

import asyncio
import logging
import sqlite3
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import msgspec
import pytest

from miauflixd.catalogue.model import Kind
from miauflixd.catalogue.providers.provider import ProviderUnavailableError
from miauflixd.catalogue.providers.trakt_shapes import DeviceCodeAnswer, TokenAnswer
from miauflixd.catalogue.trakt_model import (
    AlreadyLinkedError,
    NotLinkedError,
    StoredLink,
    Tokens,
    TraktOffError,
)
from miauflixd.errors import MiauflixdError, StorageFullError
from miauflixd.vault.sealing import UnsealError
from tests.auth_house import EPOCH, Clock
from tests.trakt_fake import CLIENT_SECRET, FakeTrakt, Trouble, movie, show
from tests.trakt_house import ANNA, BEN, House, open_house

TROUBLES: list[Trouble] = [one for one in get_args(Trouble) if one != "none"]


@pytest.fixture
def fake():
    return FakeTrakt()


@pytest.fixture
async def house(tmp_path, fake):
    async with open_house(tmp_path, fake) as house:
        yield house


async def tokens_of(house: House) -> Tokens:
    tokens = (await house.store.links())[ANNA].tokens
    assert tokens is not None
    return tokens


# --- linking --------------------------------------------------------------------------------------


async def test_an_account_is_linked_once_its_code_is_typed(house, fake):
    assert house.accounts.state(ANNA).state == "unlinked"

    code = await house.accounts.begin(ANNA)

    assert (code.user_code, code.expires_in, code.interval) == ("5055CC52", 600, 5)
    assert code.complete_url == "https://trakt.tv/activate/5055CC52"
    waiting = house.accounts.state(ANNA)
    assert (waiting.state, waiting.since, waiting.code) == ("waiting", EPOCH, code)
    await house.pauses.pass_by(60)
    assert house.accounts.state(ANNA).state == "waiting"

    fake.typed = "yes"
    await house.pauses.pass_by(5)

    linked = house.accounts.state(ANNA)
    assert (linked.state, linked.since, linked.code) == (
        "linked",
        EPOCH + timedelta(seconds=65),
        None,
    )
    assert house.accounts.state(BEN).state == "unlinked"


async def test_what_is_left_of_a_codes_life_is_told(house):
    await house.accounts.begin(ANNA)
    await house.pauses.pass_by(100)

    code = house.accounts.state(ANNA).code
    assert code is not None
    assert code.expires_in == 500
    assert await house.accounts.begin(ANNA) == code


async def test_two_who_begin_at_once_see_the_same_code(house, fake):
    async with asyncio.TaskGroup() as group:
        codes = [group.create_task(house.accounts.begin(ANNA)) for _ in range(2)]

    assert codes[0].result() == codes[1].result()
    assert fake.asked.count("POST /oauth/device/code") == 1


@pytest.mark.parametrize(
    ("typed", "reason"),
    [("no", "refused"), ("expired", "in time"), ("used", "else"), ("unknown", "does not know")],
)
async def test_a_code_that_leads_nowhere_says_why(house, fake, typed, reason):
    await house.accounts.begin(ANNA)
    fake.typed = typed
    await house.pauses.pass_by(5)

    state = house.accounts.state(ANNA)
    assert (state.state, state.code) == ("unlinked", None)
    assert reason in state.reason
    asked = len(fake.asked)
    await house.pauses.pass_by(60)
    assert len(fake.asked) == asked


async def test_a_code_that_nobody_types_ends_with_its_time(house, fake):
    await house.accounts.begin(ANNA)
    await house.pauses.pass_by(700)

    assert house.accounts.state(ANNA).state == "unlinked"
    assert "in time" in house.accounts.state(ANNA).reason
    assert fake.asked.count("POST /oauth/device/token") == 120


async def test_trakt_is_asked_more_slowly_when_it_says_so(house, fake):
    await house.accounts.begin(ANNA)
    fake.typed = "slower"
    await house.pauses.pass_by(5)
    fake.typed = "pending"
    before = len(fake.asked)
    await house.pauses.pass_by(30)

    assert len(fake.asked) - before == 3


async def test_linking_outlives_every_trouble_at_trakt(house, fake):
    await house.accounts.begin(ANNA)
    for trouble in TROUBLES:
        fake.trouble = trouble
        await house.pauses.pass_by(15)
        assert house.accounts.state(ANNA).state == "waiting", trouble

    fake.trouble, fake.typed = "none", "yes"
    await house.pauses.pass_by(60)
    assert house.accounts.state(ANNA).state == "linked"


async def test_a_trakt_in_trouble_begins_nothing(house, fake):
    for trouble in TROUBLES:
        fake.trouble = trouble

        with pytest.raises(ProviderUnavailableError):
            await house.accounts.begin(ANNA)
        assert house.accounts.state(ANNA).state == "unlinked"


async def test_a_code_that_cannot_be_shown_is_none(house, fake):
    sound = dict(fake.code)
    strange: list[dict[str, Any]] = [
        {"verification_url": "javascript:alert(1)"},
        {"verification_url": 'https://trakt.tv/"><script>'},
        {"verification_url": "https://somebody@trakt.tv/activate"},
        {"user_code": "<b>1</b>"},
        {"user_code": ""},
        {"user_code": "A" * 1000},
        {"device_code": "a\r\nX-Evil: 1"},
        {"expires_in": "soon"},
        {"interval": None},
    ]
    for fields in strange:
        fake.code = sound | fields

        with pytest.raises(ProviderUnavailableError):
            await house.accounts.begin(ANNA)


async def test_an_interval_of_nonsense_neither_floods_trakt_nor_waits_for_ever(house, fake):
    for interval, expires_in in [(0, 1e300), (-5, 600), (1e9, 0), (0.001, -1)]:
        fake.code |= {"interval": interval, "expires_in": expires_in}

        code = await house.accounts.begin(ANNA)

        assert 1 <= code.interval <= 60
        assert 60 <= code.expires_in <= 3600
        await house.accounts.unlink(ANNA)


async def test_who_is_linked_unlinks_before_linking_another(house, fake):
    await house.link(fake)

    with pytest.raises(AlreadyLinkedError):
        await house.accounts.begin(ANNA)


async def test_without_an_application_it_is_off(tmp_path, fake):
    async with open_house(tmp_path, fake, on=False) as house:
        assert house.accounts.state(ANNA).state == "off"
        with pytest.raises(TraktOffError):
            await house.accounts.begin(ANNA)
        with pytest.raises(NotLinkedError):
            await house.accounts.lists(ANNA)
        await house.accounts.unlink(ANNA)
        await house.pauses.pass_by(3600)
    assert fake.asked == []


# --- unlinking ------------------------------------------------------------------------------------


async def test_unlinking_forgets_here_and_at_trakt(house, fake):
    await house.link(fake)
    await house.accounts.unlink(ANNA)
    await house.pauses.pass_by(0)

    assert house.accounts.state(ANNA).state == "unlinked"
    assert await house.store.links() == {}
    assert fake.revoked == ["access-1"]


async def test_unlinking_does_not_wait_for_a_trakt_that_is_away(house, fake):
    await house.link(fake)
    fake.trouble = "503"
    await house.accounts.unlink(ANNA)
    await house.pauses.pass_by(0)
    assert await house.store.links() == {}
    fake.trouble = "none"
    await house.pauses.pass_by(30)

    assert fake.revoked == ["access-1"]


async def test_who_unlinks_while_waiting_is_not_linked_by_what_comes_late(house, fake):
    await house.accounts.begin(ANNA)
    await house.accounts.unlink(ANNA)
    fake.typed = "yes"
    await house.pauses.pass_by(60)

    assert house.accounts.state(ANNA).state == "unlinked"
    assert await house.store.links() == {}


async def test_unlinking_what_is_not_linked_does_no_harm(house):
    await house.accounts.unlink(ANNA)

    assert house.accounts.state(ANNA).state == "unlinked"


# --- tokens ---------------------------------------------------------------------------------------


async def test_tokens_are_renewed_at_half_of_their_life(house, fake):
    await house.link(fake)
    await house.pauses.pass_by(11 * 3600)
    assert (await tokens_of(house)).access.reveal() == "access-1"

    await house.pauses.pass_by(2 * 3600)

    assert (await tokens_of(house)).access.reveal() == "access-2"
    assert house.accounts.state(ANNA).state == "linked"
    assert fake.asked.count("POST /oauth/token") == 1


async def test_a_week_goes_by_without_losing_the_account(house, fake):
    await house.link(fake)
    await house.pauses.pass_by(7 * 24 * 3600)

    assert house.accounts.state(ANNA).state == "linked"
    assert 12 <= fake.asked.count("POST /oauth/token") <= 14


async def test_a_link_outlives_a_restart(tmp_path, fake):
    clock = Clock()
    async with open_house(tmp_path, fake, clock=clock) as house:
        await house.link(fake)
    clock.pass_by(days=3)

    async with open_house(tmp_path, fake, clock=clock) as house:
        assert house.accounts.state(ANNA).state == "linked"
        assert (await tokens_of(house)).access.reveal() == "access-2"
        await house.accounts.lists(ANNA)


async def test_many_who_want_to_ask_at_once_renew_once(tmp_path, fake):
    clock = Clock()
    async with open_house(tmp_path, fake, clock=clock) as house:
        await house.link(fake)
        clock.pass_by(hours=13)
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(house.accounts.lists(ANNA))

    assert fake.asked.count("POST /oauth/token") == 1


async def test_a_new_pair_is_on_the_disk_before_it_is_used(tmp_path, fake):
    clock = Clock()
    async with open_house(tmp_path, fake, clock=clock) as house:
        await house.link(fake)
        clock.pass_by(hours=13)
        seen: list[str] = []
        save = house.store.save

        async def watched(link: StoredLink) -> None:
            seen.append(f"saved when asked for {fake.asked[-1]}")
            await save(link)

        house.store.save = watched  # type: ignore[method-assign]  # as a spy, that saves as well
        await house.accounts.lists(ANNA)

    assert seen == ["saved when asked for POST /oauth/token"]
    assert fake.asked.index("POST /oauth/token") < fake.asked.index("GET /users/me/watchlist")


async def test_who_gives_up_waiting_does_not_lose_the_new_pair(tmp_path, fake):
    clock = Clock()
    async with open_house(tmp_path, fake, clock=clock) as house:
        await house.link(fake)
        clock.pass_by(hours=13)
        asking = asyncio.ensure_future(house.accounts.lists(ANNA))  # noqa: TID251 -- to give it up
        while "POST /oauth/token" not in fake.asked:
            await asyncio.sleep(0)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        await house.pauses.pass_by(0)

        assert (await tokens_of(house)).access.reveal() == "access-2"


async def test_a_refresh_that_is_refused_breaks_the_link_and_says_so(house, fake, caplog):
    await house.link(fake)
    fake.refresh = "somebody else's"
    await house.pauses.pass_by(13 * 3600)

    broken = house.accounts.state(ANNA)
    assert (broken.state, broken.reason) == (
        "broken",
        "Trakt does not accept this account any more",
    )
    assert broken.since > EPOCH + timedelta(hours=12)
    assert (await house.store.links())[ANNA].tokens is None
    with pytest.raises(NotLinkedError):
        await house.accounts.lists(ANNA)
    asked = len(fake.asked)
    await house.pauses.pass_by(24 * 3600)
    assert len(fake.asked) == asked
    assert caplog.messages.count("Somebody's account with Trakt is not accepted any more") == 1


async def test_a_broken_link_is_broken_after_a_restart_and_can_be_linked_again(tmp_path, fake):
    async with open_house(tmp_path, fake) as house:
        await house.link(fake)
        fake.refresh = None
        await house.pauses.pass_by(13 * 3600)

    async with open_house(tmp_path, fake) as house:
        assert house.accounts.state(ANNA).state == "broken"
        await house.link(fake)
        assert await house.accounts.lists(ANNA)


async def test_a_400_breaks_it_as_well(house, fake):
    await house.link(fake)
    fake.answers["/oauth/token"] = [400]
    await house.pauses.pass_by(13 * 3600)

    assert house.accounts.state(ANNA).state == "broken"


async def test_a_mistyped_secret_breaks_nobodys_link(house, fake):
    await house.link(fake)
    fake.secret = "another"
    await house.pauses.pass_by(13 * 3600)
    assert house.accounts.state(ANNA).state == "linked"

    fake.secret = CLIENT_SECRET
    await house.pauses.pass_by(3600)
    assert (await tokens_of(house)).access.reveal() == "access-2"


async def test_trouble_with_a_refresh_is_tried_again(house, fake):
    await house.link(fake)
    await house.pauses.pass_by(11 * 3600)
    for trouble in TROUBLES:
        fake.trouble = trouble
        await house.pauses.pass_by(3600)
        assert house.accounts.state(ANNA).state == "linked", trouble

    fake.trouble = "none"
    await house.pauses.pass_by(3600)
    assert (await tokens_of(house)).access.reveal() == "access-2"


async def test_the_last_pair_serves_for_as_long_as_it_lives(tmp_path, fake):
    clock = Clock()
    async with open_house(tmp_path, fake, clock=clock) as house:
        await house.link(fake)
        fake.answers["/oauth/token"] = [503] * 99
        clock.pass_by(hours=20)
        assert await house.accounts.lists(ANNA)

        clock.pass_by(hours=5)
        with pytest.raises(ProviderUnavailableError):
            await house.accounts.lists(ANNA)


async def test_a_token_that_trakt_does_not_take_any_more_is_replaced_before_its_time(house, fake):
    await house.link(fake)
    fake.access = set()

    assert await house.accounts.lists(ANNA)

    assert (await tokens_of(house)).access.reveal() == "access-2"


async def test_an_account_that_was_disconnected_at_trakt_is_broken(house, fake):
    await house.link(fake)
    fake.access, fake.refresh = set(), None

    with pytest.raises(ProviderUnavailableError):
        await house.accounts.lists(ANNA)

    assert house.accounts.state(ANNA).state == "broken"


async def test_a_life_of_nonsense_does_not_make_us_ask_all_the_time(house, fake):
    await house.link(fake)
    for expires_in in (0, -1, 1e300, 1):
        fake.expires_in = expires_in
        fake.access = set()
        before = fake.asked.count("POST /oauth/token")
        await house.accounts.lists(ANNA)
        await house.pauses.pass_by(3600)

        assert house.accounts.state(ANNA).state == "linked"
        assert fake.asked.count("POST /oauth/token") - before <= 5


async def test_a_pair_that_cannot_be_saved_is_saved_later(house, fake, caplog):
    await house.link(fake)
    save = house.store.save

    async def full(_link: StoredLink) -> None:
        raise StorageFullError("There is no room")

    house.store.save = full
    await house.pauses.pass_by(13 * 3600)
    assert house.accounts.state(ANNA).state == "linked"
    house.store.save = save
    await house.pauses.pass_by(900)

    assert (await tokens_of(house)).access.reveal() == "access-2"


async def test_who_unlinks_while_a_pair_is_renewed_is_unlinked(tmp_path, fake):
    clock = Clock()
    async with open_house(tmp_path, fake, clock=clock) as house:
        await house.link(fake)
        clock.pass_by(hours=13)
        async with asyncio.TaskGroup() as group:
            group.create_task(refused(house.accounts.lists(ANNA)))
            while "POST /oauth/token" not in fake.asked:
                await asyncio.sleep(0)
            await house.accounts.unlink(ANNA)
        await house.pauses.pass_by(0)

        assert house.accounts.state(ANNA).state == "unlinked"
        assert await house.store.links() == {}
        assert fake.access == set()


async def test_stopping_waits_for_a_pair_that_is_on_its_way(tmp_path, fake):
    clock = Clock()
    fake.held["/oauth/token"] = asyncio.Event()
    async with asyncio.TaskGroup() as group, open_house(tmp_path, fake, clock=clock) as house:
        await house.link(fake)
        clock.pass_by(hours=13)
        group.create_task(refused(house.accounts.lists(ANNA)))
        while "POST /oauth/token" not in fake.asked:
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.05, fake.held["/oauth/token"].set)

    async with open_house(tmp_path, fake, clock=clock) as house:
        assert (await tokens_of(house)).access.reveal() == "access-2"
        assert fake.asked.count("POST /oauth/token") == 1


async def refused(asking: Any) -> None:
    with suppress(MiauflixdError):
        await asking


# --- what is on the disk, and in the log ----------------------------------------------------------


async def test_no_token_is_readable_on_the_disk(tmp_path, fake):
    async with open_house(tmp_path, fake) as house:
        await house.link(fake)

    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert b"access-1" not in content
        assert b"refresh-1" not in content


async def test_tokens_do_not_open_in_another_users_row(tmp_path, fake):
    async with open_house(tmp_path, fake) as house:
        await house.link(fake)
    with sqlite3.connect(tmp_path / "house.sqlite3") as database:
        database.execute("update trakt_links set user_id = 'ben'")
    database.close()

    with pytest.raises(UnsealError):
        async with open_house(tmp_path, fake):
            pass


async def test_no_token_or_code_is_logged(house, fake, caplog):
    caplog.set_level(logging.DEBUG)
    await house.link(fake)
    await house.pauses.pass_by(11 * 3600)
    for trouble in TROUBLES:
        fake.trouble = trouble
        await house.pauses.pass_by(3600)
    fake.trouble = "none"
    await house.accounts.unlink(ANNA)
    await house.pauses.pass_by(60)

    ours = [one.getMessage() for one in caplog.records if one.name.startswith("miauflixd")]
    assert ours
    for secret in ("access-", "refresh-", "5055CC52", "d1", CLIENT_SECRET, "anna"):
        assert not [one for one in ours if secret in one]


def test_tokens_are_fit_for_a_header():
    for token in ("", "a b", "a\r\nb", "\u00e9", "x" * 5000):
        said = {"access_token": token, "refresh_token": "r", "expires_in": 1}
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(said, TokenAnswer)
    assert msgspec.convert(FakeTrakt().code, DeviceCodeAnswer).user_code == "5055CC52"


# --- lists ----------------------------------------------------------------------------------------


async def test_lists_are_the_watchlist_ones_own_and_those_that_one_likes(house, fake):
    fake.watchlist = [movie(1), show(2), {"type": "person", "person": {"name": "Somebody"}}]
    fake.lists = [{"name": "Rainy <b>days</b>", "ids": {"trakt": 7, "slug": "x"}, "item_count": 1}]
    fake.liked = [{"type": "list", "list": {"name": "Classics", "ids": {"trakt": "8"}}}]
    fake.items = {"7": [movie(3)], "8": [show(4)]}
    await house.link(fake)

    watchlist, own, liked = await house.accounts.lists(ANNA)

    assert [(one.kind, one.text.title, one.year) for one in watchlist.items] == [
        (Kind.MOVIE, "Film 1", 2000),
        (Kind.SHOW, "Series 2", 2010),
    ]
    first = watchlist.items[0].ids
    assert (first.trakt, first.tmdb, first.imdb) == (1, 1, "tt0000001")
    assert (own.id, own.title, own.whose) == ("7", "Rainy days", "own")
    assert (liked.id, liked.whose, liked.items[0].ids.tvdb) == ("8", "liked", 4)


async def test_a_long_list_is_read_in_pages_and_not_without_end(house, fake):
    fake.watchlist = [movie(number) for number in range(1, 900)]
    await house.link(fake)

    (watchlist,) = await house.accounts.lists(ANNA)

    assert len(watchlist.items) == 500
    assert fake.asked.count("GET /users/me/watchlist") == 5


async def test_a_season_or_an_episode_stands_for_its_show_once(house, fake):
    fake.watchlist = [
        {"type": "season", "season": {"number": 1}, **_show(2)},
        {"type": "episode", "episode": {"season": 1, "number": 2}, **_show(2)},
    ]
    await house.link(fake)

    (watchlist,) = await house.accounts.lists(ANNA)

    assert [one.ids.trakt for one in watchlist.items] == [2]


def _show(number: int) -> dict[str, Any]:
    return {"show": show(number)["show"]}


async def test_entries_of_nonsense_spoil_no_others(house, fake):
    fake.watchlist = [
        None,
        7,
        "movie",
        {"movie": None},
        {"movie": {"title": "No ids"}},
        {"movie": {"title": "", "ids": {"trakt": 9}}},
        {"movie": {"title": ["x"], "ids": {"trakt": 9}}},
        movie(1, year="0", ids={"trakt": "1", "tmdb": -4, "imdb": "nm1", "tvdb": 2**80}),
        movie(2, title="\u202eevil\x00"),
    ]
    fake.lists = [None, {"name": "x"}, {"name": None, "ids": {"trakt": 1}}, {"ids": []}]
    fake.liked = [{"type": "list"}, {"list": {"name": "Gone", "ids": {"trakt": 99}}}]
    await house.link(fake)

    (watchlist,) = await house.accounts.lists(ANNA)

    assert [(one.text.title, one.year) for one in watchlist.items] == [
        ("Film 1", None),
        ("evil", 2000),
    ]
    assert replace(watchlist.items[0].ids, trakt=None) == replace(
        watchlist.items[0].ids, trakt=None, tmdb=None, imdb=None, tvdb=None
    )


async def test_a_trakt_that_limits_an_account_leaves_it_linked(house, fake):
    await house.link(fake)
    for status in (420, 423, 426, 403, 500, 429):
        fake.answers["/users/me/watchlist"] = [status]

        with pytest.raises(ProviderUnavailableError):
            await house.accounts.lists(ANNA)
        assert house.accounts.state(ANNA).state == "linked"


async def test_ones_lists_are_not_anothers(house, fake):
    await house.link(fake)

    with pytest.raises(NotLinkedError):
        await house.accounts.lists(BEN)
