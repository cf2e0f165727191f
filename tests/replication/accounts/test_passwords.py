from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from replication.accounts import passwords
from replication.accounts.passwords import PasswordHash, from_admin_line, from_document, hash_password

FROM_COUCHDB_3_5: dict[str, Any] = {
    "_id": "org.couchdb.user:accp",
    "password_scheme": "pbkdf2",
    "pbkdf2_prf": "sha256",
    "salt": "f47fc2d0fce1908a181751f0805fdb47",
    "iterations": 600000,
    "derived_key": "4cc9135de9a388090c37c2a46d7c12843ab86ccaffa47cbfabc03861a7682826",
    "name": "accp",
    "roles": [],
    "type": "user",
}
"""A document that CouchDB 3.5.0 stored for the password `pw`."""


def test_a_document_from_couchdb_is_read() -> None:
    stored = from_document(FROM_COUCHDB_3_5)
    assert stored is not None
    assert stored.matches("pw")
    assert not stored.matches("pv")


def test_a_new_hash_has_the_members_couchdb_writes_in_its_order() -> None:
    members = hash_password("pw", salt=FROM_COUCHDB_3_5["salt"]).members()
    assert members == {key: FROM_COUCHDB_3_5[key] for key in members}
    assert list(members) == ["password_scheme", "pbkdf2_prf", "salt", "iterations", "derived_key"]


def test_couchdb_1_documents_are_read() -> None:
    simple = {"password_sha": hashlib.sha1(b"secretsalt").hexdigest(), "salt": "salt"}
    stored = from_document(simple)
    assert stored is not None
    assert stored.matches("secret")
    assert not stored.matches("other")


def test_couchdb_2_documents_are_read() -> None:
    key = hashlib.pbkdf2_hmac("sha1", b"secret", b"salt", 10).hex()
    stored = from_document(
        {"password_scheme": "pbkdf2", "salt": "salt", "iterations": 10, "derived_key": key}
    )
    assert stored is not None
    assert stored.prf == "sha"
    assert stored.matches("secret")


def test_an_upgraded_simple_hash_is_read() -> None:
    inner = hashlib.sha1(b"secretsalt").hexdigest().encode()
    key = hashlib.pbkdf2_hmac("sha256", inner, b"salt", 5).hex()
    assert PasswordHash("simple+pbkdf2", "salt", key, "sha256", 5).matches("secret")


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"password_sha": "00"},
        {"salt": "salt"},
        {"password_sha": 5, "salt": "salt"},
        {"password_scheme": "scrypt", "salt": "salt", "derived_key": "00"},
        {"password_scheme": "pbkdf2", "salt": "salt"},
        {"password_scheme": "pbkdf2", "salt": 5, "derived_key": "00"},
        {"password_scheme": "pbkdf2", "salt": "salt", "derived_key": "00", "iterations": "many"},
        {"password_scheme": "pbkdf2", "salt": "salt", "derived_key": "00", "iterations": True},
        {"password_scheme": "pbkdf2", "salt": "salt", "derived_key": "00", "pbkdf2_prf": "md5"},
        {"password_scheme": "pbkdf2", "salt": "salt", "derived_key": "00", "pbkdf2_prf": ["sha"]},
    ],
)
def test_a_document_without_a_usable_hash_gives_none(broken: dict[str, Any]) -> None:
    assert from_document(broken) is None


@pytest.mark.parametrize("iterations", [-1, 0, passwords.MAX_ITERATIONS + 1])
def test_a_hash_that_would_stop_the_server_matches_nothing(iterations: int) -> None:
    assert not PasswordHash("pbkdf2", "salt", "00", "sha256", iterations).matches("pw")


@given(st.text(), st.text())
@example("", "\0")
@example("a" * 65, "a" * 65 + "\0")
def test_only_the_password_itself_matches(password: str, other: str) -> None:
    stored = hash_password(password, iterations=1)
    assert stored.matches(password)
    assert stored.matches(other) == (key_of_hmac(other) == key_of_hmac(password))


def key_of_hmac(password: str) -> bytes:
    """What PBKDF2 makes of a password: to HMAC, and so to CouchDB, zeros at its end are none (RFC 2104)."""
    key = password.encode()
    return (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")


def test_a_lone_surrogate_matches_nothing() -> None:
    assert not hash_password("x", iterations=1).matches("\ud800")


def test_administrators_lines_of_couchdbs_configuration() -> None:
    key = hashlib.pbkdf2_hmac("sha512", b"relax", b"salt", 7).hex()
    found = from_admin_line(f"-pbkdf2:sha512-{key},salt,7")
    assert found is not None
    assert found.matches("relax")
    key = hashlib.pbkdf2_hmac("sha1", b"relax", b"salt", 7).hex()
    found = from_admin_line(f"-pbkdf2-{key},salt,7")
    assert found is not None
    assert found.matches("relax")
    found = from_admin_line(f"-hashed-{hashlib.sha1(b'relaxsalt').hexdigest()},salt")
    assert found is not None
    assert found.matches("relax")
    assert from_admin_line("relax") is None
