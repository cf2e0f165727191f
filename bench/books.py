"""Invoices of a year as files for a tax consultant and a tax audit: how long, and the server's memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from bench.export import customers_of, filled, measured, stored, taken
from bench.servers import our_product

BOOKS = """
company = "Ladenbau Süd GmbH"
location = "Ilshofen"
adviser = 29098
client = 55003
"""
YEAR = "from=2025-01-01&to=2025-12-31"


def _documents(invoices: int, source: Random) -> Iterator[dict[str, Any]]:
    customers = []
    for one in customers_of(source, invoices):
        customers.append(one["_id"])
        yield one
    for number in range(invoices):
        day = f"2025-{number % 12 + 1:02}-{number % 28 + 1:02}"
        net = number % 9000 + 100
        mirrored = {"invoiceDate": day, "dueDate": None, "status": "paid", "paidDate": None}
        invoice = stored(source, "invoice", number, invoiceNumber=f"R-2025-{number:06}", **mirrored)
        yield invoice | {"customerId": customers[number % len(customers)]}
        amounts = {"netAmount": net, "taxAmount": net * 0.19, "grossAmount": net * 1.19, "paidAmount": None}
        amounts = {name: value if value is None else round(value, 2) for name, value in amounts.items()}
        docid = invoice["_id"].replace("invoice-", "invoice-amount-")
        yield stored(source, "invoice_amount", number, _id=docid, invoiceId=invoice["_id"], **amounts)


def run(invoices: int) -> None:
    """Prints a table."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        file = Path(directory, "books.toml")
        file.write_text(BOOKS)
        with (
            our_product(KOMPASS_BOOKS_FILE=str(file)) as running,
            filled(running, _documents(invoices, Random(1))) as client,
        ):
            whats = [
                ("datev/bookings?dry_run=true", f"datev/bookings?{YEAR}&dry_run=true", "POST"),
                ("datev/bookings", f"datev/bookings?{YEAR}", "POST"),
                ("datev/bookings, again", f"datev/bookings?{YEAR}&again=true", "POST"),
                ("datev/bookings, nothing new", f"datev/bookings?{YEAR}", "POST"),
                ("datev/accounts", "datev/accounts", "GET"),
                ("gobd/export", f"gobd/export?{YEAR}", "GET"),
            ]
            measured(running, [(name, partial(taken, client, path, method)) for name, path, method in whats])
