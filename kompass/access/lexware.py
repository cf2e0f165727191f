"""What the service that exchanges files with Lexware may read and write: a table beside the permission
matrix, which is about people.

It reads whole documents of a few types. It writes what Lexware says of invoices, into documents that nobody
else writes, with no other fields than these, and deletes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from kompass.access.policy import Decision

AUTHOR = "lexware"
"""In whose name it writes."""

READS = frozenset(
    {
        *("contract", "customer", "customer_finance", "opportunity", "project"),
        *("invoice", "invoice_amount"),
    }
)
"""Types of documents."""

WRITES: Mapping[str, frozenset[str]] = {
    "invoice": frozenset(
        {"invoiceNumber", "customerId", "invoiceDate", "dueDate", "status", "paidDate", "dunningLevel"}
    ),
    "invoice_amount": frozenset({"invoiceId", "netAmount", "taxAmount", "grossAmount", "paidAmount"}),
}
"""Type -> the fields that it sets. Others of a document stay what they are."""


def decide(doctype: str, fields: Mapping[str, object]) -> Decision:
    """Whether it may set these fields of such a document."""
    allowed = WRITES.get(doctype)
    if allowed is None:
        return Decision(
            False, "lexware.type", "The exchange with Lexware writes no documents of this type.", ("type",)
        )
    more = tuple(sorted(set(fields) - allowed))
    if more:
        names = tuple(name[:64] for name in more[:10])
        return Decision(
            False, "lexware.fields", f"The exchange with Lexware writes no {', '.join(names)}.", names
        )
    return Decision(True, f"{doctype}.mirror._lexware", "Lexware says so.")
