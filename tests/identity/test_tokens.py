"""Tokens: what is refused, whatever it is signed with, and what a good one says."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kompass.access.principals import Role
from kompass.identity.keys import KeySet
from kompass.identity.tokens import AccessTokens, ForgedTokenError, TokenRules, is_user_name, read_roles
from replication.protocol.errors import ProtocolError
from tests.examples import examples
from tests.identity.conftest import KEYS, Issuer

KID = {"kid": "one"}


@pytest.fixture
async def keys(issuer: Issuer) -> AsyncIterator[KeySet]:
    keys = KeySet(f"{issuer.name}/protocol/openid-connect/certs")
    yield keys
    await keys.close()


@pytest.fixture
def tokens(issuer: Issuer, keys: KeySet) -> AccessTokens:
    return AccessTokens(TokenRules(issuer.name, "kompass-server", ("kompass-pwa",)), keys)


async def refusal(tokens: AccessTokens, token: str) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        await tokens.read(token)
    assert caught.value.status == 401
    assert caught.value.error == "unauthorized"
    return caught.value


async def test_a_good_token(tokens: AccessTokens, issuer: Issuer) -> None:
    claims = await tokens.read(issuer.token("anna", ("ADM", "PLAN")))
    assert (claims.name, claims.subject) == ("anna", "id-of-anna")
    assert claims.roles == {Role.ADM, Role.PLAN}
    assert claims.expires == pytest.approx(time.time() + 330, abs=3)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
async def test_no_signature_is_no_signature(tokens: AccessTokens, issuer: Issuer, algorithm: str) -> None:
    for signature in ("", "AAAA"):
        token = f"{part({'alg': algorithm, **KID})}.{part(issuer.claims())}.{signature}"
        assert isinstance(await refusal(tokens, token), ForgedTokenError)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_the_public_key_is_no_shared_secret(
    tokens: AccessTokens, issuer: Issuer, algorithm: str
) -> None:
    pem = (
        KEYS["one"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    for secret in (pem, pem.strip(), issuer.key_set().encode()):
        signed = f"{part({'alg': algorithm, **KID})}.{part(issuer.claims())}"
        mac = hmac.digest(secret, signed.encode(), algorithm.replace("HS", "sha"))
        token = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        assert "RS256" in (await refusal(tokens, token)).reason


async def test_other_algorithms_are_refused(tokens: AccessTokens, issuer: Issuer) -> None:
    elliptic = ec.generate_private_key(ec.SECP256R1())
    for token in (
        jwt.encode(issuer.claims(), elliptic, "ES256", headers=KID),
        jwt.encode(issuer.claims(), KEYS["one"], "RS512", headers=KID),
        jwt.encode(issuer.claims(), KEYS["one"], "PS256", headers=KID),
    ):
        assert "RS256" in (await refusal(tokens, token)).reason


async def test_another_key_under_a_known_name(tokens: AccessTokens, issuer: Issuer) -> None:
    token = jwt.encode(issuer.claims(), KEYS["two"], "RS256", headers=KID)
    assert isinstance(await refusal(tokens, token), ForgedTokenError)


async def test_a_key_that_the_token_brings_does_not_count(tokens: AccessTokens, issuer: Issuer) -> None:
    brought = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEYS["two"].public_key()))
    token = jwt.encode(issuer.claims(), KEYS["two"], "RS256", headers={**KID, "jwk": brought})
    await refusal(tokens, token)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"kid": None}, "kid"),
        ({"kid": ""}, "kid"),
        ({"kid": 5}, "kid"),
        ({"kid": "x" * 500}, "kid"),
        ({"kid": "one", "crit": ["exp"]}, "header"),
        ({"kid": "one", "typ": "dpop+jwt"}, "header"),
    ],
)
async def test_headers(tokens: AccessTokens, issuer: Issuer, header: dict[str, Any], reason: str) -> None:
    whole = {"alg": "RS256", **{name: value for name, value in header.items() if value is not None}}
    signed = f"{part(whole)}.{part(issuer.claims())}"
    signature = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(
        signed.encode(), KEYS["one"]
    )
    token = f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    caught = await refusal(tokens, token)
    assert reason in caught.reason or "malformed" in caught.reason


@pytest.mark.parametrize(
    ("changed", "reason", "forged"),
    [
        ({"iss": "http://127.0.0.1/realms/other"}, "issuer", True),
        ({"iss": None}, "issuer", True),
        ({"aud": "account"}, "aud", True),
        ({"aud": ["account", "kompass-pwa"]}, "aud", True),
        ({"aud": None}, "aud", True),
        ({"aud": {"kompass-server": 1}}, "aud", True),
        ({"azp": "other-app"}, "azp", True),
        ({"azp": "kompass-server"}, "azp", True),
        ({"azp": None}, "azp", True),
        ({"typ": "ID"}, "typ", True),
        ({"typ": "Refresh"}, "typ", True),
        ({"typ": None}, "typ", True),
        ({"exp": 1}, "expired", False),
        ({"exp": None}, "exp", False),
        ({"exp": "9999999999"}, "exp", False),
        ({"exp": True}, "exp", False),
        ({"exp": 1e300}, "exp", False),
        ({"iat": None}, "iat", False),
        ({"iat": "now"}, "iat", False),
        ({"sub": None}, "sub", False),
        ({"sub": ""}, "sub", False),
        ({"sub": 7}, "sub", False),
        ({"preferred_username": None}, "preferred_username", False),
        ({"preferred_username": "_root"}, "preferred_username", False),
        ({"preferred_username": "a:b"}, "preferred_username", False),
        ({"preferred_username": "a\nb"}, "preferred_username", False),
        ({"preferred_username": ""}, "preferred_username", False),
        ({"preferred_username": "x" * 201}, "preferred_username", False),
        ({"preferred_username": ["anna"]}, "preferred_username", False),
    ],
)
async def test_claims(
    tokens: AccessTokens, issuer: Issuer, changed: dict[str, Any], reason: str, forged: bool
) -> None:
    # PyJWT would not sign some of these.
    payload = json.dumps(issuer.claims(**changed)).encode()
    token = jwt.PyJWS().encode(payload, KEYS["one"], "RS256", headers=KID)
    caught = await refusal(tokens, token)
    assert reason in caught.reason
    assert isinstance(caught, ForgedTokenError) is forged
    assert caught.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize(
    ("claim", "seconds", "good"),
    [
        ("exp", -29, True),
        ("exp", -31, False),
        ("nbf", 29, True),
        ("nbf", 31, False),
        ("iat", 29, True),
        ("iat", 31, False),
    ],
)
async def test_clocks_may_differ_by_the_skew(
    issuer: Issuer, keys: KeySet, claim: str, seconds: int, good: bool
) -> None:
    now = 1_800_000_000.0
    rules = TokenRules(issuer.name, "kompass-server", ("kompass-pwa",), clock_skew=30)
    tokens = AccessTokens(rules, keys, clock=lambda: now)
    times: dict[str, Any] = {"iat": int(now) - 100, "exp": int(now) + 100, claim: int(now) + seconds}
    token = issuer.token(**times)
    if good:
        await tokens.read(token)
    else:
        await refusal(tokens, token)


@pytest.mark.parametrize("token", ["", "x", "..", "a.b.c", "e30.e30.e30", "\0", "ä.ö.ü", "x" * 100_000])
async def test_what_is_no_token(tokens: AccessTokens, token: str) -> None:
    assert isinstance(await refusal(tokens, token), ForgedTokenError)


@settings(
    max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.integers(0, 5000), change=st.integers(1, 255))
async def test_a_token_changed_anywhere_is_refused_or_the_same(
    tokens: AccessTokens, issuer: Issuer, place: int, change: int
) -> None:
    good = issuer.token("anna", ("ADM",))
    at = place % len(good)
    changed = good[:at] + chr(ord(good[at]) ^ change) + good[at + 1 :]
    refused, claims = None, None
    try:
        claims = await tokens.read(changed)
    except ProtocolError as error:
        refused = error.status
    if claims is None:
        assert refused in (401, 503)
    else:  # bits of the last character that base64 doesn't use
        assert (claims.name, sorted(claims.roles)) == ("anna", ["ADM"])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from(list(Role)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["roles", "realm_access", "resource_access", "kompass-server"]), inner
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["realm_access", "resource_access"]), JSON))
def test_roles_of_anything(claims: dict[str, Any]) -> None:
    assert read_roles(claims, "kompass-server") <= frozenset(Role)


def test_roles_of_client_and_realm_count_and_no_others() -> None:
    claims = {
        "resource_access": {
            "kompass-server": {"roles": ["GF", "gf", "root"]},
            "other": {"roles": ["ADMIN"]},
        },
        "realm_access": {"roles": ["ADM", "offline_access", "_admin", 5]},
    }
    assert read_roles(claims, "kompass-server") == {Role.GF, Role.ADM}


def test_names_of_users() -> None:
    assert all(map(is_user_name, ["anna", "Jörg Nägele", "a@b.example", "x" * 200]))
    assert not any(map(is_user_name, ["", "_a", "a:b", " a", "a\u202eb", "a\0", None, 5, "x" * 201]))
