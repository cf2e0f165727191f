"""How an uploaded file is read: its kind, its columns, and what is wrong with it."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from kompass.imports.tables import limits
from tests.imports import files
from tests.imports.office import Office, customer, customers

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (files.as_xlsx, "Kirschen Nord"),
        (files.as_xls, "Pflaumen Süd"),
        (files.as_ods, "Quitten West"),
        (files.as_csv, "Zwetschgen Ost"),
    ],
    ids=["xlsx", "xls", "ods", "csv"],
)
async def test_each_kind_of_file(office: Office, made: Any, name: str) -> None:
    rows = [["Liste der Kunden"], ["Firma", "Straße", "PLZ", "Ort", "Verantwortlich"]]
    if made is files.as_csv:
        rows = rows[1:]
    done = await office.imported(made([*rows, [name, "Weg 1", "01067", "Dresden", "adm1@example.com"]]))
    rows_told = await office.rows(done["id"])
    stored = await office.list("customers", companyName=name)
    # Nobody has that address; his name is known.
    assert stored == []
    assert rows_told[0]["problems"][0]["rule"] == "reference.none"
    done = await office.imported(made([*rows, [name, "Weg 1", "01067", "Dresden", "ADM1"]]))
    assert done["counts"] == {"created": 1}, await office.rows(done["id"])
    assert (await office.one("customers", companyName=name))["billingAddress"]["zipCode"] == "01067"


async def test_mappings_are_said_and_remembered(office: Office) -> None:
    file = "Laden;Str;PLZ;Ort;Wer\r\nHof Merk;Weg 1;50667;Köln;\r\n"
    one = await office.uploaded(file)
    assert one["columns"][0]["field"] is None
    assert [each["field"] for each in one["missing"]] == ["companyName", "owner"]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"columns": {"Fehlt/alt": "email"}}, "/columns/Fehlt~1alt"),
        ({"columns": {"Laden": "rev"}}, "/columns/Laden"),
        ({"columns": {"Laden": "companyName", "Wer": "companyName"}}, "/columns/Wer"),
        ({"columns": {}, "values": {"nichts": "x"}}, "/values/nichts"),
        ({"spalten": {}}, "/spalten"),
    ]
    for each, place in wrong:
        answer = await office.ask("PUT", f"/imports/{one['id']}/mapping", json=each)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, place)
    said = {"columns": {"Laden": "companyName", "Wer": "owner"}, "values": {"owner": "adm2"}}
    answer = await office.ask("PUT", f"/imports/{one['id']}/mapping", json=said)
    assert answer.json()["missing"] == []
    assert (await office.executed(one["id"]))["counts"] == {"created": 1}
    assert (await office.one("customers", companyName="Hof Merk"))["owner"] == "adm2"
    again = await office.uploaded(file.replace("Merk", "Merk zwei"))
    assert (again["columns"][0]["field"], again["columns"][0]["how"]) == ("companyName", "remembered")
    other = await office.uploaded(file, name="gf1")
    assert other["columns"][0]["field"] is None


async def test_a_file_can_be_read_otherwise(office: Office) -> None:
    book = files.as_xlsx([["Kunden", "x"], ["Firma", "Ort"], ["Hof", "Köln"]])
    one = await office.uploaded(book, file="kunden.csv")
    assert (one["kind"], one["headerLine"], one["rows"]) == ("xlsx", 2, 1)
    assert one["notes"][0]["rule"] == "note.name"
    answer = await office.ask("PUT", f"/imports/{one['id']}/reading", json={"headerLine": 1})
    assert (answer.json()["columns"][0]["heading"], answer.json()["rows"]) == ("Kunden", 2)
    answer = await office.ask("PUT", f"/imports/{one['id']}/reading", json={"sheet": "Fehlt"})
    assert (answer.status_code, answer.json()["rule"]) == (422, "file.sheet")
    one = await office.uploaded("Firma;Ort\r\nHof;Bonn\r\n")
    answer = await office.ask("PUT", f"/imports/{one['id']}/reading", json={"encoding": "utf-16"})
    assert (answer.status_code, answer.json()["rule"]) == (422, "file.encoding")


async def test_an_upload_that_breaks_off_leaves_nothing_and_is_no_failure(office: Office) -> None:
    basic = b"Basic " + b64encode(b"innen1:pw")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "path": "/api/v1/imports",
        "raw_path": b"/api/v1/imports",
        "query_string": b"type=customer",
        "headers": [(b"authorization", basic), (b"content-length", b"99999")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    before = (await office.ask("GET", "/imports")).json()
    coming = iter(
        [
            {"type": "http.request", "body": customers(customer("Hof Halb")).encode(), "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return next(coming)

    async def send(message: Any) -> None:
        sent.append(message)

    await office.product(scope, receive, send)
    assert sent[0]["status"] == 499
    assert (await office.ask("GET", "/imports")).json() == before


async def test_headings_are_kept_in_part(office: Office) -> None:
    """They stand in every answer about an import; a cell may have 12,000 letters."""
    book = files.as_xlsx([["Firma", "Ort", *(f"{n} {'x' * 11_000}" for n in range(50))], ["Hof", "Köln"]])
    answer = await office.upload(book)
    assert (answer.status_code, len(answer.content) < 50_000) == (201, True)


async def test_refusals_say_what_is_wrong(office: Office) -> None:
    answer = await office.upload("Firma;Firma\r\nA;B\r\n")
    assert (answer.status_code, answer.json()["rule"]) == (422, "file.twice")
    for data, rule in (
        (b"", "file.empty"),
        (b"1;2\r\n3;4\r\n", "file.header"),
        (b"Firma;Ort\r\n", "file.empty"),
    ):
        answer = await office.upload(data)
        assert (answer.status_code, answer.json()["rule"]) == (422, rule)
    headers = {"accept-language": "de", "content-type": "application/octet-stream"}
    answer = await office.ask("POST", "/imports?type=customer", content=b"%PDF-", headers=headers)
    assert answer.json()["detail"].startswith("Die Datei ist keine Tabelle")
    answer = await office.upload(b"x" * (limits.MOST_BYTES + 1))
    assert answer.status_code == 413
    assert (await office.upload("Firma;Ort\r\nA;B\r\n", "contract")).status_code == 400
    assert (await office.ask("GET", "/imports/x")).status_code == 404


async def test_files_that_are_broken_in_places(office: Office) -> None:
    row = customer("Hof Halb", "Ulm")
    half = f'{customers(row)}"Hof offen;x\r\nHof;kurz\r\n{customer("Hof Ganz", "Hof")}'
    one = await office.uploaded(half)
    assert [each["rule"] for each in one["notes"]] == ["note.cut"]
    told = await office.executed(one["id"])
    assert told["counts"] == {"created": 2, "wrong": 2}, await office.rows(one["id"])
    rules = [each["problems"][0]["rule"] for each in await office.rows(one["id"], outcome="wrong")]
    assert rules == ["row.quote", "row.width"]
