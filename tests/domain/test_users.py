"""What a user's document says of somebody of whom little is known."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kompass.access.principals import Role
from kompass.domain import derivations, models, users
from kompass.identity.tokens import is_user_name
from tests.domain.world import NOTHING

ROLES = st.lists(st.sampled_from([role.value for role in Role]), unique=True)


def completed(user: dict[str, Any]) -> dict[str, Any]:
    return derivations.with_computed(user, derivations.computed(user, NOTHING))


@given(st.text(min_size=1, max_size=128).filter(is_user_name), ROLES, ROLES)
def test_whoever_has_a_login_has_a_sound_document(name: str, roles: list[str], later: list[str]) -> None:
    user = completed(
        {"_id": f"user-{name}"[:190], "type": "user", "name": name, "roles": roles, "active": True}
    )
    assert completed(user) == user
    assert models.validate({**user, "_id": "user-1"}) is None
    after = completed({**user, "roles": later})
    assert models.validate({**after, "_id": "user-1"}) is None
    kept = user.get("primaryRole") in later
    strongest = next((role for role in users.STRONGEST if role in later), None)
    assert after.get("primaryRole") == (user["primaryRole"] if kept else strongest)


def test_every_role_has_its_place() -> None:
    assert sorted(users.STRONGEST) == sorted(Role)


def test_a_name_that_is_an_address_is_one() -> None:
    assert users.email_of("jo@kompass.example") == "jo@kompass.example"
    assert users.email_of("Jo Müller") == "Jo-Muller@example.invalid"
    assert users.email_of("李") == "user@example.invalid"
    assert users.display_name_of("x") == "User x"
