"""Every route says who may use it, and the router holds to it for each of them."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from miauflixd.auth.model import Actor, UserChanges
from miauflixd.web.application import EVERY_ROUTE
from miauflixd.web.keys import ROUTES
from miauflixd.web.routes import Policy, Route
from miauflixd.web.settings import WebSettings
from tests.contract import kept
from tests.doorstep import bearer, open_doorstep

OPEN = {
    ("GET", "/"),
    ("GET", "/static/{name}"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/docs"),
    ("GET", "/api/health"),
    ("GET", "/api/server"),
    ("POST", "/api/setup"),
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/refresh"),
    ("POST", "/api/auth/logout"),
    ("POST", "/api/auth/device"),
    ("POST", "/api/auth/device/token"),
}
OF_KEYS = {Policy.METRICS, Policy.STREMIO, Policy.PLAYLIST}
"""For programs, which have keys and no accounts."""

"""Whoever opens another route to everybody has to say so here as well."""


@pytest.fixture
async def house(tmp_path):
    async with open_doorstep(tmp_path) as house:
        yield house


@pytest.fixture
def app(house):
    app = house.app(settings=WebSettings(rate_limits=False))
    with kept(app):
        yield app


@pytest.fixture
async def client(app):
    async with TestClient(TestServer(app)) as client:
        yield client


def test_nothing_is_answered_that_has_no_policy(app):
    policies = app[ROUTES]
    without = [route for route in app.router.routes() if route not in policies]
    assert without == []


def test_what_is_open_to_everybody_is_what_should_be():
    found = {(one.method, one.path) for one in EVERY_ROUTE if one.policy is Policy.OPEN}
    assert found == OPEN


def test_no_address_is_answered_twice():
    addresses = [(one.method, one.path) for one in EVERY_ROUTE]
    assert len(addresses) == len(set(addresses))


async def test_what_somehow_got_no_policy_is_answered_to_nobody(house):
    app = house.app()

    async def handler(request):
        return web.Response(text="a secret")

    app.router.add_get("/api/stray", handler)
    async with TestClient(TestServer(app), headers=house.as_admin) as client:
        assert (await client.get("/api/stray")).status == 404


async def answers(
    client: TestClient[Any, Any], headers: Mapping[str, str]
) -> list[tuple[Route, int]]:
    """Ask every route, without a body, and return the status of each that is not streamed."""
    found: list[tuple[Route, int]] = []
    # Signing out comes last: afterwards there would be nobody to ask.
    for route in sorted(EVERY_ROUTE, key=lambda one: one.path == "/api/auth/logout"):
        if (route.method, route.path) == ("GET", "/api/events"):
            async with client.get("/api/events", headers=headers) as response:
                found.append((route, response.status))
            continue
        path = re.sub(r"\{\w+\}", "none", route.path)
        answer = await client.request(route.method, path, headers=headers)
        await answer.read()
        found.append((route, answer.status))
    return found


async def test_nobody_in_particular_is_asked_who_they_are_everywhere_else(client):
    for route, status in await answers(client, {}):
        if route.path == "/api/auth/refresh":
            continue  # which wants its own token in the body
        is_let_in = route.policy in {Policy.OPEN, Policy.METRICS}
        assert (status == 401) is not is_let_in, f"{route.method} {route.path}: {status}"


async def test_a_user_may_not_do_what_is_for_administrators(client, house):
    for route, status in await answers(client, house.as_user):
        if route.policy is Policy.ADMIN:
            assert status == 403, f"{route.method} {route.path}"
        elif route.path != "/api/auth/refresh" and route.policy not in OF_KEYS:
            assert status not in {401, 403}, f"{route.method} {route.path}"


async def test_an_administrator_is_refused_nothing(client, house):
    refused = {
        (route.method, route.path): status
        for route, status in (await answers(client, house.as_admin))
        if status in {401, 403}
    }
    # A refresh needs its token, and figures a key of their own.
    keyed = {(one.method, one.path) for one in EVERY_ROUTE if one.policy in OF_KEYS}
    assert refused.keys() <= {("POST", "/api/auth/refresh"), *keyed}


@pytest.mark.parametrize("is_over", ["disabled", "expired", "garbage"])
async def test_whoever_is_not_welcome_any_more_is_told_so_everywhere(client, house, is_over):
    headers = house.as_admin
    match is_over:
        case "disabled":
            await house.add_admin()  # there has to be another one
            changes = UserChanges(disabled=True)
            await house.household.accounts.update(house.admin.id, changes, actor=Actor())
        case "expired":
            house.clock.pass_by(days=1)
        case "garbage":
            headers = bearer("eyJhbGciOiJub25lIn0.e30.")
        case _:
            raise AssertionError
    for route, status in await answers(client, headers):
        if route.policy is not Policy.OPEN:
            assert status == 401, f"{route.method} {route.path}"
