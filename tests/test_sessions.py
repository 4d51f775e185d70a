"""Sessions: signing in, staying signed in, and what ends it."""

import asyncio
import sqlite3
import threading
from collections.abc import Coroutine
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from miauflixd.auth.model import (
    AuditType,
    InvalidTokenError,
    Role,
    SessionId,
    TokenExpiredError,
    Tokens,
    User,
    Viewer,
)
from miauflixd.auth.session_store import Ending, RefreshToken, Verdict
from miauflixd.auth.sessions import RACE, NoSessionError, judge
from miauflixd.auth.settings import AuthSettings
from miauflixd.auth.upkeep import Upkeep
from miauflixd.auth.viewers import SessionSupersededError
from miauflixd.errors import UnauthenticatedError, UnavailableError
from miauflixd.runtime.remembered import Remembered
from miauflixd.runtime.services import running
from tests.auth_house import EPOCH, HOME, Clock, FakeAccounts, House, open_house

# Thousands of cases each, beside another process and with their coverage taken.
pytestmark = pytest.mark.timeout(60)

ELSEWHERE = "203.0.113.9"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "house.sqlite3"


@pytest.fixture
async def house(path):
    async with open_house(path) as house:
        yield house


@pytest.fixture
def anna(house):
    return house.accounts.add("anna")


async def sign_in(house: House, user: User, name: str = "TV", **more: str) -> Tokens:
    return await house.sessions.open(user, name=name, address=HOME, **more)


async def is_in(house: House, tokens: Tokens) -> bool:
    try:
        await house.sessions.authenticate(tokens.access)
    except UnauthenticatedError:
        return False
    return True


# --- signing in -----------------------------------------------------------------------------------


async def test_who_signs_in_is_known_by_the_access_token(house, anna):
    tokens = await sign_in(house, anna)

    assert await house.sessions.authenticate(tokens.access) == Viewer(
        user_id=anna.id, role=Role.USER, session_id=tokens.session.id, max_rating="PG-13"
    )
    assert (tokens.access_expires_in, tokens.refresh_expires_in) == (900, 7 * 86400)
    assert tokens.user == anna
    assert (tokens.session.name, tokens.session.address) == ("TV", HOME)


async def test_two_sign_ins_have_nothing_in_common(house, anna):
    first, second = await sign_in(house, anna), await sign_in(house, anna)

    assert first.session.id != second.session.id
    assert first.refresh != second.refresh
    assert first.access != second.access
    claims = [house.access.verify(tokens.access) for tokens in (first, second)]
    assert claims[0].token_id != claims[1].token_id


async def test_the_name_of_a_device_is_one_short_line(house, anna):
    assert (await sign_in(house, anna, "TV\n\x1b[31m\u202e" + "x" * 500)).session.name == (
        "TV[31m" + "x" * 74
    )
    assert (await sign_in(house, anna, " \n")).session.name == "A device"


async def test_a_refresh_token_is_not_an_access_token_nor_the_other_way_round(house, anna):
    tokens = await sign_in(house, anna)

    with pytest.raises(InvalidTokenError):
        await house.sessions.authenticate(tokens.refresh)
    with pytest.raises(InvalidTokenError):
        await house.sessions.refresh(tokens.access, address=HOME)


async def test_somebody_disabled_while_the_password_was_checked_does_not_get_in(house, anna):
    house.accounts.change(anna, disabled=True)

    with pytest.raises(InvalidTokenError):
        await sign_in(house, anna)


async def test_no_token_is_in_the_database_nor_its_log(house, anna, path):
    tokens = await sign_in(house, anna)
    following = await house.sessions.refresh(tokens.refresh, address=HOME)

    content = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())

    for token in (tokens, following):
        assert token.refresh.encode() not in content
        assert bytes.fromhex(token.refresh[4:]) not in content
        assert token.access.encode() not in content


# --- staying signed in ----------------------------------------------------------------------------


async def test_a_refresh_token_is_exchanged_for_the_next_pair(house, anna):
    first = await sign_in(house, anna)
    house.clock.pass_by(minutes=15)
    with pytest.raises(TokenExpiredError):
        await house.sessions.authenticate(first.access)

    second = await house.sessions.refresh(first.refresh, address=ELSEWHERE)

    assert second.refresh != first.refresh
    assert second.session.id == first.session.id
    assert (await house.sessions.authenticate(second.access)).session_id == first.session.id
    assert second.session.address == ELSEWHERE


