"""Types of documents in the description of the API: their schemas, made from the models, and operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kompass.accounting.catalogue import profiles_of
from kompass.api import audit
from kompass.api.endpoints import BYTES, Json
from kompass.api.once import KEY
from kompass.domain.examples import MORE, NOW, smallest
from kompass.domain.examples.parts import Dates
from kompass.domain.kinds import Kind
from kompass.domain.schemas import schema
from kompass.exports.formats import KINDS, Format
from kompass.resources import actions
from kompass.resources.catalogue import RESOURCES, Resource
from kompass.resources.fields import Field
from kompass.resources.filters import MOST_NUMBER, MOST_VALUE, OPERATORS
from kompass.resources.writes import GIVEN

_TEXT: Json = {"type": "string", "maxLength": MOST_VALUE, "pattern": r"^[^\u0000]*$"}
_FORMATS: Mapping[Kind, Json] = {
    Kind.TEXT: _TEXT,
    Kind.TEXTS: _TEXT,
    Kind.NUMBER: {"type": "number", "minimum": -float(MOST_NUMBER), "maximum": float(MOST_NUMBER)},
    Kind.INTEGER: {"type": "integer", "minimum": -float(MOST_NUMBER), "maximum": float(MOST_NUMBER)},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.DAY: {"type": "string", "format": "date"},
    Kind.MOMENT: {"type": "string", "format": "date-time"},
}


# -- schemas ---------------------------------------------------------------------------------------


def put_schema(resource: Resource, shared: Json) -> None:
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


def _shown(resource: Resource) -> Json:
    """A document, or the members that `fields` names."""
    return {"anyOf": [_ref(resource.type), {"type": "object", "required": ["_id", "_rev"]}]}


def _ref(name: str) -> Json:
    return {"$ref": _at(name)}


def _at(name: str) -> str:
    return f"#/components/schemas/{name}"


# -- paths -----------------------------------------------------------------------------------------


def paths(resource: Resource) -> Json:
    one = f"/{resource.name}/{{id}}"
    body: Json = {"schema": _ref(resource.type)}
    told = _told(_shown(resource), "The document", etag=True)
    found: Json = {
        f"/{resource.name}": {"get": _listing(resource)},
        f"/{resource.name}/export": {"get": _export(resource)},
        one: {
            "parameters": [_ID],
            "get": _operation(resource, "read", "One document", told, _fields(resource)),
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
            resource, "delete", "The document goes", gone, _IF_MATCH, KEY.described(), writes=True
        )
    found |= _parts(resource, one)
    return found


def _parts(resource: Resource, one: str) -> Json:
    content = {"type": "string", "minLength": 1}
    comment: Json = {
        "schema": {"type": "object", "required": ["content"], "properties": {"content": content}},
        "examples": {"comment": {"value": {"content": "Rückruf am Montag"}}},
    }
    history = _told(_ref("AuditEntries"), "Entries of the chain of writes")
    attached = _told(_ATTACHMENTS, "What is attached")
    found: Json = {
        f"{one}/history": {
            "parameters": [_ID],
            "get": _operation(
                resource, "history of", "Who wrote what of it, and when", history, *_OF_HISTORY
            ),
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
        f"{one}/attachments/{{name}}": _attachment(resource),
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


def _attachment(resource: Resource) -> Json:
    content: Json = {"content": {"*/*": {}}}  # no schema: bytes of any type
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    part = {"name": "Range", "in": "header", "schema": {"type": "string"}, "description": "Some of it."}
    bytes_of = {
        "200": {"description": "The bytes", **content},
        "206": {"description": "Some of them", **content},
    }
    read = _operation(resource, "read attachment of", "The bytes", bytes_of, part)
    read["responses"]["416"] = {"$ref": "#/components/responses/416"}
    stored = {"201": {"description": "It is stored.", **_json(_STORED)}}
    write = _operation(resource, "attach to", "Stores it", stored, _IF_MATCH, writes=True)
    gone = {"200": {"description": "It is gone.", **_json(_STORED)}}
    return {
        "parameters": [_ID, name],
        "get": read,
        "put": {**write, "requestBody": {"required": True, **content}},
        "delete": _operation(resource, "detach from", "Removes it", gone, _IF_MATCH, writes=True),
    }


def _json(schema: Json) -> Json:
    return {"content": {"application/json": {"schema": schema}}}


_STORED: Json = {
    "type": "object",
    "required": ["ok", "id", "rev"],
    "properties": {"ok": {"const": True}, "id": {"type": "string"}, "rev": {"type": "string"}},
}
_ATTACHMENTS: Json = {
    "type": "object",
    "required": ["attachments"],
    "properties": {
        "attachments": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "contentType", "length", "digest"],
                "properties": {
                    "name": {"type": "string"},
                    "contentType": {"type": "string"},
                    "length": {"type": "integer"},
                    "digest": {"type": "string"},
                },
            },
        }
    },
}
_OF_HISTORY = [one.described() for one in (*audit.PARAMETERS, audit.LIMIT)]
_ID: Json = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
}
_TAGS = r'^(\*|"[!#-~]+"(, *"[!#-~]+")*)$'
"""What `If-Match` may say."""
_IF_MATCH: Json = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The revision that was read, in quotes; `*` for whichever is there.",
    "schema": {"type": "string", "pattern": _TAGS},
}


def _fields(resource: Resource) -> Json:
    return {
        "name": "fields",
        "in": "query",
        "description": "Members that are shown, separated by commas, beside `_id` and `_rev`.",
        "style": "form",
        "explode": False,
        "schema": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": resource.shown}},
    }


def _listing(resource: Resource, verb: str = "list", of: Resource | None = None) -> Json:
    """`of`: the list is of what belongs to a document of that resource, and has the same filters."""
    page = {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": _shown(resource)},
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
        _fields(resource),
        *(map(_filter, resource.fields.values()) if of is None else ()),
    ]
    told = f"Filters take an operator behind a dot: {', '.join(f'`.{one}`' for one in OPERATORS)}."
    operation = _operation(of or resource, verb, "A page of the list", _told(page, "The page"), *parameters)
    return {**operation, "description": told}


def _export(resource: Resource) -> Json:
    listing = _listing(resource, "export")
    profiles = [one.name for one in profiles_of(resource.type)]
    flag = {"type": "boolean", "default": False}
    parameters: list[Json] = [
        {"name": "format", "in": "query", "schema": {"type": "string", "enum": [*Format]}},
        {"name": "package", "in": "query", "schema": flag, "description": "In a ZIP file, with a manifest."},
        {"name": "dry_run", "in": "query", "schema": flag, "description": "The manifest alone."},
        *([{"name": "profile", "in": "query", "schema": {"enum": profiles}}] if profiles else ()),
        {
            "name": "sort",
            "in": "query",
            "schema": {**listing["parameters"][0]["schema"], "default": "createdAt"},
        },
        *(one for one in listing["parameters"] if one["name"] not in ("sort", "limit", "cursor")),
    ]
    files = {kind.media_type: {"schema": BYTES} for kind in KINDS.values()}
    files |= {"application/json": {"schema": {}}, "application/zip": {"schema": BYTES}}
    answers: Json = {
        "200": {
            "description": "The file; a manifest with `dry_run`.",
            "headers": {"Content-Disposition": {"schema": {"type": "string"}}},
            "content": files,
        },
        "406": {"$ref": "#/components/responses/406"},
    }
    operation = _operation(resource, "export", "All of the list as a file", answers, *parameters)
    return {**operation, "description": listing["description"]}


def _filter(field: Field) -> Json:
    kind = {"enum": list(field.words)} if field.words else {}
    kind = {**_FORMATS[field.kind], **kind}
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
    operation = _operation(resource, verb, summary, answer, *parameters, KEY.described(), writes=True)
    return {**operation, "requestBody": {"required": needed, "content": {kind: body}}}


def _operation(
    resource: Resource, verb: str, summary: str, answers: Json, *parameters: Json, writes: bool = False
) -> Json:
    codes = ["400", "401", "403", "404", "429", "503"]
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
