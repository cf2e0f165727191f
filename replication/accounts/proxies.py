"""A proxy in front that has found out who asks, and says so in headers.

As in CouchDB: `X-Auth-CouchDB-UserName`, `X-Auth-CouchDB-Roles` with commas, and `X-Auth-CouchDB-Token`, the
HMAC of the name under a secret that the proxy shares, in hexadecimal digits. CouchDB can be told to
believe the headers without a token (`proxy_use_secret = false`); here the token is always needed.

The token doesn't cover the roles, and it never changes. So it must stay between the proxy and the server,
and the proxy must drop these headers from what its clients send.
"""

from __future__ import annotations

import hmac
import re
from typing import NamedTuple

from replication.protocol import errors

USER_NAME = b"x-auth-couchdb-username"
ROLES = b"x-auth-couchdb-roles"
TOKEN = b"x-auth-couchdb-token"

DIGESTS = ("sha256", "sha1")
"""Those that CouchDB 3.5 takes."""

MIN_SECRET = 16

_COMMA = re.compile(r"\s*,\s*")


class Vouched(NamedTuple):
    """Whom the proxy vouches for."""

    name: str
    roles: tuple[str, ...]


def check_secret(secret: str) -> None:
    """Raises ValueError for a secret that could be guessed."""
    if len(secret.encode("utf-8")) < MIN_SECRET:
        raise ValueError(f"the secret that a proxy shares needs at least {MIN_SECRET} characters")


def vouched(headers: list[tuple[bytes, bytes]], secret: bytes) -> Vouched | None:
    """Whom the headers name; None if nobody, or if the token is wrong, as in CouchDB.

    Raises 400 for a header that came twice: one of them may be the client's.
    """
    given: dict[bytes, str] = {}
    for header, value in headers:
        if header in (USER_NAME, ROLES, TOKEN):
            if header in given:
                raise errors.bad_request(f"The header {header.decode('ascii')} came twice.")
            given[header] = value.decode("latin-1").strip()
    name, token = given.get(USER_NAME, ""), given.get(TOKEN, "").lower()
    if not name:
        return None
    signed = name.encode("latin-1")
    genuine = [hmac.new(secret, signed, digest).hexdigest() for digest in DIGESTS]
    matches = [hmac.compare_digest(each.encode("ascii"), token.encode("latin-1")) for each in genuine]
    if not any(matches):
        return None
    roles = tuple(role for role in _COMMA.split(given.get(ROLES, "")) if role)
    try:
        return Vouched(
            signed.decode("utf-8"), tuple(role.encode("latin-1").decode("utf-8") for role in roles)
        )
    except UnicodeDecodeError:
        raise errors.bad_request("The headers of the proxy are not UTF-8.") from None
