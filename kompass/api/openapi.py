"""The description of the API in OpenAPI 3.1, made from the models and the routes: `/api/v1/openapi.json`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, Literal

from pydantic import TypeAdapter
from starlette.routing import BaseRoute, Mount

from kompass.api import document_description
from kompass.api.endpoints import JSON, Endpoint, Json
from kompass.api.problems import MEDIA_TYPE
from kompass.resources.catalogue import RESOURCES

SCHEMAS = "#/components/schemas/"

_SECURITY: list[Json] = [{"basic": []}, {"bearer": []}, {"cookie": []}]

_PROBLEM: Json = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong and what to do; German if asked for."},
        "rule": {"type": "string", "description": "The name of the rule that refused a write."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "A JSON Pointer into what was sent."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
    "examples": [
        {
            "type": "about:blank",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "customer: companyName is missing.",
            "rule": "model",
            "errors": [{"pointer": "/companyName", "detail": "is missing"}],
        }
    ],
}

_WHY: Mapping[int, str] = {
    400: "The question itself can't be.",
    401: "Nobody has logged in.",
    403: "Somebody else may.",
    404: "There is no such thing, or none that the caller may read.",
    406: "There is none of the types of content that the caller takes.",
    409: "It doesn't go with what is stored.",
    410: "It is there no more.",
    412: "The document has changed meanwhile.",
    413: "It is too large.",
    415: "It is of another type of content.",
    416: "There is no such range of bytes.",
    422: "It can't be, whoever sends it.",
    428: "`If-Match` is missing.",
    429: "Too much was asked: `Retry-After` says when to ask again.",
    503: "The server can't at the moment: `Retry-After` says when to ask again.",
}


def description(routes: Iterable[BaseRoute]) -> Json:
    """The whole of it: types of documents, and every `Endpoint` among the routes."""
    shared: Json = {}
    paths: Json = {}
    tags = {one.name: one.label for one in RESOURCES.values()}
    for resource in RESOURCES.values():
        document_description.put_schema(resource, shared)
        paths |= document_description.paths(resource)
    endpoints = list(_endpoints(routes))
    schemas = _Schemas(endpoints)
    twice = shared.keys() & schemas.shared.keys()
    assert not twice, f"two schemas have one name: {', '.join(twice)}"
    for one in endpoints:
        tags.setdefault(one.tag, one.about)
        paths.setdefault(one.address, {})[one.method] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "KOMPASS",
            "version": version("kompass"),
            "description": "Documents of the business as resources, and what belongs to them. Everybody sees"
            " and writes what he may.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": _SECURITY,
        "tags": [{"name": name, "description": about} for name, about in tags.items()],
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM, **shared, **schemas.shared},
            "responses": {str(code): _refusal(code, why) for code, why in _WHY.items()},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "AuthSession"},
            },
        },
    }


def _endpoints(routes: Iterable[BaseRoute]) -> Iterator[Endpoint]:
    for route in routes:
        if isinstance(route, Mount):
            yield from _endpoints(route.routes)
        elif isinstance(route, Endpoint):
            yield route


def _refusal(code: int, why: str) -> Json:
    told: Json = {"description": why, "content": {MEDIA_TYPE: {"schema": {"$ref": f"{SCHEMAS}Problem"}}}}
    if code in (429, 503):
        seconds = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}
        told["headers"] = {"Retry-After": seconds}
    return told


# -- endpoints -------------------------------------------------------------------------------------


class _Schemas:
    """Those of what endpoints take and answer; types that have names are shared."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        asked: list[tuple[int, Literal["validation", "serialization"], TypeAdapter[Any]]] = []
        self._types: dict[int, Any] = {}
        for one in endpoints:
            for kind in (one.body, *one.answers.values()):
                if kind is None or isinstance(kind, dict) or id(kind) in self._types:
                    continue
                self._types[id(kind)] = kind
                asked.append((id(kind), "validation", TypeAdapter(kind)))
        found, shared = TypeAdapter.json_schemas(asked, ref_template=f"{SCHEMAS}{{model}}")
        self._found = {key: schema for (key, _), schema in found.items()}
        self.shared: Json = shared.get("$defs", {})

    def of(self, kind: Any) -> Json:
        found: Json = kind if isinstance(kind, dict) else self._found[id(kind)]
        return found


def _operation(one: Endpoint, schemas: _Schemas) -> Json:
    answers: Json = {}
    for status, kind in one.answers.items():
        answers[str(status)] = {"description": one.summary}
        if kind is not None:
            answers[str(status)]["content"] = {one.media: {"schema": schemas.of(kind)}}
            if one.or_json is not None:
                answers[str(status)]["content"][JSON] = {"schema": one.or_json}
    refusals: Json = {}
    for code in sorted(one.problems):
        if code in one.answers:  # a report about what was refused, or a problem
            answers[str(code)]["content"] |= _refusal(code, _WHY[code])["content"]
        else:
            refusals[str(code)] = {"$ref": f"#/components/responses/{code}"}
    told: Json = {
        "operationId": one.name,
        "summary": one.summary,
        "tags": [one.tag],
        "responses": {**answers, **refusals},
    }
    if one.parameters:
        told["parameters"] = [each.described() for each in one.parameters]
    if one.body is not None:
        content = {"schema": schemas.of(one.body)}
        if one.example is not None:
            content["example"] = one.example
        told["requestBody"] = {"required": one.body_needed, "content": {one.body_media: content}}
    if one.public:
        told["security"] = [{}, *_SECURITY]
    return told
