"""Seals, corrections that keep them, and badges."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompass.domain.corrections import corrected, reverted
from kompass.domain.freezing import FREEZES, HOUSEKEEPING, frozen_changes
from kompass.domain.sealing import Badge, badge, canonical, immutable_hash, is_intact, seal
from tests.domain.world import GF, NOTHING, NOW, World, change

CUSTOMER: dict[str, Any] = {
    "_id": "customer-1",
    "type": "customer",
    "companyName": "Hofladen Mayer",
    "vatNumber": "DE123456789",
    "billingAddress": {"street": "Am Markt", "zipCode": "89073", "city": "Ulm", "country": "Deutschland"},
    "email": "info@hofladen.example",
}


def test_the_seal_is_a_digest_of_what_is_frozen() -> None:
    wanted = {key: CUSTOMER[key] for key in ("_id", "type", "companyName", "vatNumber", "billingAddress")}
    text = json.dumps(wanted, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    assert immutable_hash(CUSTOMER) == hashlib.sha256(text.encode()).hexdigest()
    assert immutable_hash({**CUSTOMER, "email": "neu@hofladen.example"}) == immutable_hash(CUSTOMER)


@pytest.mark.parametrize("field", ["street", "zipCode", "city", "country"])
def test_nested_fields_count(field: str) -> None:
    other = {**CUSTOMER, "billingAddress": {**CUSTOMER["billingAddress"], field: "anders"}}
    assert immutable_hash(other) != immutable_hash(CUSTOMER)
    less = {key: value for key, value in CUSTOMER["billingAddress"].items() if key != field}
    assert immutable_hash({**CUSTOMER, "billingAddress": less}) != immutable_hash(CUSTOMER)


def test_every_locked_field_of_every_type_counts() -> None:
    for doctype, rows in FREEZES.items():
        if not rows[-1].gobd:
            continue
        base = {"_id": "x-1", "type": doctype}
        fields = rows[-1].locked or {"anything", "createdBy", "title"}
        for field in fields:
            assert immutable_hash({**base, field: {"a": [1]}}) != immutable_hash({**base, field: {"a": [2]}})
        for field in (HOUSEKEEPING - {"_id", "immutableAttachments"}) | rows[-1].allowed | rows[-1].once:
            assert immutable_hash({**base, field: 1}) == immutable_hash({**base, field: 2}), (doctype, field)


def test_one_value_has_one_text() -> None:
    assert canonical({"b": 1.0, "a": [1, 2.50, None], "c": None}) == b'{"a":[1,2.5,null],"b":1}'
    assert canonical(Decimal("10.00")) == canonical(10) == canonical(10.0) == b"10"
    assert canonical(Decimal("0.10")) == canonical(0.1)
    assert canonical("Müller") == '"Müller"'.encode()
    assert canonical(1) != canonical(True)
    assert canonical(-0.0) == b"0"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_json)
def test_the_canonical_form_survives_reading_it_again(value: Any) -> None:
    assert canonical(json.loads(canonical(value))) == canonical(value)


def test_attachments_are_under_the_seal() -> None:
    contract = {"_id": "contract-1", "type": "contract", "status": "signed", "terms": "30 Tage"}
    signed = {**contract, "_attachments": {"signed.pdf": "md5-1"}}
    marks = seal(signed, NOW)
    assert marks["finalized"] is True
    assert marks["immutableAt"] == "2026-03-02T08:00:00.000Z"
    assert marks["immutableAttachments"] == {"signed.pdf": "md5-1"}
    sealed = {**signed, **marks}
    assert is_intact(sealed)
    assert not is_intact({**sealed, "immutableAttachments": {"signed.pdf": "md5-2"}})
    assert not is_intact({**sealed, "terms": "14 Tage"})
    assert is_intact({**sealed, "status": "active", "projectId": "project-1", "notes": "angerufen"})
    assert "immutableAttachments" not in seal(contract, NOW)


def correct(before: dict[str, Any], number: str, **fields: Any) -> dict[str, Any]:
    doc = {**before, **fields, "correctionReason": "  Schreibfehler im Namen  "}
    invoice = World({"_id": "invoice-1", "type": "invoice", "customerId": "customer-1", "status": "sent"})
    touched = frozen_changes(change(doc, before, GF), invoice)
    return {"_id": before["_id"], **corrected(before, doc, touched, GF, NOW, number)}


def test_a_correction_is_logged_and_keeps_the_seal() -> None:
    sealed = {**CUSTOMER, **seal(CUSTOMER, NOW)}
    address = {**CUSTOMER["billingAddress"], "city": "Neu-Ulm"}
    once = correct(sealed, "CL-2026-00001", companyName="Hofladen Maier", email="neu@hofladen.example")
    assert once["changeLog"] == [
        {
            "changeNumber": "CL-2026-00001",
            "field": "companyName",
            "oldValue": "Hofladen Mayer",
            "newValue": "Hofladen Maier",
            "changedBy": "gf1",
            "changedAt": "2026-03-02T08:00:00.000Z",
            "reason": "Schreibfehler im Namen",
            "approvedBy": "gf1",
        }
    ]
    assert "correctionReason" not in once
    assert once["immutableHash"] == sealed["immutableHash"]
    assert is_intact(once)
    twice = correct(once, "CL-2026-00002", companyName="Hofladen Meier", billingAddress=address)
    fields = [entry["field"] for entry in twice["changeLog"]]
    assert fields == ["companyName", "billingAddress", "companyName"]
    assert is_intact(twice)
    original = reverted(twice)
    assert original is not None
    assert original["companyName"] == "Hofladen Mayer"
    assert not is_intact({**twice, "companyName": "Hofladen Moser"})
    assert not is_intact({**twice, "changeLog": twice["changeLog"][1:]})


def test_a_correction_may_fill_in_or_take_out() -> None:
    bare = {key: value for key, value in CUSTOMER.items() if key != "vatNumber"}
    sealed = {**bare, **seal(bare, NOW)}
    filled = correct(sealed, "CL-2026-00001", vatNumber="DE999999999")
    assert is_intact(filled)
    assert "vatNumber" not in (reverted(filled) or {"vatNumber": "lost"})
    assert is_intact(correct(filled, "CL-2026-00002", vatNumber=None))


def test_badges() -> None:
    offer = {"_id": "offer-1", "type": "offer", "status": "draft"}
    assert badge(offer, NOTHING) is Badge.DRAFT
    assert badge({**offer, "status": "sent"}, NOTHING) is Badge.FINAL
    assert badge({**offer, "status": "sent", "changeLog": [{"field": "terms"}]}, NOTHING) is Badge.CORRECTED
    assert badge({**offer, "status": "superseded"}, NOTHING) is Badge.CANCELLED
    cost = {"_id": "cost-1", "type": "project_cost", "status": "paid"}
    storno = {"_id": "cost-2", "type": "project_cost", "status": "paid", "stornoOf": "cost-1"}
    assert badge(cost, NOTHING) is Badge.FINAL
    assert badge(cost, World(cost, storno)) is Badge.CANCELLED
    assert badge(storno, World(cost, storno)) is Badge.CANCELLED
    assert badge({"_id": "c", "type": "contract", "status": "terminated"}, NOTHING) is Badge.CANCELLED
    assert badge({**CUSTOMER, "finalized": True}, NOTHING) is Badge.FINAL
    assert [str(one) for one in Badge] == ["Entwurf", "Finalisiert", "Korrigiert", "Storniert"]
