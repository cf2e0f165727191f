"""JSON Web Tokens: who asks is said by an issuer that the server trusts, not by a password.

The rules are those of CouchDB's `[jwt_auth]`, with its answers. Keys are named `hmac:KID`, `rsa:KID` and
`ec:KID`, and a token's algorithm decides which of the three is looked up: a public key is never
taken for a shared secret, and `none` is no algorithm. `_default` is the key of tokens that name none.

Stricter than CouchDB: the signature is looked at before the claims, `exp` and `nbf` count whenever they
are there, times have to be numbers, a header with extensions (`crit`) is refused, and a shared secret
has at least 32 bytes, for a shorter one can be guessed from any token. `aud` can be required, too.
"""

from __future__ import annotations

import binascii
import math
import re
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWS
from jwt.exceptions import InvalidKeyError, InvalidSignatureError, PyJWTError

from replication.protocol import errors, jsontext
from replication.protocol.errors import ProtocolError

HMAC, RSA, EC = "hmac", "rsa", "ec"

ALGORITHMS = {
    "HS256": HMAC,
    "HS384": HMAC,
    "HS512": HMAC,
    "RS256": RSA,
    "RS384": RSA,
    "RS512": RSA,
    "ES256": EC,
    "ES384": EC,
    "ES512": EC,
}
"""Which kind of key an algorithm takes."""

CLAIMS = frozenset({"aud", "exp", "iat", "iss", "kid", "nbf", "typ"})
"""What may be required. `kid` and `typ` belong to the header."""

VALUED = frozenset({"aud", "iss"})
"""Those that are required with a value."""

MIN_SECRET = 32
"""Bytes of a shared secret."""

MIN_RSA_BITS = 2048

DEFAULT_KID = "_default"

_REQUIRED = re.compile(r'\s*(?:([a-z]+)|\{([a-z]+)\s*,\s*"([^"]+)"\})\s*(?:,|$)')
_DOT = re.compile(r"(?<!\\)\.")
_COMMA = re.compile(r"\s*,\s*")

Key = bytes | RSAPublicKey | EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """What makes a token good. Raises ValueError for what can't be meant."""

    keys: Mapping[str, str] = field(repr=False)
    """By `hmac:KID` (the value is base64), `rsa:KID` and `ec:KID` (a public key as PEM)."""
    required_claims: str = "exp"
    """In CouchDB's notation: `exp, {iss, "https://issuer"}`."""
    roles_claim_name: str = "_couchdb.roles"
    roles_claim_path: str | None = None
    """Where the roles are if they are deeper: `realm_access.roles`; a dot in a name is written `\\.`."""

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("tokens need at least one key: hmac:KID, rsa:KID or ec:KID")
        for name, text in self.keys.items():
            read_key(name, text)
        read_required(self.required_claims)


class Bearer(NamedTuple):
    """Who brought a good token."""

    name: str
    roles: tuple[str, ...]
    expires: float | None = None
    """Seconds since 1970 at which the token ends; None if it doesn't say."""


def read_key(name: str, text: str) -> Key:
    """The key called `name`. Raises ValueError, which doesn't show what `text` is."""
    kind, colon, kid = name.partition(":")
    if not colon or not kid or kind not in (HMAC, RSA, EC):
        raise ValueError(f"{name!r} names no key: use hmac:KID, rsa:KID or ec:KID")
    if kind == HMAC:
        try:
            secret = b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"the key {name} is not base64") from None
        if len(secret) < MIN_SECRET:
            raise ValueError(f"the key {name} has {len(secret)} bytes: make it {MIN_SECRET} random ones")
        return secret
    try:
        # One line with \n in it is how CouchDB's configuration has keys.
        key = load_pem_public_key(text.replace("\\n", "\n").strip().encode("utf-8"))
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"the key {name} is no public key in PEM form") from None
    if kind == RSA:
        if not isinstance(key, RSAPublicKey):
            raise ValueError(f"the key {name} is not an RSA public key")
        if key.key_size < MIN_RSA_BITS:
            raise ValueError(f"the key {name} has {key.key_size} bits: make it {MIN_RSA_BITS} or more")
        return key
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError(f"the key {name} is not an EC public key")
    return key