async def test_a_rotated_token_shown_again_ends_the_session_and_is_written_down(house, anna):
    first = await sign_in(house, anna)
    second = await house.sessions.refresh(first.refresh, address=HOME)
    third = await house.sessions.refresh(second.refresh, address=HOME)
    other = await sign_in(house, anna)
    house.clock.pass_by(seconds=11)

    with pytest.raises(InvalidTokenError, match="a second time"):
        await house.sessions.refresh(first.refresh, address=ELSEWHERE)

    for token in (first, second, third):
        with pytest.raises(InvalidTokenError):
            await house.sessions.refresh(token.refresh, address=HOME)
        assert not await is_in(house, token)
    assert await is_in(house, other)
    assert house.diary.notes == [
        (
            AuditType.REFRESH_REUSED,
            {"user_id": anna.id, "address": ELSEWHERE, "session_id": first.session.id},
        )
    ]


async def test_a_lost_race_gets_the_very_same_answer(house, anna):
    first = await sign_in(house, anna)
    house.clock.pass_by(minutes=14, microseconds=900_000)
    second = await house.sessions.refresh(first.refresh, address=HOME)
    house.clock.pass_by(seconds=10)

    again = await house.sessions.refresh(first.refresh, address=HOME)

    assert again == second
    assert await is_in(house, again)
    assert house.diary.notes == []


async def test_a_lost_race_gets_the_same_answer_also_from_a_daemon_that_was_started_anew(path):
    clock, accounts = Clock(), FakeAccounts()
    anna = accounts.add("anna")
    async with open_house(path, clock=clock, accounts=accounts) as house:
        first = await sign_in(house, anna)
        second = await house.sessions.refresh(first.refresh, address=HOME)

    clock.pass_by(seconds=5)
    async with open_house(path, clock=clock, accounts=accounts) as house:
        assert await house.sessions.refresh(first.refresh, address=HOME) == second
        assert await is_in(house, second)


async def test_of_many_who_exchange_the_same_token_at_once_all_get_the_same(house, anna):
    first = await sign_in(house, anna)

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(house.sessions.refresh(first.refresh, address=HOME))
            for _ in range(20)
        ]

    answers = {(task.result().access, task.result().refresh) for task in tasks}
    assert len(answers) == 1
    house.clock.pass_by(minutes=1)
    [(_, refresh)] = answers
    assert (await house.sessions.refresh(refresh, address=HOME)).session.id == first.session.id


async def test_a_device_that_is_not_used_for_a_week_signs_in_again(house, anna):
    tokens = await sign_in(house, anna)
    house.clock.pass_by(days=7)

    with pytest.raises(TokenExpiredError):
        await house.sessions.refresh(tokens.refresh, address=HOME)
    assert await house.sessions.of_user(anna.id) == []


async def test_a_chain_ends_after_thirty_days_however_much_it_is_used(house, anna):
    tokens = await sign_in(house, anna)
    for _ in range(5):
        house.clock.pass_by(days=6, hours=12)
        if house.clock() - EPOCH < timedelta(days=30):
            tokens = await house.sessions.refresh(tokens.refresh, address=HOME)
    assert tokens.refresh_expires_in == 4 * 86400

    house.clock.now = EPOCH + timedelta(days=30, minutes=-5)
    tokens = await house.sessions.refresh(tokens.refresh, address=HOME)
    assert (tokens.refresh_expires_in, tokens.access_expires_in) == (300, 300)

    house.clock.pass_by(minutes=5)
    with pytest.raises(TokenExpiredError):
        await house.sessions.refresh(tokens.refresh, address=HOME)
    with pytest.raises(TokenExpiredError):
        await house.sessions.authenticate(tokens.access)


@pytest.mark.parametrize(
    "token", ["", "mfr_", "mfr_" + "0" * 64, "mfr_" + "g" * 64, "\udcff", "x" * 10**6, "mfr_\0"]
)
async def test_what_is_no_refresh_token_is_refused(house, token):
    with pytest.raises(InvalidTokenError):
        await house.sessions.refresh(token, address=HOME)


