"""How often somebody may ask: what a bucket lets through, and what remembering it costs."""

import math
from collections.abc import Hashable
from contextlib import ExitStack

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.errors import RateLimitedError
from miauflixd.runtime.secrets import Secret
from miauflixd.web.rate_limits import (
    RATES,
    Rate,
    RateLimits,
    Streams,
    TooManyStreamsError,
)
from miauflixd.web.routes import RateClass
from miauflixd.web.settings import WebSettings
from tests.contract import kept
from tests.doorstep import open_doorstep


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def limits(
    clock: Clock, *, burst: int = 3, per_second: float = 2.0, places: int = 100
) -> RateLimits:
    rate = Rate(burst=burst, per_second=per_second)
    return RateLimits(clock=clock, rates={"read": rate, "write": rate}, places=places)


def refused(limits: RateLimits, who: Hashable = "a", rate: RateClass = "read") -> float | None:
    """Return the wait of a refusal, or nothing."""
    try:
        limits.require(rate, who)
    except RateLimitedError as error:
        return error.retry_after
    return None


def test_a_burst_is_let_through_and_then_one_at_a_time(clock):
    bucket = limits(clock)
    assert [refused(bucket) for _ in range(4)] == [None, None, None, pytest.approx(0.5)]
    clock.now += 0.5
    assert refused(bucket) is None
    assert refused(bucket) == pytest.approx(0.5)
    clock.now += 100
    assert [refused(bucket) for _ in range(4)] == [None, None, None, pytest.approx(0.5)]


def test_classes_and_clients_have_buckets_of_their_own(clock):
    bucket = limits(clock, burst=1)
    assert refused(bucket, "a") is None
    assert refused(bucket, "a") is not None
    assert refused(bucket, "b") is None
    assert refused(bucket, "a", "write") is None


@given(
    burst=st.integers(1, 20),
    per_second=st.floats(0.1, 100),
    pauses=st.lists(st.floats(0, 3), min_size=1, max_size=60),
)
def test_never_more_than_the_rate_allows_and_the_wait_is_exact(burst, per_second, pauses):
    clock = Clock()
    bucket = limits(clock, burst=burst, per_second=per_second)
    begun = clock.now
    for passed, pause in enumerate(pauses, 1):
        clock.now += pause
        wait = refused(bucket)
        if wait is not None:
            assert wait <= 1 / per_second + 1e-5
            clock.now += wait / 2
            assert refused(bucket) is not None or wait < 1e-5
            clock.now += wait / 2
            assert refused(bucket) is None
        assert passed <= burst + (clock.now - begun) * per_second + 1.1


def test_whoever_comes_back_when_told_to_is_let_in(clock):
    bucket = limits(clock, burst=1, per_second=0.7)
    for _ in range(100):
        wait = refused(bucket)
        if wait is not None:
            clock.now += math.ceil(wait)
            assert refused(bucket) is None


def test_a_million_requests_from_a_hundred_thousand_addresses_leave_few_behind(clock):
    bucket = RateLimits(clock=clock)
    most = 0
    for number in range(1_000_000):
        clock.now += 0.0001
        refused(bucket, f"2001:db8:{number % 100_000:x}::/64", "page")
        if number % 10_000 == 0:
            most = max(most, len(bucket))
    assert most <= 10_000
    clock.now += 60
    for number in range(10_000):
        clock.now += 0.1
        refused(bucket, f"198.51.100.{number}", "page")
    assert len(bucket) < 10  # the others' buckets are full, which is as good as none


def test_a_flood_of_addresses_takes_the_room_of_its_own_class_only(clock):
    bucket = limits(clock, burst=1, places=10)
    assert refused(bucket, "somebody", "write") is None
    for number in range(1000):
        refused(bucket, number, "read")
    assert refused(bucket, "somebody", "write") is not None
    assert len(bucket) == 11


def test_every_class_has_a_rate():
    assert all(rate.burst >= 1 and rate.per_second > 0 for rate in RATES.values())


# --- streams --------------------------------------------------------------------------------------


def test_several_connections_to_one_film_are_one_stream():
    streams = Streams(most=2)
    with streams.sending("ben", "a"), streams.sending("ben", "a"), streams.sending("ben", "b"):
        with pytest.raises(TooManyStreamsError) as refusal, streams.sending("ben", "c"):
            pass
        assert refusal.value.retry_after > 0
        with streams.sending("anna", "c"), streams.sending("ben", "a"):
            pass
    with streams.sending("ben", "c"), streams.sending("ben", "d"):
        pass
    assert streams._of_user == {}


def test_one_film_over_endless_connections_is_too_much_too():
    streams = Streams(most=1)
    with ExitStack() as connections:
        for _ in range(4):
            connections.enter_context(streams.sending("ben", "a"))
        with pytest.raises(TooManyStreamsError):
            connections.enter_context(streams.sending("ben", "a"))


# --- as requests ----------------------------------------------------------------------------------


@pytest.fixture
async def house(tmp_path):
    async with open_doorstep(tmp_path) as house:
        yield house


async def test_who_asks_too_often_is_told_when_to_come_back_and_it_is_written_down(house):
    app = house.app()
    with kept(app):
        async with TestClient(TestServer(app)) as client:
            body = {"email": "ben@example.org", "password": "wrong"}
            statuses = [
                (await client.post("/api/auth/device", json={"device_name": "TV"})).status
                for _ in range(RATES["sign_in"].burst)
            ]
            assert 429 not in statuses[:5]
            answer = await client.post("/api/auth/login", json=body)
            document = await answer.json(content_type=None)
            assert (answer.status, document["code"]) == (429, "rate_limited")
            assert answer.headers["Retry-After"] == "1"
            # Other things are not refused for it.
            assert (await client.get("/api/server")).status == 200
            house.clock.pass_by(seconds=1)
            assert (await client.post("/api/auth/login", json=body)).status == 401
    (noted,) = await house.noted("rate_limited")
    assert (noted["route"], noted["address"]) == ("POST /api/auth/login", "127.0.0.1")


async def test_a_user_is_counted_wherever_they_are(house):
    settings = WebSettings(trusted_proxies=["127.0.0.1"], proxy_secret=Secret("s"))
    async with TestClient(TestServer(house.app(settings=settings))) as client:

        async def status(number: int, who: dict[str, str]) -> int:
            sent = {
                **who,
                "X-Miauflix-Proxy-Secret": "s",
                "X-Forwarded-For": f"203.0.{number // 256}.{number % 256}",
            }
            async with client.get("/api/me", headers=sent) as answer:
                return answer.status

        burst = RATES["read"].burst
        assert {await status(number, house.as_user) for number in range(burst)} == {200}
        assert await status(burst, house.as_user) == 429
        assert await status(burst, house.as_admin) == 200


async def test_limits_can_be_turned_off_for_a_measurement(house):
    app = house.app(settings=WebSettings(rate_limits=False))
    async with TestClient(TestServer(app)) as client:
        for _ in range(RATES["read"].burst + 10):
            assert (await client.get("/api/health")).status == 200
