"""Asking a provider as a good guest: once, not too fast, and not for ever."""

import asyncio
import gc
import logging
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from msgspec import Struct

from miauflixd.catalogue.providers.pace import Pace
from miauflixd.catalogue.providers.polite import PoliteApi
from miauflixd.catalogue.providers.provider import (
    GoneError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from miauflixd.catalogue.providers.replies import RequestRejectedError, each
from miauflixd.egress.errors import EgressError
from miauflixd.runtime.priority import Priority
from tests.provider_house import NOON, FakeHttp, FakeTimer, Said, WallClock, settle

BASE = "https://api.example/3"
WAITED_FOR, ROUTINE = Priority.WAITED_FOR, Priority.ROUTINE
SECRET = "Bearer very secret"
LONGEST_PATIENCE = 0.05
"""Seconds of a person, of whom a test wants to see the patience end."""


class Shape(Struct, frozen=True):
    a: int = 0


class House:
    """An API, the server behind it, and the time."""

    def __init__(self, http: FakeHttp, timer: FakeTimer, clock: WallClock) -> None:
        self.http = http
        self.timer = timer
        self.clock = clock
        self.slept: list[float] = []
        self.jitter = 0.5
        self.api: PoliteApi

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def get(self, path: str = "/a", query: Any = None, **rest: Any) -> Shape:
        rest = {"kind": Shape, "priority": ROUTINE, **rest}
        return await self.api.get(path, query, **rest)

    @property
    def condition(self) -> str:
        return self.api.health.state().condition


@asynccontextmanager
async def house(*answers: Said | Exception, base: str = BASE, **rest: Any):
    timer = FakeTimer()
    found = House(FakeHttp(*answers), timer, WallClock())
    pace = Pace(company="TMDB", per_second=1e6, burst=1000, at_once=10, timer=timer)
    rest = {"headers": lambda: {"Authorization": SECRET}, "monotonic": timer.time, **rest}
    async with PoliteApi.open(
        http=found.http,
        name="tmdb",
        company="TMDB",
        base=base,
        official=BASE,
        pace=pace,
        clock=found.clock,
        refusal="Set another key",
        sleep=found.sleep,
        jitter=lambda: found.jitter,
        **rest,
    ) as api:
        found.api = api
        yield found


# --- what is asked --------------------------------------------------------------------------------


async def test_a_question_becomes_one_get_with_the_secret_in_a_header_alone():
    async with house() as h:
        assert await h.get("/search", {"query": "tom & jerry/\u00e9", "page": 2}) == Shape(a=1)

    (asked,) = h.http.asked
    assert asked.method == "GET"
    assert asked.url == f"{BASE}/search?query=tom+%26+jerry%2F%C3%A9&page=2"
    assert asked.headers == {"Accept": "application/json", "Authorization": SECRET}
    assert asked.limit == 8 * 2**20
    assert asked.allow == ()


async def test_only_an_api_that_somebody_chose_may_be_in_the_house():
    async with house(base="http://192.168.1.9:8080/3/") as h:
        await h.get()

    assert h.http.asked[0].allow == ("http://192.168.1.9:8080/3",)
    assert h.http.asked[0].url == "http://192.168.1.9:8080/3/a"


async def test_half_a_surrogate_pair_is_asked_for_as_a_question_mark():
    async with house() as h:
        await h.get("/search", {"query": "a\ud800"})

    assert h.http.asked[0].url.endswith("?query=a%3F")


async def test_what_is_sent_is_sent_once_and_the_answer_is_whatever_was_expected():
    async with house(Said(status=409, body=b'{"a": 2}')) as h:
        reply = await h.api.post("/x", {"b": 1}, priority=ROUTINE, expects={409})
        assert (reply.status, h.api.decode(reply.body, Shape)) == (409, Shape(a=2))
        h.http.answers = [Said(status=500)]
        with pytest.raises(ProviderUnavailableError):
            await h.api.post("/x", {"b": 1}, priority=ROUTINE)
        assert len(h.http.asked) == 2
        with pytest.raises(ProviderUnavailableError):
            await h.api.post("/x", {"b": 1}, priority=ROUTINE, again=True)

    assert [(one.method, one.json) for one in h.http.asked] == [("POST", {"b": 1})] * 5


# --- one question, however many ask it ------------------------------------------------------------


async def test_who_ask_the_same_share_one_request_and_its_answer():
    async with house() as h, asyncio.TaskGroup() as group:
        h.http.gate.clear()
        tasks = [group.create_task(h.get()) for _ in range(5)]
        other = group.create_task(h.get("/b"))
        await settle()
        assert len(h.http.asked) == 2
        h.http.gate.set()

    assert {task.result() for task in [*tasks, other]} == {Shape(a=1)}


async def test_who_ask_the_same_share_its_failure_too():
    async with house(Said(status=404)) as h, asyncio.TaskGroup() as group:
        h.http.gate.clear()

        async def ask() -> bool:
            with pytest.raises(GoneError):
                await h.get()
            return True

        tasks = [group.create_task(ask()) for _ in range(5)]
        await settle()
        h.http.gate.set()

    assert all(task.result() for task in tasks)
    assert len(h.http.asked) == 1


async def test_one_who_gives_up_stops_nobody_else():
    async with house() as h, asyncio.TaskGroup() as group:
        h.http.gate.clear()
        first = group.create_task(h.get())
        await settle()
        second = group.create_task(h.get())
        await settle()
        first.cancel()
        await settle()
        assert h.http.given_up == 0
        h.http.gate.set()

    assert second.result() == Shape(a=1)
    assert first.cancelled()
    assert len(h.http.asked) == 1


async def test_a_question_that_nobody_waits_for_is_given_up_and_can_be_asked_anew():
    async with house() as h, asyncio.TaskGroup() as group:
        h.http.gate.clear()
        tasks = [group.create_task(h.get()) for _ in range(3)]
        await settle()
        for task in tasks:
            task.cancel()
        await settle()
        assert h.http.given_up == 1
        h.http.gate.set()
        assert await h.get() == Shape(a=1)

    assert len(h.http.asked) == 2


async def test_answers_for_one_person_are_not_another_s():
    async with house(Said(headers={"Cache-Control": "max-age=60"})) as h:
        h.http.gate.clear()

        async def ask(token: str) -> Any:
            return await h.api.ask(
                "/me", kind=Shape, priority=ROUTINE, headers={"Authorization": token}
            )

        async with asyncio.TaskGroup() as group:
            for token in ["anna", "ben", "anna"]:
                group.create_task(ask(token))
            await settle()
            h.http.gate.set()
        await ask("ben")

    assert [one.headers["Authorization"] for one in h.http.asked] == ["anna", "ben"]


async def test_what_is_under_way_when_the_house_closes_is_given_up_with_an_error():
    async with asyncio.TaskGroup() as group, house() as h:
        h.http.gate.clear()

        async def ask() -> bool:
            with pytest.raises(ProviderUnavailableError):
                await h.get()
            return True

        tasks = [group.create_task(ask()) for _ in range(2)]
        await settle()

    assert all(task.result() for task in tasks)
    assert h.http.given_up == 1


async def test_a_failure_that_nobody_hears_any_more_is_no_complaint_of_the_loop_s():
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with house(Said(status=404)) as h, asyncio.TaskGroup() as group:
        h.http.gate.clear()
        task = group.create_task(h.get())
        await settle()
        h.http.gate.set()
        await asyncio.sleep(0)
        task.cancel()
    gc.collect()

    assert complaints == []


# --- what is kept ---------------------------------------------------------------------------------


def kept(seconds: int, etag: str | None = None, **more: str) -> Said:
    headers = {"cache-control": f"public, max-age={seconds}"} | ({"etag": etag} if etag else {})
    return Said(headers=headers | more)


async def test_an_answer_is_used_again_for_as_long_as_the_server_says():
    async with house(kept(60)) as h:
        for _ in range(3):
            assert await h.get() == Shape(a=1)
        assert len(h.http.asked) == 1
        await h.timer.advance(61)
        await h.get()

    assert len(h.http.asked) == 2
    assert h.api.counts() == {"ok": 2, "kept": 2}


async def test_what_lay_in_a_cache_on_the_way_holds_less_long():
    async with house(kept(60, age="50")) as h:
        await h.get()
        await h.timer.advance(11)
        await h.get()

    assert len(h.http.asked) == 2


async def test_an_old_answer_is_asked_for_by_its_tag_and_may_still_hold():
    async with house(kept(60, 'W/"1"')) as h:
        await h.get()
        await h.timer.advance(61)
        h.http.answers = [Said(status=304, headers={"Cache-Control": "max-age=60"}, body=b"")]
        assert await h.get() == Shape(a=1)
        assert await h.get() == Shape(a=1)

    assert [one.headers.get("If-None-Match") for one in h.http.asked] == [None, 'W/"1"']
    assert h.api.counts() == {"ok": 1, "unchanged": 1, "kept": 1}


async def test_an_old_answer_gives_way_to_a_new_one():
    async with house(kept(0, '"1"')) as h:
        await h.get()
        h.http.answers = [Said(headers={"ETag": '"2"'}, body=b'{"a": 2}')]
        assert await h.get() == Shape(a=2)
        await h.get()

    assert h.http.asked[-1].headers["If-None-Match"] == '"2"'


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Cache-Control": "no-store, max-age=60", "ETag": '"1"'},
        {"Cache-Control": "max-age=later"},
        {"Cache-Control": "max-age=-5"},
        {"Cache-Control": "private, no-cache=set-cookie, max-age=60"},
    ],
)
async def test_what_must_not_be_kept_is_not(headers):
    async with house(Said(headers=headers)) as h:
        await h.get()
        await h.get()

    assert "If-None-Match" not in h.http.asked[1].headers


