"""Documents as rows: whatever they contain, they become one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompass.domain.examples import TYPES, full
from kompass.feed.sink import Change, DocumentRejectedError
from kompass.readstore.columns import OTHER, Kind, columns
from kompass.readstore.rows import MAX_ID, Row, row


def made(doc: dict[str, Any], *channels: str) -> Row:
    return row(Change(str(doc.get("_id", "x")), 1, "1-a", doc, frozenset(channels)))


@pytest.mark.parametrize("doctype", TYPES)
def test_a_sound_document_fits_its_columns_and_is_kept_as_it_is(doctype: str) -> None:
    doc = full(doctype)
    found = made(doc, f"all:{doctype}", "user:x")
    assert (found.table, found.fields, found.note, found.for_all) == (doctype, None, None, True)
    assert json.loads(found.doc) == doc
    assert found.channels == (f"all:{doctype}", "user:x")


def test_the_channel_of_another_type_is_no_channel_of_all() -> None:
    assert not made({"_id": "comment-1", "type": "comment"}, "all:offer").for_all


@pytest.mark.parametrize(
    ("member", "value", "unfit"),
    [
        ("companyName", "Hof\0laden", None),
        ("companyName", 7, "companyName"),
        ("companyName", "x" * 2001, "companyName"),
        ("owner", "x" * 513, "owner"),
        ("dataRetentionUntil", "99999-01-01", "dataRetentionUntil"),
        ("dataRetentionUntil", "2026-02-30", "dataRetentionUntil"),
        ("dataRetentionUntil", "2026-W01-1", "dataRetentionUntil"),
        ("dataRetentionUntil", "٢٠٢٦-01-01", "dataRetentionUntil"),
        ("modifiedAt", "2026-11-30", "modifiedAt"),
        ("modifiedAt", "2026-11-30T08:15:00+02:00", "modifiedAt"),
        ("anonymized", 1, "anonymized"),
        ("version", 2**63, "version"),
        ("version", 1.5, "version"),
        ("version", True, "version"),
        ("billingAddress", "Hauptstraße 1", "billingAddress"),
        ("billingAddress", {"city": 7, "zipCode": "80331"}, "billingAddress.city"),
    ],
)
def test_what_does_not_fit_is_null_and_named(member: str, value: Any, unfit: str | None) -> None:
    found = made({**full("customer"), member: value})
    if unfit is None:
        assert found.fields is None
        return
    assert found.note == f"doesn't fit its column: {unfit}"
    assert found.fields is not None
    fields = json.loads(found.fields)
    assert fields["createdBy"] == full("customer")["createdBy"]
    if member == "billingAddress" and isinstance(value, dict):
        assert fields["billingAddress"] == {"zipCode": "80331"}
    else:
        assert member not in fields
    assert json.loads(found.doc)[member] == value


def test_what_postgresql_has_no_place_for_is_written_so_that_it_shows() -> None:
    doc = {"_id": "x-1", "type": "zukunft", "nul": "a\0b", "\0": 1, "half": "\ud83e", "inf": [1e400, -1e400]}
    doc |= {"deep": _nested(1000), "long": 10**5000}
    found = made(doc)
    assert found.table == OTHER
    kept = json.loads(found.doc)
    assert (kept["nul"], kept["␀"], kept["half"]) == ("a␀b", 1, "\ufffd")
    assert kept["inf"] == ["Infinity", "-Infinity"]
    assert kept["long"] == hex(10**5000)
    assert "nested deeper than 200 levels" in found.doc
    assert found.note is not None
    assert "NUL is written as ␀" in found.note
    assert "hexadecimal" in found.note


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_a_backslash_before_u0000_is_no_nul() -> None:
    found = made({"_id": "x-1", "type": "customer", "notes": "\\u0000"})
    assert json.loads(found.doc)["notes"] == "\\u0000"
    assert found.note is None


@pytest.mark.parametrize("docid", ["x" * (MAX_ID + 1), "a\0b", "\ud800"])
def test_an_id_that_no_index_takes_is_rejected(docid: str) -> None:
    with pytest.raises(DocumentRejectedError, match="its id"):
        row(Change(docid, 1, "1-a", {"_id": docid, "type": "customer"}))


_ANY: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(doctype=st.sampled_from(TYPES), values=st.dictionaries(st.sampled_from(
    sorted({one.path[0] for each in columns().values() for one in each})), _ANY, max_size=6))  # fmt: skip
def test_anything_at_all_becomes_a_row(doctype: str, values: dict[str, Any]) -> None:
    found = made({**values, "_id": "x-1", "type": doctype})
    found.doc.encode()
    json.loads(found.doc)
    assert "\\u0000" not in found.doc.replace("\\\\", "")
    fields = json.loads(found.fields or found.doc)
    for column in columns()[doctype]:
        value = fields.get(column.path[0])
        if value is not None and column.kind is Kind.TEXT and len(column.path) == 1:
            assert isinstance(value, str)


def test_columns_have_the_names_of_fields_in_the_way_of_sql() -> None:
    names = {one.name: one for one in columns()["customer"]}
    assert names["company_name"].path == ("companyName",)
    assert names["billing_address_city"].path == ("billingAddress", "city")
    assert names["owner"].refers
    assert "notes" not in names, "long texts are in doc"
    assert {one.name: one.kind for one in columns()["opportunity"]}["tags"] is Kind.TEXTS


def test_no_two_columns_of_a_table_have_one_name() -> None:
    for doctype, wanted in columns().items():
        names = ["id", "_rev", "_all", "doc", *(one.name for one in wanted)]
        assert len(set(names)) == len(names), doctype
        assert max(map(len, names)) < 64
