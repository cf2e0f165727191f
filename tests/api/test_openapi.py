"""The description of the API fits the API: its addresses, its examples, what it says of each operation."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from kompass.api import document_parts, documents
from kompass.api.openapi import description
from kompass.api.reference import described, page
from kompass.domain.registry import MODELS
from kompass.resources.catalogue import RESOURCES

_STREAMED = "/{id}/attachments/{name}"
"""Bytes both ways: not described as JSON."""


def test_it_has_every_operation_there_is() -> None:
    there = {
        (re.sub(r":path", "", route.path), method.lower())
        for route in (*documents.ROUTES, *document_parts.ROUTES)
        for method in set(route.methods or ()) - {"HEAD"}
        if _STREAMED not in re.sub(r":path", "", route.path)
    }
    told = {
        (address, method)
        for address, operations in description()["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert told == there


def test_names_of_operations_are_unique_and_references_lead_somewhere() -> None:
    found = description()
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
    schema = description()["components"]["schemas"][doctype]
    for example in schema["examples"]:
        MODELS[doctype].model_validate(example)
        assert example.keys() <= schema["properties"].keys()
    assert schema["properties"]["_id"]["readOnly"]


async def test_it_is_served_and_so_is_a_page_that_needs_nothing_else() -> None:
    app = Starlette()
    app.add_route("/openapi.json", described)
    app.add_route("/docs", page)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        assert (await client.get("/openapi.json")).json() == description()
        answer = await client.get("/docs")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    links = re.findall(r'(?:href|src)="([^"]*)"', answer.text)
    assert {link for link in links if not link.startswith("#")} == {"openapi.json"}
    anchors = set(re.findall(r'id="([^"]*)"', answer.text))
    assert {link[1:] for link in links if link.startswith("#")} <= anchors
    assert "<script" not in answer.text