async def test_who_wants_it_new_gets_it_new_and_drives_out_nothing():
    async with house(kept(60, '"1"')) as h:
        await h.get()
        await h.get(cached=False)
        await h.get()
        await h.get("/b", cached=False)
        await h.get("/b")

    assert len(h.http.asked) == 4
    assert all("If-None-Match" not in one.headers for one in h.http.asked)


async def test_memory_for_answers_has_an_end_and_what_was_not_wanted_for_longest_goes():
    body = b'{"a": 1}' + b" " * 1992
    said = Said(headers={"Cache-Control": "max-age=60"}, body=body)
    async with house(said, keep=3 * (2000 + 1024)) as h:
        for path in ["/a", "/b", "/c", "/a", "/d", "/a", "/c", "/b"]:
            await h.get(path)
        h.http.answers = [Said(headers={"Cache-Control": "max-age=60"}, body=body + b" " * 9000)]
        await h.get("/large")
        await h.get("/large")

    paths = [one.url.removeprefix(BASE) for one in h.http.asked]
    assert paths == ["/a", "/b", "/c", "/d", "/b", "/large", "/large"]


async def test_what_cannot_be_understood_is_not_kept():
    hotel = Said(body=b"<html>", headers={"Cache-Control": "max-age=600"})
    async with house(hotel) as h:
        with pytest.raises(ProviderUnavailableError, match="cannot be understood"):
            await h.get()
        h.http.answers = [Said()]
        assert await h.get() == Shape(a=1)


