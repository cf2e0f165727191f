"""Whose invoice it is: by VAT id before the name, and never by a guess."""

from __future__ import annotations

from typing import Any

import pytest

from kompass.einvoices.invoices import Seller
from kompass.einvoices.matching import matching


def known(docid: str, name: str, vat: str | None = None) -> dict[str, Any]:
    return {"_id": docid, "companyName": name, **({} if vat is None else {"vatNumber": vat})}


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
