"""When to look again for sources, and for how many have them."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from miauflixd.sources.rhythm import Counts, count_after_failure, count_again, search_again

TODAY = date(2026, 5, 1)
_HOURS = timedelta(hours=1)
_DAYS = timedelta(days=1)


def wait(
    *,
    found: bool = False,
    in_vain: int = 1,
    age: int | None = 1000,
    popularity: float = 0.0,
    chance: float = 0.5,
) -> timedelta:
    """Return when to search again for something released so many days ago."""
    return search_again(
        found=found,
        in_vain=in_vain,
        released=None if age is None else TODAY - _DAYS * age,
        today=TODAY,
        popularity=popularity,
        chance=chance,
    )


def test_after_the_first_search_in_vain_it_is_an_hour_more_or_less() -> None:
    assert wait(chance=0.0) == timedelta(minutes=45)
    assert wait(chance=1.0) == timedelta(minutes=75)


def test_what_is_never_found_is_looked_for_ever_less_often_but_always_again() -> None:
    waits = [wait(in_vain=times) for times in range(1, 2000)]

    assert all(first <= second for first, second in pairwise(waits))
    assert waits[-1] == 14 * _DAYS


def test_what_is_new_is_looked_for_twice_a_day_at_least() -> None:
    assert wait(in_vain=50, age=10) == 12 * _HOURS
    assert wait(in_vain=50, age=-10) == 12 * _HOURS


def test_what_comes_out_next_year_can_wait_and_is_not_forgotten() -> None:
    assert wait(in_vain=1, age=-70) == 10 * _DAYS
    assert wait(in_vain=1, age=-100_000) == 14 * _DAYS


def test_what_can_be_had_is_looked_for_again_by_its_age() -> None:
    assert wait(found=True, in_vain=0, age=3) == 1 * _DAYS
    assert wait(found=True, in_vain=0, age=120) == 10 * _DAYS
    assert wait(found=True, in_vain=0, age=20_000) == 30 * _DAYS
    assert wait(found=True, in_vain=0, age=None) == 30 * _DAYS


def test_what_everybody_looks_at_is_looked_for_twice_as_often() -> None:
    assert wait(found=True, age=120, popularity=1.0) == 5 * _DAYS
    assert wait(found=True, age=120, popularity=7e9) == 5 * _DAYS
    assert wait(found=True, age=9000, popularity=1.0) == 15 * _DAYS


@pytest.mark.parametrize(
    ("seeders", "hours"),
    [
        (100, 48),
        (104, 48),
        (107, 24),
        (115, 18),
        (130, 12),
        (151, 6),
        (0, 6),
        (2**63, 6),
    ],
)
def test_the_steadier_a_swarm_the_later_it_is_counted_again(seeders: int, hours: int) -> None:
    found = count_again(
        before=24 * _HOURS, old=Counts(100, 10), new=Counts(seeders, 10), chance=0.5
    )

    assert found == hours * _HOURS


def test_a_swarm_that_comes_to_life_is_counted_soon() -> None:
    found = count_again(before=72 * _HOURS, old=Counts(0, 0), new=Counts(1, 0), chance=0.5)

    assert found == 6 * _HOURS


def test_a_dead_swarm_is_counted_ever_less_often() -> None:
    found = count_again(before=24 * _HOURS, old=Counts(0, 0), new=Counts(0, 0), chance=0.5)

    assert found == 48 * _HOURS


def test_counts_are_between_six_hours_and_three_days_apart() -> None:
    for chance in (0.0, 0.5, 1.0):
        first = count_again(before=None, old=None, new=Counts(1, 1), chance=chance)
        steady = count_again(before=400 * _HOURS, old=Counts(9, 9), new=Counts(9, 9), chance=chance)
        assert 6 * _HOURS <= first <= 7.2 * _HOURS
        assert 57 * _HOURS <= steady <= 72 * _HOURS


def test_a_swarm_nobody_tells_of_is_asked_about_ever_less_often() -> None:
    first = count_after_failure(before=None, chance=0.5)
    second = count_after_failure(before=first, chance=0.5)
    later = count_after_failure(before=60 * _HOURS, chance=0.5)

    assert (first, second, later) == (6 * _HOURS, 12 * _HOURS, 72 * _HOURS)
