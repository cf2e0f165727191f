"""Invoices made by the factur-x library, which reads them nowhere in these tests but through ours."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from facturx import generate_from_binary  # type: ignore[import-untyped]
from facturx.generate_xml import generate_xml  # type: ignore[import-untyped]

from tests.extraction.files import pdf

NOTHING: Mapping[str, Any] = {}
VAT = "DE123456789"
IBAN = "DE02120300000000202051"


def terms(changed: Mapping[str, Any]) -> dict[str, Any]:
    """An invoice with two rates, an allowance and a price for 100 pieces; 178,00 net, 202,90 gross."""
    found: dict[str, Any] = {
        "BT-1": "RE-2026-0815",
        "BT-2": "2026-11-03",
        "BT-3": "380",
        "BT-5": "EUR",
        "BT-9": "2026-12-03",
        "BT-72": "2026-11-02",
        "BT-10": "04011000-12345-34",
        "BT-13": "PO-2026-00007",
        "BG-4": party("Holz & Söhne GmbH", VAT),
        "BG-7": party("Rode Ladenbau GmbH", "DE987654321"),
        "BT-23": "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0",
        "BT-20": "Zahlbar bis 03.12.2026",
        "BT-81": "58",
        "BT-84": IBAN,
        "BG-25": [
            line("1", "Bretter <Eiche>", "2", "50.00", "100.00", "19.00"),
            line("2", "Schrauben", "500", "12.00", "60.00", "19.00", **{"BT-149": "100"}),
            line("3", "Bücher", "1", "28.00", "28.00", "7.00"),
        ],
        "BG-20": [{"amount": "10.00", "reason": "Rabatt", "vat_category_code": "S", "vat_rate": "19.00"}],
        "BG-23": [
            {"BT-116": "150.00", "BT-117": "28.50", "BT-118": "S", "BT-119": "19.00"},
            {"BT-116": "28.00", "BT-117": "1.96", "BT-118": "S", "BT-119": "7.00"},
        ],
        "BT-106": "188.00",
        "BT-107": "10.00",
        "BT-109": "178.00",
        "BT-110": "30.46",
        "BT-112": "208.46",
        "BT-115": "208.46",
    }
    return {**found, **changed}


def party(name: str, vat: str) -> dict[str, Any]:
    return {
        "name": name,
        "vat_identifier": vat,
        "addr_l1": "Waldweg 3",
        "postcode": "53894",
        "city": "Mechernich",
        "country_code": "DE",
        "einvoicing_addr": "rechnung@holz.example",
        "einvoicing_addr_schemeid": "EM",
        "contacts": [{"name": "Ina Holz", "phone": "+49 2443 1234", "email": "info@holz.example"}],
    }


def line(
    number: str, name: str, quantity: str, price: str, net: str, rate: str, **more: Any
) -> dict[str, Any]:
    return {
        "BT-126": number,
        "BT-153": name,
        "BT-129": quantity,
        "BT-130": "C62",
        "BT-146": price,
        "BT-131": net,
        "BT-151": "S",
        "BT-152": rate,
        **more,
    }


BELOW_0: Mapping[str, Any] = {
    "BG-25": [line("1", "Bretter zurück", "-2", "50.00", "-100.00", "19.00")],
    "BG-20": [],
    "BG-23": [{"BT-116": "-100.00", "BT-117": "-19.00", "BT-118": "S", "BT-119": "19.00"}],
    "BT-106": "-100.00",
    "BT-107": "0.00",
    "BT-109": "-100.00",
    "BT-110": "-19.00",
    "BT-112": "-119.00",
    "BT-115": "-119.00",
}
"""With `terms`: what comes back."""


def xml(flavor: str = "factur-x", level: str = "en16931", changed: Mapping[str, Any] = NOTHING) -> bytes:
    """`flavor`: `factur-x` (CII) or `ubl-2.1`."""
    made = generate_xml(
        copy.deepcopy(terms(changed)), flavor=flavor, level=level, check_xsd=True, check_schematron=None
    )
    assert isinstance(made, bytes)
    return made


def xrechnung(flavor: str = "ubl-2.1") -> bytes:
    """The same, as XRechnung 3.0 is named."""
    plain = b"urn:cen.eu:en16931:2017"
    made = xml(flavor)
    assert made.count(plain) == 1
    return made.replace(plain, plain + b"#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0")


def zugferd() -> bytes:
    """A PDF with the invoice inside."""
    made = generate_from_binary(pdf("Rechnung"), xml(), flavor="factur-x", level="en16931", check_xsd=True)
    assert isinstance(made, bytes)
    return made
