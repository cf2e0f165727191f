"""Logging in, with CouchDB 3.5's answers."""

from __future__ import annotations

import asyncio
import json
import re
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from replication.accounts.cookies import make_cookie, parse_cookie
from replication.accounts.passwords import PasswordHash
from replication.store.interface import Store
from tests.cluster import over

Serve = Callable[..., Awaitable[httpx.AsyncClient]]

ADMIN = ("root", "relax")
WRONG = {"error": "unauthorized", "reason": "Name or password is incorrect."}


@pytest.fixture
async def client(serve: Serve) -> httpx.AsyncClient:
    """A server with one administrator and the user `anna`, whose password is `secret`."""
    client = await serve(admins=dict([ADMIN]))
    await add_user(client, "anna", "secret", ["sales"])
    return client


async def add_user(client: httpx.AsyncClient, name: str, password: str, roles: list[str]) -> str:
    user = {"name": name, "password": password, "roles": roles, "type": "user"}
    response = await client.put(f"/_users/org.couchdb.user:{name}", json=user, auth=ADMIN)
    assert response.status_code == 201, response.text
    rev: str = response.json()["rev"]
    return rev


async def session(client: httpx.AsyncClient, **request: Any) -> Any:
    response = await client.get("/_session", **request)
    assert response.status_code == 200, response.text
    return response.json()


def cookie_of(response: httpx.Response) -> str:
    return response.headers["set-cookie"].split(";")[0].removeprefix("AuthSession=")


def with_cookie(value: str) -> dict[str, str]:
    return {"Cookie": f"AuthSession={value}"}


async def test_somebody_unknown(client: httpx.AsyncClient) -> None:
    assert await session(client) == {
        "ok": True,
        "userCtx": {"name": None, "roles": []},
        "info": {"authentication_handlers": ["cookie", "default"]},
    }


async def test_without_administrators_everybody_is_one(serve: Serve) -> None:
    answer = await session(await serve())
    assert answer["userCtx"] == {"name": None, "roles": ["_admin"]}
    assert answer["info"]["authenticated"] == "default"


async def test_basic_true_insists_on_a_login(client: httpx.AsyncClient) -> None:
    response = await client.get("/_session?basic=true")
    assert (response.status_code, response.json()["reason"]) == (401, "Please login.")
    assert (await client.get("/_session?basic=true", auth=ADMIN)).status_code == 200


async def test_basic(client: httpx.AsyncClient) -> None:
    answer = await session(client, auth=("anna", "secret"))
    assert answer["userCtx"] == {"name": "anna", "roles": ["sales"]}
    assert answer["info"]["authenticated"] == "default"
    assert (await session(client, auth=ADMIN))["userCtx"] == {"name": "root", "roles": ["_admin"]}


@pytest.mark.parametrize("path", ["/", "/_session", "/_up", "/nodb", "/nodb/doc"])
@pytest.mark.parametrize("auth", [("anna", "wrong"), ("nobody", "x"), ("root", "wrong"), ("", "")])
async def test_wrong_basic_is_401_on_every_path(
    client: httpx.AsyncClient, path: str, auth: tuple[str, str]
) -> None:
    response = await client.get(path, auth=auth)
    assert (response.status_code, response.json()) == (401, WRONG)


@pytest.mark.parametrize(
    "header", ["Basic", "Basic:x", "basic eDp5", "Bearer abc", "Basic Zm9v", "Basic Xzpf", "", "Negotiate x"]
)
async def test_an_authorization_that_is_not_basic_is_ignored(client: httpx.AsyncClient, header: str) -> None:
    """PouchDB's suite finds out with a malformed one what server it has."""
    response = await client.get("/", headers={"Authorization": header})
    assert response.status_code == 200
    assert (await session(client, headers={"Authorization": header}))["userCtx"]["name"] is None


@pytest.mark.parametrize("header", ["Basic x", "Basic ====", "Basic ä"])
async def test_basic_that_is_not_base64_is_400(client: httpx.AsyncClient, header: str) -> None:
    response = await client.get("/", headers={b"Authorization": header.encode("latin-1")})
    assert response.status_code == 400
    assert response.json()["reason"] == "Authorization header has invalid base64 value"


