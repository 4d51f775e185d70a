"""Who comes in, who does not, and that nobody is left outside for good."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.auth.accounts import Accounts
from miauflixd.auth.audit import Audit
from miauflixd.auth.audit_store import AuditStore
from miauflixd.auth.lockout import Lockout
from miauflixd.auth.model import (
    Actor,
    AlreadySetUpError,
    AuditType,
    EmailTakenError,
    InvalidCredentialsError,
    InvalidSetupCodeError,
    InvalidUserError,
    LastAdminError,
    NewUser,
    NoUserError,
    PasswordRejectedError,
    Profile,
    Role,
    User,
    UserChanges,
    UserId,
    WrongPasswordError,
)
from miauflixd.auth.names import email_key
from miauflixd.auth.passwords import Cost, Passwords
from miauflixd.auth.setup_code import SetupCode
from miauflixd.auth.user_store import StoredUser, UserStore
from miauflixd.database.database import Database
from miauflixd.errors import MiauflixdError, RateLimitedError

CHEAP = Cost(memory=8, passes=1)
ANNA = "anna@example.org"
BEN = "ben@example.org"
GOOD = "kettle orbit walnut"
BETTER = "seven quiet herons"
HOME = "192.168.1.7"
HOTEL = "203.0.113.9"
CLI = Actor()


@dataclass
class Clock:
    now: datetime = datetime(2026, 3, 1, 20, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()


@dataclass
class House:
    """All that the root builds for accounts, on a database of its own."""

    accounts: Accounts
    setup_code: SetupCode
    audit: Audit
    store: UserStore
    clock: Clock = field(default_factory=Clock)

    async def add(self, email: str, role: Role = Role.USER) -> User:
        new = NewUser(email=email, password=GOOD, display_name="Somebody", role=role)
        return await self.accounts.create(new, actor=CLI)

    async def sign_in(self, email: str, password: str = GOOD, address: str = HOTEL) -> User:
        return await self.accounts.sign_in(email=email, password=password, address=address)

    async def set_up(self, code: str, email: str = ANNA, address: str = HOTEL) -> User:
        return await self.accounts.setup(
            code=code, email=email, password=GOOD, display_name="Anna", address=address
        )

    async def hash_of(self, user_id: UserId) -> str:
        stored = await self.store.find(user_id)
        assert stored is not None
        return stored.password_hash

    async def noted(self) -> list[AuditType]:
        """Return what was noted, the earliest first."""
        page = await self.audit.page(limit=1000)
        return [entry.event.type for entry in reversed(page.entries)]


@asynccontextmanager
async def open_house(path: Path, cost: Cost = CHEAP) -> AsyncIterator[House]:
    clock = Clock()
    async with Database.open(path) as database:
        with Passwords.open(cost) as passwords:
            audit = Audit(store=AuditStore(database=database), clock=clock)
            store = UserStore(database=database, clock=clock)
            accounts = Accounts(
                store=store,
                passwords=passwords,
                lockout=Lockout(clock=clock.seconds),
                audit=audit,
            )
            yield House(accounts, SetupCode(store=store), audit, store, clock)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "house.sqlite3"


@pytest.fixture
async def house(path):
    async with open_house(path) as opened:
        yield opened


@pytest.fixture
async def anna(house):
    return await house.add(ANNA, Role.ADMIN)


@pytest.fixture
async def ben(house, anna):
    return await house.add(BEN)


# --- the first user -------------------------------------------------------------------------------


async def test_who_has_the_code_becomes_the_first_administrator(house):
    assert await house.accounts.setup_required()
    user = await house.set_up(await house.setup_code.current())
    assert (user.email, user.role, user.display_name) == (ANNA, Role.ADMIN, "Anna")
    assert not await house.accounts.setup_required()
    assert await house.sign_in(ANNA) == user
    assert await house.noted() == [AuditType.SETUP, AuditType.SIGN_IN]


async def test_a_code_is_four_groups_of_letters_that_look_like_no_other(house):
    code = await house.setup_code.current()
    assert re.fullmatch(r"[A-HJKMNP-Z]{4}(-[A-HJKMNP-Z]{4}){3}", code)
    assert await house.setup_code.current() == code


async def test_a_code_may_be_typed_in_small_letters_and_without_dashes(house):
    code = await house.setup_code.current()
    user = await house.set_up(f" {code.replace('-', ' ').lower()}")
    assert user.email == ANNA


async def test_the_code_opens_nothing_when_there_is_a_user(house):
    code = await house.setup_code.current()
    await house.set_up(code)
    assert await house.store.setup_digest() is None
    with pytest.raises(AlreadySetUpError):
        await house.set_up(code, email=BEN)
    with pytest.raises(AlreadySetUpError):
        await house.setup_code.current()


async def test_a_user_of_the_command_line_ends_the_code_too(house):
    code = await house.setup_code.current()
    await house.add(BEN, Role.ADMIN)
    with pytest.raises(AlreadySetUpError):
        await house.set_up(code)
    with pytest.raises(AlreadySetUpError):
        await house.setup_code.current()


async def test_without_a_code_nothing_opens(house):
    for code in ("", "AAAA-AAAA-AAAA-AAAA"):
        with pytest.raises(InvalidSetupCodeError):
            await house.set_up(code)
    assert await house.accounts.setup_required()


async def test_guessing_the_code_is_stopped_elsewhere_but_not_at_home(house):
    code = await house.setup_code.current()
    answers = []
    for _ in range(30):
        with pytest.raises((InvalidSetupCodeError, RateLimitedError)) as refused:
            await house.set_up("AAAA-AAAA-AAAA-AAAA")
        answers.append(refused.type)
    assert answers[0] is InvalidSetupCodeError
    assert answers[-1] is RateLimitedError
    with pytest.raises(RateLimitedError):
        await house.set_up(code)
    assert (await house.set_up(code, address=HOME)).email == ANNA
    assert AuditType.SETUP_REFUSED in await house.noted()


async def test_of_two_who_set_up_at_once_one_wins(house):
    code = await house.setup_code.current()
    outcomes: list[str] = []

    async def try_it(email: str) -> None:
        try:
            outcomes.append((await house.set_up(code, email=email)).email)
        except AlreadySetUpError:
            outcomes.append("late")

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(try_it(f"somebody-{number}@example.org"))
    (winner,) = await house.accounts.all()
    assert sorted(outcomes) == sorted([winner.email, *["late"] * 4])


async def test_a_password_that_is_no_good_leaves_the_code_as_it_was(house):
    code = await house.setup_code.current()
    for _ in range(50):
        with pytest.raises(PasswordRejectedError):
            await house.accounts.setup(
                code=code, email=ANNA, password="anna1234", display_name="Anna", address=HOTEL
            )
    assert (await house.set_up(code)).email == ANNA


async def test_the_code_is_written_into_the_log_once(path, caplog):
    caplog.set_level(logging.INFO)
    async with open_house(path) as house:
        await house.setup_code.announce()
        code = await house.setup_code.current()
        assert caplog.text.count(code) == 1
    caplog.clear()
    async with open_house(path) as house:
        await house.setup_code.announce()
        assert "miauflixd setup" in caplog.text
        assert not re.search(r"[A-Z]{4}-[A-Z]{4}", caplog.text)
        assert (await house.set_up(code)).email == ANNA
    caplog.clear()
    async with open_house(path) as house:
        await house.setup_code.announce()
        assert "Nobody" not in caplog.text


async def test_a_code_that_is_shown_anew_replaces_the_earlier_one(path):
    async with open_house(path) as house:
        earlier = await house.setup_code.current()
    async with open_house(path) as house:
        later = await house.setup_code.current()
        with pytest.raises(InvalidSetupCodeError):
            await house.set_up(earlier)
        assert (await house.set_up(later)).email == ANNA


async def test_the_database_tells_neither_code_nor_password(path):
    async with open_house(path) as house:
        code = await house.setup_code.current()
        await house.set_up(code)
        written = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert ANNA.encode() in written
    for hidden in (code, code.replace("-", ""), GOOD):
        assert hidden.encode() not in written


# --- signing in -----------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", [ANNA, "Anna@Example.ORG", "  anna@example.org "])
async def test_an_address_may_be_typed_in_capitals(house, anna, typed):
    assert await house.sign_in(typed) == anna


async def test_whatever_is_wrong_the_answer_is_the_same(house, anna, ben):
    await house.accounts.update(ben.id, UserChanges(disabled=True), actor=CLI)
    answers = set()
    for email, password in [
        *((ANNA, BETTER), (ANNA, ""), (ANNA, "x" * 5000), (BEN, GOOD), (BEN, BETTER)),
        *(("nobody@example.org", GOOD), ("no address", GOOD), ("", GOOD), ("\ud800@x", GOOD)),
    ]:
        with pytest.raises(MiauflixdError) as refused:
            await house.sign_in(email, password, address=HOME)
        answers.add((refused.type, str(refused.value)))
    assert len(answers) == 1
    assert answers.pop()[0] is InvalidCredentialsError


async def test_a_locked_account_refuses_the_right_password_with_the_same_words(house, anna):
    for email in (ANNA, "nobody@example.org"):
        for number in range(30):
            with pytest.raises((InvalidCredentialsError, RateLimitedError)):
                await house.sign_in(email, BETTER, address=f"203.0.113.{number}")
    answers = set()
    for email in (ANNA, "nobody@example.org"):
        with pytest.raises(RateLimitedError) as refused:
            await house.sign_in(email, GOOD, address="203.0.113.200")
        answers.add((str(refused.value), round(refused.value.retry_after)))
    assert len(answers) == 1
    assert (await house.sign_in(ANNA, address=HOME)) == anna
    house.clock.now += timedelta(minutes=5)
    assert (await house.sign_in(ANNA, address="203.0.113.200")) == anna
    assert AuditType.LOCKED_OUT in await house.noted()


async def test_many_right_passwords_in_a_row_are_no_guessing(house, anna):
    for _ in range(40):
        assert await house.sign_in(ANNA) == anna


async def test_a_refusal_is_one_line_for_fail2ban(house, anna, caplog):
    caplog.set_level(logging.INFO)
    for address in (HOTEL, "2001:db8::1", "::ffff:203.0.113.10", "8.8.8.8\nSign-in refused"):
        with pytest.raises(InvalidCredentialsError):
            await house.sign_in(ANNA, "wrong password", address=address)
    assert [record.getMessage() for record in caplog.records] == [
        f"Sign-in refused from {address}"
        for address in (HOTEL, "2001:db8::1", "203.0.113.10", "unknown")
    ]


async def test_a_flood_does_not_flood_the_log(house, anna, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(500):
        with pytest.raises((InvalidCredentialsError, RateLimitedError)):
            await house.sign_in(ANNA, "wrong password")
    assert len(caplog.records) < 15


async def test_neither_log_nor_audit_tells_what_was_typed(house, anna, caplog):
    caplog.set_level(logging.DEBUG, logger="miauflixd")
    for email in (ANNA, GOOD, "other@example.org"):
        with pytest.raises(InvalidCredentialsError):
            await house.sign_in(email, "typed by mistake")
    await house.sign_in(ANNA)
    page = await house.audit.page()
    told = caplog.text + repr(page) + repr(NewUser(email=ANNA, password=GOOD, display_name="A"))
    for hidden in (ANNA, GOOD, "other@", "typed by"):
        assert hidden not in told


async def test_a_failure_is_noted_with_the_account_it_was_about(house, anna):
    with pytest.raises(InvalidCredentialsError):
        await house.sign_in(ANNA, BETTER)
    (entry,) = (await house.audit.page(types=[AuditType.SIGN_IN_FAILED])).entries
    assert (entry.event.user_id, entry.event.address) == (anna.id, HOTEL)


async def test_a_hash_of_another_cost_is_renewed_without_a_word(path):
    async with open_house(path, cost=Cost(memory=16, passes=1)) as house:
        anna = await house.add(ANNA, Role.ADMIN)
        earlier = await house.hash_of(anna.id)
    async with open_house(path) as house:
        assert await house.sign_in(ANNA) == anna
        later = await house.hash_of(anna.id)
        assert "m=16," in earlier
        assert "m=8," in later
        assert await house.sign_in(ANNA) == anna


async def test_all_screens_of_a_family_may_sign_in_at_once(path):
    async with open_house(path, cost=Cost(memory=16, passes=1)) as house:
        anna = await house.add(ANNA, Role.ADMIN)
    async with open_house(path) as house:
        async with asyncio.TaskGroup() as group:
            screens = [group.create_task(house.sign_in(ANNA, address=HOME)) for _ in range(5)]
        assert [screen.result() for screen in screens] == [anna] * 5


class Hesitating(Passwords):
    """Lets something happen while a password is verified."""

    meanwhile: Callable[[], Awaitable[object]]

    async def verify(self, hashed: str | None, password: str) -> bool:
        right = await super().verify(hashed, password)
        await self.meanwhile()
        return right


MEANWHILE = {
    "disabled": lambda accounts, user: accounts.update(user, UserChanges(disabled=True), actor=CLI),
    "deleted": lambda accounts, user: accounts.delete(user, actor=CLI),
    "password": lambda accounts, user: accounts.set_password(user, BETTER, actor=CLI),
}


@pytest.mark.parametrize("what", MEANWHILE)
async def test_what_happens_while_a_password_is_verified_counts(house, anna, ben, what):
    with Hesitating.open(CHEAP) as passwords:
        passwords.meanwhile = lambda: MEANWHILE[what](house.accounts, ben.id)
        accounts = Accounts(
            store=house.store,
            passwords=passwords,
            lockout=Lockout(clock=house.clock.seconds),
            audit=house.audit,
        )
        with pytest.raises(InvalidCredentialsError):
            await accounts.sign_in(email=BEN, password=GOOD, address=HOTEL)


# --- passwords ------------------------------------------------------------------------------------


async def test_a_changed_password_opens_and_the_earlier_one_does_not(house, anna):
    changed = await house.accounts.change_password(anna.id, current=GOOD, new=BETTER, address=HOTEL)
    assert changed.version > anna.version
    assert await house.sign_in(ANNA, BETTER) == changed
    with pytest.raises(InvalidCredentialsError):
        await house.sign_in(ANNA, GOOD)
    assert AuditType.PASSWORD_CHANGED in await house.noted()


async def test_a_password_is_not_changed_without_the_present_one_or_to_a_bad_one(house, anna):
    with pytest.raises(WrongPasswordError):
        await house.accounts.change_password(anna.id, current=BETTER, new=BETTER, address=HOTEL)
    for bad in ("short", "anna@example.org", "Somebody1", "password1"):
        with pytest.raises(PasswordRejectedError):
            await house.accounts.change_password(anna.id, current=GOOD, new=bad, address=HOTEL)
    assert await house.sign_in(ANNA, GOOD) == anna
    assert AuditType.PASSWORD_REFUSED in await house.noted()


async def test_whoever_sits_at_an_open_screen_cannot_guess_the_password_either(house, anna):
    answers = []
    for _ in range(20):
        with pytest.raises((WrongPasswordError, RateLimitedError)) as refused:
            await house.accounts.change_password(anna.id, current="a guess", new=GOOD, address=HOME)
        answers.append(refused.type)
    assert answers[-1] is RateLimitedError


async def test_an_administrator_gives_somebody_another_password(house, anna, ben):
    given_new = await house.accounts.set_password(ben.id, BETTER, actor=Actor(user_id=anna.id))
    assert given_new.version > ben.version
    assert await house.sign_in(BEN, BETTER) == given_new
    (entry,) = (await house.audit.page(types=[AuditType.PASSWORD_CHANGED])).entries
    assert (entry.event.user_id, entry.event.details) == (anna.id, {"user": ben.id})


# --- users ----------------------------------------------------------------------------------------


async def test_two_people_never_have_the_same_address(house, anna, ben):
    for same in (ANNA, "ANNA@example.org", " anna@EXAMPLE.org"):
        with pytest.raises(EmailTakenError):
            await house.add(same)
        with pytest.raises(EmailTakenError):
            await house.accounts.update(ben.id, UserChanges(email=same), actor=CLI)
    await house.add("J\u00f6rg@example.org")
    with pytest.raises(EmailTakenError):
        await house.add("jo\u0308rg@example.org")
    assert (
        await house.accounts.update(anna.id, UserChanges(email="ANNA@example.org"), actor=CLI)
    ).email == "ANNA@example.org"


async def test_a_new_address_opens_and_the_earlier_one_is_free(house, anna):
    after = await house.accounts.update(anna.id, UserChanges(email="Anna@new.example"), actor=CLI)
    assert await house.sign_in("anna@new.example") == after
    with pytest.raises(InvalidCredentialsError):
        await house.sign_in(ANNA)
    await house.add(ANNA)


@given(st.emails())
def test_comparing_addresses_is_settled_after_once(email):
    assert (key := email_key(email)) is not None
    assert email_key(key) == email_key(email.upper().lower()) == key


@pytest.mark.parametrize(
    "email", ["", "anna", "@example.org", "anna@", "a b@c", "a\u200b@c", "a\n@c"]
)
async def test_what_is_no_address_is_refused(house, email):
    with pytest.raises(InvalidUserError):
        await house.add(email, Role.ADMIN)


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb", "a\0b"])
async def test_what_is_no_name_is_refused(house, anna, name):
    with pytest.raises(InvalidUserError):
        await house.accounts.update(anna.id, UserChanges(display_name=name), actor=CLI)


async def test_only_what_is_said_changes(house, anna, ben, path):
    profile = Profile(language="pt-BR", quality="1080p", audio_languages=("pt", "en"))
    changes = UserChanges(profile=profile, max_rating="PG-13", display_name=" Benedikt ")
    after = await house.accounts.update(ben.id, changes, actor=Actor(user_id=anna.id))
    assert (after.profile, after.max_rating, after.display_name) == (profile, "PG-13", "Benedikt")
    assert (after.email, after.role, after.disabled) == (ben.email, ben.role, ben.disabled)
    assert after.version == ben.version
    lifted = await house.accounts.update(ben.id, UserChanges(max_rating=None), actor=CLI)
    assert lifted.max_rating is None
    assert lifted.profile == profile
    assert await house.accounts.all() == [anna, lifted]


async def test_what_changed_is_noted_by_name_only(house, anna, ben):
    changes = UserChanges(email="benedikt@example.org", role=Role.USER, max_rating="PG")
    await house.accounts.update(ben.id, changes, actor=Actor(user_id=anna.id, address=HOME))
    (entry,) = (await house.audit.page(types=[AuditType.USER_CHANGED])).entries
    assert entry.event.details == {"user": ben.id, "changed": "email, max_rating"}
    assert (entry.event.user_id, entry.event.address) == (anna.id, HOME)


@pytest.mark.parametrize(
    "changes", [UserChanges(role=Role.ADMIN), UserChanges(disabled=True)], ids=str
)
async def test_sessions_end_with_another_role_and_when_disabled(house, anna, ben, changes):
    before = await house.accounts.user_version(ben.id)
    await house.accounts.update(ben.id, changes, actor=CLI)
    assert await house.accounts.user_version(ben.id) != before
    undone = UserChanges(role=Role.USER, disabled=False)
    await house.accounts.update(ben.id, undone, actor=CLI)
    assert await house.accounts.user_version(ben.id) != before


async def test_a_disabled_or_deleted_user_has_no_version(house, anna, ben):
    await house.accounts.update(ben.id, UserChanges(disabled=True), actor=CLI)
    assert await house.accounts.user_version(ben.id) is None
    await house.accounts.delete(ben.id, actor=CLI)
    assert await house.accounts.user_version(ben.id) is None
    with pytest.raises(NoUserError):
        await house.accounts.get(ben.id)
    assert await house.noted() == [
        *[AuditType.USER_CREATED] * 2,
        *(AuditType.USER_DISABLED, AuditType.USER_DELETED),
    ]


async def test_the_last_administrator_stays_one(house, anna, ben):
    disabled = await house.add("carla@example.org", Role.ADMIN)
    await house.accounts.update(disabled.id, UserChanges(disabled=True), actor=CLI)
    for changes in (UserChanges(role=Role.USER), UserChanges(disabled=True)):
        with pytest.raises(LastAdminError):
            await house.accounts.update(anna.id, changes, actor=CLI)
    with pytest.raises(LastAdminError):
        await house.accounts.delete(anna.id, actor=CLI)
    assert await house.accounts.get(anna.id) == anna
    await house.accounts.update(ben.id, UserChanges(role=Role.ADMIN), actor=CLI)
    await house.accounts.delete(anna.id, actor=CLI)
    with pytest.raises(LastAdminError):
        await house.accounts.delete(ben.id, actor=CLI)


async def test_the_first_user_is_an_administrator(house):
    with pytest.raises(LastAdminError):
        await house.add(BEN)
    assert await house.accounts.all() == []


async def test_two_administrators_cannot_remove_each_other_at_once(house, anna):
    ben = await house.add(BEN, Role.ADMIN)
    outcomes: list[str] = []

    async def remove(user_id: UserId) -> None:
        try:
            await house.accounts.delete(user_id, actor=CLI)
            outcomes.append("gone")
        except LastAdminError:
            outcomes.append("stays")

    async with asyncio.TaskGroup() as group:
        group.create_task(remove(anna.id))
        group.create_task(remove(ben.id))
    assert sorted(outcomes) == ["gone", "stays"]


async def test_what_is_known_of_a_user_is_never_out_of_date(house, anna, ben):
    told: list[UserId] = []
    house.accounts.on_change(told.append)
    assert await house.accounts.get(ben.id) == ben
    after = await house.accounts.update(ben.id, UserChanges(max_rating="G"), actor=CLI)
    assert told == [ben.id]
    assert await house.accounts.get(ben.id) == after


class SlowToAnswer(UserStore):
    """Reads at once, and answers when the gate opens."""

    gate: asyncio.Event

    async def find(self, user_id: UserId) -> StoredUser | None:
        found = await super().find(user_id)
        await self.gate.wait()
        return found


async def test_nor_when_it_was_read_before_the_change_and_arrives_after_it(house, anna, ben):
    store = SlowToAnswer(database=house.store._database, clock=house.clock)
    store.gate = asyncio.Event()
    with Passwords.open(CHEAP) as passwords:
        accounts = Accounts(
            store=store,
            passwords=passwords,
            lockout=Lockout(clock=house.clock.seconds),
            audit=house.audit,
        )
        async with asyncio.TaskGroup() as group:
            early = group.create_task(accounts.get(ben.id))
            await asyncio.sleep(0)
            after = await accounts.update(ben.id, UserChanges(max_rating="G"), actor=CLI)
            store.gate.set()
        assert early.result() == ben
        assert await accounts.get(ben.id) == after


@pytest.mark.parametrize("turns", range(6))
async def test_nor_when_whoever_changed_it_did_not_wait(house, anna, ben, turns):
    async def get_often() -> None:
        while True:
            await house.accounts.get(ben.id)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(get_often()) for _ in range(3)]
        change = group.create_task(
            house.accounts.update(ben.id, UserChanges(disabled=True), actor=CLI)
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        change.cancel()
        await asyncio.wait([change])
        stored = await house.store.find(ben.id)
        assert await house.accounts.get(ben.id) == stored.user
        for reader in readers:
            reader.cancel()
