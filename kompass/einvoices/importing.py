"""An invoice as the document that it becomes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from kompass.domain.money import json_number
from kompass.einvoices.invoices import Invoice

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:kompass:supplier-invoice")
MOST_TIMES = 10
"""That a file can be imported, if its invoice is deleted each time."""
PDF, XML = "application/pdf", "application/xml"


@dataclass(frozen=True, slots=True)
class Original:
    """The file that was sent; it is kept as it came."""

    data: bytes

    @property
    def content_type(self) -> str:
        return PDF if b"%PDF-" in self.data[:1024] else XML

    @property
    def name(self) -> str:
        """Of the attachment, whatever the file was called."""
        return "rechnung.pdf" if self.content_type == PDF else "rechnung.xml"

    @property
    def ids(self) -> Sequence[str]:
        """Of the document. The same file is the same invoice: it has one document, whoever sends it when;
        after that was deleted it has the next id.
        """
        digest = hashlib.sha256(self.data).hexdigest()
        return [f"supplier-invoice-{uuid5(_NAMESPACE, f'{digest} {number}')}" for number in range(MOST_TIMES)]


def document(
    invoice: Invoice,
    original: Original,
    supplier: str,
    order: Mapping[str, Any] | None,
    contract: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """A supplier's invoice that waits for approval. `supplier`: his id."""
    body: dict[str, Any] = {
        "supplierId": supplier,
        "invoiceNumber": invoice.number,
        "invoiceDate": invoice.issued.isoformat(),
        "subtotalEur": json_number(invoice.net),
        "taxAmountEur": json_number(invoice.tax),
        "totalEur": json_number(invoice.gross),
        "status": "Pending",
        "pdfUrl": original.name,
    }
    if invoice.due is not None:
        body["dueDate"] = invoice.due.isoformat()
    rates = {one.percent for one in invoice.taxes}
    if len(rates) == 1 and None not in rates:
        (rate,) = rates
        assert rate is not None
        body["taxRate"] = json_number(rate / 100)
    if order is not None:
        body["purchaseOrderId"] = order["_id"]
    if contract is not None:
        body["supplierContractId"] = contract["_id"]
    project = (order or {}).get("projectId") or (contract or {}).get("projectId")
    if project is not None:
        body["projectId"] = project
    said = []
    if invoice.number != invoice.said_number:
        said.append(f"Rechnungsnummer laut Rechnung: {' '.join(invoice.said_number.split())}")
    if invoice.corrects:
        said.append(f"Berichtigt Rechnung {' '.join(invoice.corrects.split())}")
    if invoice.to_pay != invoice.gross:
        said.append(f"Zahlbetrag laut Rechnung: {invoice.to_pay:.2f} EUR".replace(".", ","))
    if said:
        body["notes"] = "\n".join(said)
    return body
