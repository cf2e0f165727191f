"""A server with a customer, contracts and invoices, and an exchange with Lexware of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from kompass.domain.examples import smallest
from kompass.lexware.exchange import Exchange
from kompass.server import Product
from kompass.settings import Settings
from kompass.sync.opening import DATABASE
from replication.protocol import jsontext
from replication.protocol.documents import parse_document
from replication.store.sqlite import SqliteDatabase

Body = dict[str, Any]


def docid(doctype: str, number: int) -> str:
    return f"{doctype.replace('_', '-')}-{UUID(int=number, version=4)}"


def example(doctype: str, number: int, **members: Any) -> Body:
    """A document with an id by its number."""
    body = {**smallest(doctype), "_id": docid(doctype, number), **members}
    return {name: value for name, value in body.items() if name not in ("_rev", "_attachments")}


def company(contracts: int = 3) -> Iterator[Body]:
    """Customer 1 with so many signed contracts, and a draft."""
    yield example("customer", 1, customerNumber="K-00001", companyName="Hofladen Müller & Söhne")
    for number in range(1, contracts + 1):
        yield example("opportunity", number, customerId=docid("customer", 1), title="Ladenbau")
        yield contract(number)
    yield contract(99, status="draft")


def contract(number: int, **members: Any) -> Body:
    given = {
        "contractNumber": f"C-2026-{number:05}",
        "customerId": docid("customer", 1),
        "opportunityId": docid("opportunity", number),
        "status": "signed",
        "contractValueEur": 1000 + number,
        "contractDate": "2026-11-02",
        "startDate": "2026-11-16",
    }
    return example("contract", number, **{**given, **members})


def invoice(number: int, gross: float = 119, **members: Any) -> list[Body]:
    """One of customer 1, with its amounts."""
    net = round(gross / 1.19, 2)
    given = {
        "invoiceNumber": f"R-2026-{number:05}",
        "customerId": docid("customer", 1),
        "status": "sent",
        "invoiceDate": "2026-10-05",
        "dueDate": "2026-11-04",
    }
    base = example("invoice", number, **{**given, **members})
    amounts = {"netAmount": net, "grossAmount": gross, "taxAmount": round(gross - net, 2), "paidAmount": 0}
    return [base, example("invoice_amount", number, invoiceId=base["_id"], **amounts)]


async def put(product: Product, *bodies: Mapping[str, Any]) -> None:
    """Writes as an administrator, over what is there."""
    database = database_of(product)
    writes = []
    for body in bodies:
        stored = await database.winner(str(body["_id"]))
        before = {} if stored is None else {"_rev": stored.rev}
        writes.append(parse_document({**body, **before}))
    for outcome in await database.write(writes):
        assert isinstance(outcome, str), outcome


async def edit(product: Product, name: str, **members: Any) -> None:
    """Changes members of a document, as an administrator."""
    await put(product, {**await get(product, name), **members})


async def get(product: Product, name: str) -> Body:
    found = await database_of(product).winner(name)
    assert found is not None, name
    body: Body = jsontext.decode(found.text)
    return body


def database_of(product: Product) -> SqliteDatabase:
    database = product.documents.server.store.get(DATABASE)
    assert isinstance(database, SqliteDatabase)
    return database


def exchange(product: Product, directory: Path, **settings: Any) -> Exchange:
    """One with a file and a folder below `directory`."""
    given = Settings(data=directory / "data", **{"lexware_directory": directory / "lexware", **settings})
    return Exchange(given, product.sync.gate)
