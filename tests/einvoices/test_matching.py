"""Whose invoice it is: by VAT id before the name, and never by a guess; and to which account it is paid."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from kompass.einvoices.importing import warnings
from kompass.einvoices.invoices import Seller, invoice
from kompass.einvoices.matching import matching
from tests.einvoices.samples import IBAN, terms


def known(docid: str, name: str, vat: str | None = None) -> dict[str, Any]:
    return {"_id": docid, "companyName": name, **({} if vat is None else {"vatNumber": vat})}


INVOICE = invoice(terms({}))
KNOWN = [
    known("a", "Holz & Söhne GmbH", "DE 123 456 789"),
    known("b", "Holz und Söhne GmbH"),
    known("c", "HOLZ & SÖHNE GMBH"),
    known("d", "Stahl AG", "ATU12345678"),
    known("e", "Stahl AG"),
]


@pytest.mark.parametrize(
    ("name", "vat", "found"),
    [
        ("Anders", "DE123456789", ["a"]),
        ("Holz & Söhne GmbH", "DE999999999", ["c"]),
        ("Holz & Söhne GmbH", "", ["a", "c"]),
        ("  stahl  ag ", "", ["d", "e"]),
        ("Stahl AG", "DE111111111", ["e"]),
        ("Unbekannt", "DE111111111", []),
        ("", "", []),
    ],
)
def test_a_supplier_is_found(name: str, vat: str, found: list[str]) -> None:
    assert [one["_id"] for one in matching(KNOWN, Seller(name, vat, ""))] == found


def warned(
    *accounts: str, known: Collection[str] = (), vat: str = "DE123456789", status: str = "Active"
) -> list[str]:
    found = replace(INVOICE, accounts=accounts, seller=Seller("Holz", vat, ""))
    supplier = {"vatNumber": "DE 123 456 789", "status": status}
    return [one.grund for one in warnings(found, supplier, known)]


def test_a_changed_account_is_told_before_anybody_pays() -> None:
    other = "DE02500105170137075030"
    assert warned(IBAN, known=[IBAN]) == []
    assert warned() == []
    (new,) = warned(IBAN)
    assert ("noch auf keiner" in new, IBAN in new) == (True, True)
    (changed,) = warned(other, known=[IBAN])
    assert all(said in changed for said in ("Andere Bankverbindung", other, IBAN, "nachfragen"))
    assert [one[:16] for one in warned(IBAN, other, known=[IBAN])] == ["Sie nennt mehrer", "Andere Bankverbi"]
    assert "keine gültige IBAN" in warned("DE03120300000000202051", known=["DE03120300000000202051"])[0]
    bare = replace(INVOICE, lines=[], accounts=[])
    assert "§ 14 UStG" in next(warnings(bare, {}, [])).grund
    assert "gesperrt" in warned(IBAN, known=[IBAN], status="Blacklisted")[0]
    assert "DE999999999" in warned(IBAN, known=[IBAN], vat="DE999999999")[0]
