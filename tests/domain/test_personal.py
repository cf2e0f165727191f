"""What becomes of personal data, by the tables; consent; and how people are found in texts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from kompass.access.fields import NOBODY, WRITERS
from kompass.access.principals import Principal, Role
from kompass.domain import anonymity, models, personal
from kompass.domain.changes import Change, NoFacts
from kompass.domain.consent import Purpose, decisions, granted, may_process, may_process_about
from kompass.domain.examples import full
from kompass.domain.personal import ABOUT, FILES, LABELS, OWN, Rules, anonymized, pseudonym, treated
from kompass.domain.registry import MODELS
from kompass.domain.sealing import erased, is_intact, seal
from kompass.domain.settings import BusinessSettings
from kompass.domain.traces import Replacer, traces

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
TABLES: list[tuple[str, str, Rules]] = [
    *((doctype, doctype, rules) for doctype, rules in OWN.items()),
    *((subject, doctype, rules) for subject, types in ABOUT.items() for doctype, rules in types.items()),
]


def field_at(model: type[BaseModel], path: str) -> Any:
    name, _, rest = path.partition(".")
    field = model.model_fields[name]
    if not rest:
        return field
    inner = [one for one in (field.annotation, *getattr(field.annotation, "__args__", ())) if one is not None]
    part = next(one for one in inner if isinstance(one, type) and issubclass(one, BaseModel))
    return field_at(part, rest)


@pytest.mark.parametrize(("subject", "doctype", "rules"), TABLES)
def test_every_path_is_in_the_model(subject: str, doctype: str, rules: Rules) -> None:
    assert subject in LABELS
    for path in rules:
        assert path == FILES or field_at(MODELS[doctype], path) is not None


@pytest.mark.parametrize(("subject", "doctype", "rules"), TABLES)
def test_what_is_left_is_a_sound_document(subject: str, doctype: str, rules: Rules) -> None:
    body = {name: value for name, value in full(doctype).items() if name != FILES}
    label = pseudonym(subject, 12)
    after = treated(body, rules, label, 12)
    if subject == doctype:
        after = anonymized(body, rules, label, 12, NOW)
        assert after["anonymized"] is True
        assert WRITERS[doctype].get("anonymized", NOBODY) == NOBODY
    assert models.validate(after) is None
    assert after != body
    for path, rule in rules.items():
        if rule is personal.CLEAR and "." not in path:
            assert path not in after


CONTACT = {
    "type": "contact",
    "firstName": "Rike",
    "lastName": "Behn",
    "email": "Rike.Behn@hof.example",
    "phone": "+49 170 1234567",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mit Rike  Behn gesprochen", "mit Gelöschter Kontakt #1 gesprochen"),
        ("BEHN, Rike", "Gelöschter Kontakt #1"),
        ("rike.behn@HOF.example!", "[gelöscht]!"),
        ("Tel. 0170/123 45-67", "Tel. [gelöscht]"),
        ("0049 (0)170 1234567", "[gelöscht]"),
        ("0170 12345678 ist eine andere", "0170 12345678 ist eine andere"),
        ("Rike Behnke", "Rike Behnke"),
    ],
)
def test_a_person_is_found_however_it_is_written(text: str, expected: str) -> None:
    found = traces([CONTACT], "Gelöschter Kontakt #1")
    assert Replacer(found, near=False).text(text) == expected


def test_a_surname_counts_near_its_person_only() -> None:
    found = traces([CONTACT], "X")
    assert Replacer(found, near=False).text("Frau Behn") == "Frau Behn"
    assert Replacer(found, near=True).text("Frau Behn, Behnsen") == "Frau X, Behnsen"


def test_values_of_others_and_names_for_logging_in_stay() -> None:
    found = traces([{"type": "user", "displayName": "adm1", "email": "info@hof.example"}], "X")
    body = {"createdBy": "adm1", "text": "adm1, info@hof.example", "list": [{"why": "adm1"}]}
    assert Replacer(found, near=True).value(body) == {
        "createdBy": "adm1",
        "text": "X, [gelöscht]",
        "list": [{"why": "X"}],
    }
    assert "info@hof.example" in Replacer(found.without({"info@hof.example"}), near=True).text(
        "info@hof.example"
    )


def test_a_sealed_document_can_be_verified_after_an_erasure() -> None:
    offer = {"_id": "offer-1", "type": "offer", "terms": "an Rike Behn", "totalEur": 119.0}
    sealed = {**offer, **seal(offer, NOW)}
    after = erased(sealed, {**sealed, "terms": "an X"}, 7, NOW)
    assert after["immutableHash"] == sealed["immutableHash"]
    assert [one["number"] for one in after["erasures"]] == [7]
    assert after["erasures"][0]["fields"] == ["terms"]
    assert is_intact(after)
    assert not is_intact({**after, "totalEur": 120.0})
    assert not is_intact({**after, "terms": "an Y"})
    assert not is_intact({**after, "immutableHash": "0" * 64})
    twice = erased(after, {**after, "terms": ""}, 8, NOW)
    assert len(twice["erasures"]) == 2
    assert is_intact(twice)


def customer(**consent: Any) -> dict[str, Any]:
    return {"_id": "c", "type": "customer", "dsgvoConsent": consent}


def test_consent_is_per_purpose_and_a_later_revocation_ends_it() -> None:
    body = customer(marketing=True, aiProcessing=False, dataSharing=True)
    assert granted(body) == {Purpose.MARKETING, Purpose.SHARING}
    assert may_process(Purpose.MARKETING, body)
    assert not may_process(Purpose.AI, body)
    assert not may_process(Purpose.AI, None)
    assert not may_process(Purpose.MARKETING, {"type": "customer"})
    revoked = customer(marketing=True, grantedAt="2026-01-01T00:00:00Z", revokedAt="2026-02-01T00:00:00Z")
    assert not may_process(Purpose.MARKETING, revoked)
    again = customer(marketing=True, grantedAt="2026-03-01T00:00:00Z", revokedAt="2026-02-01T00:00:00Z")
    assert may_process(Purpose.MARKETING, again)
    assert not may_process(Purpose.MARKETING, {**body, "anonymized": True})
    assert decisions(body, revoked) == (
        (Purpose.MARKETING, False),
        (Purpose.SHARING, False),
    )
    assert decisions(None, body) == ((Purpose.MARKETING, True), (Purpose.SHARING, True))


def test_documents_about_a_customer_need_his_consent() -> None:
    facts = NoFacts()
    assert not may_process_about(Purpose.AI, {"type": "activity", "customerId": "c"}, facts)
    assert not may_process_about(Purpose.AI, {"type": "lead"}, facts)
    assert may_process_about(Purpose.AI, {"type": "material"}, facts)
    assert not may_process_about(Purpose.AI, {"type": "contact", "anonymized": True}, facts)


def test_nobody_writes_an_erased_person_s_data_again() -> None:
    gf = Principal("gf1", frozenset({Role.GF}))
    before = {"_id": "contact-1", "type": "contact", "lastName": "Kontakt #1", "anonymized": True}
    change = Change({**before, "lastName": "Behn", "email": "a@b.example"}, before, gf, NOW)
    refusal = anonymity.check(change, NoFacts(), BusinessSettings())
    assert refusal is not None
    assert (refusal.rule, refusal.fields) == ("privacy.erased", ("email", "lastName"))
    other = Change({**before, "authorityLevel": "low"}, before, gf, NOW)
    assert anonymity.check(other, NoFacts(), BusinessSettings()) is None
    alive = Change({**before, "lastName": "Behn"}, {**before, "anonymized": False}, gf, NOW)
    assert anonymity.check(alive, NoFacts(), BusinessSettings()) is None
