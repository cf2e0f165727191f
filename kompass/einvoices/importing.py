"""An invoice as the document that it becomes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from kompass.domain.money import json_number
from kompass.domain.values import IBAN
from kompass.einvoices.invoices import Invoice, vat_id
from kompass.einvoices.reading import Words

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:kompass:supplier-invoice")
MOST_TIMES = 10
"""That a file can be imported, if its invoice is deleted each time."""
MOST_NOTES = 5000
"""Characters."""
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
    notes: Sequence[str],
) -> dict[str, Any]:
    """A supplier's invoice, or credit note, that waits for approval. `supplier`: his id. `notes`: what
    whoever approves it has to know besides.
    """
    sign = -1 if invoice.is_credit else 1
    body: dict[str, Any] = {
        "supplierId": supplier,
        "invoiceNumber": invoice.number,
        "invoiceDate": invoice.issued.isoformat(),
        "subtotalEur": json_number(sign * invoice.net),
        "taxAmountEur": json_number(sign * invoice.tax),
        "totalEur": json_number(sign * invoice.gross),
        "status": "Pending",
        "pdfUrl": original.name,
    }
    if invoice.due is not None:
        body["dueDate"] = invoice.due.isoformat()
    if len(invoice.accounts) == 1 and is_iban(invoice.accounts[0]):
        body["payeeIban"] = invoice.accounts[0]
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
    said = [*_said(invoice), *notes]
    if said:
        body["notes"] = "\n".join(said)[:MOST_NOTES]
    return body


def _said(invoice: Invoice) -> Iterator[str]:
    """What the invoice says that has no field."""
    if invoice.number != invoice.said_number:
        yield f"Rechnungsnummer laut Rechnung: {invoice.said_number}"
    if invoice.corrects:
        named = ", ".join(invoice.corrects)
        yield f"Gutschrift zu Rechnung {named}" if invoice.is_credit else f"Berichtigt Rechnung {named}"
    elif invoice.is_credit:
        yield "Gutschrift, die keine Rechnung nennt"
    if invoice.to_pay != invoice.gross:
        yield f"Zahlbetrag laut Rechnung: {invoice.to_pay:.2f} EUR".replace(".", ",")
    if invoice.terms:
        yield f"Zahlungsbedingungen laut Rechnung: {invoice.terms}"


def warnings(invoice: Invoice, supplier: Mapping[str, Any], known: Collection[str]) -> Iterator[Words]:
    """What somebody has to look at before he pays: a changed account is how invoices are forged. `known`:
    IBANs of invoices of that supplier that somebody approved.
    """
    if not invoice.lines:
        yield Words(
            "It has no lines (profile MINIMUM or BASIC WL): by German law the invoice is what the PDF shows.",
            "Sie hat keine Positionen (Profil MINIMUM oder BASIC WL): Rechnung im Sinn von § 14 UStG ist, was"
            " das PDF zeigt.",
        )
    vat, said = vat_id(supplier.get("vatNumber")), invoice.seller.vat_id
    if vat and said and vat != said:
        yield Words(
            f"The VAT id of the invoice is {said}, the supplier's is {vat}: ask before paying.",
            f"Die USt-IdNr. der Rechnung ist {said}, die des Lieferanten {vat}: vor dem Bezahlen nachfragen.",
        )
    status = supplier.get("status")
    if status in {"Blacklisted", "Inactive"}:
        yield Words(
            f"The supplier is {status}: ask before paying.",
            f"Der Lieferant ist {'gesperrt' if status == 'Blacklisted' else 'inaktiv'}: vor dem Bezahlen"
            " nachfragen.",
        )
    if len(invoice.accounts) > 1:
        all_ = ", ".join(invoice.accounts)
        yield Words(f"It names several accounts: {all_}.", f"Sie nennt mehrere Bankverbindungen: {all_}.")
    for one in invoice.accounts:
        if one[:2].isalpha() and not is_iban(one):
            yield Words(
                f"{one} is no IBAN that can be: ask before paying.",
                f"{one} ist keine gültige IBAN: vor dem Bezahlen nachfragen.",
            )
    new = ", ".join(one for one in invoice.accounts if one not in known)
    if new and known:
        old = ", ".join(sorted(known))
        yield Words(
            f"The account is another one than before: {new}, before {old}. Ask the supplier before paying.",
            f"Andere Bankverbindung als bisher: {new}, bisher {old}. Vor dem Bezahlen beim Lieferanten"
            " nachfragen.",
        )
    elif new:
        yield Words(
            f"No invoice that was approved has had the account {new}: check it.",
            f"Die Bankverbindung {new} stand noch auf keiner freigegebenen Rechnung: bitte prüfen.",
        )


def is_iban(text: str) -> bool:
    """Whether it is one, with its check digits (ISO 13616)."""
    if not re.fullmatch(IBAN, text):
        return False
    return int("".join(str(int(one, 36)) for one in text[4:] + text[:4])) % 97 == 1