async def test_other_lifetimes_are_those_of_what_is_given_out_from_then_on(house, anna):
    old = await sign_in(house, anna)
    house.sessions.configure(AuthSettings(access_lifetime=60, refresh_lifetime=3600))

    new = await sign_in(house, anna)

    assert (new.access_expires_in, new.refresh_expires_in) == (60, 3600)
    house.clock.pass_by(minutes=5)
    assert await is_in(house, old)
    assert not await is_in(house, new)


@pytest.mark.parametrize(
    ("rotated", "expires", "ending", "verdict"),
    [
        (None, 1, None, Verdict.ROTATE),
        (None, 0, None, Verdict.EXPIRED),
        (None, 1, Ending.SIGNED_OUT, Verdict.OVER),
        (0, 1, None, Verdict.REPEAT),
        (-10, 1, None, Verdict.REPEAT),
        (-10.001, 1, None, Verdict.REUSED),
        (-10.001, -1, None, Verdict.REUSED),
        (10, 1, None, Verdict.REPEAT),
        (10.001, 1, None, Verdict.REUSED),
        (-1, 1, Ending.REUSED, Verdict.OVER),
    ],
)
def test_what_becomes_of_a_refresh_token(rotated, expires, ending, verdict):
    token = RefreshToken(
        rotated_at=None if rotated is None else EPOCH + timedelta(seconds=rotated),
        expires_at=EPOCH + timedelta(seconds=expires),
    )

    assert judge(token, ending, now=EPOCH) is verdict


# --- what ends it ---------------------------------------------------------------------------------


async def test_logging_out_takes_effect_at_once(house, anna):
    tokens, other = await sign_in(house, anna), await sign_in(house, anna)
    assert await is_in(house, tokens)

    await house.sessions.log_out(access_token=tokens.access, address=HOME)

    assert not await is_in(house, tokens)
    with pytest.raises(InvalidTokenError):
        await house.sessions.refresh(tokens.refresh, address=HOME)
    assert await is_in(house, other)
    assert house.diary.kinds() == [AuditType.SIGNED_OUT]


async def test_one_can_log_out_with_tokens_that_have_expired_or_with_none(house, anna):
    tokens = await sign_in(house, anna)
    house.clock.pass_by(hours=1)

    await house.sessions.log_out(address=HOME)
    await house.sessions.log_out(access_token="x", refresh_token="y", address=HOME)
    assert len(await house.sessions.of_user(anna.id)) == 1
    await house.sessions.log_out(access_token=tokens.access, address=HOME)
    assert await house.sessions.of_user(anna.id) == []

    tokens = await sign_in(house, anna)
    await house.sessions.log_out(refresh_token=tokens.refresh, address=HOME)
    await house.sessions.log_out(refresh_token=tokens.refresh, address=HOME)
    assert await house.sessions.of_user(anna.id) == []
    assert house.diary.kinds() == [AuditType.SIGNED_OUT] * 2


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": Role.ADMIN}, {}])
async def test_a_new_version_of_the_user_ends_the_sessions_from_before_at_once(house, anna, change):
    tokens = await sign_in(house, anna)
    assert await is_in(house, tokens)

    house.accounts.change(anna, **change)

    with pytest.raises(InvalidTokenError):
        await house.sessions.authenticate(tokens.access)
    with pytest.raises(InvalidTokenError):
        await house.sessions.refresh(tokens.refresh, address=HOME)
    assert await house.sessions.of_user(anna.id) == []


async def test_a_user_who_is_deleted_is_out_at_once(house, anna):
    tokens = await sign_in(house, anna)
    assert await is_in(house, tokens)

    del house.accounts.users[anna.id]

    assert not await is_in(house, tokens)
    with pytest.raises(InvalidTokenError, match="not in use"):
        await house.sessions.refresh(tokens.refresh, address=HOME)


async def test_what_changes_without_a_new_version_is_seen_at_once(house, anna):
    tokens = await sign_in(house, anna)
    await house.sessions.authenticate(tokens.access)

    house.accounts.users[anna.id] = replace(anna, max_rating="G")

    assert (await house.sessions.authenticate(tokens.access)).max_rating == "G"


