"""What is final, field by field, by the table of the GoBD; written down here once more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from kompass.access.principals import Role
from kompass.domain.changes import Body
from kompass.domain.corrections import irreparable
from kompass.domain.freezing import FREEZES, HOUSEKEEPING, check, is_final
from tests.domain.world import GF, NOTHING, SETTINGS, World, change, person


class Case(NamedTuple):
    doctype: str
    stored: dict[str, Any]
    others: tuple[dict[str, Any], ...]
    locked: str
    allowed: str


INVOICE = {"_id": "invoice-1", "type": "invoice", "customerId": "x-1", "status": "sent"}
PROJECT = {"_id": "project-1", "type": "project", "locationId": "x-1", "status": "planning"}
EXPENSE = {"_id": "expense-1", "type": "expense", "mileageLogId": "x-1", "status": "draft"}

OFFER_LOCKED = (
    "offerNumber offerDate customerId opportunityId contactPersonId lineItems subtotalEur discountPercent "
    "discountAmountEur taxRate taxAmountEur totalEur validUntil terms pdfUrl paymentTermsDays approvedBy "
    "createdAt"
)
OFFER_FREE = "status notes supersededBy contractId rejectionReason sentAt viewedAt acceptedAt rejectedAt"
CONTRACT_LOCKED = (
    "contractNumber offerId customerId contractDate startDate endDate contractValueEur subtotalEur "
    "taxAmountEur paymentSchedule deliverySchedule terms projectManagerId customerSignature ourSignature "
    "signedAt signedBy signedPdfUrl"
)
COST_AMOUNTS = "quantity unitPriceEur taxRate totalNetEur taxAmountEur totalGrossEur projectId"
TIME = (
    "projectId taskId taskDescription userId startTime endTime durationMinutes isManualEntry rejectionReason "
    "notes"
)

CASES = {
    "customer with an invoice": Case(
        "customer",
        {},
        (INVOICE,),
        "companyName vatNumber billingAddress",
        "email phone website owner rating locations defaultDeliveryLocationId dsgvoConsent industry",
    ),
    "location of a project": Case(
        "location", {}, (PROJECT,), "deliveryAddress", "locationName isActive deliveryNotes openingHours"
    ),
    **{
        f"offer {state}": Case("offer", {"status": state}, (), OFFER_LOCKED, OFFER_FREE)
        for state in ("sent", "viewed", "accepted", "rejected", "expired", "superseded")
    },
    **{
        f"contract {state}": Case(
            "contract",
            {"status": state},
            (),
            CONTRACT_LOCKED,
            "status notes projectId supersededBy terminationReason",
        )
        for state in ("signed", "active", "completed", "terminated")
    },
    **{
        f"invoice {state}": Case(
            "invoice",
            {"status": state},
            (),
            "invoiceNumber customerId projectId contractId invoiceDate dueDate invoiceType pdfUrl lexwareId",
            "status paidDate paidAmount dunningLevel",
        )
        for state in ("sent", "paid", "partial_paid", "overdue", "cancelled")
    },
    "time entry approved": Case("time_entry", {"status": "approved"}, (), TIME + " status", ""),
    **{
        f"expense {state}": Case(
            "expense",
            {"status": state},
            (),
            "title expenseDate category amount tourId projectId justification receiptUrl rejectionReason",
            "status paidAt paidBy paidDate paymentReference",
        )
        for state in ("approved", "paid")
    },
    "cost received": Case(
        "project_cost",
        {"status": "received"},
        (),
        COST_AMOUNTS,
        "status description invoiceNumber invoiceDate invoicePdfUrl paidAt paymentReference",
    ),
    "cost invoiced": Case(
        "project_cost",
        {"status": "invoiced"},
        (),
        COST_AMOUNTS + " supplierName invoiceNumber invoiceDate invoicePdfUrl",
        "status paidAt paymentReference description",
    ),
    "cost paid": Case(
        "project_cost",
        {"status": "paid"},
        (),
        COST_AMOUNTS + " description supplierName invoiceNumber paidAt paymentReference status",
        "",
    ),
    "mileage log linked": Case(
        "mileage_log", {}, (EXPENSE,), "distance ratePerKm costEur routeGeoJSON projectId tourId notes", ""
    ),
    "mileage log that names its expense": Case(
        "mileage_log", {"expenseId": "expense-9"}, (), "distance ratePerKm routeGeoJSON expenseId", ""
    ),
}

NOT_FINAL = [
    ("customer", {}, ()),
    ("customer", {}, ({**INVOICE, "status": "draft"},)),
    ("location", {}, ()),
    ("offer", {"status": "draft"}, ()),
    ("contract", {"status": "draft"}, ()),
    ("contract", {"status": "pending_signature"}, ()),
    ("invoice", {"status": "draft"}, ()),
    ("time_entry", {"status": "in_progress"}, ()),
    ("time_entry", {"status": "completed"}, ()),
    ("time_entry", {"status": "rejected"}, ()),
    ("expense", {"status": "draft"}, ()),
    ("expense", {"status": "submitted"}, ()),
    ("project_cost", {"status": "planned"}, ()),
    ("project_cost", {"status": "ordered"}, ()),
    ("mileage_log", {}, ()),
    ("opportunity", {"status": "won"}, ()),
]

ALL = frozenset(Role) - {Role.GF}
EVERYBODY = person("p1", *ALL)
NAMES = list(CASES)


def stored(case: Case, **fields: Any) -> dict[str, Any]:
    return {"_id": "x-1", "type": case.doctype, "createdBy": "adm1", **case.stored, **fields}


VALUES: list[tuple[Any, Any]] = [
    ("one", "another"),
    (1, 2),
    ({"street": "Am Markt", "city": {"name": "Ulm"}}, {"street": "Am Markt", "city": {"name": "Bonn"}}),
    ([{"quantity": 1}], [{"quantity": 1}, {"quantity": 1}]),
    ("one", None),
    (None, "another"),
    (1, True),
]


@pytest.mark.parametrize("name", NAMES)
def test_locked_fields_do_not_change(name: str) -> None:
    case = CASES[name]
    others = World(*case.others)
    for field in case.locked.split():
        for old, new in VALUES:
            before = stored(case)
            if old is not None and field not in case.stored:
                before[field] = old
            doc: Body = {**before, field: new}
            if new is None:
                doc = {key: value for key, value in before.items() if key != field}
            if doc == before:
                continue
            refusal = check(change(doc, before, EVERYBODY), others, SETTINGS)
            assert refusal is not None, (name, field, old, new)
            assert refusal.rule == "frozen.fields"
            assert refusal.fields == (field,)
            assert field in refusal.reason
            assert field in refusal.grund


@pytest.mark.parametrize("name", NAMES)
def test_the_rest_may_change(name: str) -> None:
    case = CASES[name]
    others = World(*case.others)
    for field in case.allowed.split():
        before = stored(case)
        doc = {**before, field: "something new"}
        assert check(change(doc, before, EVERYBODY), others, SETTINGS) is None, (name, field)
    for field in HOUSEKEEPING - {"_id", "correctionReason"}:
        before = stored(case, **{field: 1})
        doc = {**before, field: 2}
        assert check(change(doc, before, EVERYBODY), others, SETTINGS) is None, (name, field)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_once_stays(name: str) -> None:
    case = CASES[name]
    others = World(*case.others)
    once = {field for row in FREEZES[case.doctype] for field in row.once} & set(case.allowed.split())
    for field in once:
        before = stored(case, **{field: "as it was"})
        for new in ("other", None, ""):
            refusal = check(change({**before, field: new}, before, EVERYBODY), others, SETTINGS)
            assert refusal is not None, (name, field, new)
            assert refusal.fields == (field,)


@pytest.mark.parametrize(("doctype", "fields", "others"), NOT_FINAL)
def test_nothing_is_final_before(
    doctype: str, fields: dict[str, Any], others: tuple[dict[str, Any], ...]
) -> None:
    before = {"_id": "x-1", "type": doctype, **fields, "_attachments": {"a.pdf": "md5-1"}}
    for case in CASES.values():
        for field in case.locked.split():
            doc = {**before, field: fields.get(field, "new")}
            assert check(change(doc, before, EVERYBODY), World(*others), SETTINGS) is None
    doc = {key: value for key, value in before.items() if key != "_attachments"}
    assert check(change(doc, before, EVERYBODY), World(*others), SETTINGS) is None
    assert not is_final(before, World(*others))


FIXED = [
    "offer sent",
    "invoice sent",
    "time entry approved",
    "expense approved",
    "expense paid",
    "cost paid",
    "mileage log linked",
]
KEPT = ["contract signed", "contract active", "contract terminated", "cost received", "cost invoiced"]


@pytest.mark.parametrize("name", [*FIXED, *KEPT])
@pytest.mark.parametrize("who", [EVERYBODY, GF], ids=["office", "GF"])
def test_attachments_are_final_too(name: str, who: Any) -> None:
    case = CASES[name]
    others = World(*case.others)
    before = stored(case, _attachments={"signed.pdf": "md5-1", "receipt.jpg": "md5-2"})
    wrong: list[dict[str, Any]] = [
        {"signed.pdf": "md5-1"},
        {"signed.pdf": "md5-1", "receipt.jpg": "md5-3"},
        {"signed.pdf": "md5-1", "receipt.JPG": "md5-2"},
        {},
    ]
    more = {"signed.pdf": "md5-1", "receipt.jpg": "md5-2", "more.pdf": "md5-4"}
    if name in FIXED:
        wrong.append(more)
    else:
        assert check(change({**before, "_attachments": more}, before, who), others, SETTINGS) is None
    for attached in wrong:
        for extra in ({}, {"correctionReason": "Der Beleg war unleserlich."}):
            doc = {**before, "_attachments": attached, **extra}
            refusal = check(change(doc, before, who), others, SETTINGS)
            assert refusal is not None
            assert "_attachments" in refusal.fields or not extra or "correctionReason" in refusal.fields
    gone = {key: value for key, value in before.items() if key != "_attachments"}
    assert check(change(gone, before, who), others, SETTINGS) is not None
    assert check(change(dict(before), before, who), others, SETTINGS) is None


@pytest.mark.parametrize("who", [EVERYBODY, GF], ids=["office", "GF"])
def test_a_sent_offer_gets_its_print_once(who: Any) -> None:
    case = CASES["offer sent"]
    others = World(*case.others)
    number = "A-2026-00042"
    before = stored(case, offerNumber=number, _attachments={"plan.pdf": "md5-1"})
    printed = {"plan.pdf": "md5-1", f"{number}.pdf": "md5-2"}
    after = {**before, "_attachments": printed}

    def refused(doc: Body, before: Body) -> bool:
        return check(replace(change(doc, before, who), prints=True), others, SETTINGS) is not None

    assert not refused(after, before)
    refusal = check(change(after, before, who), others, SETTINGS)
    assert refusal is not None
    assert refusal.rule == "frozen.print", "nobody but the server makes it"
    for wrong in (
        {f"{number}.pdf": "md5-2"},
        {**printed, "more.pdf": "md5-3"},
        {"plan.pdf": "md5-3", f"{number}.pdf": "md5-2"},
    ):
        assert refused({**before, "_attachments": wrong}, before)
    for wrong in ({"plan.pdf": "md5-1"}, {**printed, f"{number}.pdf": "md5-3"}):
        assert refused({**after, "_attachments": wrong}, after)
    unnumbered = {name: value for name, value in before.items() if name != "offerNumber"}
    other = {**unnumbered, "_attachments": printed}
    assert refused(other, unnumbered)


@pytest.mark.parametrize(
    ("doctype", "name"), [("offer", "A-2026-00043.pdf"), ("contract", "C-2026-00001.pdf")]
)
def test_nobody_leaves_a_print_in_a_draft_for_the_number_that_comes(doctype: str, name: str) -> None:
    draft = {"_id": "x-1", "type": doctype, "status": "draft", "_attachments": {"plan.pdf": "md5-1"}}
    files = {"plan.pdf": "md5-1", name: "md5-2"}
    for before in (draft, None):
        refusal = check(change({**draft, "_attachments": files}, before, GF), NOTHING, SETTINGS)
        assert refusal is not None
        assert refusal.rule == "frozen.print"
    kept = {**draft, "_attachments": files}
    assert check(change({**kept, "notes": "x"}, kept, GF), NOTHING, SETTINGS) is None


def test_the_rate_of_an_approved_time_entry_stays() -> None:
    cost = {"_id": "c-1", "type": "time_entry_cost", "timeEntryId": "t-1", "hourlyRateEur": 50}
    entry = {"_id": "t-1", "type": "time_entry", "status": "completed"}
    doc = {**cost, "hourlyRateEur": 60}
    assert check(change(doc, cost), World(entry), SETTINGS) is None
    assert check(change(doc, cost), NOTHING, SETTINGS) is None
    assert check(change(doc, cost), World({**entry, "status": "approved"}), SETTINGS) is not None


@pytest.mark.parametrize(
    ("doctype", "state", "field"),
    [
        ("purchase_order", "approved", "lineItems"),
        ("purchase_order", "delivered", "shippingEur"),
        ("supplier_contract", "active", "contractValueEur"),
        ("supplier_invoice", "Approved", "totalEur"),
        ("supplier_invoice", "Paid", "invoiceNumber"),
    ],
)
def test_what_was_approved_stays_as_it_was_approved(doctype: str, state: str, field: str) -> None:
    before = {"_id": "x-1", "type": doctype, "status": state, field: 1}
    for who in (EVERYBODY, GF):
        refusal = check(change({**before, field: 2}, before, who), NOTHING, SETTINGS)
        assert refusal is not None
        assert refusal.fields == (field,)
    assert not is_final(before, NOTHING)


@pytest.mark.parametrize("state", ["Pending", "Disputed", "Approved", "Paid"])
def test_the_original_of_a_supplier_invoice_stays_from_the_beginning(state: str) -> None:
    files = {"rechnung.xml": "md5-1", "notiz.txt": "md5-2"}
    before = {"_id": "i-1", "type": "supplier_invoice", "status": state, "_attachments": files}
    sent = {**before, "pdfUrl": "rechnung.xml"}
    changes: list[dict[str, Any]] = [
        {"_attachments": {**files, "rechnung.xml": "md5-3"}},
        {"_attachments": {"notiz.txt": "md5-2"}},
        {"_attachments": {}},
        {"pdfUrl": "notiz.txt"},
        {"pdfUrl": "https://docs.example/rechnung.pdf"},
        {"pdfUrl": None},
    ]
    for wrong in changes:
        for reason in ({}, {"correctionReason": "Es war die falsche Datei"}):
            assert check(change({**sent, **wrong, **reason}, sent, GF), NOTHING, SETTINGS) is not None, wrong
    assert check(change({**before, "pdfUrl": "rechnung.xml"}, before, GF), NOTHING, SETTINGS) is None
    more = {**sent, "_attachments": {"rechnung.xml": "md5-1", "scan.pdf": "md5-4"}}
    assert (check(change(more, sent, GF), NOTHING, SETTINGS) is None) == (state in {"Pending", "Disputed"})


# -- corrections ---------------------------------------------------------------------------------

REASON = "Schreibfehler im Firmennamen"


def test_management_corrects_with_a_reason() -> None:
    case = CASES["customer with an invoice"]
    before = stored(case, companyName="Hofladen Mayer")
    doc = {**before, "companyName": "Hofladen Maier", "correctionReason": REASON}
    others = World(*case.others)
    assert check(change(doc, before, GF), others, SETTINGS) is None
    refusal = check(change({**before, "companyName": "Hofladen Maier"}, before, GF), others, SETTINGS)
    assert refusal is not None
    assert "correctionReason" in refusal.reason
    refusal = check(change(doc, before, EVERYBODY), others, SETTINGS)
    assert refusal is not None
    assert refusal.rule == "correction.role"


@pytest.mark.parametrize("reason", ["", "zu kurz", " " * 20, 12345678901, ["Schreibfehler im Namen"], True])
def test_a_reason_says_something(reason: Any) -> None:
    case = CASES["customer with an invoice"]
    before = stored(case, companyName="Hofladen Mayer")
    doc = {**before, "companyName": "Hofladen Maier", "correctionReason": reason}
    refusal = check(change(doc, before, GF), World(*case.others), SETTINGS)
    assert refusal is not None
    assert refusal.rule == "correction.reason"


def test_no_correction_without_something_final() -> None:
    before = {"_id": "x-1", "type": "offer", "status": "draft", "terms": "bar"}
    doc = {**before, "terms": "Rechnung", "correctionReason": REASON}
    refusal = check(change(doc, before, GF), NOTHING, SETTINGS)
    assert refusal is not None
    assert refusal.rule == "correction.none"
    new = check(change(doc, None, GF), NOTHING, SETTINGS)
    assert new is not None


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("offer sent", "lineItems"),
        ("offer accepted", "discountPercent"),
        ("contract signed", "contractValueEur"),
        ("cost received", "unitPriceEur"),
        ("cost paid", "quantity"),
        ("time entry approved", "endTime"),
        ("expense paid", "amount"),
        ("mileage log linked", "distance"),
        ("offer sent", "pdfUrl"),
        ("contract signed", "signedPdfUrl"),
        ("cost paid", "invoicePdfUrl"),
        ("cost invoiced", "invoicePdfUrl"),
        ("expense paid", "receiptUrl"),
    ],
)
def test_amounts_and_evidence_are_cancelled_and_made_anew(name: str, field: str) -> None:
    case = CASES[name]
    before = stored(case, **{field: 100})
    doc = {**before, field: 200, "correctionReason": REASON}
    refusal = check(change(doc, before, GF), World(*case.others), SETTINGS)
    assert refusal is not None
    assert refusal.rule == "correction.storno"
    assert refusal.fields == (field,)
    assert "Storn" in refusal.grund
    assert field in irreparable(case.doctype)
