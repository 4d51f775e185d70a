"""When a task is due: tables, and what holds whatever the clock does."""

from datetime import UTC, datetime, time, timedelta, tzinfo
from time import tzset
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miauflixd.jobs.ladder import LONGEST, RUNGS, asked_wait, wait_after
from miauflixd.jobs.model import Every, Nightly, Past, Rule
from miauflixd.jobs.schedule import wait

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NONE = timedelta()
BERLIN = ZoneInfo("Europe/Berlin")
HOURLY = Every(HOUR)
NIGHTLY = Nightly(time(3, 30))


def past(ago: timedelta, *, took: timedelta = NONE, failures: int = 0) -> Past:
    return Past(started=NOW - ago - took, finished=NOW - ago, failures=failures)


def left(
    rule: Rule,
    before: Past,
    *,
    now: datetime = NOW,
    rested: timedelta | None = None,
    zone: tzinfo | None = UTC,
    jitter: float = 0.0,
) -> timedelta:
    return wait(rule, before, now=now, rested=rested, zone=zone, jitter=jitter)


# --- the ladder -----------------------------------------------------------------------------------


def test_each_failure_is_one_rung_up_and_the_highest_is_a_day():
    minutes = [wait_after(failures) / timedelta(minutes=1) for failures in range(12)]
    assert minutes == [0, 1, 5, 15, 30, 60, 180, 360, 720, 1440, 1440, 1440]


def test_chance_makes_a_rung_a_tenth_longer_at_most():
    assert wait_after(5, jitter=1.0) == RUNGS[4] * 1.1


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (90, timedelta(seconds=90)),
        (1.5, timedelta(seconds=1.5)),
        (0.001, timedelta(seconds=1)),
        (10**400, LONGEST),
        (float("inf"), LONGEST),
        (float("nan"), RUNGS[1]),
        (0, RUNGS[1]),
        (-5, RUNGS[1]),
        (None, RUNGS[1]),
        ("60", RUNGS[1]),
        (True, RUNGS[1]),
    ],
)
def test_a_stranger_who_asks_to_be_left_alone_is_believed_within_reason(asked, expected):
    assert asked_wait(asked, failures=2) == expected


# --- the beat -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [HOURLY, NIGHTLY])
def test_what_never_ran_is_due_at_once(rule):
    assert left(rule, Past(), jitter=1.0) <= NONE


@pytest.mark.parametrize(
    ("before", "rested", "expected"),
    [
        (past(timedelta(minutes=20)), timedelta(minutes=20), timedelta(minutes=40)),
        (past(timedelta(minutes=20)), None, timedelta(minutes=40)),
        # The gap counts from the end of a run, so that it never overlaps itself.
        (past(timedelta(minutes=20), took=3 * HOUR), None, timedelta(minutes=40)),
        # Missed, while the machine was off or asleep.
        (past(8 * HOUR), None, -7 * HOUR),
        (past(8 * HOUR), timedelta(minutes=1), -7 * HOUR),
        # The clock was set back by a year: the other clock counts, or else a run ends the doubt.
        (past(-365 * DAY), timedelta(minutes=20), timedelta(minutes=40)),
        (past(-365 * DAY), HOUR, NONE),
        (past(-365 * DAY), None, NONE),
    ],
)
def test_the_gap_is_counted_by_whichever_clock_can_be_believed(before, rested, expected):
    assert left(HOURLY, before, rested=rested) == expected


@pytest.mark.parametrize(
    ("rule", "failures", "expected"),
    [
        (HOURLY, 1, timedelta(minutes=1)),
        (HOURLY, 4, timedelta(minutes=30)),
        (HOURLY, 9, HOUR),  # no later than its beat
        (Every(6 * HOUR), 6, 3 * HOUR),
        (Every(6 * HOUR), 9, 6 * HOUR),
        (NIGHTLY, 1, timedelta(minutes=1)),
        (NIGHTLY, 9, timedelta(hours=15, minutes=30)),  # the next night
    ],
)
def test_what_failed_is_tried_again_up_the_ladder(rule, failures, expected):
    assert left(rule, past(NONE, failures=failures), rested=NONE) == expected


def test_what_fails_often_fails_once_an_hour_however_fast_its_beat_is():
    fast = Every(timedelta(minutes=1))
    assert left(fast, past(NONE, failures=9), rested=NONE) == HOUR


# --- nights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ran", "now", "expected"),
    [
        ("2026-03-01T03:31", "2026-03-01T12:00", timedelta(hours=15, minutes=30)),
        ("2026-02-28T03:31", "2026-03-01T12:00", -timedelta(hours=8, minutes=30)),  # missed
        ("2026-02-28T03:31", "2026-03-01T03:29", timedelta(minutes=1)),
        ("2026-02-28T03:31", "2026-03-01T03:30", NONE),
        ("2026-03-01T03:30", "2026-03-01T03:31", timedelta(hours=23, minutes=59)),
    ],
)
def test_a_nightly_task_is_due_once_for_each_night(ran, now, expected):
    started = datetime.fromisoformat(f"{ran}+00:00")
    before = Past(started=started, finished=started)
    assert left(NIGHTLY, before, now=datetime.fromisoformat(f"{now}+00:00")) == expected


