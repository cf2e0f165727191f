"""What all endpoints for batches have in common."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples


@pytest.mark.parametrize("endpoint", ["_bulk_docs", "_bulk_get", "_revs_diff", "_missing_revs"])
async def test_bulk_endpoints_insist_on_post_json_and_a_database(
    client: httpx.AsyncClient, db: str, endpoint: str
) -> None:
    for headers in ({"content-type": "text/plain"}, {"content-type": ""}):
        response = await client.post(f"{db}/{endpoint}", content=b'{"docs":[]}', headers=headers)
        assert response.status_code == 415
        assert response.json() == {
            "error": "bad_content_type",
            "reason": "Content-Type must be application/json",
        }
    for method in ("GET", "PUT", "DELETE"):
        response = await client.request(method, f"{db}/{endpoint}")
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
    response = await client.post(f"/none/{endpoint}", json={"docs": []})
    assert (response.status_code, response.json()["reason"]) == (404, "Database does not exist.")
    for body in (b"", b"{", b'{"docs":[NaN]}', b'{"docs":["\\ud800"', b"\xff"):
        response = await client.post(
            f"{db}/{endpoint}", content=body, headers={"content-type": "application/json"}
        )
        assert (response.status_code, response.json()["error"]) == (400, "bad_request")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["_id", "_rev", "_deleted", "_attachments", "_revisions", "id", "rev", "docs", "x", "_x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(
    max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(docs=st.lists(JSON, max_size=3), new_edits=st.booleans())
async def test_no_body_makes_the_server_fail(
    client: httpx.AsyncClient, db: str, docs: list[Any], new_edits: bool
) -> None:
    for path, body in (
        ("_bulk_docs", {"docs": docs, "new_edits": new_edits}),
        ("_bulk_get", {"docs": docs}),
        ("_revs_diff", {"x": docs}),
        ("_revs_diff", docs[0] if docs else None),
    ):
        response = await client.post(f"{db}/{path}", json=body)
        assert response.status_code < 500, (path, body, response.text)
        response.json()