async def test_the_session_that_changed_the_password_goes_on_and_the_others_do_not(house, anna):
    here, there = await sign_in(house, anna), await sign_in(house, anna)

    anna = house.accounts.change(anna)
    await house.sessions.carry_over(here.session.id, anna)

    assert await is_in(house, here)
    assert not await is_in(house, there)
    following = await house.sessions.refresh(here.refresh, address=HOME)
    assert await is_in(house, following)
    assert [session.id for session in await house.sessions.of_user(anna.id)] == [here.session.id]


async def test_a_token_from_after_the_copy_that_was_put_back_is_refused(house, anna):
    later = house.accounts.change(anna)
    tokens = await sign_in(house, later)
    house.accounts.users[anna.id] = anna
    await house.sessions.carry_over(tokens.session.id, anna)

    assert not await is_in(house, tokens)


# --- devices --------------------------------------------------------------------------------------


async def test_own_sessions_are_listed_with_when_and_where_they_were_last_used(house, anna):
    phone, tv = await sign_in(house, anna, "Phone"), await sign_in(house, anna, "TV")
    await sign_in(house, house.accounts.add("ben"), "Ben's")
    house.clock.pass_by(seconds=30)
    await house.sessions.authenticate(phone.access, address=ELSEWHERE)

    listed = await house.sessions.of_user(anna.id)

    assert [(session.name, session.address) for session in listed] == [
        ("Phone", ELSEWHERE),
        ("TV", HOME),
    ]
    assert listed[0].used_at == EPOCH + timedelta(seconds=30)
    assert listed[1] == tv.session


async def test_the_last_use_is_written_once_a_minute_and_survives_a_restart(path):
    clock, accounts = Clock(), FakeAccounts()
    anna = accounts.add("anna")
    async with open_house(path, clock=clock, accounts=accounts) as house:
        tokens = await sign_in(house, anna)
        clock.pass_by(minutes=5)
        await house.sessions.authenticate(tokens.access, address=ELSEWHERE)
        await house.sessions.tidy()
        house.listen()
        for _ in range(100):
            await house.sessions.authenticate(tokens.access, address=ELSEWHERE)
        assert house.queries == []

    async with open_house(path, clock=clock, accounts=accounts) as house:
        [session] = await house.sessions.of_user(anna.id)
    assert session.used_at == EPOCH + timedelta(minutes=5)
    assert session.address == ELSEWHERE


async def test_one_can_end_ones_own_sessions_and_nobody_elses(house, anna):
    ben = house.accounts.add("ben")
    hers, his = await sign_in(house, anna), await sign_in(house, ben)

    for session_id in (his.session.id, SessionId("nothing")):
        with pytest.raises(NoSessionError):
            await house.sessions.end(session_id, user_id=anna.id, address=HOME)
    await house.sessions.end(hers.session.id, user_id=anna.id, address=HOME)

    assert not await is_in(house, hers)
    assert await is_in(house, his)
    with pytest.raises(NoSessionError):
        await house.sessions.end(hers.session.id, user_id=anna.id, address=HOME)


async def test_one_device_too_many_ends_the_one_that_was_not_used_for_longest_and_tells_it(path):
    async with open_house(path, settings=AuthSettings(max_devices=3)) as house:
        anna, ben = house.accounts.add("anna"), house.accounts.add("ben")
        his = await sign_in(house, ben)
        devices = []
        for name in ("first", "second", "third"):
            devices.append(await sign_in(house, anna, name))
            house.clock.pass_by(minutes=1)
        devices[0] = await house.sessions.refresh(devices[0].refresh, address=HOME)
        assert [await is_in(house, device) for device in devices] == [True] * 3

        fourth = await sign_in(house, anna, "fourth")

        first, second, third = devices
        for device in (fourth, first, third, his):
            assert await is_in(house, device)
        with pytest.raises(SessionSupersededError, match="another device"):
            await house.sessions.authenticate(second.access)
        house.clock.pass_by(days=3)
        with pytest.raises(SessionSupersededError):
            await house.sessions.refresh(second.refresh, address=HOME)
        assert house.diary.kinds() == [AuditType.SESSION_ENDED]
        assert house.diary.notes[0][1]["ending"] == "superseded"


async def test_sessions_that_are_over_do_not_count_as_devices(path):
    async with open_house(path, settings=AuthSettings(max_devices=2)) as house:
        anna = house.accounts.add("anna")
        first = await sign_in(house, anna)
        for _ in range(5):
            other = await sign_in(house, anna)
            await house.sessions.log_out(access_token=other.access, address=HOME)

        assert await is_in(house, first)


