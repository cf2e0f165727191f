"""What the server writes are sound documents of their type: whoever edits one next isn't refused for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from kompass.domain import models
from kompass.domain.changes import Body
from kompass.domain.derivations import computed, stamps
from kompass.domain.effects import effects
from kompass.domain.examples import NOW, full, smallest
from kompass.domain.keys import keys_of
from kompass.domain.settings import BusinessSettings
from kompass.domain.sums import TARGETS, total

AT = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)


class World:
    """The smallest documents of all types that are asked for."""

    def __init__(self, *documents: Body) -> None:
        self.documents = {str(one["_id"]): one for one in documents}

    def document(self, docid: str) -> Body | None:
        return self.documents.get(docid)

    def referring(self, doctype: str, field: str, docid: str) -> Sequence[Body]:
        return [
            one for one in self.documents.values() if one.get("type") == doctype and one.get(field) == docid
        ]

    def coming(self, docid: str) -> Body | None:
        return None

    def sharing(self, key: str, value: str, most: int | None = None) -> Sequence[str]:
        return [docid for docid, one in self.documents.items() if (key, value) in keys_of(one)][:most]


def opportunity() -> dict[str, Any]:
    return {**smallest("opportunity"), "status": "negotiation", "probability": 50}


STARTS: Mapping[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "accepted": ({**full("offer"), "status": "accepted", "contractId": None}, [opportunity()]),
    "rejected": (
        {**full("offer"), "status": "rejected", "rejectionReason": "Zu teuer für uns"},
        [opportunity()],
    ),
    "superseding": (
        {**full("offer"), "status": "accepted", "contractId": None},
        [opportunity(), {**smallest("offer"), "_id": "offer-other", "status": "sent"}],
    ),
    "attended": (
        {**full("meeting"), "attended": True, "scheduledAt": "2026-11-16T08:00:00.000Z"},
        [smallest("customer")],
    ),
    "visit": (
        {**full("activity"), "activityType": "visit", "private": False, "date": "2026-11-13T08:00:00.000Z"},
        [smallest("customer")],
    ),
    "expense": ({**smallest("expense"), "status": "submitted", "amount": 20}, []),
    "mention": ({**smallest("comment"), "mentions": ["adm1"], "createdBy": "gf1"}, []),
    "assigned": ({**smallest("user_task"), "assignedTo": "adm1", "modifiedBy": "gf1"}, []),
}


@pytest.mark.parametrize("name", STARTS)
def test_what_follows_is_sound(name: str) -> None:
    doc, others = STARTS[name]
    found = [
        body for one in effects(doc, {}, World(doc, *others), BusinessSettings(), AT) for body in one.bodies
    ]
    assert found
    for body in found:
        refusal = models.validate(body)
        assert refusal is None, (body["type"], refusal)


def test_what_is_made_of_a_lead_is_sound() -> None:
    lead = {
        **full("lead"),
        "status": "CONVERTED",
        "convertedCustomerId": None,
        "convertedOpportunityId": None,
    }
    (one,) = effects(lead, {}, World(lead), BusinessSettings(), AT)
    assert {str(body["type"]): models.validate(body) for body in one.bodies} == {
        "customer": None,
        "opportunity": None,
        "lead": None,
    }


@pytest.mark.parametrize("doctype", sorted(TARGETS))
def test_sums_are_sound(doctype: str) -> None:
    body = total(full(doctype), {}, None)
    assert body is not None
    assert models.validate(body) is None


@pytest.mark.parametrize(
    "doctype",
    [
        "opportunity", "offer", "purchase_order", "project_cost", "time_entry", "time_entry_cost",
        "hotel_stay", "mileage_log", "material", "supplier", "user_task", "lead", "contract", "expense",
        "comment",
    ],
)  # fmt: skip
@pytest.mark.parametrize("make", [smallest, full])
def test_values_that_the_server_adds_are_sound_and_stay(doctype: str, make: Any) -> None:
    document = make(doctype, NOW)
    assert models.validate(document) is None
    world = World(document, smallest("time_entry"))
    after = {**document, **stamps(document, "2026-11-16T09:00:00.000Z")}
    after |= computed(document, world)
    after = {name: value for name, value in after.items() if type(value) is not object}
    refusal = models.validate(after)
    assert refusal is None, refusal
    assert computed(after, World(after, smallest("time_entry"))) == {}
    assert stamps(after, "2026-11-17T09:00:00.000Z") == {}
