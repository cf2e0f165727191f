from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest

Serve = Callable[..., Awaitable[httpx.AsyncClient]]

APP = "https://app.example"


def preflight(method: str, headers: str = "", origin: str = APP) -> dict[str, str]:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    return {**asked, "Access-Control-Request-Headers": headers} if headers else asked


def cors_headers(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


async def test_off_unless_configured(client: httpx.AsyncClient) -> None:
    response = await client.get("/", headers={"Origin": APP})
    assert cors_headers(response) == {}
    assert "vary" not in response.headers
    response = await client.options("/db", headers=preflight("PUT"))
    assert response.status_code == 405


async def test_an_allowed_origin_is_echoed_with_credentials(serve: Serve) -> None:
    client = await serve(cors_origins=(APP,))
    response = await client.get("/", headers={"Origin": APP})
    headers = cors_headers(response)
    assert headers["access-control-allow-origin"] == APP
    assert headers["access-control-allow-credentials"] == "true"
    assert {"etag", "location", "x-couch-request-id"} <= set(
        headers["access-control-expose-headers"].split(", ")
    )
    assert response.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://app.example", "https://app.example.evil", "null", ""]
)
async def test_another_origin_gets_nothing_but_the_vary(serve: Serve, origin: str) -> None:
    client = await serve(cors_origins=(APP,))
    response = await client.get("/", headers={"Origin": origin})
    assert response.status_code == 200
    assert cors_headers(response) == {}
    assert response.headers["vary"] == "Origin"
    assert (await client.options("/db", headers=preflight("PUT", origin=origin))).status_code == 405


async def test_any_origin_is_echoed_never_starred(serve: Serve) -> None:
    client = await serve(cors_origins=("*",))
    for origin in (APP, "http://localhost:3000"):
        headers = cors_headers(await client.get("/", headers={"Origin": origin}))
        assert headers["access-control-allow-origin"] == origin
        assert headers["access-control-allow-credentials"] == "true"
    headers = cors_headers(await client.get("/", headers={"Origin": "null"}))
    assert headers["access-control-allow-origin"] == "null"
    assert "access-control-allow-credentials" not in headers


async def test_without_credentials(serve: Serve) -> None:
    client = await serve(cors_origins=("*",), cors_credentials=False)
    headers = cors_headers(await client.get("/", headers={"Origin": APP}))
    assert headers["access-control-allow-origin"] == APP
    assert "access-control-allow-credentials" not in headers


async def test_errors_can_be_read_by_the_page_too(serve: Serve) -> None:
    client = await serve(cors_origins=(APP,), admins={"root": "relax"})
    for response in (
        await client.get("/none", headers={"Origin": APP}),
        await client.get("/", headers={"Origin": APP}, auth=("root", "wrong")),
        await client.get("/_all_dbs", headers={"Origin": APP}),
    ):
        assert response.status_code in (401, 404)
        assert cors_headers(response)["access-control-allow-origin"] == APP


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "HEAD", "COPY"])
async def test_a_preflight_needs_no_login(serve: Serve, method: str) -> None:
    client = await serve(cors_origins=(APP,), admins={"root": "relax"}, require_valid_user=True)
    response = await client.options(
        "/db/doc", headers=preflight(method, "Content-Type,authorization, If-Match")
    )
    assert (response.status_code, response.content) == (204, b"")
    headers = cors_headers(response)
    assert headers["access-control-allow-origin"] == APP
    assert method in headers["access-control-allow-methods"].split(", ")
    assert headers["access-control-allow-headers"] == "content-type, authorization, if-match"
    assert headers["access-control-max-age"] == "600"


@pytest.mark.parametrize(
    "asked",
    [
        preflight("PATCH"),
        preflight("PUT", "X-Unheard-Of"),
        preflight("PUT", "content-type, x-unheard-of"),
        {"Origin": APP},
        {"Access-Control-Request-Method": "PUT"},
    ],
)
async def test_a_preflight_that_asks_for_more_gets_no_permission(serve: Serve, asked: dict[str, str]) -> None:
    client = await serve(cors_origins=(APP,))
    response = await client.options("/db", headers=asked)
    assert response.status_code == 405
    assert "access-control-allow-methods" not in response.headers
