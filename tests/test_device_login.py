"""Signing in on a television with a telephone, and guessing at that."""

import asyncio
import re
import xml.etree.ElementTree as ET

import pytest

from miauflixd.auth.device_login import (
    AccessDeniedError,
    AuthorizationPendingError,
    ExpiredDeviceCodeError,
    SlowDownError,
    StartedLogin,
    UnknownUserCodeError,
    qr_svg,
    verification_uri_complete,
)
from miauflixd.auth.model import AuditType, InvalidTokenError, Tokens, User
from miauflixd.errors import RateLimitedError
from tests.auth_house import HOME, House, open_house

SOFA = "192.0.2.20"
ELSEWHERE = "203.0.113.9"


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path / "house.sqlite3") as house:
        yield house


@pytest.fixture
def anna(house):
    return house.accounts.add("anna")


def start(house: House, address: str = HOME) -> StartedLogin:
    return house.devices.start(name="TV", address=address)


def approve(house: House, user_code: str, user: User, address: str = SOFA) -> str:
    return house.devices.decide(user_code, approve=True, user=user, address=address)


async def poll(house: House, started: StartedLogin) -> Tokens:
    return await house.devices.poll(started.device_code, address=HOME)


async def test_a_television_is_signed_in_as_who_types_its_code(house, anna):
    started = start(house)
    with pytest.raises(AuthorizationPendingError):
        await poll(house, started)

    assert approve(house, started.user_code, anna) == "TV"

    tokens = await poll(house, started)
    viewer = await house.sessions.authenticate(tokens.access)
    assert viewer.user_id == anna.id
    assert (tokens.session.name, tokens.session.address) == ("TV", HOME)
    assert house.diary.notes == [(AuditType.DEVICE_APPROVED, {"user_id": anna.id, "address": SOFA})]


async def test_codes_are_easy_to_read_and_hard_to_guess(house):
    codes = [start(house, f"192.0.2.{number % 100}") for number in range(500)]

    assert all(
        re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", code.user_code)
        for code in codes
    )
    assert len({code.user_code for code in codes}) == 500
    assert len({code.device_code for code in codes}) == 500
    assert all(len(code.device_code) >= 43 for code in codes)
    assert (codes[0].expires_in, codes[0].interval) == (600, 5)


@pytest.mark.parametrize("spelling", ["{0}", " {0} ", "{1}", "{2}", "{3}"])
async def test_a_code_may_be_typed_as_one_likes(house, anna, spelling):
    started = start(house)
    code = started.user_code

    approve(
        house,
        spelling.format(code, code.replace("-", ""), code.lower(), " ".join(code)),
        anna,
    )

    assert (await poll(house, started)).user == anna


async def test_a_device_that_is_refused_is_told_so_once(house, anna):
    started = start(house)

    house.devices.decide(started.user_code, approve=False, user=anna, address=SOFA)

    with pytest.raises(AccessDeniedError):
        await poll(house, started)
    with pytest.raises(ExpiredDeviceCodeError):
        await poll(house, started)
    assert house.diary.kinds() == [AuditType.DEVICE_DENIED]


async def test_tokens_are_there_to_be_had_once(house, anna):
    started = start(house)
    approve(house, started.user_code, anna)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(counted(house, started)) for _ in range(10)]

    assert sum(task.result() for task in tasks) == 1
    assert len(await house.sessions.of_user(anna.id)) == 1


async def counted(house: House, started: StartedLogin) -> bool:
    try:
        await poll(house, started)
    except ExpiredDeviceCodeError:
        return False
    return True


async def test_a_code_is_decided_upon_once(house, anna):
    started = start(house)
    house.devices.decide(started.user_code, approve=False, user=anna, address=SOFA)

    with pytest.raises(UnknownUserCodeError):
        approve(house, started.user_code, anna)
    with pytest.raises(AccessDeniedError):
        await poll(house, started)


async def test_codes_expire_after_ten_minutes_also_when_somebody_said_yes(house, anna):
    typed, forgotten = start(house), start(house)
    approve(house, typed.user_code, anna)
    house.clock.pass_by(seconds=600)

    for started in (typed, forgotten):
        with pytest.raises(ExpiredDeviceCodeError):
            await poll(house, started)
    with pytest.raises(UnknownUserCodeError):
        approve(house, forgotten.user_code, anna)
    assert house.devices._logins == {}
    assert house.devices._by_user_code == {}


