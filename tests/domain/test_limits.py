"""Each limit, at its edge and just beyond it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import pytest

from kompass.domain import models
from kompass.domain.examples import Document, docid, full
from kompass.domain.registry import MODELS

Path = tuple[str | int, ...]


def put(body: Document, path: Path, value: Any) -> Document:
    """The document with another value in one place."""
    body = deepcopy(body)
    place: Any = body
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return body


def errors(doctype: str, path: Path, value: Any) -> tuple[str, ...]:
    found = models.validate(put(full(doctype), path, value))
    return () if found is None else found.fields


class Limit(NamedTuple):
    doctype: str
    path: Path
    sound: tuple[Any, ...]
    refused: tuple[Any, ...]


def between(doctype: str, field: str, low: float, high: float, step: float = 0.01) -> Limit:
    return Limit(doctype, (field,), (low, high), (low - step, high + step))


def length(doctype: str, field: str, low: int, high: int) -> Limit:
    """A text; where blanks aren't enough, letters."""
    few = ("", "a" * (low - 1)) if low else ()
    return Limit(doctype, (field,), ("a" * max(low, 1), "a" * high), (*few, "a" * (high + 1)))


DAYS = ("2026-02-29", "2026-13-01", "26-01-01", "2026-1-1", "20260101", "2026-W01-1", "1989-12-31",
        "2200-01-01", "2026-01-01T00:00:00Z", "gestern", "")  # fmt: skip
TIMES = ("2026-11-16T09:00:00", "2026-11-16T09:00:00+01:00", "2026-11-16 09:00:00Z", "2026-11-16T09:00Z",
         "2026-11-16T25:00:00Z", "2026-11-16", "20261116T090000.000Z", "2026-11-16T09:00:00.0000000Z",
         "2026-W01-1T09:00:00Z",
         "1970-01-01T00:00:00.000Z", "9999-01-01T00:00:00.000Z", "")  # fmt: skip

