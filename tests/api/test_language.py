"""Problems are told in the language that the caller reads, all of them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.test_documents import GF, client, company, customer, product, settings, store

__all__ = ["client", "company", "product", "settings", "store"]

pytestmark = pytest.mark.slow

CASES: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "customers/none", {}, 404, "Ein solches Dokument gibt es nicht, oder Sie dürfen es nicht lesen."),
    ("GET", "nothing", {}, 404, "Eine solche Ressource gibt es nicht."),
    ("PUT", "customers", {}, 405, "PUT geht hier nicht; es gehen: GET, HEAD, POST."),
    ("GET", "customers?limit=0", {}, 400, "limit muss eine Zahl von 1 bis 200 sein."),
    ("GET", "customers?version=x", {}, 400, "version muss eine ganze Zahl wie 12 sein, nicht 'x'."),
    ("POST", "customers", {"content": b"{"}, 415, "Bitte eines davon senden: application/json."),
    ("GET", "users/none", {}, 404, "Einen solchen Benutzer gibt es nicht."),
]


async def test_whatever_is_wrong_is_said_in_german(client: httpx.AsyncClient) -> None:
    reads = {"accept-language": "de-DE,de;q=0.9,en;q=0.8"}
    for method, path, more, status, detail in CASES:
        answer = await client.request(method, f"/api/v1/{path}", auth=GF, headers=reads, **more)
        assert (answer.status_code, answer.json()["detail"]) == (status, detail)
        assert answer.headers["content-language"] == "de"
        other = await client.request(method, f"/api/v1/{path}", auth=GF, **more)
        assert other.json()["detail"] != detail
        assert other.headers["content-language"] == "en"
    stranger = await client.get("/api/v1/customers", headers=reads)
    assert stranger.json()["detail"].startswith("Bitte erst anmelden")
    wrong = await client.get("/api/v1/customers", headers=reads, auth=("chef", "wrong"))
    assert (wrong.status_code, wrong.json()["detail"]) == (401, "Name oder Passwort stimmt nicht.")
    # A browser would ask for a password in a window of its own.
    assert not [one for one in (stranger, wrong) if "www-authenticate" in one.headers]
    many = await client.post("/api/v1/bulk", json={"operations": []}, headers=reads, auth=GF)
    assert many.json()["errors"] == [
        {"pointer": "/operations", "detail": "muss mindestens 1 Eintrag haben, nicht 0"}
    ]
    absent = {"op": "delete", "resource": "leads", "id": "x", "rev": "*"}
    many = await client.post("/api/v1/bulk", json={"operations": [absent]}, headers=reads, auth=GF)
    assert many.json()["results"][0]["problem"]["detail"] == CASES[0][4]


async def test_each_place_says_what_is_wrong_there(client: httpx.AsyncClient) -> None:
    names = [f"nothing{number}" for number in range(7)]
    sent = customer("Hof", phone=5, **dict.fromkeys(names, 1))
    answer = await client.post("/api/v1/customers", json=sent, auth=GF, headers={"accept-language": "de"})
    told = {one["pointer"]: one["detail"] for one in answer.json()["errors"]}
    assert told == {
        "/phone": "muss ein Text sein, nicht 5",
        **{f"/{name}": "ist unbekannt" for name in names},
    }


async def test_a_place_is_told_as_a_pointer_whatever_its_name_has(client: httpx.AsyncClient) -> None:
    strange = {"op": "delete", "resource": "leads", "id": "x", "a/b~c": 1}
    many = await client.post("/api/v1/bulk", json={"operations": [strange]}, auth=GF)
    assert [one["pointer"] for one in many.json()["errors"]] == ["/operations/0/a~1b~0c"]
    wanted = {"active": True, "reason": "Urlaub", "a/b": 1}
    user = await client.patch("/api/v1/users/anna", json=wanted, auth=GF)
    assert [one["pointer"] for one in user.json()["errors"]] == ["/a~1b"]
    written = await client.post("/api/v1/customers", json={"_a/b": 1}, auth=GF)
    assert [one["pointer"] for one in written.json()["errors"]] == ["/_a~1b"]


async def test_a_hundred_places_are_told(client: httpx.AsyncClient) -> None:
    sent = customer("Hof", **{f"nothing{number}": 1 for number in range(150)})
    answer = await client.post("/api/v1/customers", json=sent, auth=GF)
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 100)
