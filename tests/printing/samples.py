"""Documents to be printed."""

from __future__ import annotations

from typing import Any

from kompass.printing.content import Parties

HOSTILE = '#read("/etc/passwd") $x$ *fett* _kursiv_ \\u{41} // kein Kommentar <label> @ref = Titel'
"""What would do something if it were markup."""
NAMES = "Łódź ğüşİçÖ Çelik Żółć Šćepan €äöüÄÖÜß"
RIGHT_TO_LEFT = "שלום עולם und مرحبا"


def item(number: int, **members: Any) -> dict[str, Any]:
    return {
        "position": number,
        "description": f"Regal Nr. {number:03}",
        "quantity": 2.5,
        "unit": "Stück",
        "unitPriceEur": 1234.5,
        **members,
    }


def an_offer(lines: int = 2, **members: Any) -> dict[str, Any]:
    return {
        "_id": "offer-1",
        "type": "offer",
        "offerNumber": "A-2026-00042",
        "status": "sent",
        "offerDate": "2026-11-03",
        "validUntil": "2026-12-03",
        "createdBy": "innen1",
        "lineItems": [item(number) for number in range(1, lines + 1)],
        "paymentTermsDays": 14,
        **members,
    }


PARTIES = Parties(
    customer={
        "companyName": "Hofladen Süß & Söhne",
        "customerNumber": "K-00012",
        "billingAddress": {
            "street": "Hauptstraße",
            "streetNumber": "1a",
            "zipCode": "53894",
            "city": "Rode",
            "country": "Deutschland",
        },
    },
    contact={"title": "Dr.", "firstName": "Käthe", "lastName": "Süß"},
    people={"innen1": "Ina Nolte"},
)

LETTERHEAD = """
name = "Rode Ladenbau GmbH"
street = "Am Markt 7"
zip_code = "53894"
city = "Mechernich"
managers = "Käthe Süß"
vat_id = "DE123456789"

[bank]
name = "Sparkasse Köln"
iban = "DE02 1203 0000 0000 2020 51"
"""
