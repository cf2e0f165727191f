"""Password hashes in the shapes CouchDB stores, so that user documents move both ways.

Written is PBKDF2 with HMAC-SHA256 (`password_scheme` "pbkdf2", `pbkdf2_prf` "sha256"). Read are also
the other hash functions of that scheme, and `simple`: SHA-1 of password and salt, from before
CouchDB 1.3. Administrators of the server have the same hashes in one line of text, as CouchDB's
configuration file has them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ITERATIONS = 600_000
"""Rounds for new hashes, CouchDB 3.5's default: about a tenth of a second."""

MAX_ITERATIONS = 10_000_000
"""More rounds than this aren't computed: whoever may write a hash must not stop the server with it."""

PRF = "sha256"

_DIGESTS = {"sha": "sha1", "sha224": "sha224", "sha256": "sha256", "sha384": "sha384", "sha512": "sha512"}
"""CouchDB's names of hash functions and Python's."""

PASSWORD_MEMBERS = frozenset({
    "derived_key",
    "iterations",
    "password",
    "password_scheme",
    "password_sha",
    "pbkdf2_prf",
    "preserve_salt",
    "salt",
})  # fmt: skip
"""Members of a user document that a new password replaces."""

_ADMIN_SIMPLE = re.compile(r"-hashed-([0-9a-f]{40}),([^,]*)")
_ADMIN_PBKDF2 = re.compile(r"-pbkdf2(?::(sha|sha224|sha256|sha384|sha512))?-([0-9a-f]+),([^,]*),(\d{1,10})")


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What is stored instead of a password. Computing it is slow on purpose: never in the event loop."""

    scheme: str
    """`pbkdf2`, `simple` or `simple+pbkdf2` (the first over the second's result)."""
    salt: str
    key: str
    """Hex digits."""
    prf: str = PRF
    iterations: int = 0

    def matches(self, password: str) -> bool:
        """Whether `password` is the one. Never raises; takes the same time for any wrong password."""
        try:
            given, salt, key = password.encode(), self.salt.encode(), self.key.encode()
        except UnicodeEncodeError:
            return False
        if self.scheme in ("simple", "simple+pbkdf2"):
            given = hashlib.sha1(given + salt, usedforsecurity=False).hexdigest().encode()
        if self.scheme in ("pbkdf2", "simple+pbkdf2"):
            if not 0 < self.iterations <= MAX_ITERATIONS:
                return False
            given = hashlib.pbkdf2_hmac(_DIGESTS[self.prf], given, salt, self.iterations).hex().encode()
        return hmac.compare_digest(given, key)

    def members(self) -> dict[str, Any]:
        """As members of a user document, in CouchDB's order. For the scheme that is written only."""
        return {
            "password_scheme": self.scheme,
            "pbkdf2_prf": self.prf,
            "salt": self.salt,
            "iterations": self.iterations,
            "derived_key": self.key,
        }


def hash_password(password: str, *, salt: str | None = None, iterations: int = ITERATIONS) -> PasswordHash:
    """A new hash. Slow; raises UnicodeEncodeError for a lone surrogate."""
    salt = secrets.token_hex(16) if salt is None else salt
    key = hashlib.pbkdf2_hmac(_DIGESTS[PRF], password.encode(), salt.encode(), iterations).hex()
    return PasswordHash("pbkdf2", salt, key, PRF, iterations)


def from_document(document: Mapping[str, Any]) -> PasswordHash | None:
    """The hash in a user document; None if it has none that can be checked."""
    scheme, salt = document.get("password_scheme", "simple"), document.get("salt")
    if scheme not in ("simple", "pbkdf2", "simple+pbkdf2") or not isinstance(salt, str):
        return None
    if scheme == "simple":
        key = document.get("password_sha")
        return PasswordHash(scheme, salt, key) if isinstance(key, str) else None
    key, prf = document.get("derived_key"), document.get("pbkdf2_prf", "sha")
    iterations = document.get("iterations", 10_000)
    if not isinstance(key, str) or type(iterations) is not int:
        return None
    if not isinstance(prf, str) or prf not in _DIGESTS:
        return None
    return PasswordHash(scheme, salt, key, prf, iterations)


def from_admin_line(text: str) -> PasswordHash | None:
    """The hash in a line of CouchDB's `[admins]`; None if the text is a plain password."""
    if found := _ADMIN_SIMPLE.fullmatch(text):
        return PasswordHash("simple", found[2], found[1])
    if found := _ADMIN_PBKDF2.fullmatch(text):
        return PasswordHash("pbkdf2", found[3], found[2], found[1] or "sha", int(found[4]))
    return None