async def test_many_profiles_on_one_television_do_not_disturb_each_other(house, anna):
    ben = house.accounts.add("ben")
    hers = await sign_in(house, anna, "TV", device_id="living-room")
    his = await sign_in(house, ben, "TV", device_id="living-room")
    another = await sign_in(house, anna, "TV")

    for tokens in (hers, his, another):
        assert await is_in(house, tokens)


async def test_signing_in_again_on_the_same_device_replaces_its_session(house, anna):
    before = await sign_in(house, anna, "TV", device_id="living-room")
    assert await is_in(house, before)

    after = await sign_in(house, anna, "TV", device_id="living-room")

    assert not await is_in(house, before)
    assert await is_in(house, after)


async def test_what_is_over_is_forgotten_in_time(house, anna, path):
    for _ in range(130):
        await sign_in(house, anna)
    with closing(sqlite3.connect(path)) as other:
        count = "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM refresh_tokens)"
        assert other.execute(count).fetchone() == (120, 120)
        house.clock.pass_by(days=7, seconds=1)
        await house.sessions.tidy()
        assert other.execute(count).fetchone() == (0, 0)


# --- from memory ----------------------------------------------------------------------------------


async def test_a_request_does_not_ask_the_database(house, anna):
    tokens = await sign_in(house, anna)
    await house.sessions.authenticate(tokens.access)
    house.listen()

    for _ in range(100):
        await house.sessions.authenticate(tokens.access, address=HOME)

    assert house.queries == []


async def test_tokens_of_a_session_that_is_over_do_not_ask_it_either(house, anna):
    tokens = await sign_in(house, anna)
    await house.sessions.log_out(access_token=tokens.access, address=HOME)
    assert not await is_in(house, tokens)
    house.listen()

    for _ in range(100):
        assert not await is_in(house, tokens)

    assert house.queries == []


async def test_an_ending_whose_request_is_cancelled_half_way_leaves_nobody_in(house, anna):
    tokens = await sign_in(house, anna)
    assert await is_in(house, tokens)
    at_work, go_on = asyncio.Event(), threading.Event()
    loop, run = asyncio.get_running_loop(), house.database.run

    async def slowly(function, /, *args, **kwargs):
        def slow():
            if "SessionStore.end" in function.__qualname__:
                loop.call_soon_threadsafe(at_work.set)
                go_on.wait()
            return function(*args, **kwargs)

        return await run(slow)

    house.database.run = slowly
    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            house.sessions.end(tokens.session.id, user_id=anna.id, address=HOME)
        )
        await at_work.wait()
        task.cancel()
        checking = group.create_task(is_in(house, tokens))
        await asyncio.sleep(0)
        go_on.set()

    assert task.cancelled()
    assert not checking.result()
    assert not await is_in(house, tokens)


async def test_what_was_read_before_a_change_is_not_remembered_after_it():
    values, read, go_on = {"key": "old"}, asyncio.Event(), asyncio.Event()

    async def load(key):
        value = values[key]
        read.set()
        await go_on.wait()
        return value

    remembered = Remembered(load, size=10)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(remembered.get("key"))
        await read.wait()
        values["key"] = "new"
        remembered.forget(["key"])
        go_on.set()

    assert task.result() == "new"
    assert await remembered.get("key") == "new"


async def test_only_so_much_is_remembered_and_what_is_used_stays():
    loaded = []

    async def load(key):
        loaded.append(key)
        return key

    remembered = Remembered(load, size=3)
    for key in (0, 1, 2, 0, 3, 0, 4, 0):
        await remembered.get(key)

    assert loaded == [0, 1, 2, 3, 4]
    assert len(remembered._values) == 3


async def test_upkeep_goes_on_after_a_time_that_failed():
    tidied = asyncio.Semaphore(0)

    class Failing:
        async def tidy(self):
            raise UnavailableError("not now")

    class Tidy:
        async def tidy(self):
            tidied.release()

    async with running("upkeep", Upkeep([Failing(), Tidy()], every=0).run):
        await tidied.acquire()
        await tidied.acquire()


# --- the chain, whatever happens to it ------------------------------------------------------------


