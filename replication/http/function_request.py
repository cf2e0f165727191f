"""The request as functions of design documents see it: CouchDB's `req` object."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, unquote

from replication.accounts.cookies import COOKIE_NAME
from replication.http.call import Call
from replication.http.database import describe
from replication.http.root import new_uuid
from replication.protocol import jsontext

_HIDDEN = frozenset({"authorization", "cookie", "proxy-authorization", "x-auth-couchdb-token"})
"""Headers that prove who somebody is: whoever may write functions must not learn others' passwords, nor the
token of a proxy, which is good for ever."""

_FORM = "application/x-www-form-urlencoded"


async def request_object(call: Call, docid: str | None, body: Any) -> bytes:
    """`req` as JSON. `docid` is what the function was called for, if anything."""
    raw = call.scope["raw_path"].decode("latin-1")
    query = call.scope["query_string"].decode("latin-1")
    path = raw + (f"?{query}" if query else "")
    content_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    form: dict[str, str] = {}
    if content_type == _FORM and isinstance(body, str):
        form = dict(parse_qsl(body, keep_blank_values=True))
    client = call.scope.get("client")
    return jsontext.encode(
        {
            "info": await describe(call.database),
            "uuid": new_uuid(),
            "id": docid,
            "method": call.method,
            "requested_path": unquote(path, errors="replace").strip("/").split("/"),
            "path": call.segments,
            "raw_path": path,
            "query": call.query,
            "headers": {
                "-".join(part.capitalize() for part in name.split("-")): value
                for name, value in call.headers.items()
                if name not in _HIDDEN
            },
            "body": body,
            "peer": client[0] if client else "",
            "form": form,
            "cookie": _cookies(call.headers.get("cookie", "")),
            "userCtx": user_context(call),
            "secObj": jsontext.decode(await call.database.security()),
        }
    )


def user_context(call: Call) -> dict[str, Any]:
    """Who asks, as functions see it."""
    principal = call.principal
    return {"db": call.database.name, "name": principal.name, "roles": list(principal.roles)}


def _cookies(header: str) -> dict[str, str]:
    try:
        parsed = SimpleCookie(header)
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in parsed.items() if name != COOKIE_NAME}
