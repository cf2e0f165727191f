"""`/api/v1/openapi.json`, and `/api/v1/docs`: the same as a page that loads nothing from elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from kompass.api.endpoints import BYTES, Endpoint
from kompass.api.openapi import description

_HEADERS = {
    "cache-control": "public, max-age=300",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem; }
nav { columns: 14rem; margin: 1rem 0 2rem; }
h2 { border-bottom: 1px solid #888; margin-top: 3rem; }
summary { cursor: pointer; padding: .2rem 0; }
code { font: 14px ui-monospace, monospace; }
.verb { display: inline-block; font-weight: bold; width: 4.5rem; }
table { border-collapse: collapse; margin: .5rem 0 1rem; width: 100%; }
td, th { border-bottom: 1px solid #ccc; padding: .2rem .6rem .2rem 0; text-align: left; vertical-align: top; }
pre { background: #8882; overflow: auto; padding: .6rem; }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd; } a { color: #8bf; } }
"""


async def described(request: Request) -> Response:
    """`GET openapi.json`."""
    text = await asyncio.to_thread(_as_json, request.app)
    return Response(text, headers=_HEADERS, media_type="application/json")


async def page(request: Request) -> Response:
    """`GET docs`."""
    text = await asyncio.to_thread(_as_page, request.app)
    return Response(text, headers=_HEADERS, media_type="text/html")


@lru_cache(maxsize=1)
def _as_json(app: Starlette) -> bytes:
    return orjson.dumps(description(app.routes))


@lru_cache(maxsize=1)
def _as_page(app: Starlette) -> bytes:
    told = description(app.routes)
    head = f"<title>{escape(told['info']['title'])} API</title><style>{_STYLE}</style>"
    start = '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    start += '<meta name="viewport" content="width=device-width">'
    return "".join([start, head, "</head><body>", *_body(told), "</body></html>"]).encode()


def _body(told: dict[str, Any]) -> Iterator[str]:
    info = told["info"]
    yield f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
    yield '<p>As <a href="openapi.json">OpenAPI 3.1</a>. Addresses are below <code>/api/v1</code>.</p><nav>'
    for tag in told["tags"]:
        yield f'<div><a href="#{escape(tag["name"])}">{escape(tag["name"])}</a></div>'
    yield "</nav>"
    for tag in told["tags"]:
        name = tag["name"]
        yield f'<h2 id="{escape(name)}">{escape(name)} <small>{escape(tag["description"])}</small></h2>'
        for address, operations in told["paths"].items():
            if address.split("/")[1] == name:
                yield from _operations(address, operations)
    yield "<h2>Schemas</h2>"
    for name, schema in told["components"]["schemas"].items():
        yield from _schema(name, schema)


def _operations(address: str, operations: dict[str, Any]) -> Iterator[str]:
    for verb, operation in operations.items():
        if verb == "parameters":
            continue
        yield f'<details><summary><code><span class="verb">{verb.upper()}</span> {escape(address)}</code> '
        yield f"{escape(operation['summary'])}</summary>"
        if "description" in operation:
            yield f"<p>{escape(operation['description'])}</p>"
        given = [*operations.get("parameters", []), *operation.get("parameters", [])]
        if given:
            rows = "".join(
                f"<tr><td><code>{escape(one['name'])}</code></td><td>{one['in']}</td>"
                f"<td>{_kind(one['schema'])}</td><td>{escape(one.get('description', ''))}</td></tr>"
                for one in given
            )
            yield f"<table><tr><th>parameter</th><th>in</th><th></th><th></th></tr>{rows}</table>"
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"<p>Body, <code>{escape(kind)}</code>: {_kind(content.get('schema', BYTES))}</p>"
        yield f"<p>Answers: {', '.join(operation['responses'])}</p></details>"


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary>'
    needed = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td>{'needed' if field in needed else ''}"
        f"{' (the server’s)' if held.get('readOnly') else ''}</td><td>{_kind(held)}</td></tr>"
        for field, held in schema.get("properties", {}).items()
    )
    yield f"<table>{rows}</table>"
    for example in schema.get("examples", []):
        text = orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()
        yield f"<pre>{escape(text)}</pre>"
    yield "</details>"


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a few words, as HTML."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        words = schema.get("enum", [schema.get("const")])
        return ", ".join(f"<code>{escape(str(word))}</code>" for word in words)
    kind = schema.get("type", "anything")
    told = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if told == "array" and "items" in schema:
        return f"list of {_kind(schema['items'])}"
    for name, word in (("format", ""), ("minimum", "from "), ("maximum", "to "), ("maxLength", "up to ")):
        if name in schema:
            told += f" {word}{schema[name]}"
    return escape(told)


ROUTES = [
    Endpoint("GET", "/openapi.json", described, "This description", answer={"type": "object"}, public=True),
    Endpoint(
        "GET", "/docs", page, "The same as a page", answer={"type": "string"}, media="text/html", public=True
    ),
]
