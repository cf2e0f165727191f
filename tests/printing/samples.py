"""Documents to be printed."""

from __future__ import annotations

import struct
import zlib
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


ADDRESS = {
    "street": "Hauptstraße" * 9,
    "streetNumber": "1a",
    "addressLine2": "Hinterhaus, 3. Obergeschoss links, bitte bei Müller-Lüdenscheidt klingeln",
    "zipCode": "53894",
    "city": "Rode",
    "country": "Österreich",
}
"""More than an envelope's window has lines."""

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


def png(width: int, height: int) -> bytes:
    """A red picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    dots = zlib.compress((b"\x00" + b"\xff\x00\x00" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", dots) + chunk(b"IEND", b"")