# --- trying again ---------------------------------------------------------------------------------

PASSING: list[Said | Exception] = [
    Said(status=500),
    Said(status=503),
    Said(status=429, headers={"Retry-After": "0"}),
    EgressError("api.example did not answer within 15 s", reason="timeout"),
    EgressError("api.example cannot be reached", reason="connect"),
    EgressError("api.example broke off", reason="protocol"),
    OSError("no socket"),
]


@pytest.mark.parametrize("trouble", PASSING, ids=str)
async def test_what_may_pass_is_tried_twice_more_and_ever_later(trouble):
    async with house(trouble, trouble, Said()) as h:
        assert await h.get() == Shape(a=1)

        assert len(h.http.asked) == 3
        assert h.slept == [0.5, 2.0]
        assert h.condition == "ok"


@pytest.mark.parametrize("trouble", PASSING, ids=str)
async def test_what_does_not_pass_is_left_after_three_attempts(trouble):
    async with house(trouble) as h:
        with pytest.raises(ProviderUnavailableError):
            await h.get()

    assert len(h.http.asked) == 3


FINAL: list[Said | Exception] = [
    *(Said(status=status) for status in (400, 401, 403, 404, 405, 410, 418, 422, 451)),
    Said(status=304),
    Said(status=302),
    EgressError("api.example cannot prove who it is", reason="tls"),
    EgressError("api.example is on a private network", reason="refused"),
    EgressError("api.example sent more than 8 MiB", reason="too_large"),
]


