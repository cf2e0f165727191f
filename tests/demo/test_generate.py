from __future__ import annotations

import json
import re
import struct
import zlib
from base64 import b64decode
from collections import Counter, defaultdict
from datetime import UTC, datetime, time
from functools import cache
from typing import Any

import pytest

from kompass.access import Action, Principal, decide, document_channels, known_roles, relations
from kompass.access.fields import WRITERS
from kompass.demo import CUSTOMERS, PEOPLE, generate, words
from kompass.demo.files import HEIGHT, PHOTO_VARIANTS, WIDTH, pdf, photo
from kompass.demo.generate import TODAY
from kompass.domain import models
from kompass.domain.changes import Change, NoFacts
from kompass.domain.settings import BusinessSettings
from kompass.settings_values import DemoSize

Document = dict[str, Any]

REFERENCES = {
    "customerId": "customer",
    "contactId": "contact",
    "contactPersonId": "contact",
    "locationId": "location",
    "opportunityId": "opportunity",
    "projectId": "project",
    "tourId": "tour",
    "defaultDeliveryLocationId": "location",
}


@cache
def documents(size: DemoSize = DemoSize.MEDIUM) -> list[Document]:
    return list(generate(size))


def of(type: str) -> list[Document]:
    return [document for document in documents() if document["type"] == type]


def test_the_same_seed_gives_the_same_documents() -> None:
    assert list(generate(DemoSize.SMALL)) == list(generate(DemoSize.SMALL))
    assert list(generate(DemoSize.SMALL, seed=1)) != list(generate(DemoSize.SMALL, seed=2))


def test_a_larger_set_begins_with_the_smaller_one() -> None:
    small = documents(DemoSize.SMALL)
    assert documents(DemoSize.MEDIUM)[: len(small)] == small


@pytest.mark.parametrize(
    "size",
    [DemoSize.SMALL, DemoSize.MEDIUM, pytest.param(DemoSize.LARGE, marks=pytest.mark.slow)],
)
def test_counts(size: DemoSize) -> None:
    counts = Counter(document["type"] for document in generate(size))
    assert counts["customer"] == counts["customer_finance"] == counts["customer_visit"] == CUSTOMERS[size]
    assert counts["user"] == len(PEOPLE)
    assert min(counts[each] for each in ("location", "contact", "activity")) >= CUSTOMERS[size]
    assert counts["opportunity"] > CUSTOMERS[size] / 2
    for doctype in ("lead", "offer", "project", "project_task", "project_cost", "time_entry", "user_task"):
        assert counts[doctype] > CUSTOMERS[size] / 20
    assert counts["tour"] == counts["meeting"] == counts["expense"] > CUSTOMERS[size] / 20


