"""The documents of `_users`: what they must look like and who may change what.

These are the rules of CouchDB's `_design/_auth` validation, in its order and with its texts, plus
the hashing of a plain password that comes in a document.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from replication.accounts.passwords import PASSWORD_MEMBERS, PasswordHash
from replication.protocol import errors

USERS_DATABASE = "_users"
ID_PREFIX = "org.couchdb.user:"

_SCHEMES = ("simple", "pbkdf2", "simple+pbkdf2")
_GRANTABLE_SYSTEM_ROLES = frozenset({"_metrics"})


def user_id(name: str) -> str:
    return ID_PREFIX + name


def plain_password(body: Mapping[str, Any]) -> str | None:
    """The password that has to be hashed before the document is stored. Raises 403 for other types."""
    password = body.get("password")
    if password is not None and not isinstance(password, str):
        raise errors.forbidden("Password value is invalid: it must be a string.")
    return password


def with_hash(body: Mapping[str, Any], hashed: PasswordHash) -> dict[str, Any]:
    """The document's members with the hash in place of the password and of any older hash."""
    rest = {key: value for key, value in body.items() if key not in PASSWORD_MEMBERS}
    return {**hashed.members(), **rest}


def check_user_document(
    docid: str,
    deleted: bool,
    body: Mapping[str, Any],
    stored: Mapping[str, Any] | None,
    *,
    writer: str | None,
    writer_is_admin: bool,
) -> None:
    """Raises 403 unless `writer` may put `body` in the place of `stored`.

    `stored` is the winning revision, None if there is none or it is deleted. `writer` is the name of
    who writes, None for somebody who has not logged in.
    """
    if deleted:
        if not writer_is_admin and (stored is None or writer is None or writer != stored.get("name")):
            raise errors.forbidden("Only admins may delete other user docs.")
        return
    name = _check_shape(docid, body)
    if stored is not None and stored.get("name") != name:
        raise errors.forbidden("Usernames can not be changed.")
    _check_password_members(body)
    roles: list[str] = body["roles"]
    if not writer_is_admin:
        if stored is not None:
            if writer != name:
                raise errors.forbidden("You may only update your own user document.")
            if sorted(stored.get("roles") or []) != sorted(roles):
                raise errors.forbidden("Only _admin may edit roles")
        elif roles:
            raise errors.forbidden("Only _admin may set roles")
    if any(role.startswith("_") and role not in _GRANTABLE_SYSTEM_ROLES for role in roles):
        raise errors.forbidden("No system roles (starting with underscore) in users db.")
    if name.startswith("_"):
        raise errors.forbidden("Username may not start with underscore.")
    if ":" in name:
        raise errors.forbidden("Character `:` is not allowed in usernames.")


def check_reserved(
    body: Mapping[str, Any],
    stored: Mapping[str, Any] | None,
    reserved: Collection[str],
    *,
    deleted: bool,
) -> None:
    """Raises 403 where somebody who is no administrator deletes a user, or sets what is not his to set."""
    if deleted:
        raise errors.forbidden("Only administrators may delete users.")
    for name in reserved:
        if body.get(name) != (stored or {}).get(name):
            raise errors.forbidden(f"Only administrators may set {name}.")


def _check_shape(docid: str, body: Mapping[str, Any]) -> str:
    """Type, name, roles and id. Returns the name."""
    if body.get("type") != "user":
        raise errors.forbidden("doc.type must be user")
    name, roles = body.get("name"), body.get("roles")
    if not name or not isinstance(name, str):
        raise errors.forbidden("doc.name is required")
    if roles is None or roles is False or roles == "" or roles == 0:
        raise errors.forbidden("doc.roles must exist")
    if not isinstance(roles, list):
        raise errors.forbidden("doc.roles must be an array")
    if not all(isinstance(role, str) for role in roles):
        raise errors.forbidden("doc.roles can only contain strings")
    if docid != user_id(name):
        raise errors.forbidden("Doc ID must be of the form org.couchdb.user:name")
    return name


def _check_password_members(body: Mapping[str, Any]) -> None:
    if body.get("password_sha") and not body.get("salt"):
        raise errors.forbidden(
            "Users with password_sha must have a salt.See /_utils/script/couch.js for example code."
        )
    scheme = body.get("password_scheme")
    if scheme and scheme not in _SCHEMES:
        raise errors.forbidden(f"Password scheme `{str(scheme)[:40]}` not supported.")
    if scheme == "pbkdf2":
        if type(body.get("iterations")) not in (int, float):
            raise errors.forbidden("iterations must be a number.")
        if not isinstance(body.get("derived_key"), str):
            raise errors.forbidden("derived_key must be a string.")
