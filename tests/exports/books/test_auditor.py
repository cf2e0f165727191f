"""Tables for an auditor, with their index."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from datetime import datetime
from typing import Any

import pytest
from lxml import etree

from kompass.audit.reading import Query
from kompass.exports.gobd import DAYS
from kompass.exports.making import ZONE
from kompass.sync.audit_desk import AuditDesk
from tests.exports.books.company import NOVEMBER, Company

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_an_auditor_gets_tables_with_their_index(company: Company) -> None:
    files = await company.files("gobd/export", NOVEMBER)
    definition = etree.DTD(io.BytesIO(files["gdpdu-01-09-2004.dtd"]))
    index = etree.fromstring(files["index.xml"])
    assert definition.validate(index), definition.error_log
    assert index.findtext("DataSupplier/Name") == "Ladenbau Süd GmbH"
    tables = {one.findtext("URL"): one for one in index.iter("Table")}
    assert len(tables) == len(DAYS) + 1
    for told in json.loads(files["manifest.json"])["files"]:
        data = files[told["file"]]
        assert told["sha256"] == hashlib.sha256(data).hexdigest()
        names = [one.text for one in tables[told["file"]].iterfind("VariableLength/*/Name")]
        rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), delimiter=";"))
        assert rows[0] == names[: len(rows[0])], "columns as the index says; behind them its keys"
        assert len(rows) == told["rows"] + 1
    invoices = re.findall(r"R-2026-\d{5}", files["invoice.csv"].decode())
    assert len([one for one in invoices if one != "R-2026-00051"]) == 6, "those of the period"
    assert "R-2026-00007" not in invoices
    today = datetime.now(ZONE).date().isoformat()
    written = (await company.files("gobd/export", {"from": today, "to": today}))["audit.csv"].decode()
    assert "CREATE" in written
    assert "EXPORT" in written


async def test_a_year_of_the_chain_begins_and_ends_at_midnight_in_germany(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Query] = []
    page = AuditDesk.page

    def noted(desk: AuditDesk, principal: Any, query: Query, limit: int) -> Any:
        asked.append(query)
        return page(desk, principal, query, limit)

    monkeypatch.setattr(AuditDesk, "page", noted)
    await company.files("gobd/export", {"from": "2026-01-01", "to": "2026-12-31"})
    await company.files("gobd/export", {"from": "2026-07-01", "to": "2026-07-01"})
    edges = [datetime.fromisoformat(f"{one}Z").timestamp() * 1000 for one in _EDGES]
    assert [time for query in asked for time in (query.since, query.until)] == edges


_EDGES = ("2025-12-31T23:00", "2026-12-31T23:00", "2026-06-30T22:00", "2026-07-01T22:00")
