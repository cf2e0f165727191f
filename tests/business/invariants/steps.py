"""The steps of a program: what somebody does, to which document, in which way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

KINDS = (
    "opportunity",
    "offer",
    "contract",
    "project",
    "time_entry",
    "expense",
    "project_cost",
    "user_task",
    "customer",
)
FOUNDED = ("customer", "opportunity", "offer", "project", "time_entry", "expense", "project_cost")
"""What there is before the first step."""
HOWS = ("online", "pushed", "beside", "late", "twice", "undone")

Step = tuple[Any, ...]

SETTINGS: Sequence[tuple[str, Sequence[Any]]] = (
    ("notes", ("kurz", "länger\nmit Zeilen", "x" * 20_000, "a\u202egnp.exe", None)),
    ("correctionReason", ("Zahlendreher im Vermerk", "zu kurz", None)),
    ("taxRate", (0.19, 0.07, 19, -1, 1e20, "0.19")),
    ("lineItems", ([], [{"description": "Regal", "quantity": 2, "unitPriceEur": 10.1}], "keine")),
    ("terms", ("frei Haus", "ab Werk", 5)),
    ("title", ("Ladenbau", "", "Regal\u0000")),
    ("amount", (4.5, 20, 120.55, 0.001)),
    ("totalEur", (1, 99999.99)),
    ("quantity", (1, 2.5, -3)),
    ("contractValueEur", (100, 4465)),
    ("endTime", ("2020-01-01T08:00:00.000Z", "now", "morgen")),
    ("actualValue", (1000, 0)),
    ("probability", (100, 50, 0, 101)),
    ("lostReason", ("zu teuer für den Kunden", None)),
    ("rejectionReason", ("gefällt dem Kunden nicht", "nein")),
    ("terminationReason", ("im Einvernehmen beendet", None)),
    ("cancellationReason", ("der Kunde hat abgesagt", None)),
    ("supersededBy", ("offer", "contract", "offer-nirgends")),
    ("signedPdfUrl", ("a.pdf", "b.pdf")),
    ("receiptUrl", ("a.pdf", None)),
    ("invoiceNumber", ("RE-1", "RE-2")),
    ("paymentReference", ("SEPA-4711",)),
    ("offerNumber", ("A-2026-00001", None)),
    ("customerNumber", ("K-99999",)),
    ("finalized", (False, True, None)),
    ("immutableHash", ("0" * 64, None)),
    ("changeLog", ([], [{"field": "terms"}])),
    ("legalHold", (True, False, None, "true", 1)),
    ("legalHoldReason", ("Verfahren vor dem Landgericht", "Das Verfahren ist beendet", "kurz", None)),
    ("customerId", ("customer",)),
    ("type", ("offer", "invoice", "nichts")),
    ("createdAt", ("2001-01-01T00:00:00.000Z",)),
    ("modifiedAt", ("2199-01-01T00:00:00.000Z", "1990-01-01T00:00:00.000Z", "gestern")),
    ("version", (10**12, 0, 7)),
    ("schemaVersion", (1, 2, 99)),
    ("unbekannt", (1, {"tief": [[[[]]]]})),
    ("owner", ("adm1", "adm2", "niemand")),
    ("stornoOf", ("expense", "project_cost", "time_entry")),
)

_small = st.sampled_from(range(36))
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("create"), _small, st.sampled_from(range(len(KINDS))), _small),
    st.tuples(st.just("advance"), _small, _small, _small, st.sampled_from(HOWS)),
    st.tuples(st.just("advance"), st.just(7), _small, _small, st.sampled_from(("online", "pushed"))),
    st.tuples(st.just("advance"), st.just(7), st.sampled_from((1, 2)), _small, st.just("pushed")),
    st.tuples(
        st.just("set"),
        _small,
        _small,
        st.sampled_from(range(len(SETTINGS))),
        _small,
        st.sampled_from(HOWS),
    ),
    st.tuples(st.just("jump"), _small, _small, _small, st.sampled_from(HOWS)),
    st.tuples(st.just("delete"), _small, _small, st.sampled_from(HOWS)),
    st.tuples(st.just("attach"), _small, _small, _small, st.sampled_from(HOWS)),
    st.tuples(st.just("copy"), _small, _small),
    st.tuples(st.just("storno"), _small, _small),
    st.tuples(st.just("replay"), _small, _small),
    st.tuples(st.just("purge"), _small),
)
