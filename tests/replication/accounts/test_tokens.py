"""Which tokens are believed, and which attacks are not."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import b64encode, urlsafe_b64encode
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from replication.accounts.tokens import Tokens, TokenSettings, read_required
from replication.protocol.errors import ProtocolError

SECRET = bytes(range(64))
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
NOW = int(time.time())
GOOD = {"sub": "anna", "exp": NOW + 100}


def _public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


KEYS = {
    "hmac:_default": b64encode(SECRET).decode("ascii"),
    "hmac:short": b64encode(SECRET[:32]).decode("ascii"),
    "rsa:issuer": _public(RSA_KEY),
    "ec:issuer": _public(EC_KEY).replace("\n", "\\n"),
}


def _tokens(**settings: Any) -> Tokens:
    return Tokens(TokenSettings(KEYS, **settings), clock=lambda: NOW)


def _hs(claims: object = GOOD, **header: object) -> str:
    """A token that is signed with the default secret, whatever it holds."""
    return _signed({"alg": "HS256", "typ": "JWT", **header}, claims, SECRET)


def _signed(header: object, claims: object, secret: bytes, digest: str = "sha256") -> str:
    def part(value: bytes) -> str:
        return urlsafe_b64encode(value).rstrip(b"=").decode("ascii")

    message = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    return f"{message}.{part(hmac.digest(secret, message.encode(), digest))}"


def _refusal(tokens: Tokens, token: str) -> tuple[int, str]:
    with pytest.raises(ProtocolError) as caught:
        tokens.bearer(token)
    return caught.value.status, caught.value.reason


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_shared_secrets(algorithm: str) -> None:
    assert _tokens().bearer(jwt.encode(GOOD, SECRET, algorithm))[:2] == ("anna", ())


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_rsa_keys_by_their_id(algorithm: str) -> None:
    token = jwt.encode(GOOD, RSA_KEY, algorithm, headers={"kid": "issuer"})
    assert _tokens().bearer(token).name == "anna"


def test_elliptic_keys_by_their_id() -> None:
    token = jwt.encode(GOOD, EC_KEY, "ES256", headers={"kid": "issuer"})
    assert _tokens().bearer(token).name == "anna"


def test_a_token_changed_anywhere_is_refused() -> None:
    token = jwt.encode(GOOD, RSA_KEY, "RS256", headers={"kid": "issuer"})
    head, body, signature = token.split(".")
    other = urlsafe_b64encode(json.dumps({**GOOD, "sub": "root"}).encode()).rstrip(b"=").decode()
    assert _refusal(_tokens(), f"{head}.{other}.{signature}") == (400, "Bad signature")
    assert _refusal(_tokens(), f"{head}.{body}.{signature[:-8]}AAAAAAAA") == (400, "Bad signature")
    assert _refusal(_tokens(), f"{head}.{body}.") == (400, "Bad signature")
    mine = _signed({"alg": "HS256"}, GOOD, b"x" * 32)
    assert _refusal(_tokens(), mine) == (400, "Bad HMAC")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS1", "PS256", "EdDSA", "", 5, ["HS256"]])
def test_other_algorithms_are_none(algorithm: object) -> None:
    assert _refusal(_tokens(), _hs(alg=algorithm)) == (400, "Invalid alg header parameter")


def test_no_algorithm_and_no_signature() -> None:
    assert _refusal(_tokens(), _signed({"typ": "JWT"}, GOOD, SECRET)) == (400, "Missing alg header parameter")
    head, body, _ = _hs(alg="none").split(".")
    assert _refusal(_tokens(), f"{head}.{body}.") == (400, "Invalid alg header parameter")


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
@pytest.mark.parametrize("name", ["rsa:issuer", "ec:issuer"])
def test_a_public_key_is_no_shared_secret(name: str, digest: str) -> None:
    pem = KEYS[name].replace("\\n", "\n")
    for secret in (pem, pem.strip(), KEYS[name]):
        header = {"alg": "HS" + digest[3:], "kid": "issuer"}
        assert _refusal(_tokens(), _signed(header, GOOD, secret.encode(), digest)) == (400, "Unknown kid")


def test_a_key_of_one_kind_is_not_taken_for_the_other() -> None:
    token = jwt.encode(GOOD, EC_KEY, "ES256", headers={"kid": "issuer"})
    _, body, signature = token.split(".")
    head = urlsafe_b64encode(b'{"alg":"RS256","kid":"issuer"}').rstrip(b"=").decode()
    assert _refusal(_tokens(), f"{head}.{body}.{signature}") == (400, "Bad signature")
    other = ec.generate_private_key(ec.SECP384R1())
    wrong_curve = jwt.encode(GOOD, other, "ES384", headers={"kid": "issuer"})
    assert _refusal(_tokens(), wrong_curve) == (400, "Bad signature")


@pytest.mark.parametrize("kid", ["nobody", "../../etc/passwd", "issuer", "_default\x00", "' OR 1=1"])
def test_unknown_keys(kid: str) -> None:
    assert _refusal(_tokens(), _hs(kid=kid)) == (400, "Unknown kid")


def test_keys_that_come_with_the_token_are_not_looked_at() -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    header = {"kid": "issuer", "jwk": {"kty": "RSA"}, "jku": "http://127.0.0.1:1/", "x5u": "http://x/"}
    assert _refusal(_tokens(), jwt.encode(GOOD, private, "RS256", headers=header)) == (400, "Bad signature")


def test_headers_with_extensions_are_refused() -> None:
    assert _refusal(_tokens(), _hs(crit=["exp"], exp=1)) == (400, "Malformed token")
    assert _refusal(_tokens(), _hs(b64=False, crit=["b64"])) == (400, "Malformed token")


def test_a_secret_must_fit_its_algorithm() -> None:
    short = _signed({"alg": "HS512", "kid": "short"}, GOOD, SECRET[:32], "sha512")
    assert _refusal(_tokens(), short) == (400, "The key is too short for HS512")


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "e30.e30.", "W10.e30.AA", "e30=.e30.AA", "ä.ö.ü", "." * 9999],
)
def test_what_is_no_token(token: str) -> None:
    status, reason = _refusal(_tokens(), token)
    assert (status, reason) in ((400, "Malformed token"), (400, "Missing alg header parameter"))


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_no_text_does_more_than_being_refused(text: str) -> None:
    assert _refusal(_tokens(), text)[0] in (400, 401)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"exp": NOW - 1}, 401, "exp not in future"),
        ({"exp": NOW}, 401, "exp not in future"),
        ({"exp": None}, 400, "Missing exp claim"),
        ({"exp": str(NOW + 100)}, 400, "Invalid exp claim"),
        ({"exp": True}, 400, "Invalid exp claim"),
        ({"exp": [NOW + 100]}, 400, "Invalid exp claim"),
        ({"nbf": NOW + 10}, 401, "nbf not in past"),
        ({"nbf": "soon"}, 400, "Invalid nbf claim"),
        ({"iat": "now"}, 400, "Invalid iat claim"),
        ({"sub": None}, 401, "Token missing sub claim."),
        ({"sub": ""}, 400, "Malformed token"),
        ({"sub": 5}, 400, "Malformed token"),
        ({"sub": {"name": "root"}}, 400, "Malformed token"),
        ({"_couchdb.roles": 5}, 400, "Malformed token"),
        ({"_couchdb.roles": ["a", 5]}, 400, "Malformed token"),
    ],
)
def test_claims_are_checked(changes: dict[str, object], status: int, reason: str) -> None:
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    assert _refusal(_tokens(), _hs(claims)) == (status, reason)


@pytest.mark.parametrize("claims", [[], "sub", 5, None])
def test_claims_are_an_object(claims: object) -> None:
    assert _refusal(_tokens(), _hs(claims)) == (400, "Not an object")


def test_expiry_counts_even_if_it_is_not_required() -> None:
    tokens = _tokens(required_claims="")
    assert tokens.bearer(_hs({"sub": "anna"})).name == "anna"
    assert _refusal(tokens, _hs({"sub": "anna", "exp": NOW - 1})) == (401, "exp not in future")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({}, "Missing iss claim"),
        ({"iss": "other"}, "Invalid iss claim"),
        ({"iss": ["me"]}, "Invalid iss claim"),
        ({"iss": "me"}, "Missing aud claim"),
        ({"iss": "me", "aud": "them"}, "Invalid aud claim"),
        ({"iss": "me", "aud": ["them"]}, "Invalid aud claim"),
    ],
)
def test_issuer_and_audience(claims: dict[str, object], reason: str) -> None:
    tokens = _tokens(required_claims='exp, {iss, "me"}, {aud, "us"}')
    assert _refusal(tokens, _hs({**GOOD, **claims})) == (400, reason)
    assert tokens.bearer(_hs({**GOOD, "iss": "me", "aud": ["them", "us"]})).name == "anna"


def test_header_parameters_can_be_required() -> None:
    tokens = _tokens(required_claims="kid,typ")
    assert _refusal(tokens, _hs()) == (400, "Missing kid claim")
    assert _refusal(tokens, _signed({"alg": "HS256"}, GOOD, SECRET)) == (400, "Missing typ header parameter")
    assert _refusal(tokens, _hs(typ="JOSE")) == (400, "Invalid typ header parameter")


@pytest.mark.parametrize(
    ("settings", "claims", "roles"),
    [
        ({}, {"_couchdb.roles": ["a", "b"]}, ("a", "b")),
        ({}, {"_couchdb.roles": "a , b,c"}, ("a", "b", "c")),
        ({"roles_claim_name": "groups"}, {"groups": ["a"], "_couchdb.roles": ["b"]}, ("a",)),
        ({"roles_claim_path": "realm.access.roles"}, {"realm": {"access": {"roles": ["a"]}}}, ("a",)),
        ({"roles_claim_path": "my\\.app.roles"}, {"my.app": {"roles": ["a"]}}, ("a",)),
        ({"roles_claim_path": "realm.roles"}, {"realm": "text"}, ()),
        ({}, {}, ()),
    ],
)
def test_where_roles_come_from(
    settings: dict[str, str], claims: dict[str, object], roles: tuple[str, ...]
) -> None:
    assert _tokens(**settings).bearer(_hs({**GOOD, **claims})).roles == roles


def _private_pem() -> str:
    return RSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def _small_rsa() -> str:
    return _public(rsa.generate_private_key(public_exponent=65537, key_size=1024))


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"hmac:_default": "not base64!"},
        {"hmac:_default": "aGVsbG8="},
        {"_default": KEYS["hmac:_default"]},
        {"hmac:": KEYS["hmac:_default"]},
        {"dsa:x": KEYS["rsa:issuer"]},
        {"rsa:x": KEYS["ec:issuer"]},
        {"ec:x": KEYS["rsa:issuer"]},
        {"rsa:x": "-----BEGIN"},
        {"rsa:x": _private_pem()},
        {"rsa:x": _small_rsa()},
    ],
)
def test_keys_that_are_none_stop_the_start(keys: dict[str, str]) -> None:
    with pytest.raises(ValueError) as caught:
        TokenSettings(keys)
    assert "aGVsbG8=" not in str(caught.value)


def test_keys_are_not_shown() -> None:
    assert KEYS["hmac:_default"] not in repr(TokenSettings(KEYS))


@pytest.mark.parametrize("text", ["exp exp", "exp,,iat", "iss", '{exp, "1"}', "dance", '{iss, ""}', "EXP"])
def test_required_claims_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(ValueError):
        read_required(text)


def test_required_claims_in_couchdbs_notation() -> None:
    assert read_required('exp, iat,{iss, "https://a.b/c"}') == {
        "exp": None,
        "iat": None,
        "iss": "https://a.b/c",
    }
    assert read_required("") == {}


def test_hmac_of_the_standard_library_agrees() -> None:
    head, body, signature = _hs().split(".")
    made = hmac.new(SECRET, f"{head}.{body}".encode(), hashlib.sha256).digest()
    assert urlsafe_b64encode(made).rstrip(b"=").decode() == signature