LIMITS = (
    length("customer", "companyName", 2, 200),
    Limit(
        "customer",
        ("companyName",),
        ("Café Größe & Söhne (Nord) 24/7, Inh. D'Arc + Co.", "Ærø Øl", "Ł’Ż", "東京 KK", "3M"),
        ("Hof\tLaden", "Hof\nLaden", "Hof <b>", "Hof; DROP", " Hof", "-Hof", "=1+1", "+1", "@x", "Hof\u202e"),
    ),
    Limit(
        "customer",
        ("vatNumber",),
        ("DE123456789",),
        ("DE12345678", "DE1234567890", "de123456789", "DE١٢٣٤٥٦٧٨٩"),
    ),
    Limit(
        "customer",
        ("email",),
        ("a@b.de", "kaethe+x@hof-laden.co.uk", "info@müller.de"),
        (
            "a",
            "a@b",
            "a@b.",
            "@b.de",
            "a b@c.de",
            "a@b..de",
            ".a@b.de",
            "a.@b.de",
            "a@-b.de",
            "a@b.de\n",
            "a@b@c.de",
        ),
    ),
    Limit(
        "customer",
        ("phone",),
        ("1234567", "+49 (30) 123-456", "1" * 20),
        ("123456", "1" * 21, "030/123456", "0301234x", "++4930123", "١٢٣٤٥٦٧٨", "030\t1234567"),
    ),
    Limit(
        "customer",
        ("website",),
        ("https://hof.example/a?b=c", "http://hof.example"),
        ("hof.example", "javascript:alert(1)", "ftp://hof.example", "https://a b", "data:text/html,x"),
    ),
    Limit("customer", ("billingAddress", "zipCode"), ("01067",), ("1067", "010670", "0106a", "٠١٠٦٧")),
    Limit("customer", ("billingAddress", "street"), ("Ab", "a" * 100), ("A", "a" * 101, "  ", None)),
    Limit("customer", ("billingAddress", "latitude"), (-90, 90, 0), (-90.001, 90.001, "54", None)),
    Limit("customer", ("billingAddress", "longitude"), (-180, 180), (-180.001, 180.001)),
    between("customer_finance", "creditLimit", 0, 1_000_000),
    Limit("customer_visit", ("visitFrequencyDays",), (1, 365), (0, 366, 1.5, 90.0)),
    length("location", "locationName", 2, 100),
    Limit("location", ("hotelRating",), (1, 5), (0, 6)),
    Limit(
        "contact",
        ("firstName",),
        ("Ña", "a" * 50, "Anne-Marie", "Dr. O'Neil", "李明"),
        ("A", "a" * 51, "Bob1", "-A", "Bob!"),
    ),
    Limit("contact", ("approvalLimitEur",), (0.01, 10_000_000), (0, -1, 10_000_000.01)),
    length("opportunity", "title", 2, 200),
    between("opportunity", "estimatedValue", 0, 10_000_000),
    length("opportunity", "nextStep", 0, 500),
    length("opportunity", "description", 0, 5000),
    Limit("opportunity", ("tags",), ([], ["a"] * 30), (["a"] * 31, [""], ["a" * 51], [1], "a")),
    Limit("offer", ("lineItems",), (), ([], None, {})),
    Limit("offer", ("lineItems", 0, "quantity"), (), (0, -1, 1_000_000.1, "3", True, 0.0001)),
    Limit("offer", ("lineItems", 0, "unitPriceEur"), (), (-0.01, 0.001)),
    Limit("offer", ("lineItems", 0, "taxRate"), (0, 0.07, 1), (-0.01, 1.01)),
    Limit("offer", ("lineItems", 0, "totalPriceEur"), (3751.49, 3751.51), (3751.48, 3751.52)),
    Limit("offer", ("taxRate",), (0, 0.19, 1), (-0.01, 1.01, 19)),
    Limit("offer", ("discountPercent",), (0, 100), (-1, 100.01)),
    Limit("offer", ("rejectionReason",), ("a" * 10, None), ("a" * 9,)),
    Limit(
        "offer",
        ("pdfUrl",),
        ("a.pdf", "https://x.example/a.pdf"),
        ("javascript:x", "file:///etc/passwd", "../a.pdf", "a/b.pdf", "c:\\a"),
    ),
    Limit("contract", ("estimatedDuration",), (1, 3650), (0, 3651)),
    length("project", "name", 2, 200),
    Limit("project", ("teamMemberIds",), ([], ["a"] * 100), (["a"] * 101, [None])),
    Limit("activity", ("duration",), (1, 1440), (0, 1441)),
    length("activity", "subject", 3, 200),
    length("activity", "description", 0, 10_000),
    length("activity", "outcome", 0, 1000),
    length("activity", "voiceTranscript", 0, 50_000),
    Limit("activity", ("private",), (True, False, None), ("false", 0, 1)),
    length("protocol", "summary", 0, 5000),
    length("protocol", "transcription", 0, 10_000),
    Limit("protocol", ("nextActions", 0, "task"), ("a", "a" * 500), ("", "a" * 501)),
    length("user_task", "title", 5, 200),
    Limit("user_task", ("title",), ("Anruf: 10/12",), ("Anruf\nzwei", "     ")),
    length("user_task", "description", 0, 2000),
    length("project_task", "blockingReason", 10, 500),
    length("time_entry", "taskDescription", 10, 500),
    length("time_entry", "rejectionReason", 10, 500),
    between("time_entry_cost", "hourlyRateEur", 0, 500),
    length("project_cost", "description", 10, 500),
    Limit("project_cost", ("taxRate",), (0.19, 0.07, 0, 1), (1.0001, -0.1)),
    Limit("meeting", ("duration",), (15, 480), (14, 481)),
    Limit("expense", ("amount",), (), (0, -1, 10_000.01, 0.001)),
    Limit("expense", ("paymentReference",), ("12345",), ("1234", "     ")),
    Limit("mileage_log", ("overrideReason",), ("a" * 20,), ("a" * 19,)),
    length("supplier", "serviceDescription", 50, 1000),
    Limit("supplier", ("serviceCategories",), (["a"], ["a"] * 10), ([], ["a"] * 11)),
    Limit("supplier", ("rating", "quality"), (1, 5), (0.99, 5.01)),
    Limit("supplier", ("paymentTerms", "daysUntilDue"), (0, 120), (-1, 121)),
    length("material", "materialName", 5, 200),
    length("material", "description", 20, 1000),
    Limit("material", ("supplierPrices",), (), ([], None)),
    Limit("project_subcontractor", ("completionPercentage",), (0, 100), (-1, 101)),
    Limit("user", ("availability", "statusMessage"), ("", "a" * 200), ("a" * 201,)),
    Limit("user", ("workingHours", "monday", "breakDuration"), (0, 480), (-1, 481)),
    Limit(
        "user",
        ("workingHours", "monday", "endTime"),
        ("08:01", "23:59"),
        ("08:00", "07:00", "24:00", "8:30", "17:00:00"),
    ),
    Limit("role", ("priority",), (1, 100), (0, 101)),
    Limit("calendar_subscription", ("tokenHash",), ("f" * 64,), ("f" * 63, "F" * 64, "g" * 64)),
    Limit("comment", ("content",), ("a", "zwei\nZeilen", "a" * 5000), ("", "a" * 5001)),
    Limit("customer", ("version",), (1, 10**9), (0, -1, 1.0, "1", True, 10**10, 10**400)),
    Limit("customer", ("createdAt",), ("2026-11-16T09:00:00Z", "2026-11-16T09:00:00.123456Z"), TIMES),
    Limit(
        "offer",
        ("contractId",),
        (docid("contract"), "c" * 200),
        ("", "c" * 201, "a b", "-x", "a/b", "a\n", 7),
    ),
    Limit("tour", ("startDate",), (), DAYS),
    Limit(
        "customer", ("notes",), ("", "a\r\nb\tc", "👩‍👩‍👧 نص"), ("a\x00b", "\x1b[0m", "x\u202ey", "x\u2067y")
    ),
    Limit("customer", ("owner",), ("adm1", "käthe@firma.example"), ("", " ", "a\u200eb", "a" * 129)),
)


