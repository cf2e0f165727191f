"""Lists as files over REST, and by `kompass export`: before one server, with the rights of whoever asks."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from kompass.domain.examples import full
from kompass.exports import making, reading
from kompass.exports.formats import Format
from kompass.exports.making import MOST_FILES, Exports
from kompass.exports.spreadsheet import Spreadsheet
from kompass.resources import lists
from tests.exports.made import cells, table
from tests.identity.conftest import ADMIN, put_user
from tests.in_process import serving
from tests.product import running_product

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
GF, ANNA, BERT = ("chef", "pw"), ("anna", "pw"), ("bert", "pw")
NAMES = ["Äpfel", "Birnen", "=cmd|' /C calc'!A0", "Öl; Essig", "Zucker"]


class Company:
    def __init__(self, directory: Path, url: str, client: httpx.AsyncClient) -> None:
        self.directory = directory
        self.url = url
        self.client = client

    async def get(self, path: str, auth: tuple[str, str] = GF, **params: Any) -> httpx.Response:
        headers = params.pop("headers", None)
        return await self.client.get(f"/api/v1/{path}", params=params, auth=auth, headers=headers)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def company(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Company]:
    directory = tmp_path_factory.mktemp("exports") / "data"
    async with (
        running_product(directory, ADMIN) as product,
        serving(product) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as client,
    ):
        for name, role in (("chef", "GF"), ("anna", "ADM"), ("bert", "ADM"), ("buch", "BUCH")):
            await put_user(client, name, role)
            await client.get("/kompass", auth=(name, "pw"))
        for place, name in enumerate(NAMES):
            owner = "anna" if place % 2 else "bert"
            address = {"street": "Weg 1", "zipCode": "53894", "city": "Rode", "country": "Deutschland"}
            body = {"companyName": name, "billingAddress": address, "owner": owner}
            body["rating"] = "AB"[place % 2]
            made = await client.post("/api/v1/customers", json=body, auth=GF)
            assert made.status_code == 201, made.text
        for doctype in ("customer", "opportunity", "project", "contract"):
            body = {**full(doctype)} | ({"status": "signed"} if doctype == "contract" else {})
            stored = {key: value for key, value in body.items() if key not in ("_rev", "_attachments")}
            made = await client.put(f"/kompass/{body['_id']}", json=stored, auth=ADMIN)
            assert made.status_code == 201, made.text
        yield Company(directory.parent, url, client)


async def test_the_file_is_the_list(company: Company) -> None:
    asked: dict[str, Any] = {"rating": "A", "sort": "-companyName"}
    answer = await company.get("customers/export", **asked, fields="companyName,rating")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    form = r"attachment; filename=\"(customer_export_\d{4}-\d\d-\d\d_\d{4}\.csv)\"; filename\*=UTF-8''\1"
    assert re.fullmatch(form, answer.headers["content-disposition"])
    assert answer.headers["cache-control"] == "no-store"
    assert "content-length" not in answer.headers
    listed = (await company.get("customers", **asked)).json()["items"]
    head, *rows = table(answer.content)
    assert head == ["_id", "companyName", "rating"]
    assert [row[0] for row in rows] == [one["_id"] for one in listed]
    assert [row[1].removeprefix("'") for row in rows] == [one["companyName"] for one in listed]


async def test_everybody_gets_what_is_his(company: Company) -> None:
    for auth, expected in ((GF, 6), (ANNA, 2), (BERT, 3), (("buch", "pw"), 6)):
        listed = (await company.get("customers", auth)).json()["items"]
        assert len(listed) == expected
        assert (await company.get("customers/export", auth, dry_run="true")).json()["rows"] == expected
        for form in Format:
            answer = await company.get("customers/export", auth, format=form.value)
            assert answer.status_code == 200, answer.text
            assert ids(form, answer.content) == {one["_id"] for one in listed}
    assert (await company.client.get("/api/v1/customers/export")).status_code == 401


def ids(form: Format, data: bytes) -> set[str]:
    if form is Format.CSV:
        return {row[0] for row in table(data)[1:]}
    if form is Format.XLSX:
        return {row[0] for row in cells(data)[1:]}
    if form is Format.JSON:
        return {one["_id"] for one in json.loads(data)}
    if form is Format.NDJSON:
        return {json.loads(line)["_id"] for line in data.splitlines()}
    parquet = pytest.importorskip("pyarrow.parquet")
    return set(parquet.read_table(io.BytesIO(data)).column("_id").to_pylist())


async def test_languages_and_what_is_accepted(company: Company) -> None:
    german = {"accept-language": "de-DE,de;q=0.9,en;q=0.8"}
    sheet = await company.get("customers/export", headers=german, format="xlsx", fields="companyName")
    assert cells(sheet.content)[0] == ["ID", "Firma"]
    text = await company.get("customers/export", headers=german, fields="companyName")
    assert table(text.content)[0] == ["ID", "Firma"]
    accepts = {"accept": "application/x-ndjson"}
    lines = await company.get("customers/export", headers=accepts)
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert (await company.get("customers/export", headers={"accept": "text/html"})).status_code == 406


async def test_a_binary_file_says_how_long_it_is_and_what_became_of_the_documents(company: Company) -> None:
    answer = await company.get("customers/export", format="xlsx")
    digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert (answer.headers["kompass-rows"], answer.headers["kompass-changed"]) == ("6", "0")
    head = await company.client.head("/api/v1/customers/export?format=xlsx", auth=GF)
    assert (head.status_code, head.content, head.headers["kompass-rows"]) == (200, b"", "6")


async def test_a_profile_takes_what_it_is_about_with_what_that_names(company: Company) -> None:
    answer = await company.get("contracts/export", profile="lexware-contracts")
    assert answer.headers["kompass-rows"] == "1"
    head, row = table(answer.content)
    assert dict(zip(head, row, strict=True))["CustomerName"] == full("customer")["companyName"]
    packed = await company.get("contracts/export", profile="lexware-contracts", package="true")
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert archive.read(manifest["file"]) == answer.content
    assert manifest["sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert manifest["filters"] == {"status.in": ["signed", "active", "completed"]}
    dry = (await company.get("contracts/export", profile="lexware-contracts", dry_run="true")).json()
    same = ("rows", "left_out", "sums", "bytes", "sha256", "sort", "filters")
    assert {name: dry[name] for name in same} == {name: manifest[name] for name in same}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"format": "docx"}, "format is one of csv, xlsx, json, ndjson, parquet"),
        ({"sort": "billingAddress"}, "sort can't be"),
        ({"colour": "red"}, "There is no parameter colour"),
        ({"fields": "nothing"}, "have no field nothing"),
        ({"profile": "lexware-contracts"}, "no profile lexware-contracts by which customers"),
        ({"profile": "lexware-customers", "format": "xlsx"}, "dialect of CSV"),
        ({"profile": "lexware-customers", "fields": "companyName"}, "columns of its own"),
        ({"limit": "5"}, "There is no parameter limit"),
        ({"package": "yes"}, "true or false"),
    ],
)
async def test_a_question_that_can_not_be(company: Company, params: dict[str, Any], said: str) -> None:
    answer = await company.get("customers/export", **params)
    assert (answer.status_code, said in answer.json()["detail"]) == (400, True), answer.text


async def test_an_edit_meanwhile_hides_no_document(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorted by their creation, which nobody changes, all are there once, whatever is edited meanwhile."""
    monkeypatch.setattr(reading, "PAGE", 1)
    before = {one["_id"] for one in (await company.get("customers")).json()["items"]}
    found: list[str] = []
    async with company.client.stream("GET", "/api/v1/customers/export?format=ndjson", auth=GF) as answer:
        async for line in answer.aiter_lines():
            found.append(json.loads(line)["_id"])
            for docid in sorted(before)[:2]:
                edit = {"notes": f"{len(found)}"}
                path = f"/api/v1/customers/{docid}"
                done = await company.client.patch(path, json=edit, auth=GF, headers={"if-match": "*"})
                assert done.status_code == 200, done.text
    assert sorted(found) == sorted(before)


