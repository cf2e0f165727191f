"""Documents that become dimensions and facts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.readstore.world import Document, World

D = Decimal
CUSTOMER = "customer-00000000-0000-4000-8000-000000000001"
OTHER = "customer-00000000-0000-4000-8000-000000000002"
TODAY = datetime.now(UTC).date()


def authored(at: str = "2026-01-05T08:00:00.000Z", by: str = "gf1") -> Document:
    return {"createdBy": by, "createdAt": at, "modifiedBy": by, "modifiedAt": at, "version": 1}


def customer(docid: str = CUSTOMER, at: str = "2026-01-05T08:00:00.000Z", **more: Any) -> Document:
    address = {"street": "Weg", "zipCode": "80331", "city": "München", "country": "Deutschland"}
    return {
        **authored(at), "_id": docid, "type": "customer", "companyName": "Hofladen Apfel", "owner": "adm1",
        "rating": "B", "billingAddress": address, **more,
    }  # fmt: skip


async def three_versions(world: World) -> None:
    await world.put(customer())
    await world.put(customer(at="2026-03-01T08:00:00.000Z", rating="A"))
    await world.put(customer(at="2026-04-01T08:00:00.000Z", rating="A", phone="0891234567"))
    await world.put(customer(at="2026-06-01T08:00:00.000Z", rating="A", companyName="Hofladen Birne"))
