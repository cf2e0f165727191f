"""A company with books: its documents, and its server as it is asked for files."""

from __future__ import annotations

import asyncio
import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner, Result

from kompass.cli.app import app
from kompass.domain.examples import full
from tests.identity.conftest import ADMIN

GF, BUCH, ANNA = ("chef", "pw"), ("buch", "pw"), ("anna", "pw")
BOOKS = """
company = "Ladenbau Süd GmbH"
location = "Ilshofen"
adviser = 29098
client = 55003

[accounts]
untaxed_at_home = { account = "8337" }
"""
NOVEMBER = {"from": "2026-10-15", "to": "2026-11-20"}
AGAIN = {**NOVEMBER, "again": "true"}


def stored(doctype: str, number: int = 0, **members: Any) -> dict[str, Any]:
    body = {key: value for key, value in full(doctype).items() if key not in ("_rev", "_attachments")}
    if number:
        body["_id"] = f"{body['_id'][:-2]}{number:02x}"
    return body | members


def invoice(
    number: int, day: str, amounts: tuple[float, float, float] | None, **members: Any
) -> list[dict[str, Any]]:
    body = stored(
        "invoice", number, invoiceNumber=f"R-2026-{number:05}", invoiceDate=day, dueDate=None, **members
    )
    if amounts is None:
        return [body]
    net, tax, gross = amounts
    docid = body["_id"].replace("invoice-", "invoice-amount-")
    figures = {"netAmount": net, "taxAmount": tax, "grossAmount": gross}
    return [body, {**stored("invoice_amount"), "_id": docid, "invoiceId": body["_id"], **figures}]


DOCUMENTS = [
    stored("customer"),
    stored("supplier"),
    stored("project"),
    *invoice(1, "2026-10-31", (1000, 190, 1190), status="sent"),
    *invoice(2, "2026-11-01", (100, 7, 107), status="paid"),
    *invoice(3, "2026-11-02", (100, 0, 100), status="overdue"),
    *invoice(4, "2026-11-03", (100, 19, 119), status="draft"),
    *invoice(5, "2026-11-04", (100, 12, 112), status="sent"),
    *invoice(6, "2026-11-05", None, status="sent"),
    *invoice(7, "2026-12-01", (100, 19, 119), status="sent"),
    stored(
        "supplier_invoice",
        invoiceDate="2026-11-06",
        dueDate="2026-12-06",
        subtotalEur=1000,
        taxAmountEur=190,
        totalEur=1190,
        status="Approved",
    ),
    stored(
        "expense",
        expenseDate="2026-11-07",
        category="hotel",
        stornoOf=None,
        stornoReason=None,
        amount=107,
        taxAmount=7,
        netAmount=100,
        status="paid",
    ),
]


class Company:
    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url = url
        self.client = client

    async def ask(
        self, path: str, params: dict[str, str], auth: tuple[str, str] | None = BUCH
    ) -> httpx.Response:
        method = "POST" if path == "datev/bookings" else "GET"
        return await self.client.request(method, f"/api/v1/{path}", params=params, auth=auth)

    async def put(self, body: dict[str, Any]) -> None:
        """Stores a document, whatever is there already."""
        there = await self.client.get(f"/kompass/{body['_id']}", auth=ADMIN)
        rev = {"_rev": there.json()["_rev"]} if there.status_code == 200 else {}
        made = await self.client.put(f"/kompass/{body['_id']}", json={**body, **rev}, auth=ADMIN)
        assert made.status_code == 201, made.text

    async def files(self, path: str, params: dict[str, str]) -> dict[str, bytes]:
        answer = await self.ask(path, params)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip"), answer.text
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    async def run(self, *arguments: str) -> Result:
        given = [*arguments, "--server", self.url, "--user", "buch", "--password", "pw"]
        return await asyncio.to_thread(CliRunner().invoke, app, given)


def lines(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("cp1252"), newline=""), delimiter=";"))


def names_in(directory: Path) -> set[str]:
    return {one.name for one in directory.iterdir()}