@pytest.mark.parametrize(
    "limit", LIMITS, ids=lambda limit: f"{limit.doctype}-{'.'.join(map(str, limit.path))}"
)
def test_a_limit_holds_at_its_edge(limit: Limit) -> None:
    for value in limit.sound:
        assert errors(limit.doctype, limit.path, value) == (), value
    top = str(limit.path[0])
    for value in limit.refused:
        found = errors(limit.doctype, limit.path, value)
        assert found, value
        assert found[0].startswith(top)


def test_every_list_has_an_end() -> None:
    """Nothing that is pushed can be so long that judging it takes a while."""
    for doctype, model in MODELS.items():
        schema = model.model_json_schema()
        for name, part in {doctype: schema, **schema.get("$defs", {})}.items():
            for field, told in part.get("properties", {}).items():
                for option in (told, *told.get("anyOf", ())):
                    if option.get("type") == "array" and (doctype, field) != ("conflict", "fields"):
                        assert "maxItems" in option, f"{name}.{field}"


def test_every_text_of_a_document_that_people_write_has_an_end() -> None:
    for doctype, model in MODELS.items():
        if doctype in ("conflict", "quarantine", "rejected_change"):
            continue
        schema = model.model_json_schema()
        for name, part in {doctype: schema, **schema.get("$defs", {})}.items():
            for field, told in part.get("properties", {}).items():
                for option in (told, *told.get("anyOf", ()), *filter(None, (told.get("items"),))):
                    if option.get("type") == "string" and not {"const", "enum"} & option.keys():
                        endless = set("*+") & set(option.get("pattern", "*"))
                        assert not endless or {"maxLength", "format"} & option.keys(), f"{name}.{field}"