async def test_a_password_may_hold_colons_and_umlauts(client: httpx.AsyncClient) -> None:
    await add_user(client, "jörg", "a:b:ü", [])
    basic = b64encode("jörg:a:b:ü".encode()).decode()
    answer = await session(client, headers={"Authorization": f"Basic {basic}"})
    assert answer["userCtx"]["name"] == "jörg"


@pytest.mark.parametrize("member", ["name", "username"])
async def test_login_with_json_and_with_a_form(client: httpx.AsyncClient, member: str) -> None:
    form = {member: "anna", "password": "secret"}
    for response in (await client.post("/_session", json=form), await client.post("/_session", data=form)):
        assert response.status_code == 200
        assert response.json() == {"ok": True, "name": "anna", "roles": ["sales"]}
        expires, *attributes = response.headers["set-cookie"].split("; ")[1:]
        assert attributes == ["Max-Age=600", "Path=/", "HttpOnly", "SameSite=Lax"]
        ends = parsedate_to_datetime(expires.removeprefix("Expires=")).timestamp()
        assert ends == pytest.approx(time.time() + 600, abs=10)
        client.cookies.clear()
        answer = await session(client, headers=with_cookie(cookie_of(response)))
        assert answer["userCtx"] == {"name": "anna", "roles": ["sales"]}
        assert answer["info"]["authenticated"] == "cookie"


async def test_the_cookie_is_secure_on_https_and_same_site_as_configured(serve: Serve) -> None:
    client = await serve(admins=dict([ADMIN]), same_site="none", session_timeout=60)
    response = await client.post("https://server/_session", json={"name": "root", "password": "relax"})
    assert response.headers["set-cookie"].endswith("; Max-Age=60; Path=/; HttpOnly; Secure; SameSite=None")


async def test_a_failed_login_is_401_with_an_empty_cookie_that_lasts(client: httpx.AsyncClient) -> None:
    """A cookie that has ended is none to some clients, and they don't get to see the 401."""
    await client.post("/_session", json={"name": "anna", "password": "secret"})
    for name in ("anna", "nobody"):
        response = await client.post("/_session", json={"name": name, "password": "wrong"})
        assert (response.status_code, response.json()) == (401, WRONG)
        assert re.match(r"AuthSession=; Expires=[^;]*; Max-Age=600;", response.headers["set-cookie"])
        assert (await session(client))["userCtx"]["name"] is None


async def test_logout_clears_the_cookie(client: httpx.AsyncClient) -> None:
    await client.post("/_session", json={"name": "anna", "password": "secret"})
    assert (await session(client))["userCtx"]["name"] == "anna"
    response = await client.delete("/_session")
    assert response.json() == {"ok": True}
    assert response.headers.get_list("set-cookie") == [
        "AuthSession=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"
    ]
    assert (await session(client))["userCtx"]["name"] is None


@pytest.mark.parametrize(
    ("form", "status", "reason"),
    [
        ({"password": "x"}, 400, "request body must contain a username"),
        ({"name": "a", "username": "b"}, 400, "request body contains different usernames"),
        ({"name": 3, "password": "x"}, 400, "name and password must be strings"),
        ({"name": "anna", "password": ["secret"]}, 400, "name and password must be strings"),
        ([], 400, "Request body must be a JSON object"),
        ({"name": "anna"}, 401, WRONG["reason"]),
        ({"name": "\ud800", "password": "\ud800"}, 400, "invalid UTF-8 JSON"),
        ({"name": "x" * 2000, "password": "x"}, 401, WRONG["reason"]),
        ({"name": "anna", "password": "x" * 5000}, 401, WRONG["reason"]),
    ],
)
async def test_login_forms_that_cannot_be_right(
    client: httpx.AsyncClient, form: Any, status: int, reason: str
) -> None:
    content_type = {"Content-Type": "application/json"}
    response = await client.post("/_session", content=json.dumps(form), headers=content_type)
    assert (response.status_code, response.json()["reason"]) == (status, reason)


