"""Files from Lexware: how long invoices and payments take, to their documents, and the server's memory."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import psutil

from bench.export import filled, watched
from bench.servers import our_product, proportional_memory
from kompass.domain.examples import smallest

CUSTOMERS = 500
PAYMENTS = "InvoiceNumber;CustomerNumber;GrossAmount;PaymentDate;PaymentAmount;PaymentMethod;Status"
INVOICES = "Rechnungsnummer;Datum;Kunde;Nettobetrag;MwSt;Bruttobetrag;Fällig;Status"


def _customers(source: Random) -> Iterator[dict[str, Any]]:
    for number in range(CUSTOMERS):
        body = {name: value for name, value in smallest("customer").items() if name[:1] != "_"}
        docid = f"customer-{uuid.UUID(int=source.getrandbits(128), version=4)}"
        names = {"customerNumber": f"K-{number:05}", "companyName": f"Hofladen {number} GmbH"}
        yield {**body, "_id": docid, **names}


def _invoices(rows: int) -> bytes:
    lines = [
        f"R-2026-{n:05};05.10.2026;K-{n % CUSTOMERS:05};{n + 100},00;0,00;{n + 100},00;04.11.2026;Offen"
        for n in range(rows)
    ]
    return "\r\n".join([INVOICES, *lines, ""]).encode("cp1252")


def _payments(rows: int) -> bytes:
    """Of each hundred 2 are for no invoice, 5 pay a part, 14 write the number in another way."""

    def row(n: int) -> str:
        number = f"R-2099-{n:05}" if n % 50 == 0 else f"RE 2026/{n}" if n % 7 == 0 else f"R-2026-{n:05}"
        paid = f"{n % 90 + 1},00" if n % 20 == 3 else f"{n + 100},00"
        return f"{number};K-{n % CUSTOMERS:05};{n + 100},00;02.11.2026;{paid};Überweisung;"

    return "\r\n".join([PAYMENTS, *map(row, range(rows)), ""]).encode("cp1252")


def run(rows: int) -> None:
    """Prints a table."""
    with our_product() as running:
        assert running.pid is not None
        with filled(running, _customers(Random(1))) as client:

            def sent(data: bytes, *, dry_run: bool = False) -> str:
                answer = client.post(
                    "/api/v1/lexware/imports",
                    params={"name": "bench.csv", "dryRun": str(dry_run).lower()},
                    content=data,
                    headers={"content-type": "text/csv"},
                )
                answer.raise_for_status()
                return ", ".join(f"{count} {name}" for name, count in answer.json()["outcomes"].items())

            payments, more = _payments(rows), _payments(rows + 1)
            steps: list[tuple[str, Callable[[], str]]] = [
                (f"{rows} invoices, to their documents", lambda: sent(_invoices(rows))),
                (f"{rows} payments, matched alone (dry run)", lambda: sent(payments, dry_run=True)),
                (f"{rows} payments, to their documents", lambda: sent(payments)),
                ("the same and one more", lambda: sent(more)),
            ]
            print("| what | seconds | server's processor | came to | server at rest, MB | at most |")
            print("|---|---:|---:|---|---:|---:|")
            server = psutil.Process(running.pid)
            for name, do in steps:
                rest = proportional_memory(running.pid)
                with watched(running.pid) as most:
                    started, worked = time.perf_counter(), sum(server.cpu_times()[:2])
                    outcomes = do()
                    seconds = time.perf_counter() - started
                    worked = sum(server.cpu_times()[:2]) - worked
                memory = f"{rest:.0f} | {most[0]:.0f} |"
                print(f"| {name} | {seconds:.1f} | {worked:.1f} | {outcomes} | {memory}", flush=True)
