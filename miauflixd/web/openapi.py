"""The API described (OpenAPI 3.1), out of the routes and the very types that check what is sent."""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from types import UnionType
from typing import Any, get_args

import msgspec

from miauflixd.runtime.secrets import Secret
from miauflixd.web.problems import Problem
from miauflixd.web.routes import Policy, Route

Json = dict[str, Any]

_REF = "#/components/schemas/{name}"

_PARAMETER = re.compile(r"\{(?P<name>\w+)(?::[^{}]*)?\}")

_ALWAYS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "This is not HTTP as it should be",
    HTTPStatus.FORBIDDEN: "Sent by another site's page, or to a name that is not this machine's",
    HTTPStatus.EXPECTATION_FAILED: "What the `Expect` header asks for is not offered",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests; `Retry-After` says when it is worth it again",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The address or a header is too long",
}
_OF_A_BODY: Mapping[HTTPStatus, str] = {
    HTTPStatus.REQUEST_TIMEOUT: "The body took too long to arrive",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is of another kind than those named",
    HTTPStatus.UNPROCESSABLE_ENTITY: "What is sent makes no sense; `errors` names each field",
}
_OF_WHO_ASKS: Mapping[HTTPStatus, str] = {
    HTTPStatus.UNAUTHORIZED: "Not signed in, or not any more; `code` says which",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not possible now; `Retry-After` says when to try again",
}
_SHARED: Mapping[HTTPStatus, str] = {**_ALWAYS, **_OF_A_BODY, **_OF_WHO_ASKS}
_NOT_ADMIN = "Not an administrator; or as for everybody: another site's page, another name"

_SECURITY: Mapping[Policy, list[dict[str, list[str]]]] = {
    Policy.OPEN: [],
    Policy.USER: [{"bearer": []}, {"cookie": []}],
    Policy.ADMIN: [{"bearer": []}, {"cookie": []}],
    Policy.STREAM: [{"streamKey": []}, {"bearer": []}, {"cookie": []}],
    Policy.STREMIO: [{"keyInAddress": []}],
    Policy.PLAYLIST: [{"keyInAddress": []}],
    Policy.METRICS: [{"metricsKey": []}, {}],
}

_SCHEMES: Json = {
    "keyInAddress": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "A key of `POST /api/keys` stands in the address itself, for players that "
        "neither sign in nor send headers.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of `POST /api/auth/login`.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-miauflix_access",
        "description": "What browsers get who ask for cookies; without TLS, `miauflix_access`. "
        "What changes something then needs `Origin` or `Sec-Fetch-Site` as well.",
    },
    "streamKey": {
        "type": "apiKey",
        "in": "query",
        "name": "key",
        "description": "For players, which send no headers: opens this one file.",
    },
    "metricsKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A purpose key for metrics. Programs on this machine need none.",
    },
}

_ABOUT = (
    "A home streaming appliance. Times are RFC 3339 in UTC, durations seconds, sizes bytes. Errors "
    "are problem documents (RFC 9457) with a stable `code`. Whoever is at the control socket may "
    "do what an administrator may."
)


def describe(routes: Sequence[Route], *, version: str) -> bytes:
    """Return the description of these routes as JSON."""
    schemas = _Schemas(routes)
    paths: dict[str, Json] = {}
    for route in routes:
        path = _PARAMETER.sub(r"{\g<name>}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "miauflixd", "version": version, "description": _ABOUT},
            "servers": [{"url": "/"}],
            "paths": paths,
            "components": {
                "schemas": schemas.components,
                "securitySchemes": _SCHEMES,
                "responses": {
                    _name(status): _problem(status, line, schemas)
                    for status, line in _SHARED.items()
                },
                "headers": {
                    "X-Request-ID": {
                        "description": "The name of this request in the log.",
                        "schema": {"type": "string"},
                    },
                    "Retry-After": {
                        "description": "Seconds after which to try again.",
                        "schema": {"type": "integer", "minimum": 0},
                    },
                },
            },
        }
    )


class _Schemas:
    """The schemas of all types that routes name, each once."""

    def __init__(self, routes: Sequence[Route]) -> None:
        types = list(dict.fromkeys([Problem, *(one for route in routes for one in _types(route))]))
        found, self.components = _components(types)
        self._found: dict[Any, Json] = dict(zip(types, found, strict=True))

    def of(self, shape: type | UnionType) -> Json:
        """Return the schema of a type, or of several."""
        if isinstance(shape, UnionType):
            return {"anyOf": [self._found[one] for one in get_args(shape)]}
        return self._found[shape]