async def test_login_wants_a_form_or_json(client: httpx.AsyncClient) -> None:
    response = await client.post("/_session", content=b"x", headers={"Content-Type": "text/plain"})
    assert response.status_code == 415
    huge = await client.post("/_session", data={"name": "x" * 70_000})
    assert huge.status_code == 413


async def test_next_sends_on_to_a_path_of_this_server(client: httpx.AsyncClient) -> None:
    form = {"name": "anna", "password": "secret"}
    response = await client.post("/_session?next=/app/%3Fx%3D1", data=form)
    assert (response.status_code, response.headers["location"]) == (302, "/app/?x=1")
    response = await client.delete("/_session?next=/bye")
    assert (response.status_code, response.headers["location"]) == (302, "/bye")
    response = await client.post("/_session?fail=/again", data={**form, "password": "x"})
    assert (response.status_code, response.headers["location"]) == (302, "/again")


@pytest.mark.parametrize(
    "next", ["app", "//evil.example", "/%5Cevil.example", "https://evil.example", "/%0D%0ASet-Cookie:x", ""]
)
async def test_next_never_leads_elsewhere(client: httpx.AsyncClient, next: str) -> None:
    response = await client.post(f"/_session?next={next}", data={"name": "anna", "password": "secret"})
    assert response.status_code == 400
    assert "location" not in response.headers
    assert "set-cookie" not in response.headers


