"""The description of the API fits the API: its addresses, its examples, what it says of each operation."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from kompass.api.endpoints import Endpoint
from kompass.api.openapi import description
from kompass.api.resources import PREFIX
from kompass.api.resources import RESOURCES as TABLE
from kompass.domain.registry import MODELS
from kompass.resources.catalogue import RESOURCES

ROUTES = [route for table in TABLE for route in table if isinstance(route, Route)]


@cache
def whole() -> dict[str, Any]:
    return description(ROUTES)


def test_it_has_every_operation_there_is() -> None:
    """Which fails has routes that are no `Endpoint`: docs/rest.md says how they are described."""
    there = {
        (re.sub(r":\w+", "", route.path), method.lower())
        for route in ROUTES
        for method in set(route.methods or ()) - {"HEAD"}
    }
    told = {
        (address, method)
        for address, operations in whole()["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert told == there


def test_every_body_has_an_example_that_is_taken() -> None:
    for route in ROUTES:
        if not isinstance(route, Endpoint) or route.body is None:
            continue
        assert route.example is not None, route.path
        if not isinstance(route.body, dict):
            TypeAdapter(route.body).validate_python(route.example)


def test_what_is_in_a_path_is_described() -> None:
    for address, operations in whole()["paths"].items():
        above = operations.get("parameters", [])
        for method, one in operations.items():
            if method != "parameters":
                given = {
                    each["name"] for each in [*above, *one.get("parameters", [])] if each["in"] == "path"
                }
                assert given == set(re.findall(r"\{(\w+)\}", address)), (method, address)


def test_names_of_operations_are_unique_and_references_lead_somewhere() -> None:
    found = whole()
    names = [
        one["operationId"]
        for operations in found["paths"].values()
        for method, one in operations.items()
        if method != "parameters"
    ]
    assert len(set(names)) == len(names)
    parts = found["components"]
    for reference in _references(found):
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in parts[kind], reference


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        here = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return here + [one for inner in value.values() for one in _references(inner)]
    return [one for inner in value for one in _references(inner)] if isinstance(value, list) else []


@pytest.mark.parametrize("name", RESOURCES)
def test_examples_are_sound(name: str) -> None:
    doctype = RESOURCES[name].type
    schema = whole()["components"]["schemas"][doctype]
    for example in schema["examples"]:
        MODELS[doctype].model_validate(example)
        assert example.keys() <= schema["properties"].keys()
    assert schema["properties"]["_id"]["readOnly"]


@pytest.mark.slow
async def test_it_is_served_and_so_is_a_page_that_needs_nothing_else() -> None:
    app = Starlette(routes=[Mount(PREFIX, routes=ROUTES)])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=f"http://server{PREFIX}"
    ) as client:
        assert (await client.get("/openapi.json")).json() == whole()
        answer = await client.get("/docs")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    links = re.findall(r'(?:href|src)="([^"]*)"', answer.text)
    assert {link for link in links if not link.startswith("#")} == {"openapi.json"}
    anchors = set(re.findall(r'id="([^"]*)"', answer.text))
    assert {link[1:] for link in links if link.startswith("#")} <= anchors
    assert "<script" not in answer.text
