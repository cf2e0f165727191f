"""Who asks, by cookie, proxy, token or Basic, and the `_session` endpoint.

As in CouchDB the cookie goes first, and Basic is looked at only if the others told nothing. A header
that isn't Basic at all, or lacks the colon, is as good as none; wrong credentials are 401 on every
path. A cookie with less than nine tenths of its life left is renewed along with the response.

The cookie has its end twice: nano reads nothing but `Expires`, the Cloudant SDK for Python takes both. A
failed login is answered with an empty cookie that lasts, as CouchDB's: where it has ended already, that SDK
drops it, finds none and stumbles before it looks at the 401.
"""

from __future__ import annotations

import binascii
import time
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from replication.accounts.cookies import COOKIE_NAME, find_cookie, make_cookie, parse_cookie
from replication.accounts.directory import WRONG, Account
from replication.accounts.proxies import vouched
from replication.http.call import Call
from replication.http.principal import Principal
from replication.http.responses import json_response
from replication.protocol import errors, jsontext
from replication.protocol.errors import ProtocolError

EVERYBODY_ADMIN = Principal(None, ("_admin",))
"""Who anybody is in a server without administrators."""

MAX_LOGIN_BODY = 64 * 1024
RENEW_BELOW = 0.9

_COOKIE = b"cookie"
_AUTHORIZATION = b"authorization"
_BEARER = b"bearer "
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


async def authenticate(call: Call) -> None:
    """Sets `principal` and `authenticated_by`, and lets the rest of the request see what other processes have
    answered before it came.

    Raises 401 for wrong credentials, 403 while the account is locked, 400 for a cookie, a token or a
    Basic header that isn't shaped like one, 503 if what others have answered can't be known.
    """
    await call.server.store.fresh()
    for name, value in call.scope["headers"]:
        if name == _COOKIE:
            cookie = find_cookie(value.decode("latin-1"))
            if cookie is not None and await _by_cookie(call, cookie):
                return
    if call.server.config.proxy_secret and _by_proxy(call):
        await call.server.identity.admit(call)
        return
    for name, value in call.scope["headers"]:
        if name == _AUTHORIZATION:
            token = _bearer_token(call, value)
            if token is not None:
                await call.server.identity.by_token(call, token)
                call.authenticated_by = "jwt"
                await call.server.identity.admit(call)
                return
            credentials = basic_credentials(value)
            if credentials is not None:
                account = await call.server.accounts.log_in(*credentials, address(call))
                call.principal = Principal(account.name, account.roles)
                call.authenticated_by = "default"
                call.salt = account.salt
                await call.server.identity.admit(call)
                return
    if not call.server.accounts.has_admins and not call.server.config.require_valid_user:
        call.principal = EVERYBODY_ADMIN
        call.authenticated_by = "default"


def _bearer_token(call: Call, header: bytes) -> str | None:
    """The token of an `Authorization` header, where the server takes tokens."""
    if header[:7].lower() != _BEARER or not call.server.identity.takes_tokens:
        return None
    return header[7:].strip().decode("latin-1")


def _by_proxy(call: Call) -> bool:
    found = vouched(call.scope["headers"], call.server.config.proxy_secret.encode("utf-8"))
    if found is None:
        return False
    call.principal = Principal(found.name, found.roles)
    call.authenticated_by = "proxy"
    return True


async def _by_cookie(call: Call, text: str) -> bool:
    try:
        cookie = parse_cookie(text)
    except ValueError:
        raise errors.ProtocolError(
            400,
            "bad_request",
            "Malformed AuthSession cookie. Please clear your cookies.",
            headers={"Set-Cookie": cleared_cookie(call)},
        ) from None
    now = int(time.time())
    timeout = call.server.config.session_timeout
    left = cookie.time + timeout - now
    account = await call.server.accounts.find(cookie.name) if left > 0 else None
    if account is None or not cookie.is_genuine(call.server.store.secret, account.salt):
        await call.server.identity.refused_cookie(cookie)
        return False
    call.principal = Principal(account.name, account.roles)
    call.authenticated_by = "cookie"
    call.session = cookie.session
    call.salt = account.salt
    await call.server.identity.admit(call)
    if left < timeout * RENEW_BELOW:
        call.response_headers["Set-Cookie"] = _session_cookie(call, account, cookie.session)
    return True


def basic_credentials(header: bytes) -> tuple[str, str] | None:
    """Name and password of an `Authorization` header; None if it holds none.

    Raises 400 for Basic with something that isn't base64.
    """
    if not header.startswith(b"Basic "):
        return None
    try:
        text = binascii.a2b_base64(header[6:].strip(), strict_mode=True).decode("utf-8")
    except UnicodeDecodeError:
        raise errors.unauthorized(WRONG) from None
    except ValueError:
        raise errors.bad_request("Authorization header has invalid base64 value") from None
    name, colon, password = text.partition(":")
    if not colon or (name, password) == ("_", "_"):
        # `_:_` is what browsers are told to send to forget what they know.
        return None
    return name, password


def address(call: Call) -> str:
    """Where the call came from; empty if that isn't known."""
    client = call.scope.get("client")
    return client[0] if client else ""


