"""Answers that say why something was not done."""

from __future__ import annotations

import httpx


def refused(response: httpx.Response) -> tuple[int, str, str]:
    """Status, error and reason."""
    body = response.json()
    assert set(body) == {"error", "reason"}
    return response.status_code, body["error"], body["reason"]