def _operation(route: Route, schemas: _Schemas) -> Json:
    module = route.handler.__module__.rpartition(".")[2]
    operation: Json = {
        "operationId": f"{module}.{route.handler.__name__}",
        "tags": [module],
        "summary": route.summary,
        "x-policy": route.policy.value,
        "security": _SECURITY[route.policy],
        "responses": _responses(route, schemas),
    }
    if parameters := [*_in_path(route), *_in_query(route)]:
        operation["parameters"] = parameters
    if content := _request_content(route, schemas):
        operation["requestBody"] = {"required": route.request_required, "content": content}
    return operation


def _in_path(route: Route) -> Iterator[Json]:
    for match in _PARAMETER.finditer(route.path):
        schema = {"type": "string", "minLength": 1}
        yield {"name": match["name"], "in": "path", "required": True, "schema": schema}


def _in_query(route: Route) -> Iterator[Json]:
    if route.query is None:
        return
    (whole,), components = _components([route.query])
    whole = components[whole["$ref"].rpartition("/")[2]]
    keys = {name for scheme in _SECURITY[route.policy] for name in scheme}
    for name, schema in whole["properties"].items():
        if "streamKey" in keys and name == _SCHEMES["streamKey"]["name"]:
            continue  # described as what it is
        yield {
            "name": name,
            "in": "query",
            "required": name in whole.get("required", []),
            "schema": _without_null(schema),
        }


def _request_content(route: Route, schemas: _Schemas) -> Json:
    content: Json = {}
    if route.request is not None:
        content["application/json"] = {"schema": schemas.of(route.request)}
    for media in route.request_media:
        content[media] = {"schema": _FILES if media == "multipart/form-data" else {}}
    return content


_FILES: Json = {
    "type": "object",
    "properties": {
        "file": {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
    },
    "required": ["file"],
}


def _responses(route: Route, schemas: _Schemas) -> Json:
    answers: dict[HTTPStatus, str] = {**_ALWAYS}
    if route.policy is not Policy.OPEN:
        answers |= _OF_WHO_ASKS
    if route.policy is Policy.ADMIN:
        answers[HTTPStatus.FORBIDDEN] = _NOT_ADMIN
    if route.request is not None or route.request_media:
        answers |= _OF_A_BODY
    elif route.query is not None:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        answers[status] = _OF_A_BODY[status]
    if _PARAMETER.search(route.path):
        answers[HTTPStatus.NOT_FOUND] = "There is no such thing"
    answers[route.status] = route.status.phrase
    answers |= route.other
    return {
        str(status.value): {"$ref": f"#/components/responses/{_name(status)}"}
        if _SHARED.get(status) == line
        else _response(status, line, route, schemas)
        for status, line in sorted(answers.items())
    }


def _name(status: HTTPStatus) -> str:
    return "".join(word.title() for word in status.name.split("_"))


def _response(status: HTTPStatus, line: str, route: Route, schemas: _Schemas) -> Json:
    if status >= HTTPStatus.BAD_REQUEST:
        return _problem(status, line, schemas)
    response: Json = {"description": line, "headers": _headers(status)}
    if status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
        return response
    if route.response is not None:
        response["content"] = {"application/json": {"schema": schemas.of(route.response)}}
    elif route.response_media is not None:
        response["content"] = {route.response_media: {}}
    return response


def _problem(status: HTTPStatus, line: str, schemas: _Schemas) -> Json:
    return {
        "description": line,
        "headers": _headers(status),
        "content": {"application/problem+json": {"schema": schemas.of(Problem)}},
    }


def _headers(status: HTTPStatus) -> Json:
    names = ["X-Request-ID"]
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        names.append("Retry-After")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _types(route: Route) -> Iterator[Any]:
    for shape in (route.request, route.response):
        if isinstance(shape, UnionType):
            yield from get_args(shape)
        elif shape is not None:
            yield shape


def _components(types: Sequence[Any]) -> tuple[tuple[Json, ...], Json]:
    """Return the schemas of types, and those that these refer to."""
    found, components = msgspec.json.schema_components(
        types, schema_hook=_of_our_own, ref_template=_REF
    )
    return found, _portable(components)


def _portable(schema: Any) -> Any:
    r"""Return a schema with patterns as JSON Schema has them: only Python knows `\Z`."""
    match schema:
        case {"pattern": str(pattern), **rest}:
            return {"pattern": pattern.replace(r"\Z", "$"), **_portable(rest)}
        case dict():
            return {key: _portable(value) for key, value in schema.items()}
        case list():
            return [_portable(one) for one in schema]
        case _:
            return schema


def _without_null(schema: Json) -> Json:
    """Return what a parameter can be when it is there: without one is what `null` is in JSON."""
    match schema:
        case {"anyOf": [one, {"type": "null"}], **rest}:
            return {**one, **{key: value for key, value in rest.items() if key != "default"}}
        case _:
            return schema


def _of_our_own(kind: type) -> Json:
    if kind is Secret:
        return {"type": "string", "format": "password", "writeOnly": True}
    raise NotImplementedError
