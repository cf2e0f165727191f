"""What the documents of users have to say, whoever has written them: logins know little of a person."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kompass.access.principals import Role
from kompass.domain.changes import Body
from kompass.domain.people import DisplayName
from kompass.domain.values import Email

STRONGEST: tuple[Role, ...] = (
    Role.GF,
    Role.ADMIN,
    Role.BUCH,
    Role.KALK,
    Role.PLAN,
    Role.INNEN,
    Role.ADM,
)
"""Roles by what they may do; only GF gives somebody ADMIN."""
NOWHERE = "example.invalid"
"""Where nobody gets email: the addresses of users of whom none is known."""

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_DISPLAY_NAME: TypeAdapter[str] = TypeAdapter(DisplayName)
_NOT_LOCAL = re.compile(r"[^A-Za-z0-9_\-]+")


def lacking(user: Body) -> Iterator[tuple[str, Any]]:
    """(field, value) of what a user's document lacks and can be said by its others.

    Without roles nobody has a primary one. What an administrator has written is left alone.
    """
    name = user.get("userName")
    if not isinstance(name, str) or not name:
        name = user.get("name")
        if not isinstance(name, str) or not name:
            return
        yield "userName", name
    if user.get("email") is None:
        yield "email", email_of(name)
    if user.get("displayName") is None:
        yield "displayName", display_name_of(name)
    roles = user.get("roles")
    if isinstance(roles, list) and user.get("primaryRole") not in (roles or [None]):
        yield "primaryRole", next((role.value for role in STRONGEST if role in roles), None)


def described(user: Body, email: str, display_name: str) -> dict[str, Any]:
    """What a directory says of a user that his document doesn't. Nobody who was erased is described anew."""
    if user.get("anonymized") is True:
        return {}
    said = {
        "email": email if _fits(_EMAIL, email) else None,
        "displayName": display_name if _fits(_DISPLAY_NAME, display_name) else None,
    }
    return {field: value for field, value in said.items() if value is not None and user.get(field) != value}


def email_of(name: str) -> str:
    """The address of somebody of whom only his user name is known: that, if it is one, else one that is
    nobody's.
    """
    if _fits(_EMAIL, name):
        return name
    text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return f"{_NOT_LOCAL.sub('-', text).strip('-')[:64] or 'user'}@{NOWHERE}"


def display_name_of(name: str) -> str:
    """What somebody is called of whom only his user name is known."""
    for shown in (name[:100], f"User {name[:90]}"):
        if _fits(_DISPLAY_NAME, shown):
            return shown
    return "User"


def _fits(adapter: TypeAdapter[str], value: str) -> bool:
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True
