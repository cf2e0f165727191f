"""Addresses that there are, those that there aren't, and what may be done at them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

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
