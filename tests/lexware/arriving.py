"""Files of Lexware's as tests write them, and what has become of an invoice."""

from __future__ import annotations

from typing import Any

from kompass.access.companions import companion_id
from kompass.lexware.arrivals import Report
from kompass.lexware.exchange import Exchange
from kompass.server import Product
from tests.lexware.world import docid, get, invoice, put

HEAD = "InvoiceNumber;CustomerNumber;PaymentDate;PaymentAmount;PaymentMethod;Status"
NUMBERS = iter(range(100, 10_000))


def payments(*rows: str) -> bytes:
    return "\r\n".join([HEAD, *rows, ""]).encode("utf-8-sig")


def lines(*given: str) -> str:
    return "".join(f"{line}\n" for line in given)


def row(
    number: int, amount: str, status: str = "", customer: str = "K-00001", day: str = "02.11.2026"
) -> str:
    return f"R-2026-{number:05};{customer};{day};{amount};Überweisung;{status}"


async def fresh(product: Product, count: int = 1, **members: Any) -> list[int]:
    """Numbers of new invoices over 119 EUR."""
    numbers = [next(NUMBERS) for _ in range(count)]
    await put(product, *(body for number in numbers for body in invoice(number, **members)))
    return numbers


async def told(product: Product, number: int) -> tuple[Any, Any, Any]:
    """Status, day and amount of what was paid."""
    body = await get(product, docid("invoice", number))
    amounts = await get(product, companion_id("invoice_amount", body["_id"]))
    return body["status"], body.get("paidDate"), amounts["paidAmount"]


async def take(one: Exchange, data: bytes, name: str = "a.csv") -> Report:
    return await one.take(data, name, "buch1")
