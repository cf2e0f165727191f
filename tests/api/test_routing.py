"""Addresses that there are, those that there aren't, and what may be done at them."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from kompass.api.endpoints import Endpoint
from kompass.api.resources import RESOURCES
from tests.identity.conftest import client, product, store

__all__ = ["client", "product", "store"]


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


async def test_what_cannot_be_done_says_what_can(client: httpx.AsyncClient) -> None:
    for path, allowed in (
        ("customers", "GET, HEAD, POST"),
        ("customers/a", "DELETE, GET, HEAD, PATCH, PUT"),
        ("users", "GET, HEAD"),
        ("bulk", "POST"),
    ):
        answer = await client.request("OPTIONS", f"/api/v1/{path}")
        assert (answer.status_code, answer.headers.get("allow")) == (405, allowed), answer.text


async def test_what_is_not_there(client: httpx.AsyncClient) -> None:
    for path in ("", "/", "/customers", "nothing", "users/", "%2e%2e/users", "customers/a/b/c"):
        answer = await client.get(f"/api/v1/{path}")
        assert answer.status_code == 404, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_words_in_a_path_come_before_what_stands_for_any(client: httpx.AsyncClient) -> None:
    for path, allowed in (
        ("customers/export", "GET, HEAD"),
        ("supplier-invoices/import", "POST"),
        ("calendars/a.ics", "GET, HEAD"),
    ):
        answer = await client.request("OPTIONS", f"/api/v1/{path}")
        assert (answer.status_code, answer.headers.get("allow")) == (405, allowed), answer.text


async def test_a_number_that_no_store_can_look_for_is_none(client: httpx.AsyncClient) -> None:
    for path in ("privacy/tickets/{}/acknowledge", "lexware/errors/{}/resolution", "feed/dead/{}/replay"):
        for number, status in (("9" * 15, 401), ("9" * 30, 404)):
            answer = await client.post(f"/api/v1/{path.format(number)}", json={})
            assert answer.status_code == status, (path, answer.text)


async def test_a_trial_that_is_misspelt_is_refused_and_not_done(client: httpx.AsyncClient) -> None:
    """Before anything else is looked at: nobody has logged in here."""
    customers = [(method, "/customers/a") for method in ("GET", "PUT", "PATCH", "DELETE")]
    customers += [("POST", "/customers"), ("POST", "/offers/a/actions/send"), ("POST", "/offers/a/comments")]
    customers += [("PUT", "/customers/a/attachments/a"), ("DELETE", "/customers/a/attachments/a")]
    endpoints = [one for routes in RESOURCES for one in routes if isinstance(one, Endpoint)]
    asked = [(one.method, re.sub(r"\{[^}]*\}", "1", one.address)) for one in endpoints if not one.added]
    for method, path in [*asked, *customers]:
        answer = await client.request(method, f"/api/v1{path}?dryrun=true")
        assert answer.status_code == 400, (method, path, answer.text)
        assert "There is no parameter dryrun" in answer.json()["detail"]
    for one in endpoints:
        if one.body is None and one.method != "get":
            path = re.sub(r"\{[^}]*\}", "1", one.address)
            answer = await client.request(one.method, f"/api/v1{path}", json={"dryRun": True})
            assert (answer.status_code, answer.json()["detail"]) == (400, "This address takes no body."), path
