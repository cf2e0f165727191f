"""Pages of others do nothing in somebody's name, and read nothing."""

from __future__ import annotations

import pytest

from kompass.settings import Settings
from kompass.sync.opening import DATABASE
from tests.attack.world import PASSWORD, World

FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://server.evil.example"},
    {"origin": "http://server:8000"},
    {"origin": "http://server@evil.example"},
    {"origin": "ftp://server"},
    {"origin": "http://evil.example", "sec-fetch-site": "same-origin"},
    {"origin": "http://evil.example", "authorization": "Bearer x"},
    {"referer": "http://evil.example/page?http://server/"},
    {"referer": "http://server@evil.example/page"},
    {"sec-fetch-site": "cross-site"},
]
TEXT = {"content-type": "text/plain"}


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
@pytest.mark.asyncio(loop_scope="session")
async def test_they_change_nothing(world: World, foreign: dict[str, str]) -> None:
    client = await world.client("adm1")
    own = world.readable_by("adm1", "contact")
    body = {"name": "adm1", "password": PASSWORD}
    answers = [
        await client.post(f"/{DATABASE}/_bulk_docs", json={"docs": []}, headers=foreign),
        await client.post(f"/{DATABASE}", content=b'{"_id":"x"}', headers={**foreign, **TEXT}),
        await client.put(f"/{DATABASE}/_local/x", json={}, headers=foreign),
        await client.delete(f"/{DATABASE}/{own}", headers=foreign),
        await client.post(f"/{DATABASE}/{own}", headers={**foreign, "x-http-method-override": "DELETE"}),
        await client.request("COPY", f"/{DATABASE}/{own}", headers={**foreign, "destination": "x"}),
        await client.post("/_session", data=body, headers=foreign),
        await client.post("/_session", json=body, headers=foreign),
        await client.delete("/_session", headers=foreign),
        await client.post("/api/v1/session", json=body, headers=foreign),
        await client.delete("/api/v1/session", headers=foreign),
        await client.post("/api/v1/devices/x/lost", headers=foreign),
        await client.post("/api/v1/quarantine/x/discard", headers=foreign),
    ]
    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert not any("set-cookie" in answer.headers for answer in answers)


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
@pytest.mark.asyncio(loop_scope="session")
async def test_they_read_nothing(world: World, foreign: dict[str, str]) -> None:
    client = await world.client("adm1")
    for path in (f"/{DATABASE}/_changes", f"/{DATABASE}", "/_session", "/api/v1/session", "/"):
        for method in ("GET", "OPTIONS"):
            asking = {**foreign, "access-control-request-method": "GET"}
            answer = await client.request(method, path, headers=asking)
            assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "own",
    [{}, {"origin": "http://server"}, {"referer": "http://server/app/"}, {"sec-fetch-site": "same-origin"}],
    ids=str,
)
@pytest.mark.asyncio(loop_scope="session")
async def test_its_own_pages_and_programs_do(world: World, own: dict[str, str]) -> None:
    client = await world.client("adm1")
    answer = await client.post(f"/{DATABASE}/_bulk_docs", json={"docs": []}, headers=own)
    assert answer.status_code == 201


@pytest.mark.asyncio(loop_scope="session")
async def test_what_is_no_json_is_not_taken_for_it(world: World) -> None:
    """A form of another page can be sent without asking; it has no content type of JSON."""
    client = await world.client("adm1")
    for path in ("", "/_bulk_docs", "/_find", "/_bulk_get", "/_revs_diff", "/_index", "/_ensure_full_commit"):
        answer = await client.post(f"/{DATABASE}{path}", content=b"{}", headers=TEXT)
        assert answer.status_code == 415, path


@pytest.mark.parametrize("origins", ["*", "null", "https://a.example,*", "https://*.example", "a.example"])
def test_everybody_is_no_origin(origins: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        Settings(admin="chef:geheim", cors_origins=tuple(origins.split(",")))


@pytest.mark.parametrize("origins", ["https://a.example", "http://localhost:5173", "capacitor://localhost"])
def test_what_is_an_origin(origins: str) -> None:
    assert Settings(admin="chef:geheim", cors_origins=(origins,)).cors_origins == (origins,)
