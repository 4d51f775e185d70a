"""The description of the API: it is valid, says all, and is what a page can show."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from aiohttp.test_utils import TestClient, TestServer
from schemathesis.core.result import Ok

from miauflixd.web.application import EVERY_ROUTE, STATIC
from miauflixd.web.openapi import describe
from miauflixd.web.routes import Policy
from tests.doorstep import open_doorstep

DOCUMENT = json.loads(describe(EVERY_ROUTE, version="1.2.3"))


@pytest.fixture
async def client(tmp_path):
    async with open_doorstep(tmp_path) as house, TestClient(TestServer(house.app())) as client:
        yield client


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def references(value: Any) -> Iterator[str]:
    match value:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for one in value.values():
                yield from references(one)
        case list():
            for one in value:
                yield from references(one)
        case _:
            pass


def test_schemathesis_can_read_it_and_finds_every_route():
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.validate()
    found = set()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        found.add((result.ok().method.upper(), result.ok().path))
    assert found == {(one.method, re.sub(r":[^{}]*", "", one.path)) for one in EVERY_ROUTE}


def test_every_reference_leads_somewhere():
    for reference in set(references(DOCUMENT)):
        found = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]


def test_every_type_is_a_schema():
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def test_every_operation_has_a_name_of_its_own():
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


def test_every_operation_says_who_may_use_it_and_what_can_go_wrong():
    routes = {(one.method.lower(), one.path): one for one in EVERY_ROUTE}
    for method, path, operation in operations():
        policy = routes[method, path].policy
        assert operation["x-policy"] == policy.value
        assert (operation["security"] == []) is (policy is Policy.OPEN)
        answers = operation["responses"].keys()
        assert {"400", "403", "429"} <= answers
        assert ("401" in answers) or policy is Policy.OPEN
        if "requestBody" in operation:
            assert {"413", "415", "422"} <= answers
        if "{" in path:
            assert "404" in answers
            assert any(one["in"] == "path" for one in operation["parameters"])


def test_parameters_are_described_by_what_checks_them():
    (limit, cursor) = DOCUMENT["paths"]["/api/torrents"]["get"]["parameters"]
    assert limit == {
        "name": "limit",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
    }
    assert cursor["schema"] == {"type": "string", "maxLength": 512}


def test_an_answer_that_depends_on_who_asks_is_one_of_several():
    content = DOCUMENT["paths"]["/api/vpn"]["get"]["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == {
        "anyOf": [
            {"$ref": "#/components/schemas/TunnelShape"},
            {"$ref": "#/components/schemas/PublicShape"},
        ]
    }


async def test_it_is_sent_once_to_who_keeps_it(client):
    answer = await client.get("/api/openapi.json")
    assert await answer.json() == DOCUMENT
    again = await client.get("/api/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")


async def test_the_page_that_shows_it_needs_nothing_from_elsewhere(client):
    page = await client.get("/api/docs")
    assert (page.status, page.content_type) == (200, "text/html")
    text = await page.text()
    for forbidden in ("<style", " style=", " onclick", "http://", "https://", "<script>"):
        assert forbidden not in text
    for path in re.findall(r'(?:href|src)="(/[^"]*)"', text):
        assert (await client.get(path)).status == 200, path
    script = (STATIC / "docs.js").read_text()
    assert "innerHTML" not in script
    assert "http" not in re.sub(r"//.*", "", script)