def _session_cookie(call: Call, account: Account, session: str) -> str:
    value = make_cookie(account.name, account.salt, call.server.store.secret, int(time.time()), session)
    return _set_cookie(call, value, call.server.config.session_timeout)


def cleared_cookie(call: Call) -> str:
    """`Set-Cookie` of a cookie that has ended."""
    return _set_cookie(call, "", 0)


def _set_cookie(call: Call, value: str, max_age: int) -> str:
    expires = formatdate(time.time() + max_age if max_age else 0, usegmt=True)
    parts = [
        f"{COOKIE_NAME}={value}",
        f"Expires={expires}",
        f"Max-Age={max_age}",
        "Path=/",
        "HttpOnly",
    ]
    if call.scope["scheme"] == "https":
        parts.append("Secure")
    same_site = call.server.config.same_site
    if same_site:
        parts.append(f"SameSite={same_site.capitalize()}")
    return "; ".join(parts)


# -- the endpoint --------------------------------------------------------------------------------


async def show(call: Call) -> Response:
    """Who the server takes the caller for. With `basic=true` it insists on a login."""
    principal = call.principal
    if principal.name is None and call.query.get("basic") == "true":
        raise errors.unauthorized("Please login.")
    info: dict[str, object] = {"authentication_handlers": _handlers(call)}
    if call.authenticated_by:
        info["authenticated"] = call.authenticated_by
    user = {"name": principal.name, "roles": list(principal.roles)}
    return json_response({"ok": True, "userCtx": user, "info": info})


def _handlers(call: Call) -> list[str]:
    """The ways to log in, in the order in which they are tried."""
    proxy = ["proxy"] if call.server.config.proxy_secret else []
    tokens = ["jwt"] if call.server.identity.takes_tokens else []
    return ["cookie", *proxy, *tokens, "default"]


async def login(call: Call) -> Response:
    """Exchanges name and password for a cookie; `next` sends a browser on to a path of this server.

    Where the server's `Identity` does that, a token in the `Authorization` header is exchanged as well.
    """
    after, failed = _redirect(call, "next"), _redirect(call, "fail")
    account = await _account_of_token(call)
    by_token = account is not None
    form = None if by_token else await _login_form(call)
    call.response_headers.pop("Set-Cookie", None)
    try:
        if form is not None:
            account = await call.server.accounts.log_in(*form, address(call))
        assert account is not None
        opened = await call.server.identity.open_session(call, account, by_token=by_token)
    except ProtocolError as error:
        if error.status != 401:
            raise
        headers = {"Set-Cookie": _set_cookie(call, "", call.server.config.session_timeout), **failed}
        return json_response(error.body(), 302 if failed else 401, headers=headers)
    answer = {"ok": True, "name": account.name, "roles": list(account.roles), **opened.members}
    headers = {"Set-Cookie": _session_cookie(call, account, opened.id), **after}
    return json_response(answer, 302 if after else 200, headers=headers)


async def _account_of_token(call: Call) -> Account | None:
    header = call.headers.get("authorization")
    token = None if header is None else _bearer_token(call, header.encode("latin-1"))
    return None if token is None else await call.server.identity.account_of_token(call, token)


async def logout(call: Call) -> Response:
    """Takes the cookie back. Whether a copy of it is good for anything still is the `Identity`'s to say."""
    after = _redirect(call, "next")
    await call.server.identity.close_session(call)
    call.response_headers.pop("Set-Cookie", None)
    headers = {"Set-Cookie": cleared_cookie(call), **after}
    return json_response({"ok": True}, 302 if after else 200, headers=headers)


async def _login_form(call: Call) -> tuple[str, str]:
    """Name and password of a login, from a form or from JSON."""
    content_type = call.headers.get("content-type", "").strip().lower()
    body = await call.body(MAX_LOGIN_BODY)
    form: Any
    if content_type.startswith(_FORM):
        try:
            form = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict"))
        except ValueError:
            raise errors.bad_request("The form is not percent-encoded UTF-8") from None
    elif content_type.startswith(_JSON):
        form = jsontext.decode(body)
        if not isinstance(form, dict):
            raise errors.bad_request("Request body must be a JSON object")
    else:
        raise errors.bad_content_type(f"Content-Type must be '{_FORM}' or '{_JSON}'")
    name, username = form.get("name"), form.get("username")
    if name is None and username is None:
        raise errors.bad_request("request body must contain a username")
    if name is not None and username is not None and name != username:
        raise errors.bad_request("request body contains different usernames")
    name, password = username if name is None else name, form.get("password", "")
    if not isinstance(name, str) or not isinstance(password, str):
        raise errors.bad_request("name and password must be strings")
    return name, password


def _redirect(call: Call, parameter: str) -> dict[str, str]:
    """The `Location` header that a parameter asks for: a path of this server and nothing else.

    `//host` and `/\\host` are other servers to a browser, and a path with control characters would
    be two headers: 400.
    """
    path = call.query.get(parameter)
    if path is None:
        return {}
    if not path.startswith("/"):
        raise errors.bad_request("path must begin with a /.")
    if path[1:2] in ("/", "\\") or not path.isascii() or not path.isprintable():
        raise errors.bad_request("path must be a path of this server")
    return {"Location": path}
