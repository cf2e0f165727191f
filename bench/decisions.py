"""What a decision about a document costs."""

from __future__ import annotations

import timeit
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from kompass.access import (
    DEFAULT,
    Action,
    Principal,
    Relation,
    RelationKind,
    Role,
    decide,
    document_channels,
    principal_channels,
)

_CUSTOMERS = 150
_CALLS = 5000
_CUSTOMER = {"_id": "customer-1", "type": "customer", "owner": "adm1"}
_CONTACT: dict[str, Any] = {
    "_id": "contact-1",
    "type": "contact",
    "customerId": "customer-1",
    "createdBy": "adm1",
    "modifiedBy": "adm1",
    "firstName": "Wiebke",
    "authorityLevel": "low",
    "canApproveOrders": False,
}


class _Parents:
    """One customer."""

    def document(self, docid: str) -> Mapping[str, Any] | None:
        return _CUSTOMER if docid == "customer-1" else None

    def channels(self, docid: str) -> frozenset[str] | None:
        return frozenset({"all:customer", f"sales:customer:{docid}"}) if docid == "customer-1" else None


def microseconds() -> dict[str, float]:
    """The best of five rounds, for a field sales person with 150 customers and a contact of one of them."""
    parents = _Parents()
    adm = Principal("adm1", frozenset({Role.ADM}))
    facts = frozenset(
        Relation("adm1", RelationKind.OWNS_CUSTOMER, f"customer-{number}") for number in range(_CUSTOMERS)
    )
    changed = _CONTACT | {"firstName": "Wibke"}

    work: dict[str, Callable[[], object]] = {
        f"decide, {action}": partial(
            decide, adm, action, changed, before=_CONTACT, relations=facts, parents=parents
        )
        for action in Action
    }
    work["channels of a document"] = partial(document_channels, _CONTACT, parents)
    work["channels of a person"] = partial(principal_channels, "adm1", adm.roles, facts, DEFAULT)
    return {
        name: min(timeit.repeat(each, number=_CALLS, repeat=5)) / _CALLS * 1e6 for name, each in work.items()
    }