async def test_a_cookie_is_renewed_when_a_tenth_of_its_life_is_over(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = await client.post("/_session", json={"name": "anna", "password": "secret"})
    first = cookie_of(response)
    client.cookies.clear()
    made = parse_cookie(first).time
    monkeypatch.setattr(time, "time", lambda: float(made + 60))
    response = await client.get("/_session", headers=with_cookie(first))
    assert "set-cookie" not in response.headers
    monkeypatch.setattr(time, "time", lambda: float(made + 61))
    response = await client.get("/_session", headers=with_cookie(first))
    assert parse_cookie(cookie_of(response)).time == made + 61
    client.cookies.clear()
    response = await client.get("/nodb/doc", headers=with_cookie(first))
    assert response.status_code == 404
    assert parse_cookie(cookie_of(response)).time == made + 61
    client.cookies.clear()
    monkeypatch.setattr(time, "time", lambda: float(made + 600))
    assert (await session(client, headers=with_cookie(first)))["userCtx"]["name"] is None


async def test_logging_in_and_out_sends_one_cookie_even_when_the_old_one_is_due(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = cookie_of(await client.post("/_session", json={"name": "anna", "password": "secret"}))
    client.cookies.clear()
    monkeypatch.setattr(time, "time", lambda: float(parse_cookie(old).time + 300))
    for response in (
        await client.post("/_session", data={"name": "root", "password": "relax"}, headers=with_cookie(old)),
        await client.delete("/_session", headers=with_cookie(old)),
    ):
        assert len(response.headers.get_list("set-cookie")) == 1
        client.cookies.clear()


@pytest.mark.parametrize("cookie", ["abc", "%%%", "YW5uYQ", "x" * 5000])
async def test_a_malformed_cookie_is_400_and_cleared(client: httpx.AsyncClient, cookie: str) -> None:
    response = await client.get("/_session", headers=with_cookie(cookie))
    assert response.status_code == 400
    assert response.json()["reason"] == "Malformed AuthSession cookie. Please clear your cookies."
    assert response.headers["set-cookie"].startswith("AuthSession=; Expires=Thu, 01 Jan 1970")


async def test_a_forged_cookie_is_no_login(client: httpx.AsyncClient, store: Store) -> None:
    now = int(time.time())
    document = (await client.get("/_users/org.couchdb.user:anna", auth=ADMIN)).json()
    for value in (
        make_cookie("anna", "", store.secret, now),
        make_cookie("anna", document["salt"], b"", now),
        make_cookie("nobody", "", store.secret, now),
        make_cookie("root", "", store.secret, now),
        make_cookie("anna", document["salt"], store.secret, now - 601),
    ):
        assert (await session(client, headers=with_cookie(value)))["userCtx"]["name"] is None
    right = make_cookie("anna", document["salt"], store.secret, now)
    assert (await session(client, headers=with_cookie(right)))["userCtx"]["name"] == "anna"


async def test_a_new_password_ends_old_sessions_and_old_logins(client: httpx.AsyncClient) -> None:
    response = await client.post("/_session", json={"name": "anna", "password": "secret"})
    old = cookie_of(response)
    client.cookies.clear()
    assert (await session(client, auth=("anna", "secret")))["userCtx"]["name"] == "anna"
    document = (await client.get("/_users/org.couchdb.user:anna", auth=ADMIN)).json()
    document["password"] = "changed"
    await client.put("/_users/org.couchdb.user:anna", json=document, auth=ADMIN)
    assert (await session(client, headers=with_cookie(old)))["userCtx"]["name"] is None
    assert (await client.get("/", auth=("anna", "secret"))).status_code == 401
    assert (await client.get("/", auth=("anna", "changed"))).status_code == 200


async def test_new_roles_count_at_once_in_running_sessions(client: httpx.AsyncClient) -> None:
    await client.post("/_session", json={"name": "anna", "password": "secret"})
    document = (await client.get("/_users/org.couchdb.user:anna")).json()
    document["roles"] = ["planning"]
    response = await client.put(
        "/_users/org.couchdb.user:anna", json=document, auth=ADMIN, headers={"Cookie": ""}
    )
    assert response.status_code == 201, response.text
    assert (await session(client))["userCtx"]["roles"] == ["planning"]


@pytest.mark.parametrize("how", ["delete", "purge", "drop"])
async def test_a_user_who_is_gone_is_out(client: httpx.AsyncClient, how: str) -> None:
    cookie = cookie_of(await client.post("/_session", json={"name": "anna", "password": "secret"}))
    client.cookies.clear()
    assert (await session(client, headers=with_cookie(cookie)))["userCtx"]["name"] == "anna"
    rev = (await client.get("/_users/org.couchdb.user:anna", auth=ADMIN)).json()["_rev"]
    if how == "delete":
        await client.delete(f"/_users/org.couchdb.user:anna?rev={rev}", auth=ADMIN)
    elif how == "purge":
        await client.post("/_users/_purge", json={"org.couchdb.user:anna": [rev]}, auth=ADMIN)
    else:
        await client.delete("/_users", auth=ADMIN)
        await client.put("/_users", auth=ADMIN)
        await add_user(client, "berta", "x", [])
    assert (await session(client, headers=with_cookie(cookie)))["userCtx"]["name"] is None
    assert (await client.get("/", auth=("anna", "secret"))).status_code == 401


async def test_sessions_of_administrators_survive_a_restart(serve: Serve) -> None:
    first = await serve(admins=dict([ADMIN]))
    cookie = cookie_of(await first.post("/_session", json={"name": "root", "password": "relax"}))
    second = await serve(admins=dict([ADMIN]))
    assert (await session(second, headers=with_cookie(cookie)))["userCtx"]["roles"] == ["_admin"]
    changed = await serve(admins={"root": "another"})
    assert (await session(changed, headers=with_cookie(cookie)))["userCtx"]["name"] is None


async def test_an_administrator_may_have_roles_from_a_document_too(client: httpx.AsyncClient) -> None:
    await add_user(client, "root", "ignored", ["sales"])
    assert (await session(client, auth=ADMIN))["userCtx"]["roles"] == ["_admin", "sales"]
    assert (await client.get("/", auth=("root", "ignored"))).status_code == 401


async def test_a_user_document_with_two_live_revisions_lets_nobody_in(client: httpx.AsyncClient) -> None:
    document = (await client.get("/_users/org.couchdb.user:anna", auth=ADMIN)).json()
    rival = {**document, "_rev": "1-ffffffffffffffffffffffffffffffff"}
    await client.post("/_users/_bulk_docs", json={"docs": [rival], "new_edits": False}, auth=ADMIN)
    response = await client.get("/", auth=("anna", "secret"))
    assert response.status_code == 401
    assert response.json()["reason"].startswith("User document conflicts must be resolved")
    await client.delete(f"/_users/org.couchdb.user:anna?rev={rival['_rev']}", auth=ADMIN)
    assert (await client.get("/", auth=("anna", "secret"))).status_code == 200


async def test_a_document_that_asks_for_a_one_time_token_lets_nobody_in_without(
    client: httpx.AsyncClient,
) -> None:
    user = {"name": "tom", "password": "x", "roles": [], "type": "user", "totp": {"key": "MFRGG"}}
    await client.put("/_users/org.couchdb.user:tom", json=user, auth=ADMIN)
    assert (await client.get("/", auth=("tom", "x"))).status_code == 401


@pytest.mark.alone("each process remembers passwords that were right for itself")
async def test_hashing_happens_once_for_many_requests(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[str] = []
    matches = PasswordHash.matches

    def counted(self: PasswordHash, password: str) -> bool:
        computed.append(password)
        return matches(self, password)

    monkeypatch.setattr(PasswordHash, "matches", counted)
    answers = await asyncio.gather(*(client.get("/", auth=("anna", "secret")) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    for _ in range(5):
        await client.get("/", auth=("anna", "secret"))
    assert computed.count("secret") == 1


async def test_an_unknown_name_takes_a_hash_too(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of the answer must not tell which names exist."""
    computed: list[PasswordHash] = []

    def recorded(self: PasswordHash, password: str) -> bool:
        computed.append(self)
        return False

    monkeypatch.setattr(PasswordHash, "matches", recorded)
    await client.get("/", auth=("nobody", "x"))
    assert [hashed.iterations for hashed in computed] == [10]


async def test_a_wrong_password_takes_a_hash_though_the_right_one_is_remembered(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await client.get("/_session", auth=("anna", "secret"))).status_code == 200
    hashed = []
    matches = PasswordHash.matches

    def counted(self: PasswordHash, password: str) -> bool:
        hashed.append(password)
        return matches(self, password)

    monkeypatch.setattr(PasswordHash, "matches", counted)
    assert (await client.get("/_session", auth=("anna", "guessed"))).status_code == 401
    assert hashed == ["guessed"]


async def test_five_wrong_passwords_lock_a_name_for_one_address(serve: Serve) -> None:
    client = await serve(admins=dict([ADMIN]))
    await add_user(client, "anna", "secret", [])
    for attempt in range(5):
        assert (await client.get("/", auth=("anna", f"wrong{attempt}"))).status_code == 401
    for attempt in range(over.PROCESSES - 1):  # what one process tells another is under way meanwhile
        assert (await client.get("/", auth=("anna", f"late{attempt}"))).status_code in (401, 403)
    locked = {
        "error": "forbidden",
        "reason": "Account is temporarily locked due to multiple authentication failures",
    }
    response = await client.get("/", auth=("anna", "secret"))
    assert (response.status_code, response.json()) == (403, locked)
    response = await client.post("/_session", json={"name": "anna", "password": "secret"})
    assert (response.status_code, response.json()) == (403, locked)
    assert (await client.get("/", auth=ADMIN)).status_code == 200


@pytest.mark.alone("at once, each process lets in so many before it hears of the others")
async def test_attempts_made_at_once_do_not_slip_past_the_lock(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.get("/", auth=("anna", f"guess{n}")) for n in range(30)))
    codes = [answer.status_code for answer in answers]
    assert codes.count(401) == 5
    assert codes.count(403) == 25


async def test_a_running_session_goes_on_while_its_name_is_locked(client: httpx.AsyncClient) -> None:
    cookie = cookie_of(await client.post("/_session", json={"name": "anna", "password": "secret"}))
    client.cookies.clear()
    for attempt in range(6):
        await client.get("/", auth=("anna", f"wrong{attempt}"))
    assert (await session(client, headers=with_cookie(cookie)))["userCtx"]["name"] == "anna"


@pytest.mark.parametrize(("threshold", "last"), [(0, 401), (2, 403), (5, 401)])
async def test_the_configured_lockout_counts(serve: Serve, threshold: int, last: int) -> None:
    client = await serve(admins={"root": "relaxed"}, lockout_threshold=threshold)
    for _ in range(4):
        answer = await client.get("/", auth=("root", "wrong"))
    assert answer.status_code == last
