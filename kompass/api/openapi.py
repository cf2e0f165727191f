"""The description of the API in OpenAPI 3.1, made from the models: `/api/v1/openapi.json`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

from kompass.domain.examples import MORE, NOW, smallest
from kompass.domain.examples.parts import Dates
from kompass.domain.kinds import Kind
from kompass.domain.schemas import schema
from kompass.resources import actions
from kompass.resources.catalogue import RESOURCES, Resource
from kompass.resources.fields import Field
from kompass.resources.filters import OPERATORS
from kompass.resources.writes import GIVEN

Json = dict[str, Any]

_SECURITY: list[Json] = [{"basic": []}, {"bearer": []}, {"cookie": []}]

_FORMATS: Mapping[Kind, Json] = {
    Kind.TEXT: {"type": "string"},
    Kind.TEXTS: {"type": "string"},
    Kind.NUMBER: {"type": "number"},
    Kind.INTEGER: {"type": "integer"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.DAY: {"type": "string", "format": "date"},
    Kind.MOMENT: {"type": "string", "format": "date-time"},
}

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
}

_WHY: Mapping[str, str] = {
    "400": "The question itself can't be.",
    "401": "Nobody has logged in.",
    "403": "Somebody else may.",
    "404": "There is no such document, or none that the caller may read.",
    "409": "It doesn't go with what is stored.",
    "412": "The document has changed meanwhile.",
    "413": "It is too large.",
    "415": "It is of another type of content.",
    "422": "It can't be, whoever sends it.",
    "428": "`If-Match` is missing.",
    "503": "The server can't at the moment: `Retry-After` says when to ask again.",
}


@cache
def description() -> Json:
    """The whole of it. Nobody changes it."""
    shared: Json = {}
    paths: Json = {}
    for resource in RESOURCES.values():
        _put_schema(resource, shared)
        paths |= _paths(resource)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "KOMPASS",
            "version": version("kompass"),
            "description": "Documents of the business as resources. Everybody sees and writes what he may.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": _SECURITY,
        "tags": [{"name": one.name, "description": one.label} for one in RESOURCES.values()],
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM, **shared},
            "responses": {
                code: {
                    "description": why,
                    "content": {"application/problem+json": {"schema": _ref("Problem")}},
                }
                for code, why in _WHY.items()
            },
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "AuthSession"},
            },
        },
    }


# -- schemas ---------------------------------------------------------------------------------------


def _put_schema(resource: Resource, shared: Json) -> None:
    """A type's schema, with its parts under names of their own beside it."""
    found = schema(resource.type)
    found.pop("$schema")
    parts: Mapping[str, Json] = found.pop("$defs", {})
    plain = {part: part for part in parts}
    names = {
        part: part if shared.get(part, moved) == moved else f"{resource.type}.{part}"
        for part, body in parts.items()
        for moved in [_moved(body, plain)]
    }
    for part, body in parts.items():
        shared[names[part]] = _moved(body, names)
    whole = _moved(found, names)
    for name in ("_id", *GIVEN):
        if name in whole["properties"]:
            whole["properties"][name] = {**whole["properties"][name], "readOnly": True}
    whole["examples"] = [smallest(resource.type) | MORE[resource.type](Dates(NOW))]
    shared[resource.type] = whole


def _moved(value: Any, names: Mapping[str, str]) -> Any:
    """A part of a schema whose references lead to where the parts are now."""
    if isinstance(value, dict):
        return {
            key: f"#/components/schemas/{names[inner.rpartition('/')[2]]}"
            if key == "$ref"
            else _moved(inner, names)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_moved(inner, names) for inner in value]
    return value


def _ref(name: str) -> Json:
    return {"$ref": _at(name)}


def _at(name: str) -> str:
    return f"#/components/schemas/{name}"


# -- paths -----------------------------------------------------------------------------------------


def _paths(resource: Resource) -> Json:
    one = f"/{resource.name}/{{id}}"
    body: Json = {"schema": _ref(resource.type)}
    told = _told(_ref(resource.type), "The document", etag=True)
    found: Json = {
        f"/{resource.name}": {"get": _listing(resource)},
        one: {
            "parameters": [_ID],
            "get": _operation(resource, "read", "One document", told, _FIELDS),
        },
    }
    if not resource.server_made:
        found[f"/{resource.name}"]["post"] = _writing(
            resource, "create", "A new document", body, created=True
        )
        found[one]["put"] = _writing(resource, "replace", "The document anew", body, _IF_MATCH)
        patch = {"schema": {"type": "object", "description": "A merge patch (RFC 7396)."}}
        found[one]["patch"] = _writing(
            resource, "change", "Some of its members", patch, _IF_MATCH, kind="application/merge-patch+json"
        )
        gone = {"204": {"description": "It is gone."}}
        found[one]["delete"] = _operation(
            resource, "delete", "The document goes", gone, _IF_MATCH, writes=True
        )
    found |= _parts(resource, one)
    return found