async def test_asking_too_often_makes_it_five_seconds_longer_each_time(house):
    started = start(house)
    with pytest.raises(AuthorizationPendingError):
        await poll(house, started)

    for seconds, outcome in [
        (5, AuthorizationPendingError),
        (4.7, AuthorizationPendingError),  # the network was quicker this time
        (4, SlowDownError),
        (5, SlowDownError),
        (10, SlowDownError),
        (20, AuthorizationPendingError),
        (19, SlowDownError),
        (25, AuthorizationPendingError),
    ]:
        house.clock.pass_by(seconds=seconds)
        with pytest.raises(outcome):
            await poll(house, started)


async def test_who_asked_too_often_still_gets_the_tokens(house, anna):
    started = start(house)
    for _ in range(5):
        with pytest.raises((AuthorizationPendingError, SlowDownError)):
            await poll(house, started)

    approve(house, started.user_code, anna)

    assert (await poll(house, started)).user == anna


@pytest.mark.parametrize("code", ["", "x", "\udcff", "é" * 50, "A" * 100_000])
async def test_an_unknown_device_code_has_expired(house, code):
    with pytest.raises(ExpiredDeviceCodeError):
        await house.devices.poll(code, address=HOME)


@pytest.mark.parametrize("change", [{"disabled": True}, {}])
async def test_a_yes_is_worth_nothing_when_its_user_has_been_locked_out_since(house, anna, change):
    started = start(house)
    approve(house, started.user_code, anna)

    house.accounts.change(anna, **change)

    with pytest.raises(InvalidTokenError):
        await poll(house, started)
    assert await house.sessions.of_user(anna.id) == []


async def test_guessing_codes_ends_after_ten_wrong_ones(house, anna):
    started = start(house)
    for _ in range(10):
        with pytest.raises(UnknownUserCodeError):
            approve(house, "BBBB-BBBB", anna)

    with pytest.raises(RateLimitedError) as refusal:
        approve(house, started.user_code, anna)

    assert refusal.value.retry_after == 900
    # Neither from elsewhere, nor as somebody else from the same place.
    with pytest.raises(RateLimitedError):
        approve(house, started.user_code, anna, ELSEWHERE)
    ben = house.accounts.add("ben")
    with pytest.raises(RateLimitedError):
        approve(house, started.user_code, ben)
    approve(house, started.user_code, ben, ELSEWHERE)


async def test_wrong_codes_are_forgotten_after_a_while(house, anna):
    for _ in range(10):
        with pytest.raises(UnknownUserCodeError):
            approve(house, "", anna)
        house.clock.pass_by(seconds=60)

    with pytest.raises(RateLimitedError) as refusal:
        approve(house, "", anna)
    assert refusal.value.retry_after == 300
    house.clock.pass_by(seconds=300)

    started = start(house)
    approve(house, started.user_code, anna)


async def test_right_codes_do_not_count_as_guesses(house, anna):
    for _ in range(30):
        approve(house, start(house).user_code, anna)


async def test_the_count_of_wrong_codes_needs_only_so_much_memory(house):
    for number in range(3000):
        with pytest.raises(UnknownUserCodeError):
            approve(house, "", house.accounts.add(f"user{number}"), f"address {number}")

    assert len(house.devices._wrong._times) == 1000


async def test_a_flood_from_one_address_only_pushes_out_its_own(house, anna):
    ours = start(house)
    own = [start(house, ELSEWHERE) for _ in range(100)]

    assert len(house.devices._logins) == 11
    with pytest.raises(ExpiredDeviceCodeError):
        await house.devices.poll(own[0].device_code, address=ELSEWHERE)
    approve(house, ours.user_code, anna)
    assert (await poll(house, ours)).user == anna


async def test_a_flood_from_everywhere_fills_up_and_leaves_those_who_wait_alone(house, anna):
    ours = start(house)
    house.clock.pass_by(seconds=100)
    for number in range(999):
        start(house, f"address {number}")

    with pytest.raises(RateLimitedError) as refusal:
        start(house, "one more")

    assert refusal.value.retry_after == 500
    assert len(house.devices._by_user_code) == 1000
    approve(house, ours.user_code, anna)
    assert (await poll(house, ours)).user == anna
    house.clock.pass_by(seconds=600)
    start(house, "one more")
    assert len(house.devices._logins) == 1


def test_the_address_in_the_qr_code_says_the_code_too():
    assert (
        verification_uri_complete("https://tv.example/link", "BCDF-GHJK")
        == "https://tv.example/link?code=BCDF-GHJK"
    )


def test_a_qr_code_is_a_picture_that_fits_into_a_page():
    picture = qr_svg("https://tv.example/link?code=BCDF-GHJK")

    root = ET.fromstring(picture)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("viewBox")
    assert picture.startswith("<svg")
    # A strict content security policy lets neither of them through.
    assert "style=" not in picture
    assert "<script" not in picture
    assert picture != qr_svg("https://tv.example/link?code=BCDF-GHJL")
