"""The session cookie: base64url of `NAME:HEXTIME:MAC`, as CouchDB makes it.

The MAC is HMAC-SHA256 over `NAME:HEXTIME`, keyed with the server's secret and the user's salt. A new
password brings a new salt, and with it every older cookie of that user stops being valid. A server that
keeps account of its sessions has the session's id in the cookie too: `NAME:HEXTIME-SESSION:MAC`, under the
same MAC.
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import urlsafe_b64encode
from typing import NamedTuple

COOKIE_NAME = "AuthSession"
_MAX_LENGTH = 4096
_TIME = re.compile(rb"([0-9A-Fa-f]{1,12})(?:-([A-Za-z0-9._-]{1,128}))?")
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


class SessionCookie(NamedTuple):
    """A cookie taken apart, not yet believed."""

    name: str
    time: int
    """When it was made, in seconds since 1970."""
    signed: bytes
    mac: bytes
    session: str = ""
    """The session's id; empty if it has none."""

    def is_genuine(self, secret: bytes, salt: str) -> bool:
        return hmac.compare_digest(_mac(self.signed, secret, salt), self.mac)


def _mac(signed: bytes, secret: bytes, salt: str) -> bytes:
    return hmac.digest(secret + salt.encode(), signed, "sha256")


def make_cookie(name: str, salt: str, secret: bytes, now: int, session: str = "") -> str:
    """The cookie's value. `now` in seconds since 1970.

    `session`: at most 128 of ASCII letters, digits, `.`, `_` and `-`.
    """
    signed = f"{name}:{now:X}-{session}".encode() if session else f"{name}:{now:X}".encode()
    return urlsafe_b64encode(signed + b":" + _mac(signed, secret, salt)).rstrip(b"=").decode("ascii")


def parse_cookie(value: str) -> SessionCookie:
    """Takes a cookie's value apart. Raises ValueError for what isn't shaped like one."""
    if len(value) > _MAX_LENGTH:
        raise ValueError("the cookie is too long")
    text = value.encode("ascii").translate(_TO_STANDARD).rstrip(b"=")
    try:
        raw = binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
        name, time, mac = raw.split(b":", 2)
        read = _TIME.fullmatch(time)
        seconds, session = (int(read[1], 16), read[2] or b"") if read else (0, b"")
        return SessionCookie(
            name.decode("utf-8"), seconds, raw[: len(raw) - len(mac) - 1], mac, session.decode("ascii")
        )
    except ValueError:
        raise ValueError("not base64url of NAME:HEXTIME:MAC") from None


def find_cookie(header: str) -> str | None:
    """The session cookie's value in a `Cookie` header; None if it isn't there or empty."""
    if COOKIE_NAME not in header:
        return None
    for part in header.split(";"):
        name, equals, value = part.strip().partition("=")
        if equals and name == COOKIE_NAME:
            return value.strip().strip('"') or None
    return None