def _parts(resource: Resource, one: str) -> Json:
    comment: Json = {"schema": _ref("comment")}
    history = _told({"type": "object", "required": ["entries"]}, "Entries of the chain of writes")
    attached = _told({"type": "object", "required": ["attachments"]}, "What is attached")
    found: Json = {
        f"{one}/history": {
            "parameters": [_ID],
            "get": _operation(resource, "history of", "Who wrote what of it, and when", history),
        },
        f"{one}/comments": {
            "parameters": [_ID],
            "get": _listing(RESOURCES["comments"], "comments on", resource),
            "post": _writing(
                resource, "comment on", "A comment about it", comment, created=True, answers="comment"
            ),
        },
        f"{one}/attachments": {
            "parameters": [_ID],
            "get": _operation(resource, "attachments of", "What is attached to it", attached),
        },
    }
    if actions.names(resource.type):
        steps = _told({"type": "object", "required": ["actions"]}, "Steps the caller may take")
        found[f"{one}/actions"] = {
            "parameters": [_ID],
            "get": _operation(resource, "actions of", "What may be done next", steps),
        }
        name = {
            "name": "action",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "enum": list(actions.names(resource.type))},
        }
        patch = {"schema": {"type": "object", "description": "Members that go with it."}}
        found[f"{one}/actions/{{action}}"] = {
            "parameters": [_ID, name],
            "post": _writing(resource, "act on", "Takes a step", patch, _IF_MATCH, needed=False),
        }
    return found


_ID: Json = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 200}}
_IF_MATCH: Json = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The revision that was read, in quotes; `*` for whichever is there.",
    "schema": {"type": "string"},
}
_FIELDS: Json = {
    "name": "fields",
    "in": "query",
    "description": "Members that are shown, separated by commas, beside `_id` and `_rev`.",
    "schema": {"type": "string"},
}


def _listing(resource: Resource, verb: str = "list", of: Resource | None = None) -> Json:
    """`of`: the list is of what belongs to a document of that resource, and has the same filters."""
    page = {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": {"type": "object", "required": ["_id", "_rev"]}},
            "next": {"type": ["string", "null"], "description": "The cursor of the next page."},
        },
    }
    sorts = [sign + name for name in resource.sortable for sign in ("", "-")]
    parameters: list[Json] = [
        {
            "name": "sort",
            "in": "query",
            "schema": {"type": "string", "enum": sorts, "default": "-modifiedAt"},
        },
        {
            "name": "limit",
            "in": "query",
            "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
        },
        {"name": "cursor", "in": "query", "schema": {"type": "string"}},
        _FIELDS,
        *(map(_filter, resource.fields.values()) if of is None else ()),
    ]
    told = f"Filters take an operator behind a dot: {', '.join(f'`.{one}`' for one in OPERATORS)}."
    operation = _operation(of or resource, verb, "A page of the list", _told(page, "The page"), *parameters)
    return {**operation, "description": told}


def _filter(field: Field) -> Json:
    kind = {**_FORMATS[field.kind], **({"enum": list(field.words)} if field.words else {})}
    return {"name": field.name, "in": "query", "schema": kind}


def _told(body: Json, what: str, *, etag: bool = False) -> Json:
    answer: Json = {"description": what, "content": {"application/json": {"schema": body}}}
    if etag:
        answer["headers"] = {"ETag": {"description": "The revision.", "schema": {"type": "string"}}}
    return {"200": answer}


def _writing(
    resource: Resource,
    verb: str,
    summary: str,
    body: Json,
    *parameters: Json,
    kind: str = "application/json",
    created: bool = False,
    needed: bool = True,
    answers: str = "",
) -> Json:
    answer = _told(_ref(answers or resource.type), "The document as it is now", etag=True)
    answer = {"201" if created else "200": answer["200"]}
    operation = _operation(resource, verb, summary, answer, *parameters, writes=True)
    return {**operation, "requestBody": {"required": needed, "content": {kind: body}}}


def _operation(
    resource: Resource, verb: str, summary: str, answers: Json, *parameters: Json, writes: bool = False
) -> Json:
    codes = ["400", "401", "403", "404", "503"]
    if writes:
        codes += ["409", "412", "413", "415", "422", "428"]
    words = f"{verb} {resource.type}".replace(" ", "_")
    return {
        "operationId": words,
        "summary": summary,
        "tags": [resource.name],
        **({"parameters": list(parameters)} if parameters else {}),
        "responses": {**answers, **{code: {"$ref": f"#/components/responses/{code}"} for code in codes}},
    }
