"""Who may do what: every route there is, asked by everybody there is.

What is expected follows from a route's policy alone, so a new route is asked about as it appears.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

import pytest

from miauflixd.auth.model import Actor, Role, UserChanges
from miauflixd.web.application import EVERY_ROUTE
from miauflixd.web.routes import Policy, Route
from tests.doorstep import bearer
from tests.web_house import Web, open_web

Headers = Mapping[str, str]


class Outcome(Enum):
    """What a policy makes of somebody."""

    LET_IN = auto()
    """The handler answers, whatever it says."""
    UNKNOWN = auto()
    """401: sign in first."""
    FORBIDDEN = auto()
    """403: somebody else may."""


LET_IN, UNKNOWN, FORBIDDEN = Outcome.LET_IN, Outcome.UNKNOWN, Outcome.FORBIDDEN


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who asks."""

    shows: Callable[[Web], Awaitable[Headers]]
    """Makes what they show at the door; afresh for each route, since some routes end sessions."""
    user: Outcome
    admin: Outcome
    metrics: Outcome

    def expected(self, policy: Policy) -> Outcome:
        match policy:
            case Policy.OPEN:
                return LET_IN
            case Policy.USER | Policy.STREAM:
                return self.user
            case Policy.ADMIN:
                return self.admin
            case Policy.STREMIO | Policy.PLAYLIST:
                return UNKNOWN  # who asks stands in the address, and "none" is no key
            case Policy.METRICS:
                return self.metrics


async def nothing(_web: Web) -> Headers:
    return {}


async def nothing_from_elsewhere(_web: Web) -> Headers:
    return {"X-Forwarded-For": "198.51.100.7"}


async def as_user(web: Web) -> Headers:
    return bearer(await web.token_of((await web.household.accounts.all())[1]))


async def as_other_user(web: Web) -> Headers:
    return bearer(await web.token_of((await web.household.accounts.all())[2]))


async def as_admin(web: Web) -> Headers:
    return bearer(await web.token_of(await web.admin()))


async def as_disabled_admin(web: Web) -> Headers:
    """Return what opened every door until a moment ago."""
    accounts = web.household.accounts
    other = next(one for one in await accounts.all() if one.display_name == "Dora")
    await accounts.update(other.id, UserChanges(disabled=False), actor=Actor())
    headers = bearer(await web.token_of(other))
    await accounts.update(other.id, UserChanges(disabled=True), actor=Actor())
    return headers


async def as_expired_admin(web: Web) -> Headers:
    headers = await as_admin(web)
    web.clock.pass_by(hours=1)
    return headers


# An access token is no key for figures; programs on this machine need none.
PEOPLE = {
    "anonymous": Person(shows=nothing, user=UNKNOWN, admin=UNKNOWN, metrics=LET_IN),
    "anonymous from elsewhere": Person(
        shows=nothing_from_elsewhere, user=UNKNOWN, admin=UNKNOWN, metrics=UNKNOWN
    ),
    "user": Person(shows=as_user, user=LET_IN, admin=FORBIDDEN, metrics=UNKNOWN),
    "other user": Person(shows=as_other_user, user=LET_IN, admin=FORBIDDEN, metrics=UNKNOWN),
    "admin": Person(shows=as_admin, user=LET_IN, admin=LET_IN, metrics=UNKNOWN),
    "disabled": Person(shows=as_disabled_admin, user=UNKNOWN, admin=UNKNOWN, metrics=UNKNOWN),
    "expired": Person(shows=as_expired_admin, user=UNKNOWN, admin=UNKNOWN, metrics=UNKNOWN),
}

OWN_TOKEN = ("POST", "/api/auth/refresh")
"""Open, and yet 401: what it asks for is a refresh token in the body, which nobody brings here."""


@pytest.fixture
async def web(tmp_path):
    async with open_web(tmp_path) as web:
        await web.add("ben")
        await web.add("cleo")
        await web.add("dora", role=Role.ADMIN)
        yield web


async def outcome(web: Web, method: str, route: Route, headers: Headers) -> Outcome:
    """Ask, and look no further than the status: a stream has no end to wait for."""
    path = re.sub(r"\{\w+\}", "none", route.path)
    async with web.session.request(method, web.url + path, headers=headers) as response:
        return {401: UNKNOWN, 403: FORBIDDEN}.get(response.status, LET_IN)


@pytest.mark.parametrize("name", PEOPLE)
async def test_everybody_may_do_what_the_policies_say_and_nothing_else(web, name):
    person = PEOPLE[name]
    asked = [
        (method, route)
        for route in EVERY_ROUTE
        for method in (("GET", "HEAD") if route.method == "GET" else (route.method,))
        if (route.method, route.path) != OWN_TOKEN
    ]
    found = {
        f"{method} {route.path}": await outcome(web, method, route, await person.shows(web))
        for method, route in asked
    }
    assert found == {
        f"{method} {route.path}": person.expected(route.policy) for method, route in asked
    }
