"""Documents beside the one that is judged, and people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from kompass.access.principals import Principal, Role
from kompass.domain import checks, models
from kompass.domain.changes import Body, Change, Facts, NoFacts
from kompass.domain.keys import keys_of
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SETTINGS = BusinessSettings()
NOTHING = NoFacts()


class World:
    """Facts made of plain documents."""

    def __init__(self, *bodies: Body) -> None:
        self.bodies = {str(body["_id"]): body for body in bodies}

    def document(self, docid: str) -> Body | None:
        return self.bodies.get(docid)

    def referring(self, doctype: str, field: str, docid: str) -> list[Body]:
        return [
            body for body in self.bodies.values() if body.get("type") == doctype and body.get(field) == docid
        ]

    def coming(self, docid: str) -> Body | None:
        return None

    def sharing(self, key: str, value: str, most: int | None = None) -> list[str]:
        return [docid for docid, body in self.bodies.items() if (key, value) in keys_of(body)][:most]


def person(name: str, *roles: Role) -> Principal:
    return Principal(name, frozenset(roles))


GF = person("gf1", Role.GF)
INNEN = person("innen1", Role.INNEN)
ADM = person("adm1", Role.ADM)
PLAN = person("plan1", Role.PLAN)
BUCH = person("buch1", Role.BUCH)


def rules(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Every rule but the shape of documents, for documents that have only what matters."""
    for stage in checks.STAGES:
        refusal = stage(change, facts, settings) if stage is not models.check else None
        if refusal is not None:
            return refusal
    return None


def user(name: str, *roles: Role, active: bool = True) -> dict[str, Any]:
    return {
        "_id": f"user-{name}",
        "type": "user",
        "userName": name,
        "roles": list(roles),
        "active": active,
    }


def change(
    doc: Body | None, before: Body | None = None, principal: Principal = GF, now: datetime = NOW
) -> Change:
    return Change(doc, before, principal, now)


def without(body: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    left = set(fields)
    return {name: value for name, value in body.items() if name not in left}


def facts(*bodies: Body) -> Facts:
    return World(*bodies)
