"""Guessing gets slow, and nobody is shut out of their own home."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.auth.lockout import ADDRESS, CROWD, FAMILIAR, Lockout, network_of, plain

ANNA = "anna@example.org"
HOME = "192.168.1.7"
HOTEL = "203.0.113.9"
MINUTE = 60.0


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lockout(clock):
    return Lockout(clock=clock)


def fail(lockout: Lockout, *, account: str = ANNA, address: str = HOTEL) -> float:
    """Guess wrong, or be told to wait: how long."""
    refusal = lockout.attempt(account=account, address=address)
    return 0.0 if refusal is None else refusal.retry_after


def guess_for(lockout: Lockout, clock: Clock, duration: float, *, addresses: list[str]) -> int:
    """Guess as often as possible until it is closed, and return how many guesses that were."""
    end = clock.now + duration
    made = 0
    while clock.now < end:
        waits = [fail(lockout, address=address) for address in addresses]
        made += waits.count(0.0)
        if 0.0 not in waits:
            clock.now += min(waits)
    while any(not fail(lockout, address=address) for address in addresses):
        made += 1
    return made


def crowd(size: int) -> list[str]:
    return [f"198.51.{number // 250}.{number % 250}" for number in range(size)]


def test_a_few_mistakes_cost_nothing(lockout):
    assert [fail(lockout) for _ in range(ADDRESS.free)] == [0.0] * ADDRESS.free


def test_each_mistake_beyond_costs_twice_as_much(lockout, clock):
    waits = []
    for _ in range(ADDRESS.free):
        fail(lockout)
    for _ in range(6):
        assert fail(lockout) == 0.0
        waits.append(fail(lockout))
        clock.now += waits[-1]
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32], rel=0.2)


def test_attempts_while_it_is_closed_do_not_make_it_longer(lockout, clock):
    for _ in range(ADDRESS.free + 4):
        while wait := fail(lockout):
            clock.now += wait
    wait = fail(lockout)
    for _ in range(1000):
        fail(lockout)
    assert fail(lockout) == wait
    clock.now += wait
    assert fail(lockout) == 0.0


def test_mistakes_are_forgotten(lockout, clock):
    guess_for(lockout, clock, 60 * MINUTE, addresses=[HOTEL])
    assert fail(lockout) > MINUTE
    clock.now += 24 * 60 * MINUTE
    assert [fail(lockout) for _ in range(ADDRESS.free)] == [0.0] * ADDRESS.free


def test_one_address_has_a_hundred_guesses_a_day_at_everybody_together(lockout, clock):
    made = 0
    end = clock.now + 24 * 60 * MINUTE
    number = 0
    while clock.now < end:
        number += 1
        wait = fail(lockout, account=f"somebody-{number}@example.org")
        made += not wait
        clock.now += wait
    assert 90 <= made <= 125


def test_all_the_addresses_of_the_world_have_three_hundred_guesses_a_day_at_one(lockout, clock):
    made = guess_for(lockout, clock, 24 * 60 * MINUTE, addresses=crowd(200))
    assert 280 <= made <= 330


def test_all_of_an_ipv6_network_is_one_address(lockout):
    for host in range(ADDRESS.free + 1):
        account = f"somebody-{host}@example.org"
        assert not fail(lockout, account=account, address=f"2001:db8::{host:x}")
    assert fail(lockout, address="2001:db8::ffff:0:1")
    assert not fail(lockout, address="2001:db8:0:1::1")


def test_an_ipv4_address_is_the_same_however_it_is_written():
    assert network_of("::ffff:203.0.113.9") == network_of(HOTEL) == plain("::ffff:203.0.113.9")


@pytest.mark.parametrize("sent", ["", "x\nSign-in refused from 8.8.8.8", "fe80::1%\n", "1.2.3"])
def test_nothing_that_was_sent_gets_into_the_log_unread(sent):
    assert plain(sent) in ("unknown", "fe80::1")


def test_a_hundred_guesses_at_once_are_not_a_hundred_guesses(lockout):
    made = [fail(lockout) for _ in range(100)].count(0.0)
    assert made == ADDRESS.free + 1


def test_an_attack_from_elsewhere_does_not_close_the_door_at_home(lockout, clock):
    guess_for(lockout, clock, 300 * MINUTE, addresses=crowd(50))
    assert fail(lockout, address="198.51.200.1") > 0
    assert fail(lockout, address=HOME) == 0.0
    assert fail(lockout, address="fd00::5") == 0.0


def test_nor_where_somebody_has_signed_in_before(lockout, clock):
    assert lockout.attempt(account=ANNA, address=HOTEL) is None
    lockout.succeeded(account=ANNA, address=HOTEL)
    guess_for(lockout, clock, 300 * MINUTE, addresses=crowd(50))
    assert fail(lockout, address=HOTEL) == 0.0
    assert fail(lockout, address="203.0.113.10") > 0


def test_elsewhere_nobody_waits_for_longer_than_five_minutes(lockout, clock):
    guess_for(lockout, clock, 300 * MINUTE, addresses=crowd(50))
    assert 0 < fail(lockout, address=HOTEL) <= CROWD.longest.total_seconds() == 5 * MINUTE


def test_a_familiar_address_has_its_own_patience(lockout):
    waits = [fail(lockout, address=HOME) for _ in range(FAMILIAR.free + 2)]
    assert waits[-2] == 0.0
    assert waits[-1] > 0
    assert fail(lockout, address=HOME, account="ben@example.org") == 0.0


def test_a_right_password_takes_back_what_was_counted(lockout):
    for _ in range(100):
        assert lockout.attempt(account=ANNA, address=HOTEL) is None
        lockout.succeeded(account=ANNA, address=HOTEL)


def test_after_the_right_password_a_closed_door_is_open_again(lockout):
    for _ in range(ADDRESS.free):
        fail(lockout, account="ben@example.org")
    assert lockout.attempt(account=ANNA, address=HOTEL) is None
    lockout.succeeded(account=ANNA, address=HOTEL)
    assert fail(lockout) == 0.0


def test_at_home_the_right_password_makes_up_for_earlier_mistakes(lockout):
    for _ in range(2):
        waits = [fail(lockout, address=HOME) for _ in range(FAMILIAR.free)]
        assert waits == [0.0] * FAMILIAR.free
        assert lockout.attempt(account=ANNA, address=HOME) is None
        lockout.succeeded(account=ANNA, address=HOME)


def test_an_account_of_ones_own_makes_guessing_at_others_no_cheaper(lockout):
    guesses = 0
    for _ in range(50):
        guesses += not fail(lockout, account="ben@example.org")
        if lockout.attempt(account=ANNA, address=HOTEL) is None:
            lockout.succeeded(account=ANNA, address=HOTEL)
    assert guesses <= ADDRESS.free + 1


def test_being_locked_out_tells_nothing_about_who_has_an_account(clock):
    def waits(account: str) -> list[float]:
        lockout = Lockout(clock=clock)
        return [fail(lockout, account=account, address=address) for address in crowd(40)]

    assert waits(ANNA) == waits("nobody@example.org")


def test_a_lock_is_told_once(lockout, clock):
    for _ in range(ADDRESS.free + 1):
        fail(lockout)
    told = [lockout.attempt(account=ANNA, address=HOTEL).is_first for _ in range(4)]
    assert told == [True, False, False, False]
    clock.now += 2
    assert fail(lockout) == 0.0
    assert lockout.attempt(account=ANNA, address=HOTEL).is_first


def test_a_hundred_thousand_addresses_take_no_more_memory_than_a_few():
    lockout = Lockout(clock=Clock(), places=100)
    for number in range(2000):
        address = f"203.0.{number // 250}.{number % 250}"
        account = f"somebody-{number}@example.org"
        lockout.attempt(account=account, address=address)
        lockout.succeeded(account=account, address=address)
        lockout.attempt(account=account, address=address)
    for counters in (lockout._addresses, lockout._familiar, lockout._crowd):
        assert len(counters._counts) <= 100
    assert len(lockout._known) <= 100


steps = st.lists(
    st.tuples(
        st.sampled_from([HOTEL, "203.0.113.10", "2001:db8::1", "198.51.100.1"]),
        st.sampled_from(["fail", "succeed", "withdraw"]),
        st.floats(min_value=0, max_value=2000),
    ),
    max_size=80,
)


@given(steps)
def test_whatever_happens_elsewhere_home_is_open_and_no_wait_is_endless(script):
    clock = Clock()
    lockout = Lockout(clock=clock)
    for address, outcome, pause in script:
        clock.now += pause
        refusal = lockout.attempt(account=ANNA, address=address)
        if refusal is not None:
            assert 0 < refusal.retry_after <= ADDRESS.longest.total_seconds()
            clock.now += refusal.retry_after
            refusal = lockout.attempt(account=ANNA, address=address)
            assert refusal is None
        if outcome == "succeed":
            lockout.succeeded(account=ANNA, address=address)
        elif outcome == "withdraw":
            lockout.withdrawn(account=ANNA, address=address)
    assert fail(lockout, address=HOME) == 0.0
