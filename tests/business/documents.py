"""Documents of a small shop-fitting company, as devices make them."""

from __future__ import annotations

from typing import Any

from tests.sync.gate_world import World, customer, new, uuid

Document = dict[str, Any]


def docid(prefix: str, number: int) -> str:
    return f"{prefix}-{uuid(number)}"


def body(doctype: str, author: str = "gf1", **members: Any) -> Document:
    return {
        "type": doctype,
        "createdBy": author,
        "createdAt": "2026-03-01T08:00:00.000Z",
        "modifiedBy": author,
        "modifiedAt": "2026-03-01T08:00:00.000Z",
        "version": 1,
        **members,
    }


def offer(author: str = "gf1", **members: Any) -> Document:
    return body(
        "offer",
        author,
        **{
            "customerId": customer(1),
            "opportunityId": docid("opportunity", 1),
            "status": "draft",
            "lineItems": [
                {
                    "position": 1,
                    "description": "Regal",
                    "quantity": 3,
                    "unit": "piece",
                    "unitPriceEur": 199.99,
                },
                {
                    "position": 2,
                    "description": "Montage",
                    "quantity": 2.5,
                    "unit": "hour",
                    "unitPriceEur": 60,
                },
            ],
            "taxRate": 0.19,
            **members,
        },
    )


def opportunity(author: str = "gf1", **members: Any) -> Document:
    return body(
        "opportunity",
        author,
        **{
            "customerId": customer(1),
            "title": "Ladenbau",
            "owner": "adm1",
            "status": "negotiation",
            "probability": 75,
            "estimatedValue": 1000.5,
            **members,
        },
    )


async def push_new(world: World, user: str, docid: str, document: Document) -> None:
    """A device brings a new document."""
    assert await world.push(user, (docid, new(document))) == [""]


async def change(world: World, user: str, docid: str, **members: Any) -> None:
    """A device that is up to date changes a document."""
    stored = await world.body(docid)
    assert stored is not None
    changed = {**stored, "modifiedBy": user, "version": stored.get("version", 0) + 1, **members}
    assert await world.push(user, (docid, new(changed, await world.path(docid)))) == [""]