@pytest.mark.parametrize("form", ["csv", "json", "ndjson"])
async def test_what_breaks_in_the_midst_never_looks_whole(
    company: Company, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(reading, "PAGE", 1)
    done = 0
    whole = lists.page

    async def page(*asked: Any) -> lists.Page:
        nonlocal done
        done += 1
        if done == 4:
            raise OSError("the disk is gone")
        return await whole(*asked)

    monkeypatch.setattr(lists, "page", page)
    with pytest.raises(httpx.RemoteProtocolError):
        await company.get("customers/export", format=form)
    done = 0
    with pytest.raises(httpx.RemoteProtocolError):
        await company.get("customers/export", format=form, package="true")


async def test_whoever_loses_his_role_meanwhile_gets_no_more(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE", 1)
    await put_user(company.client, "gerd", "GF")
    await company.client.get("/kompass", auth=("gerd", "pw"))
    record = (await company.client.get("/kompass/user-gerd", auth=ADMIN)).json()
    whole, done = lists.page, 0

    async def page(*asked: Any) -> lists.Page:
        nonlocal done
        done += 1
        if done == 3:
            taken = await company.client.put(
                "/kompass/user-gerd", json={**record, "roles": ["ADM"]}, auth=ADMIN
            )
            assert taken.status_code == 201, taken.text
        return await whole(*asked)

    monkeypatch.setattr(lists, "page", page)
    with pytest.raises(httpx.RemoteProtocolError):
        await company.get("customers/export", auth=("gerd", "pw"), format="ndjson")
    assert done == 3


async def test_what_breaks_before_a_binary_file_is_whole_is_an_error(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def page(*asked: Any) -> lists.Page:
        raise OSError("the disk is gone")

    monkeypatch.setattr(lists, "page", page)
    asked: list[dict[str, Any]] = [{"format": "xlsx"}, {"format": "parquet"}, {"dry_run": "true"}]
    for params in asked:
        assert (await company.get("customers/export", **params)).status_code == 500
    monkeypatch.undo()
    for _ in range(MOST_FILES + 1):
        assert (await company.get("customers/export", format="xlsx")).status_code == 200
    assert rests(company) == [], "nothing is left on the disk"


async def test_a_full_disk_is_told_and_nothing_is_left(
    company: Company, full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Exports, "_nameless", lambda self: full_disk.open("r+b"))
    asked: list[dict[str, Any]] = [{"format": "xlsx"}, {"format": "parquet"}, {"dry_run": "true"}]
    for params in asked:
        answer = await company.get("customers/export", **params)
        assert (answer.status_code, "disk is full" in answer.json()["detail"]) == (507, True)
    assert (await company.get("customers/export", format="csv")).status_code == 200
    monkeypatch.undo()
    monkeypatch.setattr(Spreadsheet, "end", lambda self: _full(self._parts / "whole"))
    packed = await company.get("customers/export", format="xlsx", package="true")
    assert (packed.status_code, packed.headers["content-type"]) == (507, "application/problem+json")
    assert rests(company) == []


def _full(file: Path) -> Iterator[bytes]:
    raise OSError(errno.ENOSPC, "No space left on device", str(file))


def rests(company: Company) -> list[Path]:
    found = [one for one in company.directory.rglob("exports") if one.parent.name == "temporary"]
    assert found
    return [file for directory in found for file in directory.iterdir()]


async def test_too_many_files_are_refused_and_those_given_up_do_not_count(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = asyncio.Event()
    monkeypatch.setattr(making, "MOST_FILES", 1)
    whole = lists.page

    async def page(*asked: Any) -> lists.Page:
        await wait.wait()
        return await whole(*asked)

    monkeypatch.setattr(lists, "page", page)
    first = asyncio.create_task(company.get("customers/export", format="xlsx"))
    await asyncio.sleep(0.3)
    busy = await company.get("customers/export", format="xlsx")
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "60")
    wait.set()
    assert (await first).status_code == 200
    assert (await company.get("customers/export", format="xlsx")).status_code == 200
    wait.clear()
    async with httpx.AsyncClient(base_url=company.url) as client:
        gone = asyncio.create_task(client.get("/api/v1/customers/export?format=xlsx", auth=GF))
        await asyncio.sleep(0.3)
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
    wait.set()
    await asyncio.sleep(0.3)
    assert (await company.get("customers/export", format="xlsx")).status_code == 200