@pytest.mark.parametrize("trouble", FINAL, ids=str)
async def test_what_will_be_the_same_is_not_tried_again(trouble):
    async with house(trouble) as h:
        with pytest.raises((ProviderUnavailableError, GoneError)):
            await h.get()

    assert len(h.http.asked) == 1
    assert h.slept == []


async def test_not_all_try_again_at_the_same_time():
    async with house(Said(status=500)) as h:
        h.jitter = 0.0
        with pytest.raises(ProviderUnavailableError):
            await h.get()
        h.jitter = 1.0
        with pytest.raises(ProviderUnavailableError):
            await h.get("/b")

    assert h.slept[:2] == [0.25, 1.0]


async def test_a_server_that_says_when_is_asked_then():
    async with house(Said(status=429, headers={"retry-after": "7"}), Said()) as h:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(h.get())
            await h.timer.advance(6)
            assert len(h.http.asked) == 1
            assert h.condition == "resting"
            await h.timer.advance(2)
        assert task.result() == Shape(a=1)

        assert h.slept == []
        assert h.condition == "ok"


async def test_a_person_is_told_at_once_that_a_server_wants_to_be_left_alone():
    async with house(Said(status=429, headers={"Retry-After": "30"})) as h:
        with pytest.raises(ProviderUnavailableError, match="left alone") as caught:
            await h.get(priority=WAITED_FOR)
        assert caught.value.retry_after == 30
        with pytest.raises(ProviderUnavailableError):
            await h.get("/b", priority=WAITED_FOR)

    assert len(h.http.asked) == 1


async def test_a_person_waits_for_so_long_and_no_longer_whatever_it_takes():
    async with house(person_within=LONGEST_PATIENCE) as h, asyncio.TaskGroup() as group:
        h.http.gate.clear()
        routine = group.create_task(h.get())
        await settle()
        with pytest.raises(ProviderUnavailableError, match="within"):
            await h.get(priority=WAITED_FOR)
        with pytest.raises(ProviderUnavailableError, match="within"):
            await h.get("/b", priority=WAITED_FOR)
        await settle()
        assert h.http.given_up == 1  # /b; others still wait for /a
        h.http.gate.set()

    assert routine.result() == Shape(a=1)


async def test_routine_is_hurried_when_a_person_comes_to_wait_for_the_same():
    async with house() as h, asyncio.TaskGroup() as group:
        h.http.gate.clear()
        for n in range(10):  # as many as may be under way
            group.create_task(h.get(f"/busy{n}"))
        await settle()
        for path in ["/r1", "/r2"]:
            group.create_task(h.get(path))
        await settle()
        group.create_task(h.get("/r2", priority=WAITED_FOR))
        await settle()
        h.http.gate.set()

    assert [one.url.removeprefix(BASE) for one in h.http.asked][10:] == ["/r2", "/r1"]


# --- how it is doing ------------------------------------------------------------------------------


async def test_a_provider_is_unknown_until_it_has_answered():
    async with house() as h:
        assert h.condition == "unknown"
        await h.get()
        state = h.api.health.state()

    assert (state.name, state.condition, state.since) == ("tmdb", "ok", NOON)
    assert state.reason
    assert state.next


async def test_one_that_has_answered_may_fail_twice_before_it_counts_as_an_outage():
    async with house() as h:
        await h.get()
        h.http.answers = [Said(status=500)]
        seen = []
        for _ in range(4):
            h.clock.advance(60)
            with pytest.raises(ProviderUnavailableError):
                await h.get()
            seen.append((h.condition, len(h.http.asked)))
        state = h.api.health.state()

        # And once it does, it is tried once each time and not three times.
        assert seen == [("ok", 4), ("ok", 7), ("failing", 10), ("failing", 11)]
        assert state.since == NOON + timedelta(seconds=180)
        assert "status 500" in state.reason
        h.http.answers = [Said()]
        await h.get()
        assert h.condition == "ok"


