"""The session cookie: base64url of `NAME:HEXTIME:MAC`, as CouchDB makes it.

The MAC is HMAC-SHA256 over `NAME:HEXTIME`, keyed with the server's secret and the user's salt. A new
password brings a new salt, and with it every older cookie of that user stops being valid.
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import urlsafe_b64encode
from typing import NamedTuple

COOKIE_NAME = "AuthSession"
_MAX_LENGTH = 4096
_HEX_TIME = re.compile(rb"[0-9A-Fa-f]{1,12}")
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


class SessionCookie(NamedTuple):
    """A cookie taken apart, not yet believed."""

    name: str
    time: int
    """When it was made, in seconds since 1970."""
    signed: bytes
    mac: bytes

    def is_genuine(self, secret: bytes, salt: str) -> bool:
        return hmac.compare_digest(_mac(self.signed, secret, salt), self.mac)


def _mac(signed: bytes, secret: bytes, salt: str) -> bytes:
    return hmac.digest(secret + salt.encode(), signed, "sha256")


def make_cookie(name: str, salt: str, secret: bytes, now: int) -> str:
    """The cookie's value. `now` in seconds since 1970."""
    signed = f"{name}:{now:X}".encode()
    return urlsafe_b64encode(signed + b":" + _mac(signed, secret, salt)).rstrip(b"=").decode("ascii")


def parse_cookie(value: str) -> SessionCookie:
    """Takes a cookie's value apart. Raises ValueError for what isn't shaped like one."""
    if len(value) > _MAX_LENGTH:
        raise ValueError("the cookie is too long")
    text = value.encode("ascii").translate(_TO_STANDARD).rstrip(b"=")
    try:
        raw = binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
        name, time, mac = raw.split(b":", 2)
        seconds = int(time, 16) if _HEX_TIME.fullmatch(time) else 0
        return SessionCookie(name.decode("utf-8"), seconds, raw[: len(raw) - len(mac) - 1], mac)
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
