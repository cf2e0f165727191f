"""What of a document is somebody's right, and what is left of it where two states meet. No I/O.

| document | state |
|---|---|
| `_users`: a login | `roles`, `active`, `password` (its hash: an old one doesn't come back) |
| `kompass-devices`: a device | who has it, `revoked`, `lost`, `ended` |
| `user-…`: a person | `roles`, `active` |
| `permission-matrix-…` | all of it: it is one decision, so the latest counts whether it gives or takes |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from kompass.identity.devices import DATABASE as DEVICES
from kompass.sync.index.rules import MATRIX_PREFIX
from replication.accounts.passwords import PASSWORD_MEMBERS
from replication.accounts.users import ID_PREFIX, USERS_DATABASE

State = Mapping[str, Any]
Members = dict[str, Any]

PERSON_PREFIX = "user-"


class Kind(NamedTuple):
    """A kind of document."""

    prefix: str
    read: Callable[[Members], State]
    narrowed: Callable[[Members, State], Members]
    """The members of a stored document, with no more rights than a state has."""
    made: Callable[[State], Members | None]
    """The document where there is none; None if nothing needs one."""

    def state(self, text: bytes) -> State:
        """Of a stored document."""
        state: State = json.loads(json.dumps(self.read(json.loads(text))))
        return state


def _roles(value: object) -> list[str]:
    return sorted({one for one in value if isinstance(one, str)}) if isinstance(value, list) else []


def _login(members: Members) -> State:
    password = {name: members[name] for name in PASSWORD_MEMBERS if name in members and name != "password"}
    return {**_person(members), "password": password}


def _narrowed_login(members: Members, state: State) -> Members:
    after = _narrowed_person(members, state)
    if _login(members)["password"] != state["password"]:
        after = {name: value for name, value in after.items() if name not in PASSWORD_MEMBERS}
        after |= state["password"]
    return after


def _person(members: Members) -> State:
    return {"roles": _roles(members.get("roles")), "active": members.get("active") is not False}


def _narrowed_person(members: Members, state: State) -> Members:
    after = dict(members)
    kept = set(state["roles"])
    if not set(_roles(members.get("roles"))) <= kept:
        after["roles"] = [one for one in members["roles"] if one in kept]
    if not state["active"] and members.get("active") is not False:
        after["active"] = False
    return after


_OF_A_DEVICE = ("type", "user", "implicit", "revoked", "lost", "ended")
"""Not what it is called: that may be a person's name."""


def _device(members: Members) -> State:
    return {name: members[name] for name in _OF_A_DEVICE if name in members}


def _narrowed_device(members: Members, state: State) -> Members:
    flags = {name: True for name in ("revoked", "lost") if state.get(name) is True}
    ended = max(int(members.get("ended", 0)), int(state.get("ended", 0)))
    return {**members, **flags, **({"ended": ended} if ended else {})}


def _made_device(state: State) -> Members | None:
    is_out = state.get("revoked") is True or state.get("lost") is True
    return {"name": "unnamed", **state} if is_out else None


def _matrix(members: Members) -> State:
    return {name: value for name, value in members.items() if name[:1] != "_"}


def _same_matrix(members: Members, state: State) -> Members:
    return {name: value for name, value in members.items() if name[:1] == "_"} | dict(state)


_LOGIN = Kind(ID_PREFIX, _login, _narrowed_login, lambda _: None)
_DEVICE = Kind("", _device, _narrowed_device, _made_device)
_PERSON = Kind(PERSON_PREFIX, _person, _narrowed_person, lambda _: None)
_MATRIX = Kind(MATRIX_PREFIX, _matrix, _same_matrix, dict)


def kinds(documents: str) -> Mapping[str, tuple[Kind, ...]]:
    """By database; `documents` is the operational one."""
    return {USERS_DATABASE: (_LOGIN,), DEVICES: (_DEVICE,), documents: (_PERSON, _MATRIX)}


def kind_of(kinds: Iterable[Kind], docid: str) -> Kind | None:
    return next((one for one in kinds if docid.startswith(one.prefix)), None)


def is_harmless(database: str, state: State | None) -> bool:
    """Whether nothing was ever taken: what most devices are, of which nothing has to be known."""
    if database != DEVICES:
        return False
    return state is None or not (state.get("revoked") or state.get("lost") or state.get("ended"))