async def test_one_that_never_answered_is_failing_at_once():
    async with house(OSError("no network")) as h:
        with pytest.raises(ProviderUnavailableError):
            await h.get()
        assert h.condition == "failing"


async def test_a_key_that_is_not_accepted_says_what_to_do():
    async with house(Said(status=401)) as h:
        with pytest.raises(ProviderRefusedError):
            await h.get()
        state = h.api.health.state()

    assert (state.condition, state.next) == ("refused", "Set another key")


async def test_somebody_s_own_token_that_is_not_accepted_is_no_matter_of_the_provider_s():
    async with house() as h:
        await h.get()
        h.http.answers = [Said(status=401, body=b"who?")]
        with pytest.raises(RequestRejectedError) as caught:
            await h.api.ask(
                "/me", kind=Shape, priority=ROUTINE, headers={"Authorization": "Bearer anna"}
            )
        assert (caught.value.reply.status, caught.value.reply.body) == (401, b"who?")
        assert h.condition == "ok"


async def test_what_is_gone_or_not_accepted_says_nothing_of_how_it_is_doing():
    async with house(Said(status=404)) as h:
        for status in (404, 422) * 3:
            h.http.answers = [Said(status=status)]
            with pytest.raises((GoneError, RequestRejectedError)):
                await h.get()
        assert h.condition == "unknown"
        assert h.api.counts() == {"gone": 3, "rejected": 3}


async def test_after_its_rest_it_is_unknown_and_not_resting_for_ever():
    async with house(Said(status=429, headers={"Retry-After": "3600"})) as h:
        with pytest.raises(ProviderUnavailableError):
            await h.get()
        state = h.api.health.state()
        assert (state.condition, state.next) == (
            "resting",
            "It is asked again after 2026-11-22 13:00:00+00:00",
        )
        h.clock.advance(3601)
        assert h.condition == "unknown"


async def test_json_of_another_shape_three_times_is_an_outage_too():
    async with house() as h:
        await h.get()
        h.http.answers = [Said(body=b'{"a": "one"}')]
        for _ in range(3):
            with pytest.raises(ProviderUnavailableError):
                await h.get()
        assert h.condition == "failing"
        assert h.api.counts()["nonsense"] == 3


async def test_a_day_without_internet_is_two_lines_in_the_log_and_tells_nothing(caplog):
    caplog.set_level(logging.INFO)
    async with house(EgressError("The name api.example has no address", reason="name")) as h:
        for n in range(200):
            h.clock.advance(400)
            with pytest.raises(ProviderUnavailableError):
                await h.get("/search", {"query": f"secret {n}"})
        h.http.answers = [Said()]
        await h.get()
        await h.get()

    said = [(one.levelname, one.getMessage()) for one in caplog.records]
    assert said == [
        ("WARNING", "TMDB does not answer, or nothing that can be used"),
        ("INFO", "TMDB answers again"),
    ]


async def test_no_error_tells_the_key_or_what_was_asked(caplog):
    caplog.set_level(logging.DEBUG)
    said = []
    nonsense = [Said(body=b"{"), Said(body=b'{"a": "secret"}')]
    for trouble in [*PASSING, *FINAL, *nonsense]:
        async with house(trouble) as h:
            with pytest.raises((ProviderUnavailableError, GoneError)) as caught:
                await h.get("/search", {"query": "private"})
            said += [str(caught.value), repr(caught.value), repr(h.api.health.state())]

    for text in [*said, caplog.text]:
        assert "secret" not in text
        assert "private" not in text or "private network" in text


# --- pieces ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [None, 7, "abc", {"a": 1}, []])
def test_what_is_no_list_has_no_items(raw):
    assert each(raw, Shape) == []


def test_an_item_that_is_none_spoils_no_other():
    raw: list[object] = [{"a": 1}, None, 7, {"a": "x"}, [], {"b": 1}, {"a": 2}]

    assert each(raw, Shape) == [Shape(a=1), Shape(), Shape(a=2)]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 100_000, b'"text"', b"null", b"[1]", b'{"a": 1e999}']
)
async def test_any_bytes_are_an_answer_or_one_kind_of_error(body):
    async with house(Said(body=body)) as h:
        with pytest.raises(ProviderUnavailableError, match="cannot be understood"):
            await h.get()
