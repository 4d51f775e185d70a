"""Which passwords are taken, and how they are kept."""

import asyncio
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.auth.common_passwords import is_common
from miauflixd.auth.model import PasswordRejectedError
from miauflixd.auth.passwords import LONGEST, SHORTEST, Cost, Passwords, prepared, require_good
from miauflixd.errors import RateLimitedError

CHEAP = Cost(memory=8, passes=1)
GOOD = "kettle orbit walnut"
NAMES = ("anna.smith@example.org", "anna.smith", "Anna Smith")


@pytest.fixture
def passwords():
    with Passwords.open(CHEAP) as opened:
        yield opened


@pytest.mark.parametrize(
    "password",
    [
        *("password", "Password1!", "P@ssw0rd", "1passw0rd1", "pass_word", "passwordpassword"),
        *("12345678", "1234567890", "987654321a", "19840101", "01.04.1984", "0171 2345678"),
        *("qwertyui", "qwer1234!", "1qaz2wsx", "zaq1zaq1", "q1w2e3r4", "azertyuiop", "a1b2c3d4"),
        *("Dragon123!", "dr4g0n2019", "monkeymonkey1", "$unshine1", "iloveyou2", "trustno1"),
        *("aaaaaaaa", "abababab", "        ", "miauflix2024", "passwort1", "motdepasse"),
        *("annasmith1", "Anna.Smith2020", "smith-anna!", "anna.smith@example.org", "AnnaDragon7"),
    ],
)
def test_what_everybody_tries_first_is_refused(password):
    with pytest.raises(PasswordRejectedError, match="among the first"):
        require_good(password, names=NAMES)


@pytest.mark.parametrize(
    "password",
    [
        *("correct horse battery staple", GOOD, "Kx9#mQ2v", "9f8a7c6d5e", "kupalnik"),
        *("annalovesgreentea", "日本語のパスワード", "dragon kettle moon", "4 Hühner im Stall"),
    ],
)
def test_what_is_somebodys_own_idea_is_taken(password):
    assert require_good(password, names=NAMES) == unicodedata.normalize("NFC", password)


def test_somebody_elses_name_says_nothing():
    assert require_good("theodora1", names=NAMES)
    with pytest.raises(PasswordRejectedError):
        require_good("theodora1", names=["Theodora"])


@given(st.text(max_size=60), st.lists(st.text(max_size=10), max_size=3))
def test_any_text_can_be_judged(password, names):
    assert is_common(password, names=names) in (True, False)
    assert is_common(password + password, names=names) >= is_common(password * 4, names=names)


def test_a_password_has_a_shortest_and_a_longest_length():
    long = "walnut orbit " * 100
    assert require_good("wqlxuzmk"[:SHORTEST])
    assert require_good(long[:LONGEST])
    for refused in ("wqlxuzmk"[: SHORTEST - 1], "", long[: LONGEST + 1]):
        with pytest.raises(PasswordRejectedError, match="characters"):
            require_good(refused)
    assert prepared(long[: LONGEST + 1]) is None


@pytest.mark.parametrize("password", ["walnut\0orbit", "walnut\norbit", "walnut\ud800orbit"])
async def test_no_keyboard_types_a_control_character(password, passwords):
    with pytest.raises(PasswordRejectedError, match="control"):
        require_good(password)
    assert not await passwords.verify(await passwords.hash(GOOD), password)


@given(st.text(min_size=1, max_size=40))
def test_however_a_keyboard_spells_a_letter_it_is_the_same_password(text):
    spelt = prepared(unicodedata.normalize("NFC", text))
    assert spelt == prepared(unicodedata.normalize("NFD", text))
    assert spelt is None or prepared(spelt) == spelt


async def test_the_password_of_a_hash_is_that_one_only(passwords):
    hashed = await passwords.hash(require_good("Hühner im\u00a0Stall"))
    assert hashed.startswith("$argon2id$")
    assert "Stall" not in hashed
    assert await passwords.verify(hashed, unicodedata.normalize("NFD", "Hühner im Stall"))
    for other in ("hühner im stall", "Hühner im Stall ", "", "x" * 5000):
        assert not await passwords.verify(hashed, other)


async def test_nobodys_password_is_never_right(passwords):
    assert not await passwords.verify(None, GOOD)
    assert not await passwords.verify(None, "")


@pytest.mark.parametrize("cost", [CHEAP, Cost(), Cost(memory=64, passes=2, lanes=2)])
def test_a_password_of_nobody_costs_what_any_other_does(cost):
    with Passwords.open(cost) as opened:
        ours = argon2.extract_parameters(opened._nobodys)
        assert ours == argon2.Parameters(
            type=argon2.Type.ID,
            version=19,
            salt_len=16,
            hash_len=32,
            time_cost=cost.passes,
            memory_cost=cost.memory,
            parallelism=cost.lanes,
        )
        assert not opened.is_outdated(opened._nobodys)


async def test_a_hash_of_another_cost_is_good_and_outdated(passwords):
    with Passwords.open(Cost(memory=16, passes=1)) as earlier:
        hashed = await earlier.hash(GOOD)
    assert await passwords.verify(hashed, GOOD)
    assert passwords.is_outdated(hashed)
    assert not passwords.is_outdated(await passwords.hash(GOOD))


@pytest.mark.parametrize("damaged", ["", "plain text", "$argon2id$v=19$m=8,t=1,p=1$AAAA$"])
async def test_a_damaged_hash_lets_nobody_in_and_says_so(damaged, passwords, caplog):
    assert not await passwords.verify(damaged, GOOD)
    assert "is damaged" in caplog.text
    assert GOOD not in caplog.text


async def test_only_so_many_wait_and_then_it_goes_on():
    gate = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(gate.wait)
        passwords = Passwords(cost=CHEAP, threads=threads)
        try:
            async with asyncio.TaskGroup() as group:
                waiting = [group.create_task(passwords.hash(GOOD)) for _ in range(18)]
                await asyncio.sleep(0)
                with pytest.raises(RateLimitedError) as refused:
                    await passwords.hash(GOOD)
                # Who leaves the queue leaves a place in it.
                waiting[-1].cancel()
                await asyncio.wait(waiting[-1:])
                late = group.create_task(passwords.hash(GOOD))
                await asyncio.sleep(0)
                gate.set()
        finally:
            gate.set()
        assert refused.value.retry_after > 0
        assert late.result().startswith("$argon2id$")
        assert await passwords.verify(waiting[0].result(), GOOD)
