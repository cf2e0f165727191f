"""What several of the examples are made of: ids, dates, addresses, lines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from kompass.access.companions import BASE_FIELD, companion_id
from kompass.domain.registry import MODELS

Document = dict[str, Any]

NAMESPACE = UUID("9b1c7c52-27f1-4c3c-8a5e-6b1f0f6c7d10")

PREFIXES = {
    "user_task": "usertask",
    "project_task": "projecttask",
    "project_material_requirement": "project-material",
    "supplier_communication": "supplier-comm",
}


def docid(doctype: str, number: int = 1) -> str:
    """The id of the document of that type that the examples mean; others by number."""
    if doctype == "user":
        return "user-adm1"
    if doctype in BASE_FIELD:
        base = next(base for base in MODELS if BASE_FIELD[doctype] == field_of(base))
        return companion_id(doctype, docid(base, number))
    prefix = PREFIXES.get(doctype, doctype.replace("_", "-"))
    # A companion has the uuid of its base, so the uuid of a base must be its own.
    return f"{prefix}-{UUID(bytes=uuid5(NAMESPACE, f'{doctype}/{number}').bytes, version=4)}"


def field_of(base: str) -> str:
    return {"time_entry": "timeEntryId"}.get(base, f"{base}Id")


class Dates:
    """Days and times around now."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def day(self, days: int) -> str:
        return (self.now + timedelta(days=days)).date().isoformat()

    def time(self, hours: float = 0) -> str:
        return iso(self.now + timedelta(hours=hours))


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


ADDRESS = {"street": "Große Straße", "zipCode": "24937", "city": "Flensburg", "country": "Deutschland"}
FULL_ADDRESS = {
    **ADDRESS,
    "streetNumber": "12a",
    "addressLine2": "Hinterhof",
    "state": "Schleswig-Holstein",
    "latitude": 54.7833,
    "longitude": 9.4333,
}
PLACE = {"latitude": 54.7833, "longitude": 9.4333}
POSITION = {**PLACE, "accuracy": 12.5, "address": "Große Straße 12a, Flensburg"}
LONG = "Regale für Hofläden aus heimischem Holz, gebaut und geliefert in ganz Norddeutschland."


Part = Callable[[Dates], Document]
CUSTOMER = {"customerId": docid("customer")}
PROJECT = {"projectId": docid("project")}
SUPPLIER = {"supplierId": docid("supplier")}
ITEM = {"description": "Regal aus Eiche", "quantity": 3, "unitPriceEur": 1250.5}
FULL_ITEM = {
    **ITEM,
    "position": 1,
    "materialId": docid("material"),
    "unit": "piece",
    "totalPriceEur": 3751.5,
    "taxRate": 0.19,
}
PAYMENT = {
    "paidAt": "2026-11-12T08:00:00.000Z",
    "paidBy": "buch1",
    "paidDate": "2026-11-12",
    "paymentReference": "UEB-4711",
}
APPROVED = {"approvedBy": "gf1", "approvedAt": "2026-11-11T08:00:00.000Z"}
TERMS = {"paymentMethod": "Invoice", "daysUntilDue": 30, "discountPercentage": 2, "discountDays": 10}
RATING = {"overall": 4.25, "quality": 5, "reliability": 4, "communication": 4, "priceValue": 4}
SIGNATURE = {
    "name": "Käthe Müller-Lüdenscheidt",
    "signedAt": "2026-11-10T08:00:00.000Z",
    "place": "Flensburg",
    "image": "unterschrift.png",
}
COMPANY = {
    "companyName": "Hofladen Süß & Söhne GmbH",
    "billingAddress": FULL_ADDRESS,
    "email": "info@hofladen-suess.example",
    "phone": "+49 30 23125 012",
    "website": "https://www.hofladen-suess.example",
    "industry": "Direktvermarktung",
    "customerType": "direct_marketer",
}
