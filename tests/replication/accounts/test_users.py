"""The rules of `_users`, one row each, with the texts of CouchDB's `_design/_auth`."""

from __future__ import annotations

from typing import Any

import pytest

from replication.accounts.passwords import hash_password
from replication.accounts.users import check_user_document, plain_password, with_hash
from replication.protocol.errors import ProtocolError

USER: dict[str, Any] = {"type": "user", "name": "anna", "roles": []}
ID = "org.couchdb.user:anna"
SALT_MISSING = "Users with password_sha must have a salt.See /_utils/script/couch.js for example code."


def check(
    body: dict[str, Any],
    *,
    docid: str = ID,
    deleted: bool = False,
    stored: dict[str, Any] | None = None,
    writer: str | None = None,
    admin: bool = False,
) -> None:
    check_user_document(docid, deleted, body, stored, writer=writer, writer_is_admin=admin)


@pytest.mark.parametrize("writer", [None, "anna"])
def test_whoever_may_write_at_all_may_register(writer: str | None) -> None:
    check(USER, writer=writer)


REFUSED_TO_EVERYBODY = [
    ({"type": "person"}, "doc.type must be user"),
    ({"name": None}, "doc.name is required"),
    ({"name": ""}, "doc.name is required"),
    ({"name": 5}, "doc.name is required"),
    ({"roles": None}, "doc.roles must exist"),
    ({"roles": {}}, "doc.roles must be an array"),
    ({"roles": "r"}, "doc.roles must be an array"),
    ({"roles": [5]}, "doc.roles can only contain strings"),
    ({"name": "berta"}, "Doc ID must be of the form org.couchdb.user:name"),
    ({"password_sha": "00"}, SALT_MISSING),
    ({"password_scheme": "rot13"}, "Password scheme `rot13` not supported."),
    ({"password_scheme": "pbkdf2", "derived_key": "00"}, "iterations must be a number."),
    ({"password_scheme": "pbkdf2", "iterations": 5}, "derived_key must be a string."),
    ({"roles": ["_admin"]}, "No system roles (starting with underscore) in users db."),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED_TO_EVERYBODY)
def test_refused_to_administrators_too(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProtocolError) as refusal:
        check({**USER, **change}, admin=True)
    assert (refusal.value.status, refusal.value.reason) == (403, reason)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("_anna", "Username may not start with underscore."),
        ("an:na", "Character `:` is not allowed in usernames."),
    ],
)
def test_names_that_nobody_may_have(name: str, reason: str) -> None:
    with pytest.raises(ProtocolError, match="403 forbidden") as refusal:
        check({**USER, "name": name}, docid=f"org.couchdb.user:{name}", admin=True)
    assert refusal.value.reason == reason


def test_administrators_give_roles_and_the_metrics_role() -> None:
    check({**USER, "roles": ["sales", "_metrics"]}, admin=True)


REFUSED_TO_USERS = [
    (None, "anna", {"roles": ["sales"]}, "Only _admin may set roles"),
    (None, None, {"roles": ["sales"]}, "Only _admin may set roles"),
    (USER, "anna", {"roles": ["sales"]}, "Only _admin may edit roles"),
    ({**USER, "roles": ["sales"]}, "anna", {"roles": []}, "Only _admin may edit roles"),
    ({**USER, "roles": ["sales"]}, "anna", {"roles": ["boss"]}, "Only _admin may edit roles"),
    (USER, "berta", {}, "You may only update your own user document."),
    (USER, None, {}, "You may only update your own user document."),
]


@pytest.mark.parametrize(("stored", "writer", "change", "reason"), REFUSED_TO_USERS)
def test_refused_to_users(
    stored: dict[str, Any] | None, writer: str | None, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ProtocolError) as refusal:
        check({**USER, **change}, stored=stored, writer=writer)
    assert (refusal.value.status, refusal.value.reason) == (403, reason)


def test_users_change_what_is_theirs_with_the_same_roles_in_any_order() -> None:
    stored = {**USER, "roles": ["sales", "planning"]}
    check({**USER, "roles": ["planning", "sales"], "phone": "1"}, stored=stored, writer="anna")


def test_a_stored_name_stays() -> None:
    with pytest.raises(ProtocolError, match=r"Usernames can not be changed\."):
        check(USER, stored={**USER, "name": "other"}, admin=True)


def test_deleting() -> None:
    check({}, deleted=True, stored=USER, admin=True)
    check({}, deleted=True, stored=None, admin=True)
    check({}, deleted=True, stored=USER, writer="anna")
    for writer in (None, "berta"):
        with pytest.raises(ProtocolError, match=r"Only admins may delete other user docs\."):
            check({}, deleted=True, stored=USER, writer=writer)
    with pytest.raises(ProtocolError, match=r"Only admins may delete other user docs\."):
        check({}, deleted=True, stored={}, writer=None)


def test_a_hash_takes_the_place_of_password_and_older_hash() -> None:
    old = {**USER, "password": "new", "password_sha": "00", "salt": "old", "preserve_salt": True}
    hashed = hash_password("new", iterations=1)
    assert with_hash(old, hashed) == {**hashed.members(), **USER}


def test_a_password_is_text() -> None:
    assert plain_password({"password": "x"}) == "x"
    assert plain_password({"password": None}) is None
    assert plain_password({}) is None
    for wrong in (5, ["x"], {"x": 1}, True):
        with pytest.raises(ProtocolError, match="403"):
            plain_password({"password": wrong})
