"""Access tokens of Keycloak: what makes one good, and what it says.

The signature is RS256 under a key of the issuer and nothing else: no other algorithm, `none` least of all, is
ever tried, so a public key can't be taken for a shared secret. Then issuer, audience, the client that it
was issued to, and its times. An ID or refresh token is no access token.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from jwt import PyJWS
from jwt.exceptions import PyJWTError

from kompass.access.principals import Role, known_roles
from kompass.access.services import AUTHOR
from kompass.identity.keys import KeySet
from replication.protocol import errors, jsontext
from replication.protocol.errors import ProtocolError

ALGORITHM = "RS256"
MAX_LENGTH = 16 * 1024
MAX_NAME = 200
_HEADER_TYPES = (None, "JWT", "jwt", "at+jwt")


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must say. Times in seconds."""

    issuer: str
    audience: str
    """Must be in `aud`; its roles are in `resource_access`."""
    parties: tuple[str, ...]
    """Clients that tokens may have been issued to: `azp`."""
    clock_skew: float = 30.0


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says."""

    name: str
    subject: str
    roles: frozenset[Role]
    issued: float
    """Seconds since 1970."""
    expires: float
    """Seconds since 1970 after which it doesn't count, clock skew included."""


class ForgedTokenError(ProtocolError):
    """401 for a token that no honest client has: worth counting."""

    def __init__(self, reason: str) -> None:
        super().__init__(401, "unauthorized", reason, headers=_challenge(reason))


class AccessTokens:
    """Judges tokens by `TokenRules`."""

    def __init__(self, rules: TokenRules, keys: KeySet, clock: Callable[[], float] = time.time) -> None:
        self._rules = rules
        self._keys = keys
        self._clock = clock
        self._signatures = PyJWS()

    def issued(self, token: str) -> bool:
        """Whether the token says that it comes from this issuer. Nothing is checked."""
        try:
            claims = jwt.decode(token[:MAX_LENGTH], options={"verify_signature": False})
        except (PyJWTError, ValueError):
            return False
        return claims.get("iss") == self._rules.issuer

    async def read(self, token: str) -> Claims:
        """What `token` says. Raises 401 with what is wrong, 503 while its key can't be fetched."""
        claims = await self._signed(token)
        rules, now = self._rules, self._clock()
        if claims.get("iss") != rules.issuer:
            raise ForgedTokenError("The token has another issuer.")
        audience = claims.get("aud")
        if rules.audience not in (audience if isinstance(audience, list) else [audience]):
            raise ForgedTokenError(f"The token is not for {rules.audience} (aud).")
        if claims.get("azp") not in rules.parties:
            raise ForgedTokenError("The token was issued to a client that may not be used here (azp).")
        if claims.get("typ") != "Bearer":
            raise ForgedTokenError("This is no access token (typ).")
        issued, expires = _time(claims, "iat"), _time(claims, "exp")
        if expires + rules.clock_skew <= now:
            raise _refusal("The token has expired.")
        if issued - rules.clock_skew > now:
            raise _refusal("The token was issued in the future: compare the clocks.")
        if claims.get("nbf") is not None and _time(claims, "nbf") - rules.clock_skew > now:
            raise _refusal("The token does not count yet (nbf).")
        return Claims(
            name=_name(claims.get("preferred_username")),
            subject=_text(claims, "sub"),
            roles=read_roles(claims, rules.audience),
            issued=issued,
            expires=expires + rules.clock_skew,
        )

    async def _signed(self, token: str) -> dict[str, Any]:
        """The claims of a token whose signature is right."""
        if len(token) > MAX_LENGTH:
            raise ForgedTokenError("The token is too long.")
        try:
            header = self._signatures.get_unverified_header(token)
            if header.get("alg") != ALGORITHM:
                raise ForgedTokenError(f"The token is not signed with {ALGORITHM}.")
            if "crit" in header or "b64" in header or header.get("typ") not in _HEADER_TYPES:
                raise ForgedTokenError("The token has a header that can't be understood.")
            kid = header.get("kid")
            if not isinstance(kid, str) or not 0 < len(kid) <= 200:
                raise ForgedTokenError("The token doesn't name its key (kid).")
            key = await self._keys.key(kid)
            payload = self._signatures.decode_complete(token, key, algorithms=[ALGORITHM])["payload"]
        except PyJWTError:
            raise ForgedTokenError("The token is malformed or its signature is wrong.") from None
        try:
            claims = jsontext.decode(payload)
        except ProtocolError:
            claims = None
        if not isinstance(claims, dict):
            raise ForgedTokenError("The token holds no claims.")
        return claims


def read_roles(claims: dict[str, Any], client: str) -> frozenset[Role]:
    """The roles of `client`, then those of the realm; those the business doesn't know are left out."""
    access = claims.get("resource_access")
    found = _roles(access.get(client) if isinstance(access, dict) else None)
    return known_roles([*found, *_roles(claims.get("realm_access"))])


def _roles(access: object) -> list[str]:
    roles = access.get("roles") if isinstance(access, dict) else None
    return [role for role in roles if isinstance(role, str)] if isinstance(roles, list) else []


def is_user_name(name: object) -> bool:
    """Whether `name` may be a user's: what `_users` takes, printable, not too long, not the server's."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or name == AUTHOR:
        return False
    return not name.startswith("_") and ":" not in name and name.isprintable() and name == name.strip()


def _name(value: object) -> str:
    if not is_user_name(value):
        raise _refusal("The token's preferred_username can't be the name of a user here.")
    assert isinstance(value, str)
    return value


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise _refusal(f"The token has no {name}.")
    return value


def _time(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e11:
        raise _refusal(f"The token's {name} is no time.")
    return float(value)


def _refusal(reason: str) -> ProtocolError:
    return errors.unauthorized(reason, headers=_challenge(reason))


def _challenge(reason: str) -> dict[str, str]:
    return {"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{reason}"'}
