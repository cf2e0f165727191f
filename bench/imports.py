"""Customers from tables: reading, a dry run, writing, updates and undoing, with time and memory."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random

import httpx
import psutil
import xlsxwriter
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

from bench.export import filled, measured
from bench.servers import our_product

HEAD = (
    *("Firma", "Straße", "Hausnummer", "PLZ", "Ort", "Bundesland", "Land", "E-Mail", "Telefon", "Webseite"),
    *("Branche", "Kundenart", "Bewertung", "Verantwortlich", "Notizen", "Besuchsabstand"),
)
OWNER = ("adm1", "bench-password-1")
LOOK_SECONDS = 0.05
Rows = Sequence[Sequence[str]]


def _rows(rows: int, source: Random) -> Rows:
    def word() -> str:
        return "".join(source.choice("abcdefghiklmnoprstuwz") for _ in range(9)).title()

    return [
        (
            *(f"{word()} {word()} Süß & Söhne GmbH", f"{word()}straße", str(number % 200 + 1)),
            *(f"{number % 90_000 + 10_000}", word(), "Bayern", "Deutschland", f"kunde{number}@hof.de"),
            *(f"0221 {number:07}", f"https://kunde{number}.example", "Lebensmittel", "Einzelhandel"),
            *("ABC"[number % 3], OWNER[0], f"{word()} {word()} {word()}", str(number % 60 + 1)),
        )
        for number in range(rows)
    ]


def _csv(rows: Rows) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=";").writerows([HEAD, *rows])
    return text.getvalue().encode("cp1252")


def _xlsx(rows: Rows) -> bytes:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate([HEAD, *rows]):
            sheet.write_row(at, 0, row)
    return file.getvalue()


def _xls(rows: Rows) -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Kunden")
    for at, row in enumerate([HEAD, *rows]):
        for column, value in enumerate(row):
            sheet.write(at, column, value)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _ods(rows: Rows) -> bytes:
    book = OpenDocumentSpreadsheet()
    sheet = Table(name="Kunden")
    for row in [HEAD, *rows]:
        line = TableRow()
        for value in row:
            cell = TableCell(valuetype="string")
            cell.addElement(P(text=value))
            line.addElement(cell)
        sheet.addElement(line)
    book.spreadsheet.addElement(sheet)
    file = io.BytesIO()
    book.write(file)
    return file.getvalue()


KINDS: dict[str, Callable[[Rows], bytes]] = {"csv": _csv, "xls": _xls, "ods": _ods, "xlsx": _xlsx}


def _uploaded(client: httpx.Client, data: bytes) -> str:
    headers = {"content-type": "application/octet-stream"}
    answer = client.post("/api/v1/imports?type=customer", content=data, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _reader_s_memory(server: int) -> float:
    """The most that the process that reads tables has had, in MB."""
    for one in psutil.Process(server).children(recursive=True):
        if "kompass.imports.tables.worker" in one.cmdline():
            status = Path(f"/proc/{one.pid}/status").read_text()
            return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    raise RuntimeError("nothing reads tables")


def _done(client: httpx.Client, path: str, order: Mapping[str, object], wanted: str) -> tuple[int, float]:
    """`wanted`: what has become of every row. No bytes come of it."""
    docid = path.partition("/")[0]
    answer = client.post(f"/api/v1/imports/{path}", json=order)
    assert answer.status_code == 202, answer.text
    while True:
        told = client.get(f"/api/v1/imports/{docid}").json()
        if not told["state"].endswith("ing"):
            if told["counts"] != {wanted: told["rows"]}:
                raise RuntimeError(client.get(f"/api/v1/imports/{docid}/rows?limit=3").text)
            return 0, 0.0
        time.sleep(LOOK_SECONDS)


def run(rows: int) -> None:
    """Prints two tables."""
    table = _rows(rows, Random(1))
    with our_product(KOMPASS_RATE_LIMIT="0") as running, filled(running, iter(())) as client:
        assert running.pid is not None
        with httpx.Client(base_url=running.url) as admin:
            user = {"name": OWNER[0], "type": "user", "roles": ["ADM"], "password": OWNER[1]}
            assert admin.put(f"/_users/org.couchdb.user:{OWNER[0]}", json=user).status_code == 201
        # Who hasn't been seen yet owns no customers.
        client.get("/kompass", auth=OWNER).raise_for_status()
        print(f"{rows} customers of {len(HEAD)} columns\n")
        print("| file | MB | seconds until it was read | memory of who reads it |\n|---|---:|---:|---:|")
        docids: dict[str, str] = {}
        for kind, make in KINDS.items():
            data = make(table)
            started = time.perf_counter()
            docids[kind] = _uploaded(client, data)
            seconds = time.perf_counter() - started
            memory = _reader_s_memory(running.pid)
            print(f"| {kind} | {len(data) / 1e6:.1f} | {seconds:.1f} | {memory:.0f} MB |", flush=True)
        first, again, update = docids["xlsx"], docids["csv"], {"duplicates": "update"}
        measured(
            running,
            [
                ("dry run", partial(_done, client, f"{first}/execute", {"dryRun": True}, "created")),
                ("import", partial(_done, client, f"{first}/execute", {}, "created")),
                ("again, skipped", partial(_done, client, f"{docids['ods']}/execute", {}, "skipped")),
                (
                    "updates that change nothing",
                    partial(_done, client, f"{again}/execute", update, "unchanged"),
                ),
                ("undo", partial(_done, client, f"{first}/undo", {}, "undone")),
            ],
        )