def test_chance_makes_a_night_no_second_night():
    started = datetime(2026, 3, 1, 3, 31, tzinfo=UTC)
    before = Past(started=started, finished=started)
    soon = started + timedelta(seconds=1)
    assert left(NIGHTLY, before, now=soon, jitter=1.0) > 23 * HOUR


def test_a_nightly_task_after_a_clock_that_was_set_back_waits_a_day_at_most():
    before = past(-365 * DAY)
    assert left(NIGHTLY, before, rested=timedelta(hours=2)) == timedelta(hours=22)
    assert left(NIGHTLY, before, rested=None) == NONE


def test_without_a_zone_it_is_this_machine_s_night(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    tzset()
    try:
        started = datetime(2026, 3, 1, 3, 31, tzinfo=ZoneInfo("Asia/Tokyo"))
        before = Past(started=started.astimezone(UTC), finished=started.astimezone(UTC))
        now = (started + HOUR).astimezone(UTC)
        assert left(NIGHTLY, before, now=now, zone=None) == timedelta(hours=22, minutes=59)
    finally:
        monkeypatch.undo()
        tzset()


# --- whole weeks, whatever happens ----------------------------------------------------------------


def runs(
    rule: Rule, *, start: datetime, length: timedelta, zone: tzinfo, chances: list[float]
) -> list[datetime]:
    """Return when a task that always succeeds runs, by a clock that goes right."""
    began: list[datetime] = []
    now, before = start, Past()
    while now < start + length:
        rested = None if before.finished is None else now - before.finished
        chance = chances[len(began) % len(chances)]
        due = left(rule, before, now=now, rested=rested, zone=zone, jitter=chance)
        if due <= NONE:
            began.append(now)
            before = Past(started=now, finished=now + timedelta(seconds=5))
            now += timedelta(seconds=5)
        else:
            now += min(due, timedelta(minutes=10))
    return began


@pytest.mark.parametrize("at", [time(2, 30), time(3, 0), time(0, 0), time(23, 59)])
@pytest.mark.parametrize(
    "first",
    [
        datetime(2026, 3, 26, 12, tzinfo=BERLIN),  # a night of 23 hours follows
        datetime(2026, 10, 22, 12, tzinfo=BERLIN),  # one of 25
    ],
)
@pytest.mark.parametrize("chance", [0.0, 0.99])
def test_over_a_change_to_summer_time_there_is_one_run_for_each_night(first, at, chance):
    began = runs(
        Nightly(at), start=first.astimezone(UTC), length=6 * DAY, zone=BERLIN, chances=[chance]
    )
    local = [one.astimezone(BERLIN) for one in began[1:]]  # the first is that which never was
    # Ten minutes of chance may reach into the next date.
    dates = [(one - timedelta(minutes=10 * chance)).date() for one in local]
    expected = len(dates)
    assert expected in {5, 6}
    assert [one.toordinal() - dates[0].toordinal() for one in dates] == list(range(expected))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    rule=st.one_of(
        st.integers(60, 10**6).map(lambda seconds: Every(timedelta(seconds=seconds))),
        st.times().map(lambda at: Nightly(at.replace(tzinfo=None))),
    ),
    failures=st.integers(0, 50),
    jitter=st.floats(0, 1),
    zone=st.sampled_from([UTC, BERLIN, ZoneInfo("Pacific/Apia"), ZoneInfo("Asia/Kathmandu")]),
    jumps=st.lists(
        st.one_of(
            st.integers(-(10**9), 10**9),  # thirty years
            st.integers(-7200, 7200),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_whatever_the_clock_does_nothing_loops_and_nothing_sleeps_past_its_beat(
    rule, failures, jitter, zone, jumps
):
    beat = rule.gap if isinstance(rule, Every) else DAY
    before = past(NONE, failures=failures)
    rested, jumped = NONE, NONE
    for jump in jumps:
        jumped += timedelta(seconds=jump)
        due = left(rule, before, now=NOW + rested + jumped, rested=rested, zone=zone, jitter=jitter)
        # No time has passed since the last look but what `rested` says.
        longest = max(beat * 1.1, DAY + HOUR) if isinstance(rule, Nightly) else beat * 1.1
        assert due <= longest + timedelta(minutes=10) + HOUR
        if due <= NONE:
            # It runs; and just behind a run nothing is ever due, whatever the time of day.
            now = NOW + rested + jumped
            after = Past(started=now, finished=now, failures=failures)
            again = left(rule, after, now=now, rested=NONE, zone=zone, jitter=jitter)
            assert again >= NONE
            assert again > NONE or isinstance(rule, Nightly)
        rested += max(min(due, HOUR), timedelta(seconds=1))
