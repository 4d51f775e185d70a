"""Every answer is compared with what the description of the API promises for it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema_rs
from aiohttp import web

from miauflixd.web.keys import DESCRIPTION, ROUTES


class Contract:
    """Watches an application, and keeps what it found."""

    def __init__(self, app: web.Application) -> None:
        self.broken: list[str] = []
        self.seen: set[tuple[str, str, int]] = set()
        self._routes = app[ROUTES]
        self._document: dict[str, Any] = strict(json.loads(app[DESCRIPTION]().content))
        self._validators: dict[str, Any] = {}
        app.on_response_prepare.append(self._look)

    async def _look(self, request: web.Request, response: web.StreamResponse) -> None:
        route = self._routes.get(request.match_info.route)
        if route is None or route.path not in self._document["paths"]:
            return
        name = f"{route.method} {route.path}: {response.status}"
        self.seen.add((route.method, route.path, response.status))
        documented = self._document["paths"][route.path][route.method.lower()]["responses"]
        if (promised := documented.get(str(response.status))) is None:
            self.broken.append(f"{name} is not in the description")
            return
        if "$ref" in promised:
            promised = self._document["components"]["responses"][promised["$ref"].split("/")[-1]]
        self.broken += [
            f"{name} lacks {header}"
            for header in promised["headers"]
            if header not in response.headers
        ]
        content = promised.get("content", {})
        body = response.body if isinstance(response, web.Response) else None
        if not content:
            if body:
                self.broken.append(f"{name} should have no body")
        elif response.content_type not in content and "*/*" not in content:
            self.broken.append(f"{name} is {response.content_type}, not {set(content)}")
        elif schema := content.get(response.content_type, {}).get("schema"):
            assert isinstance(body, bytes)
            self.broken += [f"{name}: {error}" for error in self._errors(schema, json.loads(body))]

    def _errors(self, schema: dict[str, Any], value: Any) -> list[str]:
        key = json.dumps(schema)
        if key not in self._validators:
            whole = {**schema, "components": self._document["components"]}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        return [error.message for error in self._validators[key].iter_errors(value)]


def strict(schema: Any) -> Any:
    """Return a schema that allows no property but those that it names."""
    match schema:
        case dict():
            changed = {key: strict(value) for key, value in schema.items()}
            if schema.get("type") == "object" and "properties" in schema:
                changed.setdefault("additionalProperties", False)
            return changed
        case list():
            return [strict(one) for one in schema]
        case _:
            return schema


@contextmanager
def kept(app: web.Application) -> Iterator[Contract]:
    """Fail at the end of the block if an answer was another than promised."""
    contract = Contract(app)
    yield contract
    assert contract.broken == []