def test_ids_are_prefix_and_random_uuid_but_for_people() -> None:
    ids = [document["_id"] for document in documents()]
    assert len(set(ids)) == len(ids)
    for document in documents():
        if document["type"] == "user":
            assert document["_id"] == f"user-{document['name']}"
            continue
        prefix = document["type"].replace("_", "-")
        assert re.fullmatch(prefix + r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", document["_id"])


@pytest.mark.parametrize("size", [DemoSize.SMALL, DemoSize.MEDIUM])
def test_every_document_is_what_its_type_says(size: DemoSize) -> None:
    for document in documents(size):
        judged = {**document, "_attachments": dict.fromkeys(document.get("_attachments", {}), "md5-x")}
        assert models.validate(judged) is None
        created, modified = (datetime.fromisoformat(document[key]) for key in ("createdAt", "modifiedAt"))
        assert created.tzinfo == UTC
        assert created <= modified


def test_the_day_after_the_photograph_every_document_is_sound_as_a_new_one() -> None:
    day = datetime.combine(TODAY, time(18), UTC)
    author = Principal("adm1", known_roles(["ADM"]))
    for document in documents():
        bare = {name: value for name, value in document.items() if name != "_attachments"}
        assert models.check(Change(bare, None, author, day), NoFacts(), BusinessSettings()) is None


def test_references_lead_to_an_earlier_document_of_the_right_type() -> None:
    seen: dict[str, str] = {}
    late = []
    for document in documents():
        seen[document["_id"]] = document["type"]
        for field in REFERENCES.keys() & document.keys():
            if field == "defaultDeliveryLocationId":
                late.append(document[field])
            else:
                assert seen[document[field]] == REFERENCES[field]
        for location in document.get("assignedLocationIds", ()):
            assert seen[location] == "location"
    assert {seen[location] for location in late} == {"location"}


def test_people_are_named_by_their_user_name() -> None:
    names = {user["userName"] for user in of("user")}
    for document in documents():
        assert {
            document[field] for field in ("createdBy", "modifiedBy", "owner") if field in document
        } <= names


def test_nothing_stands_where_the_access_rules_refuse_it() -> None:
    """Every document could have been pushed by its author, what the server writes apart."""
    world = {document["_id"]: document for document in documents()}
    roles = {person.login: known_roles([person.role]) for person in PEOPLE}
    facts = frozenset(fact for document in documents() for fact in relations(document))

    class Parents:
        def document(self, docid: str) -> Document | None:
            return world.get(docid)

        def channels(self, docid: str) -> frozenset[str] | None:
            return document_channels(world[docid], self) if docid in world else None

    for document in documents():
        if document["type"] == "user":
            continue
        author = Principal(document["createdBy"], roles[document["createdBy"]])
        decision = decide(author, Action.CREATE, document, relations=facts, parents=Parents())
        given = {*WRITERS["contact"], "customerNumber", "weightedValue"}
        assert decision.allowed or set(decision.fields) <= given, (document, decision)


def test_children_belong_to_one_customer() -> None:
    customer_of = {document["_id"]: document.get("customerId") for document in documents()}
    for document in documents():
        for field in ("contactId", "contactPersonId", "locationId"):
            if field in document and "customerId" in document:
                assert customer_of[document[field]] == document["customerId"]


def test_names_and_numbers_are_unique_where_they_must_be() -> None:
    for field in ("companyName", "customerNumber", "vatNumber", "email"):
        values = [customer[field] for customer in of("customer")]
        assert len(set(values)) == len(values), field
    names = defaultdict(list)
    for location in of("location"):
        names[location["customerId"]].append(location["locationName"])
    assert all(len(set(each)) == len(each) for each in names.values())


def test_patterns() -> None:
    for customer in of("customer"):
        assert re.fullmatch(r"DE\d{9}", customer["vatNumber"])
        assert re.fullmatch(r"K-\d{5}", customer["customerNumber"])
        assert 2 <= len(customer["companyName"]) <= 200
        assert re.fullmatch(r"[^\W_]+([\s.\-&()'/,+]+[^\W_]+|[.)])*", customer["companyName"]), customer[
            "companyName"
        ]
    for document in documents():
        for field in ("phone", "mobile", "phoneNumber"):
            if field in document:
                assert re.fullmatch(r"\+?[0-9\s\-()]{7,20}", document[field])
        if "email" in document:
            assert re.fullmatch(r"[a-z0-9.-]+@[a-z0-9.-]+\.example", document["email"])


def test_addresses_match_their_postcode() -> None:
    town_of = {town.zip_code: town.name for town in words.TOWNS}
    assert len(town_of) == len(words.TOWNS)
    addresses = [customer["billingAddress"] for customer in of("customer")]
    addresses += [location["deliveryAddress"] for location in of("location")]
    for address in addresses:
        assert re.fullmatch(r"\d{5}", address["zipCode"])
        assert town_of[address["zipCode"]] == address["city"]


def test_opportunities_follow_their_status() -> None:
    for opportunity in of("opportunity"):
        assert 0 <= opportunity["probability"] <= 100
        assert 0 <= opportunity["estimatedValue"] <= 10_000_000
        assert ("lostReason" in opportunity) == (opportunity["status"] == "lost")
        assert ("actualValue" in opportunity) == (opportunity["status"] == "won")


def test_every_customer_has_someone_who_decides() -> None:
    deciders = {c["customerId"] for c in of("contact") if c["decisionMakingRole"] == "decision_maker"}
    assert deciders == {customer["_id"] for customer in of("customer")}
    for contact in of("contact"):
        assert contact["canApproveOrders"] == ("approvalLimitEur" in contact)


def test_both_field_sales_people_own_customers() -> None:
    owners = Counter(customer["owner"] for customer in of("customer"))
    assert set(owners) == {"adm1", "adm2"}
    assert min(owners.values()) > len(of("customer")) / 4


def test_text_is_german() -> None:
    text = json.dumps(documents(), ensure_ascii=False)
    for sample in (*"äöüÄÖßé", "Café", "m²", " / ", "'s "):
        assert sample in text, sample


def test_activities_carry_photos_and_reports_as_described() -> None:
    kinds: Counter[str] = Counter()
    for activity in of("activity"):
        described = {
            each["fileName"]: (each["mimeType"], each["fileSize"]) for each in activity.get("attachments", ())
        }
        stored = {
            name: (each["content_type"], len(b64decode(each["data"], validate=True)))
            for name, each in activity.get("_attachments", {}).items()
        }
        assert described == stored
        kinds.update(content_type for content_type, _ in stored.values())
    assert min(kinds["image/png"], kinds["application/pdf"]) >= 50


@pytest.mark.parametrize("variant", range(PHOTO_VARIANTS))
def test_photos_are_real_png(variant: int) -> None:
    data = photo(variant)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    position, chunks = 8, {}
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
        assert checksum == zlib.crc32(kind + body)
        chunks[kind] = body
        position += 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert len(zlib.decompress(chunks[b"IDAT"])) == HEIGHT * (WIDTH + 1)


def test_pdf_cross_references_point_at_their_objects() -> None:
    data = pdf("Größe (m²) \\ Höhe", ["Zeile mit Umlaut: äöüß", "€ und – sind Windows-1252, 漢 nicht"])
    (table,) = map(int, re.findall(rb"startxref\n(\d+)\n", data))
    assert data[table:].startswith(b"xref\n0 7\n")
    for number, offset in enumerate(re.findall(rb"(\d{10}) 00000 n ", data), 1):
        assert data[int(offset) :].startswith(b"%d 0 obj\n" % number)
    length, stream = re.search(rb"/Length (\d+) >>\nstream\n(.*)\nendstream", data, re.DOTALL).groups()  # type: ignore[union-attr]
    assert int(length) == len(stream)
    assert "Größe \\(m²\\) \\\\ Höhe".encode("cp1252") in data