def read_required(text: str) -> dict[str, str | None]:
    """The claims that a token must have, with the value where one is demanded. Raises ValueError."""
    required: dict[str, str | None] = {}
    place = 0
    text = text.strip()
    while place < len(text):
        found = _REQUIRED.match(text, place)
        if found is None:
            raise ValueError(f'required claims are written like exp, {{iss, "name"}}; not {text!r}')
        place = found.end()
        bare, name, value = found.groups()
        claim: str = bare or name
        if claim not in CLAIMS or (value is not None) != (claim in VALUED):
            raise ValueError(f"the claim {found[0].strip()!r} can't be required")
        required[claim] = value
    return required


class Tokens:
    """Judges tokens by one `TokenSettings`."""

    def __init__(self, settings: TokenSettings, clock: Callable[[], float] = time.time) -> None:
        self._keys = {name: read_key(name, text) for name, text in settings.keys.items()}
        self._required = read_required(settings.required_claims)
        path = settings.roles_claim_path
        self._roles_path = (
            [settings.roles_claim_name]
            if path is None
            else [name.replace("\\.", ".") for name in _DOT.split(path)]
        )
        self._clock = clock
        self._signatures = PyJWS()

    def bearer(self, token: str) -> Bearer:
        """Whom a token names. Raises 400 and 401 with CouchDB's reasons for one that isn't good."""
        claims = self._claims(token)
        self._check_claims(claims)
        name = claims.get("sub")
        if name is None:
            raise errors.unauthorized("Token missing sub claim.")
        if not isinstance(name, str) or not name:
            raise _malformed()
        return Bearer(name, self._roles(claims), claims.get("exp"))

    def _claims(self, token: str) -> dict[str, Any]:
        """The claims of a token whose signature is right."""
        try:
            header = self._signatures.get_unverified_header(token)
            algorithm, kind = self._algorithm(header)
            key = self._key(kind, header)
            if isinstance(key, bytes) and len(key) * 8 < int(algorithm[2:]):
                raise errors.bad_request(f"The key is too short for {algorithm}")
            try:
                decoded = self._signatures.decode_complete(token, key, algorithms=[algorithm])
            except (InvalidSignatureError, InvalidKeyError):
                raise errors.bad_request("Bad HMAC" if kind == HMAC else "Bad signature") from None
        except PyJWTError:
            raise _malformed() from None
        claims = jsontext.decode(decoded["payload"])
        if not isinstance(claims, dict):
            raise errors.bad_request("Not an object")
        return claims

    def _algorithm(self, header: Mapping[str, Any]) -> tuple[str, str]:
        if "crit" in header or "b64" in header:
            raise _malformed()
        kind = header.get("typ")
        if kind is None and "typ" in self._required:
            raise errors.bad_request("Missing typ header parameter")
        if kind != "JWT" and "typ" in self._required:
            raise errors.bad_request("Invalid typ header parameter")
        algorithm = header.get("alg")
        if algorithm is None:
            raise errors.bad_request("Missing alg header parameter")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise errors.bad_request("Invalid alg header parameter")
        return algorithm, ALGORITHMS[algorithm]

    def _key(self, kind: str, header: Mapping[str, Any]) -> Key:
        kid = header.get("kid")
        if kid is None and "kid" in self._required:
            raise errors.bad_request("Missing kid claim")
        key = self._keys.get(f"{kind}:{DEFAULT_KID if kid is None else kid}")
        if key is None:
            raise errors.bad_request("Unknown kid")
        return key

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        for claim in ("iss", "aud", "iat", "nbf", "exp"):
            if claims.get(claim) is None:
                if claim in self._required:
                    raise errors.bad_request(f"Missing {claim} claim")
                continue
            if claim in VALUED:
                self._check_value(claim, claims[claim])
                continue
            when = claims[claim]
            if type(when) not in (int, float) or not math.isfinite(when):
                raise errors.bad_request(f"Invalid {claim} claim")
            if claim == "nbf" and when > now:
                raise errors.unauthorized("nbf not in past")
            if claim == "exp" and when <= now:
                raise errors.unauthorized("exp not in future")

    def _check_value(self, claim: str, given: object) -> None:
        wanted = self._required.get(claim)
        if wanted is None or given == wanted:
            return
        # A token may be for several audiences.
        if claim != "aud" or not isinstance(given, list) or wanted not in given:
            raise errors.bad_request(f"Invalid {claim} claim")

    def _roles(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        found: Any = claims
        for name in self._roles_path:
            found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            return ()
        if isinstance(found, str):
            found = [role for role in _COMMA.split(found.strip()) if role]
        if not isinstance(found, list) or not all(isinstance(role, str) for role in found):
            raise _malformed()
        return tuple(found)


def _malformed() -> ProtocolError:
    return errors.bad_request("Malformed token")