class Chain(RuleBasedStateMachine):
    """A device and a thief exchange tokens of one session, in any order and at any pace.

    The model knows which tokens were exchanged, and when. It says what must come of showing one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.accounts = FakeAccounts()
        self.anna = self.accounts.add("anna")
        self.folder = TemporaryDirectory()
        self.open()
        tokens = self.run(self.house.sessions.open(self.anna, name="TV", address=HOME))
        self.tokens = [tokens.refresh]
        self.answers: dict[str, tuple[str, str]] = {}
        self.exchanged_at: dict[str, datetime] = {}
        self.issued_at = {tokens.refresh: self.clock()}
        self.is_alive = True

    def run(self, awaitable: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(awaitable)

    def open(self) -> None:
        self.context = open_house(
            Path(self.folder.name) / "house.sqlite3", clock=self.clock, accounts=self.accounts
        )
        self.house = self.run(self.context.__aenter__())

    def close(self) -> None:
        self.run(self.context.__aexit__(None, None, None))

    @rule(days=st.sampled_from([1, 3, 7]))
    def wait(self, days):
        self.clock.pass_by(days=days)

    @rule()
    def restart(self):
        self.close()
        self.open()

    @rule()
    def tidy(self):
        self.run(self.house.sessions.tidy())

    @precondition(lambda self: self.is_alive and len(self.tokens) > 3)
    @rule()
    def log_out(self):
        self.run(self.house.sessions.log_out(refresh_token=self.tokens[0], address=HOME))
        self.is_alive = False

    @rule(
        seconds=st.sampled_from([0, 0.1, 5, 9.9, 10, 10.1, 60, 600]),
        back=st.sampled_from([0, 0, 1, 1, 2, 5]),
        at_once=st.integers(1, 3),
    )
    def show(self, seconds, back, at_once):
        self.clock.pass_by(seconds=seconds)
        token = self.tokens[-1 - min(back, len(self.tokens) - 1)]
        expected = self.expected(token)
        outcomes = self.run(self.shown(token, at_once))
        # However many showed it at once, it is the same for all, but for the one who ends it.
        for outcome in outcomes:
            assert (outcome is not None) == expected
        answers = {outcome for outcome in outcomes if outcome is not None}
        assert len(answers) <= 1
        for answer in answers:
            assert self.answers.setdefault(token, answer) == answer
            access, successor = answer
            assert self.run(self.house.sessions.authenticate(access)).user_id == self.anna.id
            if successor not in self.tokens:
                self.tokens.append(successor)
                self.exchanged_at[token] = self.clock()
                self.issued_at[successor] = self.clock()

    def expected(self, token: str) -> bool:
        """Return whether this token gets tokens now, and end the model's session if it must end."""
        if not self.is_alive:
            return False
        last_expires = min(
            self.issued_at[self.tokens[-1]] + timedelta(days=7), EPOCH + timedelta(days=30)
        )
        if token in self.exchanged_at:
            if self.clock() - self.exchanged_at[token] <= RACE:
                return True
            self.is_alive = False
            return False
        return self.clock() < last_expires

    async def shown(self, token: str, at_once: int) -> list[tuple[str, str] | None]:
        async def one() -> tuple[str, str] | None:
            try:
                tokens = await self.house.sessions.refresh(token, address=HOME)
            except UnauthenticatedError:
                return None
            return tokens.access, tokens.refresh

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one()) for _ in range(at_once)]
        return [task.result() for task in tasks]

    @invariant()
    def at_most_one_token_is_not_exchanged(self):
        with closing(sqlite3.connect(Path(self.folder.name) / "house.sqlite3")) as other:
            query = "SELECT count(*) FROM refresh_tokens WHERE rotated_at IS NULL"
            assert other.execute(query).fetchone()[0] <= 1

    @invariant()
    def nobody_is_in_whose_session_is_over(self):
        for access, _ in self.answers.values():
            if not self.is_alive:
                try:
                    self.run(self.house.sessions.authenticate(access))
                except UnauthenticatedError:
                    continue
                raise AssertionError("somebody is still in")

    def teardown(self):
        self.close()
        self.runner.close()
        self.folder.cleanup()


TestChain = Chain.TestCase
TestChain.settings = settings(
    max_examples=40,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
